"""Find and hash the zips and CHECKSUMs on disk, near the speed of the disk."""

import errno
import hashlib
import logging
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from io import FileIO
from pathlib import Path

import polars as pl

from bhds import layout
from bhds.archive import keys
from bhds.archive.integrity.bounds import MAX_CHECKSUM_BYTES
from bhds.archive.keys import CHECKSUM_SUFFIX
from bhds.archive.listing.directory import Directory
from bhds.archive.listing.inventory import archive_files

logger = logging.getLogger(__name__)

MEDIUM_ERRORS = frozenset({errno.EIO, errno.EBADMSG, errno.EUCLEAN})
"""Errors of the disk, and of the checksums and structures of a file system."""

HASHED = pl.Schema(
    {
        "key": pl.String(),
        "path": pl.String(),
        "is_checksum": pl.Boolean(),
        "size": pl.Int64(),
        "mtime_ns": pl.Int64(),
        "inode": pl.UInt64(),
        "sha256": pl.String(),
        "text": pl.String(),
        "fault": pl.String(),
    }
)
"""Columns of hashed files.

`path` is below the data directory; `size` (bytes), `mtime_ns` (ns since 1970) and
`inode` show whether the file is still the same; `sha256` (hexadecimal) is null where
it could not be read, and `fault` says why; `text` is what a CHECKSUM says, null for
zips and for CHECKSUMs beyond `MAX_CHECKSUM_BYTES`.
"""

_FOUND = ("path", "size", "mtime_ns", "inode")
_READ = ("sha256", "text", "fault")
_CHUNK_BYTES = 1 << 20
_TASK_BYTES = 16 << 20  # hashed in 10 ms: tasks then cost nothing to hand out
_FILE_COST_BYTES = 1 << 16  # what could be hashed while a file is opened and closed

_Row = tuple[int | None, str | None, str | None, str | None]


def hash_directory(
    directory: Directory, *, data_dir: Path, threads: int
) -> pl.DataFrame:
    """Hash the zips and CHECKSUMs of a directory.

    Left out are files of other names, symbolic links to files, and files that vanish
    or change meanwhile. Files are read in pieces, however large they are.

    Parameters
    ----------
    directory
        What is looked for; of a data type with intervals, the files of one.
    data_dir
        The data directory.
    threads
        How many files are read at once, at least 1.

    Returns
    -------
    polars.DataFrame
        `HASHED`, sorted by unique `key`.

    Raises
    ------
    OSError
        If a file or folder cannot be read for a reason other than `MEDIUM_ERRORS`.
    """
    files = _on_disk(directory, data_dir=data_dir)
    cost = pl.col("size") + _FILE_COST_BYTES
    parts = files.select("path", task=cost.cum_sum() // _TASK_BYTES).partition_by(
        "task", maintain_order=True
    )
    tasks = [part["path"].to_list() for part in parts]
    with ThreadPoolExecutor(threads) as pool:
        hashed = pool.map(partial(_hash_files, data_dir=str(data_dir)), tasks)
        rows = [row for task_rows in hashed for row in task_rows]
    read = {"bytes_read": pl.Int64(), **{name: HASHED[name] for name in _READ}}
    added = pl.DataFrame(rows, schema=read, orient="row")
    is_whole = pl.col("bytes_read") == pl.col("size")
    kept = pl.concat([files, added], how="horizontal").filter(
        is_whole | pl.col("fault").is_not_null()
    )
    if kept.height < files.height:
        changed = files.height - kept.height
        logger.info("%d files left out: changed while they were read", changed)
    return kept.select(HASHED.names())


def _on_disk(directory: Directory, *, data_dir: Path) -> pl.DataFrame:
    """Find the zips and CHECKSUMs: `HASHED`, but for what reading them shows."""
    root = layout.archive_folder(
        directory.trade_type, directory.frequency, directory.data_type
    )
    rows = list(_scan(root, interval=directory.interval, data_dir=data_dir))
    schema = {name: HASHED[name] for name in _FOUND}
    below = pl.col("path").str.slice(len(root) + 1)
    found = pl.DataFrame(rows, schema=schema, orient="row").with_columns(
        key=directory.prefix + below, etag=None, last_modified=None
    )
    files, _ = archive_files(found, directory=directory)  # others are the user's own
    are_checksums = files.select("key", "is_checksum")
    return found.drop("etag", "last_modified").join(are_checksums, on="key").sort("key")


def _scan(
    root: str, *, interval: str | None, data_dir: Path
) -> Iterator[tuple[str, int, int, int]]:
    """Yield path, size, modification time and inode of what may be archive files."""
    for symbol in _entries(data_dir / root):
        if keys.symbol_fault(symbol.name) is not None:
            continue
        folder = f"{root}/{symbol.name}" + ("" if interval is None else f"/{interval}")
        for entry in _entries(data_dir / folder):
            if _may_be_archive_file(entry, symbol=symbol.name):
                try:
                    stat = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                path = f"{folder}/{entry.name}"
                yield path, stat.st_size, stat.st_mtime_ns, stat.st_ino


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _may_be_archive_file(entry: os.DirEntry[str], *, symbol: str) -> bool:
    """Return whether a file is worth a look; names need not even be UTF-8."""
    name = entry.name
    return (
        name.endswith((".zip", f".zip{CHECKSUM_SUFFIX}"))
        and name.startswith(symbol)
        and name[len(symbol) :].isascii()
        and entry.is_file(follow_symlinks=False)
    )


def _hash_files(paths: Sequence[str], *, data_dir: str) -> list[_Row]:
    """Return the bytes read, and what else reading shows, of each file."""
    buffer = memoryview(bytearray(_CHUNK_BYTES))
    rows: list[_Row] = []
    for path in paths:
        try:
            rows.append(_hash_file(f"{data_dir}/{path}", buffer=buffer))
        except FileNotFoundError:
            rows.append((None, None, None, None))
        except OSError as error:
            if error.errno not in MEDIUM_ERRORS:
                error.filename = path  # a failed read does not name the file
                raise
            rows.append((None, None, None, error.strerror))
    return rows


def _hash_file(path: str, *, buffer: memoryview) -> _Row:
    """Hash a file; other threads run meanwhile."""
    sha256, size = hashlib.sha256(), 0
    with FileIO(path) as file:
        while count := file.readinto(buffer):
            sha256.update(buffer[:count])
            size += count
    is_text = size <= MAX_CHECKSUM_BYTES and path.endswith(CHECKSUM_SUFFIX)
    text = bytes(buffer[:size]).decode("utf-8", "replace") if is_text else None
    return size, sha256.hexdigest(), text, None
