"""Zips that the exchange replaced: when it was noticed, and which values changed."""

import polars as pl

from bhds import layout
from bhds.report.blocks import OF_SYMBOL, ColumnKind, ReportTable, TableColumn, capped

_LISTED = 2_000

_TABLE = (
    *OF_SYMBOL,
    TableColumn("file", "Zip"),
    TableColumn("kind", "How", hint="revised, or superseded by other zips"),
    TableColumn("noticed_at", "Noticed"),
    TableColumn("first_day", "From"),
    TableColumn("last_day", "To"),
    TableColumn("rows_added", "Rows added", ColumnKind.COUNT),
    TableColumn("rows_removed", "Removed", ColumnKind.COUNT),
    TableColumn("rows_changed", "Changed", ColumnKind.COUNT),
    TableColumn("columns", "In columns"),
    TableColumn(
        "max_rel_change",
        "Largest change",
        ColumnKind.SHARE,
        "relative to the old value",
    ),
)


def by_zip(changes: pl.DataFrame) -> pl.DataFrame:
    """Join the changed columns of a zip in one row.

    Parameters
    ----------
    changes
        n >= 0 rows of `REVISIONS`.

    Returns
    -------
    polars.DataFrame
        One row per `key` and change of hash, though it was recorded twice, as after a
        kill: `market`, `series`, `symbol`, `file`, `noticed_at` (first),
        `first_day`, `last_day`, `kind` (`revised` or `superseded`), `rows_added`,
        `rows_removed`, `rows_changed` (null where they could not be compared),
        `columns` (names of the changed ones) and `max_rel_change` (of all of them).
        Zips with changed rows first, then the newest.
    """
    names = pl.col("column").drop_nulls().unique().sort().str.join(", ")
    return (
        changes.lazy()
        .group_by("key", "old_sha256", "new_sha256")
        .agg(
            pl.col("trade_type").first().alias("market"),
            pl.concat_str("data_type", "interval", separator=" ", ignore_nulls=True)
            .first()
            .alias("series"),
            pl.col("symbol", "first_day", "last_day").first(),
            pl.col("rows_added", "rows_removed", "rows_changed").first(),
            pl.col("noticed_at").min(),
            names.alias("columns"),
            pl.col("max_rel_change").max(),
        )
        .with_columns(
            file=pl.col("key").str.split("/").list.last(),
            kind=pl.when(pl.col("new_sha256").is_null())
            .then(pl.lit("superseded"))
            .otherwise(pl.lit("revised")),
            changed=pl.sum_horizontal("rows_added", "rows_removed", "rows_changed") > 0,
        )
        .sort(
            *("changed", "noticed_at", "key", "old_sha256", "new_sha256"),
            descending=[True, True, False, False, False],
            nulls_last=True,
        )
        .collect()
    )


def table(zips: pl.DataFrame) -> ReportTable:
    """Show the rows of `by_zip`."""
    rows, note = capped(zips, at=_LISTED, where=layout.REVISIONS)
    return ReportTable(
        name="revisions-table",
        caption="Replaced zips, those with changed rows first",
        columns=_TABLE,
        rows=rows,
        note=note,
        if_empty="No zip was replaced after its first download.",
    )
