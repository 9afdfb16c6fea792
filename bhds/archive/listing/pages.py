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
from urllib.parse import unquote_plus
from xml.etree.ElementTree import Element, ParseError, fromstring

import polars as pl

from bhds.core.errors import ListingError, cut
from bhds.schemas.archive_tables import LISTING_SCHEMA

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)
_MOST_TAGS = 500_000
"""And attributes; a page of 1,000 keys has 14,000. Each takes 100 bytes or more."""
_MOST_NAME_BYTES = 1_024  # of a key, by S3's own rule
_LARGEST_SIZE = 2**53
_YEARS = range(2000, 2200)
_LONGEST_ETAG = 100


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
    has no NextMarker (S3 sends it with a delimiter only), its last entry is it. Names
    are decoded where the page says that they are encoded.

    Raises
    ------
    BrokenPageError
        If the body is cut off or no XML, no UTF-8, no ListBucketResult (an error
        document's code and message are reported), has an entry without a key or size or
        a value out of all bounds, or is truncated without saying where to go on.
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
    is_encoded = _last_text(children["EncodingType"]) == "url"
    objects = _objects(children["Contents"], is_encoded=is_encoded)
    prefixes = [
        _name(
            _fields(each).get("Prefix"),
            "Prefix of CommonPrefixes",
            is_encoded=is_encoded,
        )
        for each in children["CommonPrefixes"]
    ]
    if _last_text(children["IsTruncated"]).strip().lower() != "true":
        return Page(objects, prefixes, next_marker=None, truncated=False)
    # Keys compare in the order of their UTF-8 bytes, as code points do.
    last = max([*objects["key"].tail(1), *prefixes[-1:]], default="")
    marker = _last_text(children["NextMarker"])
    marker = _name(marker, "NextMarker", is_encoded=is_encoded) if marker else last
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
            f"answer is <{cut(_local_name(root))}>{_error_text(root)}, "
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
        If it is not well-formed, has a document type declaration, or too many tags and
        attributes.

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
    if text.count("<") + text.count("=") > _MOST_TAGS:
        msg = (
            f"it has more than {_MOST_TAGS:,} tags and attributes, which no genuine "
            "page has"
        )
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


def _objects(entries: list[Element], *, is_encoded: bool) -> pl.DataFrame:
    """Read the Contents of a page, as in `LISTING_SCHEMA`."""
    namespace = entries[0].tag.removesuffix("Contents") if entries else ""
    keys, sizes, etags, times = (
        [entry.findtext(namespace + name) for entry in entries]
        for name in ("Key", "Size", "ETag", "LastModified")
    )
    columns = (
        [_name(key, "Key of an entry", is_encoded=is_encoded) for key in keys],
        [_size(size or "") for size in sizes],
        [_etag(etag or "") for etag in etags],
        [_epoch_us(time) if time else None for time in times],
    )
    named = dict(zip(LISTING_SCHEMA, columns, strict=True))
    return pl.DataFrame(named, schema=LISTING_SCHEMA)


def _name(text: str | None, place: str, *, is_encoded: bool) -> str:
    """Return a key or prefix; in a page that is encoded, as it was before that."""
    # Some servers say that they encode, and do so with part of the names.
    is_encoded = is_encoded and text is not None and text.isascii() and " " not in text
    name = unquote_plus(text) if text and is_encoded else text
    if not name:
        msg = f"listing page lacks the {place}"
        raise BrokenPageError(msg)
    if len(name.encode()) > _MOST_NAME_BYTES:
        raise _broken(name, place, f"a name of at most {_MOST_NAME_BYTES:,} bytes")
    return name


def _size(text: str) -> int:
    digits = text.strip()
    if (
        digits.isascii()
        and digits.isdecimal()
        and len(digits) < len(f"{_LARGEST_SIZE}")
    ):
        return int(digits)
    raise _broken(text, "Size", f"a whole number below {_LARGEST_SIZE}")


def _etag(text: str) -> str | None:
    if len(text) > _LONGEST_ETAG or not text.isprintable():
        raise _broken(text, "ETag", f"at most {_LONGEST_ETAG} printable characters")
    return text.strip('"') or None


def _epoch_us(text: str) -> int:
    """Read an ISO 8601 time as microseconds since 1970; one without a zone is UTC."""
    try:
        time = dt.datetime.fromisoformat(text)
    except ValueError:
        time = None
    if time is None or time.year not in _YEARS:
        expected = f"an ISO 8601 time in {_YEARS.start} to {_YEARS.stop - 1}"
        raise _broken(text, "LastModified", expected)
    if time.tzinfo is None:
        time = time.replace(tzinfo=dt.UTC)
    return (time - _EPOCH) // _MICROSECOND


def _broken(value: str, field: str, expected: str) -> BrokenPageError:
    return BrokenPageError(
        f"listing page has the {field} '{cut(value)}', expected {expected}"
    )


def _last_text(elements: list[Element]) -> str:
    return elements[-1].text or "" if elements else ""


def _fields(element: Element) -> dict[str, str]:
    """Return the texts of an element's children by their local names."""
    return {_local_name(child): child.text or "" for child in element}


def _local_name(element: Element) -> str:
    return element.tag.rpartition("}")[2]


def _error_text(root: Element) -> str:
    """Return the code and message of an S3 error document, in brackets."""
    fields = _fields(root)
    parts = [fields[name] for name in ("Code", "Message") if fields.get(name)]
    return f" ({cut(': '.join(parts))})" if parts else ""
