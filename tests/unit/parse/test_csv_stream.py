import io
import zipfile
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhds.archive.integrity.bounds import MAX_LINE_BYTES, Bounds
from bhds.archive.integrity.zip_reader import find_csv
from bhds.core.errors import ParseError
from bhds.core.markets import TradeType
from bhds.parse.csv_reader import split_header
from bhds.parse.csv_stream import csv_pieces
from bhds.schemas.datatypes import data_type

STEM = "BTCUSDT-trades-2024-01-01"
TABLE = data_type("trades").table(TradeType.UM_FUTURES)
HEADER = b"id,price,qty,quote_qty,time,is_buyer_maker\n"
LINE = b"1,2.5,3,7.5,1704067200000,true\n"
BOUNDS = Bounds(rows=100_000, size=1 << 30)


def pieces(content, *, piece_bytes, table=TABLE, bounds=BOUNDS):
    opened = io.BytesIO()
    with zipfile.ZipFile(opened, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{STEM}.csv", content)
    entry = find_csv(opened, stem=STEM, bounds=bounds)
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
    content = LINE + filling * (3 * MAX_LINE_BYTES) + LINE

    with pytest.raises(ParseError, match=r"\d+ bytes without a line: expected lines"):
        pieces(content, piece_bytes=1_000)


@pytest.mark.parametrize("piece_bytes", [100, 1 << 20])
def test_file_of_more_rows_than_it_may_have_is_refused(piece_bytes):
    content = HEADER + LINE * 50
    options = {"piece_bytes": piece_bytes}

    assert pieces(content, **options, bounds=Bounds(rows=50, size=1 << 20))
    with pytest.raises(ParseError, match=r"has 50 rows or more: expected at most 4"):
        pieces(content, **options, bounds=Bounds(rows=49, size=1 << 20))


@pytest.mark.parametrize("before", [b"", LINE * 500])
def test_line_that_is_too_long_is_named(before):
    number = before.count(b"\n") + 1

    for length, is_fine in ((MAX_LINE_BYTES, True), (MAX_LINE_BYTES + 1, False)):
        content = before + b"1" * length + b"\n" + LINE
        if is_fine:
            assert pieces(content, piece_bytes=1 << 20)
        else:
            with pytest.raises(ParseError, match=f"line {number} has {length} bytes"):
                pieces(content, piece_bytes=1 << 20)
