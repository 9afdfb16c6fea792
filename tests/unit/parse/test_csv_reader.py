import datetime as dt
from dataclasses import replace

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhds.archive.integrity.bounds import MAX_COLUMNS, MAX_WORD_BYTES
from bhds.core.errors import ParseError
from bhds.core.timegrid import TIME
from bhds.parse import csv_reader
from bhds.parse.csv_reader import read_bodies, split_header
from bhds.schemas.csv_table import Field, Form, Table


def table_of(*fields):
    return Table(fields, schema=pl.Schema(), key=(fields[0].name,), time="time")


PRICES = table_of(
    Field("time", Form.EPOCH, ("open_time",)),
    Field("price", Form.NUMBER, ("price", "cost")),
    Field("ignore", Form.UNUSED),
)
RECORDS = table_of(
    Field("time", Form.CLOCK),
    Field("symbol", Form.SYMBOL),
    Field("ratio", Form.OPTIONAL_NUMBER),
    Field("volume", Form.OPTIONAL_NUMBER),
)
ORDERS = table_of(
    Field("time", Form.EPOCH),
    Field("id", Form.WHOLE),
    Field("side", Form.WORD, words=("BUY", "SELL")),
    Field("status", Form.WORD),
    Field("is_maker", Form.FLAG),
)


def split(content, table=PRICES):
    return split_header(content, table=table)


def read(*contents, table=PRICES):
    bodies = [split(content, table) for content in contents]
    return read_bodies(bodies, table=table, symbol="BTCUSDT")


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
        pytest.param(b"open_time,price\n1,1.5\n2,2.5\n", id="unused column left out"),
        pytest.param(b"price,ignore,open_time\n1.5,0,1\n2.5,0,2\n", id="other order"),
        pytest.param(b"open_time,price,new\n1,1.5,x\n2,2.5,\n", id="unknown column"),
        pytest.param(
            b"open_time,ignore,price,ignore,ignore\n1,0,1.5,0,0\n2,0,2.5,0,0\n",
            id="unused column repeated",
        ),
        pytest.param(
            b"open_time,new,price,new\n1,x,1.5,y\n2,,2.5,\n",
            id="unknown column repeated",
        ),
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
    pytest.param(b"1,1.5\n2,2.5,0,0\n", "line 1: 2 fields", id="short and long"),
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


@pytest.mark.parametrize("bad", [2, 2_222, 5_000])
@pytest.mark.parametrize("line", [b"7,x,0", b"7,7", b"", b",,,,,"])
def test_bad_row_of_many_is_found(bad, line):
    lines = [b"1,1.5,0"] * 5_000
    lines[bad - 1] = line
    if bad == 5_000:
        lines.append(b"1,1,0")  # blank lines at the end are dropped

    _, faults = read(b"\n".join(lines))

    assert faults[0].startswith(f"line {bad}: ")


def test_blank_lines_by_the_thousand_are_refused_without_being_read():
    _, faults = read(b"1,1,0\n" + b"\n" * 100_000 + b"2,2,0\n")

    assert faults == {0: "line 2: blank: expected 3 fields"}


def test_columns_are_bounded():
    more = b",".join(b"x%d" % number for number in range(MAX_COLUMNS - 2))
    values = b",1" * (MAX_COLUMNS - 2)

    frame, faults = read(b"open_time,price," + more + b"\n" + (b"1,2" + values + b"\n"))
    assert (frame.rows(), faults) == ([(1, 2.0)], {})
    with pytest.raises(ParseError, match="line 1: header of 101 columns: expected at"):
        split(b"open_time,price,new," + more + b"\n")


def test_unknown_columns_are_told_in_short():
    (warning,) = split(b"open_time,price," + b"x" * 1_000 + b"\n").warnings

    assert warning == f"column unknown:{'x' * 89}... is ignored"


@pytest.mark.parametrize("part_bytes", [10, 100])
def test_wide_csvs_are_read_in_parts(monkeypatch, part_bytes):
    content = b"".join(b"%d,1.5,%s\n" % (n, b"0" * (n % 50)) for n in range(1_000))
    whole, _ = read(content)
    monkeypatch.setattr(csv_reader, "_READ_BYTES", part_bytes)

    parts, faults = read(content)

    assert faults == {}
    assert parts.equals(whole)
    assert parts.height == 1_000


def test_part_of_a_file_names_the_lines_of_the_whole():
    part = replace(split(b"3,1,0\n4,,0\n"), first_line=1001)

    _, faults = read_bodies([part], table=PRICES, symbol="BTCUSDT")

    assert faults == {0: "line 1002: price '': expected a finite number"}


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


@pytest.mark.parametrize("ignored", [b"", b"x", b"1e400", b'"'])
def test_unused_column_may_hold_anything(ignored):
    frame, faults = read(b"1,1.5," + ignored + b"\n2,2.5,0\n")

    assert faults == {}
    assert frame.rows() == [(1, 1.5), (2, 2.5)]


def test_each_kind_is_read_as_its_dtype():
    orders, no_faults = read(
        b"1700000000000,7,BUY,NEW,true\n"
        b"1700000000001,8,SELL,FILLED,False\n"
        b"1700000000002,9,SELL,X Y,TRUE\n",
        table=ORDERS,
    )

    assert no_faults == {}
    assert orders.rows() == [
        (1_700_000_000_000, 7, "BUY", "NEW", True),
        (1_700_000_000_001, 8, "SELL", "FILLED", False),
        (1_700_000_000_002, 9, "SELL", "X Y", True),
    ]
    assert orders.dtypes == [
        *(pl.Int64, pl.Int64, pl.Enum(["BUY", "SELL"]), pl.String, pl.Boolean)
    ]


BLANKS = [
    pytest.param(b",", id="blank"),
    pytest.param(b'"",""', id="quotes"),
    pytest.param(b'"",', id="both"),
    pytest.param(b" ,", id="space"),
]


@pytest.mark.parametrize("blanks", BLANKS)
def test_optional_number_may_be_blank(blanks):
    records, faults = read(
        b"2024-01-01 00:05:00,BTCUSDT,1.5,2\n"
        b"2024-01-01 00:10:00,BTCUSDT," + blanks + b"\n"
        b'2024-01-01 00:15:00,BTCUSDT,"-3.50",4\n',
        table=RECORDS,
    )

    assert faults == {}
    assert records.rows() == [
        (dt.datetime(2024, 1, 1, 0, 5, tzinfo=dt.UTC), 1.5, 2.0),
        (dt.datetime(2024, 1, 1, 0, 10, tzinfo=dt.UTC), None, None),
        (dt.datetime(2024, 1, 1, 0, 15, tzinfo=dt.UTC), -3.5, 4.0),
    ]
    assert records.dtypes == [TIME, pl.Float64, pl.Float64]


BAD_ORDERS = [
    pytest.param(b"x,7,BUY,NEW,true", "time 'x': expected a whole", id="time"),
    pytest.param(b"1,7.0,BUY,NEW,true", "id '7.0': expected a whole", id="whole"),
    pytest.param(b"1,7,buy,NEW,true", "side 'buy': expected BUY or SELL", id="case"),
    pytest.param(b"1,7,,NEW,true", "side '': expected BUY or SELL", id="no word"),
    pytest.param(b"1,7,BUY,,true", "status '': expected a word", id="no free word"),
    pytest.param(
        b"1,7,BUY," + b"N" * (MAX_WORD_BYTES + 1) + b",true",
        "expected a word of at most 32 bytes",
        id="long word",
    ),
    pytest.param(b"1,7,BUY,NEW,1", "is_maker '1': expected true or", id="flag"),
    pytest.param(b"1,7,BUY,NEW,", "is_maker '': expected true or", id="no flag"),
    pytest.param(b"1,7,BUY,NEW", "4 fields: expected 5", id="short"),
]
BAD_RECORDS = [
    pytest.param(b"2024-01-01 00:10:00,ETHUSDT,1,1", "symbol 'ETHUSDT'", id="symbol"),
    pytest.param(b"2024-01-01 00:10:00,,1,1", "symbol '': expected BTC", id="none"),
    pytest.param(b"2024-01-01 00:10:00,BTCUSDT,1,nan", "volume 'nan'", id="NaN"),
    pytest.param(b"2024-01-01 00:10:00,BTCUSDT,inf,1", "ratio 'inf'", id="infinite"),
    pytest.param(
        b"2024-01-01 00:10:00,BTCUSDT,1,x",
        "volume 'x': expected a finite number or nothing",
        id="text",
    ),
    pytest.param(b"2024-01-01 00:10:00,BTCUSDT,1", "3 fields", id="short"),
    pytest.param(b'2024-01-01 00:10:00,BTCUSDT,"1', "3 fields", id="short and open"),
    pytest.param(b'2024-01-01 00:10:00,BTCUSDT,"1,1', "ratio '\"1'", id="open quote"),
    pytest.param(b'2024-01-01 00:10:00,BTCUSDT,"1,1",1', "5 fields", id="comma"),
    pytest.param(b"2024-01-01T00:10:00,BTCUSDT,1,1", "time '2024", id="ISO 8601"),
    pytest.param(b"2024-1-1 00:10:00,BTCUSDT,1,1", "time '2024-1-1", id="no padding"),
    pytest.param(b"2024-02-30 00:10:00,BTCUSDT,1,1", "time '2024-02", id="calendar"),
    pytest.param(b"2024-01-01 24:00:00,BTCUSDT,1,1", "time '2024", id="hour 24"),
    pytest.param(b"2024-01-01 00:10:60,BTCUSDT,1,1", "time '2024", id="leap second"),
    pytest.param(b"2024-01-01 00:10,BTCUSDT,1,1", "as YYYY-MM-DD HH:MM", id="minute"),
    pytest.param(b"1704067800000,BTCUSDT,1,1", "time '1704067800000'", id="epoch"),
    pytest.param(b",BTCUSDT,1,1", "time '': expected a time as", id="no time"),
]
SOUND = {
    "orders": (ORDERS, b"1,2,BUY,NEW,true\n", BAD_ORDERS),
    "records": (RECORDS, b'2024-01-01 00:05:00,BTCUSDT,"",1\n', BAD_RECORDS),
}


@pytest.mark.parametrize(
    ("table", "sound", "bad", "message"),
    [
        pytest.param(table, sound, *case.values, id=f"{name}-{case.id}")
        for name, (table, sound, cases) in SOUND.items()
        for case in cases
    ],
)
def test_value_that_is_not_of_its_kind_is_named(table, sound, bad, message):
    content = sound + bad + b"\n" + sound

    frame, faults = read(sound, content, sound, table=table)

    assert frame.height == 2
    assert list(faults) == [1]
    assert faults[1].startswith("line 2: ")
    assert message in faults[1]


def test_header_need_not_name_what_is_not_kept():
    frame, faults = read(b"time,ratio,volume\n2024-01-01 00:05:00,1,2\n", table=RECORDS)

    assert (frame.height, faults) == (1, {})


def test_line_feed_in_quotes_does_not_join_lines():
    content = b'time,symbol,ratio,volume,note\n2024-01-01 00:05:00,BTCUSDT,1,2,"a\nb"\n'

    frame, faults = read(content, table=RECORDS)

    assert frame.is_empty()
    assert faults == {0: "line 3: 1 fields: expected 5 fields"}


@given(data=st.data())
def test_damaged_records_are_refused_or_read_line_by_line(data):
    line = b'2024-01-01 00:05:00,BTCUSDT,"",1.5\n'
    content = bytearray(line * 3)
    position = data.draw(st.integers(1, len(content)))
    length = data.draw(st.integers(0, 20))
    alphabet = st.sampled_from(b'0123456789.,-E"\n BTCUSDT:\x00')
    content[position : position + length] = data.draw(st.lists(alphabet, max_size=4))

    body = split(bytes(content), RECORDS)
    sound = split(line * 2, RECORDS)
    frame, faults = read_bodies([sound, body, sound], table=RECORDS, symbol="BTCUSDT")

    lines = [text for text in body.data.split(b"\n") if text.strip()]
    assert frame.height == 4 + (0 if faults else len(lines))
    assert frame["time"].null_count() == 0
    assert faults.keys() <= {1}
