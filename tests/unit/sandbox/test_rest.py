import datetime as dt
import json
from decimal import Decimal

import pytest

from bhds.sandbox.limits import LimitPool
from bhds.sandbox.rest import RestError
from bhds.sandbox.timegrid import DAY_MS, MINUTE_MS, to_ms
from bhds.sandbox.universe import Symbol

from .conftest import fields

SPOT, UM, CM = "/api/v3", "/fapi/v1", "/dapi/v1"
LISTED = to_ms(dt.datetime(2024, 12, 30, 12, tzinfo=dt.UTC))
NOW = to_ms(dt.datetime(2025, 2, 10, 12, tzinfo=dt.UTC))
SYMBOLS = {SPOT: "AAAUSDT", UM: "AAAUSDT", CM: "AAAUSD_PERP"}
MARK, INDEX, _ = REFERENCES = (
    "markPriceKlines",
    "indexPriceKlines",
    "premiumIndexKlines",
)


def ask(exchange, path, **parameters):
    texts = {name: str(value) for name, value in parameters.items()}
    return json.loads(exchange.api.endpoints[path].answer(texts))


def klines(exchange, root, interval="1m", *, kind="klines", **parameters):
    name = {"symbol": SYMBOLS[root]}
    if kind == INDEX:
        name = {"pair": SYMBOLS[root].partition("_")[0]}
    asked = {"interval": interval} | name | parameters
    return ask(exchange, f"{root}/{kind}", **asked)


def archived_rows(exchange, key):
    """Return the rows of a file as lists of text, without its header."""
    return [row for row in fields(exchange, key) if row[0].isdigit()]


def refusal(exchange, path, **parameters):
    with pytest.raises(RestError) as caught:
        ask(exchange, path, **parameters)
    return json.loads(caught.value.body)["code"]


@pytest.mark.parametrize(
    ("root", "folder"),
    [(SPOT, "spot"), (UM, "futures/um"), (CM, "futures/cm")],
)
def test_klines_show_what_the_archive_holds(exchange, root, folder):
    name = SYMBOLS[root]
    key = f"data/{folder}/daily/klines/{name}/1m/{name}-1m-2024-12-31.zip"
    archived = archived_rows(exchange, key)
    start = to_ms(dt.datetime(2024, 12, 31, tzinfo=dt.UTC))

    rows = klines(exchange, root, startTime=start, endTime=start + 500 * MINUTE_MS - 1)

    assert len(rows) == 500
    assert [list(map(str, row)) for row in rows] == archived[:500]
    assert [type(value) for value in rows[0]] == [
        int, str, str, str, str, str, int, str, int, str, str, str,
    ]  # fmt: skip


@pytest.mark.parametrize("kind", REFERENCES)
@pytest.mark.parametrize(("root", "folder"), [(UM, "um"), (CM, "cm")])
@pytest.mark.parametrize("interval", ["1m", "1w", "1mo"])
def test_reference_klines_show_what_the_archive_holds(
    exchange, root, folder, kind, interval
):
    name = SYMBOLS[root] if kind != INDEX else SYMBOLS[root].partition("_")[0]
    # Of a month, the API's name is another one.
    asked = "1M" if interval == "1mo" else interval
    path = f"data/futures/{folder}/monthly/{kind}/{name}/{interval}"
    archived = archived_rows(exchange, f"{path}/{name}-{interval}-2025-01.zip")[-1500:]

    rows = klines(
        exchange,
        root,
        asked,
        kind=kind,
        startTime=archived[0][0],
        endTime=archived[-1][0],
        limit=1500,
    )

    assert [list(map(Decimal, row)) for row in rows] == [
        list(map(Decimal, row)) for row in archived
    ]
    assert [type(value) for value in rows[0]] == [
        int, str, str, str, str, str, int, str, int, str, str, str,
    ]  # fmt: skip
    assert {value for row in rows for value in (row[5], row[7], *row[9:])} == {"0"}


@pytest.mark.parametrize("kind", ["klines", *REFERENCES])
@pytest.mark.parametrize(
    ("root", "minutes"),
    [(SPOT, [1, 2, 3]), (UM, [1, 2, 3]), (CM, [1438, 1439, 1440])],
)
def test_more_bars_than_the_limit_are_the_first_or_of_cm_the_last(
    exchange, root, minutes, kind
):
    if root == SPOT and kind != "klines":
        assert f"{root}/{kind}" not in exchange.api.endpoints
        return

    given = {"startTime": LISTED + 1, "endTime": LISTED + DAY_MS, "limit": 3}
    found = klines(exchange, root, kind=kind, **given)

    assert [(row[0] - LISTED) / MINUTE_MS for row in found] == minutes


@pytest.mark.parametrize(
    ("start", "end"), [(0, 0), (0, 5 * MINUTE_MS), (1, 5 * MINUTE_MS - 1)]
)
@pytest.mark.parametrize("root", [SPOT, UM, CM])
def test_start_and_end_are_inclusive(exchange, root, start, end):
    base = LISTED + DAY_MS

    rows = klines(exchange, root, startTime=base + start, endTime=base + end)

    opened = range(base, base + 6 * MINUTE_MS, MINUTE_MS)
    assert [row[0] for row in rows] == [
        time for time in opened if base + start <= time <= base + end
    ]


@pytest.mark.parametrize("root", [SPOT, UM, CM])
def test_without_times_come_the_newest(exchange, root):
    rows = klines(exchange, root, "1h", limit=3)

    assert [row[0] for row in rows] == [NOW - hours * 3_600_000 for hours in (3, 2, 1)]


@pytest.mark.parametrize(
    ("root", "kind"), [(SPOT, "klines"), (UM, "klines"), (CM, "klines"), (UM, MARK)]
)
def test_the_last_bar_may_be_running(exchange, root, kind):
    exchange.set_now(exchange.now + dt.timedelta(minutes=10))
    now = to_ms(exchange.now)

    running = klines(exchange, root, "1h", kind=kind, limit=1)[0]

    assert running[0] <= now < running[6]
    exchange.set_now(exchange.now + dt.timedelta(hours=1))
    final = klines(exchange, root, "1h", kind=kind, startTime=NOW, endTime=NOW)[0]
    assert final[:2] == running[:2]
    assert final[8] > running[8]


def test_paging_gets_all_bars_across_a_halt(exchange):
    start, found = LISTED, []
    while page := klines(exchange, UM, "5m", startTime=start, limit=1500, endTime=NOW):
        found += page
        start = page[-1][0] + 1

    times = [row[0] for row in found]
    assert times == sorted(set(times))
    # The halt of 52 h 30 min took 630 bars.
    assert len(times) == (NOW - LISTED) // (5 * MINUTE_MS) - 630


def test_a_month_is_named_by_a_capital_letter(exchange):
    rows = klines(exchange, SPOT, "1M", startTime=0)

    assert [dt.datetime.fromtimestamp(row[0] / 1000, dt.UTC).month for row in rows] == [
        12,
        1,
        2,
    ]
    assert (
        refusal(exchange, f"{SPOT}/klines", symbol="AAAUSDT", interval="1mo") == -1120
    )


def test_seconds_are_there_for_the_symbol_that_has_them(exchange):
    rows = klines(exchange, SPOT, "1s", symbol="SECUSDT", limit=2)

    assert rows[1][0] - rows[0][0] == 1_000
    assert refusal(exchange, f"{SPOT}/klines", symbol="AAAUSDT", interval="1s") == -1120


LONG = {"startTime": 0, "endTime": 200 * DAY_MS + 1}


@pytest.mark.parametrize(
    ("root", "kind", "parameters", "code"),
    [
        pytest.param(UM, "klines", {"symbol": "NONE"}, -1121, id="unknown symbol"),
        pytest.param(UM, "klines", {"symbol": "币安人生USDT"}, -1121, id="delisted"),
        pytest.param(UM, "klines", {"symbol": ""}, -1102, id="no symbol"),
        pytest.param(UM, "klines", {"interval": "7m"}, -1120, id="unknown interval"),
        pytest.param(UM, "klines", {"limit": 1501}, -1130, id="limit too large"),
        pytest.param(SPOT, "klines", {"limit": 0}, -1130, id="limit 0"),
        pytest.param(SPOT, "klines", {"limit": "x"}, -1100, id="limit is no number"),
        pytest.param(CM, "klines", LONG, -1127, id="more than 200 days"),
        pytest.param(UM, INDEX, {"pair": ""}, -1102, id="no pair"),
        pytest.param(CM, INDEX, {"pair": "AAAUSD_PERP"}, -1121, id="symbol as pair"),
        pytest.param(UM, INDEX, {"pair": "币安人生USDT"}, -1121, id="delisted pair"),
        pytest.param(UM, MARK, {"interval": "1s"}, -1120, id="no seconds"),
    ],
)
def test_what_is_wrong_is_refused_with_its_code(exchange, root, kind, parameters, code):
    with pytest.raises(RestError) as caught:
        klines(exchange, root, kind=kind, **parameters)

    assert caught.value.code == code


def test_spot_caps_the_limit(exchange):
    assert len(klines(exchange, SPOT, limit=5000)) == 1000


@pytest.mark.parametrize(
    ("limit", "weight"),
    [(99, 1), (100, 2), (499, 2), (500, 5), (1000, 5), (1001, 10), (1500, 10)],
)
def test_futures_klines_cost_by_their_limit(exchange, limit, weight):
    for root in (UM, CM):
        for name in ("klines", *REFERENCES):
            cost = exchange.api.endpoints[f"{root}/{name}"].cost({"limit": str(limit)})
            assert cost == {LimitPool.FUTURES: weight}


def test_spot_klines_cost_two(exchange):
    assert exchange.api.endpoints[f"{SPOT}/klines"].cost({}) == {LimitPool.SPOT: 2}


def test_funding_of_um_has_a_budget_of_its_own(exchange):
    endpoints = exchange.api.endpoints

    assert endpoints[f"{UM}/fundingRate"].cost({}) == {LimitPool.FUNDING: 1}
    assert endpoints[f"{UM}/fundingInfo"].cost({}) == {LimitPool.FUNDING: 1}
    assert endpoints[f"{CM}/fundingRate"].cost({}) == {LimitPool.FUTURES: 1}


def test_a_dividend_is_a_special_event_of_the_same_minute(exchange, symbol):
    moments = [dt.datetime(2025, 1, day, 8, tzinfo=dt.UTC) for day in (7, 9)]
    given = symbol("um_futures", "DIVUSDT", dividends=moments[:1])
    exchange.extend([Symbol.model_validate(given)])
    with_dividend, without = (
        ask(
            exchange,
            f"{UM}/fundingRate",
            symbol="DIVUSDT",
            startTime=to_ms(moment),
            endTime=to_ms(moment) + MINUTE_MS,
        )
        for moment in moments
    )
    assert [event["rateType"] for event in with_dividend] == ["Regular", "Special"]
    assert with_dividend[0]["fundingTime"] == with_dividend[1]["fundingTime"]
    assert with_dividend[1]["fundingRate"] == "-0.00250000"
    assert [event["rateType"] for event in without] == ["Regular"]
    key = "data/futures/um/monthly/fundingRate/DIVUSDT/DIVUSDT-fundingRate-2025-01.zip"
    of_archive = [row[2] for row in archived_rows(exchange, key)]
    assert of_archive.count("-0.00250000") == 1


@pytest.mark.parametrize("root", [UM, CM])
def test_funding_events_are_those_of_the_archive(exchange, root):
    name = SYMBOLS[root]
    folder = f"data/futures/{'um' if root == UM else 'cm'}/monthly/fundingRate/{name}"
    key = f"{folder}/{name}-fundingRate-2025-01.zip"
    archived = [",".join(row) for row in archived_rows(exchange, key)]
    start = to_ms(dt.datetime(2025, 1, 1, tzinfo=dt.UTC))

    events = ask(
        exchange,
        f"{root}/fundingRate",
        symbol=name,
        startTime=start,
        endTime=start + 31 * DAY_MS - 1,
        limit=1000,
    )

    shown = [f"{event['fundingTime']},8,{event['fundingRate']}" for event in events]
    assert shown == archived
    assert all(float(event["markPrice"]) > 0 for event in events)


def test_funding_is_paged_from_the_start_and_newest_without(exchange):
    path = f"{UM}/fundingRate"

    first = ask(exchange, path, symbol="AAAUSDT", startTime=0, limit=2)
    last = ask(exchange, path, symbol="AAAUSDT", limit=2)

    assert first[0]["fundingTime"] // 1000 == (LISTED + 12 * 3_600_000) // 1000
    assert [event["fundingTime"] // 1000 for event in last] == [
        (NOW - hours * 3_600_000) // 1000 for hours in (12, 4)
    ]


def test_exchange_info_shows_the_present_only(exchange):
    def symbols(root):
        shown = ask(exchange, f"{root}/exchangeInfo")["symbols"]
        return {each["symbol"]: each for each in shown}

    assert list(symbols(SPOT)) == ["AAAUSDT", "SECUSDT"]
    assert list(symbols(UM)) == ["AAAUSDT"]
    assert symbols(UM)["AAAUSDT"]["contractType"] == "PERPETUAL"
    assert symbols(CM)["AAAUSD_PERP"]["contractSize"] == 10
    exchange.set_now(dt.datetime(2025, 1, 2, tzinfo=dt.UTC))
    assert list(symbols(SPOT)) == ["AAAUSDT"]
    assert list(symbols(UM)) == ["AAAUSDT", "币安人生USDT"]


def test_time_is_the_sandboxs_clock(exchange):
    for root in (SPOT, UM, CM):
        assert ask(exchange, f"{root}/time") == {"serverTime": NOW}
