"""Estimate the disk space of a plan, from the files that are already built."""

import datetime as dt
import shutil
from pathlib import Path

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

_SHORTEST_MONTH = dt.timedelta(days=28)
_COLUMNS = ("path", "weight", "zip_bytes", "new_zip_bytes")
"""Of each file to be built: where, how large in proportion to a plain file of its
stage, and the bytes of the zips that it is made from: of all, and of those that are to
be downloaded."""
_ZIP_BYTES = {
    "zip_bytes": pl.col("size").sum(),
    "new_zip_bytes": pl.col("size").filter(pl.col("due").is_not_null()).sum(),
}


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


def partition_bytes(dataset: Dataset, zips: pl.DataFrame, *, data_dir: Path) -> int:
    """Estimate how many bytes the partitions of a dataset will add to the disk.

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
    """
    if dataset.entry.table is None:
        return 0
    return _bytes_to_come(
        _partition_files(dataset, zips),
        data_dir=data_dir,
        per_zip_byte=_PARTITION_PER_ZIP_BYTE.get(
            dataset.data_type, _OTHER_PARTITION_PER_ZIP_BYTE
        ),
    )


def result_bytes(dataset: Dataset, zips: pl.DataFrame, *, data_dir: Path) -> int:
    """Estimate how many bytes results and resampled files will add to the disk.

    As `partition_bytes`.
    """
    if not dataset.has_results:
        return 0
    size_bytes = _bytes_to_come(
        _result_files(dataset, zips),
        data_dir=data_dir,
        per_zip_byte=_RESULT_PER_ZIP_BYTE,
    )
    # Segment files hold the same bars once more.
    return 2 * size_bytes if dataset.results.split.files else size_bytes


def _bytes_to_come(files: pl.DataFrame, *, data_dir: Path, per_zip_byte: float) -> int:
    """Estimate what files of one stage will take beyond what they do now.

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
    return int(files.select(to_come.sum()).item())


def _partition_files(dataset: Dataset, zips: pl.DataFrame) -> pl.DataFrame:
    path = layout.partition(
        *(dataset.trade_type, dataset.data_type, "{}", dataset.interval), "{}"
    )
    return (
        zips.group_by("symbol", "partition")
        .agg(**_ZIP_BYTES)
        .with_columns(path=pl.format(path, "symbol", "partition"), weight=1.0)
        .select(_COLUMNS)
    )


def _result_files(dataset: Dataset, zips: pl.DataFrame) -> pl.DataFrame:
    weights = {layout.result_folder(dataset.trade_type, dataset.base_interval): 1.0}
    for resample in dataset.results.resample:
        rule = resample.rule
        rows = _duration(Interval.parse(dataset.base_interval)) / _duration(
            rule.interval
        )
        folder = layout.resampled_folder(dataset.trade_type, rule.name)
        weights[folder] = rows * _RESAMPLED_PER_RESULT_ROW
    folders = pl.DataFrame({"folder": weights.keys(), "weight": weights.values()})
    return (
        zips.group_by("symbol")
        .agg(**_ZIP_BYTES)
        .join(folders, how="cross")
        .with_columns(path=pl.format(layout.bars("{}", "{}"), "folder", "symbol"))
        .select(_COLUMNS)
    )


def _duration(interval: Interval) -> dt.timedelta:
    return interval.duration or _SHORTEST_MONTH
