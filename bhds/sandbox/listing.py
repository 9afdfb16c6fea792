"""The S3 ListObjects protocol, version 1, and S3's errors.

Notes
-----
Amazon S3 API Reference, ListObjects; the form of the XML is that of recorded pages of
the real bucket.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from itertools import islice
from urllib.parse import quote_plus

from bhds.sandbox.objects import ObjectStore, StoredObject

BUCKET = "data.binance.vision"
MAX_KEYS = 1_000
"""Maximum number of keys and common prefixes in a page, for any request."""

_LAST_CHARACTER = "\U0010ffff"
_TO_THE_SECOND = len("YYYY-MM-DDTHH:MM:SS")
_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'


@dataclass(frozen=True)
class Query:
    """The parameters of a request for a page."""

    prefix: str = ""
    delimiter: str = ""
    marker: str = ""
    """The page holds only what comes after it."""
    max_keys: int = MAX_KEYS
    is_encoded: bool = False
    """Whether names are to be percent-encoded (`encoding-type=url`)."""

    def name(self, text: str) -> str:
        """Return a key or prefix as the page has it."""
        return quote_plus(text, safe="/") if self.is_encoded else text


def list_page(store: ObjectStore, query: Query) -> str:
    """Return one page of a listing as XML.

    Keys that have the delimiter after the prefix are rolled up into common prefixes,
    which count as keys do. A page that is not the last has a `NextMarker`
    only if a delimiter is given, as in S3.
    """
    limit = min(query.max_keys, MAX_KEYS)
    entries = list(islice(_entries(store, query), limit + 1)) if limit else []
    page, rest = entries[:limit], entries[limit:]
    names = [name for name, is_prefix in page if not is_prefix]
    contents = "".join(_contents(each, query) for each in store.describe(names))
    prefixes = "".join(
        f"<CommonPrefixes>{_tag('Prefix', query.name(name))}</CommonPrefixes>"
        for name, is_prefix in page
        if is_prefix
    )
    going_on = ""
    if rest and query.delimiter:
        going_on = _tag("NextMarker", query.name(page[-1][0]))
    delimiter = (
        _tag("Delimiter", query.name(query.delimiter)) if query.delimiter else ""
    )
    encoding = _tag("EncodingType", "url") if query.is_encoded else ""
    return (
        f'{_DECLARATION}<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"{_tag('Name', BUCKET)}{_tag('Prefix', query.name(query.prefix))}"
        f"{_tag('Marker', query.name(query.marker))}"
        f"{_tag('MaxKeys', str(query.max_keys))}{encoding}{delimiter}"
        f"{_tag('IsTruncated', 'true' if rest else 'false')}{going_on}"
        f"{contents}{prefixes}</ListBucketResult>"
    )


def error_document(code: str, message: str, *, key: str) -> str:
    """Return the XML with which S3 answers a request that it refuses."""
    return (
        f"{_DECLARATION}<Error>{_tag('Code', code)}{_tag('Message', message)}"
        f"{_tag('Key', key)}</Error>"
    )


def _entries(store: ObjectStore, query: Query) -> Iterator[tuple[str, bool]]:
    """Yield keys and common prefixes in order; the flag marks a common prefix."""
    after = query.marker
    if query.delimiter and _common_prefix(query.marker, query) is not None:
        # What is rolled up into the marker's own common prefix was on a page before.
        after = f"{_common_prefix(query.marker, query)}{_LAST_CHARACTER}"
    while True:
        for key in store.keys(query.prefix, after=after):
            common = _common_prefix(key, query)
            if common is not None:
                yield common, True
                after = common + _LAST_CHARACTER
                break
            yield key, False
        else:
            return


def _common_prefix(key: str, query: Query) -> str | None:
    """Return the common prefix that `key` is rolled up into, or None."""
    if not query.delimiter or not key.startswith(query.prefix):
        return None
    end = key.find(query.delimiter, len(query.prefix))
    return None if end < 0 else key[: end + len(query.delimiter)]


def _contents(found: StoredObject, query: Query) -> str:
    # A page has a thousand of these: one string, and no strftime, is half the time.
    modified = found.last_modified.isoformat()[:_TO_THE_SECOND]
    return (
        f"<Contents><Key>{escape(query.name(found.key), quote=False)}</Key>"
        f"<LastModified>{modified}.000Z</LastModified>"
        f"<ETag>&quot;{found.etag}&quot;</ETag><Size>{found.size}</Size>"
        "<StorageClass>STANDARD</StorageClass></Contents>"
    )


def _tag(name: str, text: str) -> str:
    return f"<{name}>{escape(text, quote=False)}</{name}>"
