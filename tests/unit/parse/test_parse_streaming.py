import datetime as dt
import io
import random
import re
import zipfile
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from bhds.archive.integrity.zip_input import ArchiveInput
from bhds.core.markets import Frequency, TradeType
from bhds.core.timegrid import TIME
from bhds.io import storage
from bhds.parse.external_sort import Sizes
from bhds.parse.parse_streaming import parse_large
from bhds.parse.parse_table import parse_table
from bhds.schemas.datatypes import data_type

SPOT, UM, CM = TradeType.SPOT, TradeType.UM_FUTURES, TradeType.CM_FUTURES
GENUINE = (
    Path(__file__).parents[3]
    / "../shared/realdata/cm/aggTrades/BTCUSD_PERP"
    / "BTCUSD_PERP-aggTrades-2026-05-08.zip"
)
TINY = Sizes(group=8, shuffled_group=3, span=10, sample=2, same_key=50)
HEADER = "id,price,qty,quote_qty,time,is_buyer_maker\n"


def time_us(text):
    return int(dt.datetime.fromisoformat(f"{text}Z").timestamp()) * 1_000_000


def trade_line(number, time="2024-01-01T00:00", price=1.5, unit="ms"):
    moment = time_us(time) // {"ms": 1_000, "us": 1}[unit]
    return f"{number},{price},2.0,3.0,{moment},true\n"


def trade_csv(*ids, time="2024-01-01T00:00", price=1.5, unit="ms"):
    lines = (trade_line(number, time, price, unit) for number in ids)
    return HEADER + "".join(lines)


@pytest.fixture
def target(tmp_path):
    path = tmp_path / "parsed" / "2024-01.parquet"
    path.parent.mkdir()
    return path


@pytest.fixture
def parse(target):
    """Return `parse_large` for trades of BTCUSDT, um, in tiny pieces, and its file."""

    def run(*inputs, **series):
        defaults = {
            "trade_type": UM,
            "data_type": "trades",
            "symbol": "BTCUSDT",
            "partition": "2024-01",
            "metadata": lambda sources: {"rows": str(sources["rows"])},
            "sizes": TINY,
            "piece_bytes": 200,
        }
        sources = parse_large(inputs, target=target, **(defaults | series))
        return storage.read_rows(target), sources

    return run


def counts(record):
    names = ("rows_read", "rows_kept", "rows_outside", "duplicates", "conflicts")
    return [record[name] for name in names]


# --- formats --------------------------------------------------------------------------

MS = 1_704_067_200_123
FORMATS = [
    pytest.param(
        (SPOT, "trades"),
        f"7,4.01000000,2.50000000,10.02500000,{MS},True,True\n",
        {"id": 7, "price": 4.01, "quantity": 2.5, "quote_quantity": 10.025}
        | {"is_buyer_maker": True, "is_best_match": True},
        id="spot trades",
    ),
    pytest.param(
        (UM, "trades"),
        f"{HEADER}7,4.01,2.5,10.025,{MS},false\n",
        {"id": 7, "price": 4.01, "quantity": 2.5, "quote_quantity": 10.025}
        | {"is_buyer_maker": False},
        id="um trades",
    ),
    pytest.param(
        (CM, "trades"),
        f"id,price,qty,base_qty,time,is_buyer_maker\n7,4.01,5,124.7,{MS},true\n",
        {"id": 7, "price": 4.01, "quantity": 5.0, "base_quantity": 124.7}
        | {"is_buyer_maker": True},
        id="cm trades",
    ),
    pytest.param(
        (UM, "trades"),
        f"7,4.01,2.5,10.025,{MS},true\n",
        {"id": 7, "price": 4.01, "quantity": 2.5, "quote_quantity": 10.025}
        | {"is_buyer_maker": True},
        id="um trades before headers",
    ),
    pytest.param(
        (SPOT, "aggTrades"),
        f"7,4.01000000,2.50000000,11,13,{MS},False,True\n",
        {"agg_trade_id": 7, "price": 4.01, "quantity": 2.5, "first_trade_id": 11}
        | {"last_trade_id": 13, "is_buyer_maker": False, "is_best_match": True},
        id="spot aggTrades",
    ),
    pytest.param(
        (CM, "aggTrades"),
        "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,"
        f"is_buyer_maker\n7,4.0,542.0,11,13,{MS},false\n",
        {"agg_trade_id": 7, "price": 4.0, "quantity": 542.0, "first_trade_id": 11}
        | {"last_trade_id": 13, "is_buyer_maker": False},
        id="cm aggTrades",
    ),
    pytest.param(
        (UM, "bookTicker"),
        "update_id,best_bid_price,best_bid_qty,best_ask_price,best_ask_qty,"
        f"transaction_time,event_time\n7,4.0,1,4.1,2,{MS},{MS}\n",
        {"update_id": 7, "best_bid_price": 4.0, "best_bid_qty": 1.0}
        | {"best_ask_price": 4.1, "best_ask_qty": 2.0},
        id="bookTicker",
    ),
]


@pytest.mark.parametrize(("series", "content", "expected"), FORMATS)
def test_every_format_is_read(parse, archive, series, content, expected):
    trade_type, name = series
    source = archive(f"BTCUSDT-{name}-2024-01-01", content)

    frame, sources = parse(source, trade_type=trade_type, data_type=name)

    schema = data_type(name).table(trade_type).schema
    assert frame.schema == schema
    row = frame.row(0, named=True)
    times = {row.pop(column) for column in schema if schema[column] == TIME}
    assert times == {dt.datetime(2024, 1, 1, 0, 0, 0, 123_000, tzinfo=dt.UTC)}
    assert row == expected
    (record,) = sources["inputs"]
    assert record["header"] == (not content[0].isdigit())
    assert (record["integrity_status"], record["time_unit"]) == ("ok", "ms")


def test_book_depth_is_sorted_by_time_and_percentage(parse, archive):
    lines = "timestamp,percentage,depth,notional\n" + "".join(
        f"2024-01-01 00:0{minute}:08,{level},1.5,{minute}\n"
        for minute in range(4)
        for level in ("5.00", "-5", "-1.00", "1")
    )
    source = archive("BTCUSDT-bookDepth-2024-01-01", lines)

    frame, sources = parse(source, data_type="bookDepth")

    assert frame["percentage"].to_list() == [-5.0, -1.0, 1.0, 5.0] * 4
    assert frame["timestamp"].is_sorted()
    assert frame["timestamp"][0] == dt.datetime(2024, 1, 1, 0, 0, 8, tzinfo=dt.UTC)
    assert sources["inputs"][0]["out_of_order"] == 4
    assert "missing_ids" not in sources


def test_microseconds_are_read(parse, archive):
    source = archive("BTCUSDT-trades-2024-01-01", trade_csv(1, 2, unit="us"))

    frame, sources = parse(source)

    assert sources["inputs"][0]["time_unit"] == "us"
    assert set(frame["time"]) == {dt.datetime(2024, 1, 1, tzinfo=dt.UTC)}


@pytest.mark.skipif(not GENUINE.exists(), reason="../shared/realdata is absent")
def test_genuine_file_parses_whole(parse):
    source = ArchiveInput(GENUINE, f"data/{GENUINE.name}", Frequency.DAILY, None)

    frame, sources = parse(
        source,
        trade_type=CM,
        data_type="aggTrades",
        symbol="BTCUSD_PERP",
        partition="2026-05",
        sizes=Sizes(group=20_000),
        piece_bytes=1 << 20,
    )

    with (
        zipfile.ZipFile(GENUINE) as opened,
        opened.open(opened.namelist()[0]) as member,
    ):
        lines = io.TextIOWrapper(member).read().splitlines()[1:]
    published = [line.split(",") for line in lines]
    assert frame.height == len(published) == 105_280
    assert frame["agg_trade_id"].to_list() == [int(row[0]) for row in published]
    assert (frame["agg_trade_id"][0], frame["agg_trade_id"][-1]) == (
        480_537_903,
        480_643_182,
    )
    assert frame["quantity"].sum() == sum(float(row[2]) for row in published)
    assert sum(frame["price"]) == sum(float(row[1]) for row in published)
    trades = (frame["last_trade_id"] - frame["first_trade_id"] + 1).sum()
    assert trades == sum(int(row[4]) - int(row[3]) + 1 for row in published)
    assert frame["is_buyer_maker"].sum() == sum(row[6] == "true" for row in published)
    milliseconds = frame["time"].dt.epoch("ms")
    assert milliseconds.to_list() == [int(row[5]) for row in published]
    (record,) = sources["inputs"]
    assert (record["integrity_status"], record["header"], record["rows_kept"]) == (
        *("ok", True),
        105_280,
    )
    assert (record["first_time"][:23], record["last_time"][:23]) == (
        "2026-05-08T00:00:00.020",
        "2026-05-08T23:59:59.655",
    )
    assert (sources["missing_ids"], sources["missing_id_ranges"]) == (0, 0)


# --- rows -----------------------------------------------------------------------------


@pytest.mark.parametrize("piece_bytes", [200, 1 << 20])
def test_holes_are_counted_between_ids_in_order_however_they_are_published(
    parse, archive, piece_bytes
):
    ids = [*range(10, 40, 2), *range(11, 25, 2), *range(29, 40, 2)]  # not 25 and 27
    day = archive("BTCUSDT-trades-2024-01-03", trade_csv(*ids, time="2024-01-03T12:00"))

    frame, sources = parse(day, last_day=dt.date(2024, 1, 4), piece_bytes=piece_bytes)

    assert frame["id"].is_sorted()
    assert sources["inputs"][0]["out_of_order"] == 1
    assert (sources["missing_ids"], sources["missing_id_ranges"]) == (2, 2)


def test_days_of_a_month_become_one_file(parse, archive):
    days = [
        archive(
            f"BTCUSDT-trades-2024-01-0{day}",
            trade_csv(*range(day * 10, day * 10 + 9), time=f"2024-01-0{day}T12:00"),
        )
        for day in (3, 1, 2)
    ]

    frame, sources = parse(*days, last_day=dt.date(2024, 1, 4))

    assert frame["id"].to_list() == [*range(10, 19), *range(20, 29), *range(30, 39)]
    assert [counts(record) for record in sources["inputs"]] == [[9, 9, 0, 0, 0]] * 3
    assert (sources["missing_ids"], sources["missing_id_ranges"]) == (2, 2)
    assert [number for number, _ in sources["ids"]] == [10, 38]
    assert sources["conflicts"] == {"count": 0, "listed": []}
    assert sources["days"] == [
        {"day": f"2024-01-0{day}", "expected": None, "present": 9, "quantity": 18.0}
        | {"daily": 9}
        | ({"missing_ids": 1} if day < 3 else {})
        for day in (1, 2, 3)
    ]


def test_rows_out_of_order_are_sorted_and_counted(parse, archive):
    ids = list(range(100))
    random.Random(1).shuffle(ids)
    source = archive("BTCUSDT-trades-2024-01-01", trade_csv(*ids))

    frame, sources = parse(source)

    assert frame["id"].to_list() == list(range(100))
    falls = sum(after < before for before, after in pairwise(ids))
    assert sources["inputs"][0]["out_of_order"] == falls
    assert sources["missing_ids"] == 0


@pytest.mark.parametrize(
    ("other", "rows", "conflicts"),
    [
        pytest.param("7,1.5,2,31,32", 3, 0, id="other trades"),
        pytest.param("7,9.5,2,21,22", 2, 1, id="the same trades"),
        pytest.param("7,1.5,3,21,23", 2, 1, id="one trade more"),
        pytest.param("7,1.5,2,21,22", 2, 0, id="the same row"),
    ],
)
def test_aggregates_of_one_id_are_told_apart_by_their_trades(
    parse, archive, other, rows, conflicts
):
    time = time_us("2024-01-01T00:00") // 1_000
    month = f"7,1.5,2,21,22,{time},true\n8,1.5,2,23,30,{time},true\n"
    files = {"2024-01": month, "2024-01-01": f"{other},{time},true\n"}

    frame, sources = parse(
        *(archive(f"BTCUSDT-aggTrades-{day}", text) for day, text in files.items()),
        data_type="aggTrades",
    )

    assert frame["agg_trade_id"].to_list() == [7] * (rows - 1) + [8]
    assert sources["conflicts"]["count"] == conflicts


def test_day_wins_over_month_and_later_day_over_earlier(parse, archive):
    month = archive("BTCUSDT-trades-2024-01", trade_csv(*range(5), price=1.0))
    first = archive("BTCUSDT-trades-2024-01-01", trade_csv(3, 4, 5, price=2.0))
    second = archive(
        "BTCUSDT-trades-2024-01-02", trade_csv(5, 6, price=3.0, time="2024-01-02T00:00")
    )

    frame, sources = parse(second, month, first)

    assert frame["price"].to_list() == [1.0, 1.0, 1.0, 2.0, 2.0, 3.0, 3.0]
    assert [record["key"][-24:] for record in sources["inputs"]] == [
        "/BTCUSDT-trades-2024-01.zip"[-24:],
        "BTCUSDT-trades-2024-01-01.zip"[-24:],
        "BTCUSDT-trades-2024-01-02.zip"[-24:],
    ]
    assert [counts(record)[1:] for record in sources["inputs"]] == [
        [3, 0, 0, 2],
        [2, 0, 0, 1],
        [2, 0, 0, 0],
    ]


def test_a_possible_trade_of_the_month_goes_before_an_impossible_one(parse, archive):
    month = archive("BTCUSDT-trades-2024-01", trade_csv(*range(4), price=1.0))
    day = archive("BTCUSDT-trades-2024-01-01", trade_csv(2, 5, price=0.0))

    frame, sources = parse(month, day)

    assert frame["price"].to_list() == [1.0, 1.0, 1.0, 1.0, 0.0]
    assert [each["impossible"] for each in sources["inputs"]] == [0, 1]
    assert sources["days"][0]["impossible"] == 1


def test_days_that_are_not_wanted_are_left_out_of_a_month(parse, archive):
    content = HEADER + "".join(
        trade_line(number, f"2024-01-{number:02}T12:00") for number in range(1, 32)
    )
    source = archive("BTCUSDT-trades-2024-01", content)

    frame, sources = parse(
        source, first_day=dt.date(2024, 1, 5), last_day=dt.date(2024, 1, 20)
    )

    assert frame["id"].to_list() == list(range(5, 21))
    assert counts(sources["inputs"][0]) == [31, 16, 15, 0, 0]
    assert len(sources["days"]) == 16


def test_row_just_outside_its_file_is_kept(parse, archive):
    def line(number, time):
        return f"{number},4,1,5,1,{time},{time}\n"

    begin = time_us("2024-01-01T00:00") // 1_000
    end = begin + 86_400_000
    content = line(1, begin - 59_000) + line(2, begin) + line(3, end + 59_000)
    source = archive("BTCUSDT-bookTicker-2024-01-01", content)

    frame, sources = parse(source, data_type="bookTicker")

    assert frame["update_id"].to_list() == [1, 2, 3]
    assert counts(sources["inputs"][0]) == [3, 3, 0, 0, 0]
    assert [day["day"] for day in sources["days"]] == [
        "2023-12-31",
        "2024-01-01",
        "2024-01-02",
    ]


@pytest.mark.parametrize("content", ["", HEADER], ids=["empty", "header"])
def test_file_without_rows_makes_an_empty_partition(parse, archive, content):
    frame, sources = parse(archive("BTCUSDT-trades-2024-01-01", content))

    assert_frame_equal(frame, pl.DataFrame(schema=data_type("trades").table(UM).schema))
    assert sources["inputs"][0]["warnings"] == ["the CSV has no rows"]
    assert sources["days"] == [{"day": "2024-01-01", "expected": None, "present": 0}]


# --- bad zips -------------------------------------------------------------------------

LAST = trade_line(999)
BAD = [
    pytest.param(
        LAST.replace(",2.0,", ",x,"), "line 102: quantity 'x': expected a", id="field"
    ),
    pytest.param(LAST[:-6] + "\n", "line 102: 5 fields: expected 6", id="cut off"),
    pytest.param("\n" + LAST, "line 102: blank", id="blank line"),
    pytest.param(
        trade_line(999, unit="us"), r"line 102: time 17\d+: expected ms", id="unit"
    ),
    pytest.param(
        trade_line(999, "2024-01-03T00:00"),
        r"line 102: time \d+ is 2024-01-03.*expected a time of 2024-01-01",
        id="other day",
    ),
    pytest.param(
        trade_line(999) * 200, "id 999 stands in more than 50 of", id="one id for all"
    ),
]


@pytest.mark.parametrize(("line", "reason"), BAD)
def test_bad_line_far_behind_makes_the_zip_corrupt(parse, archive, line, reason):
    good = archive(
        "BTCUSDT-trades-2024-01-02", trade_csv(*range(7), time="2024-01-02T00:00")
    )
    bad = archive("BTCUSDT-trades-2024-01-01", trade_csv(*range(100, 200)) + line)

    frame, sources = parse(good, bad, piece_bytes=4_000)

    assert frame["id"].to_list() == list(range(7))
    record, other = sources["inputs"]
    assert record["integrity_status"] == "corrupt"
    assert re.search(reason, record["reason"])
    assert counts(record) == [0, 0, 0, 0, 0]
    assert (record["time_unit"], record["first_time"]) == (None, None)
    assert counts(other) == [7, 7, 0, 0, 0]
    assert sources["missing_ids"] == 0


def damaged(source):
    """Change a byte of a stored member's last line, so that its CRC-32 is wrong."""
    content = source.path.read_bytes()
    place = content.rindex(b",true\n")
    source.path.write_bytes(content[:place] + b",True\n" + content[place + 6 :])
    Path(f"{source.path}.CHECKSUM").unlink()
    return source


def test_damage_that_shows_at_the_end_leaves_no_row(parse, archive):
    month = archive("BTCUSDT-trades-2024-01", trade_csv(*range(50)))
    day = archive(
        "BTCUSDT-trades-2024-01-01",
        trade_csv(*range(20, 80), price=7.0),
        method=zipfile.ZIP_STORED,
    )

    frame, sources = parse(month, damaged(day))

    assert frame["id"].to_list() == list(range(50))
    assert set(frame["price"]) == {1.5}
    record = sources["inputs"][1]
    assert record["integrity_status"] == "corrupt"
    assert "CRC-32 is" in record["reason"]
    assert counts(record) == [0, 0, 0, 0, 0]
    assert record["header"] is None


@pytest.mark.parametrize(
    "integrity_status", ["vanished", "corrupt", "checksum-missing"]
)
def test_integrity_statuses_are_in_the_sources(
    parse, archive, integrity_status, caplog
):
    source = archive("BTCUSDT-trades-2024-01-01", trade_csv(1, 2), checksum=None)
    if integrity_status != "checksum-missing":
        source.path.write_bytes(
            {"vanished": b"", "corrupt": b"<html>"}[integrity_status]
        )

    frame, sources = parse(source)

    assert sources["inputs"][0]["integrity_status"] == integrity_status
    assert frame.height == (2 if integrity_status == "checksum-missing" else 0)
    assert ("its rows are left out" in caplog.text) == (
        integrity_status != "checksum-missing"
    )


# --- the file -------------------------------------------------------------------------


def leftovers(target):
    return [path.name for path in target.parent.iterdir()]


@pytest.mark.parametrize("ids", [range(50), [*range(25, 50), *range(25)]])
def test_file_says_how_it_was_made_and_nothing_is_beside_it(
    parse, archive, target, ids
):
    parse(archive("BTCUSDT-trades-2024-01-01", trade_csv(*ids)))

    assert storage.read_parquet_metadata(target)["rows"] == "50"
    assert leftovers(target) == [target.name]


@pytest.mark.parametrize("ids", [range(50), [*range(25, 50), *range(25)]])
def test_same_zips_make_the_same_bytes(parse, archive, target, ids):
    source = archive("BTCUSDT-trades-2024-01-01", trade_csv(*ids))
    parse(source)
    first = target.read_bytes()

    parse(source)

    assert target.read_bytes() == first


@pytest.mark.parametrize("ids", [range(50), [*range(25, 50), *range(25)]])
def test_failure_leaves_what_was_there(parse, archive, target, ids):
    target.write_bytes(b"before")

    def fail(_):
        msg = "no metadata"
        raise RuntimeError(msg)

    with pytest.raises(RuntimeError, match="no metadata"):
        parse(archive("BTCUSDT-trades-2024-01-01", trade_csv(*ids)), metadata=fail)

    assert target.read_bytes() == b"before"
    assert leftovers(target) == [target.name]


# --- against the parser in memory -----------------------------------------------------

LINES = st.lists(
    st.tuples(st.integers(0, 25), st.integers(0, 1), st.integers(0, 23)), max_size=40
)


def zipped(folder, period, lines, *, is_bad):
    """Make the zip of a month or a day, of trades on the 2nd or on that day."""
    is_month = len(period) == len("2024-01")
    day = "2024-01-02" if is_month else period
    content = HEADER + "".join(
        trade_line(number, f"{day}T{hour:02}:00", price)
        for number, price, hour in lines
    )
    path = folder / f"BTCUSDT-trades-{period}.zip"
    with zipfile.ZipFile(path, "w") as opened:
        opened.writestr(f"{path.stem}.csv", content + is_bad * "x\n")
    frequency = Frequency.MONTHLY if is_month else Frequency.DAILY
    return ArchiveInput(path, path.name, frequency, None)


@given(
    files=st.lists(LINES, min_size=1, max_size=4),
    bad=st.integers(0, 5),
    piece_bytes=st.integers(40, 600),
    last_day=st.sampled_from([None, dt.date(2024, 1, 2)]),
)
def test_partition_is_that_of_the_parser_in_memory(
    tmp_path_factory, files, bad, piece_bytes, last_day
):
    folder = tmp_path_factory.mktemp("zips")
    periods = ["2024-01", "2024-01-01", "2024-01-02", "2024-01-03"]
    inputs = [
        zipped(folder, periods[number], lines, is_bad=number == bad)
        for number, lines in enumerate(files)
    ]
    series = {
        "trade_type": UM,
        "data_type": "trades",
        "symbol": "BTCUSDT",
        "partition": "2024-01",
        "last_day": last_day,
    }

    sources = parse_large(
        inputs,
        target=folder / "large.parquet",
        metadata=lambda _: {},
        sizes=TINY,
        piece_bytes=piece_bytes,
        **series,
    )

    expected = parse_table(inputs, interval=None, **series)
    assert_frame_equal(storage.read_rows(folder / "large.parquet"), expected.frame)
    for record in (*sources["inputs"], *expected.sources["inputs"]):
        del record["out_of_order"]  # by the key here, by time in memory
    del sources["missing_ids"], sources["missing_id_ranges"], sources["ids"]
    days = {day["day"]: day["present"] for day in sources.pop("days")}
    present = expected.frame["time"].dt.strftime("%Y-%m-%d").value_counts()
    assert {day: rows for day, rows in days.items() if rows} == dict(present.rows())
    del expected.sources["days"]
    assert sources == expected.sources
