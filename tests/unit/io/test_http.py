"""What is taken of an answer: bytes, time, and redirects."""

import asyncio
import gzip
import tracemalloc
import zlib

import pytest
from aiohttp import web
from yarl import URL

from bhds.io import http
from tests.scripted import ScriptedServer

MOST = http.MIB
BOMB = gzip.compress(bytes(32 * MOST), compresslevel=1)


class FailedError(Exception):
    """The kind of a failure, and its cause in words."""


def get(answer, *, path="/a", whole_answer_timeouts=3, **settings):
    """Return what is taken of the `answer` of a server."""

    async def run(server_url):
        client = http.HttpClient(
            proxy=None,
            timeout_s=20,
            whole_answer_timeouts=whole_answer_timeouts,
            concurrency=1,
        )
        async with client:
            try:
                url = URL(server_url + path)
                return await client.get(url, **({"most_bytes": MOST} | settings))
            except (*http.PASSING, *http.LASTING) as error:
                kind = type(error).__name__
                msg = f"{kind}: {client.cause(error)}"
                raise FailedError(msg) from error

    return ScriptedServer(answer).serve(run)


def answering(body, **headers):
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return 200, body, names


def without_end(chunk, *, pause_s=0.0, status=200, sent=None, **headers):
    """Answer by a body that repeats a chunk for as long as anybody reads it."""

    async def handle(request):
        answer = web.StreamResponse(status=status, headers=headers)
        await answer.prepare(request)
        while True:
            await answer.write(chunk)
            if sent is not None:
                sent.append(len(chunk))
            await asyncio.sleep(pause_s)

    return handle


@pytest.mark.parametrize(
    ("encoding", "compress"),
    [
        ("identity", bytes),
        ("gzip", gzip.compress),
        ("deflate", zlib.compress),
    ],
)
@pytest.mark.parametrize("size", [0, 1, 70_000, MOST])
def test_a_body_of_at_most_the_bound_is_whole(encoding, compress, size):
    body = bytes(range(256)) * (size // 256 + 1)

    answer = get(answering(compress(body[:size]), Content_Encoding=encoding))

    assert answer.body == body[:size]


@pytest.mark.parametrize(
    "handle",
    [
        pytest.param(answering(bytes(MOST + 1)), id="declared"),
        pytest.param(answering(BOMB, Content_Encoding="gzip"), id="bomb"),
        pytest.param(
            answering(gzip.compress(BOMB), Content_Encoding="gzip, gzip"), id="twice"
        ),
        pytest.param(without_end(bytes(50_000)), id="endless"),
        pytest.param(without_end(bytes(50_000), status=503), id="endless error"),
        pytest.param(
            without_end(gzip.compress(b"a") * 5_000, **{"Content-Encoding": "gzip"}),
            id="endless members",
        ),
        pytest.param(answering(b"a", Content_Encoding="br"), id="other encoding"),
    ],
)
def test_no_answer_takes_more_memory_than_the_bound(handle):
    tracemalloc.start()
    try:
        with pytest.raises(FailedError, match=r"^Unacc.*(MiB|encoding)"):
            get(handle)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 6 * MOST


def test_no_more_of_an_endless_body_is_read_than_the_bound():
    sent = []

    with pytest.raises(FailedError, match=r"\(status 200\) has more than 1 "):
        get(without_end(bytes(1_000), sent=sent))

    # Some of it lies in buffers of the connection.
    assert sum(sent) < 16 * MOST


def test_a_body_that_trickles_is_given_up_in_time():
    with pytest.raises(FailedError, match=r"no whole answer within 0\.5 s"):
        get(without_end(b"a", pause_s=0.02), whole_answer_timeouts=0.025)


@pytest.mark.parametrize(
    "body",
    [b"no gzip", gzip.compress(b"a" * 9_000, mtime=0)[:-9]],
    ids=["not gzip", "cut"],
)
def test_a_compressed_body_that_is_broken_is_no_answer(body):
    with pytest.raises(FailedError, match="ClientPayloadError: the compressed body is"):
        get(answering(body, Content_Encoding="gzip"))


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"X": "a" * 100_000}, id="long"),
        pytest.param({f"X-{n}": "a" for n in range(5_000)}, id="many"),
    ],
)
def test_headers_out_of_bounds_are_refused_in_one_line(headers):
    with pytest.raises(FailedError) as refused:
        get((200, b"", headers))

    assert len(str(refused.value)) < 300


# --- redirects -----------------------------------------------------------------------


def redirecting(target, *, asked, status=302):
    async def handle(request):
        asked.append(request.rel_url)
        if request.path == "/end":
            return web.Response(body=b"here")
        to = target.format(port=request.url.port)
        return web.Response(status=status, headers={"Location": to})

    return handle


@pytest.mark.parametrize(
    ("target", "status"),
    [
        *(("/end", status) for status in (301, 302, 303, 307, 308)),
        ("http://127.0.0.1:{port}/end?x=1", 302),
    ],
)
def test_a_redirect_on_the_same_server_is_followed(target, status):
    assert get(redirecting(target, asked=[], status=status)).body == b"here"


@pytest.mark.parametrize(
    ("target", "named"),
    [
        ("http://169.254.1.1/latest", "169.254.1.1"),
        ("//169.254.1.1/latest", "169.254.1.1"),
        ("http://localhost:{port}/end", "localhost"),
        ("http://127.0.0.1:1/end", "127.0.0.1:1"),
        ("https://127.0.0.1:{port}/end", "https://127.0.0.1"),
        ("http://user:pass@127.0.0.1:{port}/end", "127.0.0.1"),
        ("file:///etc/passwd", "file://"),
        ("http://[::1", "no address"),
        ("http://a:99999/", "no address"),
        ("http://" + "a" * 5_000, "aaa..."),
    ],
)
def test_a_redirect_elsewhere_is_not_followed(target, named):
    asked = []

    with pytest.raises(FailedError) as refused:
        get(redirecting(target, asked=asked))

    told = str(refused.value)
    assert len(asked) == 1
    assert "127.0.0.1:" in told
    assert named in told
    assert "pass" not in told.replace("passwd", "")
    assert "`endpoints`" in told or "no address" in told
    assert len(told) < 400


@pytest.mark.parametrize(
    ("url", "target", "is_same"),
    [
        ("https://h/a", "https://h:443/b", True),
        ("http://h/a", "https://h/b", True),
        ("https://h/a", "http://h/b", False),
        ("https://h/a", "https://h:444/b", False),
        ("https://h/a", "https://h.evil/b", False),
    ],
)
def test_the_same_server_is_of_the_same_host_and_no_less_secure(url, target, is_same):
    assert http._is_same_server(URL(url), URL(target)) is is_same


def test_redirects_in_a_circle_end():
    asked = []

    with pytest.raises(FailedError, match="more than 3 times"):
        get(redirecting("/a", asked=asked))

    assert len(asked) == 4
