import datetime as dt
import json
import math
from pathlib import Path

import polars as pl
import pytest

from bhds.core.markets import TradeType
from bhds.schemas.datatypes import data_type
from bhds.schemas.impossible_values import is_impossible

SPOT, UM, CM = TradeType.SPOT, TradeType.UM_FUTURES, TradeType.CM_FUTURES
GENUINE = Path(__file__).parents[3] / "../shared/realdata"
MIDNIGHT = dt.datetime(2024, 5, 1, tzinfo=dt.UTC)
TYPES = {"spot": SPOT, "um": UM, "cm": CM}
PRICES = {"open": 10.0, "high": 12.0, "low": 9.0, "close": 11.0}
SOUND = {
    "klines": PRICES
    | {
        "volume": 5.0,
        "quote_volume": 55.0,
        "base_volume": 0.5,
        "trade_count": 3,
        "taker_buy_volume": 5.0,
        "taker_buy_quote_volume": 55.0,
        "taker_buy_base_volume": 0.5,
    },
    "markPriceKlines": PRICES,
    "indexPriceKlines": PRICES,
    "premiumIndexKlines": {"open": 0.0, "high": 1e-4, "low": -2e-4, "close": -1e-4},
    "trades": {
        "price": 1.0,
        "quantity": 1e-8,
        "quote_quantity": 0.0,
        "base_quantity": 0.0,
        "time": MIDNIGHT,
    },
    "aggTrades": {
        "price": 1.0,
        "quantity": 2.0,
        "first_trade_id": 7,
        "last_trade_id": 7,
        "time": MIDNIGHT,
    },
    "bookTicker": {
        "best_bid_price": 1.0,
        "best_bid_qty": 2.0,
        "best_ask_price": 1.1,
        "best_ask_qty": 3.0,
        "transaction_time": MIDNIGHT,
    },
}


def impossible_rows(name, *rows, trade_type=SPOT):
    """Return which of some rows, each given by what is unusual, are impossible."""
    frame = pl.DataFrame([SOUND[name] | row for row in rows])
    return frame.select(is_impossible(name, trade_type)).to_series().to_list()


FLAT = dict.fromkeys(PRICES, 7.0)
UNTRADED = dict.fromkeys(SOUND["klines"].keys() - PRICES, 0)


@pytest.mark.parametrize("name", SOUND)
def test_usual_rows_are_possible(name):
    assert impossible_rows(name, {}, {}) == [False, False]


@pytest.mark.parametrize("row", [FLAT, FLAT | UNTRADED, UNTRADED])
def test_flat_and_untraded_bars_are_possible(row):
    assert impossible_rows("klines", row) == [False]


@pytest.mark.parametrize("name", ["klines", "markPriceKlines", "indexPriceKlines"])
@pytest.mark.parametrize(
    "row",
    [
        dict.fromkeys(PRICES, 0.0),
        {"low": 0.0},
        {"low": -1.0},
        {"high": 8.0},
        {"open": 12.5},
        {"open": 8.5},
        {"close": 150.0},
        {"close": 8.999},
        {"close": math.nan},
        {"open": math.nan},
        dict.fromkeys(PRICES, math.nan),
        {"high": math.inf},
        {"low": None},
    ],
)
def test_prices_lie_above_zero_and_within_the_range(name, row):
    assert impossible_rows(name, row) == [True]


@pytest.mark.parametrize(
    ("row", "is_wrong"),
    [
        (dict.fromkeys(PRICES, 0.0), False),
        (dict.fromkeys(PRICES, -1e-3), False),
        ({"high": -3e-4}, True),
        ({"open": 2e-4}, True),
        ({"close": -3e-4}, True),
        ({"low": -math.inf}, True),
        ({"close": math.nan}, True),
    ],
)
def test_a_premium_may_be_zero_or_negative(row, is_wrong):
    assert impossible_rows("premiumIndexKlines", row) == [is_wrong]


@pytest.mark.parametrize(
    "row",
    [
        {"volume": -5.0, "taker_buy_volume": -5.0},
        {"taker_buy_volume": -1.0},
        {"taker_buy_volume": 5.00000001},
        {"trade_count": -3},
        {"volume": 0.0, "taker_buy_volume": 0.0},
        {"volume": math.nan},
        {"taker_buy_volume": math.inf, "volume": math.inf},
    ],
)
def test_volumes_and_counts_of_bars_fit_together(row):
    assert impossible_rows("klines", row) == [True]


@pytest.mark.parametrize(
    ("trade_type", "unit"), [(SPOT, "quote"), (UM, "quote"), (CM, "base")]
)
def test_turnover_is_checked_as_the_market_counts_it(trade_type, unit):
    volume, bought = f"{unit}_volume", f"taker_buy_{unit}_volume"
    rows = [{volume: -1.0, bought: -1.0}, {bought: 56.0}, {bought: -1.0}, {}]

    found = impossible_rows("klines", *rows, trade_type=trade_type)

    assert found == [True, True, True, False]


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("trades", {"price": 0.0}),
        ("trades", {"quantity": 0.0}),
        ("trades", {"quote_quantity": -1.0}),
        ("aggTrades", {"price": -1.0}),
        ("aggTrades", {"quantity": 0.0}),
        ("aggTrades", {"first_trade_id": 8}),
        ("bookTicker", {"best_bid_price": 0.0}),
        ("bookTicker", {"best_ask_qty": 0.0}),
        ("bookTicker", {"best_ask_price": -1.0, "best_ask_qty": 0.0}),
    ],
)
def test_prices_and_quantities_of_trades_and_offers_are_above_zero(name, row):
    assert impossible_rows(name, {}, row, {}) == [False, True, False]


def test_an_empty_side_of_the_book_is_possible():
    empty = {"best_bid_price": 0.0, "best_bid_qty": 0.0}

    assert impossible_rows("bookTicker", empty) == [False]


@pytest.mark.parametrize(
    ("name", "time"),
    [
        ("trades", "time"),
        ("aggTrades", "time"),
        ("bookTicker", "transaction_time"),
    ],
)
def test_time_does_not_fall_as_ids_rise(name, time):
    seconds = [0, 120, 60, 61, 0]
    rows = [{time: MIDNIGHT + dt.timedelta(seconds=second)} for second in seconds]

    assert impossible_rows(name, *rows) == [False, False, False, False, True]


BANDS = {-5: 50.0, -1: 10.0, -0.2: 2.0, 0.2: 3.0, 1: 3.0, 5: 40.0}


@pytest.mark.parametrize(
    ("changed", "wrong"),
    [
        ({}, []),
        ({-1: 60.0}, [-1]),
        ({-0.2: 11.0}, [-0.2]),
        ({1: 2.9}, [1]),
        ({5: 1.0}, [5]),
        ({-5: -1.0}, [-5, -1]),
        ({-0.2: 0.0, 0.2: 0.0}, []),
        ({5: math.inf}, [5]),
    ],
)
@pytest.mark.parametrize("column", ["depth", "notional"])
def test_depth_does_not_fall_as_bands_get_wider(changed, wrong, column):
    frame = pl.concat(
        pl.DataFrame(
            {
                "timestamp": MIDNIGHT + minute * dt.timedelta(minutes=1),
                "percentage": [float(percentage) for percentage in bands],
                "depth": list((bands if column == "depth" else BANDS).values()),
                "notional": list((bands if column == "notional" else BANDS).values()),
            }
        )
        for minute, bands in enumerate([BANDS, BANDS | changed, BANDS])
    )

    found = frame.filter(is_impossible("bookDepth", UM))

    assert found["percentage"].to_list() == wrong
    assert set(found["timestamp"].dt.minute()) <= {1}


def test_other_types_of_data_have_no_rule():
    frame = pl.DataFrame({"funding_rate": [-0.5, 0.0]})

    assert frame.filter(is_impossible("fundingRate", UM)).is_empty()


@pytest.mark.skipif(
    not GENUINE.is_dir(), reason="the genuine files of ../shared/realdata are absent"
)
@pytest.mark.parametrize("folder", ["spot", "um"])
def test_no_recorded_bar_is_impossible(folder):
    fields = data_type("klines").table(TYPES[folder]).fields
    paths = sorted(GENUINE.glob(f"{folder}/api_klines/**/*.json"))
    bars = [row for path in paths for row in json.loads(path.read_text())]
    frame = pl.DataFrame(
        [[float(value) for value in row] for row in bars],
        schema=[field.name for field in fields],
        orient="row",
    )

    assert not frame.is_empty()
    assert frame.filter(is_impossible("klines", TYPES[folder])).is_empty()
