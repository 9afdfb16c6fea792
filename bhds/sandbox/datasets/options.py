"""The two types of the option market, which BHDS downloads and verifies only.

The columns are the headers of genuine files, as other projects quote them. ASSUME:
everything else. The values are plausible each for itself: prices of options are their
intrinsic value and a bit, and volatilities and greeks are rough and do not hang
together.
"""

import polars as pl

from bhds.sandbox import formats, prices
from bhds.sandbox.bars import is_trading
from bhds.sandbox.datasets.feed import FolderFeed, PublishedType
from bhds.sandbox.draws import bit_field, draw, stream_key
from bhds.sandbox.prices import KlineSource
from bhds.sandbox.timegrid import DAY_MS, HOUR_MS, MINUTE_MS, Period, from_ms
from bhds.sandbox.universe import Symbol

BVOL_REVISION = 1
"""Raise by one when the same universe must yield other files."""
EOH_REVISION = 1
"""Raise by one when the same universe must yield other files."""

_BVOL_HEADER = "calc_time,symbol,base_asset,quote_asset,index_value"
_EOH_HEADER = (
    "date,hour,symbol,underlying,type,strike,open,high,low,close,volume_contracts,"
    "volume_usdt,best_bid_price,best_ask_price,best_bid_qty,best_ask_qty,best_buy_iv,"
    "best_sell_iv,mark_price,mark_iv,delta,gamma,vega,theta,openinterest_contracts,"
    "openinterest_usdt"
)
_SECOND_MS = 1_000
_STRIKES = (-20, -10, 0, 10, 20)
"""How far strikes are off the level of the underlying, in percent."""
_FRIDAY = 4


class BVOLIndex(PublishedType):
    """A volatility index, every second."""

    name = "BVOLIndex"
    content_revision = (prices.REVISION, formats.REVISION, BVOL_REVISION)
    altered = ("value",)

    def publishes(self, symbol: Symbol) -> bool:
        """Check whether the name is that of a volatility index."""
        return symbol.contract_type == "VOLATILITY_INDEX"

    def rows(
        self, source: KlineSource, feed: FolderFeed, period: Period
    ) -> pl.DataFrame:
        """Return the value (units of its last decimal) at each second, in order."""
        symbol = feed.symbol
        start_ms, end_ms = self.window(feed, period)
        first, last = start_ms // MINUTE_MS, end_ms // MINUTE_MS
        knots = source.path(symbol).ticks(first, last)
        second = pl.int_range((last - first) * 60, eager=True)
        before, gone = knots.gather(second // 60), second % 60
        after = knots.gather(second // 60 + 1)
        time = pl.col("time")
        trading = is_trading(
            source.universe, symbol, time, start_ms=start_ms, end_ms=end_ms
        )
        values = (before * (60 - gone) + after * gone) // 60 * symbol.tick_units
        return pl.DataFrame(
            {"time": start_ms + second * _SECOND_MS, "value": values}
        ).filter(trading)

    def csv(self, rows: pl.DataFrame, feed: FolderFeed, period: Period) -> bytes:  # noqa: ARG002
        """Return the values as text."""
        symbol = feed.symbol
        shown = rows.select(
            "time",
            pl.lit(symbol.name).alias("symbol"),
            pl.lit(symbol.base_asset).alias("base_asset"),
            pl.lit(symbol.quote_asset).alias("quote_asset"),
            formats.with_point(pl.col("value"), symbol.price_decimals),
        )
        return formats.csv_file(shown, header=_BVOL_HEADER)


class EOHSummary(PublishedType):
    """What became of each option by the end of each hour."""

    name = "EOHSummary"
    content_revision = (prices.REVISION, formats.REVISION, EOH_REVISION)
    altered = ("open_interest",)
    every_ms = HOUR_MS

    def publishes(self, symbol: Symbol) -> bool:
        """Check whether options are written on the symbol."""
        return symbol.contract_type == "UNDERLYING"

    def rows(
        self, source: KlineSource, feed: FolderFeed, period: Period
    ) -> pl.DataFrame:
        """Return one row for each hour and option, in order.

        `hour_ms` (when the hour begins), `strike` (quote currency), `is_call`, and in
        cents `spot`, `mark` and `last` (null without trades); `volume` and
        `open_interest` (hundredths of a contract) and `volatility` (units of 1e-4).
        """
        symbol = feed.symbol
        start_ms, end_ms = self.window(feed, period)
        first, last = start_ms // MINUTE_MS, end_ms // MINUTE_MS
        price = source.path(symbol).ticks(first, last)[:-1].gather_every(60)
        cents = price * symbol.tick_units * 100 // 10**symbol.price_decimals
        hours = pl.DataFrame(
            {
                "hour_ms": pl.int_range(start_ms, end_ms, HOUR_MS, eager=True),
                "spot": cents,
            }
        ).filter(
            is_trading(
                source.universe,
                symbol,
                pl.col("hour_ms"),
                start_ms=start_ms,
                end_ms=end_ms,
            )
        )
        options = pl.DataFrame({"strike": _strikes(symbol)}).join(
            pl.DataFrame({"is_call": [True, False]}), how="cross"
        )
        rows = hours.join(options, how="cross", maintain_order="left_right")
        place = pl.int_range(rows.height, eager=True) % options.height
        key = stream_key(source.universe.seed, symbol.market, symbol.name, self.name)
        return _valued(rows, draw(rows["hour_ms"] // HOUR_MS * 64 + place, key))

    def csv(self, rows: pl.DataFrame, feed: FolderFeed, period: Period) -> bytes:
        """Return the rows as text; what there is none of is blank."""
        symbol = feed.symbol
        kind = pl.when("is_call").then(pl.lit("C")).otherwise(pl.lit("P"))
        strike = pl.format("{}-{}", pl.lit(_expiry(period)), "strike")
        distance = (pl.col("spot") - 100 * pl.col("strike")) * 50_000 // pl.col("spot")
        delta = (5_000 + distance).clip(100, 9_900)
        delta = pl.when("is_call").then(delta).otherwise(delta - 10_000)
        mark, volatility = _cents("mark"), formats.with_point(pl.col("volatility"), 4)
        worth = pl.col("mark") * pl.col("volume") // 100
        held = pl.col("spot") * pl.col("open_interest") // 100
        hour = pl.col("hour_ms").cast(pl.Datetime("ms"))
        columns = [
            hour.dt.strftime("%Y-%m-%d"),
            hour.dt.hour(),
            pl.format("{}-{}-{}", pl.lit(symbol.base_asset), strike, kind),
            pl.lit(symbol.name),
            kind,
            strike,
            *(_cents("last") for _ in range(4)),
            _cents("volume"),
            formats.with_point(worth, 2),
            *(formats.with_point(pl.col("mark") + off, 2) for off in (0, 5)),
            *(_cents("open_interest") for _ in range(2)),
            *(volatility for _ in range(2)),
            mark,
            volatility,
            formats.with_point(delta, 4),
            pl.lit("0.00002500"),
            pl.lit("12.50000000"),
            pl.lit("-35.00000000"),
            _cents("open_interest"),
            formats.with_point(held, 2),
        ]
        names = _EOH_HEADER.split(",")
        shown = rows.select(
            column.alias(name) for name, column in zip(names, columns, strict=True)
        )
        return formats.csv_file(shown, header=_EOH_HEADER)


def _valued(rows: pl.DataFrame, drawn: pl.Series) -> pl.DataFrame:
    """Add what the options of `rows` cost, and how many were traded and are held."""
    gain = pl.col("spot") - 100 * pl.col("strike")
    intrinsic = pl.when("is_call").then(gain).otherwise(-gain).clip(lower_bound=0)
    bit = bit_field(drawn, offset=0, width=10)
    traded = bit_field(drawn, offset=10, width=8)
    is_traded = bit_field(drawn, offset=18, width=1) == 1
    mark = intrinsic + pl.col("spot") * (512 + bit) // 51_200
    return rows.with_columns(
        mark=mark,
        last=pl.when(is_traded).then(mark),
        volume=pl.when(is_traded).then(1 + traded).otherwise(0),
        volatility=4_000 + bit,
        open_interest=100 * bit_field(drawn, offset=20, width=12),
    )


def _cents(name: str) -> pl.Expr:
    return formats.with_point(pl.col(name), 2)


def _strikes(symbol: Symbol) -> list[int]:
    """Return prices about the level of `symbol`, of two digits and zeros."""
    level = int(symbol.price)
    unit = 10 ** max(0, len(str(level)) - 2)
    strikes = {level * (100 + off) // 100 // unit * unit for off in _STRIKES}
    return sorted(strikes - {0})


def _expiry(period: Period) -> str:
    """Return a Friday two weeks after the period or a little later, as `231027`."""
    ahead = 14 + (_FRIDAY - period.next_day.weekday()) % 7
    return f"{from_ms(period.end_ms + ahead * DAY_MS):%y%m%d}"
