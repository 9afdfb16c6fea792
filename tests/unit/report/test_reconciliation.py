"""Comparison of results with published bars, and of trades with volumes."""

import pytest

from bhds.report import reconciliation
from bhds.schemas import quality_tables

from .conftest import AS_OF, START, of_series


@pytest.fixture
def comparisons():
    rows = [
        ("A", "1h", "close", 10, 10, 1, 0.0, None),
        ("A", "1h", "volume", 10, 9, 1, 0.5, START),
        ("B", "1h", "close", 20, 20, 0, 0.0, None),
        ("B", "1h", "volume", 20, 15, 0, 0.25, START),
    ]
    return of_series(rows, quality_tables.RECONCILIATION)


def test_symbols_are_added_up_by_column(comparisons):
    rows = reconciliation.by_column(comparisons).values()

    assert [row[3:] for row in rows] == [
        ["close", 2, 30, 30, 1, 1.0, 0.0],
        ["volume", 2, 30, 24, 1, 0.8, 0.5],
    ]


def test_only_differences_are_listed_the_most_first(comparisons):
    table = reconciliation.differing(comparisons, where="reconciliation.parquet")

    assert [(row[2], row[6]) for row in table.values()] == [("B", 5), ("A", 1)]


@pytest.mark.parametrize(("off_grid", "listed"), [(0, ["C"]), (5, [])])
def test_a_symbol_without_a_compared_bar_has_no_share(off_grid, listed):
    row = ("C", "3d", "close", 0, 0, off_grid, None, None)
    frame = of_series([row], quality_tables.RECONCILIATION)

    (shares,) = reconciliation.by_column(frame).values()
    table = reconciliation.differing(frame, where="reconciliation.parquet")

    assert shares[-2] is None
    assert [row[2] for row in table.values()] == listed


def test_days_that_do_not_add_up_are_listed_the_worst_first():
    rows = [
        ("A", AS_OF, "trades", 10.0, 10.0, 0.0, 0, True),
        ("B", AS_OF, "aggTrades", 9.0, 10.0, -1.0, 0, False),
        ("C", AS_OF, "aggTrades", 0.0, 10.0, -10.0, 0, False),
        ("D", AS_OF, "aggTrades", 0.0, 10.0, -10.0, 3, None),
    ]

    table = reconciliation.volumes(
        of_series(rows, quality_tables.VOLUME_CHECKS), where="x"
    )

    assert [(row[1], row[-1]) for row in table.values()] == [("C", -1.0), ("B", -0.1)]
