"""Funding events of perpetuals."""

import polars as pl

from bhds.sandbox import formats, prices
from bhds.sandbox.datasets.bars import KLINES_REVISION
from bhds.sandbox.datasets.feed import FolderFeed, PublishedType, spread_ms
from bhds.sandbox.funding import funding_events
from bhds.sandbox.prices import KlineSource
from bhds.sandbox.timegrid import MINUTE_MS, Period
from bhds.sandbox.universe import Symbol


class FundingRate(PublishedType):
    """Funding events of perpetuals."""

    name = "fundingRate"
    # Its own part has always been the one of the klines.
    content_revision = (prices.REVISION, formats.REVISION, KLINES_REVISION)
    altered = ("rate",)

    def publishes(self, symbol: Symbol) -> bool:
        """Check whether the symbol is a perpetual."""
        return symbol.is_perpetual

    def published_ms(self, feed: FolderFeed, period: Period) -> int:
        """Return when the file appears: on the 1st, from 07:26 to 07:51 UTC."""
        return period.end_ms + 446 * MINUTE_MS + spread_ms(feed.key(period))

    def is_empty(self, source: KlineSource, feed: FolderFeed, period: Period) -> bool:
        """Check whether no event was due."""
        return self.rows(source, feed, period).is_empty()

    def rows(
        self, source: KlineSource, feed: FolderFeed, period: Period
    ) -> pl.DataFrame:
        """Return the events that were due in the month."""
        return funding_events(
            source.universe,
            feed.symbol,
            start_ms=period.start_ms,
            end_ms=period.end_ms,
        )

    def csv(self, rows: pl.DataFrame, feed: FolderFeed, period: Period) -> bytes:  # noqa: ARG002
        """Return the events as text."""
        return formats.funding_csv(rows)
