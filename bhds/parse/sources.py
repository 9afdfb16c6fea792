"""The account of a partition: what became of every input zip and every row."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from bhds.markets import Interval
from bhds.parse.collapse import Collapsed
from bhds.parse.grid import is_off_grid
from bhds.parse.inputs import ArchiveInput, utc_time
from bhds.parse.verdict import Archive, Verdict

SCHEMA_VERSION = 1
"""Raise by one when the entries of a `.sources.json` change."""

CONFLICTS_LISTED = 1_000
"""How many conflicts are listed with their values; all are counted."""


@dataclass
class SourceRecord:
    """One zip's entry; the counts are of its rows.

    `rows_read = rows_kept + rows_outside + duplicates + conflicts`, and all are 0
    where the verdict is `corrupt` or `vanished`.
    """

    key: str
    frequency: str
    etag: str | None
    size: int
    sha256: str
    published_sha256: str | None
    verdict: Verdict
    reason: str | None
    warnings: list[str] = field(default_factory=list)
    header: bool | None = None
    """Whether the CSV has a header; None if it could not be looked at."""
    time_unit: str | None = None
    """`ms` or `us`; None without rows."""
    rows_read: int = 0
    rows_kept: int = 0
    rows_outside: int = 0
    """Dropped: not of the partition, or not between the first and last day."""
    duplicates: int = 0
    """Dropped: equal to the kept row of their key."""
    conflicts: int = 0
    """Dropped: other values than the kept row of their key."""
    out_of_order: int = 0
    """Rows earlier than the row before them in the file."""
    off_grid: int = 0
    """Bars that do not open on the interval's grid, kept as published."""
    first_time: str | None = None
    """The earliest key of the rows read: ISO 8601, UTC."""
    last_time: str | None = None

    @classmethod
    def of(cls, source: ArchiveInput, archive: Archive) -> "SourceRecord":
        """Begin the entry of a zip that has been read from disk."""
        return cls(
            key=source.key,
            frequency=source.frequency.value,
            etag=source.etag,
            size=archive.size,
            sha256=archive.sha256,
            published_sha256=archive.published_sha256,
            verdict=archive.verdict,
            reason=archive.reason,
            warnings=list(archive.warnings),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the entry as plain values."""
        return vars(self) | {"verdict": self.verdict.value}


def count_rows(
    records: Sequence[SourceRecord],
    *,
    published: pl.DataFrame,
    wanted: pl.DataFrame,
    unique: Collapsed,
    interval: Interval,
) -> None:
    """Enter into the records what became of every row.

    Parameters
    ----------
    records
        One for each number in the frames' column `file`.
    published
        All rows read, `open_time` and `file`, in the order of the files' lines.
    wanted
        Those of the partition, between its first and last day.
    unique
        What came of these.
    interval
        Spacing of the bars.
    """
    open_us = pl.col("open_time").to_physical()
    same_file = pl.col("file") == pl.col("file").shift()
    read = (
        published.select(
            "file",
            open_us=open_us,
            out_of_order=same_file & (open_us < open_us.shift()),
            off_grid=is_off_grid(open_us, interval=interval),
        )
        .group_by("file")
        .agg(
            pl.len().alias("rows"),
            pl.col("open_us").min().alias("first"),
            pl.col("open_us").max().alias("last"),
            pl.col("out_of_order", "off_grid").sum(),
        )
    )
    for row in read.iter_rows(named=True):
        record = records[row["file"]]
        record.rows_read = row["rows"]
        record.rows_outside = row["rows"]
        record.first_time = utc_time(row["first"])
        record.last_time = utc_time(row["last"])
        record.out_of_order = row["out_of_order"]
        record.off_grid = row["off_grid"]
    for number, rows in _rows_per_file(wanted).items():
        records[number].rows_outside -= rows
    for number, rows in _rows_per_file(unique.kept).items():
        records[number].rows_kept = rows
    for number, rows in _rows_per_file(unique.duplicates).items():
        records[number].duplicates = rows
    for number, rows in _rows_per_file(unique.conflicts).items():
        records[number].conflicts = rows


def _rows_per_file(frame: pl.DataFrame) -> Counter[int]:
    """Count the rows of each file, which mostly stand together."""
    counts: Counter[int] = Counter()
    for run in frame["file"].rle().struct.unnest().iter_rows(named=True):
        counts[run["value"]] += run["len"]
    return counts


def list_conflicts(
    conflicts: pl.DataFrame, records: Sequence[SourceRecord], *, columns: Sequence[str]
) -> dict[str, Any]:
    """Describe the rows that gave way to others of the same `open_time`.

    Parameters
    ----------
    conflicts
        The dropped rows, sorted by `open_time`, the kept beside them; see
        `Collapsed`.
    records
        One for each number in `file` and `kept_file`.
    columns
        The columns whose values are shown.

    Returns
    -------
    dict
        `count`, and of the first `CONFLICTS_LISTED` in `listed`: `open_time`, and
        the `kept` and the `dropped` row with the `key` of their zip.
    """

    def side(row: dict[str, Any], prefix: str) -> dict[str, Any]:
        values = {name: row[prefix + name] for name in columns}
        values["close_time"] = values["close_time"].isoformat()
        return {"key": records[row[f"{prefix}file"]].key} | values

    listed = [
        {
            "open_time": row["open_time"].isoformat(),
            "kept": side(row, "kept_"),
            "dropped": side(row, ""),
        }
        for row in conflicts.head(CONFLICTS_LISTED).iter_rows(named=True)
    ]
    return {"count": conflicts.height, "listed": listed}
