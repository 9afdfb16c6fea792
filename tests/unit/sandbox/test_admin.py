import datetime as dt

import pytest

from bhds.core.errors import BhdsError, SelectionError
from bhds.sandbox import admin
from bhds.sandbox.defects import Defect
from bhds.sandbox.limits import LimitPool

KEY = "data/futures/um/daily/klines/AAAUSDT/1m/AAAUSDT-1m-2025-01-05.zip"
HOLE = {
    "trade_type": "um_futures",
    "symbol": "AAAUSDT",
    "start": "2025-01-05T00:00:00Z",
    "end": "2025-01-05T01:00:00Z",
}


def test_every_fault_of_the_api_can_be_asked_for(exchange):
    for action, fields in (
        (
            "api_fail",
            {"how": "refuse", "status": 429, "times": 2, "retry_after_s": 5},
        ),
        ("api_fail", {"how": "cut_off", "target": "um_futures/klines"}),
        ("api_fail", {"how": "stall", "times": None}),
    ):
        admin.act(exchange, action, fields)
    admin.act(exchange, "api_latency", {"latency_s": 0.25})

    shown = admin.state(exchange)["api"]
    assert [(each["how"], each["times"]) for each in shown["faults"]] == [
        ("refuse", 2),
        ("cut_off", 1),
        ("stall", None),
    ]
    assert shown["faults"][0]["retry_after_s"] == 5
    assert shown["latency_s"] == exchange.api_faults.latency_s == 0.25
    admin.act(exchange, "api_clear", {})
    assert admin.state(exchange)["api"]["faults"] == []


def test_files_and_bars_can_be_spoiled_and_made_whole_again(exchange):
    admin.act(exchange, "spoil", {"key": KEY, "how": "truncated"})
    admin.act(exchange, "api_withhold", HOLE | {"interval": "1m"})

    assert exchange.publication.spoiled == {KEY: (Defect.TRUNCATED,)}
    shown = admin.state(exchange)
    assert shown["spoiled"] == {KEY: ("truncated",)}
    (hole,) = shown["api"]["withheld"]
    assert hole["end_ms"] - hole["start_ms"] == 3_600_000
    assert hole["interval"] == "1m"
    admin.act(exchange, "repair", {"key": KEY})
    assert admin.state(exchange)["spoiled"] == {}


def test_the_state_tells_what_was_granted_and_refused(exchange, clock):
    for weight in (2_000, 400, 1):
        exchange.limiter.spend("127.0.0.1", LimitPool.FUTURES, weight)
    clock[0] += 60
    exchange.limiter.spend("127.0.0.1", LimitPool.FUTURES, 7)

    shown = admin.state(exchange)["api"]

    assert shown["refused"] == 1
    assert shown["weights"] == {"spot": [], "futures": [2_400, 7], "funding": []}


@pytest.mark.parametrize(
    ("action", "fields"),
    [
        pytest.param("spoil", {"key": KEY, "how": "burnt"}, id="no such defect"),
        pytest.param("spoil", {"key": KEY}, id="a field is missing"),
        pytest.param("repair", {"key": KEY}, id="nothing to repair"),
        pytest.param("api_clear", {"all": True}, id="unknown field"),
        pytest.param("api_fail", {"how": "refuse", "status": "many"}, id="no number"),
        pytest.param(
            "api_fail", {"how": "stall", "target": "none"}, id="no such endpoint"
        ),
        pytest.param("api_withhold", HOLE | {"start": "noon"}, id="no time"),
    ],
)
def test_what_makes_no_sense_changes_nothing(exchange, action, fields):
    before = admin.state(exchange)

    with pytest.raises((BhdsError, ValueError)):
        admin.act(exchange, action, fields)

    assert admin.state(exchange) == before


def test_an_unknown_action_is_told_which_there_are(exchange):
    with pytest.raises(
        SelectionError, match=r"'smash': expected one of \['add_scenario'"
    ):
        admin.act(exchange, "smash", {})


def test_the_clock_is_set_in_any_zone(exchange):
    admin.act(exchange, "now", {"now": "2025-02-11T02:00:00+02:00"})

    assert exchange.now == dt.datetime(2025, 2, 11, tzinfo=dt.UTC)
