"""Where the bars of an interval may open, and how many rows a day should have."""

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

import polars as pl

from bhds.archive.integrity.zip_input import DAY_US, HOUR_US, FilePeriod, day_us
from bhds.core.markets import Interval
from bhds.core.timegrid import DAY_MS, Grid

_DAY = dt.timedelta(days=1)
_LONGEST_MONTH_US = 31 * DAY_US


def duration_us(interval: Interval) -> int:
    """Return the length of a bar in microseconds; of a month bar, the longest."""
    if interval.duration is None:
        return _LONGEST_MONTH_US
    return interval.duration // dt.timedelta(microseconds=1)


def earliest_open_us(day: dt.date, interval: Interval) -> int:
    """Return the earliest opening of a bar that covers part of `day` or later.

    That is the start of the day, except for bars longer than a day: a daily or
    monthly zip may hold the bar that was open when its period began.

    Returns
    -------
    int
        Microseconds since 1970, inclusive.
    """
    if interval.duration is None:
        return day_us(day.replace(day=1))
    if interval.duration <= _DAY:
        return day_us(day)
    return day_us(day) - duration_us(interval) + 1


def is_off_grid(open_us: pl.Expr, *, interval: Interval) -> pl.Expr:
    """Return which openings, in microseconds since 1970, are not on the grid.

    Bars of up to a day open at multiples of their length from midnight, weeks on
    Monday, months on the 1st, all at 00:00 UTC; 3d bars on any day, because they are
    counted from where the symbol's own bars say.
    """
    if interval.duration is None:
        time = pl.from_epoch(open_us, time_unit="us")
        return (open_us % DAY_US != 0) | (time.dt.day() != 1)
    if interval.name == "1w":
        monday_us = Grid(interval).time(0) * 1_000
        return (open_us - monday_us) % (7 * DAY_US) != 0
    return open_us % min(duration_us(interval), DAY_US) != 0


def rows_per_day(time: pl.Series) -> Counter[int]:
    """Count the rows of each day.

    Parameters
    ----------
    time
        Datetime[us, UTC]; mostly ascending, which is what makes it fast.

    Returns
    -------
    Counter
        By the number of the UTC day since 1970, those without rows left out.
    """
    counts: Counter[int] = Counter()
    runs = (time.to_physical() // DAY_US).rle().struct.unnest()
    for day, length in runs.select("value", "len").iter_rows():
        counts[day] += length
    return counts


def expected_per_day(
    present: Mapping[int, int],
    *,
    covered: Iterable[FilePeriod],
    interval: Interval | None = None,
    spacing: dt.timedelta | None = None,
    due: Mapping[int, int] | None = None,
    conflicts: Mapping[int, int] | None = None,
    quantities: Mapping[int, float] | None = None,
    counts: Mapping[str, Mapping[int, int]] | None = None,
) -> list[dict[str, Any]]:
    """Set the rows that each day has beside those that it should have.

    Parameters
    ----------
    present
        The rows of days, by the number of the UTC day since 1970; see
        `rows_per_day`.
    covered
        The days that should have rows; they may overlap.
    interval, spacing
        The interval of bars, or the time between other rows; None, both, where it
        is not known how many there should be.
    due
        How many rows days should have, numbered as in `present`, where it depends on
        the rows; see `events_due`.
    conflicts
        The rows of days that lost to others, numbered as in `present`.
    quantities
        What the rows of days add up to, where they have a quantity.
    counts
        What else is counted of days, by the name that it has in their entries.

    Returns
    -------
    list of dict
        Sorted by `day`, the UTC day (ISO 8601), with `expected` (None if not known, as
        of days that are not covered) and `present` counts, and `conflicts`, `quantity`
        and `counts` where there are any: one entry for each covered day and each day
        with rows.
        For intervals longer than a day, only the days on which a bar opens or
        should open: Mondays, firsts of the month, and for 3d every third day from
        one with rows (none without any).
    """
    wanted = {
        number
        for period in covered
        for number in range(
            day_us(period.begin) // DAY_US, day_us(period.end) // DAY_US
        )
    }
    per_day = None if spacing is None else _DAY // spacing
    if interval is not None:
        if interval.duration is None or interval.duration > _DAY:
            wanted = _opening_days(wanted, interval=interval, present=present)
            per_day = 1
        else:
            per_day = _DAY // interval.duration
    more: dict[str, Mapping[int, Any]] = {
        "conflicts": conflicts or {},
        "quantity": quantities or {},
        **(counts or {}),
    }
    return [
        {
            "day": (dt.date(1970, 1, 1) + number * _DAY).isoformat(),
            "expected": (due or {}).get(number, per_day) if number in wanted else None,
            "present": present.get(number, 0),
            **{name: of[number] for name, of in more.items() if number in of},
        }
        for number in sorted(wanted | present.keys())
    ]


def events_due(times: pl.Series, hours: pl.Series) -> dict[int, int]:
    """Count the events that days should have, by the interval of the event before.

    Parameters
    ----------
    times
        When n >= 0 events were due: Datetime[us, UTC], sorted.
    hours
        The interval, in hours, that each names. Where it changes from one event to the
        next, the longer counts: either may be the time between the two.

    Returns
    -------
    dict
        By the number of the UTC day since 1970, from the day of the first event to
        that of the last, but without the first if another event may have been due on
        it before, and without the last if one may have been due on it after. Those
        present are all counted, also several of one moment.
    """
    due_us, every_us = times.to_physical().to_list(), hours.cast(pl.Int64) * HOUR_US
    if not due_us:
        return {}
    found = Counter(at // DAY_US for at in due_us)
    for (before, old), (at, new) in pairwise(zip(due_us, every_us, strict=True)):
        every = max(old, new)
        missing = range(before + every, at - every // 2, every)
        found.update(missed // DAY_US for missed in missing)
    first, last = due_us[0], due_us[-1]
    days = {day: found[day] for day in range(first // DAY_US, last // DAY_US + 1)}
    if first - every_us[0] >= first // DAY_US * DAY_US:
        del days[first // DAY_US]
    if last + every_us[-1] < (last // DAY_US + 1) * DAY_US:
        days.pop(last // DAY_US, None)
    return days


def _opening_days(
    days: set[int], *, interval: Interval, present: Mapping[int, int]
) -> set[int]:
    """Keep the days since 1970 on which a bar longer than a day should open."""
    counted = interval.with_phase_of(sorted(present))
    if counted.has_phase and counted.phase is None:
        return set()
    grid = Grid(counted)
    return {day for day in days if grid.floor(day * DAY_MS) == day * DAY_MS}
