import asyncio
import datetime as dt
import hashlib
import json
import shutil
import subprocess
import time

import aiohttp
import pytest
import yarl

from bhds.sandbox.exchange import Exchange
from bhds.sandbox.limits import BUDGETS, Budget, LimitPool
from bhds.sandbox.server import serving, start
from bhds.sandbox.universe import load_universe

from .conftest import client_of, file_url, get

KEY = "data/futures/um/daily/klines/币安人生USDT/1m/币安人生USDT-1m-2025-01-01.zip"


def test_listing_is_asked_for_as_from_s3(exchange):
    status, headers, body = get(
        exchange,
        lambda endpoints: endpoints.archive_listing,
        params={"prefix": "data/futures/um/daily/klines/", "delimiter": "/"},
    )

    assert status == 200
    assert headers["Content-Type"].startswith("application/xml")
    assert (
        "<Prefix>data/futures/um/daily/klines/币安人生USDT/</Prefix>" in body.decode()
    )
    assert exchange.requests["listing"] == 1


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_file_comes_with_what_the_listing_announced(exchange, method):
    (announced,) = exchange.store.describe([KEY])

    status, headers, body = get(exchange, file_url(KEY), method=method)

    assert status == 200
    assert headers["ETag"] == f'"{announced.etag}"'
    assert headers["Content-Length"] == str(announced.size)
    modified = f"{announced.last_modified:%a, %d %b %Y %H:%M:%S} GMT"
    assert headers["Last-Modified"] == modified
    if method == "GET":
        assert hashlib.md5(body, usedforsecurity=False).hexdigest() == announced.etag


@pytest.mark.parametrize(
    ("asked", "part", "content_range"),
    [
        ("bytes=0-9", slice(0, 10), "bytes 0-9/{size}"),
        ("bytes=100-", slice(100, None), "bytes 100-{last}/{size}"),
        ("bytes=-5", slice(-5, None), "bytes {tail}-{last}/{size}"),
        ("bytes=0-99999999", slice(0, None), "bytes 0-{last}/{size}"),
        ("bytes=99999999-", None, "bytes */{size}"),
    ],
)
def test_a_range_of_a_file_can_be_had(exchange, asked, part, content_range):
    whole = exchange.store.read(KEY)[1]
    size = len(whole)

    status, headers, body = get(exchange, file_url(KEY), headers={"Range": asked})

    assert status == (206 if part else 416)
    assert part is None or body == whole[part]
    assert headers["Content-Range"] == content_range.format(
        size=size, last=size - 1, tail=size - 5
    )


def test_a_known_revision_is_not_sent_again(exchange):
    (announced,) = exchange.store.describe([KEY])

    for header, value in (
        ("If-None-Match", f'"{announced.etag}"'),
        (
            "If-Modified-Since",
            f"{announced.last_modified:%a, %d %b %Y %H:%M:%S} GMT",
        ),
    ):
        assert get(exchange, file_url(KEY), headers={header: value})[0] == 304


def test_an_unknown_key_is_refused_as_by_s3(exchange):
    status, _, body = get(exchange, file_url("data/none.zip"))

    assert status == 404
    assert b"<Code>NoSuchKey</Code>" in body
    assert b"<Key>data/none.zip</Key>" in body


@pytest.mark.skipif(shutil.which("aria2c") is None, reason="aria2c is not installed")
def test_aria2c_goes_on_with_a_part(exchange, tmp_path):
    whole = exchange.store.read(KEY)[1]
    (tmp_path / "file.zip").write_bytes(whole[:1000])
    with serving(exchange) as running:
        url = file_url(KEY)(running.endpoints)
        subprocess.run(
            ["aria2c", "--no-conf", "--continue", "--out=file.zip", url],
            cwd=tmp_path,
            check=True,
            timeout=30,
            capture_output=True,
        )

    assert (tmp_path / "file.zip").read_bytes() == whole


@pytest.mark.parametrize(
    ("api", "path", "weight"),
    [
        ("api_spot", "/api/v3/klines?symbol=AAAUSDT&interval=1d", 2),
        ("api_um", "/fapi/v1/klines?symbol=AAAUSDT&interval=1d&limit=499", 2),
        ("api_cm", "/dapi/v1/klines?symbol=AAAUSD_PERP&interval=1d&limit=1500", 10),
        ("api_spot", "/api/v3/exchangeInfo", 20),
    ],
)
def test_used_weight_is_told(exchange, api, path, weight):
    status, headers, _ = get(exchange, lambda e: getattr(e, api) + path)

    assert status == 200
    assert headers["X-MBX-USED-WEIGHT-1M"] == str(weight)


def test_api_errors_come_as_json_with_status_400(exchange):
    status, headers, body = get(
        exchange, lambda e: f"{e.api_um}/fapi/v1/klines?symbol=NONE&interval=1m"
    )

    assert status == 400
    assert headers["Content-Type"].startswith("application/json")
    assert body == b'{"code":-1121,"msg":"Invalid symbol."}'


def test_um_and_cm_use_up_one_budget(exchange, clock):
    exchange.limiter.budgets = BUDGETS | {
        LimitPool.FUTURES: Budget(weight=2, window_s=60)
    }

    async def statuses():
        async with client_of(exchange) as (endpoints, session):
            found = []
            for path in ("/fapi/v1/time", "/dapi/v1/time", *["/fapi/v1/time"] * 6):
                async with session.get(endpoints.api_um + path) as response:
                    told = response.headers.get("Retry-After")
                    found.append((response.status, told))
            async with session.get(endpoints.api_spot + "/api/v3/time") as response:
                found.append((response.status, None))
            return found

    left = 60 - int(clock[0] % 60)
    assert asyncio.run(statuses()) == [
        (200, None),
        (200, None),
        *[(429, str(left + 1))] * 5,
        (418, "120"),
        (200, None),
    ]


KLINES = "/fapi/v1/klines?symbol=AAAUSDT&interval=1d&limit=5"
TIME = "/fapi/v1/time"


def ask_um(exchange, path=KLINES):
    return get(exchange, lambda e: e.api_um + path)


@pytest.mark.parametrize("status", [500, 503, 429, 418, 403, 451])
def test_a_status_is_answered_on_request(exchange, status):
    exchange.api_faults.add("refuse", status=status, retry_after_s=9)

    told, headers, _ = ask_um(exchange)

    assert (told, headers["Retry-After"]) == (status, "9")
    assert exchange.limiter.weights(LimitPool.FUTURES) == [1] * (status >= 500)
    assert exchange.limiter.refused == 0
    assert ask_um(exchange)[0] == 200


def test_the_firewalls_answer_is_no_json(exchange):
    exchange.api_faults.add("refuse", status=403)
    exchange.api_faults.add("refuse", status=451)

    assert ask_um(exchange)[1]["Content-Type"].startswith("text/html")
    assert ask_um(exchange)[1]["Content-Type"].startswith("application/json")


def test_one_symbol_is_refused_with_any_code_and_others_are_not(exchange):
    exchange.api_faults.add(
        "refuse",
        status=400,
        times=None,
        symbol="AAAUSDT",
        code=-4999,
        message="Not now.",
    )

    status, _, body = ask_um(exchange)
    assert (status, json.loads(body)) == (400, {"code": -4999, "msg": "Not now."})
    assert (
        json.loads(ask_um(exchange, KLINES.replace("AAA", "ZZZ"))[2])["code"] == -1121
    )
    assert ask_um(exchange, TIME)[0] == 200


def test_a_fault_of_one_endpoint_leaves_the_others_alone(exchange):
    exchange.api_faults.add(
        "refuse", status=500, times=None, target="um_futures/klines"
    )

    assert [ask_um(exchange, path)[0] for path in (TIME, KLINES, KLINES)] == [
        200,
        500,
        500,
    ]


def test_a_body_is_cut_off_in_the_middle(exchange):
    whole = ask_um(exchange)[2]
    exchange.api_faults.add("cut_off")

    async def ask():
        async with (
            client_of(exchange) as (endpoints, session),
            session.get(endpoints.api_um + KLINES) as response,
        ):
            assert response.status == 200
            assert response.headers["Content-Length"] == str(len(whole))
            received = await response.content.readexactly(len(whole) // 2)
            with pytest.raises(aiohttp.ClientPayloadError):
                await response.content.read()
            return received

    assert asyncio.run(ask()) == whole[: len(whole) // 2]


def test_half_of_a_body_comes_as_if_it_were_all(exchange):
    whole = ask_um(exchange)[2]
    exchange.api_faults.add("halve")

    status, _, body = ask_um(exchange)

    assert (status, body) == (200, whole[: len(whole) // 2])
    with pytest.raises(json.JSONDecodeError):
        json.loads(body)


@pytest.mark.parametrize("spoil", ["cut_off", "halve"])
def test_what_is_refused_anyway_is_not_spoiled(exchange, spoil):
    exchange.api_faults.add(spoil)

    status, _, body = ask_um(exchange, "/fapi/v1/klines?symbol=NONE&interval=1m")

    assert (status, json.loads(body)["code"]) == (400, -1121)


def test_a_stalled_request_gets_no_answer_and_does_not_keep_the_server(exchange):
    exchange.api_faults.add("stall")

    async def ask():
        running = await start(exchange)
        timeout = aiohttp.ClientTimeout(total=0.2)
        url = running.endpoints.api_um + TIME
        async with aiohttp.ClientSession() as session:
            with pytest.raises(TimeoutError):
                await session.get(url, timeout=timeout)
            async with session.get(url) as response:
                assert response.status == 200
            exchange.api_faults.add("stall")
            waiting = asyncio.ensure_future(session.get(url))
            while exchange.api_faults.served < 2:
                await asyncio.sleep(0)
            began = time.monotonic()
            await running.runner.cleanup()
            (await waiting).close()
            return time.monotonic() - began

    assert asyncio.run(ask()) < 10


def test_latency_is_added_to_each_answer_of_the_api_but_not_to_others(exchange):
    exchange.api_faults.latency_s = 0.2

    async def took(make_url):
        async with client_of(exchange) as (endpoints, session):
            began = time.monotonic()
            async with asyncio.TaskGroup() as group:
                for _ in range(5):
                    group.create_task(session.get(make_url(endpoints)))
            return time.monotonic() - began

    assert 0.2 <= asyncio.run(took(lambda e: e.api_um + TIME)) < 5 * 0.2
    exchange.api_faults.latency_s = 1_000
    assert asyncio.run(took(lambda e: f"{e.admin}/state")) < 1_000


def test_the_sandbox_is_changed_over_http(exchange):
    async def act():
        async with client_of(exchange) as (endpoints, session):
            for action, sent in (
                ("withhold", {"key": KEY}),
                ("republish", {"key": KEY.replace("-01.zip", "-02.zip")}),
                ("now", {"now": "2025-02-11T00:00:00Z"}),
                ("spoil", {"key": KEY, "how": "corrupt"}),
                ("api_fail", {"how": "refuse", "status": 503}),
            ):
                url = f"{endpoints.admin}/{action}"
                async with session.post(url, json=sent) as response:
                    assert response.status == 200
            async with session.get(endpoints.api_um + KLINES) as response:
                assert response.status == 503
            async with session.get(f"{endpoints.admin}/state") as response:
                return await response.json()

    state = asyncio.run(act())

    assert state["withheld"] == [KEY]
    assert list(state["revisions"].values()) == [1]
    assert state["spoiled"] == {KEY: ["corrupt"]}
    assert state["api"]["faults_served"] == 1
    assert state["api"]["weights"]["futures"] == [1]
    assert state["now"] == "2025-02-11T00:00:00+00:00"
    assert exchange.now == dt.datetime(2025, 2, 11, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("action", "sent", "status"),
    [
        ("release", {"key": KEY}, 400),
        ("now", ["noon"], 400),
        ("break", {}, 404),
    ],
)
def test_a_change_that_makes_no_sense_is_refused(exchange, action, sent, status):
    told = get(exchange, lambda e: f"{e.admin}/{action}", method="POST", json=sent)

    assert told[0] == status


ACTION = {"method": "POST", "json": {"key": KEY}}
NESTED = {"data": "[" * 100_000, "headers": {"Content-Type": "application/json"}}


@pytest.mark.parametrize(
    ("path", "options", "status"),
    [
        pytest.param(f"/archive/{'k' * 4_000}", {}, 400, id="long key"),
        pytest.param(f"/archive/{'k' * 9_000}", {}, 400, id="long line"),
        pytest.param("/archive/data/a%00.zip", {}, 404, id="NUL"),
        pytest.param("/archive/%2e%2e/%2e%2e/etc/passwd", {}, 404, id="parents"),
        pytest.param("/archive//etc/passwd", {}, 404, id="absolute"),
        pytest.param(f"/archive/{'k' * 300}", {}, 404, id="long name"),
        pytest.param(
            f"/data.binance.vision?max-keys={'9' * 5_000}", {}, 400, id="many keys"
        ),
        pytest.param(f"{KLINES}&startTime={'9' * 5_000}", {}, 400, id="long number"),
        pytest.param("withhold", {"method": "POST"} | NESTED, 400, id="nested"),
        pytest.param(f"{'a' * 4_000}", ACTION, 404, id="long action"),
        pytest.param("withhold", ACTION | {"data": "k", "json": None}, 415, id="text"),
    ],
)
def test_no_request_causes_a_traceback(tmp_path, caplog, path, options, status):
    (tmp_path / "data").mkdir()
    exchange = Exchange(load_universe(), serve_dir=tmp_path)

    told, _, body = get(
        exchange,
        lambda e: yarl.URL(
            e.api_um + path if path[0] == "/" else f"{e.admin}/{path}", encoded=True
        ),
        **options,
    )

    assert told == status
    assert len(body.splitlines()) <= 2  # of XML
    assert len(body) < 1_000
    assert not any(record.exc_info for record in caplog.records)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://127.0.0.1.example.com"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Host": "example.com"}, 421),
        ({"Host": "localhost.example.com:80"}, 421),
        ({"Host": "127.0.0.1.example.com"}, 421),
        ({"Host": ""}, 421),
        ({"Host": "localhost:8000"}, 200),
        ({"Host": "[::1]:80", "Origin": "http://[::1]:80"}, 200),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
    ],
)
def test_a_web_page_of_another_origin_changes_nothing(exchange, headers, status):
    sent = {"Content-Type": "application/json"} | headers
    told, _, body = get(
        exchange,
        lambda e: f"{e.admin}/withhold",
        method="POST",
        data=json.dumps({"key": KEY}),
        headers=sent,
    )

    assert told == status
    assert exchange.publication.withheld == ({KEY} if status == 200 else set())
    assert len(body.splitlines()) == 1


def test_browsers_are_given_no_leave_to_send_json_from_elsewhere(exchange):
    status, headers, _ = get(exchange, lambda e: f"{e.admin}/now", method="OPTIONS")

    assert status == 405
    assert not any(name.startswith("Access-Control") for name in headers)


def test_nothing_is_read_under_a_name_that_is_not_the_sandboxes(exchange):
    assert get(exchange, file_url(KEY), headers={"Host": "example.com"})[0] == 421


def test_requests_are_counted_by_kind(exchange):
    async def ask():
        async with client_of(exchange) as (endpoints, session):
            for url in (
                file_url(KEY)(endpoints),
                file_url(f"{KEY}.CHECKSUM")(endpoints),
                f"{endpoints.api_cm}/dapi/v1/time",
                f"{endpoints.api_cm}/dapi/v1/time",
                f"{endpoints.api_cm}/dapi/v1/none",
            ):
                async with session.get(url):
                    pass

    asyncio.run(ask())

    assert exchange.requests == {
        "zip": 1,
        "checksum": 1,
        "cm_futures/time": 2,
        "other": 1,
    }
