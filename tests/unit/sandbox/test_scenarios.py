"""The scenarios as data, and the actions that add and advance them.

Each symptom, and what the workflow makes of it, is checked once:
tests/workflow/test_scenarios.py.
"""

import asyncio
import datetime as dt
import json
import re
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest

from bhds.core.errors import ConfigError, SelectionError
from bhds.core.markets import Interval, TradeType
from bhds.sandbox.admin import add_scenario, advance_scenario
from bhds.sandbox.exchange import PRESENT, Exchange
from bhds.sandbox.scenarios import available_at, load_scenarios
from bhds.sandbox.timegrid import DAY_MS, from_ms, to_ms
from bhds.sandbox.universe import Universe

from .conftest import client_of

DOCUMENT = Path(__file__).parents[3] / "docs" / "known-limitations.md"
UM = TradeType.UM_FUTURES
SCENARIOS = load_scenarios()
AT_PRESENT = available_at(PRESENT)


@pytest.fixture
def empty(tmp_path):
    """An exchange at the default present that lists nothing."""
    with Exchange(Universe(seed=32), cache_dir=tmp_path / "cache") as opened:
        yield opened


def klines_key(symbol, day):
    folder = f"data/futures/um/daily/klines/{symbol}/1m"
    return f"{folder}/{symbol}-1m-2025-03-{day:02}.zip"


def api(exchange, path, **asked):
    """Ask an endpoint of the API, which answers rows."""
    texts = {name: str(value) for name, value in asked.items()}
    return json.loads(exchange.api.endpoints[path].answer(texts))


FOLDERS = [
    f"data/futures/um/{kind}"
    for kind in (
        *(
            "daily/klines/{}/1m/{}-1m-2025-03-0",
            "daily/metrics/{}/{}-metrics-2025-03-0",
        ),
        "daily/aggTrades/{}/{}-aggTrades-2025-03-0",
        "monthly/fundingRate/{}/",
    )
]
"""Where the defects of the last days are."""


def digests(exchange, symbols):
    """Return the ETags of files of some symbols."""
    keys = [
        key
        for name in symbols
        for folder in FOLDERS
        for key in exchange.store.keys(folder.format(name, name))
    ]
    assert len(keys) > 10
    return {each.key: each.etag for each in exchange.store.describe(keys)}


def test_the_numbers_are_those_of_the_catalogue():
    assert list(SCENARIOS) == [f"D{number:02}" for number in range(1, 33)]
    assert all(each.title and each.what.endswith(".") for each in SCENARIOS.values())


def test_the_users_documentation_has_each_number_once_and_in_order():
    rows = re.findall(r"^\| (D\d\d) \| (.+?) \|", DOCUMENT.read_text(), re.MULTILINE)

    assert rows == [(number, each.title) for number, each in SCENARIOS.items()]


def test_all_scenarios_are_served_next_to_the_shipped_symbols(tmp_path):
    with Exchange(cache_dir=tmp_path) as shipped:
        before = digests(shipped, ["ETHUSDC"])
        for number in AT_PRESENT:
            add_scenario(shipped, number)

        assert shipped.scenarios == AT_PRESENT
        assert digests(shipped, ["ETHUSDC"]) == before
        assert len(AT_PRESENT) == 31


def test_a_defect_looks_the_same_among_few_and_among_all(empty, tmp_path):
    numbers = ("D06", "D08", "D16", "D21", "D30")
    names = [each.name for number in numbers for each in SCENARIOS[number].symbols]
    for number in numbers:
        add_scenario(empty, number)
    with Exchange(Universe(seed=32), cache_dir=tmp_path / "other") as full:
        for number in AT_PRESENT:
            add_scenario(full, number)

        assert digests(empty, names) == digests(full, names)


@pytest.mark.parametrize("number", SCENARIOS)
def test_every_file_that_is_amiss_exists_and_is_of_a_symbol_of_the_defect(
    empty, number
):
    if SCENARIOS[number].since > empty.now:
        empty.set_now(SCENARIOS[number].since)
    add_scenario(empty, number)

    names = {symbol.name for symbol in SCENARIOS[number].symbols}
    state = empty.publication
    concerned = {*state.spoiled, *state.withheld, *state.misnamed}
    for key in concerned:
        original = key.removesuffix(".CHECKSUM")
        assert {part for part in original.split("/") if part in names}
        empty.store.data_type_of(original)
    assert {hole.symbol for hole in state.holes} <= names


def test_what_cannot_be_added_is_one_clear_error(empty, tmp_path):
    with pytest.raises(SelectionError, match=r"'D33': expected one of D01 to D32"):
        add_scenario(empty, "D33")
    with pytest.raises(
        ConfigError, match=r"D20: the exchange's clock shows 2025-03-10, .* 2026-06-27"
    ):
        add_scenario(empty, "D20")
    add_scenario(empty, "D06")
    with pytest.raises(ConfigError, match="D06: added already"):
        add_scenario(empty, "D06")
    with (
        Exchange(
            Universe(symbols=SCENARIOS["D07"].symbols), cache_dir=tmp_path / "a"
        ) as taken,
        pytest.raises(ConfigError, match="'D07USDT' of um_futures: expected a univ"),
    ):
        add_scenario(taken, "D07")
    (tmp_path / "data").mkdir()
    with (
        Exchange(serve_dir=tmp_path, cache_dir=tmp_path / "b") as real,
        pytest.raises(ConfigError, match="expected a bucket of synthetic files"),
    ):
        add_scenario(real, "D06")
    assert empty.scenarios == ["D06"]
    assert taken.scenarios == real.scenarios == []


def test_only_what_has_a_sequel_is_advanced(empty):
    with pytest.raises(ConfigError, match="D18: not added yet"):
        advance_scenario(empty, "D18")
    add_scenario(empty, "D06")
    with pytest.raises(SelectionError, match=r"\['D03', 'D18', 'D19', 'D31'\]"):
        advance_scenario(empty, "D06")


def test_a_misnamed_month_is_there_under_its_other_name_only(empty):
    add_scenario(empty, "D05")
    folder = "data/futures/um/monthly/klines/D05USDT/1m/"

    assert list(empty.store.keys(folder)) == [
        f"{folder}D05USDT-1m-2025-2.zip",
        f"{folder}D05USDT-1m-2025-2.zip.CHECKSUM",
    ]
    assert empty.store.read(f"{folder}D05USDT-1m-2025-02.zip") is None
    described, archive = empty.store.read(f"{folder}D05USDT-1m-2025-2.zip")
    assert described.size == len(archive)
    assert b"D05USDT-1m-2025-2.csv" in archive
    _, checksum = empty.store.read(f"{folder}D05USDT-1m-2025-2.zip.CHECKSUM")
    assert checksum.endswith(b"D05USDT-1m-2025-2.zip\n")


def test_commodities_rest_at_week_ends_and_are_of_a_type_of_their_own(empty):
    add_scenario(empty, "D30")
    symbol = empty.universe.symbol(UM, "XAUUSDT")
    start = to_ms(dt.datetime(2025, 3, 5, tzinfo=dt.UTC))
    bars = empty.klines.bars(
        symbol,
        Interval.parse("1m"),
        start_ms=start,
        end_ms=start + 6 * DAY_MS,
    )

    daily = bars.group_by(pl.col("open_time") // DAY_MS, maintain_order=True).agg(
        pl.len(), pl.col("trade_count").min(), most=pl.col("trade_count").max()
    )
    assert daily["len"].to_list() == [1440] * 6
    assert (daily["trade_count"] > 0).to_list() == [True] * 3 + [False] * 2 + [True]
    assert (daily["most"] == 0).to_list() == [False] * 3 + [True] * 2 + [False]
    weekend = bars.filter(pl.col("trade_count") == 0)
    friday = bars.filter(pl.col("open_time") < weekend["open_time"][0])["close"][-1]
    for price in ("open", "high", "low", "close"):
        assert set(weekend[price]) == {friday}
    sunday = empty.klines.finest_bars(
        symbol, start_ms=start + 4 * DAY_MS, end_ms=start + 5 * DAY_MS
    )
    assert sunday.equals(bars.filter(pl.col("open_time").is_in(sunday["open_time"])))
    (told,) = api(empty, "/fapi/v1/exchangeInfo")["symbols"]
    assert told["contractType"] == "TRADIFI_PERPETUAL"


def test_week_ends_are_quiet_only_where_that_can_be():
    (gold,) = SCENARIOS["D30"].symbols
    for change in ({"trades_published": True}, {"listed": "2025-03-08T00:00:00Z"}):
        with pytest.raises(ValueError, match="quiet_weekends: neither"):
            type(gold).model_validate(gold.model_dump() | change)


def test_funding_changes_its_interval_within_a_month(empty):
    add_scenario(empty, "D27")
    _, content = empty.store.read(
        "data/futures/um/monthly/fundingRate/D27USDT/D27USDT-fundingRate-2025-02.zip"
    )
    assert content
    events = api(empty, "/fapi/v1/fundingRate", symbol="D27USDT", limit=1000)

    due = [from_ms(event["fundingTime"] // 60_000 * 60_000) for event in events]
    hours = [
        (after - before) / dt.timedelta(hours=1) for before, after in pairwise(due)
    ]
    change = dt.datetime(2025, 2, 20, tzinfo=dt.UTC)
    assert due[0] == dt.datetime(2025, 2, 17, 8, tzinfo=dt.UTC)
    assert hours[: due.index(change)] == [8] * due.index(change)
    assert set(hours[due.index(change) :]) == {4}
    told = api(empty, "/fapi/v1/fundingInfo")
    assert [(each["symbol"], each["fundingIntervalHours"]) for each in told] == [
        ("D27USDT", 4)
    ]


def test_the_interval_of_funding_changes_only_when_it_is_due():
    (symbol,) = SCENARIOS["D27"].symbols
    odd = {"until": "2025-02-20T03:00:00Z", "hours": 8}
    with pytest.raises(ValueError, match="until must be when funding was due"):
        type(symbol).model_validate(
            symbol.model_dump() | {"funding_interval_before": odd}
        )


def test_a_server_that_runs_shows_what_is_asked_for(empty):
    async def ask():
        async with client_of(empty) as (endpoints, session):
            listing = f"{endpoints.archive_listing}?prefix=data/futures/um/daily/"
            klines = f"{endpoints.api_um}/fapi/v1/klines?interval=1d&symbol=D32USDT"
            answers = []
            for method, url in (
                ("GET", klines),
                ("POST", f"{endpoints.admin}/add_scenario"),
                ("GET", klines),
                *[("GET", listing)] * 3,
                ("POST", f"{endpoints.admin}/add_scenario"),
                ("POST", f"{endpoints.admin}/advance_scenario"),
            ):
                sent = {"number": "D32"} if method == "POST" else None
                async with session.request(method, url, json=sent) as answer:
                    answers.append((answer.status, await answer.text()))
            return answers

    (before, _), (_, state), (after, _), half, again, whole, twice, no_sequel = (
        asyncio.run(ask())
    )
    assert (before, after) == (400, 200)
    assert json.loads(state)["scenarios"] == ["D32"]
    assert len(json.loads(state)["listing_faults"]) == 1
    assert half[0] == again[0] == whole[0] == 200
    assert whole[1].endswith("</ListBucketResult>")
    assert half[1] == again[1] == whole[1][: len(half[1])] != whole[1]
    assert twice[0] == no_sequel[0] == 400
    assert empty.listing_faults.served == 2
