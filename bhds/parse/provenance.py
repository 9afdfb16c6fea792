"""The account of a partition: what became of every input zip and every row."""

import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from bhds.archive.integrity.bounds import cut, cut_list
from bhds.archive.integrity.status import Archive
from bhds.archive.integrity.zip_input import ArchiveInput, utc_time
from bhds.core.markets import Interval
from bhds.parse.dedupe import Collapsed
from bhds.parse.expected_rows import is_off_grid
from bhds.schemas.archive_tables import IntegrityStatus
from bhds.schemas.csv_table import Form, Table

SCHEMA_VERSION = 5
"""Raise by one when the entries of a `.sources.json` change."""

CONFLICTS_LISTED = 1_000
"""How many conflicts are listed with their values; all are counted."""


@dataclass
class SourceRecord:
    """One zip's entry; the counts are of its rows.

    `rows_read = rows_kept + rows_outside + duplicates + conflicts`, and all are 0
    where the integrity status is `corrupt` or `vanished`.
    """

    key: str
    frequency: str
    etag: str | None
    size: int
    sha256: str
    published_sha256: str | None
    integrity_status: IntegrityStatus
    reason: str | None
    warnings: list[str] = field(default_factory=list)
    header: bool | None = None
    """Whether the CSV has a header; None if it could not be looked at."""
    time_unit: str | None = None
    """`ms` or `us`, `s` for text; None without rows."""
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
    off_grid: int | None = None
    """Bars that do not open on the interval's grid, kept as published; None where
    the rows are no bars."""
    impossible: int = 0
    """Rows kept whose values cannot be; see `bhds.schemas.impossible_values`."""
    blanks: int | None = None
    """Values left blank in the rows read; left out of the entry where none can be."""
    first_time: str | None = None
    """The earliest time of the rows read: ISO 8601, UTC."""
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
            integrity_status=archive.integrity_status,
            reason=archive.reason,
            warnings=list(archive.warnings),
        )

    @classmethod
    def again(cls, entry: Mapping[str, Any]) -> "SourceRecord":
        """Begin the entry of a zip whose rows an earlier partition has, all of them."""
        record = cls(**entry)
        record.integrity_status = IntegrityStatus(entry["integrity_status"])
        record.rows_kept = 0  # counted again
        record.warnings = list(entry["warnings"])
        if record.impossible:
            record.warnings.pop()
        return record

    def count_impossible(self, rows: int) -> None:
        """Enter the rows kept whose values cannot be, with a warning if any."""
        self.impossible = rows
        if rows:
            self.warnings.append(f"{rows} row(s) have impossible values")

    def to_json(self) -> dict[str, Any]:
        """Return the entry as plain values."""
        entry = vars(self) | {
            "integrity_status": self.integrity_status.value,
            "reason": self.reason and cut(self.reason),
            "warnings": cut_list(self.warnings),
        }
        if self.blanks is None:
            del entry["blanks"]
        return entry


def count_rows(
    records: Sequence[SourceRecord],
    *,
    published: pl.DataFrame,
    wanted: pl.DataFrame,
    unique: Collapsed,
    table: Table,
    interval: Interval | None,
) -> None:
    """Enter into the records what became of every row.

    Parameters
    ----------
    records
        One for each number in the frames' column `file`.
    published
        All rows read, with `file`, in the order of the files' lines.
    wanted
        Those of the partition, between its first and last day.
    unique
        What came of these.
    table
        What the rows are.
    interval
        Spacing of the bars; None if the rows are no bars.
    """
    has_blanks = any(field.kind is Form.OPTIONAL_NUMBER for field in table.fields)
    for record in records:
        record.off_grid = None if interval is None else 0
        record.blanks = 0 if has_blanks else None
    for row in _read_per_file(published, table, interval).iter_rows(named=True):
        record = records[row["file"]]
        record.rows_read = row["rows"]
        record.rows_outside = row["rows"]
        record.first_time = utc_time(row["first"])
        record.last_time = utc_time(row["last"])
        record.out_of_order = row["out_of_order"]
        record.off_grid = row.get("off_grid")
        record.blanks = row.get("blanks")
    for number, rows in _rows_per_file(wanted).items():
        records[number].rows_outside -= rows
    for number, rows in _rows_per_file(unique.kept).items():
        records[number].rows_kept = rows
    for number, rows in _rows_per_file(unique.duplicates).items():
        records[number].duplicates = rows
    for number, rows in _rows_per_file(unique.conflicts).items():
        records[number].conflicts = rows


def _read_per_file(
    published: pl.DataFrame, table: Table, interval: Interval | None
) -> pl.DataFrame:
    """Count and bound each file's rows as they stand in it; see `count_rows`."""
    time_us = pl.col("time_us")
    counts = {"out_of_order": time_us < time_us.shift()}
    if interval is not None:
        counts["off_grid"] = is_off_grid(time_us, interval=interval)
    optional = [
        field.name for field in table.fields if field.kind is Form.OPTIONAL_NUMBER
    ]
    if optional:
        counts["blanks"] = pl.sum_horizontal(pl.col(optional).is_null())
    same_file = pl.col("file") == pl.col("file").shift()
    return (
        published.select("file", *optional, time_us=pl.col(table.time).to_physical())
        .with_columns(**counts)
        .with_columns(out_of_order=same_file & pl.col("out_of_order"))
        .group_by("file")
        .agg(
            pl.len().alias("rows"),
            time_us.min().alias("first"),
            time_us.max().alias("last"),
            pl.col(*counts).sum(),
        )
    )


def _rows_per_file(frame: pl.DataFrame) -> Counter[int]:
    """Count the rows of each file, which mostly stand together."""
    counts: Counter[int] = Counter()
    for run in frame["file"].rle().struct.unnest().iter_rows(named=True):
        counts[run["value"]] += run["len"]
    return counts


def list_conflicts(
    conflicts: pl.DataFrame,
    records: Sequence[SourceRecord],
    *,
    count: int,
    key: Sequence[str],
    columns: Sequence[str],
) -> dict[str, Any]:
    """Describe the rows that lost to others of the same key.

    Parameters
    ----------
    conflicts
        The first dropped rows, sorted by their key, the kept beside them; see
        `Collapsed`.
    count
        How many there are.
    records
        One for each number in `file` and `kept_file`.
    key
        The columns of the key.
    columns
        The other columns whose values are shown.

    Returns
    -------
    dict
        `count`, and of the first `CONFLICTS_LISTED` in `listed`: the columns of the
        key, and the `kept` and the `dropped` row with the `key` of their zip.
    """

    def side(row: dict[str, Any], prefix: str) -> dict[str, Any]:
        values = {name: _plain(row[prefix + name]) for name in columns}
        return {"key": records[row[f"{prefix}file"]].key} | values

    listed = [
        {name: _plain(row[name]) for name in key}
        | {"kept": side(row, "kept_"), "dropped": side(row, "")}
        for row in conflicts.head(CONFLICTS_LISTED).iter_rows(named=True)
    ]
    return {"count": count, "listed": listed}


def _plain(value: Any) -> Any:
    """Return a value as JSON can hold it."""
    return value.isoformat() if isinstance(value, dt.datetime) else value
