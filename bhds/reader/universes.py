"""Which symbols a market had: all that were built, or those of one UTC day."""

import datetime as dt
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from bhds import instruments, layout
from bhds.archive.listing.directory import Directory, symbol_of_key
from bhds.archive.listing.tables import TableStore
from bhds.core.errors import ConfigError, ResultError
from bhds.core.markets import Frequency, Interval
from bhds.core.timegrid import TIME
from bhds.instruments import SymbolClass
from bhds.io.storage import read_parquet_metadata
from bhds.plan.endings import unlisted
from bhds.quality import judged_until
from bhds.quality.day_condition import changes_in
from bhds.reader.availability import CheckedSeries
from bhds.reader.files import BuiltMarket, SymbolFile, Symbols, of_results
from bhds.reader.frames import scan_files
from bhds.schemas import klines

STOPPED_DAYS = 3
"""Days without a trade after which a symbol is off the universe of a day."""

UNIVERSE = pl.Schema(
    {
        "symbol": pl.String(),
        "base": pl.String(),
        "quote": pl.String(),
        "contract_type": pl.String(),
        "settled": pl.Boolean(),
        "delivery_date": pl.Date(),
        "leveraged": pl.Boolean(),
        "stable_pair": pl.Boolean(),
        "first_traded": TIME,
        "last_traded": TIME,
        "built_until": pl.Date(),
    }
)
"""The symbols of a market that have results. `base` and `quote` are null where a name
cannot be read; `first_traded` and `last_traded` are the open times of the first and
the last bar with trades, `built_until` the last UTC day that the result may hold."""

_ENOUGH = 3
"""So many symbols are named, of those that there are."""
_DAY = dt.timedelta(days=1)


def universe(
    trade_type: str,
    *,
    as_of: str | dt.date | None = None,
    interval: str = "1m",
    symbols: Symbols = None,
    data_dir: Path | str | None = None,
) -> pl.DataFrame:
    """List the symbols that have results, those that were delisted included.

    Parameters
    ----------
    trade_type, symbols, data_dir
        See `bhds.reader`.
    as_of
        Only the symbols of this UTC day: those with a trade on it or on one of the
        three days before (`STOPPED_DAYS`), of which nobody could know that they had
        stopped. None: all that ever were.
    interval
        Of the results. Bars count once they are closed: of bars longer than a day,
        those that ended by the end of the day.

    Returns
    -------
    polars.DataFrame
        `UNIVERSE`, one row per symbol, by name. With `as_of`, no value depends on what
        came after that day: `last_traded` is the last trade by its end, `built_until`
        is the day itself, no symbol is `settled` yet, and an exchangeInfo that was
        recorded later is not used.

    Raises
    ------
    ConfigError
        If the market or the day is none, or no result reaches to that day.
    ResultError
        If nothing was built, or the result of a symbol ends before the day, and it is
        not known that the symbol, or its files in the archive, did.
    SelectionError
        If a symbol was not built.
    """
    market, day = BuiltMarket.of(trade_type, data_dir), _day(as_of)
    folder = market.bars(interval) / "gaps"
    known = _exchange_info(market, day)
    rows = [
        _Row.of(file, market=market, known=known)
        for file in of_results(folder, symbols, suffix=layout.TABLE_SUFFIX)
    ]
    if day is None:
        found = [vars(row.traits) | row.trading_period for row in rows]
        return pl.DataFrame(found, schema=UNIVERSE)
    _refuse_unknown(rows, day, market=market, interval=interval, known=known)
    last_traded = _last_traded(rows, day, market=market, interval=interval)
    then = {"settled": False, "built_until": day}
    found = [
        vars(row.traits)
        | row.trading_period
        | then
        | {"last_traded": last_traded[row.symbol]}
        for row in rows
        if row.symbol in last_traded
    ]
    return pl.DataFrame(found, schema=UNIVERSE)


@dataclass(frozen=True)
class _Row:
    """A symbol that has a result, as it is known today."""

    traits: SymbolClass
    first_traded: dt.datetime | None
    last_traded: dt.datetime | None
    built_until: dt.date
    has_ended: bool
    """Whether that was known when it was built, and not only that nobody traded."""

    @classmethod
    def of(
        cls, file: SymbolFile, *, market: BuiltMarket, known: instruments.Known | None
    ) -> "_Row":
        """Read when a symbol was traded, which its gaps have in their metadata."""
        found = read_parquet_metadata(file.path)
        first, last = (
            dt.datetime.fromisoformat(found[name]) if found[name] else None
            for name in ("first_traded", "last_traded")
        )
        traits = instruments.classify(
            file.symbol, trade_type=market.trade_type, known=known
        )
        has_ended = bool(found.get("known_to_have_ended"))
        built_until = dt.date.fromisoformat(found["as_of"])
        return cls(traits, first, last, built_until, has_ended)

    @property
    def symbol(self) -> str:
        return self.traits.symbol

    @property
    def trading_period(self) -> dict[str, dt.date | None]:
        return {
            "first_traded": self.first_traded,
            "last_traded": self.last_traded,
            "built_until": self.built_until,
        }


def _day(value: str | dt.date | None) -> dt.date | None:
    if value is None:
        return None
    try:
        found = dt.date.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        found = None
    if not isinstance(found, dt.date) or isinstance(found, dt.datetime):
        msg = f"as_of {value!r}: expected a UTC day such as 2025-01-31"
        raise ConfigError(msg)
    return found


def _exchange_info(
    market: BuiltMarket, day: dt.date | None
) -> instruments.Known | None:
    """Read the recorded exchangeInfo; None if it is later than a day.

    It lists the symbols that were there when it was recorded, which shows who lasted.
    """
    path = instruments.exchange_info_path(market.data_dir, market.trade_type)
    if not path.exists():
        return None
    known = instruments.read_exchange_info(path)
    if day is None:
        return known
    at = json.loads(path.read_bytes()).get("serverTime")
    end_ms = int(_end(day).timestamp()) * 1000
    return known if isinstance(at, int) and at < end_ms else None


def _refuse_unknown(
    rows: Sequence[_Row],
    day: dt.date,
    *,
    market: BuiltMarket,
    interval: str,
    known: instruments.Known | None,
) -> None:
    """Refuse results that end before a day, but of symbols that are known to have.

    That is known by their names and settlements, was when they were built, or is by the
    market's table of conditions: it has the symbols that were built together, until its
    own `as_of`, which the result of one that ended does not reach. Or the archive was
    listed after the day, and had no later file of the symbol, though of others.
    """
    short = {
        row.symbol: row.built_until
        for row in rows
        if row.built_until < day
        and not (row.has_ended or _is_settled(row, day, market=market, known=known))
    }
    reached = max(row.built_until for row in rows)
    path = market.quality_path(CheckedSeries("klines", interval).condition)
    if (short or day > reached) and path.is_file():
        until, ends = judged_until.of_metadata(read_parquet_metadata(path))
        reached = max(reached, until)
        judged = pl.scan_parquet(path, glob=False).select(pl.col("symbol").unique())
        for symbol in judged.collect()["symbol"]:
            if day <= ends.get(symbol, until):
                short.pop(symbol, None)
    if short and day <= reached:
        archived = _archived_until(short, day, market=market, interval=interval)
        for symbol, last_day in archived.items():
            if last_day <= short[symbol]:
                del short[symbol]
    if day > reached:
        msg = (
            f"as_of {day}: the results reach to {reached}, expected no later day; "
            "build newer ones"
        )
        raise ConfigError(msg)
    if short:
        named = ", ".join(f"{s} {until}" for s, until in [*short.items()][:_ENOUGH])
        msg = (
            f"as_of {day}: the results of {len(short)} symbols end before it "
            f"({named}{', ...' * (len(short) > _ENOUGH)}), and whether these ended or "
            "were last built earlier than others is not known; build them again, or "
            "quality_all, or choose an earlier day or other symbols"
        )
        raise ResultError(msg)


def _is_settled(
    row: _Row, day: dt.date, *, market: BuiltMarket, known: instruments.Known | None
) -> bool:
    """Whether a contract is settled on a day, and its result reaches so far.

    Or it was settled so long ago that it cannot be of the day.
    """
    reached = max(row.built_until, day - (STOPPED_DAYS + 1) * _DAY)
    periods = unlisted(row.symbol, trade_type=market.trade_type, as_of=day, known=known)
    return any(
        start.date() <= reached and (end is None or day < end.date())
        for start, end in periods
    )


def _archived_until(
    symbols: Collection[str], day: dt.date, *, market: BuiltMarket, interval: str
) -> dict[str, dt.date]:
    """Return the last archived day of symbols that were all listed after a day.

    The listings are those that the last run left in the data directory.
    """
    store = TableStore(market.data_dir, keep=False)
    found: dict[str, dt.date] = {}
    listed_early = set()
    for frequency in Frequency:
        directory = Directory(market.trade_type, frequency, "klines", interval)
        table = store.table(directory)
        if table is None:
            continue
        times = {s: table.listed[s].latest for s in symbols if s in table.listed}
        listed_early |= {s for s, listed_at in times.items() if listed_at < _end(day)}
        of_symbols = symbol_of_key(directory).is_in(list(times))
        zips = changes_in(table.frame.filter(of_symbols), directory=directory)
        last_days = zips.group_by("symbol").agg(pl.col("last_day").max())
        for symbol, last_day in last_days.iter_rows():
            found[symbol] = max(last_day, found.get(symbol, last_day))
    return {s: last_day for s, last_day in found.items() if s not in listed_early}


def _last_traded(
    rows: Sequence[_Row], day: dt.date, *, market: BuiltMarket, interval: str
) -> dict[str, dt.datetime]:
    """Return the last bar with trades by the end of a day, of symbols not yet stopped.

    Of the bars themselves: that a gap began is known only by what came after.
    """
    end, bar = _end(day), Interval.parse(interval)
    length = bar.duration or dt.timedelta(days=31)
    since = end - STOPPED_DAYS * _DAY - max(length, _DAY)
    folder = market.bars(interval)
    files = [
        SymbolFile(row.symbol, Path(layout.bars(str(folder), row.symbol)))
        for row in rows
        if row.first_traded is not None
        and row.last_traded is not None
        and row.first_traded < end
        and row.last_traded >= since - length
    ]
    open_time, closed = pl.col("open_time"), pl.col("open_time").dt.offset_by(bar.name)
    found = (
        scan_files(files, klines.result_klines(market.trade_type))
        .filter(open_time >= since - length, open_time < end, pl.col("trade_count") > 0)
        .filter(closed > since, closed <= end)
        .group_by("symbol")
        .agg(open_time.max())
        .collect()
    )
    return dict(found.iter_rows())


def _end(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day + _DAY, dt.time(), dt.UTC)
