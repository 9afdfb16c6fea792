import json
from pathlib import Path

import pytest

from bhds.api.rows import (
    Bar,
    FundingEvent,
    check_exchange_info,
    parse_bars,
    parse_funding_events,
    parse_server_time,
)
from bhds.core.errors import ApiError

GENUINE = Path(__file__).parents[3] / "../shared/realdata"

KLINE = [0, "1.5", "2", "1", "1.75", "10", 59_999, "16", 3, "4", "7", "0"]
EVENT = {
    "symbol": "AAAUSDT",
    "fundingTime": 28_800_003,
    "fundingRate": "-0.00010000",
    "markPrice": "100.5",
    "rateType": "Special",
}


def test_a_kline_becomes_a_bar():
    assert parse_bars([KLINE], subject="x") == [
        Bar(0, 1.5, 2.0, 1.0, 1.75, 10.0, 59_999, 16.0, 3, 4.0, 7.0)
    ]


def test_a_funding_event_is_read():
    assert parse_funding_events([EVENT], subject="x") == [
        FundingEvent("AAAUSDT", 28_800_003, -0.0001, 100.5, "Special")
    ]


@pytest.mark.parametrize(
    "event",
    [EVENT | {"markPrice": ""}, EVENT | {"markPrice": None}, {**EVENT}],
)
def test_an_unknown_mark_price_is_none(event):
    if event["markPrice"]:
        del event["markPrice"]

    assert parse_funding_events([event], subject="x")[0].mark_price is None


@pytest.mark.parametrize("said", [{}, {"rateType": ""}, {"rateType": None}])
def test_a_type_of_rate_that_is_not_said_is_none(said):
    event = {name: EVENT[name] for name in EVENT if name != "rateType"} | said
    unknown = set()

    (found,) = parse_funding_events([event], subject="x", unknown=unknown)

    assert found.rate_type is None
    assert unknown == set()


def test_an_unknown_type_of_rate_is_named():
    unknown = set()

    parse_funding_events([EVENT | {"rateType": "Odd"}], subject="x", unknown=unknown)

    assert unknown == {"rateType 'Odd' of a funding event"}


def test_impossible_values_of_bars_are_read():
    row = changed(changed(KLINE, 5, "-1"), 8, -2)

    (bar,) = parse_bars([row], subject="x")

    assert (bar.volume, bar.trade_count) == (-1.0, -2)


def changed(row, place, value):
    copy = row.copy()
    copy[place] = value
    return copy


@pytest.mark.parametrize(
    ("parse", "answer"),
    [
        pytest.param(parse_bars, {"code": 0}, id="no list"),
        pytest.param(parse_bars, [KLINE[:11]], id="11 values"),
        pytest.param(parse_bars, [None], id="no kline"),
        pytest.param(parse_bars, [changed(KLINE, 0, "0")], id="time as text"),
        pytest.param(parse_bars, [changed(KLINE, 0, -1)], id="negative time"),
        pytest.param(parse_bars, [changed(KLINE, 6, 1.5)], id="half a millisecond"),
        pytest.param(parse_bars, [changed(KLINE, 8, *[True])], id="count is a truth"),
        pytest.param(parse_bars, [changed(KLINE, 0, 10**13)], id="year 2286"),
        pytest.param(parse_bars, [changed(KLINE, 6, 2**63)], id="end of time"),
        pytest.param(parse_bars, [changed(KLINE, 8, 2**63)], id="2^63 trades"),
        pytest.param(
            parse_bars, [changed(KLINE, 8, 10**99)], id="a count of 99 digits"
        ),
        pytest.param(parse_bars, [changed(KLINE, 1, "1" * 10**6)], id="long price"),
        pytest.param(parse_bars, [changed(KLINE, 1, "1e999")], id="infinite price"),
        pytest.param(parse_bars, [changed(KLINE, 1, 1.5)], id="price as number"),
        pytest.param(parse_bars, [changed(KLINE, 2, "")], id="no price"),
        pytest.param(parse_bars, [changed(KLINE, 3, "1,5")], id="comma"),
        pytest.param(parse_bars, [changed(KLINE, 4, "nan")], id="not a number"),
        pytest.param(parse_bars, [changed(KLINE, 5, "Infinity")], id="infinite"),
        pytest.param(parse_bars, [changed(KLINE, 10, None)], id="null"),
        pytest.param(parse_funding_events, {}, id="events: no list"),
        pytest.param(parse_funding_events, [[]], id="no event"),
        pytest.param(parse_funding_events, [EVENT | {"symbol": ""}], id="no symbol"),
        pytest.param(parse_funding_events, [EVENT | {"fundingTime": "1"}], id="when"),
        pytest.param(parse_funding_events, [EVENT | {"fundingRate": ""}], id="no rate"),
        pytest.param(parse_funding_events, [EVENT | {"markPrice": "x"}], id="mark"),
        pytest.param(
            parse_funding_events, [EVENT | {"symbol": "A" * 151}], id="long symbol"
        ),
        pytest.param(
            parse_server_time, {"serverTime": 2**62}, id="server of the future"
        ),
        pytest.param(parse_server_time, {"serverTime": "1"}, id="server time as text"),
        pytest.param(parse_server_time, [], id="no server time"),
        pytest.param(check_exchange_info, {"symbols": {}}, id="no list of symbols"),
        pytest.param(check_exchange_info, [], id="no symbols"),
    ],
)
def test_a_malformed_answer_is_one_error_that_names_the_request(parse, answer):
    with pytest.raises(
        ApiError, match=r"^http://x/y: the answer holds .*, expected .*; look"
    ):
        parse(answer, subject="http://x/y")


def test_of_a_long_answer_the_error_shows_the_beginning():
    with pytest.raises(ApiError) as failure:
        parse_bars([["1"] * 10_000], subject="x")

    assert len(str(failure.value)) < 700


needs_genuine = pytest.mark.skipif(
    not GENUINE.is_dir(), reason="the recorded answers of ../shared/realdata are absent"
)


@needs_genuine
def test_recorded_klines_are_read():
    paths = [*GENUINE.glob("*/api_klines/**/*.json")]
    assert len(paths) >= 24

    for path in paths:
        recorded = json.loads(path.read_text())
        bars = parse_bars(recorded, subject=path.name)
        assert [list(bar) for bar in bars] == [
            [float(value) for value in row[:11]] for row in recorded
        ]
        assert all(bar.open_time < bar.close_time for bar in bars)
        assert all(bar.low <= bar.open <= bar.high for bar in bars)


@needs_genuine
@pytest.mark.parametrize("symbol", ["BTCUSDT", "SOLUSDT"])
def test_recorded_funding_is_read(symbol):
    folder = GENUINE / "um/api/2026-07-04"
    recorded = (folder / f"fapi-v1-fundingRate-{symbol}-limit20.json").read_text()
    events = parse_funding_events(json.loads(recorded), subject=symbol)

    assert len(events) == 20
    assert {event.symbol for event in events} == {symbol}
    assert all(abs(event.funding_rate) < 0.01 for event in events)
    assert {event.funding_time % 28_800_000 // 1_000 for event in events} == {0}


@needs_genuine
def test_recorded_exchange_info_is_read():
    folder = GENUINE / "um/api/2026-07-04"
    check_exchange_info(
        json.loads((folder / "fapi-v1-exchangeInfo.json").read_text()), subject="x"
    )


def test_values_beyond_the_known_ones_are_left_out_and_named():
    unknown = set()

    bars = parse_bars([KLINE, [*KLINE, "0"]], subject="x", unknown=unknown)

    assert bars[0] == bars[1]
    assert unknown == {"13 values of a bar, of which 12 are known"}


def test_unknown_fields_of_funding_events_are_left_out_and_named():
    unknown = set()
    event = {"symbol": "AUSDT", "fundingTime": 1, "fundingRate": "0.1", "mood": "good"}

    (found,) = parse_funding_events([event], subject="x", unknown=unknown)

    assert found.funding_rate == 0.1
    assert unknown == {"'mood' of a funding event"}
