"""Open interest and long/short ratios, every five minutes."""

import datetime as dt

import polars as pl

from bhds.core.markets import Interval, TradeType
from bhds.sandbox import formats, prices
from bhds.sandbox.bars import is_trading
from bhds.sandbox.datasets.feed import FolderFeed, PublishedType
from bhds.sandbox.draws import bit_field, draw, stream_key
from bhds.sandbox.prices import KlineSource
from bhds.sandbox.tape import amount_of
from bhds.sandbox.timegrid import MINUTE_MS, Period
from bhds.sandbox.universe import COIN_DECIMALS

REVISION = 1
"""Raise by one when the same universe must yield other files."""

FILED_BY_PERIOD_SINCE = dt.date(2024, 3, 1)
"""First day whose um files hold the periods that begin on it, not the labels (ASSUME:
between 2024-02-16 and 2024-03-09, of which there are files of either kind)."""
LABELLED_BY_START_SINCE = dt.date(2026, 6, 25)
"""First day whose um files have the start of the period as label, not its end."""
RATIOS_SINCE = dt.date(2023, 1, 1)
"""First day whose um files have ratios (ASSUME: between 2022-01-01 and 2023-09-12)."""

_HEADER = (
    "create_time,symbol,sum_open_interest,sum_open_interest_value,"
    "count_toptrader_long_short_ratio,sum_toptrader_long_short_ratio,"
    "count_long_short_ratio,sum_taker_long_short_vol_ratio"
)
_PERIOD_MS = 5 * MINUTE_MS
_INTERVAL = Interval.parse("5m")
_DECIMALS = 8
_TRADED_MINUTES = 300
"""Open interest is about what is traded in this time."""
_DRAWN_RATIOS = {"count_top": 16, "sum_top": 32, "count_all": 48}
"""Ratios of long to short, by accounts or positions, and where their bits begin."""


class Metrics(PublishedType):
    """Open interest and ratios.

    A label of COIN-M is when its period of five minutes began. One of USD-M is when
    it ended until 2026-06-24, and when it began since. Early USD-M files hold the
    labels of their day, from 00:00 to 23:55; from 2024-03 on they hold the periods
    that begin on it, labelled from 00:05 to 00:00 on the next day. So the period that
    ends between the two is in no file.

    ASSUME: COIN-M has no ratios of accounts and positions, ever; so it is in the one
    file known, of 2023-06-25.

    Notes
    -----
    binance/binance-public-data#491; genuine files of 2022-01-01, 2023-09-12,
    2024-02-16, 2024-03-09, 2024-10-28, 2025-08-29 and 2026-02-01. At every label, the
    implied price of the first, second and sixth is the market's at that time.
    """

    name = "metrics"
    content_revision = (prices.REVISION, formats.REVISION, REVISION)
    altered = ("open_interest",)
    every_ms = _PERIOD_MS

    def window(self, feed: FolderFeed, period: Period) -> tuple[int, int]:
        """Return the range in which the periods of a file begin."""
        start_ms, end_ms = super().window(feed, period)
        is_filed_by_label = period.start < FILED_BY_PERIOD_SINCE
        is_shifted = is_filed_by_label and _is_labelled_by_end(feed, period.start)
        shift = _PERIOD_MS if is_shifted else 0
        return start_ms - shift, end_ms - shift

    def rows(
        self, source: KlineSource, feed: FolderFeed, period: Period
    ) -> pl.DataFrame:
        """Return one row for each period of five minutes, in order.

        Int64: `start` (ms), `open_interest` (units of the quantity's last decimal),
        `value` (as the amounts of bars), and the ratios `count_top`, `sum_top`,
        `count_all`, `taken` (units of 1e-8).
        """
        start_ms, end_ms = self.window(feed, period)
        symbol, time = feed.symbol, pl.col("open_time")
        trading = is_trading(
            source.universe, symbol, time, start_ms=start_ms, end_ms=end_ms
        )
        bars = source.bars(symbol, _INTERVAL, start_ms=start_ms, end_ms=end_ms)
        bars = bars.filter(trading)
        key = stream_key(source.universe.seed, symbol.market, symbol.name, self.name)
        drawn = draw(bars["open_time"] // _PERIOD_MS, key)
        held = symbol.units_per_trade * symbol.trades_per_minute * _TRADED_MINUTES
        off = bit_field(drawn, offset=0, width=10) - 512
        return bars.select(
            start=time,
            close="close",
            open_interest=held + held // 8192 * off,
            taken=_taken_ratio(),
            **{
                name: 50_000_000 + 4_000 * bit_field(drawn, offset=offset, width=16)
                for name, offset in _DRAWN_RATIOS.items()
            },
        ).with_columns(
            value=amount_of(symbol, pl.col("open_interest"), price=pl.col("close"))
        )

    def csv(self, rows: pl.DataFrame, feed: FolderFeed, period: Period) -> bytes:
        """Return the rows in the format of their market and era."""
        symbol, day = feed.symbol, period.start
        is_cm = symbol.market is TradeType.CM_FUTURES
        amount = symbol.price_decimals + symbol.quantity_decimals
        has_ratios = not is_cm and day >= RATIOS_SINCE
        label = pl.col("start") + (_PERIOD_MS if _is_labelled_by_end(feed, day) else 0)
        blank = pl.lit(None, pl.String)
        shown = rows.select(
            label.cast(pl.Datetime("ms")),
            pl.lit(symbol.name).alias("symbol"),
            *(
                formats.with_decimals(pl.col(name), decimals, shown=_DECIMALS)
                for name, decimals in (
                    ("open_interest", symbol.quantity_decimals),
                    ("value", COIN_DECIMALS if is_cm else amount),
                )
            ),
            *(
                (
                    formats.with_point(pl.col(name), _DECIMALS) if is_there else blank
                ).alias(name)
                for name, is_there in (
                    *((name, has_ratios) for name in _DRAWN_RATIOS),
                    ("taken", has_ratios or is_cm),
                )
            ),
        )
        return formats.csv_file(shown, header=_HEADER)


def _is_labelled_by_end(feed: FolderFeed, day: dt.date) -> bool:
    """Check whether the labels of the file of `day` are the ends of periods."""
    is_um = feed.symbol.market is TradeType.UM_FUTURES
    return is_um and day < LABELLED_BY_START_SINCE


def _taken_ratio() -> pl.Expr:
    """Return the volume that takers bought by the one they sold; 0 if there is none."""
    bought = pl.col("taker_volume")
    sold = pl.col("volume") - bought
    return pl.when(sold > 0).then(bought * 10**_DECIMALS // sold).otherwise(0)
