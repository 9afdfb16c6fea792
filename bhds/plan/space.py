"""Estimate disk space and processor time of files to come, from those on disk."""

import datetime as dt
import shutil
from collections.abc import Collection
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Self

import polars as pl
from rich.filesize import decimal

from bhds import layout
from bhds.config import Dataset
from bhds.core.errors import PlaceError
from bhds.core.markets import Interval
from bhds.plan import files as archive

# Measured on genuine files, parsed and built one by one: partitions of 1m and 1h
# klines took 0.91 to 1.04 times the bytes of their zips (spot and um, a day to a
# month), aggTrades 0.70 times (cm); results 1.03 to 1.12 times. A row of 5m to 1h bars
# took 1.4 to 1.9 times that of a row of 1m bars. An almost empty file has 4 to 6 KB.
_PARTITION_PER_ZIP_BYTE = {"aggTrades": 0.7, "trades": 0.7}
_OTHER_PARTITION_PER_ZIP_BYTE = 1.0
_RESULT_PER_ZIP_BYTE = 1.1
_RESAMPLED_PER_RESULT_ROW = 1.8
_FILE_BYTES = 5_000

# Processor time per byte of zips, from docs/performance.md: klines and trades are
# parsed at 33 MB/s. The others were measured per bar, of 40 bytes in a zip; results
# include an ASSUMED share for their Parquet file.
_PARSE_S_PER_BYTE = 0.03e-6
_RESULT_S_PER_BYTE = 0.015e-6
_RESAMPLE_S_PER_BYTE = 0.002e-6

# Blocks of the disk, measured in a demo build: each output has a record of Snakemake in
# one, each job a log in one. A partition has sources; a result has three tables.
_PARTITION_BLOCKS = 7
_RESULT_BLOCKS = 10
_RESAMPLED_BLOCKS = 2

_SHORTEST_MONTH = dt.timedelta(days=28)
_COLUMNS = (
    "path",
    "symbol",
    "job",
    "weight",
    "s_per_byte",
    "blocks",
    "zip_bytes",
    "new_zip_bytes",
)
"""Of each file to be built: where, of which symbol, by which job, how large in
proportion to a plain file of its stage, its processor time for a byte of its zips, its
blocks beyond its own bytes, and the bytes of its zips: of all, and of those that are to
be downloaded."""
_ZIP_BYTES = {
    "zip_bytes": pl.col("size").sum(),
    "new_zip_bytes": pl.col("size").filter(pl.col("due").is_not_null()).sum(),
}


@dataclass(frozen=True)
class Work:
    """What a run builds of one stage."""

    jobs: int = 0
    cpu_seconds: float = 0.0
    """What parsing or building takes, without the start of the jobs."""
    size_bytes: int = 0
    """What the files will add to the disk."""
    overhead_bytes: int = 0
    """What their last blocks, provenance, tables, logs and Snakemake's records add."""

    def __add__(self, other: Self) -> Self:
        """Return what both take."""
        pairs = zip(astuple(self), astuple(other), strict=True)
        return type(self)(*(one + more for one, more in pairs))


def check_room(data_dir: Path, *, due_bytes: int) -> None:
    """See that downloads fit onto the disk, before the first of them.

    Parameters
    ----------
    data_dir
        The data directory, which is there.
    due_bytes
        What is to be downloaded, as listed.

    Raises
    ------
    PlaceError
        If there is less space. Files built from the downloads need more: `bhds plan`
        estimates it.
    """
    free_bytes = shutil.disk_usage(data_dir).free
    if due_bytes > free_bytes:
        msg = (
            f"{data_dir.absolute()}: {decimal(due_bytes)} are to be downloaded, but "
            f"{decimal(free_bytes)} are free; free some space, choose another "
            "data_dir, or select less data: `bhds plan` prints the space needed"
        )
        raise PlaceError(msg)


def in_blocks(size_bytes: pl.Expr, *, block_bytes: int) -> pl.Expr:
    """Return what files of some sizes take on the disk."""
    return (size_bytes / block_bytes).ceil().cast(pl.Int64) * block_bytes


def partitions(
    dataset: Dataset,
    zips: pl.DataFrame,
    *,
    data_dir: Path,
    block_bytes: int = 1,
) -> Work:
    """Estimate what the partitions of a dataset take.

    Sizes are proportional to the zips: with the ratio of the dataset's files on disk,
    else that of genuine files. For files that are already built, only the part of new
    zips counts.

    Parameters
    ----------
    dataset
        What is planned.
    zips
        Its zips: `symbol`, `partition`, `size` (bytes) and `due` (null for those that
        stay as they are).
    data_dir
        The data directory.
    block_bytes
        The size of a block of its disk.
    """
    if dataset.entry.table is None:
        return Work()
    return _work(
        _partition_files(dataset, zips),
        data_dir=data_dir,
        per_zip_byte=_PARTITION_PER_ZIP_BYTE.get(
            dataset.data_type, _OTHER_PARTITION_PER_ZIP_BYTE
        ),
        block_bytes=block_bytes,
    )


def results(
    dataset: Dataset,
    zips: pl.DataFrame,
    *,
    data_dir: Path,
    backfilled: Collection[str] = (),
    block_bytes: int = 1,
) -> Work:
    """Estimate what results and resampled files take.

    As `partitions`; results of the symbols `backfilled` are built though no zip is due.
    """
    if not dataset.has_results:
        return Work()
    work = _work(
        _result_files(dataset, zips),
        data_dir=data_dir,
        per_zip_byte=_RESULT_PER_ZIP_BYTE,
        block_bytes=block_bytes,
        backfilled=backfilled,
    )
    # Segment files hold the same bars once more.
    return work + work if dataset.results.split.files else work


def _work(
    files: pl.DataFrame,
    *,
    data_dir: Path,
    per_zip_byte: float,
    block_bytes: int,
    backfilled: Collection[str] = (),
) -> Work:
    """Estimate what files of one stage take beyond what they do now.

    `per_zip_byte` is the size of a plain file, where none exists yet.
    """
    folders = files["path"].str.replace("/[^/]*$", "").unique()
    disk = archive.scan_disk(folders, data_dir=data_dir)
    files = files.join(disk, on="path", how="left")
    is_built = pl.col("disk_size").is_not_null()
    # Zips that came since are not in the file yet, so they do not count.
    held = (pl.col("zip_bytes") - pl.col("new_zip_bytes")) * pl.col("weight")
    size, zip_bytes = (
        files.filter(is_built).select(pl.col("disk_size").sum(), held.sum()).row(0)
    )
    ratio = size / zip_bytes if size and zip_bytes else per_zip_byte
    added = pl.when(is_built).then("new_zip_bytes").otherwise("zip_bytes")
    new_files = pl.when(is_built).then(0).otherwise(_FILE_BYTES)
    to_come = added * pl.col("weight") * ratio + new_files
    on_disk = in_blocks(to_come, block_bytes=block_bytes)
    blocks = pl.when(is_built).then(0).otherwise(pl.col("blocks") * block_bytes)
    is_due = (
        ~is_built
        | (pl.col("new_zip_bytes") > 0)
        | pl.col("symbol").is_in(list(backfilled))
    )
    return Work(
        files.filter(is_due)["job"].n_unique(),
        *files.select(
            (pl.col("zip_bytes") * pl.col("s_per_byte")).filter(is_due).sum(),
            size=to_come.sum().cast(pl.Int64),
            overhead=(on_disk - to_come + blocks).sum().cast(pl.Int64),
        ).row(0),
    )


def _partition_files(dataset: Dataset, zips: pl.DataFrame) -> pl.DataFrame:
    path = layout.partition(
        *(dataset.trade_type, dataset.data_type, "{}", dataset.interval), "{}"
    )
    return (
        zips.group_by("symbol", "partition")
        .agg(**_ZIP_BYTES)
        .with_columns(
            path=pl.format(path, "symbol", "partition"),
            job=pl.format("{} {}", "symbol", "partition"),
            weight=1.0,
            s_per_byte=_PARSE_S_PER_BYTE,
            blocks=_PARTITION_BLOCKS,
        )
        .select(_COLUMNS)
    )


def _result_files(dataset: Dataset, zips: pl.DataFrame) -> pl.DataFrame:
    folder = layout.result_folder(dataset.trade_type, dataset.base_interval)
    folders = [(folder, "build", 1.0, _RESULT_S_PER_BYTE, _RESULT_BLOCKS)]
    for resample in dataset.results.resample:
        rule = resample.rule
        rows = _duration(Interval.parse(dataset.base_interval)) / _duration(
            rule.interval
        )
        folder = layout.resampled_folder(dataset.trade_type, rule.name)
        weight = rows * _RESAMPLED_PER_RESULT_ROW
        kind = (folder, "resample", weight, _RESAMPLE_S_PER_BYTE, _RESAMPLED_BLOCKS)
        folders.append(kind)
    columns = ["folder", "rule", "weight", "s_per_byte", "blocks"]
    return (
        zips.group_by("symbol")
        .agg(**_ZIP_BYTES)
        .join(pl.DataFrame(folders, schema=columns, orient="row"), how="cross")
        .with_columns(
            path=pl.format(layout.bars("{}", "{}"), "folder", "symbol"),
            job=pl.format("{} {}", "rule", "symbol"),
        )
        .select(_COLUMNS)
    )


def _duration(interval: Interval) -> dt.timedelta:
    return interval.duration or _SHORTEST_MONTH
