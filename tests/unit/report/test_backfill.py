"""Which requests the API did not answer."""

import polars as pl

from bhds.report import backfill


def test_a_backfill_without_an_answer_is_named():
    paths = [
        "api_data/um_futures/klines/币安人生USDT/1m/all.parquet",
        "api_data/um_futures/fundingRate/AUSDT/all.parquet",
    ]

    table = backfill.unanswered_table(pl.DataFrame({"path": paths}))

    assert table.values() == [
        ["um_futures", "fundingRate", "AUSDT"],
        ["um_futures", "klines 1m", "币安人生USDT"],
    ]
