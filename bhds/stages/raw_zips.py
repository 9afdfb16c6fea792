"""Fetch the zips of a partition within its own job, and discard them after it.

With `raw: discard`, zips are no inputs of the job: its parameters show their ETags. So
that they are gone puts nothing out of date, and at any time there are only those of the
partitions that are being built.

1. An earlier state of the partition stays under hidden names (`bhds.parse.revisions`),
   whatever Snakemake does with outputs. Its rows stand for zips that are as they were.
2. The other zips are fetched.
3. The new state is written, read back, and kept in place of the earlier one. Only then
   zips are removed, so at any time there is the zip, or the partition with its ETag and
   SHA-256.
"""

import datetime as dt
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from bhds.archive.keys import CHECKSUM_SUFFIX, ArchiveFile, key_of_path
from bhds.core.errors import ParseError, ResultError
from bhds.core.markets import TradeType
from bhds.io import storage
from bhds.parse.kept_rows import KeptZip, is_extended, kept_zips
from bhds.schemas import datatypes
from bhds.schemas.archive_tables import IntegrityStatus
from bhds.stages.fetch import fetch_by_settings, listed_rows, outdated_pairs

logger = logging.getLogger(__name__)

_READ = {
    IntegrityStatus.OK,
    IntegrityStatus.CHECKSUM_STALE,
    IntegrityStatus.CHECKSUM_MISSING,
}


def kept(
    partition: Path,
    sources_path: Path,
    *,
    zips: Sequence[str],
    days: Mapping[str, dt.date | None],
    is_large: bool,
) -> dict[str, KeptZip]:
    """Return by key the zips whose rows an earlier state of a partition has.

    Parameters
    ----------
    partition, sources_path
        That state, and its sources.
    zips
        Paths of the zips that the new state is to be made from.
    days
        `first_day` and `last_day`: the UTC days that it may hold.
    is_large
        Whether it is written piece by piece: then zips are kept all together, or none.
    """
    try:
        sources = storage.read_json(sources_path)
    except ResultError as error:
        logger.warning("%s", error)
        return {}
    entry = datatypes.data_type(sources["data_type"])
    paths = [ArchiveFile.from_key(each["key"]).path for each in sources["inputs"]]
    table = (
        None if entry.table is None else entry.table(TradeType(sources["trade_type"]))
    )
    found = kept_zips(
        partition,
        sources,
        revision=entry.revision,
        listed=listed_rows(_with_checksums(paths)),
        has_sources=table is not None and "source" in table.schema,
    )
    keys = [key_of_path(path) for path in zips]
    if is_large and not is_extended(sources, found, zips=keys, **days):
        return {}
    return found


def available(
    zips: Sequence[str],
    *,
    kept: Mapping[str, KeptZip],
    before: tuple[Path, Path] | None,
    settings: Mapping[str, Any],
) -> list[str]:
    """Fetch those of some zips that are needed; return those that can be parsed.

    A zip that the bucket does not list any more is left out if it is neither on disk
    nor kept, and if no rows of it are in the partition `before` (with its sources).

    Raises
    ------
    FetchError
        If one could not be had, or `offline` forbids it.
    ParseError
        If rows would be left out that nothing else has.
    """
    needed = [path for path in zips if key_of_path(path) not in kept]
    listed = listed_rows(_with_checksums(needed))
    lost = [p for p in needed if key_of_path(p) not in listed and not Path(p).is_file()]
    if lost and before is not None:
        _refuse_loss(lost, *before)
    if to_fetch := outdated_pairs(needed, listed=listed):
        logger.info("%d files are fetched, %d zips kept", len(to_fetch), len(kept))
        fetch_by_settings(to_fetch, settings=settings)
    for path in lost:
        logger.warning("%s: no longer listed, and not on disk: left out", path)
    return [path for path in zips if path not in lost]


def _refuse_loss(lost: Sequence[str], partition: Path, sources_path: Path) -> None:
    """Raise a ParseError if a partition has rows of zips that cannot be had again."""
    try:
        entries = storage.read_json(sources_path)["inputs"]
        with_rows = {entry["key"] for entry in entries if entry["rows_kept"]}
    except ResultError:  # then it may have rows of any
        with_rows = set(map(key_of_path, lost))
    only_here = [path for path in lost if key_of_path(path) in with_rows]
    if only_here:
        msg = (
            f"{partition}: has the only rows of {len(only_here)} zips that the bucket "
            f"withdrew after they were discarded, {only_here[0]} first; the partition "
            f"must be built from its zips: move {partition} away to leave them out"
        )
        raise ParseError(msg)


def check(partition: str, sources: Mapping[str, Any]) -> None:
    """Read a partition back, before the zips that it stands for are removed.

    Raises
    ------
    ParseError
        If it has not the rows that its sources say.
    """
    rows = pl.scan_parquet(partition, glob=False)
    read = rows.select(pl.struct(pl.all()).hash().count())
    count = read.collect(engine="streaming").item()
    if count != sources["rows"]:
        msg = f"{partition}: {count} rows after writing, expected {sources['rows']}"
        raise ParseError(msg)


def discard(sources: Mapping[str, Any]) -> None:
    """Remove the zips of a partition, with their CHECKSUMs.

    Zips that were not usable stay as evidence, and those that the bucket does not list
    because they could not be fetched again.
    """
    paths = {
        ArchiveFile.from_key(entry["key"]).path: entry
        for entry in sources["inputs"]
        if entry["integrity_status"] in _READ
    }
    listed = listed_rows(paths)
    for path in paths:
        if key_of_path(path) in listed:
            for each in (path, path + CHECKSUM_SUFFIX):
                Path(each).unlink(missing_ok=True)


def _with_checksums(paths: Sequence[str]) -> list[str]:
    return [path + suffix for path in paths for suffix in ("", CHECKSUM_SUFFIX)]
