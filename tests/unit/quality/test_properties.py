"""What must hold of the condition of any days."""

import datetime as dt

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from bhds.schemas.quality_tables import (
    DAY_FAULTS,
    DAYS,
    NOT_RECONCILED,
)

from .conftest import judge_days

FIRST = dt.date(2024, 1, 1)
FEW = st.integers(0, 3)
COUNTS = ("daily", "monthly", "api", "filled", "conflicts", *DAY_FAULTS)
ANSWERS = st.sampled_from([None, "unanswered", "pending", "refused", "empty"])


@st.composite
def days(draw):
    """Draw days of up to three symbols, each from some day on."""
    rows = []
    for symbol in ("A", "B", "C")[: draw(st.integers(1, 3))]:
        first = draw(st.integers(0, 5))
        for number in range(first, first + draw(st.integers(1, 8))):
            row = {name: draw(FEW) * draw(st.booleans()) for name in COUNTS}
            rows.append(
                row
                | {
                    "symbol": symbol,
                    "day": FIRST + number * dt.timedelta(days=1),
                    "expected": draw(st.none() | st.integers(0, 6)),
                    "volume": None,
                    "missing_trade_ids": draw(FEW),
                    "has_file": draw(st.booleans()),
                    "is_corrupt": draw(st.booleans()),
                    "api_answer": draw(ANSWERS),
                }
            )
    return pl.DataFrame(rows, schema=DAYS)


@st.composite
def differing(draw, table):
    """Draw days that differ from longer bars."""
    some = draw(st.lists(st.sampled_from(table.select("symbol", "day").rows())))
    rows = [(*each, "1d", None) for each in some]
    return pl.DataFrame(rows, schema=NOT_RECONCILED, orient="row")


def judged(table, **more):
    return judge_days(table, interval=None, as_of=FIRST + dt.timedelta(days=20), **more)


@given(st.data())
def test_no_day_with_a_fault_or_without_a_row_is_available(data):
    table = data.draw(days())
    wrong = data.draw(differing(table))

    found = judged(table, not_reconciled=wrong)

    published = pl.sum_horizontal("daily", "monthly", "api")
    available = found.filter(pl.col("condition") == "available")
    faults = ("conflicts", "not_reconciled", *DAY_FAULTS)
    assert available.filter(published < pl.col("expected").fill_null(1)).is_empty()
    assert available.filter(pl.any_horizontal(pl.col(*faults) > 0)).is_empty()
    assert available.join(wrong, on=["symbol", "day"], how="semi").is_empty()
    assert available.filter(~pl.col("has_file") & (pl.col("api") == 0)).is_empty()
    # Every other day has a reason, and no available one.
    assert (found["reason"].is_null() == (found["condition"] == "available")).all()


@given(st.data())
def test_no_day_with_rows_of_its_own_is_missing_or_not_listed(data):
    table = data.draw(days())

    found = judged(table, ended=data.draw(st.sets(st.sampled_from("ABC"))))

    has_own = (pl.col("api") > 0) | (
        pl.col("has_file") & (pl.sum_horizontal("daily", "monthly") > 0)
    )
    own = found.filter(has_own)["condition"]
    assert own.is_in(["available", "degraded"]).all()


@given(st.data())
def test_no_day_before_the_last_row_is_after_the_end(data):
    found = judged(data.draw(days()))

    last = pl.col("day").filter(pl.col("condition").is_in(["available", "degraded"]))
    inner = found.filter(pl.col("day") <= last.max().over("symbol"))
    assert not (inner["reason"] == "no_longer_listed").any()
