"""Fetch the daily zips that supply the days that a monthly zip misses.

Which days a monthly zip misses is known only when it has been parsed, so the parse job
itself fetches these daily zips, and parses the partition again with them.
"""

import datetime as dt
import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bhds.archive.keys import CHECKSUM_SUFFIX, ArchiveFile
from bhds.core.errors import FetchError
from bhds.core.markets import Frequency, TradeType
from bhds.parse import supplements
from bhds.parse.supplements import missing_days, short_days
from bhds.stages.fetch import fetch_by_settings, listed_rows, outdated_pairs

logger = logging.getLogger(__name__)

_PAIR = ("", CHECKSUM_SUFFIX)


def fetch_missing_days(
    sources: Mapping[str, Any],
    *,
    settings: Mapping[str, Any] | None,
    kept: Collection[str] = (),
) -> list[str]:
    """Fetch the daily zips of days that monthly zips lack, and of short days beside.

    Zips that are on disk as listed are not fetched again. Where the archive cannot be
    reached, or must not be (`offline`), those on disk are used, and it is recorded
    that the others could not be fetched.

    Parameters
    ----------
    sources
        As for `missing_days`.
    settings
        The configuration as read from YAML and the command line; None: daily zips are
        not wanted.
    kept
        Keys of zips whose rows an earlier state of the partition has.

    Returns
    -------
    list of str
        Paths of zips on disk or kept, below the data directory, which is the current
        one.
    """
    if settings is None:
        return []
    days = _published(sources, missing_days(sources), kept=kept)
    if not days:
        return []
    days |= _published(sources, short_days(sources, next_to=days), kept=kept)
    listed = {key: row for rows in days.values() for key, row in rows.items()}
    zips = [_daily_zip(sources, day) for day in sorted(days)]
    needed = [zip_.path for zip_ in zips if zip_.key not in kept]
    to_fetch = outdated_pairs(needed, listed=listed)
    is_fetched = not to_fetch or _fetch(to_fetch, settings=settings)
    supplements.record(
        {
            zip_.key: listed[zip_.key]["etag"]
            if is_fetched or zip_.path not in to_fetch
            else None
            for zip_ in zips
            if zip_.key in listed
        }
    )
    return [z.path for z in zips if z.key in kept or Path(z.path).is_file()]


def _published(
    sources: Mapping[str, Any], days: Iterable[dt.date], *, kept: Collection[str]
) -> dict[dt.date, dict[str, dict[str, Any]]]:
    """Return the days that have a daily zip: listed, on disk or kept.

    Returns
    -------
    dict
        By day, the rows of the listing of its zip and CHECKSUM, by key.
    """
    zips = {day: _daily_zip(sources, day) for day in days}
    paths = [zip_.path + suffix for zip_ in zips.values() for suffix in _PAIR]
    listed = listed_rows(paths)
    found = {}
    for day, zip_ in zips.items():
        keys = [zip_.key + suffix for suffix in _PAIR if zip_.key + suffix in listed]
        if zip_.key in keys or zip_.key in kept or _has_bytes(Path(zip_.path)):
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
    try:
        # The server has had their monthly zip.
        fetch_by_settings(paths, settings=settings, may_all_be_gone=True)
    except FetchError as error:
        logger.warning(
            "%s and %d more of days that a monthly zip lacks were not fetched: %s",
            *(paths[0], len(paths) - 1, error),
        )
        return False
    return True


def _has_bytes(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0
