"""What backfills know of a series: its missing rows, its requests, its responses."""

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import polars as pl

from bhds.backfill.archive_rows import ArchivedRows, ArchivedSeries, BackfillBounds
from bhds.backfill.missing_ranges import MissingRange
from bhds.backfill.response_journal import Row
from bhds.core.markets import TradeType
from bhds.core.timegrid import Span

if TYPE_CHECKING:  # most jobs have nothing to request: they need not wait for aiohttp
    from bhds.api.client import ApiClient, EventPage, KlinePage


class RequestedSeries(ArchivedSeries, Protocol):
    """What is requested: bars, or funding events, of one series."""

    @property
    def trade_type(self) -> TradeType:
        """The market."""

    @property
    def time(self) -> str:
        """The column that shows where a row lies."""

    @property
    def symbol(self) -> str:
        """Whose rows they are."""

    @property
    def lookback_ms(self) -> int | None:
        """How far back one request for the first row can look; None: any time."""

    def begin_ms(self, row: Row) -> int:
        """Return from when on a row is wanted, if it is the first."""

    def first_ms(self, rows: pl.DataFrame) -> int | None:
        """Return `begin_ms` of the first of some sorted rows of a partition, if any."""

    def missing_ranges(
        self, held: ArchivedRows, *, bounds: BackfillBounds
    ) -> list[MissingRange]:
        """List what is to be requested, in time order."""

    def joint_span_ms(self) -> int:
        """Return how long a time one request may answer for, missing ranges and all."""

    def extent(self, row: Row) -> Span:
        """Return the range that one row is about."""

    def request(
        self, client: "ApiClient", span: Span, *, closed_by_ms: int
    ) -> "AsyncIterator[KlinePage] | AsyncIterator[EventPage[Any]]":
        """Request the rows of a range that are complete by a moment."""

    def request_first(
        self, client: "ApiClient", span: Span
    ) -> "AsyncIterator[KlinePage] | AsyncIterator[EventPage[Any]]":
        """Request the first row of a range, all of which is over."""

    def merge(self, answers: Sequence[Sequence[Row]]) -> pl.DataFrame:
        """Return the rows of answers, the latest last, as partitions have them."""
