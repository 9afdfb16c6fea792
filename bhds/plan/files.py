"""The archive files that a series needs, and the state of each on disk.

All functions work on whole tables, because a plan covers 10^5 to 10^6 files.
"""

import datetime as dt
import logging
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import polars as pl

from bhds import layout
from bhds.archive.download import transfers
from bhds.archive.listing.directory import Directory
from bhds.archive.listing.inventory import archive_files

logger = logging.getLogger(__name__)

MISSING = "missing"
REPLACED = "replaced"
PRESENT = "present"
DISCARDED = "discarded"
STATES = pl.Enum([MISSING, REPLACED, PRESENT, DISCARDED])
"""`missing`: not on disk. `replaced`: on disk, but the server has another revision.
`present`: on disk as listed, or no longer listed. `discarded`: it came as listed and
was removed since, which the settings allow (`raw: discard`)."""
DUE = (MISSING, REPLACED)
"""The states of what is to be fetched."""


MD5_LENGTH = 32
"""The etag of an object in several parts is longer, and no MD5."""

FILES = pl.Schema(
    {
        "symbol": pl.String,
        "period": pl.String,
        "is_checksum": pl.Boolean,
        "key": pl.String,
        "path": pl.String,
        "size": pl.Int64,
        "etag": pl.String,
    }
)
"""Columns of a directory's zips and CHECKSUMs; `path` is below the data directory,
`size` in bytes, `etag` null for a file that the server does not list."""


def listed_files(table: pl.DataFrame, *, directory: Directory) -> pl.DataFrame:
    """Return the `FILES` of a listing; what is none is left out, with a warning."""
    files, anomalies = archive_files(table, directory=directory)
    if not anomalies.is_empty():
        logger.warning(
            "%s: %d key(s) are left out, the first because: %s",
            directory.listing_path,
            anomalies.height,
            anomalies["reason"][0],
        )
    return _with_paths(files, directory)


def _with_paths(files: pl.DataFrame, directory: Directory) -> pl.DataFrame:
    path = pl.lit(local_root(directory)) + _below(directory.prefix, pl.col("key"))
    return files.with_columns(path=path).select(FILES.names())


def unlisted_files(disk: pl.DataFrame, *, directory: Directory) -> pl.DataFrame:
    """Return the `FILES` among some paths on disk that the server does not list.

    `disk` has `path` and `disk_size`.
    """
    below = _below(local_root(directory), pl.col("path"))
    table = disk.select(
        key=pl.lit(directory.prefix) + below,
        size="disk_size",
        etag=pl.lit(None, pl.String),
        last_modified=pl.lit(None, pl.Datetime("us", "UTC")),
    )
    files, _ = archive_files(table, directory=directory)  # others are the user's own
    return _with_paths(files, directory)


def fetched_files(newest: pl.DataFrame, *, directory: Directory) -> pl.DataFrame:
    """Return `path` and `disk_size` of a directory's files that came once.

    `newest` is as for `with_state`.
    """
    came = newest.filter(
        pl.col("key").str.starts_with(directory.prefix), pl.col("md5").is_not_null()
    )
    path = pl.lit(local_root(directory)) + _below(directory.prefix, pl.col("key"))
    return came.select(path=path, disk_size="served_size")


def local_root(directory: Directory) -> str:
    """Return the folder of a directory's symbols, with a slash at the end."""
    folder = layout.archive_folder(
        directory.trade_type, directory.frequency, directory.data_type
    )
    return f"{folder}/"


def local_folder(directory: Directory, symbol: str) -> str:
    """Return the folder of one symbol's files."""
    below = directory.symbol_prefix(symbol).removeprefix(directory.prefix)
    return local_root(directory) + below.removesuffix("/")


def _below(root: str, names: pl.Expr) -> pl.Expr:
    return names.str.slice(len(root))


def scan_disk(folders: Iterable[str], *, data_dir: Path) -> pl.DataFrame:
    """Return `path`, `disk_size` (bytes) and `disk_time` (s since 1970) of all files.

    Folders and paths are relative to the data directory. Folders are not searched
    deeper; one that does not exist has no files.
    """
    paths: list[str] = []
    sizes: list[int] = []
    times: list[float] = []
    for folder in folders:
        try:
            entries = list(os.scandir(data_dir / folder))
        except FileNotFoundError:
            continue
        for entry in entries:
            with suppress(FileNotFoundError):  # gone meanwhile, or a link to nowhere
                stat = entry.stat()
                sizes.append(stat.st_size)
                times.append(stat.st_mtime)
                paths.append(f"{folder}/{entry.name}")
    return pl.DataFrame(
        {"path": paths, "disk_size": sizes, "disk_time": times},
        schema={"path": pl.String, "disk_size": pl.Int64, "disk_time": pl.Float64},
    )


def with_state(
    files: pl.DataFrame,
    *,
    disk: pl.DataFrame,
    newest: pl.DataFrame,
    listed_at: dt.datetime | None,
    discards: bool = False,
) -> pl.DataFrame:
    """Add the `state` of each listed file, and whether it `was_fetched` before.

    A file is present if the ledger says that it was fetched under the listed etag,
    and if it has the listed size and MD5. Two exceptions, lest a file be fetched for
    ever: one of other bytes that are proven sound, and one that the server did not
    have when it was last asked; that one is requested again when a later listing still
    has it. An adopted file came under no etag: its size and MD5 decide. A file that
    the ledger does not know (brought here by other means) is judged by its size.

    Parameters
    ----------
    files
        `key`, `path`, `size`, `etag` (null for a file that is not listed).
    disk
        What is on disk, as of `scan_disk`.
    newest
        The newest row of the ledger for each key: `key`, `etag`, `md5` (null where
        the server had no such file), `first_seen`, `served_size` (bytes), `proof`.
    listed_at
        When the files were listed, UTC; None if they never were.
    discards
        Whether files that came as listed may have been removed since.
    """
    recorded = newest.select(
        "key", "md5", "first_seen", "served_size", "proof", fetched_etag="etag"
    )
    is_whole = pl.col("disk_size") == pl.col("size")
    is_as_listed = is_whole & (
        (pl.col("md5") == pl.col("etag"))
        | (pl.col("etag").str.len_chars() != MD5_LENGTH)
    )
    is_proven = pl.col("proof").is_not_null() & (
        pl.col("served_size") == pl.col("disk_size")
    )
    asked_since = pl.col("first_seen") >= pl.lit(listed_at, pl.Datetime("us", "UTC"))
    is_sound = (
        pl.when(pl.col("md5").is_null())
        .then(asked_since)
        .otherwise(is_as_listed | is_proven)
    )
    is_current = (
        pl.when(pl.col("fetched_etag").is_null())
        .then(pl.when(pl.col("md5").is_null()).then(is_whole).otherwise(is_as_listed))
        .otherwise((pl.col("fetched_etag") == pl.col("etag")) & is_sound)
    )
    # An adopted file came under no etag.
    came_under = pl.coalesce("fetched_etag", "md5")
    is_discarded = pl.lit(discards) & pl.col("md5").is_not_null()
    is_discarded &= came_under == pl.coalesce("etag", came_under)
    state = (
        pl.when(pl.col("disk_size").is_null())
        .then(pl.when(is_discarded).then(pl.lit(DISCARDED)).otherwise(pl.lit(MISSING)))
        .when(pl.col("etag").is_null() | is_current)
        .then(pl.lit(PRESENT))
        .otherwise(pl.lit(REPLACED))
    )
    return (
        files.join(disk, on="path", how="left", maintain_order="left")
        .join(recorded, on="key", how="left", maintain_order="left")
        .with_columns(
            state=state.cast(STATES), was_fetched=pl.col("first_seen").is_not_null()
        )
        .drop("fetched_etag", "md5", "first_seen", "served_size", "proof")
    )


def damaged(files: pl.DataFrame, *, newest: pl.DataFrame, data_dir: Path) -> list[str]:
    """Hash files that are present, and return the paths of those that are damaged.

    A file is sound if its MD5 is the listed one, or that of what the ledger says was
    fetched. What neither has an MD5 of is taken as it is.

    Parameters
    ----------
    files
        `key`, `path`, `etag`, `state`.
    newest
        As for `with_state`.
    data_dir
        The data directory.
    """
    is_md5 = pl.col("etag").str.len_chars() == MD5_LENGTH
    known = (
        files.filter(pl.col("state") == PRESENT)
        .join(newest.select("key", "md5"), on="key", how="left")
        .select("path", pl.when(is_md5).then("etag"), "md5")
    )
    return [
        path
        for path, *sound in known.iter_rows()
        if any(sound) and transfers.digest(str(data_dir / path)).md5 not in sound
    ]


def as_on_disk(files: pl.DataFrame) -> pl.DataFrame:
    """Return files that are used as they are, where no server may be contacted.

    Those on disk count as present in whatever revision, and CHECKSUMs that are not
    there are left out.
    """
    is_there = pl.col("disk_size").is_not_null()
    state = pl.when(is_there).then(pl.lit(PRESENT)).otherwise("state")
    return files.filter(is_there | ~pl.col("is_checksum")).with_columns(
        state=state.cast(STATES)
    )


def within(
    archives: pl.DataFrame, *, first_day: dt.date | None, last_day: dt.date
) -> pl.DataFrame:
    """Keep the zips that hold a day from `first_day` to `last_day` (included)."""
    kept = archives.filter(pl.col("first_day") <= last_day)
    return kept if first_day is None else kept.filter(pl.col("last_day") >= first_day)
