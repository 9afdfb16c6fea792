"""Bars with two values."""

from bhds.core.markets import TradeType
from bhds.report import conflicts
from bhds.schemas import quality_tables

from .conftest import conflict_row, of_series, rows_of


def test_a_conflict_names_the_columns_that_differ_and_the_worst_stands_first():
    rows = [
        conflict_row("A", close=10.1, kept_close=10.0),
        conflict_row("B", close=15.0, kept_close=10.0),
        conflict_row("C", close=10.0, kept_close=10.0) | {"volume": 7.0},
    ]
    frame = of_series(rows, quality_tables.conflicts(TradeType.SPOT))

    found = rows_of(conflicts.table(frame, where="conflicts.parquet"))

    assert [row["symbol"] for row in found] == ["B", "A", "C"]
    assert [row["columns"] for row in found] == ["close", "close", "volume"]
    assert found[0]["difference"] == 0.5
    assert (found[0]["kept_close"], found[0]["close"]) == (10.0, 15.0)
    assert (found[0]["kept_source"], found[0]["source"]) == ("daily", "api")
    assert found[0]["key"] is None  # it came from the API
