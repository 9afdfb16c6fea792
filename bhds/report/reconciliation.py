"""Reconciliation of resampled bars with published ones, and of trades with volumes."""

import polars as pl

from bhds.report.blocks import (
    OF_SERIES,
    OF_SYMBOL,
    ColumnKind,
    ReportTable,
    TableColumn,
    capped,
)

RECONCILIATION_COLUMNS = (
    *("symbol", "interval", "column", "n_compared", "n_equal", "off_grid"),
    *("max_abs_diff", "max_abs_diff_time"),
)
"""Columns read from the comparison with published bars."""
VOLUME_COLUMNS = (
    *("symbol", "day", "compared_with", "trades_quantity", "bars_volume"),
    *("difference", "agrees"),
)
"""Columns read from the volume checks."""

_LISTED = 2_000


_BY_COLUMN = (
    *OF_SERIES,
    TableColumn("interval", "Resampled to"),
    TableColumn("column", "Column"),
    TableColumn("symbols", "Symbols", ColumnKind.COUNT),
    TableColumn("n_compared", "Bars compared", ColumnKind.COUNT),
    TableColumn("n_equal", "Equal", ColumnKind.COUNT),
    TableColumn("off_grid", "Off the grid", ColumnKind.COUNT, "not compared"),
    TableColumn("share", "Equal, %", ColumnKind.SHARE),
    TableColumn("max_abs_diff", "Largest difference", ColumnKind.NUMBER, "absolute"),
)


_DIFFERING = (
    *OF_SYMBOL,
    TableColumn("interval", "Resampled to"),
    TableColumn("column", "Column"),
    TableColumn("n_compared", "Bars compared", ColumnKind.COUNT),
    TableColumn("different", "Different", ColumnKind.COUNT),
    TableColumn("max_abs_diff", "Largest difference", ColumnKind.NUMBER, "absolute"),
    TableColumn("max_abs_diff_time", "Bar of the largest"),
)


_VOLUMES = (
    TableColumn("market", "Market", ColumnKind.MARKET),
    TableColumn("symbol", "Symbol", ColumnKind.SYMBOL),
    TableColumn("day", "Day"),
    TableColumn("compared_with", "Trades"),
    TableColumn("trades_quantity", "Of trades", ColumnKind.NUMBER),
    TableColumn("bars_volume", "Of bars", ColumnKind.NUMBER),
    TableColumn("difference", "Difference", ColumnKind.NUMBER),
    TableColumn("part", "Relative difference", ColumnKind.CHANGE, "to the volume"),
)


def by_column(reconciliation: pl.DataFrame) -> ReportTable:
    """Show how many values of each column are equal, over all symbols of a market."""
    key = ("market", "series", "interval", "column")
    rows = (
        reconciliation.lazy()
        .group_by(key, maintain_order=True)
        .agg(
            symbols=pl.col("symbol").n_unique(),
            n_compared=pl.col("n_compared").sum(),
            n_equal=pl.col("n_equal").sum(),
            off_grid=pl.col("off_grid").sum(),
            max_abs_diff=pl.col("max_abs_diff").max(),
        )
        .with_columns(
            share=pl.when(pl.col("n_compared") > 0).then(
                pl.col("n_equal") / pl.col("n_compared")
            )
        )
        .collect()
    )
    return ReportTable(
        name="reconciliation-by-column",
        caption="Resampled bars compared with published bars",
        columns=_BY_COLUMN,
        rows=rows,
        if_empty="No resampled bar could be compared.",
    )


def differing(reconciliation: pl.DataFrame, *, where: str) -> ReportTable:
    """List the symbols with different bars, most differences first.

    Symbols without a compared bar are listed too, unless all are off the grid.
    """
    differs = pl.col("n_equal") < pl.col("n_compared")
    is_unchecked = (pl.col("n_compared") == 0) & (pl.col("off_grid") == 0)
    rows = (
        reconciliation.filter(differs | is_unchecked)
        .with_columns(different=pl.col("n_compared") - pl.col("n_equal"))
        .sort(
            *("different", "market", "symbol", "interval", "column"),
            descending=[True] + 4 * [False],
        )
    )
    shown, note = capped(rows, at=_LISTED, where=where)
    return ReportTable(
        name="reconciliation-differing",
        caption="Symbols with different bars, or without a compared bar",
        columns=_DIFFERING,
        rows=shown,
        note=note,
        if_empty="All compared bars are equal.",
    )


def volumes(checks: pl.DataFrame, *, where: str) -> ReportTable:
    """List the days whose trades and volume differ, the largest difference first."""
    rows = (
        checks.filter(~pl.col("agrees"))
        .with_columns(part=pl.col("difference") / pl.col("bars_volume"))
        .sort(
            *(pl.col("part").abs(), "market", "symbol", "day"),
            descending=[True, False, False, False],
            nulls_last=True,
        )
    )
    shown, note = capped(rows, at=_LISTED, where=where)
    return ReportTable(
        name="volumes-table",
        caption="Days whose trades do not add up to the volume of the bars",
        columns=_VOLUMES,
        rows=shown,
        note=note,
        if_empty="The trades of all checked days add up.",
    )
