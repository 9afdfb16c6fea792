"""Which days a monthly zip misses, and the daily zips that were used for them.

The table has the ETag that each daily zip was used with, or null where it could not be
fetched: planning makes such a daily zip, and one that was replaced since, an input of
its partition.
"""

import datetime as dt
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from bhds import layout
from bhds.archive.keys import ArchiveFile
from bhds.core.errors import FetchError
from bhds.core.markets import Frequency
from bhds.io.append_table import AppendTable
from bhds.schemas.archive_tables import SUPPLEMENTS

logger = logging.getLogger(__name__)

_TABLE = AppendTable(
    file=layout.SUPPLEMENTS,
    schema=SUPPLEMENTS,
    sort=("key", "recorded_at"),
    error=FetchError,
    if_lost="daily zips that could not be fetched for a monthly zip are then forgotten",
)

_DAY = dt.timedelta(days=1)


def missing_days(sources: Mapping[str, Any]) -> list[dt.date]:
    """Return the UTC days of which a monthly zip lacks much, sorted.

    These are the days that it covers and that have no row, or fewer than half of those
    that there should be: a row for each bar, or for each number of those that count up.
    So are two days in a row that each have rows, lack rows, and lack more than half of
    a day's together: it may be one missing range over midnight. No outage but that of
    2018-02-08 was so long, but days of listing and delisting are as short. Of bars
    longer than a day, the days on which one should open are meant.

    Parameters
    ----------
    sources
        What a partition was built from (`bhds.parse.parse_table.parse_table`).
    """
    if sources["rows"] and not any(_missing(entry)[0] for entry in sources["days"]):
        return []  # nearly always
    entries = _entries(sources)
    begun = {
        day: missing
        for day, entry in entries.items()
        if entry["present"] and (missing := _missing(entry))[0]
    }

    def is_missing(day: dt.date) -> bool:
        if day not in begun:
            # Without any row it is not known on which days a 3d bar opens.
            return not (entries[day]["present"] if day in entries else sources["rows"])
        count, expected = begun[day]
        neighbours = [begun.get(day + step, (0, expected)) for step in (-_DAY, _DAY)]
        return 2 * count > expected or any(
            other and 4 * (count + other) > expected + others
            for other, others in neighbours
        )

    return sorted(filter(is_missing, _monthly_days(sources)))


def _missing(entry: Mapping[str, Any]) -> tuple[int, int]:
    """Return how many rows a day lacks, and how many it should have.

    A day without a row lacks one at least, though it may not be known how many.
    """
    present, expected = entry["present"], entry["expected"]
    if expected is None:
        expected = max(present + entry.get("missing_ids", 0), 1)
    return max(expected - present, 0), expected


def short_days(
    sources: Mapping[str, Any], *, next_to: Iterable[dt.date]
) -> list[dt.date]:
    """Return the days of monthly zips that are short of rows next to some days, sorted.

    So are days whose number of rows is not known beforehand.
    """
    entries = _entries(sources)

    def is_short(day: dt.date) -> bool:
        present, expected = (entries[day][name] for name in ("present", "expected"))
        return present > 0 and (expected is None or present < expected)

    nearby = {day + step for day in next_to for step in (-_DAY, _DAY)}
    days = nearby & _monthly_days(sources) & entries.keys()
    return sorted(filter(is_short, days))


def read(data_dir: Path) -> pl.DataFrame:
    """Return `key` and `etag` as last recorded of each daily zip; see `SUPPLEMENTS`."""
    return _newest(data_dir).select("key", "etag")


def count_unfetched(data_dir: Path, *, since: dt.datetime) -> int:
    """Return how many daily zips could not be fetched since a time (UTC)."""
    is_new = pl.col("recorded_at") >= since
    return _newest(data_dir).filter(is_new, pl.col("etag").is_null()).height


def compact(data_dir: Path) -> int:
    """Merge what jobs recorded into one file; return how many parts there were."""
    return _TABLE.compact(data_dir)


def _newest(data_dir: Path) -> pl.DataFrame:
    return (
        _TABLE.read(data_dir)
        .sort("key", "recorded_at")
        .unique("key", keep="last", maintain_order=True)
    )


def _entries(sources: Mapping[str, Any]) -> dict[dt.date, Mapping[str, Any]]:
    return {dt.date.fromisoformat(entry["day"]): entry for entry in sources["days"]}


def _monthly_days(sources: Mapping[str, Any]) -> set[dt.date]:
    """Return the wanted days that monthly zips cover, and daily ones do not."""
    days: dict[str, set[dt.date]] = {frequency: set() for frequency in Frequency}
    for entry in sources["inputs"]:
        file = ArchiveFile.from_key(entry["key"])
        length = (file.last_day - file.first_day).days + 1
        days[file.frequency] |= {file.first_day + n * _DAY for n in range(length)}
    first, last = sources["first_day"] or "", sources["last_day"] or "9999-12-31"
    return {
        day
        for day in days[Frequency.MONTHLY] - days[Frequency.DAILY]
        if first <= day.isoformat() <= last
    }


def record(etags: Mapping[str, str | None]) -> None:
    """Record the ETag each daily zip was used with, by key; None: not fetched."""
    now = dt.datetime.now(dt.UTC)
    rows = [(key, etag, now) for key, etag in etags.items()]
    _TABLE.append(Path(), rows=pl.DataFrame(rows, schema=SUPPLEMENTS, orient="row"))
