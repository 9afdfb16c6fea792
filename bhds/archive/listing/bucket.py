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

import polars as pl
from yarl import URL

from bhds.archive.listing import clock
from bhds.archive.listing.pages import BrokenPageError, Page, parse_page, refusal_text
from bhds.core.errors import ListingError, cut
from bhds.io import http

logger = logging.getLogger(__name__)

_WHOLE_PAGE_TIMEOUTS = 10  # a page that trickles may take this many timeouts
_MOST_PAGE_BYTES = 16 * http.MIB  # a genuine page of 1,000 keys has 0.4 MB
_MOST_PAGES = 1_000
_MOST_NAMES = 50_000
"""Of one listing; the largest genuine one, of a symbol's days, has 7,000."""
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
_PASSING = (*http.PASSING, BrokenPageError)


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
        self.concurrency = concurrency
        self._page_size = page_size
        self._slots = asyncio.Semaphore(concurrency)
        self._http = http.HttpClient(
            proxy=proxy,
            timeout_s=timeout_s,
            whole_answer_timeouts=_WHOLE_PAGE_TIMEOUTS,
            concurrency=concurrency,
        )
        self._is_clock_known = False

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._http.__aexit__(kind, error, traceback)

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
        # XML has no form for control characters; who does not know the parameter,
        # answers as ever.
        query = {"prefix": prefix, "encoding-type": "url"}
        if delimiter:
            query["delimiter"] = delimiter
        if marker:
            query["marker"] = marker
        if self._page_size is not None:
            query["max-keys"] = str(self._page_size)
        last = ""
        names = 0
        for _ in range(_MOST_PAGES):
            page = await self._page(query)
            last = self._last_name(page, query=query, after=last)
            names += page.objects.height + len(page.prefixes)
            if names > _MOST_NAMES:
                break
            yield page
            if page.next_marker is None:
                return
            query["marker"] = page.next_marker
        msg = (
            f"{self._url(query)}: the listing has more than {_MOST_NAMES:,} names or "
            f"{_MOST_PAGES:,} pages, which no genuine one has; {_OTHER_ADVICE}"
        )
        raise ListingError(msg)

    def _last_name(self, page: Page, *, query: dict[str, str], after: str) -> str:
        """Return the last name of a page that lies below the prefix and advances.

        The names are compared, not the markers, which some servers make opaque.
        """
        prefix = query["prefix"]
        names = page.objects["key"].to_list() + page.prefixes
        last = max(names, default="")
        stray = next((name for name in names if not name.startswith(prefix)), None)
        if stray is not None:
            fault = f"the page holds '{cut(stray)}', expected names below {prefix!r}"
        elif page.truncated and last <= after:
            fault = (
                f"the page ends with '{cut(last)}', expected a name after "
                f"'{cut(after)}': the server repeats itself"
            )
        else:
            return last
        msg = f"{self._url(query)}: {fault}; {_OTHER_ADVICE}"
        raise ListingError(msg)

    async def _page(self, query: dict[str, str]) -> Page:
        """Request one page, again where that may help."""
        url = self._url(query)
        try:
            return await http.retrying(_PASSING, self._page_once, url)
        except _PASSING as error:
            msg = (
                f"{self.endpoint}: prefix {query['prefix']!r} could not be listed; "
                f"last cause: {self._http.cause(error)}; check the connection, "
                "http.proxy and endpoints.archive_listing"
            )
            raise ListingError(msg) from error
        except http.LASTING as error:
            cause = self._http.cause(error)
            msg = f"{url}: {cause}; {_OTHER_ADVICE} and http.proxy"
            raise ListingError(msg) from error

    async def _page_once(self, url: URL) -> Page:
        return parse_page(await self._get(url))

    async def _get(self, url: URL) -> bytes:
        """Return the body of a good answer; raise on passing and lasting refusals."""
        async with self._slots:
            status, headers, body = await self._http.get(
                url, most_bytes=_MOST_PAGE_BYTES
            )
        self._hold_clock_against(headers)
        if status == _HTTP_OK:
            return body
        reason = f"status {status}{refusal_text(body)}"
        if status >= _HTTP_SERVER_ERROR or status == _HTTP_TOO_MANY_REQUESTS:
            raise http.UnavailableError(reason)
        msg = f"{url}: {reason}, expected 200; {_ADVICE.get(status, _OTHER_ADVICE)}"
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
