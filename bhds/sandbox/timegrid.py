"""Calendar periods of files and the grids on which bars of each interval open.

Times are whole milliseconds since 1970-01-01 UTC; ranges hold their start, not
their end.

Tests compare the workflow's results with the sandbox's bars, so this module computes
when bars open by itself: with `bhds.core.timegrid`, which the workflow uses, an error
of that grid would be on both sides of the comparison and go unseen. `core.markets`,
`core.errors` and `io` are shared: they name markets and intervals, and have no values.
"""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from bhds.core.markets import Frequency, Interval

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MILLISECOND = dt.timedelta(milliseconds=1)


@dataclass(frozen=True)
class Period:
    """The UTC day or month that one archive file covers."""

    label: str
    """As in file names: `2024-02-29` or `2024-02`."""
    start_ms: int
    end_ms: int

    @property
    def start(self) -> dt.date:
        """The first day."""
        return from_ms(self.start_ms).date()

    @property
    def next_day(self) -> dt.date:
        """The first day after the period."""
        return from_ms(self.end_ms).date()


def to_ms(moment: dt.datetime) -> int:
    """Return the milliseconds since 1970 of an aware `moment`, rounded down."""
    return (moment - _EPOCH) // _MILLISECOND


def from_ms(time_ms: int) -> dt.datetime:
    """Return the moment, in UTC, that `time_ms` stands for."""
    return _EPOCH + dt.timedelta(milliseconds=time_ms)


@cache
def period_at(frequency: Frequency, time_ms: int) -> Period:
    """Return the day or month that holds `time_ms`."""
    if frequency is Frequency.DAILY:
        start_ms = time_ms // DAY_MS * DAY_MS
        return Period(f"{from_ms(start_ms):%Y-%m-%d}", start_ms, start_ms + DAY_MS)
    first = from_ms(time_ms).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    following = (first + dt.timedelta(days=32)).replace(day=1)
    return Period(f"{first:%Y-%m}", to_ms(first), to_ms(following))


def periods(frequency: Frequency, *, start_ms: int, end_ms: int) -> Iterator[Period]:
    """Yield, in order, every day or month that shares a moment with the range."""
    time_ms = start_ms
    while time_ms < end_ms:
        period = period_at(frequency, time_ms)
        yield period
        time_ms = period.end_ms


def period_of_label(frequency: Frequency, label: str) -> Period:
    """Return the day `2024-02-29` or the month `2024-02` that a file name states.

    Raises
    ------
    ValueError
        If there is no such day or month, or it is written in another way.
    """
    day = f"{label}-01" if frequency is Frequency.MONTHLY else label
    msg = f"period {label!r}: expected a day or month, written as 2024-02-29 or 2024-02"
    try:
        moment = dt.datetime.fromisoformat(day).replace(tzinfo=dt.UTC)
    except ValueError as error:
        raise ValueError(msg) from error
    period = period_at(frequency, to_ms(moment))
    if period.label != label:
        raise ValueError(msg)
    return period


@cache
def width_ms(interval: Interval) -> int | None:
    """Return the length of one bar, or None for calendar months."""
    if interval.duration is None:
        return None
    return interval.duration // _MILLISECOND


def bar_open(interval: Interval, time_ms: int) -> int:
    """Return when the bar that holds `time_ms` opens."""
    width = width_ms(interval)
    if width is None:
        return period_at(Frequency.MONTHLY, time_ms).start_ms
    # Weeks are counted from a Monday, 3d bars from a day of the symbol's own.
    first_day = 4 if interval.name == "1w" else (*interval.phase_starts, 0)[0]
    return time_ms - (time_ms - first_day * DAY_MS) % width


def bar_end(interval: Interval, open_ms: int) -> int:
    """Return when the bar that opens at `open_ms` ends; the next one opens then."""
    width = width_ms(interval)
    if width is None:
        return period_at(Frequency.MONTHLY, open_ms).end_ms
    return bar_open(interval, open_ms) + width


def first_open(interval: Interval, time_ms: int) -> int:
    """Return when the first bar opens that opens at or after `time_ms`."""
    return bar_end(interval, time_ms - 1)
