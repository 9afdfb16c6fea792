"""The plan as a table: what the archive has, what is here, and what is to come."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TextIO

import polars as pl
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table

from bhds.archive.keys import CHECKSUM_SUFFIX
from bhds.plan.dataset import PlannedDataset
from bhds.plan.files import DUE, MD5_LENGTH, MISSING, PRESENT, REPLACED


@dataclass(frozen=True)
class Row:
    """Files of one dataset in the time wanted; a zip and its CHECKSUM are two."""

    dataset: str
    symbols: int
    """Those selected that have something in the time wanted: files, or days that the
    API is requested."""
    server_files: int
    server_bytes: int
    """What the server lists."""
    disk_files: int
    disk_bytes: int
    """What is on disk, in whatever state."""
    missing_files: int
    missing_bytes: int
    """What is not on disk."""
    replaced_files: int
    replaced_bytes: int
    """What is on disk and will be downloaded again, in the size to come."""

    @property
    def due_files(self) -> int:
        """How many files will be downloaded."""
        return self.missing_files + self.replaced_files

    @property
    def due_bytes(self) -> int:
        """How many bytes will be downloaded."""
        return self.missing_bytes + self.replaced_bytes


def with_due(files: pl.DataFrame) -> pl.DataFrame:
    """Add as what each file is to be downloaded: `due`, null for one that is not.

    A file that is as listed stays in place, even if the other file of its pair does
    not. One without a listed MD5 cannot be checked: it is downloaded again then.

    Parameters
    ----------
    files
        As `PlannedDataset.files`.
    """
    pair = pl.col("path").str.strip_suffix(CHECKSUM_SUFFIX)
    is_listed = pl.col("etag").is_not_null()
    incomplete = files.filter(is_listed, pl.col("state").is_in(DUE)).select(pair)
    unlisted = files.filter(~is_listed, ~pl.col("is_checksum")).select("path")
    has_md5 = pl.col("etag").str.len_chars() == MD5_LENGTH
    is_due = (
        is_listed
        & ((pl.col("state") != PRESENT) | ~has_md5)
        & pair.is_in(incomplete.to_series().implode())
        & ~pair.is_in(unlisted.to_series().implode())
    )
    as_what = pl.when(pl.col("state") == MISSING).then(pl.lit(MISSING))
    due = pl.when(is_due).then(as_what.otherwise(pl.lit(REPLACED)))
    return files.with_columns(due=due)


def summarise(planned: PlannedDataset) -> Row:
    """Count the files and bytes of one dataset, by their state."""
    return count(planned, with_due(planned.files))


def count(planned: PlannedDataset, files: pl.DataFrame) -> Row:
    """Count the files and bytes of one dataset, whose files have `due`."""
    sizes = {
        "server": files.filter(pl.col("etag").is_not_null())["size"],
        "disk": files["disk_size"].drop_nulls(),
        "missing": files.filter(pl.col("due") == MISSING)["size"],
        "replaced": files.filter(pl.col("due") == REPLACED)["size"],
    }
    return Row(
        planned.name,
        len(planned.symbols_with_any),
        **{f"{name}_files": of_state.len() for name, of_state in sizes.items()},
        **{f"{name}_bytes": int(of_state.sum()) for name, of_state in sizes.items()},
    )


def total(rows: Sequence[Row]) -> Row:
    """Add up datasets."""
    columns = zip(*(list(asdict(row).values())[1:] for row in rows), strict=True)
    return Row("total", *map(sum, columns))


def show(planned: Sequence[PlannedDataset], *, file: TextIO) -> None:
    """Print the files of each dataset, and a total where there are several."""
    Console(file=file, highlight=False, width=_width(file)).print(
        files_table([summarise(dataset) for dataset in planned])
    )


def files_table(rows: Sequence[Row]) -> Table:
    """Return a table of two lines a dataset, with a total where there are several.

    It is readable from 72 columns on: there, and beyond, only names are wrapped.
    """
    table = Table(title="Plan", title_justify="left", box=None, pad_edge=False)
    table.add_column("dataset", overflow="fold")
    for heading in ("symbols", "on server", "on disk", "missing", "replaced"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*_cells(row))
    if len(rows) > 1:
        table.add_section()
        table.add_row(*_cells(total(rows)))
    return table


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.dataset,
        f"{row.symbols:,}",
        f"{row.server_files:,}\n{decimal(row.server_bytes)}",
        f"{row.disk_files:,}\n{decimal(row.disk_bytes)}",
        f"{row.missing_files:,}\n{decimal(row.missing_bytes)}",
        f"{row.replaced_files:,}\n{decimal(row.replaced_bytes)}",
    )


def _width(file: TextIO) -> int | None:
    """Return None for a terminal, which has a width, and enough for a log."""
    return None if file.isatty() else 120
