import datetime as dt

import polars as pl
import pytest

from bhds.core.markets import TradeType
from bhds.quality import conflicts
from bhds.schemas.klines import turnover_columns
from bhds.schemas.quality_tables import conflicts as schema_of

START = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
KEY = "data/{market}/{frequency}/klines/A/1m/A-1m-{period}.zip"


@pytest.fixture(params=list(TradeType)[:3], ids=str)
def market(request):
    return request.param


def values(market, price, **more):
    names = ("open", "high", "low", "close", "volume", *turnover_columns(market))
    sums = {"taker_buy_volume": 1.0, "trade_count": 3}
    return dict.fromkeys(names, price) | sums | more


def listed(market, minute, price, kept):
    """Make what sources list of a bar that a monthly and a daily zip have."""
    path = market.bucket_path
    keys = [
        KEY.format(market=path, frequency="monthly", period="2024-01"),
        KEY.format(market=path, frequency="daily", period="2024-01-01"),
    ]
    close_time = (START + dt.timedelta(minutes=minute, seconds=59)).isoformat()
    dropped, kept = (
        values(market, each, key=key, close_time=close_time)
        for each, key in zip((price, kept), keys, strict=True)
    )
    time = (START + dt.timedelta(minutes=minute)).isoformat()
    return {"open_time": time, "dropped": dropped, "kept": kept}


def between(market, minute, price, kept):
    """Make what merging finds of a bar that a monthly zip and the API have."""
    columns = values(market, price, source="monthly")
    others = values(market, kept, source="api")
    row = {"open_time": START + dt.timedelta(minutes=minute)} | columns
    row |= {f"kept_{name}": value for name, value in others.items()}
    schema = schema_of(market)
    return pl.DataFrame([row], schema={name: schema[name] for name in row})


def test_both_values_and_sources_stand_side_by_side(market):
    sources = [{"conflicts": {"listed": [listed(market, 5, 10.0, 11.0)]}}, {}]

    found = conflicts.of_symbol(
        sources, between(market, 2, 7.0, 8.0), trade_type=market, symbol="A"
    )

    assert found.schema == schema_of(market)
    turnover, _ = turnover_columns(market)
    columns = ["symbol", "source", "kept_source", "open", "kept_open"]
    columns += [turnover, f"kept_{turnover}"]
    assert found.select(pl.col("open_time").dt.minute(), *columns).rows() == [
        (2, "A", "monthly", "api", 7.0, 8.0, 7.0, 8.0),
        (5, "A", "monthly", "daily", 10.0, 11.0, 10.0, 11.0),
    ]
    assert [key and key.split("/")[-1] for key in found["kept_key"]] == [
        None,
        "A-1m-2024-01-01.zip",
    ]


def test_without_conflicts_the_table_has_its_columns(market):
    none = between(market, 0, 1.0, 1.0).clear()

    found = conflicts.of_symbol([{}], none, trade_type=market, symbol="A")

    assert found.equals(schema_of(market).to_frame())
    assert conflicts.of_market([found], trade_type=market).equals(found)


def test_a_market_is_sorted_by_symbol_and_time(market):
    tables = [
        conflicts.of_symbol(
            [],
            pl.concat([between(market, minute, 1.0, 2.0) for minute in (3, 1)]),
            trade_type=market,
            symbol=symbol,
        )
        for symbol in "BA"
    ]

    found = conflicts.of_market(tables, trade_type=market)

    assert found.select("symbol", pl.col("open_time").dt.minute()).rows() == [
        *(("A", 1), ("A", 3)),
        *(("B", 1), ("B", 3)),
    ]
