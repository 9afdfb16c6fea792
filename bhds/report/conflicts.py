"""Conflicts: bars that were published twice with different values."""

import polars as pl

from bhds.report.blocks import OF_SYMBOL, ColumnKind, ReportTable, TableColumn, capped

_VALUES = ("open", "high", "low", "close", "volume", "trade_count")
COLUMNS = (
    *("symbol", "open_time", "source", "key", *_VALUES),
    *(f"kept_{name}" for name in ("source", "key", *_VALUES)),
)
"""Columns read from the conflicts."""

_LISTED = 2_000

_TABLE = (
    *OF_SYMBOL,
    TableColumn("open_time", "Bar"),
    TableColumn("columns", "Differ in"),
    TableColumn(
        "difference",
        "Price difference",
        ColumnKind.SHARE,
        "the largest of the four prices",
    ),
    TableColumn("kept_source", "Kept"),
    TableColumn("kept_close", "Close kept", ColumnKind.NUMBER),
    TableColumn("close", "Close dropped", ColumnKind.NUMBER),
    TableColumn("kept_volume", "Volume kept", ColumnKind.NUMBER),
    TableColumn("volume", "Volume dropped", ColumnKind.NUMBER),
    TableColumn("source", "Dropped"),
    TableColumn("key", "Dropped from", hint="its zip; a dash for the API"),
)


def table(conflicts: pl.DataFrame, *, where: str) -> ReportTable:
    """List bars of which one version was dropped, the largest difference first.

    The difference is the largest relative one of the four prices.
    """
    prices = _VALUES[:4]
    differs = [
        pl.when(pl.col(name).ne_missing(pl.col(f"kept_{name}")))
        .then(pl.lit(name.replace("_", " ")))
        .otherwise(None)
        for name in _VALUES
    ]
    rows = conflicts.with_columns(
        columns=pl.concat_list(differs).list.drop_nulls().list.join(", "),
        difference=pl.max_horizontal(
            ((pl.col(name) - pl.col(f"kept_{name}")) / pl.col(f"kept_{name}")).abs()
            for name in prices
        ),
    ).sort(
        *("difference", "market", "symbol", "open_time"),
        descending=[True, False, False, False],
        nulls_last=True,
    )
    shown, note = capped(rows, at=_LISTED, where=where)
    return ReportTable(
        name="conflicts-table",
        caption="Bars with two values, the largest price difference first",
        columns=_TABLE,
        rows=shown.with_columns(pl.col("key").str.split("/").list.last()),
        note=note,
    )
