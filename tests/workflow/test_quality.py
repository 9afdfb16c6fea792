"""What is known of the results, as tables of a market."""

import datetime as dt

import polars as pl
import pytest

from bhds.markets import TradeType

pytestmark = pytest.mark.workflow

HALTED = "龙虾USDT"


@pytest.fixture
def market(workspace):
    """Settings for minutes of all symbols, some hours and metrics, with the API."""
    workspace.settings |= {"api": {"enabled": True}, "as_of": "2025-03-09"}
    plain = {"trade_type": "um_futures", "results": {"funding": False}}
    plain["start"] = "2025-02-27"
    workspace.settings["datasets"] = [
        plain,
        {**plain, "interval": "1h", "symbols": ["NEWUSDT"]},
        {
            "trade_type": "um_futures",
            "data_type": "metrics",
            "symbols": ["NEWUSDT"],
        },
    ]
    return workspace


def test_gaps_days_and_agreement_of_a_market(market, exchange):
    lost = "data/futures/um/daily/klines/{0}/1m/{0}-1m-2025-03-08.zip".format
    for symbol in ("NEWUSDT", "OLDUSDT"):
        exchange.exchange.withhold(lost(symbol))
    march_8 = dt.datetime(2025, 3, 8, tzinfo=dt.UTC)
    exchange.exchange.api_withhold(
        TradeType.UM_FUTURES, "OLDUSDT", march_8, march_8 + dt.timedelta(hours=20)
    )

    market.build("all")

    def table(name):
        return pl.read_parquet(
            market.path(f"results_data/um_futures/quality/{name}.parquet")
        )

    gaps = table("gaps-1m").filter(pl.col("missing_bars") > 1)
    assert gaps.select("symbol", "class", "api").rows() == [
        ("OLDUSDT", "halt", "empty"),
        (HALTED, "halt", "empty"),
    ]
    days = table("condition-klines-1m")
    of_day = days.filter(pl.col("day") == march_8.date())
    columns = ["symbol", "condition", "reason", "daily", "api", "filled"]
    assert of_day.select(columns).rows() == [
        ("NEWUSDT", "available", None, 0, 1440, 0),
        ("OLDUSDT", "degraded", "halt", 0, 240, 1200),
        (HALTED, "available", None, 1440, 0, 0),
    ]
    empty = days.filter(pl.col("daily") + pl.col("monthly") + pl.col("api") == 0)
    assert empty.select(pl.col("day").dt.day(), "condition", "reason").rows() == [
        (3, "missing", "halt"),
        (4, "missing", "halt"),
    ]
    assert table("condition-metrics")["condition"].to_list() == ["available"] * 4
    agreement = table("agreement-1m")
    assert agreement["symbol"].unique().to_list() == ["NEWUSDT"]
    assert agreement["compared"].unique().to_list() == [88]
    assert (agreement["compared"] == agreement["equal"]).all()
    assert table("conflicts-1m").is_empty()
    assert market.plan("all").is_idle


def test_a_table_of_what_is_not_configured_is_refused(market):
    refused = market.plan("results_data/um_futures/quality/gaps-4h.parquet")

    assert refused.status == 1
    assert "um_futures 4h: no dataset has gaps of it" in refused.text
