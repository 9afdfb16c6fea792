"""Totals at the head of the page."""

import polars as pl

from bhds.report.blocks import OF_SERIES, ColumnKind, Fact, ReportTable, TableColumn
from bhds.report.coverage import AVAILABLE_SHARE
from bhds.report.findings import Findings
from bhds.report.inputs import of_first_series

_COUNTS = ("days", "available", "degraded", "missing", "pending")
_TABLE = (
    *OF_SERIES,
    TableColumn("symbols", "Symbols", ColumnKind.COUNT),
    TableColumn("first_day", "First day"),
    TableColumn("last_day", "Last day"),
    TableColumn("days", "Symbol-days", ColumnKind.COUNT),
    TableColumn("share", "Available", ColumnKind.SHARE, "of the days that are due"),
    TableColumn("degraded", "Degraded", ColumnKind.COUNT, "rows are missing or wrong"),
    TableColumn("missing", "Missing", ColumnKind.COUNT, "days without a published row"),
    TableColumn("pending", "Pending", ColumnKind.COUNT, "days that are not due yet"),
    TableColumn("gaps", "Gaps", ColumnKind.COUNT, "a dash: not searched for"),
)


def facts(found: Findings, symbols: pl.DataFrame) -> list[Fact]:
    """Return the totals: days, gaps, equal values, conflicts, zips, API rows.

    Gaps are those of the first series of each market.

    Parameters
    ----------
    found
        All tables.
    symbols
        The counts of `coverage.by_symbol`.
    """
    names = symbols.select("market", "symbol").unique()
    days = {name: int(symbols[name].sum()) for name in _COUNTS}
    due = days["days"] - days["pending"]
    markets = counted(names["market"].n_unique(), "market")
    gaps = of_first_series(found.gaps)
    splits = gaps["split"].sum() if gaps.height else 0
    zips = found.integrity.series
    unusable = int(zips["corrupt"].sum()) + int(zips["vanished"].sum())
    comparisons = found.reconciliation
    compared, equal = (
        comparisons.select(pl.col("n_compared", "n_equal").sum()).row(0)
        if comparisons.height
        else (0, 0)
    )
    return [
        Fact("Symbols", f"{names.height:,}", f"in {markets}"),
        Fact(
            "Symbol-days complete",
            percent(days["available"], due),
            f"of {due:,} that are due",
        ),
        Fact("Days missing", f"{days['missing']:,}", f"{days['degraded']:,} degraded"),
        Fact("Gaps", f"{gaps.height:,}", f"{splits:,} split a history"),
        Fact(
            "Published values equal",
            percent(equal, compared),
            f"of {compared:,} compared"
            if comparisons.height
            else "no resampled bars to compare",
        ),
        Fact("Conflicts", f"{found.conflicts.height:,}", "bars with two values"),
        Fact("Zips", f"{zips['zips'].sum():,}", f"{unusable:,} unusable"),
        Fact("API rows", f"{rows_of_api(found):,}", "missing in the archive"),
    ]


def rows_of_api(found: Findings) -> int:
    """Return how many rows of all series come from the REST API."""
    return int(found.days["api"].sum()) if found.days.height else 0


def table(found: Findings, symbols: pl.DataFrame) -> ReportTable:
    """Show the symbols, days and gaps of each market and series."""
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
        .with_columns(share=AVAILABLE_SHARE)
        .join(_gaps(found, symbols), on=key, how="left", maintain_order="left")
    )
    return ReportTable(
        name="series",
        caption="Data of each market",
        columns=_TABLE,
        rows=rows,
    )


def _gaps(found: Findings, symbols: pl.DataFrame) -> pl.DataFrame:
    """Count the gaps of each market and series with a table of gaps."""
    key = ("market", "series")
    searched = [
        (table.trade_type.value, table.series)
        for table in found.tables
        if table.kind == "gaps"
    ]
    schema = {name: symbols.schema[name] for name in key}
    counts = found.gaps.group_by(key).agg(gaps=pl.len())
    return (
        pl.DataFrame(searched, schema=schema, orient="row")
        .join(counts, on=key, how="left")
        .with_columns(pl.col("gaps").fill_null(0))
    )


def percent(part: int, whole: int) -> str:
    """Return a share in per cent; only a share of 1 is `100 %`."""
    if not whole:
        return "–"
    if part == whole:
        return "100 %"
    return f"{min(part / whole * 100, 99.99):.2f} %"


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, in the plural unless it is 1."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
