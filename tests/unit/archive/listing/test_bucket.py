"""Listing a bucket: a server with faults, and one that knows the protocol."""

import asyncio
import http.client
import logging
import socket
import ssl
from urllib.parse import quote

import aiohttp
import pytest
import stamina
from aiohttp import web
from aiohttp.client_reqrep import ConnectionKey
from moto.server import ThreadedMotoServer

from bhds.archive.listing.bucket import BucketClient
from bhds.core.errors import ListingError
from bhds.io.http import MIB
from bhds.schemas.archive_tables import LISTING_SCHEMA
from tests.scripted import ScriptedServer

ERROR = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"


def page(*entries, truncated=False, marker=None):
    """Write a page without a namespace; entries that end in `/` are prefixes."""
    parts = [
        f"<CommonPrefixes><Prefix>{name}</Prefix></CommonPrefixes>"
        if name.endswith("/")
        else f"<Contents><Key>{name}</Key><Size>1</Size></Contents>"
        for name in entries
    ]
    if marker is not None:
        parts.append(f"<NextMarker>{marker}</NextMarker>")
    flag = str(truncated).lower()
    return (
        f"<ListBucketResult><IsTruncated>{flag}</IsTruncated>"
        f"{''.join(parts)}</ListBucketResult>"
    ).encode()


class FaultyServer(ScriptedServer):
    """A bucket that is listed; an answer that is only a body has status 200."""

    def __init__(self, *answers):
        super().__init__(*((200, a) if isinstance(a, bytes) else a for a in answers))

    def run(self, act, **settings):
        """Run `act(client)` against this server."""

        async def run(url):
            async with BucketClient(f"{url}/bucket", **settings) as client:
                return await act(client)

        return self.serve(run)

    def list_keys(self, prefix="a", *, after="", **settings):
        objects = self.run(
            lambda client: client.list_objects(prefix, after=after), **settings
        )
        return objects["key"].to_list()


@pytest.fixture(autouse=True)
def _three_attempts_without_waiting():
    with stamina.set_testing(testing=True, attempts=3):
        yield


# --- a server with faults ------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param((500, b""), id="500"),
        pytest.param((503, b"<Error><Code>SlowDown</Code></Error>"), id="503"),
        pytest.param((429, b"slow down"), id="429"),
        pytest.param(page("a1")[:-9], id="cut off"),
        pytest.param(b"\xff\xfe<", id="broken"),
        pytest.param(ERROR, id="error document with status 200"),
    ],
)
def test_a_passing_fault_is_asked_again(fault):
    server = FaultyServer(page("a1", truncated=True), fault, fault, page("a2"))

    assert server.list_keys() == ["a1", "a2"]
    assert [request.query.get("marker") for request in server.requests] == [
        None,
        "a1",
        "a1",
        "a1",
    ]


def test_a_connection_lost_within_the_body_is_asked_again():
    async def lose(request):
        answer = web.StreamResponse(headers={"Content-Length": "1000"})
        await answer.prepare(request)
        await answer.write(page("a1")[:20])
        request.transport.close()
        return answer

    server = FaultyServer(lose, page("a1"))

    assert server.list_keys() == ["a1"]
    assert len(server.requests) == 2


def test_used_up_attempts_name_the_endpoint_and_the_last_cause():
    server = FaultyServer((503, b"<Error><Code>SlowDown</Code></Error>"))

    with pytest.raises(
        ListingError, match=r"127\.0\.0\.1:\d+/bucket: prefix 'a' .* 503 \(SlowDown\)"
    ):
        server.list_keys()
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("status", "advice"), [(403, "http.proxy"), (404, "endpoints"), (400, "endpoints")]
)
def test_a_refusal_is_told_at_once(status, advice):
    server = FaultyServer((status, ERROR))

    with pytest.raises(ListingError, match=advice) as failure:
        server.list_keys("a/b")
    assert len(server.requests) == 1
    assert f"status {status} (AccessDenied: Access Denied)" in str(failure.value)
    assert "/bucket?prefix=a%2Fb" in str(failure.value)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\x00",
        b'<?xml version="1.0" encoding="x"?>',
        b"<!DOCTYPE html><html></html>",
    ],
)
def test_a_refusal_without_an_error_document_is_told_by_its_status(body):
    with pytest.raises(ListingError, match="status 403, expected 200"):
        FaultyServer((403, body)).list_keys()


def test_a_silent_server_times_out_in_each_attempt():
    async def stall(_request):
        await asyncio.Event().wait()

    server = FaultyServer(stall)

    with pytest.raises(ListingError, match=r"no answer within 0\.05 s"):
        server.list_keys(timeout_s=0.05)
    assert len(server.requests) == 3


def test_nobody_at_the_address_is_a_listing_error():
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))  # bound, but not listening
        endpoint = f"http://127.0.0.1:{reserved.getsockname()[1]}/bucket"

        async def list_keys():
            async with BucketClient(endpoint) as client:
                await client.list_objects("a")

        advice = "Cannot connect.*check the connection, http.proxy"
        with pytest.raises(ListingError, match=advice):
            asyncio.run(list_keys())


@pytest.mark.parametrize(
    "repeated",
    [
        pytest.param(page("a1", truncated=True, marker="a1"), id="same marker"),
        pytest.param(page("a1", truncated=True), id="no marker"),
        pytest.param(page("a1", truncated=True, marker="a2"), id="same entries"),
        pytest.param(page(truncated=True, marker="a2"), id="no entries"),
    ],
)
def test_a_server_that_repeats_itself_does_not_hold_us_for_ever(repeated):
    server = FaultyServer(repeated)

    with pytest.raises(ListingError, match="repeats itself"):
        server.list_keys()
    assert len(server.requests) <= 2


def test_a_server_that_ignores_the_prefix_is_refused():
    with pytest.raises(ListingError, match="holds 'b1', expected names below 'a'"):
        FaultyServer(page("a1", "b1")).list_keys()


def test_a_listing_begins_after_a_marker():
    server = FaultyServer(page("a3", "a4"))

    assert server.list_keys(after="a2") == ["a3", "a4"]
    assert server.requests[0].query["marker"] == "a2"


@pytest.mark.parametrize(
    "pages",
    [
        pytest.param([page("a1", "a2", "a3")], id="takes no notice of the marker"),
        pytest.param(
            [page("a2", truncated=True), page("a2", "a3")], id="repeats a key"
        ),
        pytest.param([page("a3", "a2")], id="out of order"),
    ],
)
def test_keys_come_once_and_in_order_whatever_the_server_does(pages):
    assert FaultyServer(*pages).list_keys(after="a1") == ["a2", "a3"]


def test_no_more_requests_run_at_once_than_the_client_may_make():
    running, most = 0, 0

    async def count(_request):
        nonlocal running, most
        running += 1
        most = max(most, running)
        for _ in range(20):
            await asyncio.sleep(0)
        running -= 1
        return web.Response(body=page())

    async def list_many(client):
        await asyncio.gather(*(client.list_objects(f"a{i}") for i in range(30)))

    FaultyServer(count).run(list_many, concurrency=3)

    assert most == 3


def test_waiting_for_a_connection_does_not_count_as_silence():
    async def answer_late(_request):
        await asyncio.sleep(0.2)
        return web.Response(body=page())

    async def list_many(client):
        await asyncio.gather(*(client.list_objects(f"a{i}") for i in range(6)))

    server = FaultyServer(answer_late)
    server.run(list_many, concurrency=1, timeout_s=0.8)

    assert len(server.requests) == 6  # 1.2 s altogether, none of them twice


def endless_pages(names_per_page):
    """Answer by pages that go on, each with other names."""
    numbers = iter(range(10**9))

    async def handle(_request):
        names = [f"a{next(numbers):09}" for _ in range(names_per_page)]
        return web.Response(body=page(*names, truncated=True))

    return handle


@pytest.mark.parametrize(
    ("names_per_page", "requests"), [(1, 40), (300, 17), (9_000, 1)]
)
def test_a_listing_without_end_is_given_up(monkeypatch, names_per_page, requests):
    monkeypatch.setattr("bhds.archive.listing.bucket._MOST_PAGES", 40)
    monkeypatch.setattr("bhds.archive.listing.bucket._MOST_NAMES", 5_000)
    server = FaultyServer(endless_pages(names_per_page))

    with pytest.raises(ListingError, match="more than 5,000 names or 40 pages"):
        server.list_keys()

    assert len(server.requests) == requests


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        pytest.param(
            page("a") + bytes(16 * MIB), "more than 16 MiB, which no genu", id="large"
        ),
        pytest.param(
            (503, bytes(16 * MIB + 1)), r"\(status 503\) has more", id="large error"
        ),
    ],
)
def test_a_page_that_is_never_taken_is_requested_once(answer, told):
    server = FaultyServer(answer)

    with pytest.raises(ListingError, match=rf"^http://127.*{told}"):
        server.list_keys()

    assert len(server.requests) == 1


def test_a_redirect_to_another_host_is_not_followed():
    redirect = (302, b"", {"Location": "http://169.254.1.1/x"})

    with pytest.raises(
        ListingError, match=r"redirects to http://169\.254\.1\.1, which is not one of"
    ):
        FaultyServer(redirect).list_keys()


def test_prefix_and_marker_are_encoded():
    prefix, marker = "a/币 &+%/", "a/币 &+%/b=c"
    server = FaultyServer(page(marker.replace("&", "&amp;"), truncated=True), page())

    server.list_keys(prefix)

    query = server.requests[1].rel_url.raw_query_string
    assert query == (
        f"prefix={quote(prefix, safe='')}&encoding-type=url"
        f"&marker={quote(marker, safe='')}"
    )


def test_requests_go_through_the_proxy():
    server = FaultyServer(page("a1"))

    async def list_through_proxy(client):
        proxy = client.endpoint.removesuffix("/bucket")
        # A name that no resolver knows: only the proxy can answer for it.
        async with BucketClient("http://s3.invalid/bucket", proxy=proxy) as proxied:
            return await proxied.list_objects("a")

    assert server.run(list_through_proxy)["key"].to_list() == ["a1"]
    assert server.requests[0].host == "s3.invalid"


# --- a real implementation of the protocol -------------------------------------------

OBJECTS = sorted(
    [f"many/{number:04d}.zip" for number in range(105)]
    + [f"{symbol}/1m/{symbol}.zip" for symbol in ("ABC", "币安人生USDT", "Z+Z &")]
    + ["ABC/", "ABC//nameless.zip", "ABC/5m/a.zip", "ABC/readme"]
)


@pytest.fixture(scope="module")
def s3_endpoint():
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    connection = http.client.HTTPConnection(host, port)
    for path in ["/bucket", *(f"/bucket/{quote(key)}" for key in OBJECTS)]:
        connection.request("PUT", path, body=b"" if path == "/bucket" else b"x")
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200
    connection.close()
    yield f"http://{host}:{port}/bucket"
    server.stop()


def ask(endpoint, act, **settings):
    async def run():
        async with BucketClient(endpoint, **settings) as client:
            return await act(client)

    return asyncio.run(asyncio.wait_for(run(), timeout=60))


@pytest.mark.parametrize(
    ("prefix", "page_size", "after"),
    [
        ("many/", None, ""),
        ("", 20, ""),
        ("many/00", 10, ""),
        ("币", 1, ""),
        ("none", None, ""),
        ("many/", 30, "many/0050"),
        ("many/0", None, "many/0090.zip"),
        ("ABC/", 1, "ABC/1m/"),
        ("币", None, "币安人生USDT/1m/币安人生USDT.zip"),
    ],
)
def test_list_objects_returns_every_object_below_the_prefix_after_the_marker(
    s3_endpoint, prefix, page_size, after
):
    objects = ask(
        s3_endpoint,
        lambda client: client.list_objects(prefix, after=after),
        page_size=page_size,
    )

    expected = [key for key in OBJECTS if key.startswith(prefix) and key > after]
    assert objects["key"].to_list() == expected
    assert objects.schema == LISTING_SCHEMA
    # The size and the MD5 of "x".
    assert set(objects["size"]) <= {1}
    assert set(objects["etag"]) <= {"9dd4e461268c8034f5c8564e155c67a6"}
    assert objects["last_modified"].null_count() == 0


@pytest.mark.parametrize("page_size", [None, 1, 2])
@pytest.mark.parametrize(
    ("prefix", "folders"),
    [
        ("", ["ABC/", "Z+Z &/", "many/", "币安人生USDT/"]),
        ("ABC/", ["ABC//", "ABC/1m/", "ABC/5m/"]),
    ],
)
def test_list_prefixes_returns_every_folder(s3_endpoint, prefix, folders, page_size):
    found = ask(
        s3_endpoint, lambda client: client.list_prefixes(prefix), page_size=page_size
    )

    assert found == folders


def test_a_bucket_that_is_not_there_is_a_listing_error(s3_endpoint):
    with pytest.raises(ListingError, match=r"status 404 \(NoSuchBucket"):
        ask(f"{s3_endpoint}s", lambda client: client.list_objects(""))


def test_a_clock_that_differs_from_the_servers_is_told_once(caplog):
    server = FaultyServer((200, page("a1"), {"Date": "Mon, 10 Mar 2025 12:00:00 GMT"}))

    async def list_twice(client):
        return [await client.list_objects("a") for _ in range(2)]

    server.run(list_twice)

    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "the server 2025-03-10 12:00; set the clock" in record.getMessage()


def test_a_clock_that_agrees_is_not_told(caplog):
    FaultyServer(page("a1")).list_keys()

    assert not caplog.records


def test_a_certificate_that_is_refused_calls_to_mind_the_clock():
    parts = {"host": "host", "port": 443, "is_ssl": True, "ssl": True}
    key = ConnectionKey(**parts, proxy=None, proxy_auth=None, proxy_headers_hash=None)
    fault = ssl.SSLCertVerificationError("certificate is not yet valid")
    error = aiohttp.ClientConnectorCertificateError(key, fault)

    told = BucketClient("https://host/bucket")._http.cause(error)

    assert "certificate is not yet valid" in told
    assert "is the clock of this machine right? It says 20" in told
