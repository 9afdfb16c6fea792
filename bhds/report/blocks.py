"""The elements of the page: sections with sentences, totals, figures and tables."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import polars as pl


class ColumnKind(StrEnum):
    """How the values of a column are shown, sorted and aligned."""

    TEXT = "text"
    PROSE = "prose"
    """Text of some length, on several lines if need be."""
    MARKET = "market"
    """The market; the page's filter acts on it."""
    SYMBOL = "symbol"
    """The symbol; the page's filter acts on it."""
    COUNT = "count"
    """A whole number, with separators of thousands."""
    NUMBER = "number"
    """A number of any size, to six digits."""
    SHARE = "share"
    """A part of 1, shown in per cent."""
    CHANGE = "change"
    """A change as a part of what was, shown in per cent with its sign."""
    SPAN = "span"
    """A length of time: seconds, shown as days, hours and minutes."""
    BYTES = "bytes"


@dataclass(frozen=True)
class TableColumn:
    """One column of a table."""

    name: str
    """Its name in the frame."""
    title: str
    kind: ColumnKind = ColumnKind.TEXT
    hint: str | None = None
    """What it means, where the title does not say it."""


OF_SERIES = (
    TableColumn("market", "Market", ColumnKind.MARKET),
    TableColumn("series", "Data"),
)
OF_SYMBOL = (*OF_SERIES, TableColumn("symbol", "Symbol", ColumnKind.SYMBOL))
"""The columns that most tables begin with."""


@dataclass(frozen=True)
class ReportTable:
    """A table that can be searched, sorted and turned page by page."""

    name: str
    """Unique in the page: letters and hyphens."""
    caption: str
    columns: Sequence[TableColumn]
    rows: pl.DataFrame
    """Columns of other names are omitted."""
    note: str | None = None
    """How many rows are omitted, and which file has all."""
    if_empty: str = "There are none."

    def values(self) -> list[list[Any]]:
        """Return the rows as JSON can hold them.

        Times (UTC) are cut to the minute unless they have seconds, durations are
        seconds, and floats that are no numbers are null.
        """
        plain = self.rows.select(
            _plain(pl.col(column.name), dtype=self.rows.schema[column.name])
            for column in self.columns
        )
        return [list(row) for row in plain.iter_rows()]


@dataclass(frozen=True)
class Figure:
    """A Plotly figure."""

    name: str
    """Unique in the page: letters, digits and hyphens."""
    title: str
    description: str
    """The text alternative, for screen readers."""
    plot: dict[str, Any]
    """`data` and `layout`, as JSON can hold them."""
    market: str | None = None
    """The market or symbol of a figure of one alone; the page's filter acts on it."""
    symbol: str | None = None


@dataclass(frozen=True)
class Heatmap:
    """Months by symbols: see `coverage.heatmap`."""

    name: str
    title: str
    description: str
    series: list[dict[str, Any]]
    levels: list[dict[str, str]]
    """Name, colour and meaning of each level of a cell."""


@dataclass(frozen=True)
class Fact:
    """A total at the head of the page."""

    label: str
    value: str
    remark: str = ""


@dataclass(frozen=True)
class Section:
    """A part of the page with its heading."""

    name: str
    title: str
    sentences: Sequence[str] = ()
    facts: Sequence[Fact] = ()
    blocks: Sequence[ReportTable | Figure | Heatmap] = field(default_factory=tuple)


def capped(rows: pl.DataFrame, *, at: int, where: str) -> tuple[pl.DataFrame, str]:
    """Cut rows to the first `at`, and return a sentence about the omitted ones.

    Parameters
    ----------
    rows
        n >= 0 rows, the most important first.
    at
        Maximum number of rows shown.
    where
        The files with all rows, as in `results_data/spot/quality/gaps-1m.parquet`.

    Returns
    -------
    tuple of polars.DataFrame and str
        At most `at` rows, and the sentence.
    """
    if rows.height <= at:
        return rows, f"All {rows.height:,} are shown; the full table is {where}."
    return rows.head(at), f"{at:,} of {rows.height:,} are shown; all are in {where}."


def _plain(column: pl.Expr, *, dtype: pl.DataType) -> pl.Expr:
    if isinstance(dtype, pl.Datetime):
        text = column.dt.strftime("%Y-%m-%d %H:%M:%S")
        return text.str.strip_suffix(":00")
    if isinstance(dtype, pl.Date):
        return column.dt.strftime("%Y-%m-%d")
    if isinstance(dtype, pl.Duration):
        return column.dt.total_seconds()
    if dtype.is_float():
        return pl.when(column.is_finite()).then(column)
    return column.cast(pl.String) if isinstance(dtype, pl.Enum) else column
