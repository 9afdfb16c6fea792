"""What a server's faults and refusals lead to; seen through the client."""

import asyncio
import json
import socket

import pytest
from aiohttp import web

from bhds.api.client import ApiClient, Usage
from bhds.api.endpoints import FUNDING_RATES
from bhds.core.errors import ApiError, RefusedError, SymbolRefusedError
from bhds.core.markets import Interval, TradeType
from bhds.io.http import MIB

TIME = (200, '{"serverTime": 1739188800000}')
NOW = 1_739_188_800_000


def ask_time(client):
    return client.server_time()


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param((500, ""), id="500"),
        pytest.param((502, "<html>"), id="502"),
        pytest.param((503, '{"code": -1008, "msg": "overloaded"}'), id="503"),
        pytest.param((200, TIME[1][:-3]), id="cut off"),
        pytest.param((200, ""), id="empty"),
        pytest.param((200, "<html>a portal</html>"), id="no JSON"),
    ],
)
def test_a_passing_fault_is_asked_again(fake_server, fault):
    server = fake_server(fault, fault, TIME)

    assert server.run(ask_time) == NOW
    assert len(server.requests) == 3


def test_a_connection_lost_within_the_body_is_asked_again(fake_server):
    async def lose(request):
        request.transport.close()

    server = fake_server(lose, TIME)

    assert server.run(ask_time) == NOW
    assert len(server.requests) == 2


def test_used_up_attempts_name_the_request_and_the_last_cause(fake_server):
    server = fake_server((500, ""), (500, ""), (504, ""))

    with pytest.raises(
        ApiError,
        match=r"127\.0\.0\.1:\d+/fapi/v1/time: .* last cause: status 504; check",
    ):
        server.run(ask_time)
    assert len(server.requests) == 3


def test_a_silent_server_times_out_in_each_attempt(fake_server):
    async def stall(_request):
        await asyncio.Event().wait()

    server = fake_server(stall)

    with pytest.raises(ApiError, match=r"no answer within 0\.05 s"):
        server.run(ask_time, timeout_s=0.05)
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        pytest.param((200, "a" * (16 * MIB + 1)), "more than 16 MiB", id="large"),
        pytest.param((503, "a" * (16 * MIB + 1)), r"\(status 503\)", id="large 503"),
        pytest.param(
            (302, "", {"Location": "http://169.254.1.1/"}),
            "redirects to http://169.254.1.1, which is not one of the hosts of `endp",
            id="redirect",
        ),
    ],
)
def test_an_answer_that_is_never_taken_is_requested_once(fake_server, answer, told):
    server = fake_server(answer)

    with pytest.raises(ApiError, match=rf"/fapi/v1/time: .*{told}"):
        server.run(ask_time)

    assert len(server.requests) == 1


def test_exchange_info_may_be_larger(fake_server):
    body = json.dumps({"symbols": [], "x": "a" * 17 * MIB})

    answer = fake_server((200, body)).run(lambda client: client.exchange_info())

    assert len(answer) == len(body)


def test_nobody_at_the_address_is_an_api_error(open_budget):
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))  # bound, but not listening
        endpoint = f"http://127.0.0.1:{reserved.getsockname()[1]}"

        async def ask():
            budget = open_budget(endpoint)
            async with ApiClient(
                TradeType.SPOT, endpoint=endpoint, budget=budget
            ) as client:
                await client.server_time()

        with pytest.raises(ApiError, match="Cannot connect"):
            asyncio.run(ask())


def test_an_address_that_is_none_is_an_api_error(open_budget):
    async def ask():
        async with ApiClient(
            TradeType.SPOT, endpoint="http://:x", budget=open_budget()
        ) as client:
            await client.server_time()

    with pytest.raises(ApiError, match="check endpoints"):
        asyncio.run(ask())


# --- pauses --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("refusal", "pause_s"),
    [
        ((429, "{}", {"Retry-After": "7"}), 7),
        ((429, "{}"), 60),
        ((429, "{}", {"Retry-After": "soon"}), 60),
        ((418, "{}", {"Retry-After": "130"}), 130),
        ((418, "{}"), 120),
        ((418, "{}", {"Retry-After": "1" + "0" * 16}), 259_200),
    ],
)
def test_an_ordered_pause_is_kept_and_is_no_attempt(
    fake_server, open_budget, clock, refusal, pause_s
):
    refusals = [refusal] * 4  # one more than there are attempts
    server = fake_server(*refusals, TIME)
    budget = open_budget(longest_ban_s=300_000)
    begun = clock.now

    assert server.run(ask_time, budget=budget) == NOW
    assert 4 * pause_s <= clock.now - begun < 4 * pause_s + 1


def test_pauses_without_end_are_told(fake_server):
    server = fake_server((429, "{}", {"Retry-After": "1"}))

    with pytest.raises(ApiError, match="ordered a pause 20 times"):
        server.run(ask_time)
    assert len(server.requests) == 20


def test_a_pause_holds_for_the_other_market_that_shares_the_budget(
    fake_server, clock, open_budget
):
    limited = fake_server((429, "{}", {"Retry-After": "9"}))
    with pytest.raises(ApiError, match="longer than the 5 s"):
        limited.run(ask_time, budget=open_budget(longest_ban_s=5))
    begun = clock.now

    fake_server(TIME).run(
        ask_time, trade_type=TradeType.CM_FUTURES, budget=open_budget()
    )

    assert 9 <= clock.now - begun < 10


def test_a_long_ban_is_told_at_once(fake_server, clock):
    server = fake_server((418, "{}", {"Retry-After": "7200"}))

    with pytest.raises(ApiError, match=r"no requests until .* UTC"):
        server.run(ask_time)
    assert len(server.requests) == 1
    assert clock.slept == []


def test_a_ban_closes_every_budget_of_the_market(fake_server, open_budget):
    budget = open_budget()
    server = fake_server((418, "{}", {"Retry-After": "7200"}))

    for ask in (ask_funding, ask_time):
        with pytest.raises(ApiError, match="no requests until"):
            server.run(ask, budget=budget)
    assert len(server.requests) == 1


# --- refusals ------------------------------------------------------------------------


@pytest.mark.parametrize("status", [403, 451])
def test_a_refused_address_is_told_at_once_with_what_to_do(fake_server, status):
    server = fake_server((status, "<html>no</html>"))

    with pytest.raises(RefusedError) as failure:
        server.run(ask_time)

    told = str(failure.value)
    assert len(server.requests) == 1
    assert f"status {status}" in told
    assert "127.0.0.1" in told
    assert "http.proxy" in told
    assert "api.enabled: false" in told


async def ask_funding(client):
    async for _ in client.events(FUNDING_RATES, "GONE", start_ms=0, end_ms=1):
        pass


async def ask_klines(client):
    day, span = Interval.parse("1d"), {"start_ms": 0, "end_ms": 1}
    await client.first_kline("premiumIndexKlines", "GONE", day, **span)


async def ask_pair(client):
    day, span = Interval.parse("1d"), {"start_ms": 0, "end_ms": 1}
    async for _ in client.klines("indexPriceKlines", "GONE", day, **span):
        pass


@pytest.mark.parametrize("ask", [ask_funding, ask_klines, ask_pair])
@pytest.mark.parametrize(
    ("status", "code"), [(400, -1121), (404, -1122), (422, -4144), (400, 77)]
)
def test_a_code_of_one_symbol_is_an_error_of_its_own(fake_server, ask, status, code):
    server = fake_server((status, json.dumps({"code": code, "msg": "Not this one."})))

    with pytest.raises(SymbolRefusedError, match=r"=GONE.*Not this") as failure:
        server.run(ask)

    assert (failure.value.code, failure.value.reason) == (code, "Not this one.")
    assert len(server.requests) == 1


@pytest.mark.parametrize("code", [-1000, -1001, -1003, -1007, -1021])
def test_a_temporary_code_is_asked_again(fake_server, code):
    server = fake_server((400, json.dumps({"code": code, "msg": "Wait."})), (200, "[]"))

    server.run(ask_funding)

    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("status", "body"),
    [
        pytest.param(400, '{"code": -1100, "msg": "Illegal."}', id="our request"),
        pytest.param(404, "<html>no such page</html>", id="no JSON"),
        pytest.param(400, "[]", id="no object"),
        pytest.param(400, '{"code": "-1122", "msg": "Text."}', id="code as text"),
        pytest.param(400, '{"code": true, "msg": "A bool."}', id="code as a bool"),
        pytest.param(400, '{"code": -1122}', id="no message"),
        pytest.param(301, '{"code": -1122, "msg": "Moved."}', id="no 4xx"),
    ],
)
def test_what_is_not_the_symbols_fails_the_request(fake_server, status, body):
    server = fake_server((status, body))

    with pytest.raises(ApiError, match=f"status {status}") as failure:
        server.run(ask_funding)

    assert type(failure.value) is ApiError
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [403, 451])
def test_a_refused_place_is_no_matter_of_the_symbol(fake_server, status):
    server = fake_server((status, '{"code": -1122, "msg": "Invalid symbol status."}'))

    with pytest.raises(RefusedError):
        server.run(ask_funding)


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (400, '{"code": -1120, "msg": "Invalid interval."}', r"-1120 \(Invalid int"),
        (400, '{"code": -1122, "msg": "Of no symbol."}', r"-1122 \(Of no symbol"),
        (404, "<html>", "status 404, not in the form of the API"),
        (407, "", "status 407.*http.proxy"),
        (301, "[]", "status 301"),
    ],
)
def test_another_refusal_is_told_with_its_code(fake_server, status, body, told):
    server = fake_server((status, body))

    with pytest.raises(ApiError, match=told) as failure:
        server.run(ask_time)
    assert type(failure.value) is ApiError
    assert len(server.requests) == 1


# --- counts --------------------------------------------------------------------------


@pytest.mark.parametrize("header", [None, "", "250"])
def test_the_servers_own_count_is_heeded_where_there_is_one(
    fake_server, open_budget, header
):
    headers = {} if header is None else {"X-MBX-USED-WEIGHT-1M": header}
    budget = open_budget()
    server = fake_server((*TIME, headers))

    server.run(ask_time, budget=budget)

    assert budget.in_use("futures") == (250 if header == "250" else 1)


def test_the_count_that_comes_with_funding_is_of_another_budget(
    fake_server, open_budget
):
    budget = open_budget()
    server = fake_server((200, "[]", {"X-MBX-USED-WEIGHT-1M": "250"}))

    server.run(ask_funding, budget=budget)

    assert budget.in_use("funding") == 1


def test_requests_weight_and_refusals_are_counted(fake_server):
    info = (200, '{"symbols": []}')
    server = fake_server((500, ""), (429, "{}", {"Retry-After": "1"}), info)

    async def ask(client):
        await client.exchange_info()
        return client.usage

    usage = server.run(ask, trade_type=TradeType.SPOT)

    assert usage == Usage(requests=3, weight=60, refusals=1, rows=0)


def test_no_more_requests_run_at_once_than_the_client_may_make(fake_server):
    running, most = 0, 0

    async def count(_request):
        nonlocal running, most
        running += 1
        most = max(most, running)
        for _ in range(20):
            await asyncio.sleep(0)
        running -= 1
        return web.Response(text=TIME[1])

    async def ask_often(client):
        await asyncio.gather(*(client.server_time() for _ in range(30)))

    fake_server(count).run(ask_often, concurrency=3)

    assert most == 3


def test_what_cannot_be_sent_yet_does_not_occupy_the_budget(fake_server, open_budget):
    budget = open_budget()
    occupied = []

    async def look(_request):
        occupied.append(budget.in_use("futures"))
        return web.Response(text=TIME[1])

    async def ask_often(client):
        await asyncio.gather(*(client.server_time() for _ in range(5)))

    fake_server(look).run(ask_often, budget=budget, concurrency=1)

    assert occupied == [1, 2, 3, 4, 5]


def test_a_client_leaves_no_file_open(fake_server, open_budget):
    budget = open_budget()

    fake_server(TIME).run(ask_time, budget=budget)

    assert budget._file._opened is None


def test_requests_go_through_the_proxy(fake_server, open_budget):
    server = fake_server(TIME)

    async def ask_through_proxy(client):
        proxy = client._transport.endpoint
        # A name that no resolver knows: only the proxy can answer for it.
        async with ApiClient(
            TradeType.UM_FUTURES,
            endpoint="http://fapi.invalid",
            budget=open_budget(),
            proxy=proxy,
        ) as proxied:
            return await proxied.server_time()

    assert server.run(ask_through_proxy) == NOW
    assert server.requests[0].host == "fapi.invalid"
