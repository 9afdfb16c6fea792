"""The plan as a table: what the archive has, and what is missing here."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TextIO

import polars as pl
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table

from bhds.planning.dataset import PlannedDataset
from bhds.planning.files import MISSING, PRESENT, REPLACED


@dataclass(frozen=True)
class Row:
    """Files of one dataset; a zip and its CHECKSUM are two."""

    dataset: str
    symbols: int
    """Symbols selected of which the archive has files in the time wanted."""
    files: int
    size_bytes: int
    missing: int
    missing_bytes: int
    replaced: int
    replaced_bytes: int


def summarise(planned: PlannedDataset) -> Row:
    """Count the files and bytes of one dataset, by their state."""
    by_state = {
        state: (count, size)
        for state, count, size in planned.files.group_by("state")
        .agg(pl.len(), pl.col("size").sum())
        .iter_rows()
    }
    present, missing, replaced = (
        by_state.get(state, (0, 0)) for state in (PRESENT, MISSING, REPLACED)
    )
    return Row(
        dataset=planned.name,
        symbols=len(planned.partitions),
        files=present[0] + missing[0] + replaced[0],
        size_bytes=present[1] + missing[1] + replaced[1],
        missing=missing[0],
        missing_bytes=missing[1],
        replaced=replaced[0],
        replaced_bytes=replaced[1],
    )


def show(planned: Sequence[PlannedDataset], *, file: TextIO) -> None:
    """Print one line a dataset, and a total where there are several."""
    table = Table(title="Plan", title_justify="left", box=None, pad_edge=False)
    table.add_column("dataset")
    headings = ("symbols", "files", "size", "missing", "size", "replaced", "size")
    for heading in headings:
        table.add_column(heading, justify="right")
    rows = [summarise(dataset) for dataset in planned]
    for row in rows:
        table.add_row(*_cells(row))
    if len(rows) > 1:
        table.add_section()
        table.add_row(*_cells(_total(rows)))
    Console(file=file, highlight=False, width=_width(file)).print(table)


def _width(file: TextIO) -> int | None:
    """Return None for a terminal, which has a width, and enough for a log."""
    return None if file.isatty() else 120


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.dataset,
        f"{row.symbols:,}",
        f"{row.files:,}",
        decimal(row.size_bytes),
        f"{row.missing:,}",
        decimal(row.missing_bytes),
        f"{row.replaced:,}",
        decimal(row.replaced_bytes),
    )


def _total(rows: Sequence[Row]) -> Row:
    return Row(
        "total",
        *(
            sum(getattr(row, field) for row in rows)
            for field in (
                "symbols",
                "files",
                "size_bytes",
                "missing",
                "missing_bytes",
                "replaced",
                "replaced_bytes",
            )
        ),
    )
