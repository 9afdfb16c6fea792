"""Ranges of bars and of funding: what is handed out, and what is asked for it."""

import asyncio
import bisect
import dataclasses
import datetime as dt
import json
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhds.api.client import ApiClient, EventPage, KlinePage
from bhds.api.endpoints import ENDPOINTS, FUNDING_RATES, MARKETS, Tier
from bhds.api.rows import Bar, parse_bars
from bhds.api.transport import Response
from bhds.core.errors import ApiError, SymbolRefusedError
from bhds.core.markets import Interval, TradeType
from bhds.sandbox.exchange import Exchange
from bhds.sandbox.limits import Budget as SandboxBudget
from bhds.sandbox.limits import LimitEnforcer, LimitPool
from bhds.sandbox.server import serving
from bhds.sandbox.timegrid import DAY_MS, HOUR_MS, MINUTE_MS, to_ms
from bhds.sandbox.universe import Universe

SPOT, UM, CM = TradeType.SPOT, TradeType.UM_FUTURES, TradeType.CM_FUTURES
MINUTE = Interval.parse("1m")
UTC = dt.UTC
LISTED = to_ms(dt.datetime(2024, 3, 4, 12, tzinfo=UTC))
NOW = to_ms(dt.datetime(2025, 2, 10, 12, tzinfo=UTC))
SYMBOLS = {SPOT: "AAAUSDT", UM: "AAAUSDT", CM: "AAAUSD_PERP"}
GONE = "币安人生USDT"


def described(market, name, **changes):
    symbol = {
        "market": market,
        "name": name,
        "base_asset": name[:3],
        "listed": dt.datetime(2024, 3, 4, 12, tzinfo=UTC),
        "price": "100",
        "price_decimals": 2,
        "tick": "0.01",
        "quantity_decimals": 0 if market == CM else 3,
        "quantity_per_trade": "2.5",
        "trades_per_minute": 30,
    }
    if market != SPOT:
        symbol["contract_type"] = "PERPETUAL"
    if market == CM:
        symbol["contract_size"] = 10
    return symbol | changes


UNIVERSE = Universe.model_validate(
    {
        "seed": 7,
        "symbols": [
            *(described(market, name) for market, name in SYMBOLS.items()),
            described(SPOT, GONE, delisted=dt.datetime(2024, 4, 1, 9, tzinfo=UTC)),
            described(UM, GONE, delisted=dt.datetime(2024, 4, 1, 9, tzinfo=UTC)),
        ],
    }
)


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    ample = SandboxBudget(weight=1_000_000, window_s=60)
    with (
        Exchange(
            UNIVERSE,
            now=dt.datetime(2025, 2, 10, 12, tzinfo=UTC),
            cache_dir=tmp_path_factory.mktemp("cache"),
            limiter=LimitEnforcer(budgets=dict.fromkeys(LimitPool, ample)),
        ) as exchange,
        serving(exchange) as running,
    ):
        yield running


async def collect(pages):
    return [page async for page in pages]


@pytest.fixture
def ask(sandbox, open_budget):
    """A function that runs `act(client)` against the sandbox."""

    def run(trade_type, act):
        async def within():
            endpoint = sandbox.endpoints.api_spot
            async with ApiClient(
                trade_type, endpoint=endpoint, budget=open_budget(endpoint)
            ) as client:
                result = await act(client)
                return result, client.usage

        return asyncio.run(asyncio.wait_for(within(), timeout=60))

    return run


def ask_klines(ask, trade_type, name, *, start_ms, end_ms, symbol=None, **more):
    return ask(
        trade_type,
        lambda client: collect(
            client.klines(
                more.pop("data_type", "klines"),
                symbol or SYMBOLS[trade_type],
                Interval.parse(name),
                start_ms=start_ms,
                end_ms=end_ms,
                **more,
            )
        ),
    )


def all_bars(sandbox, trade_type, name, *, symbol=None):
    """Return all bars of a symbol, asked for simply, one answer after the other."""
    root = MARKETS[trade_type].root
    endpoint = sandbox.exchange.api.endpoints[f"{root}/klines"]
    found, start = [], LISTED - 40 * DAY_MS
    while start <= NOW:
        parameters = {
            "symbol": symbol or SYMBOLS[trade_type],
            "interval": "1M" if name == "1mo" else name,
            "startTime": str(start),
            "endTime": str(start + 600 * MINUTE_MS if name == "1m" else NOW),
            "limit": "1000",
        }
        if trade_type is CM and name != "1m":
            parameters["endTime"] = str(start + 20 * DAY_MS)
        rows = json.loads(endpoint.answer(parameters))
        found += parse_bars(rows, subject="x")
        start = int(parameters["endTime"]) + 1
        if trade_type is not CM and name != "1m" and rows:
            start = rows[-1][0] + 1
    return found


def joined(pages, start_ms, end_ms):
    """Return the rows of pages, after a look at whether they cover the range once."""
    pages = sorted(pages)
    edges = [start_ms, *(page.end_ms for page in pages)]
    assert edges == [*(page.start_ms for page in pages), end_ms]
    assert all(
        page.start_ms <= row[0] < page.end_ms
        for page in pages
        for row in page.rows
        if isinstance(row, Bar)
    )
    return [row for page in pages for row in page.rows]


# --- the sandbox: three markets -----------------------------------------------------


@pytest.mark.parametrize(
    ("trade_type", "name"),
    [(SPOT, "1w"), (SPOT, "1mo"), (UM, "4h"), (UM, "1mo"), (CM, "1d"), (CM, "1mo")],
)
def test_a_range_holds_the_bars_that_simple_requests_find(
    sandbox, ask, trade_type, name
):
    expected = all_bars(sandbox, trade_type, name)
    start = LISTED - 500 * DAY_MS

    pages, usage = ask_klines(ask, trade_type, name, start_ms=start, end_ms=NOW)

    assert joined(pages, start, NOW) == expected
    assert usage.rows == len(expected) > 0


@pytest.mark.parametrize("trade_type", [SPOT, UM, CM])
def test_minutes_of_some_days_come_in_pages(sandbox, ask, trade_type):
    start, end = LISTED + 100_000, LISTED + 2 * DAY_MS
    root = MARKETS[trade_type].root

    pages, usage = ask_klines(ask, trade_type, "1m", start_ms=start, end_ms=end)

    bars = joined(pages, start, end)
    assert [bar.open_time for bar in bars] == [*range(LISTED + 120_000, end, 60_000)]
    assert usage.requests == len(pages) == (3 if trade_type is SPOT else 6)
    answer = sandbox.exchange.api.endpoints[f"{root}/klines"].answer(
        {
            "symbol": SYMBOLS[trade_type],
            "interval": "1m",
            "startTime": str(start),
            "endTime": str(start + 300 * MINUTE_MS),
        }
    )
    assert bars[:300] == parse_bars(json.loads(answer), subject="x")


@pytest.mark.parametrize(
    ("name", "days", "weight"), [("1m", 0.05, 1), ("5m", 1, 2), ("1d", 300, 2)]
)
def test_a_small_range_costs_one_cheap_request(ask, name, days, weight):
    end = LISTED + int(days * DAY_MS)

    _, usage = ask_klines(ask, UM, name, start_ms=LISTED, end_ms=end)

    assert (usage.requests, usage.weight) == (1, weight)


def test_years_before_a_listing_cost_one_request(ask):
    start, end = LISTED - 2_000 * DAY_MS, LISTED + HOUR_MS

    pages, usage = ask_klines(ask, UM, "1m", start_ms=start, end_ms=end)

    assert len(joined(pages, start, end)) == 60
    assert usage.requests == 1


def test_years_after_a_delisting_cost_a_request_or_two(ask):
    end = to_ms(dt.datetime(2024, 4, 1, 9, tzinfo=UTC))

    pages, usage = ask_klines(
        ask, SPOT, "1m", start_ms=end - DAY_MS, end_ms=NOW, symbol=GONE
    )

    assert len(joined(pages, end - DAY_MS, NOW)) == 1_440
    # The first answer, up to eight pages at once, and the years that stay empty.
    assert usage.requests <= 10


def test_cm_is_asked_for_200_days_at_most_the_newest_first(sandbox, ask):
    start = NOW - 900 * DAY_MS

    pages, usage = ask_klines(ask, CM, "1d", start_ms=start, end_ms=NOW)

    # The sandbox refuses longer ranges.
    assert joined(pages, start, NOW) == all_bars(sandbox, CM, "1d")
    assert usage.requests == 5
    assert [page.start_ms for page in pages] == sorted(
        (page.start_ms for page in pages), reverse=True
    )


def test_a_delisted_contract_is_an_unknown_symbol(ask):
    with pytest.raises(SymbolRefusedError, match="delisted and settling contracts"):
        ask_klines(ask, UM, "1m", start_ms=LISTED, end_ms=NOW, symbol=GONE)


@pytest.mark.parametrize("trade_type", [SPOT, UM, CM])
def test_bars_that_still_run_are_not_asked_for(ask, trade_type):
    closed_by = NOW - 30 * MINUTE_MS
    start = NOW - 5 * HOUR_MS

    pages, _ = ask_klines(
        ask, trade_type, "1h", start_ms=start, end_ms=NOW, closed_by_ms=closed_by
    )

    bars = joined(pages, start, NOW - HOUR_MS)
    assert [bar.open_time for bar in bars] == [*range(start, NOW - HOUR_MS, HOUR_MS)]


def test_an_empty_range_asks_nothing(ask):
    pages, usage = ask_klines(ask, UM, "1m", start_ms=LISTED, end_ms=LISTED)

    assert (pages, usage.requests) == ([], 0)


@pytest.mark.parametrize("trade_type", [UM, CM])
def test_funding_events_of_a_range_come_in_pages(ask, trade_type):
    start, end = LISTED - DAY_MS, NOW + 1

    pages, usage = ask(
        trade_type,
        lambda client: collect(
            client.events(
                FUNDING_RATES, SYMBOLS[trade_type], start_ms=start, end_ms=end
            )
        ),
    )

    events = joined(pages, start, end)
    times = [event.funding_time for event in events]
    assert times == sorted(set(times))
    # From the first full 8 hours after the listing to those before the present.
    assert len(events) == (NOW - LISTED) // (8 * HOUR_MS) - 1 == 1_028
    assert [len(page.rows) for page in pages] == [999, 29]
    assert (usage.requests, usage.weight, usage.rows) == (2, 2, 1_028)


@pytest.mark.parametrize("trade_type", [SPOT, UM, CM])
def test_the_clock_and_the_symbols_are_told(ask, trade_type):
    (time, info), usage = ask(
        trade_type,
        lambda client: asyncio.gather(client.server_time(), client.exchange_info()),
    )

    assert time == NOW
    names = {entry["symbol"] for entry in json.loads(info)["symbols"]}
    assert SYMBOLS[trade_type] in names
    assert usage.weight == (21 if trade_type is SPOT else 2)


@pytest.mark.parametrize(
    ("trade_type", "endpoint"),
    [
        pytest.param(trade_type, endpoint, id=f"{trade_type} {endpoint.name}")
        for endpoint in ENDPOINTS
        for trade_type in endpoint.costs
    ],
)
def test_the_sandbox_answers_each_endpoint_at_its_cost(
    sandbox, ask, trade_type, endpoint
):
    path = f"{MARKETS[trade_type].root}/{endpoint.name}"
    cost = sandbox.exchange.api.endpoints[path].cost({})

    assert [(pool.value, weight) for pool, weight in cost.items()] == [
        endpoint.costs[trade_type]
    ]
    if not endpoint.limit:  # it has no parameters
        _, usage = ask(trade_type, lambda client: client.fetch(endpoint))
        assert (usage.requests, usage.weight) == (1, endpoint.costs[trade_type].weight)


def test_a_market_without_such_an_api_is_refused(open_budget):
    with pytest.raises(ApiError, match="market option: has no such API"):
        ApiClient(TradeType.OPTION, endpoint="http://x", budget=open_budget())


@pytest.mark.parametrize(
    ("trade_type", "data_type", "symbol"),
    [
        (UM, "markPriceKlines", "AAAUSDT"),
        (UM, "indexPriceKlines", "AAAUSDT"),
        (UM, "premiumIndexKlines", "AAAUSDT"),
        (CM, "markPriceKlines", "AAAUSD_PERP"),
        (CM, "indexPriceKlines", "AAAUSD"),
        (CM, "premiumIndexKlines", "AAAUSD_PERP"),
    ],
)
def test_prices_that_are_computed_come_in_pages(ask, trade_type, data_type, symbol):
    start, end = LISTED + DAY_MS, LISTED + DAY_MS + 600 * MINUTE_MS

    pages, usage = ask_klines(
        *(ask, trade_type, "1m"),
        start_ms=start,
        end_ms=end,
        symbol=symbol,
        data_type=data_type,
    )

    assert len(joined(pages, start, end)) == 600
    assert usage.requests == len(pages) == 2


# --- any bars, small pages ----------------------------------------------------------


class SmallPages:
    """Answers for a market whose answers hold few bars, and counts its requests."""

    def __init__(self, opens, *, width_ms=MINUTE_MS, changed=None):
        self.opens = opens
        self.width_ms = width_ms
        self.changed = changed or (lambda rows: rows)
        self.requests = []

    async def ask(self, request):
        await asyncio.sleep(0)
        self.requests.append(request)
        start, end = (int(request.parameters[n]) for n in ("startTime", "endTime"))
        first = bisect.bisect_left(self.opens, start)
        found = self.opens[first : bisect.bisect_right(self.opens, end)]
        limit = int(request.parameters["limit"])
        found = found[-limit:] if "dapi" in request.path else found[:limit]
        rows = [
            [at, *["1"] * 5, at + self.width_ms - 1, "1", 1, "1", "1", "0"]
            for at in found
        ]
        return Response(self.changed(rows), b"", "http://x")

    def klines(self, trade_type, budget, *, interval=MINUTE, **bounds):
        client = ApiClient(trade_type, endpoint="http://x", budget=budget)
        client._transport.fetch = self.ask
        client._market = dataclasses.replace(
            MARKETS[trade_type], tiers=(Tier(3, 1), Tier(6, 2))
        )
        pages = client.klines("klines", "AAA", interval, **bounds)
        return asyncio.run(asyncio.wait_for(collect(pages), timeout=30))


@given(
    trade_type=st.sampled_from([SPOT, UM, CM]),
    quarters=st.one_of(
        st.sets(st.integers(0, 1_200)),
        # So many that pages hold more bars than grid points.
        st.sets(st.integers(0, 200), min_size=120),
    ),
    bounds=st.tuples(st.integers(0, 250), st.integers(0, 1_200)),
)
def test_no_bar_is_lost_or_doubled_wherever_bars_lie(trade_type, quarters, bounds):
    opens = sorted(quarter * 15_000 for quarter in quarters)
    start, end = sorted(bound * 15_000 for bound in bounds)

    pages = SmallPages(opens).klines(
        trade_type, SimpleNamespace(), start_ms=start, end_ms=end
    )

    found = joined(pages, start, end) if start < end else []
    assert [bar.open_time for bar in found] == [at for at in opens if start <= at < end]


@pytest.mark.parametrize("trade_type", [UM, CM])
def test_a_range_full_of_bars_costs_a_request_a_page(trade_type):
    server = SmallPages([minute * MINUTE_MS for minute in range(1_000)])

    server.klines(trade_type, SimpleNamespace(), start_ms=0, end_ms=1_000 * MINUTE_MS)

    assert len(server.requests) == 200


@pytest.mark.parametrize("trade_type", [UM, CM])
def test_a_long_absence_within_a_range_is_skipped(trade_type):
    minutes = [*range(60), *range(100_000, 100_060)]
    server = SmallPages([minute * MINUTE_MS for minute in minutes])
    end_ms = 100_060 * MINUTE_MS

    pages = server.klines(trade_type, SimpleNamespace(), start_ms=0, end_ms=end_ms)

    assert len(joined(pages, 0, end_ms)) == 120
    assert len(server.requests) < 60


def test_a_bar_off_the_grid_that_still_runs_ends_the_page():
    off = 7 * MINUTE_MS + 14_789
    server = SmallPages([*range(0, 7 * MINUTE_MS, MINUTE_MS), off])

    pages = server.klines(
        UM,
        SimpleNamespace(),
        start_ms=0,
        end_ms=20 * MINUTE_MS,
        closed_by_ms=8 * MINUTE_MS + 5_000,
    )

    assert len(joined(pages, 0, off)) == 7


def test_without_a_moment_bars_that_run_are_handed_out():
    server = SmallPages([0], width_ms=4 * 10**12)

    pages = server.klines(UM, SimpleNamespace(), start_ms=0, end_ms=60_000)

    assert pages[0] == KlinePage(0, 60_000, pages[0].rows)
    assert len(pages[0].rows) == 1


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param(lambda rows: rows[::-1], id="out of order"),
        pytest.param(lambda rows: [rows[0], *rows], id="twice"),
        pytest.param(lambda rows: [[1, *rows[0][1:]]], id="before"),
        pytest.param(lambda rows: [[180_000, *rows[0][1:]]], id="after"),
    ],
)
def test_an_answer_that_is_not_what_was_asked_for_is_refused(changed):
    server = SmallPages([60_000, 120_000], changed=changed)

    with pytest.raises(ApiError, match=r"http://x: the answer holds a row at \d+ ms"):
        server.klines(UM, SimpleNamespace(), start_ms=60_000, end_ms=180_000)


def test_a_failing_page_stops_the_others():
    server = SmallPages([minute * MINUTE_MS for minute in range(1_000)])
    sound, stopped = server.ask, []
    failure = ApiError("no more")

    async def fail(request):
        if request.parameters["startTime"] == "0":
            return await sound(request)
        if request.parameters["startTime"] == str(10 * MINUTE_MS):
            raise failure
        try:
            await asyncio.Event().wait()
        finally:
            stopped.append(request)

    server.ask = fail

    with pytest.raises(ApiError, match="no more"):
        server.klines(UM, SimpleNamespace(), start_ms=0, end_ms=1_000 * MINUTE_MS)
    assert len(stopped) == 7  # of eight at once


# --- funding: a fake server ---------------------------------------------------------


def funding_answer(*times, symbol="AAAUSDT"):
    return json.dumps(
        [
            {"symbol": symbol, "fundingTime": time, "fundingRate": "0.0001"}
            for time in times
        ]
    )


def ask_funding(client):
    return collect(client.events(FUNDING_RATES, "AAAUSDT", start_ms=10, end_ms=5_000))


def test_a_full_answer_of_events_is_followed_by_the_rest(fake_server):
    server = fake_server(
        (200, funding_answer(*range(10, 1_010))),
        (200, funding_answer(1_009, 1_011)),
    )

    pages = server.run(ask_funding)

    assert [page[:2] for page in pages] == [(10, 1_009), (1_009, 5_000)]
    assert [request.query["startTime"] for request in server.requests] == [
        "10",
        "1009",
    ]


def test_events_of_one_moment_come_together(fake_server):
    first, rest = (*range(10, 1_008), 1_008, 1_009), (1_009, 1_009)
    server = fake_server((200, funding_answer(*first)), (200, funding_answer(*rest)))

    pages = server.run(ask_funding)

    times = [event.funding_time for page in pages for event in page.rows]
    assert times == [*range(10, 1_009), 1_009, 1_009]


def test_a_moment_that_fills_an_answer_is_not_asked_for_for_ever(fake_server):
    server = fake_server((200, funding_answer(*[10] * 1_000)), (200, "[]"))

    assert [page[:2] for page in server.run(ask_funding)] == [(10, 11), (11, 5_000)]


def test_no_events_are_an_empty_page(fake_server):
    assert fake_server((200, "[]")).run(ask_funding) == [EventPage(10, 5_000, [])]


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(funding_answer(9), id="before"),
        pytest.param(funding_answer(5_000), id="after"),
        pytest.param(funding_answer(20, 19), id="out of order"),
        pytest.param(funding_answer(20, symbol="BBBUSDT"), id="another symbol"),
    ],
)
def test_events_that_were_not_asked_for_are_refused(fake_server, body):
    with pytest.raises(ApiError, match="the answer holds"):
        fake_server((200, body)).run(ask_funding)
