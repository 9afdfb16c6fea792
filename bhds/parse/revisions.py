"""What changed in the rows when the exchange replaced files, for the quality report.

1. Before a partition is made again, `keep` gives the one on disk a hidden name more:
   a workflow deletes the outputs of a job before it begins.
2. The sources of both show which zips have another revision, or lost to others.
3. The rows of the days of these zips are compared (`bhds.parse.differences`).
4. What was found goes into the table `aws_data/revisions.parquet`, to which jobs add
   parts (`bhds.io.append_table`).

None of this may fail a parse: where rows cannot be compared, that is recorded.
"""

import datetime as dt
import json
import logging
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import polars as pl

from bhds import layout
from bhds.archive.download import ledger
from bhds.archive.integrity.zip_input import FilePeriod
from bhds.archive.keys import ArchiveFile
from bhds.core.errors import BhdsError, ParseError
from bhds.core.markets import TradeType
from bhds.io.append_table import AppendTable
from bhds.parse.differences import RowDifference, row_differences
from bhds.schemas.archive_tables import REVISIONS
from bhds.schemas.datatypes import data_type

logger = logging.getLogger(__name__)

_TABLE = AppendTable(
    file=layout.REVISIONS,
    schema=REVISIONS,
    sort=("key", "noticed_at", "column"),
    error=ParseError,
    if_lost="the revisions that it recorded are then missing in the quality report",
)

_IDENTITY = ("trade_type", "data_type", "symbol", "interval", "partition")
_SOURCES = {*_IDENTITY, "revision", "first_day", "last_day", "inputs"}

_FAILURES = (
    OSError,
    BhdsError,
    pl.exceptions.PolarsError,
    pl.exceptions.PanicException,  # a fault within Polars, which is no PolarsError
)
"""What may go wrong in a comparison, and must not fail the parse."""


class RevisionKind(StrEnum):
    """How a zip's rows came to be replaced."""

    REVISED = "revised"
    """The same key has other bytes."""
    SUPERSEDED = "superseded"
    """The zip is no input any more: its days come from others, as a rule from the
    month's zip in place of daily ones, or from none."""


@dataclass(frozen=True)
class Revised:
    """A zip whose rows were replaced."""

    key: str
    old_sha256: str
    new_sha256: str | None
    """None for a zip that was superseded."""
    days: FilePeriod
    """What it covers of the days that both partitions may hold; never empty."""

    @property
    def kind(self) -> RevisionKind:
        """How its rows came to be replaced."""
        if self.new_sha256 is None:
            return RevisionKind.SUPERSEDED
        return RevisionKind.REVISED


def keep(partition_path: Path | str, *, sources_path: Path | str) -> bool:
    """Keep a partition beyond its replacement, until `recording` has compared it.

    It gets a hidden name more, beside its own, which takes no space. What has such a
    name already, and was not compared since, stays instead.

    Parameters
    ----------
    partition_path, sources_path
        The partition and its sources.

    Returns
    -------
    bool
        Whether there is a partition to compare with. There is none if it was never
        made; that it cannot be kept is logged.
    """
    paths = (Path(partition_path), Path(sources_path))
    kept = _kept(paths)
    _finish_keeping(paths)
    if kept[-1].exists():  # the last to come and the first to go: both are there
        return True
    try:
        for path, name in zip(paths, kept, strict=True):
            name.unlink(missing_ok=True)
            _link(path, name)
    except FileNotFoundError:
        kept[0].unlink(missing_ok=True)
        return False
    except OSError as error:
        logger.warning("%s: cannot be kept to be compared (%s)", paths[0], error)
        return False
    return True


@contextmanager
def recording(
    partition_path: Path | str,
    *,
    sources_path: Path | str,
    data_dir: Path | str = ".",
    stays: bool = False,
) -> Iterator[tuple[Path, Path] | None]:
    """Record how a partition differs from the one before.

    Parameters
    ----------
    partition_path, sources_path
        The partition and its sources, which are new as the block ends. Those before
        are what was kept (`keep`), or else what exists as the block begins: each
        has to be replaced by renaming.
    data_dir
        The data directory, where the revisions and the ledger are.
    stays
        Whether the new partition is kept, too, in place of the one before: its zips
        are to be discarded, so it must outlive whatever becomes of the job.

    Yields
    ------
    tuple of Path, or None
        The partition before and its sources, where there is one.

    Notes
    -----
    Raises only what the block raises; then the comparison is left to the next time.
    A failure to compare is logged and recorded, a failure to record is logged.
    """
    paths = (Path(partition_path), Path(sources_path))
    is_kept = keep(partition_path, sources_path=sources_path)
    kept = _kept(paths)
    yield (kept[0], kept[1]) if is_kept else None
    if is_kept:
        _record_changes(kept, paths, data_dir=data_dir)
    else:
        logger.info("%s: nothing to compare it with", paths[0])
    if stays:
        _keep_instead(paths)
    else:
        for name in reversed(kept):
            name.unlink(missing_ok=True)


def revised_inputs(
    old_sources: Mapping[str, Any], new_sources: Mapping[str, Any]
) -> list[Revised]:
    """Return which zips of a partition have another revision, or are no input any more.

    Parameters
    ----------
    old_sources, new_sources
        The contents of the `.sources.json` before and after.

    Returns
    -------
    list of Revised
        Sorted by key. Zips that are new are no revisions, nor are those without a
        day that both partitions may hold (`first_day` to `last_day` of each).

    Raises
    ------
    KeyGrammarError
        If a zip is no file of the archive.
    """
    before, after = (
        {entry["key"]: entry["sha256"] for entry in sources["inputs"]}
        for sources in (old_sources, new_sources)
    )
    revised = []
    for key, sha256 in sorted(before.items()):
        if after.get(key) == sha256:
            continue
        file = ArchiveFile.from_key(key)
        days = FilePeriod(file.first_day, file.last_day + dt.timedelta(days=1))
        for sources in (old_sources, new_sources):
            days = days.clamp(_day(sources["first_day"]), _day(sources["last_day"]))
        if days.begin < days.end:
            revised.append(Revised(key, sha256, after.get(key), days))
    return revised


def changes(
    sources: Mapping[str, Any],
    *,
    differences: Iterable[tuple[Revised, RowDifference | None]],
    noticed_at: Mapping[str, dt.datetime],
) -> pl.DataFrame:
    """Lay out what changed in a partition as rows of the table of revisions.

    Parameters
    ----------
    sources
        The partition's sources, which name it.
    differences
        The zips that were revised, and what changed: None where that is not known.
    noticed_at
        When each new revision was noticed, UTC, by key.

    Returns
    -------
    polars.DataFrame
        `REVISIONS`, at least one row for each zip.
    """
    identity = {name: sources[name] for name in _IDENTITY}
    rows = [
        {
            **identity,
            "key": zip_.key,
            "old_sha256": zip_.old_sha256,
            "new_sha256": zip_.new_sha256,
            "first_day": zip_.days.begin,
            "last_day": zip_.days.end - dt.timedelta(days=1),
            "noticed_at": noticed_at[zip_.key],
            **counts,
        }
        for zip_, difference in differences
        for counts in _counts(difference)
    ]
    return pl.DataFrame(rows, schema=REVISIONS)


def record(data_dir: Path | str, *, rows: pl.DataFrame) -> None:
    """Add rows to the table of revisions.

    Parameters
    ----------
    data_dir
        The data directory.
    rows
        n >= 0 rows with the columns of `REVISIONS`, in any order. Safe to call from
        several processes at once.
    """
    _TABLE.append(data_dir, rows=rows)


def read(data_dir: Path | str, *, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """Read all revisions that were recorded.

    Parameters
    ----------
    data_dir
        The data directory.
    columns
        The columns of `REVISIONS` that are wanted, or None for all of them.

    Returns
    -------
    polars.DataFrame
        n >= 0 rows, unsorted; 0 rows if nothing was ever revised.

    Raises
    ------
    ParseError
        If a file of the table is broken.
    """
    return _TABLE.read(data_dir, columns=columns)


def compact(data_dir: Path | str) -> int:
    """Merge the parts that jobs added into one file; return how many there were.

    Raises
    ------
    ParseError
        If a file of the table is broken; nothing is changed then.
    """
    return _TABLE.compact(data_dir)


def _kept(paths: Sequence[Path]) -> list[Path]:
    """Return the hidden names of what is kept."""
    return [path.with_name(f".{path.name}.before") for path in paths]


def _keep_instead(paths: Sequence[Path]) -> None:
    """Keep a partition in place of the one before; one of them is, at any time."""
    for path, name in zip(paths, _to_keep(paths), strict=True):
        with path.open("rb") as file:
            os.fsync(file.fileno())
        name.unlink(missing_ok=True)
        _link(path, name)
    _finish_keeping(paths)


def _finish_keeping(paths: Sequence[Path]) -> None:
    """Go on with `_keep_instead` where it was killed after it had linked both."""
    names = _to_keep(paths)
    if not names[-1].exists():
        return
    for name, kept in zip(names, _kept(paths), strict=True):
        if name.exists():
            name.replace(kept)
            name.unlink(missing_ok=True)  # still there if both were one file


def _to_keep(paths: Sequence[Path]) -> list[Path]:
    return [path.with_name(f".{path.name}.after") for path in paths]


def _link(path: Path, name: Path) -> None:
    """Link a file to another name, or copy it where the file system has no links."""
    try:
        os.link(path, name)
    except FileNotFoundError:
        raise
    except OSError:
        shutil.copyfile(path, name)


def _record_changes(
    old: Sequence[Path], new: Sequence[Path], *, data_dir: Path | str
) -> None:
    """Compare a partition with the one before; each comes with its sources."""
    partition = new[0]
    try:
        before, after = _read_sources(old[1]), _read_sources(new[1])
        revised = revised_inputs(before, after)
        if not revised:
            return
        found = _compare(old[0], partition, sources=(before, after), revised=revised)
        rows = changes(
            after,
            differences=list(zip(revised, found, strict=True)),
            noticed_at=_noticed_at(revised, data_dir=data_dir),
        )
        record(data_dir, rows=rows)
        logger.info("%s: %d inputs were replaced", partition, len(revised))
    except _FAILURES as error:
        logger.warning("%s: what changed is not recorded (%s)", partition, error)


def _compare(
    old: Path,
    new: Path,
    *,
    sources: tuple[Mapping[str, Any], Mapping[str, Any]],
    revised: Sequence[Revised],
) -> Sequence[RowDifference | None]:
    """Compare the rows of each revised zip; None for each if that is not possible."""
    before, after = sources
    try:
        table_of = data_type(after["data_type"]).table
        if table_of is None or before["revision"] != after["revision"]:
            msg = (
                f"parsed by revision {before['revision']} before and by "
                f"{after['revision']} now, which may itself change rows"
            )
            raise ParseError(msg)
        table = table_of(TradeType(after["trade_type"]))
        periods = [zip_.days for zip_ in revised]
        return row_differences(old, new, table=table, periods=periods)
    except _FAILURES as error:
        logger.warning("%s: not compared with the one before (%s)", new, error)
        return [None] * len(revised)


def _read_sources(path: Path) -> dict[str, Any]:
    """Read a `.sources.json`.

    Raises
    ------
    OSError
        If it cannot be read.
    ParseError
        If it is none.
    """
    try:
        sources: dict[str, Any] = json.loads(path.read_bytes())
        is_usable = sources.keys() >= _SOURCES and all(
            entry.keys() >= {"key", "sha256"} for entry in sources["inputs"]
        )
    except (ValueError, TypeError, AttributeError):  # no JSON, or of another form
        is_usable = False
    if not is_usable:
        msg = f"{path}: expected the sources of a partition; delete it and parse again"
        raise ParseError(msg)
    return sources


def _day(text: str | None) -> dt.date | None:
    return None if text is None else dt.date.fromisoformat(text)


def _noticed_at(
    revised: Sequence[Revised], *, data_dir: Path | str
) -> dict[str, dt.datetime]:
    """Look up when each revision came; now, where the ledger does not have it."""
    noticed_at = dict.fromkeys((zip_.key for zip_ in revised), dt.datetime.now(dt.UTC))
    sought = {zip_.key: zip_.new_sha256 for zip_ in revised if zip_.new_sha256}
    if sought:
        rows = ledger.read(data_dir, columns=["key", "sha256", "first_seen"])
        wanted = pl.DataFrame({"key": sought.keys(), "sha256": sought.values()})
        came = rows.join(wanted, on=["key", "sha256"]).sort("first_seen")
        noticed_at |= dict(came.select("key", "first_seen").iter_rows())
    return noticed_at


def _counts(difference: RowDifference | None) -> Iterator[dict[str, Any]]:
    """Lay out one difference: a row for each column that changed, or one."""
    if difference is None:
        yield {}
        return
    totals = {
        "rows_before": difference.rows_before,
        "rows_after": difference.rows_after,
        "rows_added": difference.rows_added,
        "rows_removed": difference.rows_removed,
        "rows_changed": difference.rows_changed,
    }
    if not difference.columns:
        yield totals
    for name, column in difference.columns.items():
        yield totals | {
            "column": name,
            "column_rows_changed": column.rows_changed,
            "max_abs_change": column.max_abs_change,
            "max_rel_change": column.max_rel_change,
        }
