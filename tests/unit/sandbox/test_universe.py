import datetime as dt

import pytest
from pydantic import ValidationError

from bhds.core.errors import ConfigError, SelectionError
from bhds.core.markets import TradeType
from bhds.sandbox.timegrid import to_ms
from bhds.sandbox.universe import Universe, load_universe


def test_the_shipped_universe_has_what_demos_and_tests_count_on():
    universe = load_universe()

    assert universe.symbol(TradeType.UM_FUTURES, "币安人生USDT").is_perpetual
    assert universe.symbol(TradeType.UM_FUTURES, "ICPUSDT_SETTLED").delisted
    assert universe.symbol(TradeType.UM_FUTURES, "CVCUSDT").halts
    assert not universe.symbol(TradeType.UM_FUTURES, "BTCUSDT_250328").is_perpetual
    assert universe.symbol(TradeType.SPOT, "SYRUPUSDT").seconds
    assert universe.symbol(TradeType.CM_FUTURES, "BTCUSD_PERP").contract_size == 100
    assert {each.market for each in universe.symbols if each.trades_published} == {
        TradeType.SPOT,
        TradeType.UM_FUTURES,
        TradeType.CM_FUTURES,
    }
    assert {each.contract_type for each in universe.of_market(TradeType.OPTION)} == {
        "VOLATILITY_INDEX",
        "UNDERLYING",
    }


def test_a_universe_is_read_from_a_file(tmp_path):
    path = tmp_path / "universe.yaml"
    path.write_text(
        "seed: 3\nsymbols:\n  - {market: spot, name: AUSDT, base_asset: A, "
        "listed: 2024-01-01, price: 1, price_decimals: 3, tick: 0.001, "
        "quantity_decimals: 1, quantity_per_trade: 5}\n"
    )

    universe = load_universe(path)

    assert universe.seed == 3
    listed = universe.symbol(TradeType.SPOT, "AUSDT").listed
    assert listed == dt.datetime(2024, 1, 1, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("seed: [", "universe .*broken.yaml"),
        ("sed: 1", "Extra inputs"),
        ("symbols: [{name: A}]", "market"),
    ],
)
def test_a_broken_file_is_refused_by_name(tmp_path, text, told):
    path = tmp_path / "broken.yaml"
    path.write_text(text)

    with pytest.raises(ConfigError, match=told):
        load_universe(path)


@pytest.mark.parametrize(
    ("market", "changes", "told"),
    [
        ("spot", {"price_decimals": 6, "tick": "0.000001"}, "8 decimals in all"),
        ("spot", {"tick": "0.001"}, "finer than price_decimals"),
        ("um_futures", {"seconds": True}, "only spot has 1s"),
        ("um_futures", {"contract_size": 10}, "contract_size"),
        ("um_futures", {"contract_type": "UNDERLYING"}, "only there"),
        ("option", {"contract_type": "PERPETUAL"}, "expected VOLATILITY_INDEX"),
        ("spot", {"listed": "2024-01-01T00:00:30"}, "whole minutes"),
        ("um_futures", {"dividends": ["2025-01-07T03:00:00"]}, "funding of a perpetu"),
        ("spot", {"dividends": ["2025-01-07T08:00:00"]}, "funding of a perpetual"),
    ],
)
def test_an_impossible_symbol_is_refused(symbol, market, changes, told):
    with pytest.raises(ValidationError, match=told):
        Universe.model_validate({"symbols": [symbol(market, "AAA", **changes)]})


def test_a_symbol_is_listed_once(symbol):
    twice = [symbol("spot", "AAA"), symbol("spot", "AAA")]

    with pytest.raises(ValidationError, match="given twice"):
        Universe.model_validate({"symbols": twice})


def test_an_unknown_symbol_is_named():
    with pytest.raises(SelectionError, match=r"'NONE'.*spot"):
        Universe().symbol(TradeType.SPOT, "NONE")


def test_trading_spans_leave_out_halts_and_what_is_not_listed(universe):
    halted = universe.symbol(TradeType.UM_FUTURES, "AAAUSDT")
    start = to_ms(dt.datetime(2024, 12, 1, tzinfo=dt.UTC))
    end = to_ms(dt.datetime(2025, 2, 1, tzinfo=dt.UTC))

    spans = list(universe.trading_spans(halted, start_ms=start, end_ms=end))

    assert spans == [
        (to_ms(halted.listed), to_ms(halted.halts[0].start)),
        (to_ms(halted.halts[0].end), end),
    ]


def test_how_a_symbol_is_shown_does_not_tell_whether_trades_are_published(symbol):
    """Or else the files that are cached under it would not be found."""
    plain, traded = (
        Universe.model_validate(
            {"symbols": [symbol("spot", "AAA", trades_published=published)]}
        ).symbols[0]
        for published in (False, True)
    )

    assert repr(plain) == repr(traded)


def test_synthetic_symbols_are_added():
    universe = load_universe().with_synthetic_symbols(300)

    assert len(universe.symbols) == len(load_universe().symbols) + 300
    assert universe.symbol(TradeType.UM_FUTURES, "S0299USDT").is_perpetual
