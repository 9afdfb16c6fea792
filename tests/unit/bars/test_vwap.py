import pytest

from bhds.bars.vwap import contract_size, vwap
from bhds.core.markets import TradeType


def price_of(bars, trade_type=TradeType.SPOT, symbol="BTCUSDT"):
    return bars.select(vwap(trade_type=trade_type, symbol=symbol)).item()


def one_bar(published, trade_type=TradeType.SPOT, **columns):
    prices = {"open": 10.0, "high": 12.0, "low": 9.0, "close": 11.0}
    return published([0], trade_type=trade_type, **(prices | columns))


def test_vwap_is_quote_over_base_volume(published):
    bar = one_bar(published, volume=4.0, quote_volume=42.0)

    assert price_of(bar) == 10.5


@pytest.mark.parametrize(("quote_volume", "price"), [(80.0, 12.0), (4.0, 9.0)])
def test_vwap_is_kept_within_high_and_low(published, quote_volume, price):
    bar = one_bar(published, volume=4.0, quote_volume=quote_volume)

    assert price_of(bar) == price


@pytest.mark.parametrize(
    "columns",
    [
        pytest.param({"trade_count": 0}, id="no trades"),
        pytest.param({"volume": 0.0, "quote_volume": 0.0}, id="volume rounded to 0"),
    ],
)
def test_vwap_without_volume_is_the_open(published, columns):
    assert price_of(one_bar(published, **columns)) == 10.0


@pytest.mark.parametrize(
    ("symbol", "contracts"), [("BTCUSD_PERP", 1.0), ("ETHUSD_230630", 10.0)]
)
def test_vwap_of_coin_margined_futures_is_a_price_in_usd(published, symbol, contracts):
    bar = one_bar(
        published, TradeType.CM_FUTURES, volume=contracts, base_volume=100 / 10.5
    )

    assert price_of(bar, TradeType.CM_FUTURES, symbol) == pytest.approx(10.5)


@pytest.mark.parametrize(
    ("symbol", "usd"),
    [
        ("BTCUSD_PERP", 100.0),
        ("BTCUSD_240628", 100.0),
        ("ETHUSD_PERP", 10.0),
        ("BTCDOMUSD_PERP", 10.0),
    ],
)
def test_contract_size_is_100_usd_for_btc_and_10_for_others(symbol, usd):
    assert contract_size(symbol) == usd
