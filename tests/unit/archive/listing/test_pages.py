"""Answers of a bucket: pages as S3 writes them, and what is none."""

import datetime as dt
import gc
from pathlib import Path

import pytest

from bhds.archive.listing.pages import BrokenPageError, parse_page, refusal_text
from bhds.schemas.archive_tables import LISTING_SCHEMA

PAGES = Path(__file__).parents[5] / "shared/realdata/listings/s3xml"
recorded = pytest.mark.skipif(
    not PAGES.is_dir(), reason="needs shared/realdata/listings"
)

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


def keys_of(page):
    return page.objects["key"].to_list()


@recorded
def test_parse_page_reads_a_recorded_page():
    first = parse_page((PAGES / "daily-page1.xml").read_bytes())
    second = parse_page((PAGES / "daily-page2.xml").read_bytes())

    folder = "data/spot/daily/klines/BTCUSDT/1m"
    assert first.objects.schema == second.objects.schema == LISTING_SCHEMA
    assert first.objects.height == second.objects.height == 12
    assert first.objects.row(0, named=True) == {
        "key": f"{folder}/BTCUSDT-1m-2017-08-17.zip",
        "size": 29761,
        "etag": "014a8d177da3bf9839c293f341804d26",
        "last_modified": dt.datetime(2023, 7, 18, 4, 11, 20, tzinfo=dt.UTC),
    }
    assert first.truncated
    assert first.next_marker == f"{folder}/BTCUSDT-1m-2017-08-22.zip.CHECKSUM"
    assert first.next_marker == keys_of(first)[-1] < keys_of(second)[0]
    assert not second.truncated
    assert second.next_marker is None


@recorded
def test_parse_page_goes_on_after_the_last_key_without_a_next_marker():
    parsed = parse_page((PAGES / "keys-truncated-no-nextmarker.xml").read_bytes())

    assert parsed.truncated
    assert parsed.next_marker == keys_of(parsed)[-1]
    assert parsed.objects.row(1)[1:] == (92, None, None)


@recorded
def test_parse_page_keeps_a_child_with_an_empty_name():
    parsed = parse_page((PAGES / "prefixes-empty-name.xml").read_bytes())

    parent = "data/futures/um/daily/klines/BTCUSDT/"
    assert parsed.prefixes == [f"{parent}/", f"{parent}12h/", f"{parent}1h/"]
    assert keys_of(parsed) == []


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        pytest.param(
            "<LastModified>2023-07-18T04:11:20.123Z</LastModified>",
            (None, dt.datetime(2023, 7, 18, 4, 11, 20, 123_000, tzinfo=dt.UTC)),
            id="UTC",
        ),
        pytest.param(
            "<LastModified>2023-07-18T04:11:20+02:00</LastModified>",
            (None, dt.datetime(2023, 7, 18, 2, 11, 20, tzinfo=dt.UTC)),
            id="another zone",
        ),
        pytest.param(
            "<LastModified>2023-07-18T04:11:20</LastModified>",
            (None, dt.datetime(2023, 7, 18, 4, 11, 20, tzinfo=dt.UTC)),
            id="no zone",
        ),
        pytest.param('<ETag>"ab-2"</ETag>', ("ab-2", None), id="quoted"),
        pytest.param("<ETag>&quot;ab&quot;</ETag>", ("ab", None), id="escaped"),
        pytest.param('<ETag>""</ETag><LastModified/>', (None, None), id="empty"),
    ],
)
def test_parse_page_reads_etags_and_times(written, expected):
    body = page("a").replace(b"</Size>", f"</Size>{written}".encode())

    assert parse_page(body).objects.select("etag", "last_modified").row(0) == expected


def test_parse_page_finds_elements_in_any_namespace():
    body = page("a", "b/", truncated=True, marker="m")
    for name in (b"ListBucketResult", b"Contents"):
        body = body.replace(b"<%b>" % name, b'<%b xmlns="http://%b/">' % (name, name))

    parsed = parse_page(body)

    assert (keys_of(parsed), parsed.prefixes) == (["a"], ["b/"])
    assert (parsed.next_marker, parsed.truncated) == ("m", True)


@pytest.mark.parametrize("enabled", [True, False])
def test_parse_page_leaves_the_garbage_collector_as_it_was(enabled):
    was_enabled = gc.isenabled()
    (gc.enable if enabled else gc.disable)()
    try:
        parse_page(page("a"))
        with pytest.raises(BrokenPageError):
            parse_page(b"<")
        assert gc.isenabled() == enabled
    finally:
        (gc.enable if was_enabled else gc.disable)()


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
    assert parsed.objects.height + len(parsed.prefixes) == len(entries)


def test_parse_page_decodes_names_where_the_page_says_that_they_are_encoded():
    names = ("a%01+%2B%E5%B8%81", "a b+c", "a/%0A/")
    plain = page(*names)

    encoded = parse_page(
        plain.replace(b"<Contents>", b"<EncodingType>url</EncodingType><Contents>", 1)
    )

    assert encoded.objects["key"].to_list() == ["a\x01 +币", "a b+c"]
    assert encoded.prefixes == ["a/\n/"]
    assert parse_page(plain).objects["key"].to_list() == list(names[:2])


def test_parse_page_reads_a_page_without_entries():
    parsed = parse_page(page())

    assert parsed.objects.schema == LISTING_SCHEMA
    assert parsed.objects.is_empty()
    assert parsed[1:] == ([], None, False)


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
            "Size ''",
            id="no size",
        ),
        pytest.param(
            b"<ListBucketResult><Contents><Size>1</Size></Contents></ListBucketResult>",
            "lacks the Key",
            id="no key",
        ),
        pytest.param(
            page("a").replace(b">1<", b">%d<" % 2**53), "Size '90071992", id="huge size"
        ),
        pytest.param(page("a").replace(b">1<", b">1.5<"), "'1.5'", id="half a byte"),
        pytest.param(page("a").replace(b">1<", b">-1<"), "'-1'", id="negative size"),
        pytest.param(
            page("a").replace(b">1<", b">" + b"9" * 10**6 + b"<"),
            r"999\.\.\.', expected a whole number",
            id="a size of a million digits",
        ),
        pytest.param(
            page("a").replace(
                b"</Size>", b"</Size><LastModified>9999-12-31</LastModified>"
            ),
            "'9999-12-31', expected an ISO 8601 time",
            id="end of time",
        ),
        pytest.param(
            page("a").replace(b"</Size>", b"</Size><ETag>%s</ETag>" % (b"a" * 101)),
            "ETag 'aaa",
            id="long ETag",
        ),
        pytest.param(
            page("a" * 1_025), r"aaa\.\.\.', expected a name of", id="long key"
        ),
        pytest.param(page("a" * 1_025 + "/"), "expected a name of", id="long prefix"),
        pytest.param(
            page("a", truncated=True, marker="b" * 1_025), "NextMarker", id="marker"
        ),
        pytest.param(
            b"<ListBucketResult>%s</ListBucketResult>" % (b"<a/>" * 500_000),
            "more than 500,000 tags",
            id="millions of elements",
        ),
        pytest.param(
            b"<ListBucketResult><a%s/></ListBucketResult>"
            % b"".join(b' a%d=""' % number for number in range(500_000)),
            "more than 500,000 tags and attributes",
            id="millions of attributes",
        ),
        pytest.param(b"<a>" * 200_000, "broken or cut off", id="nested deeply"),
        pytest.param(
            b"<%s/>" % (b"a" * 10**6), r"answer is <aaa.*\.\.\.>", id="long element"
        ),
        pytest.param(
            page("a").replace(b"</Size>", b"</Size><LastModified>1</LastModified>"),
            "LastModified '1'",
            id="no time",
        ),
        pytest.param(
            b"<ListBucketResult><CommonPrefixes/></ListBucketResult>",
            "lacks the Prefix",
            id="empty prefix",
        ),
        pytest.param(
            b'<!DOCTYPE a [<!ENTITY b "c">]><ListBucketResult>&b;</ListBucketResult>',
            "document type declaration",
            id="entities",
        ),
        pytest.param(
            b'<?xml version="1.0"?>\n<!-- --><!DOCTYPE a SYSTEM "file:///etc/passwd">'
            b"<ListBucketResult/>",
            "document type declaration",
            id="outside file",
        ),
        pytest.param(
            '<!DOCTYPE a [<!ENTITY b "c">]><ListBucketResult/>'.encode("utf-16"),
            "utf-8",
            id="entities in UTF-16",
        ),
        pytest.param(
            b'<?xml version="1.0" encoding="utf-7"?>'
            b"+ADwAIQ-DOCTYPE a+AD4-<ListBucketResult/>",
            "broken",
            id="entities in a declared encoding",
        ),
        pytest.param(
            b'<!doctype a [<!ENTITY b "c">]><ListBucketResult>&b;</ListBucketResult>',
            "syntax error",
            id="entities in small letters",
        ),
        pytest.param(
            b"<ListBucketResult>&b;</ListBucketResult>",
            "undefined entity",
            id="entity of nowhere",
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


@pytest.mark.parametrize(
    ("body", "told"),
    [
        pytest.param(ERROR, " (AccessDenied: Access Denied)", id="both"),
        pytest.param(b"<Error><Code>SlowDown</Code></Error>", " (SlowDown)", id="code"),
        pytest.param(b"<html><body>no</body></html>", "", id="a proxy's page"),
        pytest.param(b"<!DOCTYPE html><html/>", "", id="with a DOCTYPE"),
        pytest.param(b"", "", id="nothing"),
        pytest.param(b"\xff\x00", "", id="garbage"),
    ],
)
def test_a_refusal_is_told_if_it_is_an_error_document(body, told):
    assert refusal_text(body) == told
