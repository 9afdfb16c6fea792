"""Daily zips that supply the days that a monthly zip lacks.

What a monthly zip lacks is known only when it has been parsed, so the parse job itself
fetches these daily zips, and parses the partition again with them. Their table has the
ETag that each was used with, or null where it could not be fetched: planning makes
such a daily zip, and one that was replaced since, an input of its partition.
"""

import datetime as dt
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from bhds.archive.keys import CHECKSUM_SUFFIX, ArchiveFile
from bhds.core.errors import FetchError
from bhds.core.markets import Frequency, TradeType
from bhds.io.append_table import PartedTable
from bhds.schemas.klines import TIME
from bhds.stages import fetch as job

logger = logging.getLogger(__name__)

SCHEMA = pl.Schema({"key": pl.String(), "etag": pl.String(), "recorded_at": TIME})
"""Columns of the table: the key of a daily zip, the ETag in the listing when it was
used (null where it could not be fetched), and when that was (UTC)."""

_TABLE = PartedTable(
    file="aws_data/supplements.parquet",
    folder="aws_data/supplements.d",
    schema=SCHEMA,
    sort=("key", "recorded_at"),
    error=FetchError,
    if_lost="daily zips that could not be fetched for a monthly zip are then forgotten",
)

_DAY = dt.timedelta(days=1)
_PAIR = ("", CHECKSUM_SUFFIX)


def lacking_days(sources: Mapping[str, Any]) -> list[dt.date]:
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
        What a partition was made of (`bhds.parse.parse_table.parse_table`).
    """
    if sources["rows"] and not any(_missing(entry)[0] for entry in sources["days"]):
        return []  # nearly always
    entries = _entries(sources)
    begun = {
        day: missing
        for day, entry in entries.items()
        if entry["present"] and (missing := _missing(entry))[0]
    }

    def is_lacking(day: dt.date) -> bool:
        if day not in begun:
            # Without any row it is not known on which days a 3d bar opens.
            return not (entries[day]["present"] if day in entries else sources["rows"])
        count, expected = begun[day]
        neighbours = [begun.get(day + step, (0, expected)) for step in (-_DAY, _DAY)]
        return 2 * count > expected or any(
            other and 4 * (count + other) > expected + others
            for other, others in neighbours
        )

    return sorted(filter(is_lacking, _monthly_days(sources)))


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


def fetch(
    sources: Mapping[str, Any], *, settings: Mapping[str, Any] | None
) -> list[str]:
    """Fetch the daily zips of days that monthly zips lack, and of short days beside.

    Zips that are on disk as listed are not fetched again. Where the archive cannot be
    reached, or must not be (`offline`), those on disk are used, and it is recorded
    that the others could not be fetched.

    Parameters
    ----------
    sources
        As for `lacking_days`.
    settings
        The configuration as read from YAML and the command line; None: daily zips are
        not wanted.

    Returns
    -------
    list of str
        Paths of zips on disk, below the data directory, which is the current one.
    """
    if settings is None:
        return []
    days = _published(sources, lacking_days(sources))
    if not days:
        return []
    days |= _published(sources, short_days(sources, next_to=days))
    listed = {key: row for rows in days.values() for key, row in rows.items()}
    zips = [_daily_zip(sources, day) for day in sorted(days)]
    to_fetch = job.outdated_pairs([zip_.path for zip_ in zips], listed=listed)
    is_fetched = not to_fetch or _fetch(to_fetch, settings=settings)
    _record(
        {
            zip_.key: listed[zip_.key]["etag"]
            if is_fetched or zip_.path not in to_fetch
            else None
            for zip_ in zips
            if zip_.key in listed
        }
    )
    return [zip_.path for zip_ in zips if Path(zip_.path).is_file()]


def read(data_dir: Path) -> pl.DataFrame:
    """Return `key` and `etag` as last recorded of each daily zip; see `SCHEMA`."""
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


def _published(
    sources: Mapping[str, Any], days: Iterable[dt.date]
) -> dict[dt.date, dict[str, dict[str, Any]]]:
    """Return the days that have a daily zip, listed or on disk.

    Returns
    -------
    dict
        By day, the rows of the listing of its zip and CHECKSUM, by key.
    """
    zips = {day: _daily_zip(sources, day) for day in days}
    paths = [zip_.path + suffix for zip_ in zips.values() for suffix in _PAIR]
    listed = job.listed_rows(paths)
    found = {}
    for day, zip_ in zips.items():
        keys = [zip_.key + suffix for suffix in _PAIR if zip_.key + suffix in listed]
        if zip_.key in keys or _has_bytes(Path(zip_.path)):
            found[day] = {key: listed[key] for key in keys}
    return found


def _daily_zip(sources: Mapping[str, Any], day: dt.date) -> ArchiveFile:
    return ArchiveFile(
        TradeType(sources["trade_type"]),
        Frequency.DAILY,
        sources["data_type"],
        sources["symbol"],
        sources["interval"],
        day.isoformat(),
    )


def _fetch(paths: Sequence[str], *, settings: Mapping[str, Any]) -> bool:
    """Download files; return whether that was possible."""
    # Here for its pydantic, which other parse jobs do not need.
    from bhds.plan import config  # noqa: PLC0415

    loaded = config.load(settings, environment=os.environ)
    try:
        if loaded.offline:
            reason = "offline is true"
        else:
            job.fetch_paths(
                paths,
                base_url=loaded.endpoints.archive_download,
                http=loaded.download_http,
                may_all_be_gone=True,  # the server has had their monthly zip
            )
            return True
    except FetchError as error:
        reason = str(error)
    logger.warning(
        "%s and %d more files of days that a monthly zip lacks were not fetched: %s",
        *(paths[0], len(paths) - 1, reason),
    )
    return False


def _record(etags: Mapping[str, str | None]) -> None:
    now = dt.datetime.now(dt.UTC)
    rows = [(key, etag, now) for key, etag in etags.items()]
    _TABLE.append(Path(), rows=pl.DataFrame(rows, schema=SCHEMA, orient="row"))


def _has_bytes(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0
