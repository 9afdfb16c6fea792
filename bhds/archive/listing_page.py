"""Read the answers of an S3-compatible bucket: listing pages and refusals.

Sources: Amazon S3 API Reference, ListObjects (version 1) and REST error responses;
pages recorded from the exchange's bucket.
"""

import datetime as dt
import gc
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple
from xml.etree.ElementTree import Element, ParseError, fromstring

import polars as pl

from bhds.errors import ListingError

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)

LISTING_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "key": pl.String,
    "size": pl.Int64,
    "etag": pl.String,
    "last_modified": pl.Datetime("us", "UTC"),
}
"""Columns of a listing: `key` and `size` (bytes) of each object are always there;
`etag`, without its quotes, is the MD5 of an object that was uploaded in one part;
`last_modified` is the time of the upload."""


class Page(NamedTuple):
    """One answer of the bucket: a stretch of a listing in the order of the keys."""

    objects: pl.DataFrame
    """As in `LISTING_SCHEMA`."""
    prefixes: list[str]
    """The common prefixes, each whole, with its delimiter at the end."""
    next_marker: str | None
    """After what the next page begins; None on the last page."""
    truncated: bool


class BrokenPageError(ListingError):
    """An answer that is no whole listing page, but may be one when asked again."""


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
    with _collector_paused():
        return _page(xml)


def refusal_text(body: bytes) -> str:
    """Return the code and message of an S3 error document, in brackets.

    Empty if the body is something else.
    """
    try:
        return _error_text(_document(body))
    except (ParseError, UnicodeDecodeError):
        return ""  # a proxy's page, or nothing: the status has to do


def _page(xml: bytes) -> Page:
    """Read a page; its elements are gone when this returns."""
    children = defaultdict(list)
    for child in _root(xml):
        children[_local_name(child)].append(child)
    objects = _objects(children["Contents"])
    prefixes = [_common_prefix(each) for each in children["CommonPrefixes"]]
    if _last_text(children["IsTruncated"]).strip().lower() != "true":
        return Page(objects, prefixes, next_marker=None, truncated=False)
    # Keys compare in the order of their UTF-8 bytes, as code points do.
    last = max([*objects["key"].tail(1), *prefixes[-1:]], default="")
    marker = _last_text(children["NextMarker"]) or last
    if not marker:
        msg = "listing page is truncated, but has neither entries nor a NextMarker"
        raise BrokenPageError(msg)
    return Page(objects, prefixes, next_marker=marker, truncated=True)


def _root(xml: bytes) -> Element:
    """Return the ListBucketResult of a body."""
    try:
        root = _document(xml)
    except (UnicodeDecodeError, ParseError) as error:
        msg = f"listing page of {len(xml)} bytes is broken or cut off: {error}"
        raise BrokenPageError(msg) from error
    if _local_name(root) != "ListBucketResult":
        msg = (
            f"answer is <{_local_name(root)}>{_error_text(root)}, "
            "expected <ListBucketResult>"
        )
        raise BrokenPageError(msg)
    return root


def _document(xml: bytes) -> Element:
    """Parse XML in UTF-8 that has no document type declaration.

    Raises
    ------
    UnicodeDecodeError
        If it is no UTF-8.
    ParseError
        If it is not well-formed, or has a document type declaration.

    Notes
    -----
    Entities, and whatever else makes XML of strangers dangerous, can be declared in
    a document type declaration only, and that begins with these very characters
    (XML 1.0, fifth edition, productions 28 and 70). The parser sees the characters
    that were looked through: of a `str` it takes no encoding that the XML declares.
    """
    text = xml.decode("utf-8")
    if "<!DOCTYPE" in text:
        msg = "it has a document type declaration, which S3 never sends"
        raise ParseError(msg)
    return fromstring(text)  # noqa: S314 -- there is no DTD, see above


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Keep the cyclic garbage collector from looking through a page's elements.

    They are freed by their reference counts; there are so many of them at a time that
    the collector takes as long as the parser.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _objects(entries: list[Element]) -> pl.DataFrame:
    """Read the Contents of a page, as in `LISTING_SCHEMA`."""
    namespace = entries[0].tag.removesuffix("Contents") if entries else ""
    keys, sizes, etags, times = (
        [entry.findtext(namespace + name) for entry in entries]
        for name in ("Key", "Size", "ETag", "LastModified")
    )
    if not all(keys):
        msg = "listing page has an entry without a Key"
        raise BrokenPageError(msg)
    try:
        columns = (
            keys,
            [int(size or "") for size in sizes],
            [(etag or "").strip('"') or None for etag in etags],
            [_epoch_us(time) if time else None for time in times],
        )
        named = dict(zip(LISTING_SCHEMA, columns, strict=True))
        return pl.DataFrame(named, schema=LISTING_SCHEMA)
    except (ValueError, TypeError) as error:
        msg = f"listing page has an entry with a broken Size or LastModified: {error}"
        raise BrokenPageError(msg) from error


def _epoch_us(text: str) -> int:
    """Read an ISO 8601 time as microseconds since 1970; one without a zone is UTC."""
    time = dt.datetime.fromisoformat(text)
    if time.tzinfo is None:
        time = time.replace(tzinfo=dt.UTC)
    return (time - _EPOCH) // _MICROSECOND


def _last_text(elements: list[Element]) -> str:
    return elements[-1].text or "" if elements else ""


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


def _error_text(root: Element) -> str:
    """Return the code and message of an S3 error document, in brackets."""
    fields = _fields(root)
    told = [fields[name] for name in ("Code", "Message") if fields.get(name)]
    return f" ({': '.join(told)})" if told else ""
