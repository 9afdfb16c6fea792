"""The ledger: every revision of every archive file that was ever downloaded.

The exchange replaces files silently, days to months later. A listing that differs
from the newest row of its key shows which files to fetch again, and the rows of the
revisions before stay as evidence. When each batch was requested and came show how
fast files are had here.

Several processes download at once, so the ledger is a table of parts
(`bhds.io.append_table`): `aws_data/ledger.parquet`, and parts in `aws_data/ledger.d`.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from bhds import layout
from bhds.core.errors import FetchError
from bhds.io.append_table import AppendTable
from bhds.schemas.archive_tables import LEDGER

_TABLE = AppendTable(
    file=layout.LEDGER,
    schema=LEDGER,
    sort=("key", "first_seen"),
    error=FetchError,
    if_lost="the files that it recorded are then taken as never downloaded",
)


@dataclass(frozen=True)
class Rate:
    """How fast files came, all connections and batches together."""

    bytes_per_s: float
    files_per_s: float
    """More than 0."""

    def seconds_for(self, *, files: int, size_bytes: int) -> float:
        """Estimate how long files will take: by their number or their bytes.

        Whichever takes longer: many small files are bound by their number, a few
        large ones by the line.
        """
        by_number = files / self.files_per_s
        if self.bytes_per_s == 0:  # all that came was empty: nothing is known of it
            return by_number
        return max(by_number, size_bytes / self.bytes_per_s)


def append(data_dir: Path | str, *, rows: pl.DataFrame) -> None:
    """Add rows to the ledger, as a part file of their own.

    Parameters
    ----------
    data_dir
        The data directory.
    rows
        n >= 0 rows with the columns of `LEDGER`, in any order; those left out are
        null, but for `key`. None is written for n = 0. Safe to call from several
        processes at once.
    """
    _TABLE.append(data_dir, rows=rows)


def read(data_dir: Path | str, *, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """Read the whole ledger: the merged file and all parts.

    Parameters
    ----------
    data_dir
        The data directory.
    columns
        The columns of `LEDGER` that are wanted, or None for all of them; fewer
        are faster.

    Returns
    -------
    polars.DataFrame
        n >= 0 rows, unsorted, several to a key; 0 rows if nothing was ever
        downloaded. Columns that a file was written without are null there.

    Raises
    ------
    FetchError
        If a file of the ledger is broken, lacks the keys, or has a column of
        another dtype.
    """
    return _TABLE.read(data_dir, columns=columns)


def newest(ledger: pl.DataFrame, *, now: dt.datetime | None = None) -> pl.DataFrame:
    """Pick each key's latest row.

    Parameters
    ----------
    ledger
        n >= 0 rows with at least `key` and `first_seen`, in any order.
    now
        The present, UTC. Rows of a time to come go behind all others of their key: the
        clock was wrong when they were written. None: no row does.

    Returns
    -------
    polars.DataFrame
        One row per key, the one with the greatest `first_seen`; sorted by `key`,
        with the columns of `ledger`.
    """
    time = pl.col("first_seen")
    is_future = pl.lit(value=False) if now is None else time > now
    return ledger.sort("key", time.is_not_null() & ~is_future, time).unique(
        "key", keep="last", maintain_order=True
    )


def download_rate(ledger: pl.DataFrame, *, last: int = 50) -> Rate | None:
    """Return the transfer rates of the latest batches.

    Parameters
    ----------
    ledger
        n >= 0 rows with at least `size`, `md5`, `first_seen` and `requested_at`, in
        any order.
    last
        How many batches count, those that came last; at least 1.

    Returns
    -------
    Rate or None
        What came in them over the time in which at least one of them was under
        way, from request to entry into the ledger. CHECKSUMs are files like others;
        files that the server did not have are none, nor are those whose bytes were
        there before, in whole or in part (`requested_at` is null). None where
        nothing was measured.
    """
    batches = (
        ledger.lazy()
        .filter(
            pl.col("md5").is_not_null(),
            pl.col("requested_at") < pl.col("first_seen"),  # a clock may be set back
        )
        .group_by("requested_at", "first_seen")
        .agg(files=pl.len(), size_bytes=pl.col("size").sum())
        .sort("first_seen", "requested_at")
        .tail(last)
        .collect()
    )
    if batches.is_empty():
        return None
    seconds = _seconds_covered(batches)
    return Rate(
        bytes_per_s=int(batches["size_bytes"].sum()) / seconds,
        files_per_s=int(batches["files"].sum()) / seconds,
    )


def compact(data_dir: Path | str) -> int:
    """Merge the parts into the ledger's main file, and remove the merged ones.

    Parts that other processes add meanwhile are left for the next time. May be
    killed at any moment: a part is removed only after the file that holds its rows
    is on disk and names it.

    Returns
    -------
    int
        How many parts were merged.

    Raises
    ------
    FetchError
        If a file of the ledger is broken; nothing is changed then.
    """
    return _TABLE.compact(data_dir)


def _seconds_covered(batches: pl.DataFrame) -> float:
    """Measure the union of intervals from `requested_at` to `first_seen`."""
    begin, end = pl.col("requested_at"), pl.col("first_seen")
    covered_before = end.cum_max().shift()
    uncovered = end - pl.max_horizontal(begin, covered_before)
    # Below zero where the whole interval was covered before.
    spans_us = uncovered.dt.total_microseconds().clip(lower_bound=0)
    total_us = batches.sort("requested_at").select(spans_us.sum()).item()
    return float(total_us) / 1e6
