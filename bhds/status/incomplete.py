"""Report what a run leaves incomplete: unusable zips, and answers to come."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path

from bhds.backfill import unanswered
from bhds.parse import supplements, unusable_zips


def report(
    data_dir: Path, *, since: dt.datetime, selects: Callable[[str], bool]
) -> list[str]:
    """Return a line for each kind of what is incomplete, with its number.

    Parameters
    ----------
    data_dir
        The data directory.
    since
        When the run began, UTC.
    selects
        Whether the present settings select a partition or backfill, or its sources.
    """
    lines = []
    if numbers := unusable_zips.count(data_dir, selects=selects):
        zips = ", ".join(
            f"{number:,} {integrity_status}"
            for integrity_status, number in numbers.items()
        )
        lines.append(
            f"zips that cannot be used: {zips}; their rows are left out (see "
            "`integrity_status` in the sources of parsed_data); BHDS requests "
            "them from the API where it has them"
        )
    if number := sum(map(selects, unanswered.open_backfills(data_dir)["path"])):
        lines.append(
            f"{number:,} backfill(s) of api_data were not answered in full (see "
            "`unanswered` in their sources): results have there what the archive has; "
            "the next run asks again"
        )
    if number := supplements.count_unfetched(data_dir, since=since):
        lines.append(
            f"{number:,} daily zip(s) of days that monthly zips lack could not be "
            "fetched: their partitions lack these days; the next run that reaches the "
            "archive downloads them"
        )
    return [f"bhds: warning: {line}" for line in lines]
