"""Request addresses of the configured hosts: bounded in bytes, in time, and in hosts.

An answer is compressed or not, and its length is declared or not: what is bounded is
what it takes in memory. aiohttp would follow a redirect to any host, and read a body
to its end.
"""

import asyncio
import datetime as dt
import logging
import zlib
from collections.abc import Mapping
from types import TracebackType
from typing import NamedTuple, Self

import aiohttp
import stamina
from yarl import URL

from bhds.core.errors import cut
from bhds.core.version import __version__

MIB = 1024**2

_ATTEMPTS = 5
_FIRST_WAIT_S = 0.5  # doubles with each attempt: 7.5 s altogether, without jitter
_MOST_REDIRECTS = 3
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS
_ENCODINGS = {"", "identity", "gzip", "x-gzip", "deflate"}

# A person is told once, with the last cause, when there is nothing left to try;
# stamina would warn of every attempt, without its cause in the line.
logging.getLogger("stamina").setLevel(logging.ERROR)

retrying = stamina.AsyncRetryingCaller(
    attempts=_ATTEMPTS, timeout=None, wait_initial=_FIRST_WAIT_S
)
"""Calls again what fails in a way that may pass."""


class UnavailableError(Exception):
    """An answer that may be a good one when it is requested again."""


class UnacceptableError(Exception):
    """An answer that is not taken, however often it is requested."""


PASSING = (
    aiohttp.ClientConnectionError,
    aiohttp.ClientPayloadError,
    TimeoutError,
    UnavailableError,
)
"""Failures after which a request is sent again."""

LASTING = (aiohttp.ClientError, UnacceptableError)
"""Failures after which it is not, unless they are among `PASSING`."""


class Received(NamedTuple):
    """An answer of whatever status, whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    """Not compressed."""


class HttpClient:
    """Sends requests over a shared pool of connections; use it in `async with`.

    Parameters
    ----------
    proxy
        URL of an HTTP proxy, or None to connect directly.
    timeout_s
        Seconds without a byte, or until connected, after which a request counts as
        failed.
    whole_answer_timeouts
        An answer that trickles may take this many timeouts.
    concurrency
        The largest number of connections.
    """

    def __init__(
        self,
        *,
        proxy: str | None,
        timeout_s: float,
        whole_answer_timeouts: int,
        concurrency: int,
    ) -> None:
        self._proxy = proxy
        self._timeout_s = timeout_s
        self._concurrency = concurrency
        self.longest_s = whole_answer_timeouts * timeout_s
        """The longest that an answer may take."""
        self._session: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._concurrency),
            headers={"User-Agent": f"bhds/{__version__}", "Accept-Encoding": "gzip"},
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(
                total=None,  # that is of one request; redirects count together
                sock_connect=self._timeout_s,
                sock_read=self._timeout_s,
            ),
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._session.close()

    async def get(self, url: URL, *, most_bytes: int) -> Received:
        """Return the answer to one request, of whatever status.

        Redirects are followed to the same host and port only, and never from https
        to http.

        Raises
        ------
        UnacceptableError
            If the answer is larger than `most_bytes`, in another encoding than was
            requested, or redirects elsewhere or too often.
        TimeoutError
            If it takes too long.
        aiohttp.ClientError
            If there is no whole answer.
        """
        async with asyncio.timeout(self.longest_s):
            for _ in range(_MOST_REDIRECTS + 1):
                async with self._session.get(
                    url, proxy=self._proxy, allow_redirects=False
                ) as answer:
                    target = answer.headers.get("Location")
                    if answer.status not in _REDIRECTS or target is None:
                        body = await _body(answer, most_bytes=most_bytes)
                        return Received(answer.status, answer.headers, body)
                url = _redirected(url, target)
        msg = f"redirected more than {_MOST_REDIRECTS} times, the last time to {url}"
        raise UnacceptableError(cut(msg))

    def cause(self, error: Exception) -> str:
        """Return what a failure was, in words and at most one line."""
        if isinstance(error, aiohttp.ServerTimeoutError):
            return f"no answer within {self._timeout_s:g} s"
        if isinstance(error, TimeoutError):
            return f"no whole answer within {self.longest_s:g} s"
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            # Of the causes, the one that is easily overlooked.
            now = dt.datetime.now(dt.UTC)
            return (
                f"{error}; is the clock of this machine right? It says {now:%F %R} UTC"
            )
        if isinstance(error, UnacceptableError):
            return str(error)
        return cut(f"{error}" or type(error).__name__)


def address(base: str, parameters: Mapping[str, str]) -> URL:
    """Return a URL with a query of some parameters.

    Raises
    ------
    UnacceptableError
        If `base` is no URL.
    """
    try:
        return URL(base).with_query(parameters)
    except ValueError as error:
        raise UnacceptableError(cut(str(error))) from error


async def _body(answer: aiohttp.ClientResponse, *, most_bytes: int) -> bytes:
    """Read and decompress a body, up to a number of bytes of either form."""
    encoding = answer.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in _ENCODINGS:
        msg = f"the answer has the encoding {cut(encoding)!r}, expected gzip or none"
        raise UnacceptableError(msg)
    if (answer.content_length or 0) > most_bytes:
        raise _too_large(answer, most_bytes)
    inflater = None
    if encoding not in {"", "identity"}:
        inflater = zlib.decompressobj(wbits=_GZIP_OR_ZLIB)
    received, body = 0, bytearray()
    async for chunk in answer.content.iter_any():
        received += len(chunk)
        if inflater is None:
            body += chunk
        else:
            body += _inflated(inflater, chunk, most_bytes=most_bytes + 1 - len(body))
        if max(received, len(body)) > most_bytes:
            raise _too_large(answer, most_bytes)
    if inflater is not None and received and not inflater.eof:
        msg = "the compressed body is cut off"
        raise aiohttp.ClientPayloadError(msg)
    return bytes(body)


def _inflated(inflater: "zlib._Decompress", chunk: bytes, *, most_bytes: int) -> bytes:
    try:
        return inflater.decompress(chunk, most_bytes)
    except zlib.error as error:
        msg = f"the compressed body is broken: {error}"
        raise aiohttp.ClientPayloadError(msg) from error


def _too_large(answer: aiohttp.ClientResponse, most_bytes: int) -> UnacceptableError:
    return UnacceptableError(
        f"the answer (status {answer.status}) has more than {most_bytes / MIB:g} MiB, "
        "which no genuine one has"
    )


def _redirected(url: URL, target: str) -> URL:
    """Return where a redirect leads, if that is the same server."""
    try:
        joined = url.join(URL(target))
        if _is_same_server(url, joined):
            return joined
        elsewhere = f"{joined.scheme}://{joined.host_port_subcomponent or ''}"
    except ValueError as error:
        msg = f"{url.authority} redirects to '{cut(target)}', which is no address"
        raise UnacceptableError(msg) from error
    msg = (
        f"{url.authority} redirects to {cut(elsewhere)}, which is not one of the hosts "
        "of `endpoints`: not followed"
    )
    raise UnacceptableError(msg)


def _is_same_server(url: URL, target: URL) -> bool:
    if target.user is not None or target.password is not None:
        return False
    if url.host != target.host:
        return False
    if url.scheme == target.scheme:
        return url.port == target.port
    # Only towards more security, at the ports that the schemes stand for.
    is_upgrade = (url.scheme, target.scheme) == ("http", "https")
    return is_upgrade and url.is_default_port() and target.is_default_port()
