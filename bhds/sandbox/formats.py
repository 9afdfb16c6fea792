"""The bytes of archive files, in the formats of each market and era.

Notes
-----
Taken from genuine files of the archive: spot never has a header, futures from the
middle of 2022; spot shows 8 decimals, futures those of the symbol; times are in ms,
in spot from 2025-01-01 in µs; futures zips carry Info-ZIP's time and owner fields,
spot zips carry none; only futures checksums end in a newline.
"""

import datetime as dt
import struct
import zlib
from decimal import Decimal
from functools import cache

import polars as pl
from isal import igzip_lib

from bhds.core.markets import Interval, TradeType
from bhds.sandbox.bars import PRICES
from bhds.sandbox.references import REFERENCE_DECIMALS
from bhds.sandbox.timegrid import width_ms
from bhds.sandbox.universe import COIN_DECIMALS, SPOT_DECIMALS, Symbol

REVISION = 1
"""Raise by one when the same rows must yield other bytes."""

HEADER_SINCE = dt.date(2022, 6, 1)
"""First day whose futures files have a header (ASSUME: between 2022-05-05, seen
without one, and 2022-08-24, seen with one)."""
MICROSECONDS_SINCE = dt.date(2025, 1, 1)
"""First day whose spot files have times in µs."""

_KLINES_HEADER = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,"
    "taker_buy_volume,taker_buy_quote_volume,ignore"
)
_FUNDING_HEADER = "calc_time,funding_interval_hours,last_funding_rate"
_RATE_DECIMALS = 8


def kline_rows(
    bars: pl.DataFrame,
    *,
    symbol: Symbol,
    interval: Interval,
    microseconds: bool = False,
) -> pl.DataFrame:
    """Return `bars` as the exchange shows them, 12 columns in its order.

    Prices and volumes are Decimal with the decimals shown (Int64 where none are);
    times are Int64, ms or µs since 1970.
    """
    return bars.select(
        _kline_columns(
            symbol.market,
            symbol.price_decimals,
            symbol.quantity_decimals,
            interval,
            1_000 if microseconds else 1,
        )
    )


@cache
def _kline_columns(
    market: TradeType, price: int, quantity: int, interval: Interval, per_ms: int
) -> list[pl.Expr]:
    """Return the 12 columns; `per_ms` is how many units of time a millisecond has."""
    amount = COIN_DECIMALS if market is TradeType.CM_FUTURES else price + quantity

    def shown(name: str, decimals: int) -> pl.Expr:
        return as_shown(pl.col(name), decimals, market=market)

    return [
        pl.col("open_time") * per_ms,
        *(shown(name, price) for name in ("open", "high", "low", "close")),
        shown("volume", quantity),
        (_end_time(interval) * per_ms - 1).alias("close_time"),
        shown("amount", amount),
        pl.col("trade_count"),
        shown("taker_volume", quantity),
        shown("taker_amount", amount),
        pl.lit(0).alias("ignore"),
    ]


def kline_csv(
    bars: pl.DataFrame, *, symbol: Symbol, interval: Interval, day: dt.date
) -> bytes:
    """Return the CSV of a klines file whose period begins on `day`."""
    spot = symbol.market is TradeType.SPOT
    rows = kline_rows(
        bars,
        symbol=symbol,
        interval=interval,
        microseconds=spot and day >= MICROSECONDS_SINCE,
    )
    has_header = not spot and day >= HEADER_SINCE
    return csv_file(rows, header=_KLINES_HEADER if has_header else None)


def reference_rows(bars: pl.DataFrame, *, interval: Interval) -> pl.DataFrame:
    """Return `bars` of a computed price as the exchange shows them.

    They have the 12 columns of klines, and prices with 8 decimals. What would be
    volumes is 0; `trade_count` is how often the price was computed.
    """
    zero = pl.lit(0)
    return bars.select(
        "open_time",
        *(with_point(pl.col(name), REFERENCE_DECIMALS) for name in PRICES),
        zero.alias("volume"),
        (_end_time(interval) - 1).alias("close_time"),
        zero.alias("quote_volume"),
        "trade_count",
        *(zero.alias(name) for name in ("taker_volume", "taker_amount", "ignore")),
    )


def reference_csv(bars: pl.DataFrame, *, interval: Interval, day: dt.date) -> bytes:
    """Return the CSV of mark price, index price or premium index klines.

    It has the rows of `reference_rows`, and `day` means what it does in `kline_csv`.
    """
    rows = reference_rows(bars, interval=interval)
    return csv_file(rows, header=_KLINES_HEADER if day >= HEADER_SINCE else None)


def funding_csv(events: pl.DataFrame) -> bytes:
    """Return the CSV of a fundingRate file; all eras have a header."""
    rows = events.select(
        "calc_time", "hours", with_point(pl.col("rate"), _RATE_DECIMALS)
    )
    return csv_file(rows, header=_FUNDING_HEADER)


def csv_file(rows: pl.DataFrame, *, header: str | None) -> bytes:
    """Return `rows` as CSV in UTF-8, LF at the end of lines.

    Missing values are empty and in quotes; times are to the second.
    """
    text = rows.write_csv(
        include_header=False, null_value='""', datetime_format="%Y-%m-%d %H:%M:%S"
    )
    return ("" if header is None else f"{header}\n").encode() + text.encode()


def with_decimals(value: pl.Expr, decimals: int, *, shown: int) -> pl.Expr:
    """Return an Int64 `value` with `decimals` as a Decimal that shows `shown` ones."""
    return with_point(value, decimals).cast(pl.Decimal(38, shown))


def as_shown(value: pl.Expr, decimals: int, *, market: TradeType) -> pl.Expr:
    """Return an Int64 `value`, in units of its last decimal, as its market shows it.

    Spot shows 8 decimals of everything, futures those that there are.
    """
    if market is TradeType.SPOT:
        padded = value * 10 ** (SPOT_DECIMALS - decimals)
        return with_point(padded, SPOT_DECIMALS)
    return with_point(value, decimals)


def with_point(value: pl.Expr, decimals: int) -> pl.Expr:
    """Return an Int64 `value`, in units of its last decimal, as a Decimal.

    Without decimals it stays as it is.
    """
    if decimals == 0:
        return value
    return value.cast(pl.Decimal(38, 0)).mul(pl.lit(Decimal(1).scaleb(-decimals)))


def zip_archive(
    content: bytes, *, member: str, market: TradeType, modified: dt.datetime
) -> bytes:
    """Return a zip that holds `content` as its only member.

    `modified` is the member's time in UTC; zip keeps it to 2 seconds.
    """
    name = member.encode()
    packed = igzip_lib.compress(content, level=1, flag=igzip_lib.COMP_DEFLATE)
    near, far = _extra_fields(market, modified)
    made_by = 20 if market is TradeType.SPOT else 30
    is_text = 0 if market is TradeType.SPOT else 1
    flags = 0 if member.isascii() else 0x800
    common = struct.pack(
        "<HHHHHLLLH",
        20,  # version needed to extract
        flags,
        8,  # deflate
        modified.hour << 11 | modified.minute << 5 | modified.second // 2,
        (modified.year - 1980) << 9 | modified.month << 5 | modified.day,
        zlib.crc32(content),
        len(packed),
        len(content),
        len(name),
    )
    local = b"PK\3\4" + common + struct.pack("<H", len(near)) + name + near + packed
    entry = b"PK\1\2" + struct.pack("<BB", made_by, 3) + common
    entry += struct.pack("<HHHHLL", len(far), 0, 0, is_text, 0o100644 << 16, 0)
    entry += name + far
    end = struct.pack("<HHHHLLH", 0, 0, 1, 1, len(entry), len(local), 0)
    return local + entry + b"PK\5\6" + end


def checksum_file(sha256: bytes, *, name: str, market: TradeType) -> bytes:
    """Return the `.CHECKSUM` of the zip called `name`, given its SHA-256."""
    end = "" if market is TradeType.SPOT else "\n"
    return f"{sha256.hex()}  {name}{end}".encode()


def _end_time(interval: Interval) -> pl.Expr:
    """Return when each bar ends and the next one opens, in ms."""
    width = width_ms(interval)
    if width is not None:
        return pl.col("open_time") + width
    start = pl.col("open_time").cast(pl.Datetime("ms"))
    return start.dt.offset_by("1mo").cast(pl.Int64)


def _extra_fields(market: TradeType, modified: dt.datetime) -> tuple[bytes, bytes]:
    """Return the extra fields of the local header and of the directory entry."""
    if market is TradeType.SPOT:
        return b"", b""
    time = int(modified.timestamp())
    owner = struct.pack("<HHBBLBL", 0x7875, 11, 1, 4, 1249, 4, 1245)
    near = struct.pack("<HHBLL", 0x5455, 9, 3, time, time)
    far = struct.pack("<HHBL", 0x5455, 5, 3, time)
    return near + owner, far + owner
