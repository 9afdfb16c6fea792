"""List an S3-compatible bucket: ListObjects V1, anonymous, path style.

Sources: Amazon S3 API Reference, ListObjects (version 1) and REST error responses;
pages recorded from the exchange's bucket.
"""

import asyncio
import datetime as dt
import logging
from collections.abc import AsyncIterator
from types import TracebackType
from typing import NamedTuple, Self
from urllib.parse import quote, urlencode
from xml.etree.ElementTree import Element, ParseError

import aiohttp
import stamina
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring
from yarl import URL

from bhds import __version__
from bhds.errors import ListingError

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


class ObjectInfo(NamedTuple):
    """One object of a bucket, as a listing describes it."""

    key: str
    size: int
    """Bytes."""
    etag: str | None
    """Without its quotes: the MD5 of an object that was uploaded in one part."""
    last_modified: dt.datetime | None
    """Time of the upload, UTC."""


class Page(NamedTuple):
    """One answer of the bucket: a stretch of a listing in the order of the keys."""

    keys: list[ObjectInfo]
    prefixes: list[str]
    """The common prefixes, each whole, with its delimiter at the end."""
    next_marker: str | None
    """After what the next page begins; None on the last page."""
    truncated: bool


class BrokenPageError(ListingError):
    """An answer that is no whole listing page, but may be one when asked again."""


class _UnavailableError(Exception):
    """A status that passes: the server is busy or broken for the moment."""


_PASSING = (
    aiohttp.ClientConnectionError,
    aiohttp.ClientPayloadError,
    TimeoutError,
    BrokenPageError,
    _UnavailableError,
)


def parse_page(xml: bytes) -> Page:
    """Read the body of a ListObjects answer.

    Elements are found by name, whatever their namespace. Where a truncated page
    has no NextMarker (S3 sends it with a delimiter only), its last entry is it.

    Raises
    ------
    BrokenPageError
        If the body is cut off or no XML, no UTF-8, no ListBucketResult (an error
        document's code and message are told), has an entry without a key or size,
        or is truncated without saying where to go on.
    """
    root = _root(xml)
    keys: list[ObjectInfo] = []
    prefixes: list[str] = []
    marker = None
    truncated = False
    for child in root:
        match _local_name(child):
            case "Contents":
                keys.append(_object_info(child))
            case "CommonPrefixes":
                prefixes.append(_common_prefix(child))
            case "NextMarker":
                marker = child.text
            case "IsTruncated":
                truncated = (child.text or "").strip().lower() == "true"
    if not truncated:
        return Page(keys, prefixes, next_marker=None, truncated=False)
    # Keys compare in the order of their UTF-8 bytes, as code points do.
    marker = marker or max([*(entry.key for entry in keys[-1:]), *prefixes[-1:], ""])
    if not marker:
        msg = "listing page is truncated, but has neither entries nor a NextMarker"
        raise BrokenPageError(msg)
    return Page(keys, prefixes, next_marker=marker, truncated=True)


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

    async def list_keys(self, prefix: str) -> list[ObjectInfo]:
        """Return all objects whose key begins with `prefix`, in the order of keys.

        Raises
        ------
        ListingError
            As `pages`.
        """
        return [entry async for page in self.pages(prefix) for entry in page.keys]

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

    async def pages(self, prefix: str, *, delimiter: str = "") -> AsyncIterator[Page]:
        """Yield the pages of a listing until the last.

        With a `delimiter`, keys that have it after the prefix are rolled up into
        common prefixes; without one, all keys come, however deep.

        Raises
        ------
        ListingError
            If the server refuses, if it does not answer soundly in several
            attempts, or if its pages do not advance.
        """
        query = {"prefix": prefix}
        if delimiter:
            query["delimiter"] = delimiter
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
        names = [entry.key for entry in page.keys] + page.prefixes
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
        status = answer.status
        if status == _HTTP_OK:
            return body
        told = f"status {status}{_error_document(body)}"
        if status >= _HTTP_SERVER_ERROR or status == _HTTP_TOO_MANY_REQUESTS:
            raise _UnavailableError(told)
        msg = f"{url}: {told}, expected 200; {_ADVICE.get(status, _OTHER_ADVICE)}"
        raise ListingError(msg)

    def _url(self, query: dict[str, str]) -> URL:
        encoded = urlencode(query, quote_via=quote, safe="")
        return URL(f"{self.endpoint}?{encoded}", encoded=True)

    def _cause(self, error: Exception) -> str:
        if isinstance(error, TimeoutError):
            return f"no answer within {self._timeout_s:g} s"
        return f"{error}" or type(error).__name__


def _root(xml: bytes) -> Element:
    """Return the ListBucketResult of a body."""
    try:
        # S3 writes UTF-8. Decoded here, so that no declaration can say otherwise.
        root: Element = fromstring(xml.decode("utf-8"), forbid_dtd=True)
    except (UnicodeDecodeError, ParseError, DefusedXmlException) as error:
        msg = f"listing page of {len(xml)} bytes is broken or cut off: {error}"
        raise BrokenPageError(msg) from error
    if _local_name(root) != "ListBucketResult":
        msg = (
            f"answer is <{_local_name(root)}>{_error_text(root)}, "
            "expected <ListBucketResult>"
        )
        raise BrokenPageError(msg)
    return root


def _object_info(contents: Element) -> ObjectInfo:
    fields = _fields(contents)
    try:
        modified = fields.get("LastModified")
        return ObjectInfo(
            key=fields["Key"],
            size=int(fields["Size"]),
            etag=fields.get("ETag", "").strip('"') or None,
            last_modified=_utc(modified) if modified else None,
        )
    except (KeyError, ValueError) as error:
        msg = f"listing entry {fields}: {error!r}; expected a Key and a Size"
        raise BrokenPageError(msg) from error


def _common_prefix(element: Element) -> str:
    prefix = _fields(element).get("Prefix")
    if not prefix:
        msg = "listing has CommonPrefixes without a Prefix"
        raise BrokenPageError(msg)
    return prefix


def _fields(element: Element) -> dict[str, str]:
    """Return the texts of an element's children by their local names."""
    return {_local_name(child): child.text or "" for child in element}


def _local_name(element: Element) -> str:
    return element.tag.rpartition("}")[2]


def _utc(text: str) -> dt.datetime:
    """Read an ISO 8601 time; one without a zone is UTC."""
    time = dt.datetime.fromisoformat(text)
    return time.replace(tzinfo=time.tzinfo or dt.UTC).astimezone(dt.UTC)


def _error_text(root: Element) -> str:
    """Return the code and message of an S3 error document, in brackets."""
    fields = _fields(root)
    told = [fields[name] for name in ("Code", "Message") if fields.get(name)]
    return f" ({': '.join(told)})" if told else ""


def _error_document(body: bytes) -> str:
    """Return what the body of a refusal tells, if it is an S3 error document."""
    try:
        return _error_text(fromstring(body, forbid_dtd=True))
    except (ParseError, ValueError, LookupError):
        return ""  # a proxy's page, or nothing: the status has to do
