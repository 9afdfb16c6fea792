import csv
import datetime as dt
import json
import zipfile
from collections import Counter
from pathlib import Path

import pytest

from bhds import universe
from bhds.errors import SelectionError
from bhds.markets import TradeType
from bhds.universe import ContractType, Reason, classify, select, select_named

SPOT, UM, CM = TradeType.SPOT, TradeType.UM_FUTURES, TradeType.CM_FUTURES

REALDATA = Path(__file__).resolve().parents[3] / "shared" / "realdata"
UM_SYMBOLS = REALDATA / "symbols" / "um-daily-klines-symbols-2026-10-05.json"
UM_2022 = REALDATA / "um" / "exchangeInfo" / "exchangeInfo-um-2022-05-04.json"
UM_2026 = REALDATA / "um" / "api" / "2026-07-04" / "fapi-v1-exchangeInfo.json"
SPOT_2018 = REALDATA / "spot" / "exchangeInfo" / "exchangeInfo-spot-2018-02-10.json"
SPOT_2021 = REALDATA / "spot" / "exchangeInfo" / "exchangeInfo-spot-2021-03-24.json"
KEY_LISTS = REALDATA / "listings" / "keys"
SPOT_KEYS = KEY_LISTS / "data_spot_daily_klines_1m_USDT-20260204.zip"
UM_KEYS = KEY_LISTS / "data_futures_um_monthly_klines_1m_USDT-20260308.zip"

needs_real_data = pytest.mark.skipif(
    not REALDATA.is_dir(), reason="../shared/realdata is absent"
)


def listed_symbols(path):
    return {entry["symbol"]: entry for entry in json.loads(path.read_text())["symbols"]}


def symbols_of_keys(path):
    """Read the symbols of a list of `.../klines/<symbol>/1m/<file>` keys."""
    with zipfile.ZipFile(path) as archive:
        text = archive.read(archive.namelist()[0]).decode()
    return {key.rsplit("/", 3)[1] for key in text.splitlines() if key}


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


# --- classify: names


@pytest.mark.parametrize(
    ("trade_type", "symbol", "base", "quote", "contract_type"),
    [
        (SPOT, "BTCUSDT", "BTC", "USDT", "SPOT"),
        (SPOT, "龙虾USDT", "龙虾", "USDT", "SPOT"),
        (SPOT, "1000SATSUSDT", "1000SATS", "USDT", "SPOT"),
        (SPOT, "BTCFDUSD", "BTC", "FDUSD", "SPOT"),
        (SPOT, "USDTTRY", "USDT", "TRY", "SPOT"),
        (SPOT, "BTCUST", "BTC", "UST", "SPOT"),
        (SPOT, "BTCAEUR", "BTC", "AEUR", "SPOT"),
        (SPOT, "ADAEUR", "ADA", "EUR", "SPOT"),
        (SPOT, "BNSOLSOL", "BNSOL", "SOL", "SPOT"),
        (SPOT, "UUSDT", "U", "USDT", "SPOT"),
        (UM, "币安人生USDT", "币安人生", "USDT", "PERPETUAL"),
        (UM, "1000SHIBUSDT", "1000SHIB", "USDT", "PERPETUAL"),
        (UM, "0GUSDT", "0G", "USDT", "PERPETUAL"),
        (UM, "4USDT", "4", "USDT", "PERPETUAL"),
        (UM, "BTCU", "BTC", "U", "PERPETUAL"),
        (UM, "BTCUSD1", "BTC", "USD1", "PERPETUAL"),
        (UM, "ETHBTC", "ETH", "BTC", "PERPETUAL"),
        (UM, "TSLAUSDT", "TSLA", "USDT", "TRADIFI_PERPETUAL"),
        (UM, "BTCBUSD_210129", "BTC", "BUSD", "DELIVERY"),
        (CM, "BTCUSD_PERP", "BTC", "USD", "PERPETUAL"),
        (CM, "ADAUSD_200925", "ADA", "USD", "DELIVERY"),
        (CM, "BTCUSD", "BTC", "USD", "PAIR"),
    ],
)
def test_a_name_tells_assets_and_contract(
    trade_type, symbol, base, quote, contract_type
):
    found = classify(symbol, trade_type=trade_type)

    assert (found.base, found.quote) == (base, quote)
    assert found.contract_type == contract_type
    assert not found.settled


@pytest.mark.parametrize(
    ("trade_type", "symbol", "base", "contract_type"),
    [
        (UM, "ICPUSDT_SETTLED", "ICP", "PERPETUAL"),
        (UM, "CVCUSDTSETTLED", "CVC", "PERPETUAL"),
        (UM, "AERGOUSDTSETTLEDSETTLED", "AERGO", "PERPETUAL"),
        (UM, "LUNAUSDT_SETTLED", "LUNA", "PERPETUAL"),
        (SPOT, "LUNAUSDT_SETTLED", "LUNA", "SPOT"),
    ],
)
def test_a_settled_symbol_stays_what_it_was(trade_type, symbol, base, contract_type):
    found = classify(symbol, trade_type=trade_type)

    assert found.settled
    assert (found.base, found.quote) == (base, "USDT")
    assert found.contract_type == contract_type
    assert found.delivery_date is None


@pytest.mark.parametrize(
    ("trade_type", "symbol", "expected"),
    [
        (UM, "BTCUSDT_260925", dt.date(2026, 9, 25)),
        (CM, "ADAUSD_200925", dt.date(2020, 9, 25)),
        (CM, "BTCUSD_PERP", None),
        (UM, "BTCUSDT", None),
    ],
)
def test_only_a_delivery_contract_has_a_delivery_date(trade_type, symbol, expected):
    assert classify(symbol, trade_type=trade_type).delivery_date == expected


@pytest.mark.parametrize(
    ("trade_type", "symbol"),
    [
        pytest.param(SPOT, "BTCXYZ", id="unknown quote"),
        pytest.param(SPOT, "USDT", id="a quote without a base"),
        pytest.param(SPOT, "BTCUSDT_260925", id="a delivery contract in spot"),
        pytest.param(UM, "BTCUSDT_261325", id="six digits that are no day"),
        pytest.param(UM, "BTCUSD_PERP", id="a cm contract in um"),
        pytest.param(CM, "BTCUSDT", id="a um contract in cm"),
        pytest.param(CM, "USD_PERP", id="cm without a base"),
        pytest.param(UM, "", id="empty"),
    ],
)
def test_a_name_beyond_the_grammar_is_unclassified(trade_type, symbol):
    found = classify(symbol, trade_type=trade_type)

    assert found.contract_type is ContractType.UNCLASSIFIED
    assert (found.base, found.quote) == (None, None)
    assert not found.stable_pair
    assert not found.leveraged


# --- classify: tables


@pytest.mark.parametrize(
    ("symbol", "leveraged"),
    [
        ("BTCUPUSDT", True),
        ("XTZDOWNUSDT", True),
        ("1INCHUPUSDT", True),
        ("BULLUSDT", True),
        ("ETHBEARBUSD", True),
        ("JUPUSDT", False),
        ("SYRUPUSDT", False),
        ("BTCUSDT", False),
    ],
)
def test_leveraged_tokens_are_known_by_base_not_by_suffix(symbol, leveraged):
    assert classify(symbol, trade_type=SPOT).leveraged is leveraged


def test_futures_are_never_leveraged_tokens():
    assert not classify("BTCUPUSDT", trade_type=UM).leveraged


@pytest.mark.parametrize(
    ("symbol", "stable"),
    [
        ("USDCUSDT", True),
        ("EURIUSDT", True),
        ("USD1USDT", True),
        ("USDEUSDT", True),
        ("XUSDUSDT", True),
        ("USTUSDT", True),
        ("EURUSDT", True),
        ("USDTBRL", True),
        ("UUSDT", True),
        pytest.param("USTCUSDT", False, id="UST after it lost its peg"),
        pytest.param("FRAXUSDT", False, id="the former FXS"),
        pytest.param("PAXGUSDT", False, id="gold"),
        pytest.param("XAUTUSDT", False, id="gold of another issuer"),
        pytest.param("PAXGBTC", False, id="gold in BTC"),
        pytest.param("USDCBNB", False, id="stable base only"),
        pytest.param("BTCUSDT", False, id="stable quote only"),
    ],
)
def test_a_stable_pair_is_money_against_money(symbol, stable):
    assert classify(symbol, trade_type=SPOT).stable_pair is stable


@pytest.mark.parametrize(
    "table",
    [
        "quote_assets.csv",
        "leveraged_tokens.csv",
        "stable_assets.csv",
        "tradifi_underlyings.csv",
    ],
)
def test_tables_are_sorted_unique_and_name_a_source_in_each_row(table):
    path = Path(universe.__file__).parent / "data" / table
    with path.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))

    assets = [row["asset"] for row in rows]
    assert assets == sorted(set(assets))
    assert all(row["source"] for row in rows)
    assert all(None not in row and None not in row.values() for row in rows)


# --- classify: a recorded exchangeInfo


def test_what_is_listed_goes_before_what_the_name_says():
    known = {
        "BTCXYZ": {"baseAsset": "BTC", "quoteAsset": "XYZ", "contractType": ""},
        "NEWUSDT": {
            "baseAsset": "NEW",
            "quoteAsset": "USDT",
            "contractType": "TRADIFI_PERPETUAL",
        },
    }

    unknown_quote = classify("BTCXYZ", trade_type=UM, known=known)
    tradifi = classify("NEWUSDT", trade_type=UM, known=known)
    unlisted = classify("ETHUSDT", trade_type=UM, known=known)

    assert (unknown_quote.base, unknown_quote.quote) == ("BTC", "XYZ")
    assert unknown_quote.contract_type is ContractType.PERPETUAL
    assert tradifi.contract_type is ContractType.TRADIFI_PERPETUAL
    assert unlisted.contract_type is ContractType.PERPETUAL


@pytest.mark.parametrize(
    "rights",
    [
        pytest.param({"permissions": ["LEVERAGED"]}, id="until 2024"),
        pytest.param(
            {"permissions": [], "permissionSets": [["SPOT", "LEVERAGED"]]}, id="since"
        ),
    ],
)
def test_a_listed_permission_marks_a_leveraged_token(rights):
    known = {"NEWUPUSDT": {"baseAsset": "NEWUP", "quoteAsset": "USDT"} | rights}

    assert classify("NEWUPUSDT", trade_type=SPOT, known=known).leveraged
    assert not classify("NEWUPUSDT", trade_type=SPOT).leveraged


# --- classify: the real lists


@needs_real_data
@pytest.mark.parametrize(
    ("trade_type", "path", "count"),
    [
        pytest.param(SPOT, SPOT_2018, 265, id="spot-2018"),
        pytest.param(SPOT, SPOT_2021, 1363, id="spot-2021"),
        pytest.param(UM, UM_2022, 155, id="um-2022"),
        pytest.param(UM, UM_2026, 820, id="um-2026"),
    ],
)
def test_names_alone_agree_with_every_entry_of_exchange_info(trade_type, path, count):
    listed = listed_symbols(path)

    assert len(listed) == count
    for symbol, entry in listed.items():
        by_name = classify(symbol, trade_type=trade_type)
        assert (by_name.base, by_name.quote) == (
            entry["baseAsset"],
            entry["quoteAsset"],
        ), symbol
        assert by_name == classify(symbol, trade_type=trade_type, known=listed), symbol


@needs_real_data
def test_delivery_dates_agree_with_exchange_info():
    listed = listed_symbols(UM_2022) | listed_symbols(UM_2026)
    deliveries = {
        symbol: dt.datetime.fromtimestamp(entry["deliveryDate"] / 1000, dt.UTC).date()
        for symbol, entry in listed.items()
        if "QUARTER" in entry["contractType"]
    }

    assert len(deliveries) == 6
    for symbol, day in deliveries.items():
        assert classify(symbol, trade_type=UM).delivery_date == day


@needs_real_data
def test_every_um_symbol_of_the_bucket_has_the_class_of_its_list():
    lists = json.loads(UM_SYMBOLS.read_text())
    perpetual = [
        classify(symbol, trade_type=UM) for symbol in lists["perpetual_symbols"]
    ]
    delivery = [classify(symbol, trade_type=UM) for symbol in lists["delivery_symbols"]]

    assert Counter(found.contract_type for found in delivery) == {"DELIVERY": 52}
    types = Counter(found.contract_type for found in perpetual)
    assert set(types) == {"PERPETUAL", "TRADIFI_PERPETUAL"}
    assert types.total() == 1005
    assert types["TRADIFI_PERPETUAL"] == 119  # SPCX also against USD1
    assert all(found.base and found.quote for found in perpetual + delivery)


@needs_real_data
def test_settled_um_symbols_are_those_that_say_so():
    symbols = json.loads(UM_SYMBOLS.read_text())["perpetual_symbols"]

    settled = [symbol for symbol in symbols if classify(symbol, trade_type=UM).settled]

    assert settled == [symbol for symbol in symbols if "SETTLED" in symbol]
    assert len(settled) == 17


@needs_real_data
def test_every_spot_symbol_of_the_usdt_key_list_is_quoted_in_usdt():
    symbols = symbols_of_keys(SPOT_KEYS)
    classes = [classify(symbol, trade_type=SPOT) for symbol in symbols]

    assert len(classes) == 650
    assert {found.quote for found in classes} == {"USDT"}
    assert all(found.base + "USDT" == found.symbol for found in classes)
    assert sum(found.leveraged for found in classes) == 50
    assert " ".join(sorted(found.base for found in classes if found.stable_pair)) == (
        "AEUR AUD BFUSD BKRW BUSD DAI EUR EURI FDUSD GBP PAX RLUSD SUSD TUSD U USD1 "
        "USDC USDE USDP USDS USDSB UST XUSD"
    )


@needs_real_data
def test_every_um_symbol_of_the_usdt_key_list_is_quoted_in_usdt():
    symbols = symbols_of_keys(UM_KEYS)

    assert len(symbols) == 668
    assert {classify(symbol, trade_type=UM).quote for symbol in symbols} == {"USDT"}


# --- select


def test_a_selection_is_sorted_and_accounts_for_every_symbol_once():
    names = ["ETHUSDT", "BTCUSDT", "BTCUSDT", "BTCTRY"]

    forward = select_all(names, quote=["USDT"])
    backward = select_all(reversed(names), quote=["USDT"])

    assert forward == backward
    assert forward.selected == ["BTCUSDT", "ETHUSDT"]
    assert forward.excluded == {"BTCTRY": Reason.QUOTE}


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
        "BTCTRY": Reason.QUOTE,
        "BTCUPUSDT": Reason.LEVERAGED,
        "BTCXYZ": Reason.UNMATCHED,
        "ETHUSDT": Reason.EXCLUDED,
        "USDCUSDT": Reason.STABLE_PAIR,
    }
    assert selection.unmatched == ["BTCXYZ"]


def test_open_filters_select_everything_even_what_cannot_be_read():
    names = ["BTCUPUSDT", "BTCXYZ", "USDCUSDT"]

    assert select_all(names).selected == names


def test_several_quotes_may_be_wanted_and_any_quote_asset_is_known():
    names = ["BTCBUSD", "BTCFDUSD", "BTCTRY", "BTCUSDT", "ETHBTC"]

    selection = select_all(names, quote=["FDUSD", "TRY", "BTC"])

    assert selection.selected == ["BTCFDUSD", "BTCTRY", "ETHBTC"]


@pytest.mark.parametrize(
    ("wanted", "selected"),
    [
        (["PERPETUAL"], ["BTCUSDT", "CVCUSDTSETTLED", "ICPUSDT_SETTLED"]),
        (["DELIVERY"], ["BTCUSDT_260925"]),
        (["TRADIFI_PERPETUAL"], ["TSLAUSDT"]),
        (["DELIVERY", "TRADIFI_PERPETUAL"], ["BTCUSDT_260925", "TSLAUSDT"]),
        ([], []),
    ],
)
def test_contract_types_select_futures_and_keep_settled_perpetuals(wanted, selected):
    names = [
        "BTCUSDT",
        "BTCUSDT_260925",
        "CVCUSDTSETTLED",
        "ICPUSDT_SETTLED",
        "TSLAUSDT",
    ]

    selection = select_all(names, trade_type=UM, contract_type=wanted)

    assert selection.selected == selected
    assert set(selection.excluded.values()) == {Reason.CONTRACT_TYPE}


def test_contract_types_have_no_effect_on_spot_and_on_index_pairs():
    spot = select_all(["BTCUSDT"], contract_type=["PERPETUAL"])
    index = select_all(["BTCUSD"], trade_type=CM, contract_type=["DELIVERY"])

    assert spot.selected == ["BTCUSDT"]
    assert index.selected == ["BTCUSD"]


def test_a_contract_type_that_does_not_exist_is_refused():
    with pytest.raises(SelectionError, match=r"'SWAP': expected one of PERPETUAL, "):
        select_all(["BTCUSDT"], trade_type=UM, contract_type=["SWAP"])


def test_a_contract_type_leaves_out_what_cannot_be_read_and_says_so():
    selection = select_all(["BTCXYZ"], trade_type=UM, contract_type=["PERPETUAL"])

    assert selection.unmatched == ["BTCXYZ"]


def test_stable_pairs_are_left_out_of_futures_too():
    selection = select_all(["BTCUSDT", "USDCUSDT"], trade_type=UM, stable_pairs=False)

    assert selection.selected == ["BTCUSDT"]


def test_a_listing_makes_an_unknown_quote_selectable():
    known = {"BTCXYZ": {"baseAsset": "BTC", "quoteAsset": "XYZ"}}

    assert select_all(["BTCXYZ"], quote=["XYZ"], known=known).selected == ["BTCXYZ"]


def test_include_adds_names_and_globs_whatever_the_filters_say():
    names = ["1000CATTRY", "1000SATSTRY", "BTCTRY", "BTCUSDT", "USDCUSDT"]

    selection = select_all(
        names, quote=["USDT"], stable_pairs=False, include=["1000*", "USDCUSDT"]
    )

    assert selection.selected == ["1000CATTRY", "1000SATSTRY", "BTCUSDT", "USDCUSDT"]


def test_exclude_wins_over_include():
    selection = select_all(["BTCTRY", "ETHTRY"], include=["*TRY"], exclude=["BTCTRY"])

    assert selection.selected == ["ETHTRY"]
    assert selection.excluded == {"BTCTRY": Reason.EXCLUDED}


def test_globs_respect_case():
    assert select_all(["BTCUSDT"], exclude=["btc*"]).selected == ["BTCUSDT"]


def test_an_exclusion_that_fits_nothing_is_ignored():
    assert select_all(["BTCUSDT"], exclude=["LUNAUSDT"]).selected == ["BTCUSDT"]


def test_including_a_name_that_does_not_exist_names_the_nearest():
    with pytest.raises(
        SelectionError, match=r"'BTCUSTD' is not in um_futures; did you mean 'BTCUSDT'"
    ):
        select_all(["BTCUSDT", "龙虾USDT"], trade_type=UM, include=["BTCUSTD"])


def test_including_a_glob_that_fits_nothing_is_refused():
    with pytest.raises(SelectionError, match=r"'DOGE\*' fits none of the 1 symbols"):
        select_all(["BTCUSDT"], include=["DOGE*"])


@needs_real_data
def test_the_default_filter_on_the_bucket_of_um():
    lists = json.loads(UM_SYMBOLS.read_text())
    symbols = lists["perpetual_symbols"] + lists["delivery_symbols"]

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
    assert selection.unmatched == []
    assert selection.excluded["USDCUSDT"] is Reason.STABLE_PAIR
    assert selection.excluded["BTCUSDT_260925"] is Reason.CONTRACT_TYPE


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
