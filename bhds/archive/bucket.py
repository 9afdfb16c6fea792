"""List an S3-compatible bucket: ListObjects V1, anonymous, path style.

Source: Amazon S3 API Reference, ListObjects (version 1).
"""

import asyncio
import datetime as dt
import logging
import operator
from collections.abc import AsyncIterator, Mapping
from types import TracebackType
from typing import Self
from urllib.parse import quote, urlencode

import aiohttp
import polars as pl
import stamina
from yarl import URL

from bhds import __version__
from bhds.archive import clock
from bhds.archive.listing_page import (
    BrokenPageError,
    Page,
    parse_page,
    refusal_text,
)
from bhds.errors import ListingError

logger = logging.getLogger(__name__)

_ATTEMPTS = 5
_FIRST_WAIT_S = 0.5  # doubles with each attempt: 7.5 s altogether, without jitter
_WHOLE_PAGE_TIMEOUTS = 10  # a page that trickles may take this many timeouts
_HTTP_OK = 200
_HTTP_TOO_MANY_REQUESTS = 429
_HTTP_SERVER_ERROR = 500
_ADVICE = {
    403: (
        "the bucket or a firewall may have blocked this address: try again later, "
        "or go through a proxy (http.proxy)"
    ),
    407: "the proxy wants credentials: correct http.proxy",
}
_OTHER_ADVICE = "check endpoints.archive_listing"

# A person is told once, with the last cause, when there is nothing left to try;
# stamina would warn of every attempt, without its cause in the line.
logging.getLogger("stamina").setLevel(logging.ERROR)

_retrying = stamina.AsyncRetryingCaller(
    attempts=_ATTEMPTS, timeout=None, wait_initial=_FIRST_WAIT_S
)


class _UnavailableError(Exception):
    """A status that passes: the server is busy or broken for the moment."""


_PASSING = (
    aiohttp.ClientConnectionError,
    aiohttp.ClientPayloadError,
    TimeoutError,
    BrokenPageError,
    _UnavailableError,
)


class BucketClient:
    """Lists one bucket over a shared pool of connections; use it in `async with`.

    Parameters
    ----------
    endpoint
        The bucket's path-style URL: scheme, host and bucket.
    proxy
        URL of an HTTP proxy, or None to connect directly.
    timeout_s
        Seconds without a byte, or until connected, after which a request counts
        as failed. Waiting for one of the connections does not count.
    concurrency
        The largest number of simultaneous requests.
    page_size
        Keys and prefixes a page; None leaves it to the server, whose own number,
        1,000, is also the largest it grants.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        proxy: str | None = None,
        timeout_s: float = 15.0,
        concurrency: int = 16,
        page_size: int | None = None,
    ) -> None:
        self.endpoint = endpoint.rstrip("/")
        self._proxy = proxy
        self._timeout_s = timeout_s
        self.concurrency = concurrency
        self._page_size = page_size
        self._slots = asyncio.Semaphore(concurrency)
        self._session: aiohttp.ClientSession
        self._is_clock_known = False

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self.concurrency),
            headers={"User-Agent": f"bhds/{__version__}"},
            timeout=aiohttp.ClientTimeout(
                total=_WHOLE_PAGE_TIMEOUTS * self._timeout_s,
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

    async def list_objects(self, prefix: str, *, after: str = "") -> pl.DataFrame:
        """Return the objects whose key begins with `prefix` and comes after `after`.

        Returns
        -------
        polars.DataFrame
            As in `LISTING_SCHEMA`, sorted by unique `key`.

        Raises
        ------
        ListingError
            As `pages`.
        """
        pages = [page.objects async for page in self.pages(prefix, marker=after)]
        objects = pl.concat(pages)
        keys = [after, *objects["key"]]
        if all(map(operator.lt, keys, keys[1:])):
            return objects
        # A server that repeats keys, or takes no notice of the first marker.
        later = objects.filter(pl.col("key") > after)
        return later.unique("key", keep="last").sort("key")

    async def list_prefixes(self, prefix: str) -> list[str]:
        """Return the folders directly below `prefix`, whole, each ending in `/`.

        Raises
        ------
        ListingError
            As `pages`.
        """
        pages = self.pages(prefix, delimiter="/")
        # A server may begin a page with the prefix at which the one before ended.
        folders = [folder async for page in pages for folder in page.prefixes]
        return list(dict.fromkeys(folders))

    async def pages(
        self, prefix: str, *, delimiter: str = "", marker: str = ""
    ) -> AsyncIterator[Page]:
        """Yield the pages of a listing until the last.

        With a `delimiter`, keys that have it after the prefix are rolled up into
        common prefixes; without one, all keys come, however deep. The listing begins
        after `marker`, which need not be a key of the bucket.

        Raises
        ------
        ListingError
            If the server refuses, if it does not answer soundly in several
            attempts, or if its pages do not advance.
        """
        query = {"prefix": prefix}
        if delimiter:
            query["delimiter"] = delimiter
        if marker:
            query["marker"] = marker
        if self._page_size is not None:
            query["max-keys"] = str(self._page_size)
        last = ""
        while True:
            page = await self._page(query)
            last = self._last_name(page, query=query, after=last)
            yield page
            if page.next_marker is None:
                return
            query["marker"] = page.next_marker

    def _last_name(self, page: Page, *, query: dict[str, str], after: str) -> str:
        """Return the last name of a page that lies below the prefix and advances.

        The names are compared, not the markers, which some servers make opaque.
        """
        prefix = query["prefix"]
        names = page.objects["key"].to_list() + page.prefixes
        last = max(names, default="")
        stray = next((name for name in names if not name.startswith(prefix)), None)
        if stray is not None:
            fault = f"the page holds {stray!r}, expected names below {prefix!r}"
        elif page.truncated and last <= after:
            fault = (
                f"the page ends with {last!r}, expected a name after {after!r}: the "
                "server repeats itself"
            )
        else:
            return last
        msg = f"{self._url(query)}: {fault}; {_OTHER_ADVICE}"
        raise ListingError(msg)

    async def _page(self, query: dict[str, str]) -> Page:
        """Request one page, again where that may help."""
        url = self._url(query)
        try:
            return await _retrying(_PASSING, self._page_once, url)
        except _PASSING as error:
            msg = (
                f"{self.endpoint}: prefix {query['prefix']!r} could not be listed; "
                f"last cause: {self._cause(error)}; check the connection, http.proxy "
                "and endpoints.archive_listing"
            )
            raise ListingError(msg) from error
        except aiohttp.ClientError as error:
            msg = f"{url}: {self._cause(error)}; {_OTHER_ADVICE} and http.proxy"
            raise ListingError(msg) from error

    async def _page_once(self, url: URL) -> Page:
        return parse_page(await self._get(url))

    async def _get(self, url: URL) -> bytes:
        """Return the body of a good answer; tell passing from lasting refusals."""
        async with self._slots, self._session.get(url, proxy=self._proxy) as answer:
            body = await answer.read()
        self._hold_clock_against(answer.headers)
        status = answer.status
        if status == _HTTP_OK:
            return body
        told = f"status {status}{refusal_text(body)}"
        if status >= _HTTP_SERVER_ERROR or status == _HTTP_TOO_MANY_REQUESTS:
            raise _UnavailableError(told)
        msg = f"{url}: {told}, expected 200; {_ADVICE.get(status, _OTHER_ADVICE)}"
        raise ListingError(msg)

    def _hold_clock_against(self, headers: Mapping[str, str]) -> None:
        """Warn once where the clock of this machine and the server's differ."""
        if self._is_clock_known:
            return
        self._is_clock_known = True
        fault = clock.fault(headers, now=dt.datetime.now(dt.UTC))
        if fault is not None:
            logger.warning("%s: %s", self.endpoint, fault)

    def _url(self, query: dict[str, str]) -> URL:
        encoded = urlencode(query, quote_via=quote, safe="")
        return URL(f"{self.endpoint}?{encoded}", encoded=True)

    def _cause(self, error: Exception) -> str:
        if isinstance(error, TimeoutError):
            return f"no answer within {self._timeout_s:g} s"
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            # Of the causes, the one that is easily overlooked.
            now = dt.datetime.now(dt.UTC)
            return (
                f"{error}; is the clock of this machine right? It says {now:%F %R} UTC"
            )
        return f"{error}" or type(error).__name__
