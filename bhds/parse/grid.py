"""Where the bars of an interval may open, and how many rows a day should have."""

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl

from bhds.markets import Interval
from bhds.parse.inputs import DAY_US, Period, day_us

_DAY = dt.timedelta(days=1)
_MONDAY_US = 4 * DAY_US  # 1970-01-05, the first Monday since the epoch
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
    """Tell which openings, in microseconds since 1970, are not on the grid.

    Bars of up to a day open at multiples of their length from midnight, weeks on
    Monday, months on the 1st, all at 00:00 UTC.

    Notes
    -----
    ASSUME: of 3d bars only the time of day is known. BTCUSDT's recorded ones open
    on days 1, 4, 7, ... since 1970, which is no multiple of 3 and nowhere said to
    hold for all symbols.
    """
    if interval.duration is None:
        time = pl.from_epoch(open_us, time_unit="us")
        return (open_us % DAY_US != 0) | (time.dt.day() != 1)
    if interval.name == "1w":
        return (open_us - _MONDAY_US) % (7 * DAY_US) != 0
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
    covered: Iterable[Period],
    interval: Interval | None = None,
    spacing: dt.timedelta | None = None,
    conflicts: Mapping[int, int] | None = None,
    quantities: Mapping[int, float] | None = None,
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
    conflicts
        The rows of days that gave way to others, numbered as in `present`.
    quantities
        What the rows of days add up to, where they have a quantity.

    Returns
    -------
    list of dict
        Sorted by `day`, the UTC day (ISO 8601), with `expected` (None if not known)
        and `present` counts, and `conflicts` and `quantity` where there are any: one
        entry for each covered day and each day with rows.
        For intervals longer than a day, only the days on which a bar opens or
        should open: Mondays, firsts of the month, and for 3d every third day in
        step with most of the bars present (none without any).
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
    elsewhere = None if per_day is None else 0
    more = {"conflicts": conflicts or {}, "quantity": quantities or {}}
    return [
        {
            "day": (dt.date(1970, 1, 1) + number * _DAY).isoformat(),
            "expected": per_day if number in wanted else elsewhere,
            "present": present.get(number, 0),
            **{name: of[number] for name, of in more.items() if number in of},
        }
        for number in sorted(wanted | present.keys())
    ]


def _opening_days(
    days: set[int], *, interval: Interval, present: Mapping[int, int]
) -> set[int]:
    """Keep the days since 1970 on which a bar longer than a day should open."""
    if interval.duration is None:
        epoch = dt.date(1970, 1, 1)
        return {number for number in days if (epoch + number * _DAY).day == 1}
    length = interval.duration // _DAY
    if interval.name == "1w":
        phase = _MONDAY_US // DAY_US
    else:
        phases = Counter(number % length for number in present).most_common(1)
        if not phases:
            return set()
        phase = phases[0][0]
    return {number for number in days if (number - phase) % length == 0}
