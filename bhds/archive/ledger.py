"""The ledger: every revision of every archive file that was ever downloaded.

The exchange replaces files silently, days to months later. A listing that differs
from the newest row of its key tells which files to fetch again, and the rows of the
revisions before stay as evidence.

Several processes download at once, so none of them writes the ledger itself: each
batch adds a part file of its own to `aws_data/ledger.d`, and `compact` merges parts
into `aws_data/ledger.parquet` now and then. That file's metadata name the parts that
it holds, so a part that outlived its merger (the process was killed before it removed
it) is not counted twice.
"""

import fcntl
import io
import json
import logging
import os
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from bhds.errors import FetchError
from bhds.storage import write_parquet

logger = logging.getLogger(__name__)

SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "key": pl.String,
    "etag": pl.String,
    "size": pl.Int64,
    "last_modified": pl.Datetime("us", "UTC"),
    "md5": pl.String,
    "sha256": pl.String,
    "first_seen": pl.Datetime("us", "UTC"),
}
"""Columns of the ledger.

`etag`, `size` (bytes) and `last_modified` (UTC) are what the listing said when the
file was asked for; `md5` and `sha256` (hexadecimal) are of the bytes that came, and
null where the server had no such file; `first_seen` (UTC) is when they came.
"""

_MERGED = "merged"  # metadata key: JSON list of the names of the parts within
_READ_ATTEMPTS = 5


def append(data_dir: Path | str, *, rows: pl.DataFrame) -> None:
    """Add rows to the ledger, as a part file of their own.

    Parameters
    ----------
    data_dir
        The data directory.
    rows
        n >= 0 rows with the columns of `SCHEMA`, in any order; none is written
        for n = 0. Safe to call from several processes at once.
    """
    if rows.is_empty():
        return
    # Named by time so that parts sort as they came, and unique by a random end.
    name = f"{time.time_ns():020d}-{uuid.uuid4().hex[:12]}.parquet"
    frame = rows.select(pl.col(column).cast(SCHEMA[column]) for column in SCHEMA)
    write_parquet(frame, _parts_dir(data_dir) / name, metadata={})


def read(data_dir: Path | str, *, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """Read the whole ledger: the merged file and all parts.

    Parameters
    ----------
    data_dir
        The data directory.
    columns
        The columns of `SCHEMA` that are wanted, or None for all of them; fewer
        are faster.

    Returns
    -------
    polars.DataFrame
        n >= 0 rows, unsorted, several to a key; 0 rows if nothing was ever
        downloaded.

    Raises
    ------
    FetchError
        If a file of the ledger is broken or lacks a column.
    """
    names = list(SCHEMA) if columns is None else list(columns)
    for _ in range(_READ_ATTEMPTS):
        # The parts are looked up before the merged file is opened: what another
        # process merges in between is then found in both, or gone, never missed.
        parts = _parts(data_dir)
        merged_frame, merged = _read_merged(data_dir, columns=names)
        fresh = [part for part in parts if part.name not in merged]
        try:
            return pl.concat([merged_frame, _read_parts(fresh, columns=names)])
        except FileNotFoundError:
            continue  # merged and removed since: the next look finds it merged
    msg = (
        f"{_parts_dir(data_dir)}: its files changed during each of "
        f"{_READ_ATTEMPTS} attempts to read them; expected one compaction at a time, "
        "run again"
    )
    raise FetchError(msg)


def newest(ledger: pl.DataFrame) -> pl.DataFrame:
    """Pick each key's latest row.

    Parameters
    ----------
    ledger
        n >= 0 rows with at least `key` and `first_seen`, in any order.

    Returns
    -------
    polars.DataFrame
        One row a key, the one with the greatest `first_seen`; sorted by `key`,
        with the columns of `ledger`.
    """
    return ledger.sort("key", "first_seen").unique(
        "key", keep="last", maintain_order=True
    )


def compact(data_dir: Path | str) -> int:
    """Merge the parts into the ledger's main file, and remove the merged ones.

    Parts that other processes add meanwhile are left for the next time. May be
    killed at any moment: a part is removed only after the file that holds its rows
    is on disk and names it.

    Returns
    -------
    int
        How many parts were merged.

    Raises
    ------
    FetchError
        If a file of the ledger is broken; nothing is changed then.
    """
    parts_dir, target = _parts_dir(data_dir), _merged_path(data_dir)
    if not _parts(data_dir):
        return 0
    with _exclusive(parts_dir / "lock"):
        parts = _parts(data_dir)
        frame, merged = _read_merged(data_dir, columns=list(SCHEMA))
        fresh = [part for part in parts if part.name not in merged]
        if fresh:
            frame = pl.concat([frame, _read_parts(fresh, columns=list(SCHEMA))])
            # The parts found, old ones too: they are what may outlive this call.
            names = json.dumps([part.name for part in parts])
            write_parquet(
                frame.sort("key", "first_seen"), target, metadata={_MERGED: names}
            )
            _flush_to_disk(target)
        for part in parts:
            part.unlink()
    logger.info("%s: %d parts merged", target, len(fresh))
    return len(fresh)


def _merged_path(data_dir: Path | str) -> Path:
    return Path(data_dir) / "aws_data" / "ledger.parquet"


def _parts_dir(data_dir: Path | str) -> Path:
    return Path(data_dir) / "aws_data" / "ledger.d"


def _parts(data_dir: Path | str) -> list[Path]:
    """List the parts, oldest first; unfinished ones have names that begin with `.`."""
    return sorted(_parts_dir(data_dir).glob("[!.]*.parquet"))


def _read_merged(
    data_dir: Path | str, *, columns: Sequence[str]
) -> tuple[pl.DataFrame, frozenset[str]]:
    """Read the main file, and the names of the parts that it holds."""
    path = _merged_path(data_dir)
    try:
        # Read once: rows and metadata must be of the same version of the file.
        content = path.read_bytes()
    except FileNotFoundError:
        return pl.DataFrame(schema=SCHEMA).select(columns), frozenset()
    try:
        frame = pl.read_parquet(content, columns=list(columns))
        metadata = pl.read_parquet_metadata(io.BytesIO(content))
    except pl.exceptions.PolarsError as error:
        raise _broken(path, error=error) from error
    return frame, frozenset(json.loads(metadata.get(f"bhds.{_MERGED}", "[]")))


def _read_parts(parts: Sequence[Path], *, columns: Sequence[str]) -> pl.DataFrame:
    frames = [pl.DataFrame(schema=SCHEMA).select(columns)]
    for part in parts:
        try:
            frames.append(pl.read_parquet(part, columns=list(columns)))
        except pl.exceptions.PolarsError as error:
            raise _broken(part, error=error) from error
    return pl.concat(frames)


def _broken(path: Path, *, error: Exception) -> FetchError:
    reason = str(error).partition("\n")[0]
    msg = (
        f"{path}: cannot be read ({reason}); expected a Parquet table with the "
        f"columns {', '.join(SCHEMA)}. Move it away and run again: the files that it "
        "recorded are then taken as never downloaded"
    )
    return FetchError(msg)


@contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    """Hold the lock file `path`, waiting for any other process that does."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # given back when the file is closed
        yield


def _flush_to_disk(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
