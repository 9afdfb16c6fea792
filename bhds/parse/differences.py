"""How the rows of two partitions differ, in memory that does not grow with them.

Partitions are sorted, so that the rows of a stretch of keys lie together in either
file: stretches of about a million rows are read and compared one after the other.
"""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl

from bhds.archive.integrity.zip_input import FilePeriod
from bhds.core.errors import ParseError
from bhds.core.events import EventRule, number_events
from bhds.parse.order import ascends
from bhds.schemas.csv_table import Table
from bhds.schemas.klines import with_symbol

_CHUNK_ROWS = 1_000_000
_NEW = ":new"  # suffix of the columns that a join takes from the new partition


@dataclass(frozen=True)
class ColumnDifference:
    """What changed in one column."""

    rows_changed: int
    max_abs_change: float | None
    """Of the values that changed from one number to another; None if none did."""
    max_rel_change: float | None
    """The same, as a part of the old value, where that is not 0."""

    def __add__(self, other: "ColumnDifference") -> "ColumnDifference":
        return ColumnDifference(
            self.rows_changed + other.rows_changed,
            _greater(self.max_abs_change, other.max_abs_change),
            _greater(self.max_rel_change, other.max_rel_change),
        )


@dataclass(frozen=True)
class RowDifference:
    """What changed in the rows of some days."""

    rows_before: int = 0
    rows_after: int = 0
    rows_added: int = 0
    rows_removed: int = 0
    rows_changed: int = 0
    """Rows of the same key with another value in at least one column."""
    columns: Mapping[str, ColumnDifference] = field(default_factory=dict)
    """The columns in which rows changed."""

    def __add__(self, other: "RowDifference") -> "RowDifference":
        columns = dict(self.columns)
        for name, difference in other.columns.items():
            known = columns.get(name)
            columns[name] = difference if known is None else known + difference
        return RowDifference(
            self.rows_before + other.rows_before,
            self.rows_after + other.rows_after,
            self.rows_added + other.rows_added,
            self.rows_removed + other.rows_removed,
            self.rows_changed + other.rows_changed,
            columns,
        )


def row_differences(
    old: Path | str, new: Path | str, *, table: Table, periods: Sequence[FilePeriod]
) -> list[RowDifference]:
    """Compare two partitions, on some days alone.

    Parameters
    ----------
    old, new
        Parquet files of one symbol with the columns of the table, sorted by its key,
        or by its time if it has none.
    table
        What the rows are. Two are the same row if their `key` is the same, or, for
        want of a key, all columns: such rows are only added or removed. `source` is
        not compared.
    periods
        The UTC days to compare, n >= 0 times; a row is of the day of its
        `table.time`.

    Returns
    -------
    list of RowDifference
        One for each period.

    Raises
    ------
    ParseError
        If a file has other columns than the table.
    OSError, polars.exceptions.PolarsError
        If a file cannot be read.
    """
    expected = with_symbol(table.schema)
    for path in (old, new):
        found = pl.read_parquet_schema(path)
        if found != expected:
            msg = (
                f"{path}: has {_columns(found)}; expected {_columns(expected)}; "
                "only partitions of the same columns can be compared"
            )
            raise ParseError(msg)
    columns = [name for name in table.schema if name != "source"]
    rows = [_rows(path, columns=columns) for path in (old, new)]
    return [
        sum(_chunk_differences(*rows, table=table, days=days), RowDifference())
        for days in periods
    ]


def _columns(schema: Mapping[str, pl.DataType]) -> str:
    return ", ".join(f"{name} {dtype}" for name, dtype in schema.items())


def _rows(path: Path | str, *, columns: Sequence[str]) -> pl.LazyFrame:
    """Read a file if it is small, for many periods are sought in it; else scan it."""
    rows = pl.scan_parquet(path, glob=False)
    is_small = rows.select(pl.len()).collect().item() <= _CHUNK_ROWS
    rows = rows.select(columns)
    return rows.collect().lazy() if is_small else rows


def _chunk_differences(
    old: pl.LazyFrame, new: pl.LazyFrame, *, table: Table, days: FilePeriod
) -> Iterator[RowDifference]:
    """Compare the rows of some days, `_CHUNK_ROWS` of each partition at a time."""
    time, order = pl.col(table.time), table.key[0] if table.key else table.time
    within = (time >= _midnight(days.begin)) & (time < _midnight(days.end))
    before, after = old.filter(within), new.filter(within)
    bounds = sorted({*_chunk_starts(before, order), *_chunk_starts(after, order)})
    for begin, end in pairwise([None, *bounds[1:], None]):
        stretch = [] if begin is None else [pl.col(order) >= begin]
        stretch += [] if end is None else [pl.col(order) < end]
        pair = (rows.filter(*stretch).collect() for rows in (before, after))
        yield _difference(*pair, table=table)


def _midnight(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(), dt.UTC)


def _chunk_starts(rows: pl.LazyFrame, order: str) -> list[Any]:
    """Return the first of every `_CHUNK_ROWS` values of a sorted column."""
    starts = rows.select(pl.col(order).gather_every(_CHUNK_ROWS))
    return starts.collect(engine="streaming").to_series().to_list()


def _difference(old: pl.DataFrame, new: pl.DataFrame, *, table: Table) -> RowDifference:
    """Compare the same rows of two partitions, all in memory."""
    if old.equals(new):
        return RowDifference(old.height, new.height)
    if not table.key:
        return _keyless_difference(old, new)
    key = table.key
    rule = table.events
    if rule and not all(ascends(rows, key=key) for rows in (old, new)):
        event = _events(old, new, key=key, rule=rule)
        old = old.with_columns(event.head(old.height))
        new = new.with_columns(event.tail(new.height))
        key = (*key, event.name)
    pairs = old.join(new, on=key, how="inner", suffix=_NEW)
    values = [name for name in old.columns if name not in key]
    differs = pl.DataFrame(
        {name: pairs[name].ne_missing(pairs[name + _NEW]) for name in values}
    )
    return RowDifference(
        rows_before=old.height,
        rows_after=new.height,
        rows_added=new.height - pairs.height,
        rows_removed=old.height - pairs.height,
        rows_changed=differs.select(pl.any_horizontal(pl.all()).sum()).item(),
        columns={
            name: _column_difference(
                pairs[name].filter(differs[name]),
                pairs[name + _NEW].filter(differs[name]),
            )
            for name in values
            if differs[name].any()
        },
    )


def _events(
    old: pl.DataFrame, new: pl.DataFrame, *, key: Sequence[str], rule: EventRule
) -> pl.Series:
    """Return the numbers of the events of two partitions; see `bhds.core.events`."""
    rows = pl.concat(
        [old.with_columns(rank=pl.lit(0)), new.with_columns(rank=pl.lit(1))]
    )
    values = [name for name in old.columns if name not in key]
    return number_events(rows, key=key, rank="rank", values=values, rule=rule)


def _keyless_difference(old: pl.DataFrame, new: pl.DataFrame) -> RowDifference:
    """Count the rows that one partition has and the other lacks, or has fewer of."""
    columns = old.columns
    counts = (
        old.group_by(columns)
        .len("rows_before")
        .join(
            new.group_by(columns).len("rows_after"),
            on=columns,
            how="full",
            nulls_equal=True,
        )
        .select(pl.col("rows_before", "rows_after").fill_null(0).cast(pl.Int64))
    )
    more = counts["rows_after"] - counts["rows_before"]
    return RowDifference(
        rows_before=old.height,
        rows_after=new.height,
        rows_added=int(more.clip(lower_bound=0).sum()),
        rows_removed=int((-more).clip(lower_bound=0).sum()),
    )


def _column_difference(old: pl.Series, new: pl.Series) -> ColumnDifference:
    """Measure the change of values, all of which changed."""
    if not old.dtype.is_numeric():
        return ColumnDifference(old.len(), None, None)
    pairs = pl.DataFrame({"old": old, "new": new}).cast(pl.Float64)
    change = (pl.col("new") - pl.col("old")).abs()
    measured = pairs.select(
        change.max().alias("abs"),
        (change / pl.col("old").abs()).filter(pl.col("old") != 0).max().alias("rel"),
    )
    return ColumnDifference(old.len(), *measured.row(0))


def _greater(one: float | None, other: float | None) -> float | None:
    return max((value for value in (one, other) if value is not None), default=None)
