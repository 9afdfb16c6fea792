"""Which symbols a filter or a list of names selects."""

import pytest

from bhds.core.errors import SelectionError
from bhds.core.markets import TradeType
from bhds.instruments import ExclusionReason, select, select_named

SPOT, UM, CM = TradeType.SPOT, TradeType.UM_FUTURES, TradeType.CM_FUTURES


def select_all(symbols, *, trade_type=SPOT, **filters):
    """Select with every filter open but those given."""
    everything = {
        "quote": None,
        "contract_type": None,
        "stable_pairs": True,
        "leveraged": True,
        "include": [],
        "exclude": [],
    }
    return select(symbols, trade_type=trade_type, **(everything | filters))


# --- select


def test_a_selection_is_sorted_and_accounts_for_every_symbol_once():
    names = ["ETHUSDT", "BTCUSDT", "BTCUSDT", "BTCTRY"]

    forward = select_all(names, quote=["USDT"])
    backward = select_all(reversed(names), quote=["USDT"])

    assert forward == backward
    assert forward.selected == ["BTCUSDT", "ETHUSDT"]
    assert forward.excluded == {"BTCTRY": ExclusionReason.QUOTE}


def test_each_filter_gives_its_reason():
    names = ["BTCUSDT", "BTCTRY", "USDCUSDT", "BTCUPUSDT", "BTCXYZ", "ETHUSDT"]

    selection = select_all(
        names,
        quote=["USDT"],
        stable_pairs=False,
        leveraged=False,
        exclude=["ETH*"],
    )

    assert selection.selected == ["BTCUSDT"]
    assert selection.excluded == {
        "BTCTRY": ExclusionReason.QUOTE,
        "BTCUPUSDT": ExclusionReason.LEVERAGED,
        "BTCXYZ": ExclusionReason.UNMATCHED,
        "ETHUSDT": ExclusionReason.EXCLUDED,
        "USDCUSDT": ExclusionReason.STABLE_PAIR,
    }


FUTURES = "BTCUSDT BTCUSDT_260925 CVCUSDTSETTLED ICPUSDT_SETTLED TSLAUSDT"


@pytest.mark.parametrize(
    ("wanted", "selected"),
    [
        (["PERPETUAL"], "BTCUSDT CVCUSDTSETTLED ICPUSDT_SETTLED"),
        (["DELIVERY"], "BTCUSDT_260925"),
        (["TRADIFI_PERPETUAL"], "TSLAUSDT"),
        (["DELIVERY", "TRADIFI_PERPETUAL"], "BTCUSDT_260925 TSLAUSDT"),
        (["SETTLED"], "CVCUSDTSETTLED ICPUSDT_SETTLED"),
        (["DELIVERY", "SETTLED"], "BTCUSDT_260925 CVCUSDTSETTLED ICPUSDT_SETTLED"),
        ([], ""),
    ],
)
def test_contract_types_select_futures_and_keep_settled_perpetuals(wanted, selected):
    selection = select_all(FUTURES.split(), trade_type=UM, contract_type=wanted)

    assert selection.selected == selected.split()
    assert set(selection.excluded.values()) == {ExclusionReason.CONTRACT_TYPE}


@pytest.mark.parametrize(
    ("trade_type", "symbol", "is_selected"),
    [
        pytest.param(SPOT, "BTCUSDT", True, id="spot has but one"),
        pytest.param(CM, "BTCUSD", True, id="an index pair has none"),
        pytest.param(TradeType.OPTION, "BTCBVOLUSDT", True, id="nor an option index"),
        pytest.param(UM, "BTCUSDT_220325_SETTLED", True, id="delivery"),
        pytest.param(UM, "TSLAUSDT_SETTLED", True, id="share"),
        pytest.param(UM, "BTCXYZSETTLED", True, id="unknown quote"),
        pytest.param(UM, "BTCUSDT_220325", False, id="expired, not settled by name"),
    ],
)
def test_settled_contracts_are_selected_whatever_they_were(
    trade_type, symbol, is_selected
):
    selection = select_all([symbol], trade_type=trade_type, contract_type=["SETTLED"])

    assert bool(selection.selected) is is_selected


@pytest.mark.parametrize(
    ("names", "filters", "selected"),
    [
        pytest.param(
            "BTCUPUSDT BTCXYZ USDCUSDT", {}, "BTCUPUSDT BTCXYZ USDCUSDT", id="all open"
        ),
        pytest.param(
            "BTCBUSD BTCFDUSD BTCTRY BTCUSDT ETHBTC",
            {"quote": ["FDUSD", "TRY", "BTC"]},
            "BTCFDUSD BTCTRY ETHBTC",
            id="several quotes",
        ),
        pytest.param(
            "BTCXYZ",
            {
                "quote": ["XYZ"],
                "known": {"BTCXYZ": {"baseAsset": "BTC", "quoteAsset": "XYZ"}},
            },
            "BTCXYZ",
            id="a quote that a listing knows",
        ),
        pytest.param(
            "BTCUSDT USDCUSDT",
            {"trade_type": UM, "stable_pairs": False},
            "BTCUSDT",
            id="stable pairs of futures",
        ),
        pytest.param(
            "1000CATTRY 1000SATSTRY BTCTRY BTCUSDT USDCUSDT",
            {
                "quote": ["USDT"],
                "stable_pairs": False,
                "include": ["1000*", "USDCUSDT"],
            },
            "1000CATTRY 1000SATSTRY BTCUSDT USDCUSDT",
            id="included whatever the filters say",
        ),
        pytest.param(
            "BTCTRY ETHTRY",
            {"include": ["*TRY"], "exclude": ["BTCTRY"]},
            "ETHTRY",
            id="exclude wins over include",
        ),
        pytest.param("BTCUSDT", {"exclude": ["btc*"]}, "BTCUSDT", id="case of globs"),
        pytest.param(
            "BTCUSDT", {"exclude": ["LUNAUSDT"]}, "BTCUSDT", id="excludes nothing"
        ),
    ],
)
def test_filters_select_symbols(names, filters, selected):
    assert select_all(names.split(), **filters).selected == selected.split()


@pytest.mark.parametrize(
    ("symbol", "filters"),
    [
        ("BTCXYZ", {"contract_type": ["PERPETUAL"]}),
        ("BTCXYZSETTLED", {"quote": ["USDT"], "contract_type": ["SETTLED"]}),
    ],
)
def test_a_filter_leaves_out_what_cannot_be_read_and_says_so(symbol, filters):
    selection = select_all([symbol], trade_type=UM, **filters)

    assert selection.excluded == {symbol: ExclusionReason.UNMATCHED}


def test_a_contract_type_that_does_not_exist_is_refused():
    with pytest.raises(SelectionError, match=r"'SWAP': expected one of PERPETUAL, "):
        select_all(["BTCUSDT"], trade_type=UM, contract_type=["SWAP"])


def test_including_a_name_that_does_not_exist_names_the_nearest():
    with pytest.raises(
        SelectionError, match=r"'BTCUSTD' is not in um_futures; did you mean 'BTCUSDT'"
    ):
        select_all(["BTCUSDT", "龙虾USDT"], trade_type=UM, include=["BTCUSTD"])


def test_including_a_glob_that_fits_nothing_is_refused():
    with pytest.raises(SelectionError, match=r"'DOGE\*' fits none of the 1 symbols"):
        select_all(["BTCUSDT"], include=["DOGE*"])


def test_the_default_filter_on_the_bucket_of_um(real_lists):
    perpetual, delivery = real_lists.bucket_symbols()
    symbols = perpetual + delivery

    selection = select_all(
        symbols,
        trade_type=UM,
        quote=["USDT"],
        contract_type=["PERPETUAL"],
        stable_pairs=False,
        leveraged=False,
    )

    assert {"CVCUSDTSETTLED", "ICPUSDT_SETTLED", "龙虾USDT"} <= set(selection.selected)
    assert sorted([*selection.selected, *selection.excluded]) == sorted(symbols)
    assert ExclusionReason.UNMATCHED not in selection.excluded.values()
    assert selection.excluded["USDCUSDT"] is ExclusionReason.STABLE_PAIR
    assert selection.excluded["BTCUSDT_260925"] is ExclusionReason.CONTRACT_TYPE


# --- select_named


def test_named_symbols_are_returned_sorted_and_once():
    names = ["ETHUSDT", "BTCUSDT", "ETHUSDT"]

    found = select_named(names, ["BTCUSDT", "ETHUSDT", "SOLUSDT"], where="spot klines")

    assert found == ["BTCUSDT", "ETHUSDT"]


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        pytest.param("BTCUSTD", "did you mean 'BTCUSDT'?", id="mistyped"),
        pytest.param("btcusdt", "did you mean 'BTCUSDT'?", id="lower case"),
        pytest.param("龙虾USD", "did you mean '龙虾USDT'?", id="not ASCII"),
        pytest.param("QQ", "no symbol has a similar name", id="nothing near"),
    ],
)
def test_a_name_that_does_not_exist_names_the_nearest(name, advice):
    with pytest.raises(SelectionError) as caught:
        select_named(
            ["ETHUSDT", name],
            ["BTCUSDT", "ETHUSDT", "龙虾USDT"],
            where="um_futures klines",
        )

    assert str(caught.value) == f"symbol {name!r} is not in um_futures klines; {advice}"


def test_every_name_that_does_not_exist_is_told():
    with pytest.raises(SelectionError, match=r"'AUSDT' .*; symbol 'BUSDT' is not in"):
        select_named(["AUSDT", "BUSDT"], ["BTCTRY"], where="spot klines")
