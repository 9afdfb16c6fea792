"""Set the times of files that are dated in the future, as after a wrong clock.

Snakemake decides by times what is out of date, and refuses what a job makes from an
input that is newer than its output. A file from the future would be taken for up to
date for as long, whatever its inputs became, and would let each job that reads it fail.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import polars as pl

from bhds import instruments, layout
from bhds.core.markets import TradeType
from bhds.io.storage import replacing
from bhds.plan.dataset import PlannedDataset

_PROBE = ".snakemake/bhds-clock"
_LONG_AGO = 1
"""A time before that of any input, s since 1970."""

_TOLERANCE_S = 1


class Future(NamedTuple):
    """Files that are dated in the future: paths below the data directory."""

    fetched: Sequence[str]
    """Zips, CHECKSUMs and listings."""
    built: Sequence[str]
    """Files that are built from other files."""

    @property
    def message(self) -> str:
        """What is wrong, in one line; empty if nothing is."""
        if not self.fetched and not self.built:
            return ""
        return (
            f"{len(self.fetched):,} downloaded and {len(self.built):,} built files are "
            f"dated in the future, as after a wrong clock, such as "
            f"{[*self.fetched, *self.built][0]}"
        )


def find(
    planned: Iterable[PlannedDataset],
    *,
    listings: Iterable[str],
    data_dir: Path,
    now: float,
) -> Future:
    """Find the files that are dated later than `now`, in seconds since 1970.

    Zips are not looked at again: the plan has their times.
    """
    latest = now + _TOLERANCE_S
    is_later = pl.col("disk_time") > latest
    fetched = [path for each in planned for path in each.files.filter(is_later)["path"]]
    fetched += [path for path in listings if _time(data_dir / path) > latest]
    built = [
        os.path.relpath(path, data_dir)
        for folder in layout.STAGES[1:]
        for path, time in _below(data_dir / folder)
        if time > latest
    ]
    return Future(sorted(set(fetched)), sorted(built))


def repair(future: Future, *, data_dir: Path) -> None:
    """Set times of files from the future by which Snakemake decides rightly.

    Downloads get the present time. Built files get an old time and are built again,
    because nothing shows whether their inputs have changed since.
    """
    recorded = {
        str(instruments.exchange_info_path(Path(), market)) for market in TradeType
    }
    for path in (*future.fetched, *recorded.intersection(future.built)):
        os.utime(data_dir / path)
    for path in future.built:
        if path not in recorded:
            os.utime(data_dir / path, (_LONG_AGO, _LONG_AGO))


def present(data_dir: Path) -> float:
    """Return the present by the clock of the disk, in seconds since 1970.

    A file server has a clock of its own, by which it dates files.
    """
    probe = data_dir / _PROBE
    with replacing(probe) as partial:
        partial.touch()
    return probe.stat().st_mtime


def _below(folder: Path) -> Iterator[tuple[str, float]]:
    """Yield the path and the time of every regular file in a folder, and deeper."""
    folders = [os.fspath(folder)]
    while folders:
        try:
            entries = os.scandir(folders.pop())
        except FileNotFoundError:
            continue
        with entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                elif entry.is_file(follow_symlinks=False):
                    yield entry.path, entry.stat().st_mtime


def _time(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0
