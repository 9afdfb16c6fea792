"""The grid points of an interval: one at a time in milliseconds, or whole columns.

The only module that knows from where the bars of an interval are counted: midnight UTC
for intervals up to a day, Monday for weeks, the first for months, and for 3d bars the
days of each symbol's own (`Interval.phase_starts`).
"""

import datetime as dt
from bisect import bisect_right
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import polars as pl

from bhds.core.markets import Interval

TIME = pl.Datetime("us", "UTC")
"""The dtype of every time."""

DAY_MS = 86_400_000
_DAY_US = DAY_MS * 1_000

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MILLISECOND = dt.timedelta(milliseconds=1)
_MICROSECOND = dt.timedelta(microseconds=1)
_NO_OFFSET = dt.timedelta(0)
_MONDAY = 4
"""1970-01-05, the first Monday since 1970-01-01."""


class Span(NamedTuple):
    """A range of time, in ms since 1970, UTC: start inclusive, end exclusive."""

    start_ms: int
    end_ms: int


class Count(NamedTuple):
    """A grid point from which bars of one length are counted."""

    start_ms: int
    number: int


def months_of(interval: Interval) -> int:
    """Return how many calendar months an interval such as `1mo` spans."""
    return int(interval.name.removesuffix("mo"))


@cache
def counts(interval: Interval) -> tuple[Count, ...]:
    """Return from where bars of a fixed length are counted, n >= 1, in time order.

    The first also holds for the time before it. 3d bars of a phase that is not known
    are counted from 1970-01-01, which is right only for cutting time into pieces.

    Notes
    -----
    The phase of 3d bars was recorded from 10 symbols of spot (`GET /api/v3/klines`):
    it is the listing day, modulo 3. ASSUME: so it is in all markets.
    """
    if interval.name.endswith("w"):
        return (Count(_MONDAY * DAY_MS, 0),)
    first, *others = interval.phase_starts or (0,)
    found = [Count(first * DAY_MS, 0)]
    for day in others:
        start_ms, number = found[-1]
        passed = (day * DAY_MS - 1 - start_ms) // _width_ms(interval)
        found.append(Count(day * DAY_MS, number + passed + 1))
    return tuple(found)


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
        known = counts(self.interval)
        at = bisect_right(known, time_ms, key=lambda count: count.start_ms)
        start_ms, number = known[max(at - 1, 0)]
        return number + (time_ms - start_ms) // _width_ms(self.interval)

    def time(self, number: int) -> int:
        """Return the moment of a grid point, in ms since 1970."""
        if self.interval.duration is None:
            year, month = divmod(number * months_of(self.interval), 12)
            moment = _EPOCH.replace(year=_EPOCH.year + year, month=month + 1)
            return (moment - _EPOCH) // _MILLISECOND
        known = counts(self.interval)
        at = bisect_right(known, number, key=lambda count: count.number)
        start_ms, first = known[max(at - 1, 0)]
        return start_ms + (number - first) * _width_ms(self.interval)

    def floor(self, time_ms: int) -> int:
        """Return the last grid point at or before `time_ms`."""
        return self.time(self.number(time_ms))

    def ceil(self, time_ms: int) -> int:
        """Return the first grid point at or after `time_ms`."""
        return self.time(self.number(time_ms - 1) + 1)

    def closed_before(self, time_ms: int) -> int:
        """Return the moment before which a bar has to open to be over by `time_ms`.

        Of 3d bars whose phase is not known, that is the third day before: of the two
        after it, none or one may open a bar that is not over.
        """
        if self.interval.has_phase and self.interval.phase is None:
            return (time_ms // DAY_MS - 2) * DAY_MS
        return self.floor(time_ms)

    def points(self, span: Span) -> int:
        """Count the grid points in a range."""
        return self.number(span.end_ms - 1) - self.number(span.start_ms - 1)


def _width_ms(interval: Interval) -> int:
    # Only asked of intervals of one length.
    return (interval.duration or _MILLISECOND) // _MILLISECOND


def microseconds(duration: dt.timedelta) -> int:
    """Return a duration as a whole number of microseconds."""
    return duration // _MICROSECOND


def with_phase_of(interval: Interval, open_time: pl.Series) -> Interval:
    """Return the interval with the phase of published bars, sorted by open time."""
    if not interval.has_phase:
        return interval
    return interval.with_phase_of(open_time.to_physical() // _DAY_US)


def floor_time(
    time: pl.Expr, *, interval: Interval, offset: dt.timedelta = _NO_OFFSET
) -> pl.Expr:
    """Return the last grid point at or before `time`, as Datetime[us, UTC].

    The grid is shifted by `offset`, which calendar months do not have.
    """
    if interval.duration is None:
        return time.dt.truncate(interval.name)
    every = microseconds(interval.duration)
    physical = time.to_physical()
    start, _ = _count_of(physical - microseconds(offset), interval=interval)
    shift = start + microseconds(offset)
    return (physical - (physical - shift) % every).cast(TIME)


def grid_number(time: pl.Expr, *, interval: Interval) -> pl.Expr:
    """Return the number of the grid point `time` is on or after, as Int64.

    Neighbouring grid points differ by 1, which makes grid points countable for
    calendar months as well.
    """
    if interval.duration is None:
        # Since 1970, from where Polars counts months to truncate to several.
        years = time.dt.year().cast(pl.Int64) - 1970
        months = years * 12 + time.dt.month() - 1
        return months // months_of(interval)
    physical = time.to_physical()
    start, number = _count_of(physical, interval=interval)
    return (physical - start) // microseconds(interval.duration) + number


def _count_of(physical: pl.Expr, *, interval: Interval) -> tuple[pl.Expr, pl.Expr]:
    """Return the grid point in µs, and its number, from which bars are counted."""
    known = counts(interval)
    starts = pl.Series([count.start_ms * 1_000 for count in known], dtype=pl.Int64)
    numbers = pl.Series([count.number for count in known], dtype=pl.Int64)
    if len(known) == 1:  # nearly always, and much faster
        return pl.lit(starts[0]), pl.lit(numbers[0])
    at = pl.lit(starts).search_sorted(physical, side="right").cast(pl.Int64) - 1
    at = at.clip(0)
    return pl.lit(starts).gather(at), pl.lit(numbers).gather(at)
