"""Recorded exchangeInfo files."""

import datetime as dt
import json

import pytest

from bhds.core.errors import SelectionError
from bhds.core.markets import TradeType
from bhds.instruments import ContractType, classify, read_exchange_info

from .conftest import REALDATA

ENTRY = {"symbol": "NEWXYZ", "baseAsset": "NEW", "quoteAsset": "XYZ"}


def recorded(folder, content):
    path = folder / "exchangeInfo.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_entries_are_had_by_symbol_with_what_classes_need(tmp_path):
    entry = ENTRY | {"contractType": "TRADIFI_PERPETUAL", "filters": [{"a": 1}]}
    path = recorded(tmp_path, {"timezone": "UTC", "symbols": [entry]})

    known = read_exchange_info(path)

    assert known == {
        "NEWXYZ": {
            "baseAsset": "NEW",
            "quoteAsset": "XYZ",
            "contractType": "TRADIFI_PERPETUAL",
            "contractSize": None,
            "status": "",
            "delivery_time": None,
            "permissions": [],
            "permissionSets": [],
        }
    }
    found = classify("NEWXYZ", trade_type=TradeType.UM_FUTURES, known=known)
    assert found.contract_type is ContractType.TRADIFI_PERPETUAL


@pytest.mark.parametrize(
    ("said", "status", "delivery_time"),
    [
        ({"status": "SETTLING"}, "SETTLING", None),
        ({"contractStatus": "TRADING"}, "TRADING", None),
        (
            {"deliveryDate": 1711699200000},
            "",
            dt.datetime(2024, 3, 29, 8, tzinfo=dt.UTC),
        ),
        (
            {"deliveryDate": 4133404800000},
            "",
            dt.datetime(2100, 12, 25, 8, tzinfo=dt.UTC),
        ),
        ({"deliveryDate": 0}, "", None),
    ],
)
def test_status_and_delivery_of_a_contract_are_read(
    tmp_path, said, status, delivery_time
):
    known = read_exchange_info(recorded(tmp_path, {"symbols": [ENTRY | said]}))

    found = known["NEWXYZ"]
    assert (found["status"], found["delivery_time"]) == (status, delivery_time)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param("", "Invalid JSON", id="empty"),
        pytest.param(
            {"symbols": [ENTRY | {"deliveryDate": 10**30}]},
            "expected ms since 1970",
            id="a delivery after the end of time",
        ),
        pytest.param('{"symbols": [', "Invalid JSON", id="cut off"),
        pytest.param("[]", "Input should be an object", id="a list"),
        pytest.param({"code": -1003, "msg": "banned"}, "symbols: Field", id="error"),
        pytest.param({"symbols": []}, "symbols: it lists none", id="no symbols"),
        pytest.param({"symbols": {}}, "symbols: ", id="symbols are no list"),
        pytest.param(
            {"symbols": [ENTRY, {"symbol": "A"}]}, "symbols.1.baseAsset", id="no base"
        ),
        pytest.param(
            {"symbols": [ENTRY | {"quoteAsset": None}]}, "quoteAsset", id="null quote"
        ),
        pytest.param({"symbols": [ENTRY | {"symbol": ""}]}, "symbol", id="no name"),
        pytest.param(
            {"symbols": [ENTRY, ENTRY]}, "'NEWXYZ' is listed 2 times", id="twice"
        ),
        pytest.param(
            {"symbols": [ENTRY | {"permissions": "SPOT"}]}, "permissions", id="text"
        ),
    ],
)
def test_a_broken_file_is_refused(tmp_path, content, reason):
    path = recorded(tmp_path, content)

    with pytest.raises(SelectionError) as caught:
        read_exchange_info(path)

    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert reason in message
    assert "record it again, or remove the file" in message
    assert "\n" not in message


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(SelectionError, match=r"none\.json: No such file"):
        read_exchange_info(tmp_path / "none.json")


@pytest.mark.skipif(not REALDATA.is_dir(), reason="../shared/realdata is absent")
@pytest.mark.parametrize(
    ("path", "count"),
    [
        ("spot/exchangeInfo/exchangeInfo-spot-2018-02-10.json", 265),
        ("spot/exchangeInfo/exchangeInfo-spot-2021-03-24.json", 1363),
        ("um/exchangeInfo/exchangeInfo-um-2022-05-04.json", 155),
        ("um/api/2026-07-04/fapi-v1-exchangeInfo.json", 820),
    ],
)
def test_recorded_answers_are_read_whole(path, count):
    known = read_exchange_info(REALDATA / path)

    assert len(known) == count
    assert all(entry["baseAsset"] and entry["quoteAsset"] for entry in known.values())
