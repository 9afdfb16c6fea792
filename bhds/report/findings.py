"""Read all inputs of the report."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from bhds import layout
from bhds.archive.download import ledger
from bhds.backfill import unanswered
from bhds.core.errors import ResultError
from bhds.io import places
from bhds.parse import revisions
from bhds.plan.series import Series
from bhds.report import conflicts, coverage, gaps, integrity, pictures, reconciliation
from bhds.report.inputs import QualityTable, quality_tables, read_tables
from bhds.report.integrity import IntegrityFindings
from bhds.report.pictures import Picture


@dataclass(frozen=True)
class FetchedFiles:
    """Totals of the ledger of downloads."""

    files: int
    size_bytes: int
    replaced: int
    """Files that were downloaded in more than one revision."""


@dataclass(frozen=True)
class Findings:
    """Inputs of the report; the frame of a missing table has no rows."""

    tables: Sequence[QualityTable]
    days: pl.DataFrame
    gaps: pl.DataFrame
    conflicts: pl.DataFrame
    reconciliation: pl.DataFrame
    volume_checks: pl.DataFrame
    integrity: IntegrityFindings
    fetched: FetchedFiles
    revisions: pl.DataFrame
    unanswered: pl.DataFrame
    pictures: Sequence[Picture]


def gather(paths: Sequence[str], *, data_dir: Path) -> Findings:
    """Read the quality tables, and the records next to the data.

    Parameters
    ----------
    paths
        The quality tables of all markets, below the data directory.
    data_dir
        The data directory. Its ledger, revisions, unanswered partitions and
        sources of partitions are read as far as there are any.

    Raises
    ------
    BhdsError
        If a file cannot be read; the message names it.
    """
    tables = quality_tables(paths)
    read = partial(read_tables, tables, data_dir=data_dir)
    days = read("condition", columns=coverage.COLUMNS)
    found = read("gaps", columns=gaps.COLUMNS)
    drawn = (
        pictures.picture(
            found, market=market, series=series, symbol=symbol, data_dir=data_dir
        )
        for market, series, symbol in (pictures.richest(found) if found.height else ())
    )
    return Findings(
        tables=tables,
        days=days,
        gaps=found,
        conflicts=read("conflicts", columns=conflicts.COLUMNS),
        reconciliation=read(
            "reconciliation", columns=reconciliation.RECONCILIATION_COLUMNS
        ),
        volume_checks=read("volume_checks", columns=reconciliation.VOLUME_COLUMNS),
        integrity=integrity.collect(_sources(tables, days, data_dir=data_dir)),
        fetched=_fetched(data_dir),
        revisions=revisions.read(data_dir),
        unanswered=unanswered.open_backfills(data_dir),
        pictures=[each for each in drawn if each is not None],
    )


def _sources(
    tables: Sequence[QualityTable], days: pl.DataFrame, *, data_dir: Path
) -> Iterator[dict[str, Any]]:
    """Yield the provenance of the partitions of all symbols that have days."""
    for table in tables:
        if table.kind != "condition":
            continue
        symbols = days.filter(
            pl.col("market") == table.trade_type.value,
            pl.col("series") == table.series,
        )["symbol"]
        for symbol in symbols.unique().sort():
            series = Series(table.trade_type, table.data_type, symbol, table.interval)
            folder = data_dir / series.folder
            for path in sorted(folder.glob(layout.sources_of("[!.]*"))):
                try:
                    yield json.loads(path.read_bytes())
                except (OSError, ValueError) as error:
                    msg = f"{path}: cannot be read ({error}); {places.remedy(error)}"
                    raise ResultError(msg) from error


def _fetched(data_dir: Path) -> FetchedFiles:
    rows = ledger.read(data_dir, columns=["key", "size", "sha256", "first_seen"])
    files = (
        rows.lazy()
        .filter(pl.col("sha256").is_not_null())
        .sort("first_seen")  # the order of parts depends on interrupted runs
        .group_by("key")
        .agg(pl.col("size").last(), pl.col("sha256").n_unique() > 1)
        .select(pl.len(), pl.col("size", "sha256").sum())
        .collect()
    )
    count, size_bytes, replaced = files.row(0)
    return FetchedFiles(count, size_bytes or 0, replaced or 0)
