"""The requested ranges of a series: its first row, and what the archive lacks.

A history begins with the first row that anyone has, and the first archived file may
lack it. So the API is queried once for the first row before those of the archive. Its
answer stays among the answers of the backfill, which also holds all rows from that one
to the archive's first.
"""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Self

from bhds.backfill.archive_rows import ArchivedRows, BackfillBounds
from bhds.backfill.missing_ranges import MissingRange
from bhds.backfill.requested_series import RequestedSeries
from bhds.backfill.response_journal import Answer, Row, outstanding
from bhds.core.timegrid import Span


@dataclass(frozen=True)
class Origin:
    """The time before the first row of the archive."""

    since_ms: int
    """The earliest time wanted: ms since 1970, UTC."""
    first_ms: int
    """When the first row begins."""
    lookback_ms: int | None
    """How far back of the first known row is requested at once; None: all the time."""


@dataclass(frozen=True)
class RequestedHistory:
    """The requested ranges of a series, given what the API answered so far."""

    extent: Callable[[Row], Span]
    """Returns the range that a row is about."""
    begin_of: Callable[[Row], int]
    """Returns from when on a row is wanted, if it is the first."""
    ranges_from: Callable[[int | None], list[MissingRange]]
    """Lists the missing ranges in time order, given when the first row begins that the
    API has before those of the archive; None: it has none, or was not asked."""
    origin: Origin | None = None
    """None where the history began before."""

    @classmethod
    def of(
        cls, kind: RequestedSeries, held: ArchivedRows, *, bounds: BackfillBounds
    ) -> Self:
        """Return the requested ranges of a history that the archive has in part."""

        @cache
        def ranges_from(begin_ms: int | None) -> list[MissingRange]:
            known = bounds if begin_ms is None else bounds.beginning(begin_ms)
            return kind.missing_ranges(held, bounds=known)

        if not bounds.is_first:
            return cls(kind.extent, kind.begin_ms, ranges_from)
        starts = [each.span.start_ms for each in ranges_from(None)[:1]]
        if (first_ms := kind.first_ms(held.rows)) is not None:
            starts.append(first_ms)
        first_ms = min(starts, default=bounds.begin_ms)
        origin = Origin(bounds.since_ms, first_ms, kind.lookback_ms)
        return cls(kind.extent, kind.begin_ms, ranges_from, origin)

    def missing_ranges(self, answers: Sequence[Answer]) -> list[MissingRange]:
        """List the missing ranges in time order."""
        return self.ranges_from(self._begin_ms(answers))

    def spans(self, answers: Sequence[Answer]) -> list[Span]:
        """Return the ranges of which answers are usable."""
        return [*self._before(answers), *self._missing_spans(answers)]

    def unknown_origin(
        self, answers: Sequence[Answer], *, now: dt.datetime
    ) -> list[Span]:
        """Return where the first row is to be searched; nothing if that was done."""
        spans = self._before(answers)
        return outstanding(spans, answers, now=now, extent=self.extent)

    def unfilled(self, answers: Sequence[Answer], *, now: dt.datetime) -> list[Span]:
        """Return what of the missing ranges was not answered."""
        spans = self._missing_spans(answers)
        return outstanding(spans, answers, now=now, extent=self.extent)

    def outstanding(self, answers: Sequence[Answer], *, now: dt.datetime) -> list[Span]:
        """Return what is still to be requested."""
        rest = self.unknown_origin(answers, now=now)
        return [*rest, *self.unfilled(answers, now=now)]

    def _missing_spans(self, answers: Sequence[Answer]) -> list[Span]:
        return [each.span for each in self.missing_ranges(answers)]

    def _begin_ms(self, answers: Sequence[Answer]) -> int | None:
        """Return when the first row begins that the API has before the archive's."""
        if self.origin is None:
            return None
        since_ms, first_ms = self.origin.since_ms, self.origin.first_ms
        begins = [
            max(self.begin_of(row), since_ms)
            for answer in answers
            for row in answer.rows
            if since_ms <= self.extent(row).start_ms < first_ms
        ]
        return min(begins, default=None)

    def _before(self, answers: Sequence[Answer]) -> list[Span]:
        """Return the time before the first row known, as far back as is requested."""
        if self.origin is None:
            return []
        begin_ms = self._begin_ms(answers)
        end_ms = self.origin.first_ms if begin_ms is None else begin_ms
        start_ms = self.origin.since_ms
        if self.origin.lookback_ms is not None:
            start_ms = max(start_ms, end_ms - self.origin.lookback_ms)
        return [Span(start_ms, end_ms)]
