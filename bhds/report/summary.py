"""What there is in all: the numbers that the page begins with."""

import polars as pl

from bhds.report import proofs
from bhds.report.blocks import Column, Fact, Kind, Table
from bhds.report.findings import Findings
from bhds.report.inputs import of_first_series

_COUNTS = ("days", "available", "degraded", "missing", "pending")
_TABLE = (
    Column("market", "Market", Kind.MARKET),
    Column("series", "Data"),
    Column("symbols", "Symbols", Kind.COUNT),
    Column("first_day", "First day"),
    Column("last_day", "Last day"),
    Column("days", "Symbol-days", Kind.COUNT),
    Column("share", "Available", Kind.SHARE, "of the days that are due"),
    Column("degraded", "Degraded", Kind.COUNT, "days with rows, but not all"),
    Column("missing", "Missing", Kind.COUNT, "days without a published row"),
    Column("pending", "Pending", Kind.COUNT, "days that are not due yet"),
    Column("gaps", "Gaps", Kind.COUNT, "none where there are no results"),
)


def facts(found: Findings, symbols: pl.DataFrame) -> list[Fact]:
    """Return the totals: days, gaps, conflicts, proofs, zips, API rows.

    Gaps are those of the series that stands first of each market.

    Parameters
    ----------
    found
        All that was read.
    symbols
        What `coverage.by_symbol` counted.
    """
    names = symbols.select("market", "symbol").unique()
    days = {name: int(symbols[name].sum()) for name in _COUNTS}
    due = days["days"] - days["pending"]
    markets = counted(names["market"].n_unique(), "market")
    gaps = of_first_series(found.gaps)
    splits = gaps["split"].sum() if gaps.height else 0
    zips = found.integrity.series
    unusable = int(zips["corrupt"].sum()) + int(zips["vanished"].sum())
    return [
        Fact("Symbols", f"{names.height:,}", f"in {markets}"),
        Fact(
            "Symbol-days complete",
            percent(days["available"], due),
            f"of {due:,} that are due",
        ),
        Fact("Days missing", f"{days['missing']:,}", f"{days['degraded']:,} degraded"),
        Fact("Gaps", f"{gaps.height:,}", f"{splits:,} split a history"),
        _proof(found),
        Fact("Conflicts", f"{found.conflicts.height:,}", "bars with two values"),
        Fact("Zips", f"{zips['zips'].sum():,}", f"{unusable:,} of no use"),
        Fact("API rows", f"{rows_of_api(found):,}", "that the archive lacks"),
    ]


def rows_of_api(found: Findings) -> int:
    """Return how many rows of all series come from the REST API."""
    return int(found.days["api"].sum()) if found.days.height else 0


def table(found: Findings, symbols: pl.DataFrame) -> Table:
    """Show what there is of each market and type of data."""
    key = ("market", "series")
    rows = (
        symbols.sort(key)
        .group_by(key, maintain_order=True)
        .agg(
            pl.len().alias("symbols"),
            pl.col("first_day").min(),
            pl.col("last_day").max(),
            pl.col(_COUNTS).sum(),
        )
        .with_columns(
            share=pl.when(pl.col("days") > pl.col("pending")).then(
                pl.col("available") / (pl.col("days") - pl.col("pending"))
            )
        )
        .join(_gaps(found, symbols), on=key, how="left", maintain_order="left")
    )
    return Table(
        name="series",
        caption="What there is of each market",
        columns=_TABLE,
        rows=rows,
    )


def _gaps(found: Findings, symbols: pl.DataFrame) -> pl.DataFrame:
    """Count the gaps of each market and series in which they are looked for."""
    key = ("market", "series")
    looked_for = [
        (table.trade_type.value, table.series)
        for table in found.tables
        if table.kind == "gaps"
    ]
    schema = {name: symbols.schema[name] for name in key}
    counts = found.gaps.group_by(key).agg(gaps=pl.len())
    return (
        pl.DataFrame(looked_for, schema=schema, orient="row")
        .join(counts, on=key, how="left")
        .with_columns(pl.col("gaps").fill_null(0))
    )


def percent(part: int, whole: int) -> str:
    """Write a part in per cent; one that is not all of it never as 100 %."""
    if not whole:
        return "–"
    if part == whole:
        return "100 %"
    return f"{min(part / whole * 100, 99.99):.2f} %"


def counted(number: int, noun: str) -> str:
    """Write a number of things."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _proof(found: Findings) -> Fact:
    if found.agreement.is_empty():
        return Fact("Published values equal", "–", "no longer bars to compare with")
    agreement = proofs.in_all(found.agreement)
    return Fact(
        "Published values equal",
        percent(agreement.equal, agreement.compared),
        f"of {agreement.compared:,} compared",
    )
