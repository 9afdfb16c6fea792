"""What is known of the results, as tables of a market."""

import datetime as dt

import polars as pl
import pytest

from bhds.core.markets import TradeType

pytestmark = pytest.mark.workflow

SYMBOL = "NEWUSDT"


@pytest.fixture
def market(workspace):
    """Settings for minutes, hours and metrics of one symbol, with the API."""
    workspace.settings |= {"api": {"enabled": True}, "as_of": "2025-03-09"}
    plain = {"trade_type": "um_futures", "symbols": [SYMBOL]}
    of_bars = {**plain, "results": {"funding": False}}
    workspace.settings["datasets"] = [
        of_bars,
        {**of_bars, "interval": "1h"},
        {**plain, "data_type": "metrics"},
    ]
    return workspace


def test_gaps_days_and_agreement_of_a_market(market, exchange):
    lost = f"data/futures/um/daily/klines/{SYMBOL}/1m/{SYMBOL}-1m-2025-03-08.zip"
    exchange.exchange.withhold(lost)
    begin = dt.datetime(2025, 3, 8, 2, tzinfo=dt.UTC)
    exchange.exchange.api_withhold(
        TradeType.UM_FUTURES, SYMBOL, begin, begin + dt.timedelta(hours=20)
    )

    market.build("all")

    def table(name):
        return pl.read_parquet(
            market.path(f"results_data/um_futures/quality/{name}.parquet")
        )

    gaps = table("gaps-1m")
    assert gaps.select("missing_bars", "class", "api", "absent_days").rows() == [
        (1200, "halt", "empty", 1)
    ]
    days = table("condition-klines-1m")
    columns = ["condition", "reason", "daily", "api", "filled"]
    assert days.select(pl.col("day").dt.day(), *columns).rows() == [
        (6, "available", None, 960, 0, 0),
        (7, "available", None, 1440, 0, 0),
        (8, "degraded", "halt", 0, 240, 1200),
        (9, "available", None, 1440, 0, 0),
    ]
    assert table("condition-metrics")["condition"].to_list() == ["available"] * 4
    reconciliation = table("reconciliation-1m")
    exact = reconciliation.filter(pl.col("column") == "trade_count")
    # Of the hours in the hole, the archive has the bars.
    assert exact.select("n_compared", "n_equal").rows() == [(68, 68)]
    assert (reconciliation["n_compared"] == reconciliation["n_equal"]).all()
    assert table("conflicts-1m").is_empty()
    assert market.plan("all").is_idle


def test_a_table_of_what_is_not_configured_is_refused(market):
    refused = market.plan("results_data/um_futures/quality/gaps-4h.parquet")

    assert refused.status == 1
    assert "um_futures 4h: no dataset has gaps of it" in refused.text
