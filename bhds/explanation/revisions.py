"""The revisions of a few zips: those fetched (the ledger) and that listed last."""

import datetime as dt
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from bhds import layout
from bhds.archive.keys import ArchiveFile
from bhds.archive.listing.directory import Directory
from bhds.explanation.values import Revision
from bhds.schemas.archive_tables import LEDGER

_LEDGER = (layout.LEDGER, layout.table(layout.parts_of(layout.LEDGER), "*"))
_COLUMNS = ("key", "etag", "size", "sha256", "last_modified", "first_seen")
_LISTED_AT = "bhds.listed"


def fetched(
    keys: Sequence[str], *, data_dir: Path, used: Iterable[str]
) -> dict[str, tuple[Revision, ...]]:
    """Return the revisions of zips that were fetched, by key, in the order they came.

    Reads the part of the ledger that has the keys; `used` are the SHA-256s of what
    partitions were built from.
    """
    paths = [path for pattern in _LEDGER for path in sorted(data_dir.glob(pattern))]
    tables = [_selected(path, keys) for path in paths]
    if not tables:
        return {}
    # A part that outlived its merger stands in both.
    rows = pl.concat(tables).unique().sort("key", "first_seen")
    made_of = set(used)
    found: dict[str, tuple[Revision, ...]] = {}
    for (key,), group in rows.group_by("key", maintain_order=True):
        found[str(key)] = tuple(
            Revision(
                number,
                etag=row["etag"],
                size=row["size"],
                sha256=row["sha256"],
                last_modified=row["last_modified"],
                first_seen=row["first_seen"],
                is_used=row["sha256"] in made_of,
            )
            for number, row in enumerate(group.iter_rows(named=True), start=1)
        )
    return found


def listed(key: str, *, data_dir: Path) -> tuple[str | None, dt.datetime | None]:
    """Return the ETag of a zip as listed last, and when its symbol was listed, UTC.

    Both are None without a listing; the ETag alone if the listing misses the zip.
    """
    file = ArchiveFile.from_key(key)
    directory = Directory(
        file.trade_type, file.frequency, file.data_type, file.interval
    )
    path = data_dir / directory.listing_path
    if not path.is_file():
        return None, None
    rows = (
        pl.scan_parquet(path, glob=False)
        .filter(pl.col("key") == key)
        .select("etag")
        .collect()
    )
    times: dict[str, Any] = json.loads(
        pl.read_parquet_metadata(path).get(_LISTED_AT, "{}")
    )
    at = times.get(file.symbol)
    return (
        rows["etag"][0] if rows.height else None,
        None if at is None else dt.datetime.fromisoformat(at),
    )


def _selected(path: Path, keys: Sequence[str]) -> pl.DataFrame:
    table = pl.scan_parquet(path, glob=False)
    known = table.collect_schema().names()
    columns = [
        (pl.col(name) if name in known else pl.lit(None)).cast(LEDGER[name]).alias(name)
        for name in _COLUMNS
    ]
    return table.filter(pl.col("key").is_in(list(keys))).select(columns).collect()
