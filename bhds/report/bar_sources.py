"""Source of rows: daily or monthly zips, the API, or forward fill."""

import polars as pl

from bhds.report.blocks import OF_SERIES, ColumnKind, ReportTable, TableColumn

SOURCES = {
    "monthly": "#3f7fb5",
    "daily": "#8fc1e3",
    "api": "#e39a1e",
    "filled": "#9e1a5c",
}
"""The sources, each with its colour."""

_TABLE = (
    *OF_SERIES,
    TableColumn("rows", "Rows", ColumnKind.COUNT),
    TableColumn("monthly", "Monthly zips", ColumnKind.COUNT),
    TableColumn("daily", "Daily zips", ColumnKind.COUNT),
    TableColumn("api", "API", ColumnKind.COUNT),
    TableColumn("api_share", "API, %", ColumnKind.SHARE),
    TableColumn("filled", "Filled", ColumnKind.COUNT, "never published"),
    TableColumn("filled_share", "Filled, %", ColumnKind.SHARE),
)


def by_month(days: pl.DataFrame) -> pl.DataFrame:
    """Add up the rows of each source by market, series and month.

    Parameters
    ----------
    days
        n >= 0 rows, one a day, of `quality_tables.CONDITION`, with `market` and
        `series`.

    Returns
    -------
    polars.DataFrame
        One row for each `market`, `series` and `month` (its first, Date): `daily`,
        `monthly`, `api`, `filled` (Int64). Sorted by the three.
    """
    key = ("market", "series", "month")
    return (
        days.lazy()
        .with_columns(month=pl.col("day").dt.truncate("1mo"))
        .group_by(key)
        .agg(pl.col(list(SOURCES)).cast(pl.Int64).sum())
        .sort(key)
        .collect()
    )


def table(months: pl.DataFrame) -> ReportTable:
    """Show the totals of `by_month` per series, with shares."""
    rows = (
        months.group_by("market", "series", maintain_order=True)
        .agg(pl.col(list(SOURCES)).sum())
        .with_columns(rows=pl.sum_horizontal(list(SOURCES)))
        .with_columns(
            (pl.col(name) / pl.col("rows")).alias(f"{name}_share")
            for name in ("api", "filled")
        )
    )
    return ReportTable(
        name="sources-table",
        caption="Rows by source",
        columns=_TABLE,
        rows=rows,
        if_empty="No dataset is parsed.",
    )
