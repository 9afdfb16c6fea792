"""The time that a reader wants: from a moment up to but without another."""

import datetime as dt
from dataclasses import dataclass

import polars as pl

from bhds.core.errors import ConfigError
from bhds.layout import WHOLE_HISTORY

Moment = str | dt.date | dt.datetime
"""A UTC day or moment; ISO 8601 where it is text."""


@dataclass(frozen=True)
class TimeRange:
    """From `start` up to but without `end`, both UTC; None: without a bound."""

    start: dt.datetime | None = None
    end: dt.datetime | None = None

    @classmethod
    def of(cls, start: Moment | None, end: Moment | None) -> "TimeRange":
        """Read both bounds; a day is its first moment, and no zone means UTC.

        Raises
        ------
        ConfigError
            If a bound is no moment, or `end` is not after `start`.
        """
        period = cls(_moment("start", start), _moment("end", end))
        if period.start and period.end and period.start >= period.end:
            msg = (
                f"end {end}: expected a moment after start {start}; the end itself is "
                "not part of a period"
            )
            raise ConfigError(msg)
        return period

    @property
    def last_day(self) -> dt.date | None:
        """The UTC day of the last moment."""
        if self.end is None:
            return None
        return (self.end - dt.timedelta(microseconds=1)).date()

    @property
    def latest_day(self) -> dt.date | None:
        """The latest UTC day that it names; None: it goes on, from the beginning."""
        start = self.start and self.start.date()
        return self.last_day or start

    def of_days(self, day: str) -> list[pl.Expr]:
        """Return the conditions on a column of UTC days that the period touches."""
        conditions = []
        if self.start is not None:
            conditions.append(pl.col(day) >= self.start.date())
        if self.last_day is not None:
            conditions.append(pl.col(day) <= self.last_day)
        return conditions

    def of_times(self, time: str) -> list[pl.Expr]:
        """Return the conditions on a column of times (UTC)."""
        conditions = []
        if self.start is not None:
            conditions.append(pl.col(time) >= self.start)
        if self.end is not None:
            conditions.append(pl.col(time) < self.end)
        return conditions

    def touches(self, partition: str) -> bool:
        """Whether a moment may lie in a partition: `all`, a year or month (`2025-03`).

        A partition may reach a moment past its end (`csv_table.Table.slack`), so the
        one before is touched too.
        """
        if partition == WHOLE_HISTORY:
            return True
        year, _, month = partition.partition("-")
        first = dt.date(int(year), int(month or 1), 1)
        after = _month_after(first) if month else first.replace(year=first.year + 1)
        return self.touches_days(first, after)

    def touches_days(self, first: dt.date, last: dt.date) -> bool:
        """Whether a moment lies in some UTC days, both included, or a day from them."""
        slack = dt.timedelta(days=1)
        return (self.start is None or self.start.date() <= last + slack) and (
            self.last_day is None or first <= self.last_day + slack
        )


def _moment(name: str, value: Moment | None) -> dt.datetime | None:
    if value is None:
        return None
    try:
        found = dt.datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        found = None
    if not isinstance(found, dt.date):
        msg = (
            f"{name} {value!r}: expected a date, a datetime, or ISO 8601 text such as "
            "2025-01-31 or 2025-01-31T12:00"
        )
        raise ConfigError(msg)
    if not isinstance(found, dt.datetime):
        return dt.datetime.combine(found, dt.time(), tzinfo=dt.UTC)
    return (found if found.tzinfo else found.replace(tzinfo=dt.UTC)).astimezone(dt.UTC)


def _month_after(first: dt.date) -> dt.date:
    return (first + dt.timedelta(days=31)).replace(day=1)
