"""Cut ranges of time into requests, along the grid of an interval.

A request for n grid points has room for more than n bars, so that an answer with room
left is known to be whole even where bars lie between grid points. Of an answer without
room left, the grid point at which it was cut off is requested again.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from bhds.api.rows import Bar
from bhds.core.timegrid import Grid, Span


@dataclass(frozen=True)
class Cutter:
    """Cuts a range from the end that the API answers first.

    Parameters
    ----------
    grid
        Where bars should open; cuts are made there.
    limit
        The most bars an answer.
    newest_first
        Whether the API counts back from the end of a range.
    longest_span_ms
        The longest range of a request; None: any.
    """

    grid: Grid
    limit: int
    newest_first: bool = False
    longest_span_ms: int | None = None

    def longest(self, rest: Span) -> Span:
        """Return the part of a range to request next, from the end that goes first."""
        if self.longest_span_ms is None:
            return rest
        if not self.newest_first:
            return Span(
                rest.start_ms, min(rest.end_ms, rest.start_ms + self.longest_span_ms)
            )
        bound = rest.end_ms - self.longest_span_ms
        start_ms = self.grid.ceil(bound)
        if start_ms >= rest.end_ms:
            start_ms = bound
        return Span(max(rest.start_ms, start_ms), rest.end_ms)

    def pages(self, rest: Span, *, count: int) -> list[Span]:
        """Return the next, at most `count`, pages of a range, in the API's order.

        A page has a grid point less than the limit.
        """
        found: list[Span] = []
        while len(found) < count and rest.start_ms < rest.end_ms:
            page = self.longest(self._page(rest))
            found.append(page)
            rest = self.without(rest, page)
        return found

    def without(self, rest: Span, answered: Span) -> Span:
        """Return what is left of a range once that at the end that goes first is in."""
        if self.newest_first:
            return Span(rest.start_ms, answered.start_ms)
        return Span(answered.end_ms, rest.end_ms)

    def answered(self, requested: Span, bars: Sequence[Bar], *, limit: int) -> Span:
        """Return the part of the requested range of which an answer has all bars.

        Parameters
        ----------
        requested
            The range that was requested.
        bars
            The answer, sorted.
        limit
            The most bars that it could have held.
        """
        if len(bars) < limit:
            return requested
        if self.newest_first:
            first = bars[0].open_time
            start_ms = self.grid.ceil(first)
            return Span(
                start_ms if start_ms < requested.end_ms else first, requested.end_ms
            )
        last = bars[-1].open_time
        end_ms = self.grid.floor(last)
        # An answer may lie between two grid points as a whole.
        return Span(
            requested.start_ms, end_ms if end_ms > requested.start_ms else last + 1
        )

    def _page(self, rest: Span) -> Span:
        grid, points = self.grid, self.limit - 1
        if self.newest_first:
            start_ms = grid.time(grid.number(rest.end_ms - 1) + 1 - points)
            return Span(max(rest.start_ms, start_ms), rest.end_ms)
        end_ms = grid.time(grid.number(rest.start_ms) + points)
        return Span(rest.start_ms, min(rest.end_ms, end_ms))
