"""What was asked of which market, and what was not answered."""

import polars as pl

from bhds.backfill import api_use as usage
from bhds.core.timegrid import TIME
from bhds.report import api_use

from .conftest import START

BARS = "api_data/um_futures/klines/币安人生USDT/1m/{}.parquet"
FUNDING = "api_data/um_futures/fundingRate/AUSDT/2025.parquet"


def test_fills_of_one_series_are_added_up():
    rows = [
        (START, BARS.format("2024"), 3, 6, 0, 1500),
        (START, BARS.format("2025"), 1, 2, 1, 10),
        (START, FUNDING, 1, 1, 0, 3),
    ]
    asked = pl.DataFrame(rows, schema=usage.SCHEMA, orient="row")

    table = api_use.series_table(api_use.by_series(asked))

    assert [row[:8] for row in table.values()] == [
        ["um_futures", "fundingRate", 1, 1, 1, 1, 0, 3],
        ["um_futures", "klines 1m", 1, 2, 4, 8, 1, 1510],
    ]


def test_a_fill_that_was_refused_is_named():
    rows = [(BARS.format("2025"), START), (FUNDING, START)]
    lacking = pl.DataFrame(
        rows, schema={"path": pl.String, "told_at": TIME}, orient="row"
    )

    table = api_use.unanswered_table(lacking)

    assert table.values() == [
        ["um_futures", "fundingRate", "AUSDT", "2025"],
        ["um_futures", "klines 1m", "币安人生USDT", "2025"],
    ]
