"""Proofs: bars made from results against published ones, trades against volumes."""

from dataclasses import dataclass

import polars as pl

from bhds.report.blocks import Column, Kind, Table, capped

AGREEMENT_COLUMNS = (
    *("symbol", "interval", "column", "compared", "equal", "off_grid"),
    *("worst", "worst_time"),
)
"""What is read of the agreement with published bars."""
VOLUME_COLUMNS = (
    *("symbol", "day", "compared_with", "trades_quantity", "bars_volume"),
    *("difference", "agrees"),
)
"""What is read of the volume checks."""

_LISTED = 2_000


@dataclass(frozen=True)
class Agreement:
    """How many values were compared, and how many are equal."""

    compared: int
    equal: int


def in_all(agreement: pl.DataFrame) -> Agreement:
    """Add up what `columns.AGREEMENT` counts."""
    compared, equal = agreement.select(pl.col("compared", "equal").sum()).row(0)
    return Agreement(compared, equal)


_BY_COLUMN = (
    Column("market", "Market", Kind.MARKET),
    Column("series", "Made from"),
    Column("interval", "Against"),
    Column("column", "Column"),
    Column("symbols", "Symbols", Kind.COUNT),
    Column("compared", "Bars compared", Kind.COUNT),
    Column("equal", "Equal", Kind.COUNT),
    Column("off_grid", "Off the grid", Kind.COUNT, "not compared"),
    Column("share", "Equal, %", Kind.SHARE),
    Column("worst", "Worst difference", Kind.NUMBER, "absolute"),
)


_DIFFERING = (
    Column("market", "Market", Kind.MARKET),
    Column("series", "Made from"),
    Column("symbol", "Symbol", Kind.SYMBOL),
    Column("interval", "Against"),
    Column("column", "Column"),
    Column("compared", "Bars compared", Kind.COUNT),
    Column("different", "Different", Kind.COUNT),
    Column("worst", "Worst difference", Kind.NUMBER, "absolute"),
    Column("worst_time", "Worst bar"),
)


_VOLUMES = (
    Column("market", "Market", Kind.MARKET),
    Column("symbol", "Symbol", Kind.SYMBOL),
    Column("day", "Day"),
    Column("compared_with", "Trades"),
    Column("trades_quantity", "Of trades", Kind.NUMBER),
    Column("bars_volume", "Of bars", Kind.NUMBER),
    Column("difference", "Difference", Kind.NUMBER),
    Column("part", "Part", Kind.CHANGE, "of the volume"),
)


def by_column(agreement: pl.DataFrame) -> Table:
    """Show how each column of resampled bars agrees, over all symbols of a market."""
    key = ("market", "series", "interval", "column")
    rows = (
        agreement.lazy()
        .group_by(key, maintain_order=True)
        .agg(
            symbols=pl.col("symbol").n_unique(),
            compared=pl.col("compared").sum(),
            equal=pl.col("equal").sum(),
            off_grid=pl.col("off_grid").sum(),
            worst=pl.col("worst").max(),
        )
        .with_columns(
            # Where nothing was compared, nothing is proven.
            share=pl.when(pl.col("compared") > 0).then(
                pl.col("equal") / pl.col("compared")
            )
        )
        .collect()
    )
    return Table(
        name="proofs-by-column",
        caption="Longer bars made from results, against those of the exchange",
        columns=_BY_COLUMN,
        rows=rows,
        if_empty="No bars of a longer interval are configured to compare results with.",
    )


def differing(agreement: pl.DataFrame, *, where: str) -> Table:
    """List the symbols of which bars differ, those with the most first.

    Those of which no bar was compared are listed too, unless all are off the grid.
    """
    differs = pl.col("equal") < pl.col("compared")
    is_unproven = (pl.col("compared") == 0) & (pl.col("off_grid") == 0)
    rows = (
        agreement.filter(differs | is_unproven)
        .with_columns(different=pl.col("compared") - pl.col("equal"))
        .sort(
            *("different", "market", "symbol", "interval", "column"),
            descending=[True] + 4 * [False],
        )
    )
    shown, note = capped(rows, at=_LISTED, where=where)
    return Table(
        name="proofs-differing",
        caption="Symbols of which bars differ, or none could be compared",
        columns=_DIFFERING,
        rows=shown,
        note=note,
        if_empty="Every bar that was compared is equal.",
    )


def volumes(checks: pl.DataFrame, *, where: str) -> Table:
    """List the days on which trades do not add up to the volume, the worst first."""
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
    return Table(
        name="volumes-table",
        caption="Days on which trades do not add up to the volume of the bars",
        columns=_VOLUMES,
        rows=shown,
        note=note,
        if_empty="On every day that was checked they do.",
    )
