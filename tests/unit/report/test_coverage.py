"""Days counted by month and by symbol."""

import datetime as dt

import polars as pl
import pytest

from bhds.report import coverage
from bhds.schemas import quality_tables

from .conftest import day_rows, of_series, rows_of

LEVEL = {name: place for place, (name, _, _) in enumerate(coverage.LEVELS)}


def days_of(**conditions):
    """Make the days of symbols of spot klines, from 2025-01-30 on."""
    rows = [
        row
        for symbol, names in conditions.items()
        for row in day_rows(symbol, conditions=names)
    ]
    return of_series(rows, quality_tables.CONDITION)


@pytest.mark.parametrize(
    ("names", "level"),
    [
        pytest.param(["available"] * 2, "available", id="all available"),
        pytest.param(["pending"] * 2, "pending", id="nothing is due"),
        pytest.param(["available", "pending"], "available", id="the due are there"),
        pytest.param(["degraded", "available"], "degraded", id="half degraded"),
        pytest.param(["missing", "available"], "lacking", id="half missing"),
        pytest.param(["missing", "degraded"], "lacking", id="missing and degraded"),
        pytest.param(["missing", "pending"], "missing", id="all due are missing"),
        pytest.param(["not_listed"] * 2, None, id="not listed"),
    ],
)
def test_a_month_has_the_level_of_its_days(names, level):
    (found,) = coverage.by_month(days_of(A=names)).rows(named=True)

    assert found["month"] == dt.date(2025, 1, 1)
    assert found["level"] == (None if level is None else LEVEL[level])


def test_one_degraded_day_of_a_whole_month_only_touches_it():
    days = ["available"] * 2 + ["degraded"] + ["available"] * 27

    months = coverage.by_month(days_of(A=days))

    assert months["degraded"].to_list() == [0, 1]
    assert months["level"].to_list() == [LEVEL["available"], LEVEL["touched"]]


def test_the_heat_map_has_a_digit_a_month_and_the_worst_symbols_first():
    days = days_of(
        GOOD=["available"] * 5,
        LATE=["not_listed"] * 2 + ["available"] * 12,
        BAD=["missing"] * 2,
    )

    (series,) = coverage.heatmap(coverage.by_month(days)).series

    assert series["market"] == "spot"
    assert series["months"] == ["2025-01", "2025-02"]
    assert series["symbols"] == ["BAD", "GOOD", "LATE"]
    whole = str(LEVEL["available"])
    assert series["level"] == [str(LEVEL["missing"]), whole * 2, f" {whole}"]
    assert series["available"] == ["", "23", " c"]  # 12 days to the base of 32
    assert series["missing"] == ["2", "", ""]


def test_a_symbol_has_its_counts_its_days_and_its_commonest_reason():
    days = days_of(A=["not_listed", "available", "degraded", "missing", "pending"])

    (found,) = coverage.by_symbol(days).rows(named=True)

    assert found["first_day"] == dt.date(2025, 1, 31)
    assert found["last_day"] == dt.date(2025, 2, 3)
    counts = [found[n] for n in ("days", "available", "degraded", "missing", "pending")]
    assert counts == [4, 1, 1, 1, 1]
    assert found["share"] == pytest.approx(1 / 3)
    assert found["reason"] == "halt"
    assert found["conflicts"] == 1


def test_symbols_that_lack_most_stand_first():
    days = days_of(A=["available"], B=["missing"], C=["degraded"])

    symbols = coverage.by_symbol(days)

    assert symbols["symbol"].to_list() == ["B", "C", "A"]


def test_a_symbol_has_its_gaps_beside_its_days():
    symbols = coverage.by_symbol(days_of(A=["available"], B=["missing"]))
    of_a = {"market": ["spot"], "series": ["klines 1m"], "symbol": ["A"]}
    lost = dt.timedelta(hours=3)
    gaps = pl.DataFrame({**of_a, "gaps": [2], "lost": [lost]})

    table = coverage.symbol_table(symbols, gaps, where="x.parquet")

    assert [(row["symbol"], row["gaps"], row["lost"]) for row in rows_of(table)] == [
        ("B", None, None),
        ("A", 2, 3 * 3600),
    ]


def test_days_are_counted_by_their_reason():
    start = dt.date(2024, 1, 1)
    rows = [
        ("A", 0, "degraded", "impossible_values"),
        ("A", 1, "missing", "missing_file"),
        ("B", 3, "degraded", "impossible_values"),
        ("B", 4, "available", None),
        ("B", 5, "pending", "not_published"),
    ]
    days = of_series(rows, ["symbol", "day", "condition", "reason"])
    days = days.with_columns(day=pl.lit(start) + pl.duration(days="day"))

    table = coverage.by_reason(days)

    third = start + dt.timedelta(days=3)
    assert table.rows.select("reason", "symbols", "days", "last_day").rows() == [
        ("impossible_values", 2, 2, third),
        ("missing_file", 1, 1, start + dt.timedelta(days=1)),
    ]
