"""Agreement with published bars, and of trades with volumes."""

import polars as pl
import pytest

from bhds.report import proofs
from bhds.schemas import klines

from .conftest import AS_OF, START


@pytest.fixture
def agreement():
    rows = [
        ("A", "1h", "close", 10, 10, 1, 0.0, None),
        ("A", "1h", "volume", 10, 9, 1, 0.5, START),
        ("B", "1h", "close", 20, 20, 0, 0.0, None),
        ("B", "1h", "volume", 20, 15, 0, 0.25, START),
    ]
    frame = pl.DataFrame(rows, schema=klines.AGREEMENT, orient="row")
    return frame.with_columns(market=pl.lit("spot"), series=pl.lit("klines 1m"))


def test_all_values_are_added_up(agreement):
    assert proofs.in_all(agreement) == proofs.Agreement(compared=60, equal=54)


def test_symbols_are_added_up_by_column(agreement):
    rows = proofs.by_column(agreement).values()

    assert [row[3:] for row in rows] == [
        ["close", 2, 30, 30, 1, 1.0, 0.0],
        ["volume", 2, 30, 24, 1, 0.8, 0.5],
    ]


def test_only_what_differs_is_listed_the_most_first(agreement):
    table = proofs.differing(agreement, where="agreement.parquet")

    assert [(row[2], row[6]) for row in table.values()] == [("B", 5), ("A", 1)]


@pytest.mark.parametrize(("off_grid", "listed"), [(0, ["C"]), (5, [])])
def test_a_comparison_of_no_bars_proves_nothing(off_grid, listed):
    row = ("C", "3d", "close", 0, 0, off_grid, None, None)
    frame = pl.DataFrame([row], schema=klines.AGREEMENT, orient="row")
    frame = frame.with_columns(market=pl.lit("spot"), series=pl.lit("klines 1m"))

    (shares,) = proofs.by_column(frame).values()
    table = proofs.differing(frame, where="agreement.parquet")

    assert shares[-2] is None
    assert [row[2] for row in table.values()] == listed


def test_days_that_do_not_add_up_are_listed_the_worst_first():
    rows = [
        ("A", AS_OF, "trades", 10.0, 10.0, 0.0, 0, True),
        ("B", AS_OF, "aggTrades", 9.0, 10.0, -1.0, 0, False),
        ("C", AS_OF, "aggTrades", 0.0, 10.0, -10.0, 0, False),
        ("D", AS_OF, "aggTrades", 0.0, 10.0, -10.0, 3, None),
    ]
    frame = pl.DataFrame(rows, schema=klines.VOLUME_CHECKS, orient="row")

    table = proofs.volumes(frame.with_columns(market=pl.lit("spot")), where="x")

    assert [(row[1], row[-1]) for row in table.values()] == [("C", -1.0), ("B", -0.1)]
