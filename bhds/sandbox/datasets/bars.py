"""Bars of every interval: of what is traded, and of prices that are computed.

A file holds the bars that open in its period. Those of the intervals that are longer
than a day are in monthly files and, of futures, in the daily file of the day that
they open on; other days have none.
"""

from collections.abc import Iterator

import polars as pl

from bhds.core.markets import Interval, TradeType
from bhds.sandbox import formats, prices, references
from bhds.sandbox.bars import BarSource
from bhds.sandbox.datasets.feed import FolderFeed, PublishedType
from bhds.sandbox.prices import KlineSource
from bhds.sandbox.references import Reference
from bhds.sandbox.timegrid import Period, first_open
from bhds.sandbox.universe import Symbol, Universe

KLINES_REVISION = 2
"""Raise by one when the same bars must yield other files."""


class _Bars(PublishedType):
    """What all types of bars have in common."""

    def window(self, feed: FolderFeed, period: Period) -> tuple[int, int]:
        """Return when the bars that open in the period begin and end."""
        interval = _interval_of(feed)
        return (
            first_open(interval, period.start_ms),
            first_open(interval, period.end_ms),
        )

    def bars(self, source: BarSource, feed: FolderFeed, period: Period) -> pl.DataFrame:
        """Return the bars of `source` that open in the period."""
        return source.bars(
            feed.symbol,
            _interval_of(feed),
            start_ms=period.start_ms,
            end_ms=period.end_ms,
        )


class Klines(_Bars):
    """Bars of what is traded."""

    name = "klines"
    content_revision = (prices.REVISION, formats.REVISION, KLINES_REVISION)
    altered = ("high", "trade_count")

    def rows(
        self, source: KlineSource, feed: FolderFeed, period: Period
    ) -> pl.DataFrame:
        """Return the bars that open in the period."""
        return self.bars(source, feed, period)

    def csv(self, rows: pl.DataFrame, feed: FolderFeed, period: Period) -> bytes:
        """Return the bars in the format of their market and era."""
        return formats.kline_csv(
            rows, symbol=feed.symbol, interval=_interval_of(feed), day=period.start
        )


class ReferenceKlines(_Bars):
    """Bars of a price that is computed.

    ASSUME: of USD-M, deliveries have mark prices, but neither an index of their own
    nor a premium index, as of COIN-M.
    """

    altered = ("high",)

    def __init__(self, name: str, kind: Reference) -> None:
        self.name = name
        self.content_revision = (
            prices.REVISION,
            formats.REVISION,
            references.REVISION,
        )
        self.kind = kind

    def publishes(self, symbol: Symbol) -> bool:
        """Check whether the symbol has such a price of its own."""
        return symbol.is_perpetual or self.kind is Reference.MARK

    def subjects(
        self, universe: Universe, market: TradeType
    ) -> Iterator[tuple[str, Symbol]]:
        """Yield symbols; for COIN-M's index the pairs, built from their perpetual."""
        for name, symbol in super().subjects(universe, market):
            if self.kind is Reference.INDEX and market is TradeType.CM_FUTURES:
                yield symbol.pair, symbol
            else:
                yield name, symbol

    def rows(
        self, source: KlineSource, feed: FolderFeed, period: Period
    ) -> pl.DataFrame:
        """Return the bars that open in the period."""
        return self.bars(source.references[self.kind], feed, period)

    def csv(self, rows: pl.DataFrame, feed: FolderFeed, period: Period) -> bytes:
        """Return the bars in the format of their era."""
        return formats.reference_csv(
            rows, interval=_interval_of(feed), day=period.start
        )


def _interval_of(feed: FolderFeed) -> Interval:
    if feed.interval is None:
        msg = f"feed {feed.path!r}: expected one with an interval"
        raise TypeError(msg)
    return feed.interval
