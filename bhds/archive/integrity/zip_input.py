"""What the caller knows of a zip, and the days that its name says it covers."""

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from bhds.archive.integrity.bounds import Bounds, bounds_of
from bhds.core.errors import KeyGrammarError
from bhds.core.markets import Frequency, Interval
from bhds.layout import WHOLE_HISTORY

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
"""The microseconds of a UTC day."""

_EPOCH = dt.date(1970, 1, 1)
_DAY = dt.timedelta(days=1)
_PERIOD = re.compile(r"(\d{4})(?:-(\d{1,2})(?:-(\d{1,2}))?)?", re.ASCII)


@dataclass(frozen=True)
class ArchiveInput:
    """One zip on disk, and what the bucket's listing says of it."""

    path: Path
    """The zip. Its CHECKSUM is the same path with `.CHECKSUM` appended, and may be
    absent, or empty where the server had none."""
    key: str
    """The bucket key; it ends in the name of the zip."""
    frequency: Frequency
    etag: str | None
    """The listed ETag without quotes: the MD5 in hex of a single-part object,
    `<md5>-<parts>` of a multipart one, None where it is not known."""


def day_us(day: dt.date) -> int:
    """Return the start of a UTC day in microseconds since 1970."""
    return (day - _EPOCH).days * DAY_US


def utc_time(time_us: int) -> str:
    """Return microseconds since 1970 as an ISO 8601 time in UTC."""
    epoch = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    return (epoch + dt.timedelta(microseconds=time_us)).isoformat()


@dataclass(frozen=True)
class FilePeriod:
    """Whole UTC days in a row: a day, a month, a year, all, or what is left of one."""

    begin: dt.date
    """The first day."""
    end: dt.date
    """The day after the last; `begin` if there are no days."""

    @classmethod
    def parse(cls, text: str) -> "FilePeriod":
        """Read `all`, `YYYY`, `YYYY-MM` or `YYYY-MM-DD`, padded with zeros or not.

        Raises
        ------
        KeyGrammarError
            If `text` has another form or names a day that no calendar has.

        Notes
        -----
        Some spot months were published as `2020-8`
        (binance/binance-public-data#469).
        """
        if text == WHOLE_HISTORY:
            return cls(_EPOCH, dt.date.max)
        match = _PERIOD.fullmatch(text)
        expected = "expected YYYY, YYYY-MM or YYYY-MM-DD of the calendar"
        if match is None:
            msg = f"period {text!r}: {expected}"
            raise KeyGrammarError(msg)
        year, month, day = match.groups(default="1")
        try:
            begin = dt.date(int(year), int(month), int(day))
            if match[2] is None:
                return cls(begin, begin.replace(year=begin.year + 1))
            if match[3] is None:
                return cls(begin, (begin + 31 * _DAY).replace(day=1))
            return cls(begin, begin + _DAY)
        except (ValueError, OverflowError) as error:
            msg = f"period {text!r}: {error}; {expected}"
            raise KeyGrammarError(msg) from error

    def __str__(self) -> str:
        return f"{self.begin} to {self.end - _DAY}"

    def covers(self, other: "FilePeriod") -> bool:
        """Return whether every day of `other` is a day of this period."""
        return self.begin <= other.begin and other.end <= self.end

    def bounds(self, data_type: str, *, interval: Interval | None) -> Bounds:
        """Return the most that a CSV of these days may have; see `bounds_of`."""
        name = None if interval is None else interval.name
        return bounds_of(data_type, interval=name, days=(self.end - self.begin).days)

    def clamp(
        self, first_day: dt.date | None, last_day: dt.date | None
    ) -> "FilePeriod":
        """Leave out the days before `first_day` and after `last_day`."""
        begin = max(self.begin, first_day or self.begin)
        end = self.end if last_day is None else min(self.end, last_day + _DAY)
        return FilePeriod(begin, max(begin, end))


def archive_period(source: ArchiveInput, *, series: str) -> FilePeriod:
    """Return the day or month that a zip covers, from the name in its key.

    Parameters
    ----------
    source
        The zip.
    series
        What stands before the period in the name: `BTCUSDT-1m`.

    Raises
    ------
    KeyGrammarError
        If the name is not `<series>-<period>.zip`, differs between key and path,
        or its period is not a day (daily) or a month (monthly).
    """
    name = PurePosixPath(source.key).name
    text = name.removeprefix(f"{series}-").removesuffix(".zip")
    if name != source.path.name or name != f"{series}-{text}.zip":
        msg = (
            f"{source.path}: key {source.key!r}: expected both to end in "
            f"{series}-<period>.zip; pass only zips of this series"
        )
        raise KeyGrammarError(msg)
    dashes = {Frequency.DAILY: 2, Frequency.MONTHLY: 1}[source.frequency]
    if text.count("-") != dashes:
        msg = (
            f"{source.key}: period {text!r} is not that of a {source.frequency} zip; "
            "pass the frequency of the zip's folder"
        )
        raise KeyGrammarError(msg)
    return FilePeriod.parse(text)


def in_order(
    inputs: Sequence[ArchiveInput], *, series: str, span: FilePeriod
) -> list[tuple[ArchiveInput, FilePeriod]]:
    """Sort zips by the period that each covers, a month before its days.

    Parameters
    ----------
    inputs
        The zips of a partition, in any order.
    series
        What stands before the period in their names: `BTCUSDT-1m`.
    span
        What the partition covers.

    Raises
    ------
    KeyGrammarError
        If a zip is not of this series and partition, or is passed twice.
    """
    dated = [(source, archive_period(source, series=series)) for source in inputs]
    dated.sort(key=lambda item: (item[1].begin, -item[1].end.toordinal(), item[0].key))
    seen = set()
    for source, period in dated:
        if not span.covers(period):
            msg = f"{source.key}: {period} is not within the partition, {span}"
            raise KeyGrammarError(msg)
        if source.key in seen:
            msg = f"{source.key} is passed twice: expected every zip once"
            raise KeyGrammarError(msg)
        seen.add(source.key)
    return dated
