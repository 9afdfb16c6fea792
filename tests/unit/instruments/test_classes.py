"""What a symbol's name, the tables and a recorded exchangeInfo say of it."""

import csv
import datetime as dt
from collections import Counter
from importlib import resources

import pytest

from bhds.core.markets import TradeType
from bhds.instruments import ContractType, classify

SPOT, UM, CM = TradeType.SPOT, TradeType.UM_FUTURES, TradeType.CM_FUTURES
OPTION = TradeType.OPTION

UM_2022 = "um/exchangeInfo/exchangeInfo-um-2022-05-04.json"
UM_2026 = "um/api/2026-07-04/fapi-v1-exchangeInfo.json"
SPOT_2018 = "spot/exchangeInfo/exchangeInfo-spot-2018-02-10.json"
SPOT_2021 = "spot/exchangeInfo/exchangeInfo-spot-2021-03-24.json"
SPOT_KEYS = "data_spot_daily_klines_1m_USDT-20260204"
UM_KEYS = "data_futures_um_monthly_klines_1m_USDT-20260308"
UM_TRADE_KEYS = "data_futures_um_monthly_aggTrades_USDT-20260215"

# --- names


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
        (SPOT, "BNBUSD", "BNB", "USD", "SPOT"),
        (SPOT, "BNBBUSD", "BNB", "BUSD", "SPOT"),
        (SPOT, "USDTUSD", "USDT", "USD", "SPOT"),
        (SPOT, "BTCTUSD", "BTC", "TUSD", "SPOT"),
        (SPOT, "ARBIDR", "ARB", "IDR", "SPOT"),
        (SPOT, "BNBIDR", "BNB", "IDR", "SPOT"),
        (SPOT, "BNBBIDR", "BNB", "BIDR", "SPOT"),
        (SPOT, "这是测试币456", "这是测试币", "456", "SPOT"),
        (SPOT, "XRPRLUSD", "XRP", "RLUSD", "SPOT"),
        (SPOT, "BTCUSDSOLD", "BTC", "USDSOLD", "SPOT"),
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
        (OPTION, "BTCBVOLUSDT", "BTCBVOL", "USDT", "OPTION"),
        (OPTION, "BTCUSDT", "BTC", "USDT", "OPTION"),
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
        (SPOT, "LUNAUSDT_SETTLED1", "LUNA", "SPOT"),
        (UM, "ICPUSDT_SETTLED1", "ICP", "PERPETUAL"),
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
        pytest.param(OPTION, "BTC", id="an option without a quote"),
    ],
)
def test_a_name_beyond_the_grammar_is_unclassified(trade_type, symbol):
    found = classify(symbol, trade_type=trade_type)

    assert found.contract_type is ContractType.UNCLASSIFIED
    assert (found.base, found.quote) == (None, None)
    assert not found.stable_pair
    assert not found.leveraged


# --- tables


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
    text = resources.files("bhds").joinpath("data", table).read_text(encoding="utf-8")
    rows = list(csv.DictReader(text.splitlines()))

    assets = [row["asset"] for row in rows]
    assert assets == sorted(set(assets))
    assert all(row["source"] for row in rows)
    assert all(None not in row and None not in row.values() for row in rows)


# --- a recorded exchangeInfo


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


# --- the real lists


@pytest.mark.parametrize(
    ("trade_type", "path", "count"),
    [
        pytest.param(SPOT, SPOT_2018, 265, id="spot-2018"),
        pytest.param(SPOT, SPOT_2021, 1363, id="spot-2021"),
        pytest.param(UM, UM_2022, 155, id="um-2022"),
        pytest.param(UM, UM_2026, 820, id="um-2026"),
    ],
)
def test_names_alone_agree_with_every_entry_of_exchange_info(
    trade_type, path, count, real_lists
):
    listed = real_lists.entries(path)

    assert len(listed) == count
    for symbol, entry in listed.items():
        by_name = classify(symbol, trade_type=trade_type)
        assert (by_name.base, by_name.quote) == (
            entry["baseAsset"],
            entry["quoteAsset"],
        ), symbol
        assert by_name == classify(symbol, trade_type=trade_type, known=listed), symbol


@pytest.mark.parametrize(
    ("trade_type", "name"), [(SPOT, SPOT_KEYS), (UM, UM_KEYS), (UM, UM_TRADE_KEYS)]
)
def test_every_symbol_of_the_bucket_has_a_class(trade_type, name, real_lists):
    found = [
        classify(each, trade_type=trade_type) for each in real_lists.key_list(name)
    ]

    without = [e.symbol for e in found if e.contract_type is ContractType.UNCLASSIFIED]
    assert without == []
    assert len(found) > 100
    assert all(entry.base and entry.quote for entry in found)


def test_delivery_dates_agree_with_exchange_info(real_lists):
    listed = real_lists.entries(UM_2022) | real_lists.entries(UM_2026)
    deliveries = {
        symbol: dt.datetime.fromtimestamp(entry["deliveryDate"] / 1000, dt.UTC).date()
        for symbol, entry in listed.items()
        if "QUARTER" in entry["contractType"]
    }

    assert len(deliveries) == 6
    for symbol, day in deliveries.items():
        assert classify(symbol, trade_type=UM).delivery_date == day


def test_every_um_symbol_of_the_bucket_has_the_class_of_its_list(real_lists):
    perpetual, delivery = (
        Counter(classify(symbol, trade_type=UM).contract_type for symbol in symbols)
        for symbols in real_lists.bucket_symbols()
    )

    assert delivery == {"DELIVERY": 52}
    assert set(perpetual) == {"PERPETUAL", "TRADIFI_PERPETUAL"}
    assert perpetual.total() == 1005
    assert perpetual["TRADIFI_PERPETUAL"] == 119  # SPCX also against USD1


def test_settled_um_symbols_are_those_that_say_so(real_lists):
    symbols, _ = real_lists.bucket_symbols()

    settled = [symbol for symbol in symbols if classify(symbol, trade_type=UM).settled]

    assert settled == [symbol for symbol in symbols if "SETTLED" in symbol]
    assert len(settled) == 17


def test_every_spot_symbol_of_the_usdt_key_list_is_quoted_in_usdt(real_lists):
    symbols = real_lists.key_list(SPOT_KEYS)
    classes = [classify(symbol, trade_type=SPOT) for symbol in symbols]

    assert len(classes) == 650
    assert all(found.base + "USDT" == found.symbol for found in classes)
    assert sum(found.leveraged for found in classes) == 50
    assert " ".join(sorted(found.base for found in classes if found.stable_pair)) == (
        "AEUR AUD BFUSD BKRW BUSD DAI EUR EURI FDUSD GBP PAX RLUSD SUSD TUSD U USD1 "
        "USDC USDE USDP USDS USDSB UST XUSD"
    )


@pytest.mark.parametrize(
    ("name", "count"),
    [
        pytest.param(UM_KEYS, 668, id="klines"),
        pytest.param(UM_TRADE_KEYS, 656, id="aggTrades"),
    ],
)
def test_every_um_symbol_of_the_usdt_key_lists_is_quoted_in_usdt(
    name, count, real_lists
):
    symbols = real_lists.key_list(name)

    assert len(symbols) == count
    assert {classify(symbol, trade_type=UM).quote for symbol in symbols} == {"USDT"}
