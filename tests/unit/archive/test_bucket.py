"""Listing a bucket: pages as S3 writes them, and a server with faults."""

import asyncio
import datetime as dt
import http.client
import logging
import socket
from pathlib import Path
from urllib.parse import quote

import pytest
import stamina
from aiohttp import web
from aiohttp.test_utils import TestServer
from moto.server import ThreadedMotoServer

from bhds.archive.bucket import BrokenPageError, BucketClient, ObjectInfo, parse_page
from bhds.errors import ListingError

PAGES = Path(__file__).parents[4] / "shared/realdata/listings/s3xml"
recorded = pytest.mark.skipif(
    not PAGES.is_dir(), reason="needs shared/realdata/listings"
)

TestServer.__test__ = False

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


class FaultyServer:
    """Gives its answers in order, the last one for ever, and keeps the requests."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.requests = []

    async def handle(self, request):
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if callable(answer):
            return await answer(request)
        status, body = answer if isinstance(answer, tuple) else (200, answer)
        return web.Response(status=status, body=body)

    def run(self, act, **settings):
        """Run `act(client)` against this server."""

        async def run():
            app = web.Application()
            app.router.add_get("/{bucket}", self.handle)
            async with TestServer(app) as server:
                endpoint = str(server.make_url("/bucket"))
                async with BucketClient(endpoint, **settings) as client:
                    return await act(client)

        return asyncio.run(asyncio.wait_for(run(), timeout=30))

    def list_keys(self, prefix="a", **settings):
        objects = self.run(lambda client: client.list_keys(prefix), **settings)
        return [entry.key for entry in objects]


@pytest.fixture(autouse=True)
def _three_attempts_without_waiting():
    with stamina.set_testing(testing=True, attempts=3):
        yield


# --- pages ---------------------------------------------------------------------------


@recorded
def test_parse_page_reads_a_recorded_page():
    first = parse_page((PAGES / "daily-page1.xml").read_bytes())
    second = parse_page((PAGES / "daily-page2.xml").read_bytes())

    folder = "data/spot/daily/klines/BTCUSDT/1m"
    assert len(first.keys) == len(second.keys) == 12
    assert first.keys[0] == ObjectInfo(
        key=f"{folder}/BTCUSDT-1m-2017-08-17.zip",
        size=29761,
        etag="014a8d177da3bf9839c293f341804d26",
        last_modified=dt.datetime(2023, 7, 18, 4, 11, 20, tzinfo=dt.UTC),
    )
    assert first.truncated
    assert first.next_marker == f"{folder}/BTCUSDT-1m-2017-08-22.zip.CHECKSUM"
    assert first.next_marker == first.keys[-1].key < second.keys[0].key
    assert not second.truncated
    assert second.next_marker is None


@recorded
def test_parse_page_goes_on_after_the_last_key_without_a_next_marker():
    parsed = parse_page((PAGES / "keys-truncated-no-nextmarker.xml").read_bytes())

    assert parsed.truncated
    assert parsed.next_marker == parsed.keys[-1].key
    assert parsed.keys[1].etag is None
    assert parsed.keys[1].last_modified is None
    assert parsed.keys[1].size == 92


@recorded
def test_parse_page_keeps_a_child_with_an_empty_name():
    parsed = parse_page((PAGES / "prefixes-empty-name.xml").read_bytes())

    parent = "data/futures/um/daily/klines/BTCUSDT/"
    assert parsed.prefixes == [f"{parent}/", f"{parent}12h/", f"{parent}1h/"]
    assert parsed.keys == []


@pytest.mark.parametrize(
    ("entries", "marker"),
    [
        pytest.param(["a/b/", "a/c"], "a/c", id="key last"),
        pytest.param(["a/b", "a/c/"], "a/c/", id="prefix last"),
        pytest.param(["a/b"], "a/b", id="one key"),
        pytest.param(["a/b/"], "a/b/", id="one prefix"),
        pytest.param(["a/z", "a/币/"], "a/币/", id="order of UTF-8 bytes"),
    ],
)
def test_parse_page_takes_the_later_entry_as_the_marker(entries, marker):
    parsed = parse_page(page(*entries, truncated=True))

    assert parsed.next_marker == marker
    assert len(parsed.keys) + len(parsed.prefixes) == len(entries)


def test_parse_page_reads_a_page_without_entries():
    assert parse_page(page()) == ([], [], None, False)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        pytest.param(b"", "0 bytes is broken", id="nothing"),
        pytest.param(b"<html><p>Log in<br></html>", "broken", id="no XML"),
        pytest.param(b"<html/>", "answer is <html>", id="another document"),
        pytest.param(ERROR, r"<Error> \(AccessDenied: Access Denied\)", id="S3 error"),
        pytest.param(page("\xff").decode().encode("latin1"), "utf-8", id="no UTF-8"),
        pytest.param(page(truncated=True), "NextMarker", id="truncated and empty"),
        pytest.param(
            b"<ListBucketResult><Contents><Key>a</Key></Contents></ListBucketResult>",
            "'Size'",
            id="no size",
        ),
        pytest.param(
            b"<ListBucketResult><Contents><Size>1</Size></Contents></ListBucketResult>",
            "'Key'",
            id="no key",
        ),
        pytest.param(
            page("a").replace(b"</Size>", b"</Size><LastModified>1</LastModified>"),
            "isoformat",
            id="no time",
        ),
        pytest.param(
            b"<ListBucketResult><CommonPrefixes/></ListBucketResult>",
            "without a Prefix",
            id="empty prefix",
        ),
        pytest.param(
            b'<!DOCTYPE a [<!ENTITY b "c">]><ListBucketResult>&b;</ListBucketResult>',
            "DTDForbidden",
            id="entities",
        ),
    ],
)
def test_parse_page_refuses_what_is_no_whole_page(body, reason):
    with pytest.raises(BrokenPageError, match=reason):
        parse_page(body)


@recorded
def test_parse_page_refuses_a_page_cut_off_anywhere():
    whole = (PAGES / "daily-page2.xml").read_bytes().rstrip()

    for length in range(0, len(whole), 41):
        with pytest.raises(BrokenPageError):
            parse_page(whole[:length])


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
    "body", [b"", b"\xff\x00", b'<?xml version="1.0" encoding="x"?>']
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
                await client.list_keys("a")

        with pytest.raises(ListingError, match="Cannot connect"):
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
        await asyncio.gather(*(client.list_keys(f"a{i}") for i in range(30)))

    FaultyServer(count).run(list_many, concurrency=3)

    assert most == 3


def test_waiting_for_a_connection_does_not_count_as_silence():
    async def answer_late(_request):
        await asyncio.sleep(0.2)
        return web.Response(body=page())

    async def list_many(client):
        await asyncio.gather(*(client.list_keys(f"a{i}") for i in range(6)))

    server = FaultyServer(answer_late)
    server.run(list_many, concurrency=1, timeout_s=0.8)

    assert len(server.requests) == 6  # 1.2 s altogether, none of them twice


def test_prefix_and_marker_are_encoded():
    prefix, marker = "a/币 &+%/", "a/币 &+%/b=c"
    server = FaultyServer(page(marker.replace("&", "&amp;"), truncated=True), page())

    server.list_keys(prefix)

    query = server.requests[1].rel_url.raw_query_string
    assert query == f"prefix={quote(prefix, safe='')}&marker={quote(marker, safe='')}"


def test_requests_go_through_the_proxy():
    server = FaultyServer(page("a1"))

    async def list_through_proxy(client):
        proxy = client.endpoint.removesuffix("/bucket")
        # A name that no resolver knows: only the proxy can answer for it.
        async with BucketClient("http://s3.invalid/bucket", proxy=proxy) as proxied:
            return await proxied.list_keys("a")

    assert [entry.key for entry in server.run(list_through_proxy)] == ["a1"]
    assert server.requests[0].host == "s3.invalid"


# --- a real implementation of the protocol -------------------------------------------

OBJECTS = sorted(
    [f"many/{number:04d}.zip" for number in range(1005)]
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
    ("prefix", "page_size"),
    [("many/", None), ("", 100), ("many/00", 1), ("币", 1), ("none", None)],
)
def test_list_keys_returns_every_key_below_the_prefix(s3_endpoint, prefix, page_size):
    objects = ask(
        s3_endpoint, lambda client: client.list_keys(prefix), page_size=page_size
    )

    expected = [key for key in OBJECTS if key.startswith(prefix)]
    assert [entry.key for entry in objects] == expected
    assert all(entry.size == 1 for entry in objects)
    # The MD5 of "x".
    assert {entry.etag for entry in objects} <= {"9dd4e461268c8034f5c8564e155c67a6"}
    assert all(entry.last_modified.tzinfo is dt.UTC for entry in objects)


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
        ask(f"{s3_endpoint}s", lambda client: client.list_keys(""))
