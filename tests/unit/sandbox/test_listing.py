import datetime as dt
import re
from dataclasses import replace
from pathlib import Path

import pytest
from defusedxml import ElementTree

from bhds.archive.listing.pages import parse_page
from bhds.sandbox.listing import MAX_KEYS, Query, error_document, list_page
from bhds.sandbox.objects import StoredObject

RECORDED = Path("../shared/realdata/listings/s3xml")
S3 = "{http://s3.amazonaws.com/doc/2006-03-01/}"


class FakeStore:
    """Objects of one size and time, from a list of keys."""

    def __init__(self, keys, etags=None):
        self._keys = sorted(keys)
        self._etags = etags or {}

    def keys(self, prefix, *, after=""):
        return (k for k in self._keys if k.startswith(prefix) and k > after)

    def describe(self, keys):
        modified = dt.datetime(2023, 7, 18, 4, 11, 20, tzinfo=dt.UTC)
        return [
            StoredObject(k, 91, self._etags.get(k, "e" * 32), modified) for k in keys
        ]

    def read(self, key):
        raise NotImplementedError


def parsed(page):
    root = ElementTree.fromstring(page)
    found = {child.tag.removeprefix(S3): child.text for child in root}
    found["keys"] = [each.text for each in root.iterfind(f"{S3}Contents/{S3}Key")]
    found["prefixes"] = [
        each.text for each in root.iterfind(f"{S3}CommonPrefixes/{S3}Prefix")
    ]
    return found


def all_pages(store, *, prefix="", delimiter="", max_keys):
    """List as a client does; return each page's names."""
    marker, pages = "", []
    while True:
        page = parsed(list_page(store, Query(prefix, delimiter, marker, max_keys)))
        pages.append(sorted(page["keys"] + page["prefixes"]))
        if page["IsTruncated"] == "false":
            return pages
        marker = page.get("NextMarker") or page["keys"][-1]


@pytest.mark.skipif(not RECORDED.is_dir(), reason="genuine exchange files are absent")
@pytest.mark.parametrize("number", [1, 2])
def test_a_page_is_like_the_recorded_one(number):
    texts = [
        re.sub(r">\s+<", "><", (RECORDED / f"daily-page{each}.xml").read_text()).strip()
        for each in (1, 2)
    ]
    pattern = r"<Key>(.*?)</Key>.*?<ETag>&quot;(.*?)&quot;</ETag>"
    etags = dict(pair for text in texts for pair in re.findall(pattern, text))
    recorded = parsed(texts[number - 1])

    page = list_page(
        FakeStore(etags, etags),
        Query(recorded["Prefix"], "/", recorded["Marker"] or "", 12),
    )

    def neutral(text):
        text = re.sub(r"(<\?xml.*?\?>)\s*", r"\1", text)
        text = re.sub(r"<Size>\d+</Size>", "<Size/>", text)
        return re.sub(r"<LastModified>[^<]*Z<", "<LastModified>Z<", text)

    assert neutral(page) == neutral(texts[number - 1])


def test_a_truncated_page_without_delimiter_has_no_next_marker():
    page = parsed(list_page(FakeStore("abc"), Query(max_keys=2)))

    assert page["IsTruncated"] == "true"
    assert page["keys"] == ["a", "b"]
    assert "NextMarker" not in page
    assert "Delimiter" not in page


@pytest.mark.parametrize("max_keys", [1, 2, 3, 7])
@pytest.mark.parametrize("delimiter", ["", "/"])
def test_pages_hold_everything_once(max_keys, delimiter):
    keys = ["a", "b/", "b/c", "b/d/e", "b-c", "b//f", "b_g/h", "龙虾/i", "z/j", "z/k"]
    whole = {"": sorted(keys), "/": ["a", "b-c", "b/", "b_g/", "z/", "龙虾/"]}

    pages = all_pages(FakeStore(keys), delimiter=delimiter, max_keys=max_keys)

    assert [name for page in pages for name in page] == whole[delimiter]
    assert all(len(page) == max_keys for page in pages[:-1])


def test_a_child_may_have_an_empty_name():
    store = FakeStore(["x/BTCUSDT//1", "x/BTCUSDT/12h/1", "x/BTCUSDT/file"])

    page = parsed(list_page(store, Query("x/BTCUSDT/", "/")))

    assert page["prefixes"] == ["x/BTCUSDT//", "x/BTCUSDT/12h/"]
    assert page["keys"] == ["x/BTCUSDT/file"]


def test_a_page_has_a_thousand_names_at_most():
    store = FakeStore([f"{number:05d}" for number in range(1_500)])

    page = parsed(list_page(store, Query(max_keys=5_000)))

    assert len(page["keys"]) == MAX_KEYS
    assert page["MaxKeys"] == "5000"


def test_names_are_escaped():
    page = parsed(list_page(FakeStore(["a&b<c>"]), Query(prefix="a&")))

    assert page["keys"] == ["a&b<c>"]
    assert page["Prefix"] == "a&"


def test_a_page_of_nothing_is_not_truncated():
    assert parsed(list_page(FakeStore("abc"), Query(max_keys=0)))["keys"] == []
    page = parsed(list_page(FakeStore("abc"), Query(prefix="x")))
    assert (page["keys"], page["IsTruncated"]) == ([], "false")


def test_error_document_names_the_key():
    root = ElementTree.fromstring(error_document("NoSuchKey", "Gone.", key="a&b"))

    assert [(child.tag, child.text) for child in root] == [
        ("Code", "NoSuchKey"),
        ("Message", "Gone."),
        ("Key", "a&b"),
    ]


def test_names_are_encoded_where_that_is_requested():
    store = FakeStore(["a/\x01 +币/1", "a/b&c"])

    plain = Query(prefix="a/", delimiter="/")
    assert "EncodingType" not in list_page(store, plain)
    page = parse_page(list_page(store, replace(plain, is_encoded=True)).encode())

    assert page.objects["key"].to_list() == ["a/b&c"]
    assert page.prefixes == ["a/\x01 +币/"]
