"""Daily zips on disk that nothing needs, because their month's zip replaces them.

A monthly zip is trusted only as far as parsing has shown what it holds: a day that it
lacks, or has less of, keeps its daily zip, which may be the only copy.
"""

import json
import math
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

import polars as pl

from bhds import layout
from bhds.archive.integrity.bounds import bounds_of_file
from bhds.archive.integrity.zip_reader import find_csv
from bhds.archive.keys import ArchiveFile
from bhds.archive.listing.directory import Directory
from bhds.config import Dataset
from bhds.core.errors import KeyGrammarError, ParseError
from bhds.core.markets import Frequency
from bhds.parse.csv_stream import csv_pieces
from bhds.plan import files as archive
from bhds.plan.dataset import PlannedDataset, directories
from bhds.plan.files import DISCARDED, PRESENT
from bhds.plan.series import Series
from bhds.schemas.archive_tables import IntegrityStatus
from bhds.schemas.csv_table import Table

_USABLE = {
    IntegrityStatus.OK,
    IntegrityStatus.CHECKSUM_STALE,
    IntegrityStatus.CHECKSUM_MISSING,
}
_UNREADABLE = (
    *(OSError, ValueError, TypeError, KeyError, AttributeError),
    KeyGrammarError,
)
_STANDINGS = pl.Schema({"path": pl.String(), "standing": pl.String()})


class Standing(StrEnum):
    """Whether a daily file may go."""

    REPLACED = "replaced"
    """It may: the month's zip holds all rows that it has."""
    UNPARSED = "unparsed"
    """It stays: the month's zip is not parsed yet, or was unusable."""
    LACKING = "lacking"
    """It stays: the month's zip has fewer rows of the day."""


def superseded(planned: Sequence[PlannedDataset], *, data_dir: Path) -> pl.DataFrame:
    """Find the daily zips and CHECKSUMs on disk that monthly zips take the place of.

    Looked at are, of datasets with `frequency: auto`, those whose monthly zip is an
    input and present or discarded, and which are no inputs of any dataset themselves.

    Parameters
    ----------
    planned
        All configured datasets.
    data_dir
        The data directory.

    Returns
    -------
    polars.DataFrame
        One row per file, sorted by unique `path` (below the data directory), with the
        `standing` of it.
    """
    inputs = pl.concat([found.files.select("path") for found in planned])
    judged = [pl.DataFrame(schema=_STANDINGS)]
    for found in planned:
        dataset, table = found.dataset, found.dataset.entry.table
        if table is not None:
            files = _daily_files(found, data_dir=data_dir)
            judged.append(
                _judged(
                    files.join(inputs, on="path", how="anti"),
                    dataset=dataset,
                    table=table(dataset.trade_type),
                    data_dir=data_dir,
                )
            )
    return pl.concat(judged).sort("path")


def _daily_files(planned: PlannedDataset, *, data_dir: Path) -> pl.DataFrame:
    """Return what is on disk of days whose monthly zip is an input and present.

    There are none unless the dataset is taken from both: `frequency: auto`.

    Returns
    -------
    polars.DataFrame
        One row per file: `symbol`, `period` (the day), `path`, `is_checksum`; and of
        its month: `partition`, `month_key`, `month_size` (bytes), `month_etag`.
    """
    months = planned.files.filter(
        ~pl.col("is_checksum"),
        pl.col("frequency") == Frequency.MONTHLY,
        pl.col("state").is_in([PRESENT, DISCARDED]),
    ).select(
        "symbol",
        "partition",
        month="first_day",
        month_key="key",
        month_size=pl.coalesce("disk_size", "size"),
        month_etag="etag",
    )
    symbols = months["symbol"].unique().to_list()
    daily = [
        _on_disk(directory, symbols, data_dir=data_dir)
        for directory in directories(planned.dataset)
        if directory.frequency is Frequency.DAILY
    ]
    return (
        pl.concat([pl.DataFrame(schema=archive.FILES), *daily])
        .with_columns(month=pl.col("period").str.to_date("%Y-%m-%d").dt.month_start())
        .join(months, on=["symbol", "month"])
    )


def _on_disk(
    directory: Directory, symbols: Sequence[str], *, data_dir: Path
) -> pl.DataFrame:
    folders = [archive.local_folder(directory, symbol) for symbol in symbols]
    disk = archive.scan_disk(folders, data_dir=data_dir)
    return archive.unlisted_files(disk, directory=directory)


def _judged(
    files: pl.DataFrame, *, dataset: Dataset, table: Table, data_dir: Path
) -> pl.DataFrame:
    """Return `path` and `standing` of files as `_daily_files` has them."""
    judged: list[tuple[str, str]] = []
    by_month = files.group_by(
        "symbol", "partition", "month_key", "month_size", "month_etag"
    )
    for (symbol, partition, key, size, etag), of_month in by_month:
        series = Series(
            dataset.trade_type, dataset.data_type, str(symbol), dataset.interval
        )
        sources = data_dir / layout.sources_of(layout.table(series.folder, partition))
        days = _parsed_days(sources, key=key, size=size, etag=etag)
        by_day = of_month.group_by("period").agg("path")
        for period, paths in by_day.iter_rows():
            standing = Standing.UNPARSED
            if days is not None:
                zips = [path for path in paths if path.endswith(".zip")]
                is_held = _is_held(
                    days.get(period, {}), zips, table=table, data_dir=data_dir
                )
                standing = Standing.REPLACED if is_held else Standing.LACKING
            judged += [(path, standing.value) for path in paths]
    return pl.DataFrame(judged, schema=_STANDINGS, orient="row")


def _parsed_days(
    sources: Path, *, key: object, size: object, etag: object
) -> dict[str, Mapping[str, Any]] | None:
    """Return what a partition has of each day: `expected` and `present` rows.

    Days of which a daily zip was an input are left out: the rows may be that zip's.
    None unless the partition was made from the zip of that key, size (bytes) and ETag
    (None where the server does not list it), or if its sources cannot be read.
    """
    try:
        content = json.loads(sources.read_bytes())
        inputs = content["inputs"]
        is_parsed = any(
            (source["key"], source["size"]) == (key, size)
            and etag in {None, source["etag"]}
            and source["integrity_status"] in _USABLE
            for source in inputs
        )
        daily = {
            ArchiveFile.from_key(source["key"]).period
            for source in inputs
            if source["frequency"] == Frequency.DAILY
        }
        days = {day["day"]: day for day in content["days"] if day["day"] not in daily}
    except _UNREADABLE:
        return None  # not parsed yet, or to be parsed again
    else:
        return days if is_parsed else None


def _is_held(
    day: Mapping[str, Any], zips: Sequence[str], *, table: Table, data_dir: Path
) -> bool:
    """Return whether a partition has all rows of a day, or at least those of its zip.

    `zips` holds the path of the day's zip, if it is there.
    """
    present, expected = day.get("present") or 0, day.get("expected")
    if expected is not None and 0 < expected <= present:
        return True
    return all(_rows(path, table=table, data_dir=data_dir) <= present for path in zips)


def _rows(path: str, *, table: Table, data_dir: Path) -> float:
    """Count the rows of a zip; infinitely many if they cannot be counted."""
    try:
        place = data_dir / path
        if not place.stat().st_size:
            return 0  # the server had none
        bounds = bounds_of_file(ArchiveFile.from_path(path))
        with place.open("rb") as opened:
            entry = find_csv(opened, stem=place.stem, bounds=bounds)
            return sum(p.rows for p in csv_pieces(opened, entry=entry, table=table))
    except (OSError, ParseError):
        return math.inf
