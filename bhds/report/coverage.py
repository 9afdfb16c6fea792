"""Coverage of days by symbol: per month for the heat map, and in total."""

from typing import Any

import polars as pl

from bhds.report.blocks import (
    OF_SERIES,
    OF_SYMBOL,
    ColumnKind,
    Heatmap,
    ReportTable,
    TableColumn,
    capped,
)

COLUMNS = (
    *("symbol", "day", "condition", "reason", "conflicts", "last_modified"),
    *("daily", "monthly", "api", "filled"),
)
"""Columns read from the day conditions."""

_COUNTED = ("available", "degraded", "missing", "pending")
"""Conditions of a listed day."""
_SHOWN = 10_000
_MUCH = 0.1
"""Share of degraded days in a month above which its level is `degraded`."""

LEVELS = (
    ("pending", "#a9b0ba", "not due yet"),
    ("available", "#3f7fb5", "every day complete"),
    ("touched", "#f3d896", "up to a tenth of the days degraded"),
    ("degraded", "#e39a1e", "more than a tenth of the days degraded"),
    ("lacking", "#cf4f1d", "some days missing"),
    ("missing", "#9e1a5c", "every day missing"),
)
"""Level of a month of a symbol, from harmless to worst; its colour, which differs from
the others in lightness too; its meaning. Months before and after the listing period
have no level."""

AVAILABLE_SHARE = pl.when(pl.col("days") > pl.col("pending")).then(
    pl.col("available") / (pl.col("days") - pl.col("pending"))
)
"""The available part of the days that are due; null without any."""

_BASE = 32
_DIGITS = "0123456789abcdefghijklmnopqrstuv"


_TABLE = (
    *OF_SYMBOL,
    TableColumn("first_day", "First day"),
    TableColumn("last_day", "Last day"),
    TableColumn("days", "Days", ColumnKind.COUNT, "days while listed"),
    TableColumn("share", "Available", ColumnKind.SHARE, "of the days that are due"),
    TableColumn(
        "degraded",
        "Degraded",
        ColumnKind.COUNT,
        "rows are missing or wrong",
    ),
    TableColumn("missing", "Missing", ColumnKind.COUNT, "days without a published row"),
    TableColumn("pending", "Pending", ColumnKind.COUNT, "days that are not due yet"),
    TableColumn("gaps", "Gaps", ColumnKind.COUNT, "a dash: none, or not searched for"),
    TableColumn(
        "lost", "Time in gaps", ColumnKind.SPAN, "without the time after the last trade"
    ),
    TableColumn(
        "conflicts", "Conflicts", ColumnKind.COUNT, "days with a conflicting row"
    ),
    TableColumn("reason", "Most frequent reason"),
    TableColumn("last_modified", "Archive changed", hint="time of the newest zip"),
)


_BY_REASON = (
    *OF_SERIES,
    TableColumn("reason", "Reason"),
    TableColumn("symbols", "Symbols", ColumnKind.COUNT),
    TableColumn("days", "Days", ColumnKind.COUNT),
    TableColumn("first_day", "First day"),
    TableColumn("last_day", "Last day"),
)


def by_month(days: pl.DataFrame) -> pl.DataFrame:
    """Count the days of each month of each symbol by their condition.

    Parameters
    ----------
    days
        n >= 0 rows, one a day, of `quality_tables.CONDITION`, with `market` and
        `series`.

    Returns
    -------
    polars.DataFrame
        One row for each `market`, `series`, `symbol` and `month` (the first of it, a
        Date): `available`, `degraded`, `missing`, `pending` (Int64, days), and `level`
        (Int8), the position in `LEVELS` or null. Sorted by the four.
    """
    key = ("market", "series", "symbol", "month")
    counts = [
        (pl.col("condition") == name).sum().cast(pl.Int64).alias(name)
        for name in _COUNTED
    ]
    return (
        days.lazy()
        .with_columns(month=pl.col("day").dt.truncate("1mo"))
        .group_by(key)
        .agg(counts)
        .with_columns(level=_level())
        .sort(key)
        .collect()
    )


def heatmap(months: pl.DataFrame) -> Heatmap:
    """Lay out the counts of `by_month` per series, the worst symbols first.

    Each month of a symbol is one digit: the position in `LEVELS`, and the days of each
    condition to the base of 32; a space for 0 days. A thousand symbols over seven
    years take half a megabyte.
    """
    parts = months.partition_by("market", "series", maintain_order=True)
    return Heatmap(
        name="coverage-map",
        title="Days by symbol and month",
        description=(
            "One row per symbol, one column per month, coloured by the condition of "
            "the days. The table below has the same counts in numbers."
        ),
        series=[_laid_out(part) for part in parts],
        levels=[
            {"name": name, "colour": colour, "meaning": meaning}
            for name, colour, meaning in LEVELS
        ],
    )


def by_symbol(days: pl.DataFrame) -> pl.DataFrame:
    """Count the days of each symbol by their condition, the worst first.

    Parameters
    ----------
    days
        As `by_month` takes them.

    Returns
    -------
    polars.DataFrame
        One row for each `market`, `series` and `symbol`: `first_day`, `last_day` (Date,
        of listed days; null without one), `days`, the counts of the conditions,
        `share` (the available part of the days that are due, null without any),
        `conflicts` (days that have one), `reason` (the most frequent one of days that
        are not `available`, null without any) and `last_modified` (UTC).
    """
    key = ("market", "series", "symbol")
    is_counted = pl.col("condition").is_in(_COUNTED)
    counts = [(pl.col("condition") == name).sum().alias(name) for name in _COUNTED]
    totals = (
        days.lazy()
        .group_by(key)
        .agg(
            pl.col("day").filter(is_counted).min().alias("first_day"),
            pl.col("day").filter(is_counted).max().alias("last_day"),
            is_counted.sum().alias("days"),
            *counts,
            (pl.col("conflicts") > 0).sum(),
            pl.col("last_modified").max(),
        )
        .with_columns(share=AVAILABLE_SHARE)
    )
    return (
        totals.join(_reasons(days.lazy().filter(is_counted), key), on=key, how="left")
        .sort(
            *("missing", "degraded", *key),
            descending=[True, True, False, False, False],
        )
        .collect()
    )


def symbol_table(
    symbols: pl.DataFrame, gaps: pl.DataFrame, *, where: str
) -> ReportTable:
    """Show the counts of `by_symbol` and of `gaps.by_symbol`."""
    key = ["market", "series", "symbol"]
    joined = symbols.join(gaps, on=key, how="left", maintain_order="left")
    rows, note = capped(joined, at=_SHOWN, where=where)
    return ReportTable(
        name="coverage-table",
        caption="Days by symbol, most missing days first",
        columns=_TABLE,
        rows=rows,
        note=note,
        if_empty="No dataset is parsed.",
    )


def by_reason(days: pl.DataFrame) -> ReportTable:
    """Count the days that are degraded or missing by their reason, in each series."""
    key = ("market", "series", "reason")
    rows = (
        days.lazy()
        .filter(pl.col("condition").is_in(["degraded", "missing"]))
        .group_by(key)
        .agg(
            symbols=pl.col("symbol").n_unique(),
            days=pl.len(),
            first_day=pl.col("day").min(),
            last_day=pl.col("day").max(),
        )
        .sort(key)
        .collect()
    )
    return ReportTable(
        name="coverage-reasons",
        caption="Days that are degraded or missing, by reason",
        columns=_BY_REASON,
        rows=rows,
        if_empty="Every day is available.",
    )


def _level() -> pl.Expr:
    due = pl.sum_horizontal("available", "degraded", "missing")
    places = {name: place for place, (name, _, _) in enumerate(LEVELS)}
    rules = (
        ((due == 0) & (pl.col("pending") == 0), None),
        (due == 0, "pending"),
        (pl.col("missing") == due, "missing"),
        (pl.col("missing") > 0, "lacking"),
        (pl.col("degraded") > _MUCH * due, "degraded"),
        (pl.col("degraded") > 0, "touched"),
    )
    level = pl.lit(places["available"])
    for condition, name in reversed(rules):
        level = (
            pl.when(condition)
            .then(pl.lit(None if name is None else places[name]))
            .otherwise(level)
        )
    return level.cast(pl.Int8)


def _laid_out(months: pl.DataFrame) -> dict[str, Any]:
    """Return the months of one series as one string per symbol."""
    grid = months.select(
        pl.date_range(pl.min("month"), pl.max("month"), interval="1mo")
    ).to_series()
    columns = ("level", *_COUNTED)
    digits = [
        pl.col(name).replace_strict(
            range(_BASE), list(_DIGITS), default=" ", return_dtype=pl.String
        )
        for name in columns
    ]
    symbols = (
        months.select("symbol", "month")
        .select(pl.col("symbol").unique().sort())
        .join(pl.DataFrame({"month": grid}), how="cross")
        .join(months, on=["symbol", "month"], how="left")
        .with_columns(pl.col(_COUNTED).replace(0, None))
        .group_by("symbol", maintain_order=True)
        .agg(
            *(digit.str.join("") for digit in digits),
            worst=pl.struct(pl.col("missing").sum(), pl.col("degraded").sum()),
        )
        .sort("worst", "symbol", descending=[True, False], maintain_order=True)
    )
    return {
        "market": months["market"][0],
        "series": months["series"][0],
        "months": grid.dt.strftime("%Y-%m").to_list(),
        "symbols": symbols["symbol"].to_list(),
        # Most rows end with many spaces.
        **{name: symbols[name].str.strip_chars_end(" ").to_list() for name in columns},
    }


def _reasons(days: pl.LazyFrame, key: tuple[str, ...]) -> pl.LazyFrame:
    """Pick the most frequent reason of each symbol; of equals, the first by name."""
    return (
        days.filter(pl.col("reason").is_not_null())
        .group_by(*key, "reason")
        .len()
        .sort("len", "reason", descending=[True, False])
        .group_by(key, maintain_order=True)
        .agg(pl.col("reason").first())
    )
