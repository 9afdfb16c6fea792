import hashlib
import io
import zipfile
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bhds.datatypes import data_type
from bhds.errors import ParseError
from bhds.markets import TradeType
from bhds.parse import stream
from bhds.parse.csv_bodies import split_header
from bhds.parse.members import find_csv
from bhds.parse.stream import csv_pieces, judge_archive
from bhds.parse.verdict import read_archive

STEM = "BTCUSDT-trades-2024-01-01"
TABLE = data_type("trades").table(TradeType.UM_FUTURES)
HEADER = b"id,price,qty,quote_qty,time,is_buyer_maker\n"
LINE = b"1,2.5,3,7.5,1704067200000,true\n"


def pieces(content, *, piece_bytes, table=TABLE):
    opened = io.BytesIO()
    with zipfile.ZipFile(opened, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{STEM}.csv", content)
    entry = find_csv(opened, stem=STEM)
    return list(csv_pieces(opened, entry=entry, table=table, piece_bytes=piece_bytes))


@st.composite
def csvs(draw):
    """Make a CSV of any line ends, with blank lines anywhere, as they come."""
    header = draw(st.sampled_from([b"", HEADER]))
    lines = draw(st.lists(st.sampled_from([LINE, LINE, LINE, b"7\n", b"\n"])))
    if not header:
        lines = [LINE, *lines]  # a blank first line would be a header
    content = header + b"".join(lines) + draw(st.sampled_from([b"", b"9,8", b"\n\n"]))
    return content.replace(b"\n", draw(st.sampled_from([b"\n", b"\r\n"])))


@settings(deadline=None)
@given(content=csvs(), piece_bytes=st.integers(1, 200))
def test_pieces_are_the_whole_file_cut_at_line_ends(content, piece_bytes):
    whole = split_header(content, table=TABLE)

    bodies = pieces(content, piece_bytes=piece_bytes)

    assert b"".join(body.data for body in bodies) == whole.data
    assert replace(bodies[0], data=whole.data, rows=whole.rows) == whole
    assert all(body.data.count(b"\n") == body.rows for body in bodies)
    assert all(body.layout == whole.layout for body in bodies)
    assert not any(body.has_header for body in bodies[1:])
    for before, after in pairwise(bodies):
        assert after.first_line == before.first_line + before.rows


def test_pieces_are_about_as_long_as_asked_for():
    bodies = pieces(LINE * 10_000, piece_bytes=4_000)

    lengths = [len(body.data) for body in bodies]
    assert sum(lengths) == len(LINE) * 10_000
    assert max(lengths) < 8_000
    assert min(lengths[:-1]) > 3_000


@pytest.mark.parametrize(
    ("content", "has_header"),
    [(b"", False), (b"\n\n", False), (HEADER, True), (HEADER + b"\n\n", True)],
)
def test_file_without_rows_is_one_empty_piece(content, has_header):
    (body,) = pieces(content, piece_bytes=10)

    assert (body.rows, body.data, body.has_header) == (0, b"", has_header)


def test_warnings_and_layout_are_those_of_the_header():
    header = b"is_buyer_maker,id,price,qty,new,quote_qty,time\n"

    first, *others = pieces(header + b"true,1,2,3,x,4,1\n" * 50, piece_bytes=100)

    assert first.warnings == ("column unknown:new is ignored",)
    assert first.layout[:2] == ("is_buyer_maker", "id")
    assert others
    assert all(body.layout == first.layout for body in others)
    assert not any(body.warnings for body in others)


@pytest.mark.parametrize("filling", [b"1", b"\n", b"\r\n"])
def test_file_that_is_no_lines_is_refused_before_it_fills_the_memory(filling):
    content = LINE + filling * (3 * stream.MAX_LINE_BYTES) + LINE

    with pytest.raises(ParseError, match=r"\d+ bytes without a line: expected lines"):
        pieces(content, piece_bytes=1_000)


def test_bad_header_is_refused():
    with pytest.raises(ParseError, match="lacks price"):
        pieces(HEADER.replace(b"price", b"prize") + LINE, piece_bytes=1_000)


def test_damage_shows_at_the_latest_at_the_end():
    opened = io.BytesIO()
    with zipfile.ZipFile(opened, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(f"{STEM}.csv", LINE * 100)
    damaged = io.BytesIO(opened.getvalue().replace(LINE + b"PK", LINE[:-2] + b"3\nPK"))
    entry = find_csv(damaged, stem=STEM)

    with pytest.raises(ParseError, match="CRC-32 is"):
        list(csv_pieces(damaged, entry=entry, table=TABLE, piece_bytes=500))


@pytest.mark.parametrize(
    ("sidecar", "etag", "verdict"),
    [
        pytest.param("right", None, "ok", id="matches its CHECKSUM"),
        pytest.param(None, None, "sidecar-missing", id="no CHECKSUM"),
        pytest.param("", "0" * 32, "sidecar-missing", id="empty CHECKSUM"),
        pytest.param("what?", "md5", "sidecar-missing", id="unreadable CHECKSUM"),
        pytest.param("stale", "md5", "sidecar-stale", id="stale CHECKSUM"),
        pytest.param("stale", "0" * 32, "corrupt", id="confirmed by nothing"),
        pytest.param("stale", "0" * 32 + "-2", "corrupt", id="in several parts"),
        pytest.param("stale", None, "corrupt", id="not listed"),
    ],
)
def test_verdict_is_that_of_a_zip_in_memory(archive, sidecar, etag, verdict):
    if sidecar == "stale":
        sidecar = f"{'0' * 64}  {STEM}.zip"
    source = archive(STEM, LINE.decode(), sidecar=sidecar)
    if etag == "md5":
        etag = hashlib.md5(source.path.read_bytes(), usedforsecurity=False).hexdigest()
    source = replace(source, etag=etag)

    with source.path.open("rb") as opened:
        judged, entry = judge_archive(opened, source=source)

    assert judged == replace(read_archive(source), content=None)
    assert judged.verdict == verdict
    assert (entry is None) == (verdict == "corrupt")


@pytest.mark.parametrize(
    ("content", "verdict"),
    [(b"", "vanished"), (b"<html>", "corrupt"), (b"PK\x05\x06" + bytes(18), "corrupt")],
    ids=["empty", "no zip", "zip of nothing"],
)
def test_what_holds_no_csv_is_of_no_use(archive, content, verdict):
    source = archive(STEM)
    source.path.write_bytes(content)

    with source.path.open("rb") as opened:
        judged, entry = judge_archive(opened, source=source)

    assert judged == read_archive(source)
    assert judged.verdict == verdict
    assert entry is None
