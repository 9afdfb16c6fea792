"""Publish what was downloaded: move it into place, and enter it into the ledger.

Snakemake removes all outputs of a job that fails. So a batch of which a file failed
leaves a note of what it has beside it, and the main process publishes that when the
run has ended.
"""

import datetime as dt
import errno
import logging
import os
import shutil
import uuid
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from bhds import layout
from bhds.archive.download import ledger
from bhds.archive.download.staging import RequestedFile
from bhds.archive.download.transfers import Digests, Proof
from bhds.archive.keys import CHECKSUM_SUFFIX
from bhds.io.storage import replacing, write_parquet
from bhds.schemas.archive_tables import LEDGER

logger = logging.getLogger(__name__)

_NOTES = f"{layout.STAGING}/unpublished"
_NOTE = pl.Schema({**LEDGER, "staged": pl.String(), "path": pl.String()})


@dataclass(frozen=True)
class Fetched:
    """A file that was requested: one that came, or one that the server has not."""

    wanted: RequestedFile
    staged: str
    """Where it is staged, if it came."""
    digests: Digests | None
    """None where the server has no such file."""
    proof: Proof | None = None
    """What proves it sound where it is not as listed."""
    requested_at: dt.datetime | None = None
    """When its batch began to download, UTC; None if it was staged by then."""


def publish(fetched: Sequence[Fetched], *, data_dir: Path) -> None:
    """Publish files, empty where the server has none, and record them in the ledger.

    An existing revision is not given up for one that the server does not
    have: a zip stays then, and with it the CHECKSUM that belongs to it.

    Raises
    ------
    OSError
        If a file cannot be put into place, or the ledger not be written.
    """
    zips = {
        each.wanted.key
        for each in fetched
        if each.digests is None and size_of(each.wanted.path) > 0
    }
    kept = zips | {f"{key}{CHECKSUM_SUFFIX}" for key in zips}
    for folder in {each.wanted.path.parent for each in fetched}:
        folder.mkdir(parents=True, exist_ok=True)
    for each in fetched:
        path = each.wanted.path
        if each.wanted.key in kept:
            logger.warning("%s: gone on the server; what is here stays", path)
        elif each.digests is None:
            logger.warning("%s: gone on the server; left empty", path)
            with replacing(path) as partial:
                partial.touch()
        else:
            if each.requested_at is None:
                os.utime(each.staged)  # fetched by a run long ago
            _move(each.staged, path)
            logger.info("%s: %d bytes", path, each.digests.size)
    ledger.append(data_dir, rows=_ledger_rows(fetched, kept=kept))


def leave_note(fetched: Sequence[Fetched], *, data_dir: Path) -> None:
    """Record files for publication by `publish_noted` when the run has ended.

    Files that the server does not have are left out: the next run requests them.
    """
    came = [each for each in fetched if each.digests is not None]
    if not came:
        return
    frame = _ledger_rows(came).with_columns(
        staged=pl.Series([each.staged for each in came]),
        path=pl.Series([str(each.wanted.path) for each in came]),
    )
    path = data_dir / _NOTES / f"{uuid.uuid4().hex}.parquet"
    write_parquet(frame.cast(_NOTE), path, metadata={})


def publish_noted(data_dir: Path) -> int:
    """Publish what batches have left a note of; return how many files.

    Those of jobs that run again meanwhile are left to them.
    """
    published = 0
    for note in _notes(data_dir):
        rows = []
        for row in pl.read_parquet(note, glob=False).iter_rows(named=True):
            staged, path = row.pop("staged"), Path(row.pop("path"))
            if size_of(Path(staged)) == row["served_size"]:
                path.parent.mkdir(parents=True, exist_ok=True)
                os.utime(staged)
                _move(staged, path)
                rows.append(row)
        ledger.append(data_dir, rows=pl.DataFrame(rows, schema=LEDGER))
        note.unlink()
        published += len(rows)
    return published


def forget_notes(data_dir: Path) -> None:
    """Begin a run: its own jobs publish what a killed run did not, from staging."""
    for note in _notes(data_dir):
        note.unlink(missing_ok=True)


def size_of(path: Path) -> int:
    """Return the size of a file in bytes, 0 if it is not there."""
    with suppress(FileNotFoundError):
        return path.stat().st_size
    return 0


def _notes(data_dir: Path) -> Iterable[Path]:
    return sorted((data_dir / _NOTES).glob("*.parquet"))


def _move(staged: str, target: Path) -> None:
    """Rename a file, or copy it where the target is on another file system."""
    try:
        os.replace(staged, target)  # noqa: PTH105 - no object for each
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        with replacing(target) as partial:
            shutil.copyfile(staged, partial)
        Path(staged).unlink()


def _ledger_rows(
    fetched: Sequence[Fetched], *, kept: Iterable[str] = ()
) -> pl.DataFrame:
    """Describe files for the ledger: one row per file, with `LEDGER`."""
    files = [each.wanted for each in fetched]
    found = [None if each.wanted.key in kept else each.digests for each in fetched]
    columns = {
        "key": [file.key for file in files],
        "etag": [file.etag for file in files],
        "size": [file.size for file in files],
        "last_modified": [file.last_modified for file in files],
        "md5": [digests and digests.md5 for digests in found],
        "sha256": [digests and digests.sha256 for digests in found],
        "first_seen": [dt.datetime.now(dt.UTC)] * len(files),
        "requested_at": [each.requested_at for each in fetched],
        "served_size": [digests and digests.size for digests in found],
        "proof": [each.proof for each in fetched],
    }
    return pl.DataFrame(columns, schema=LEDGER)
