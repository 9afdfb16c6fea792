"""Points of an interval's grid and spans of time, one at a time, in milliseconds.

`bhds.results.grid` has the same for columns.
"""

import datetime as dt
from dataclasses import dataclass
from typing import NamedTuple

from bhds.markets import Interval
from bhds.results.grid import anchor_us, microseconds, months_of

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MILLISECOND = dt.timedelta(milliseconds=1)


class Span(NamedTuple):
    """A range of time, in ms since 1970, UTC: start inclusive, end exclusive."""

    start_ms: int
    end_ms: int


@dataclass(frozen=True)
class Grid:
    """The moments at which bars of an interval should open, numbered."""

    interval: Interval

    def number(self, time_ms: int) -> int:
        """Return the number of the last grid point at or before `time_ms`."""
        if self.interval.duration is None:
            moment = _EPOCH + time_ms * _MILLISECOND
            months = (moment.year - _EPOCH.year) * 12 + moment.month - 1
            return months // months_of(self.interval)
        return (time_ms - self._anchor_ms) // self._width_ms

    def time(self, number: int) -> int:
        """Return the moment of a grid point, in ms since 1970."""
        if self.interval.duration is None:
            year, month = divmod(number * months_of(self.interval), 12)
            moment = _EPOCH.replace(year=_EPOCH.year + year, month=month + 1)
            return (moment - _EPOCH) // _MILLISECOND
        return number * self._width_ms + self._anchor_ms

    def floor(self, time_ms: int) -> int:
        """Return the last grid point at or before `time_ms`."""
        return self.time(self.number(time_ms))

    def ceil(self, time_ms: int) -> int:
        """Return the first grid point at or after `time_ms`."""
        return self.time(self.number(time_ms - 1) + 1)

    def points(self, span: Span) -> int:
        """Count the grid points in a range."""
        return self.number(span.end_ms - 1) - self.number(span.start_ms - 1)

    @property
    def _anchor_ms(self) -> int:
        return anchor_us(self.interval) // 1_000

    @property
    def _width_ms(self) -> int:
        # Only asked of intervals of one length.
        return microseconds(self.interval.duration or _MILLISECOND) // 1_000
