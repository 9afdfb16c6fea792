"""Gaps between trades: by class and month, and the longest of each class."""

import polars as pl

from bhds.report.blocks import (
    OF_SERIES,
    OF_SYMBOL,
    ColumnKind,
    ReportTable,
    TableColumn,
)

COLUMNS = (
    *("symbol", "prev_open_time", "next_open_time", "missing_bars", "untraded_bars"),
    *("duration", "price_change", "split", "absent_days", "api", "class"),
    *("n_peers", "n_peers_silent", "outage"),
)
"""Columns read from the classified gaps."""

CLASSES = {
    "outage": ("#0072b2", "the whole exchange halted"),
    "missing_file": ("#d55e00", "the archive has no file"),
    "truncated": ("#e69f00", "a file ends early"),
    "halt": ("#cc79a7", "trading of the symbol halted"),
    "relisting": ("#009e73", "delisted, and listed again"),
    "unexplained": ("#7f8793", "no source explains it"),
    "delisted_tail": (
        "#a6761d",
        "delisted; bars without trades after the last trade are omitted",
    ),
}
"""Colour and meaning of each class. All colours but the last two are from the palette
of Okabe and Ito, which colour-blind people can distinguish."""

_LISTED = 250
"""Maximum number of gaps listed per class, market and series."""

_BY_CLASS = (
    *OF_SERIES,
    TableColumn("class", "Class"),
    TableColumn("meaning", "Meaning"),
    TableColumn("gaps", "Gaps", ColumnKind.COUNT),
    TableColumn("symbols", "Symbols", ColumnKind.COUNT),
    TableColumn("missing", "Bars missing", ColumnKind.COUNT, "never published"),
    TableColumn("untraded", "Without trades", ColumnKind.COUNT, "published bars"),
    TableColumn("split", "Splits", ColumnKind.COUNT, "gaps that begin a new segment"),
    TableColumn("longest", "Longest", ColumnKind.SPAN),
)


_LONGEST = (
    *OF_SYMBOL,
    TableColumn("class", "Class"),
    TableColumn("prev_open_time", "Last trade"),
    TableColumn("next_open_time", "Next trade", hint="a dash: not traded since"),
    TableColumn("duration", "Length", ColumnKind.SPAN),
    TableColumn("missing_bars", "Bars missing", ColumnKind.COUNT, "never published"),
    TableColumn("untraded_bars", "Without trades", ColumnKind.COUNT, "published bars"),
    TableColumn("price_change", "Price", ColumnKind.CHANGE),
    TableColumn("splits", "Splits", hint="whether a new segment begins"),
    TableColumn("absent_days", "Days without file", ColumnKind.COUNT),
    TableColumn("api", "API response"),
    TableColumn("others", "Others silent", hint="of the other symbols then traded"),
)


def by_month(gaps: pl.DataFrame) -> pl.DataFrame:
    """Count the gaps that begin in each month, by market, series and class.

    Returns
    -------
    polars.DataFrame
        One row for each `market`, `series`, `class` and `month` (its first, Date) that
        has any: `gaps` and `symbols` (UInt32). Sorted by the four.
    """
    key = ("market", "series", "class", "month")
    return (
        gaps.lazy()
        .with_columns(month=pl.col("prev_open_time").dt.date().dt.truncate("1mo"))
        .group_by(key)
        .agg(gaps=pl.len(), symbols=pl.col("symbol").n_unique())
        .sort(key)
        .collect()
    )


def by_class(gaps: pl.DataFrame) -> ReportTable:
    """Show the number and length of the gaps of each class."""
    rows = (
        gaps.lazy()
        .group_by("market", "series", "class")
        .agg(
            gaps=pl.len(),
            symbols=pl.col("symbol").n_unique(),
            missing=pl.col("missing_bars").sum(),
            untraded=pl.col("untraded_bars").sum(),
            split=pl.col("split").sum(),
            longest=pl.col("duration").max(),
        )
        .sort("market", "series", "class")
        .collect()
    )
    meanings = {name: meaning for name, (_, meaning) in CLASSES.items()}
    return ReportTable(
        name="gaps-by-class",
        caption="Gaps by class",
        columns=_BY_CLASS,
        rows=rows.with_columns(
            meaning=pl.col("class").cast(pl.String).replace(meanings)
        ),
    )


def by_symbol(gaps: pl.DataFrame) -> pl.DataFrame:
    """Count the gaps of each symbol, and add up how long they last.

    Returns
    -------
    polars.DataFrame
        One row for each `market`, `series` and `symbol` that has any: `gaps` (UInt32)
        and `lost` (Duration), without the time after its last trade.
    """
    lasts = pl.col("duration").filter(pl.col("class") != "delisted_tail")
    return gaps.group_by("market", "series", "symbol").agg(
        gaps=pl.len(), lost=lasts.sum()
    )


def longest(gaps: pl.DataFrame, *, where: str) -> ReportTable:
    """List the longest gaps of each class of each market and series, longest first."""
    rank = pl.col("duration").rank("ordinal", descending=True)
    shown = gaps.filter(rank.over("market", "series", "class") <= _LISTED).sort(
        *("duration", "market", "symbol", "prev_open_time"),
        descending=[True, False, False, False],
    )
    note = (
        f"All {gaps.height:,} are shown; the full table is {where}."
        if shown.height == gaps.height
        else f"{shown.height:,} of {gaps.height:,} are shown, the {_LISTED} longest of "
        f"each class in each market; all are in {where}."
    )
    return ReportTable(
        name="gaps-longest",
        caption="The longest gaps of each class",
        columns=_LONGEST,
        rows=shown.with_columns(
            others=pl.format("{} of {}", "n_peers_silent", "n_peers"),
            splits=pl.when("split").then(pl.lit("yes")).otherwise(pl.lit("")),
        ),
        note=note,
    )
