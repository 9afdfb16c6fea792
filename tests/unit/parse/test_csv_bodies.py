import polars as pl
import pytest

from bhds.errors import ParseError
from bhds.parse.csv_bodies import CsvColumn, CsvFormat, read_bodies, split_header

FORMAT = CsvFormat(
    (
        CsvColumn("time", pl.Int64, ("open_time",)),
        CsvColumn("price", pl.Float64, ("price", "cost")),
        CsvColumn("ignore", pl.Float64, required=False),
    )
)


def split(content):
    return split_header(content, csv_format=FORMAT)


def read(*contents):
    return read_bodies([split(content) for content in contents], csv_format=FORMAT)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"1,1.5,0\n2,2.5,0\n", id="line feeds"),
        pytest.param(b"1,1.5,0\r\n2,2.5,0\r\n", id="CRLF"),
        pytest.param(b"1,1.5,0\n2,2.5,0", id="no last line feed"),
        pytest.param(b"1,1.5,0\r\n2,2.5,0", id="CRLF but the last"),
        pytest.param(b"1,1.5,0\n2,2.5,0\n\n\n", id="blank lines at the end"),
        pytest.param(b"1,1.5,0\r\n2,2.5,0\r\n\r\n", id="blank CRLF lines at the end"),
        pytest.param(b"open_time,price,ignore\n1,1.5,0\n2,2.5,0\n", id="header"),
        pytest.param(b"open_time,cost,ignore\n1,1.5,0\n2,2.5,0\n", id="second name"),
        pytest.param(b"open_time,price\n1,1.5\n2,2.5\n", id="optional column left out"),
        pytest.param(b"price,ignore,open_time\n1.5,0,1\n2.5,0,2\n", id="other order"),
        pytest.param(b"open_time,price,new\n1,1.5,x\n2,2.5,\n", id="unknown column"),
    ],
)
def test_same_rows_are_read_from_every_form(content):
    frame, faults = read(content)

    assert faults == {}
    assert frame.rows() == [(1, 1.5), (2, 2.5)]
    assert frame.schema == {"time": pl.Int64, "price": pl.Float64}


@pytest.mark.parametrize(
    ("content", "has_header"),
    [
        (b"", False),
        (b"\n", False),
        (b"open_time,price,ignore", True),
        (b"open_time,price,ignore\r\n\r\n", True),
    ],
)
def test_csv_without_rows_is_read_as_such(content, has_header):
    body = split(content)

    assert (body.rows, body.has_header) == (0, has_header)
    assert read(content)[0].height == 0
    assert read(b"1,1,0\n", content, b"2,2,0\n")[0].height == 2


def test_unknown_column_is_warned_of():
    assert split(b"open_time,new,price\n1,7,1\n").warnings == (
        "column unknown:new is ignored",
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"open_time,ignore\n1,0\n", "line 1: header .* lacks price"),
        (b"a,b\n1,0\n", "lacks open_time,price"),
        (b"open_time,price,price\n1,1,1\n", "names a column twice"),
        (b"open_time,price,cost\n1,1,1\n", "names a column twice"),
        (b"\xff\x00\n1,1,1\n", "lacks open_time,price"),
        (b"\n1,1,1\n", "lacks open_time,price"),
        (b'"open_time","price"\n', "lacks open_time,price"),
    ],
)
def test_header_without_its_columns_is_refused(content, message):
    with pytest.raises(ParseError, match=message):
        split(content)


FAULTS = [
    pytest.param(b"1,1.5,0\n2,,0\n", "line 2: price ''", id="empty field"),
    pytest.param(b"1,1.5,0\n2,x,0\n", "line 2: price 'x'", id="text"),
    pytest.param(b"1,nan,0\n", "line 1: price 'nan': expected a finite", id="NaN"),
    pytest.param(b"1,-inf,0\n", "line 1: price '-inf'", id="infinite"),
    pytest.param(b"1,1e400,0\n", "line 1: price '1e400'", id="too large a number"),
    pytest.param(b"1.0,1,0\n", "line 1: time '1.0': expected a whole", id="decimal"),
    pytest.param(b"9" * 20 + b",1,0\n", "time '99999999999999999999'", id="64 bits"),
    pytest.param(b"1,1,0\n1.70027E+12,1,0\n", "a spreadsheet has", id="spreadsheet"),
    pytest.param(b'1,"1.5",0\n', "line 1: price '\"1.5\"'", id="quotes"),
    pytest.param(b"1,1.5,0\n\n2,2,0\n", "line 2: blank", id="blank line"),
    pytest.param(b"1,1.5,0\n  \n2,2,0\n", "line 2: blank", id="blanks"),
    pytest.param(b"1,1.5,0\n2,2.5\n", "line 2: 2 fields: expected 3", id="short line"),
    pytest.param(b"1,1.5\n2,2.5,0\n", "line 1: 2 fields", id="short first line"),
    pytest.param(b"1,1.5,0\n2,2.5,0,0\n", "line 2: 4 fields", id="long line"),
    pytest.param(b"1,1.5,0\n2,2", "line 2: 2 fields", id="cut off"),
    pytest.param(b"1,1.5,0\r2,2.5,0\r", "line 1: 5 fields", id="bare CR"),
    pytest.param(b"1,1.5,0\n2,\x00,0\n", "line 2: price", id="NUL"),
    pytest.param(b"1,1.5,0\n\xff,2,0\n", "line 2: time", id="no text"),
    pytest.param(
        b"1,1,0\nopen_time,price,ignore\n", "line 2: time 'open_", id="header"
    ),
    pytest.param(
        b"open_time,price,ignore\n1,1,0\n2,,0\n", "line 3: price ''", id="with header"
    ),
]


@pytest.mark.parametrize(("content", "message"), FAULTS)
def test_bad_row_is_named(content, message):
    frame, faults = read(content)

    assert frame.height == 0
    assert list(faults) == [0]
    assert message in faults[0]


@pytest.mark.parametrize(("content", "message"), FAULTS)
def test_bad_file_does_not_spoil_the_others(content, message):
    frame, faults = read(
        b"1,1,0\n", content, b"8,8,0\n9,9,0", b"price,open_time\n3,2\n"
    )

    assert frame["time"].to_list() == [1, 8, 9, 2]
    assert list(faults) == [1]
    assert message in faults[1]


def test_layouts_may_alternate():
    contents = [b"1,1,0\n", b"price,open_time\n2,2\n", b"", b"3,3,0\n"] * 2

    frame, faults = read(*contents)

    assert faults == {}
    assert frame.rows() == [(1, 1.0), (2, 2.0), (3, 3.0)] * 2


def test_nothing_is_read_from_no_files():
    frame, faults = read()

    assert frame.schema == {"time": pl.Int64, "price": pl.Float64}
    assert (frame.height, faults) == (0, {})
