"""Tables of bars: klines, and bars of prices, which differ in their columns only."""

import datetime as dt
import hashlib
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bhds.core.errors import KeyGrammarError
from bhds.core.markets import TradeType
from bhds.schemas.datatypes import data_type
from bhds.schemas.klines import parsed_klines

from .conftest import only, utc

DAY_1 = "BTCUSDT-1m-2024-01-01"
DAY_2 = "BTCUSDT-1m-2024-01-02"
MONTH = "BTCUSDT-1m-2024-01"


@pytest.mark.parametrize("trade_type", data_type("klines").trade_types)
def test_partition_has_the_columns_of_its_market(archive, parse, csv, trade_type):
    partition = parse(archive(DAY_1, csv("2024-01-01", 3)), trade_type=trade_type)

    assert partition.frame.schema == parsed_klines(trade_type)
    first = partition.frame.row(0)
    assert first[:6] == (utc("2024-01-01"), 100.0, 101.0, 99.0, 100.5, 12.5)
    assert first[6:] == (
        1250.25,
        7,
        6.5,
        650.125,
        utc("2024-01-01T00:00:59.999"),
        "daily",
    )


def test_sources_describe_the_zip(archive, parse, csv):
    source = archive(DAY_1, csv("2024-01-01", 1440, header=True), etag="e" * 32)
    sources = parse(source).sources

    digest = hashlib.sha256(source.path.read_bytes()).hexdigest()
    assert sources["inputs"] == [
        {
            "key": source.key,
            "frequency": "daily",
            "etag": "e" * 32,
            "size": source.path.stat().st_size,
            "sha256": digest,
            "published_sha256": digest,
            "integrity_status": "ok",
            "reason": None,
            "warnings": [],
            "header": True,
            "time_unit": "ms",
            "rows_read": 1440,
            "rows_kept": 1440,
            "rows_outside": 0,
            "duplicates": 0,
            "conflicts": 0,
            "out_of_order": 0,
            "off_grid": 0,
            "impossible": 0,
            "first_time": "2024-01-01T00:00:00+00:00",
            "last_time": "2024-01-01T23:59:00+00:00",
        }
    ]
    assert sources["days"] == [
        {"day": "2024-01-01", "expected": 1440, "present": 1440, "daily": 1440}
    ]
    assert sources["conflicts"] == {"count": 0, "listed": []}
    assert sources["rows"] == 1440
    assert json.loads(json.dumps(sources)) == sources


def test_zips_come_in_any_order(archive, parse, csv):
    second = archive(DAY_2, csv("2024-01-02", 2))
    first = archive(DAY_1, csv("2024-01-01", 2))

    partition = parse(second, first)

    assert partition.frame["open_time"].is_sorted()
    assert [record["key"] for record in partition.sources["inputs"]] == [
        first.key,
        second.key,
    ]
    assert partition.sources == parse(first, second).sources


def test_partition_may_hold_files_of_both_units_and_forms(archive, parse, csv):
    files = [
        archive(DAY_1, csv("2024-01-01", 2)),
        archive(DAY_2, csv("2024-01-02", 2, unit="us", header=True)),
    ]
    partition = parse(*files)

    records = partition.sources["inputs"]
    assert [record["time_unit"] for record in records] == ["ms", "us"]
    assert [record["header"] for record in records] == [False, True]
    assert partition.frame["open_time"].to_list() == [
        utc("2024-01-01T00:00"),
        utc("2024-01-01T00:01"),
        utc("2024-01-02T00:00"),
        utc("2024-01-02T00:01"),
    ]


BAD_TIMES = [
    pytest.param(
        (("2024-01-01T00:00", "ms"), ("2024-01-01T00:01", "us")),
        "line 2: open_time 1704067260000000: expected ms, as in the lines before",
        id="mixed units",
    ),
    pytest.param(
        (("2024-01-01T00:00", "ms"), ("2024-01-02T00:00", "ms")),
        "line 2: open_time 1704153600000 is 2024-01-02T00:00:00+00:00: expected a time "
        "of 2024-01-01 to 2024-01-01",
        id="next day",
    ),
    pytest.param(
        (("2023-12-31T23:59", "ms"), ("2024-01-01T00:00", "ms")),
        "line 1: open_time 1704067140000 is 2023-12-31T23:59:00+00:00",
        id="day before",
    ),
    pytest.param(
        (("2024-01-01T00:00", "ms"), ("1970-01-01T00:01", "ms")),
        "line 2: open_time 60000: expected a time in ms or µs since 1970",
        id="no time",
    ),
]


@pytest.mark.parametrize(("bars", "reason"), BAD_TIMES)
def test_file_with_impossible_times_is_corrupt(archive, parse, line, bars, reason):
    bad = "".join(line(begin, unit=unit) for begin, unit in bars)
    good = archive(DAY_2, line("2024-01-02T00:00") + line("2024-01-02T00:01"))

    partition = parse(archive(DAY_1, bad), good)

    refused, used = partition.sources["inputs"]
    assert refused["integrity_status"] == "corrupt"
    assert reason in refused["reason"]
    assert (refused["rows_read"], refused["time_unit"]) == (0, None)
    assert used["integrity_status"] == "ok"
    assert partition.frame["open_time"].to_list() == [
        utc("2024-01-02T00:00"),
        utc("2024-01-02T00:01"),
    ]
    assert partition.sources["days"][0] == {
        "day": "2024-01-01",
        "expected": 1440,
        "present": 0,
    }


def test_bad_row_leaves_only_its_file_out(archive, parse, csv):
    bad = csv("2024-01-02", 3).replace("12.5", "", 1)
    files = [
        archive(DAY_1, csv("2024-01-01", 3)),
        archive(DAY_2, bad),
        archive("BTCUSDT-1m-2024-01-03", csv("2024-01-03", 3)),
    ]
    partition = parse(*files)

    records = partition.sources["inputs"]
    assert [record["integrity_status"] for record in records] == ["ok", "corrupt", "ok"]
    assert records[1]["reason"] == "line 1: volume '': expected a finite number"
    assert [record["last_time"] for record in records] == [
        "2024-01-01T00:02:00+00:00",
        None,
        "2024-01-03T00:02:00+00:00",
    ]
    assert partition.frame.height == 6


def test_unknown_column_is_ignored_with_a_warning(archive, parse, csv):
    content = csv("2024-01-01", 2, header=True).replace("\n", ",new\n")

    record = only(parse(archive(DAY_1, content)))

    assert (record["integrity_status"], record["rows_kept"]) == ("ok", 2)
    assert record["warnings"] == ["column unknown:new is ignored"]


@pytest.mark.parametrize("with_header", [False, True])
def test_csv_without_rows_is_used_with_a_warning(
    archive, parse, csv, header, with_header
):
    empty = archive(DAY_1, header if with_header else "")
    partition = parse(empty, archive(DAY_2, csv("2024-01-02", 1)))

    record = partition.sources["inputs"][0]
    assert (record["integrity_status"], record["header"]) == ("ok", with_header)
    assert record["warnings"] == ["the CSV has no rows"]
    assert record["first_time"] is None
    assert partition.frame.height == 1


def test_vanished_zip_leaves_its_day_empty(archive, parse):
    source = archive(DAY_1)
    source.path.write_bytes(b"")

    partition = parse(source)

    assert only(partition)["integrity_status"] == "vanished"
    assert partition.sources["days"][0]["present"] == 0


def test_last_row_of_a_file_wins_a_conflict(archive, parse, line):
    content = line("2024-01-01", price=10.0) + line("2024-01-01", price=20.0)
    source = archive(DAY_1, content)
    partition = parse(source)

    assert only(partition)["conflicts"] == 1
    assert partition.frame["open"].to_list() == [20.0]
    conflicts = partition.sources["conflicts"]
    assert conflicts["count"] == 1
    (listed,) = conflicts["listed"]
    assert listed["open_time"] == "2024-01-01T00:00:00+00:00"
    assert (listed["kept"]["open"], listed["dropped"]["open"]) == (20.0, 10.0)
    assert listed["dropped"]["key"] == listed["kept"]["key"] == source.key
    assert json.loads(json.dumps(conflicts)) == conflicts


def test_listed_conflicts_are_limited_but_all_are_counted(
    archive, parse, csv, monkeypatch
):
    monkeypatch.setattr("bhds.parse.provenance.CONFLICTS_LISTED", 5)
    monthly = csv("2024-01-01", 20).replace("12.5", "13.5")
    files = [archive(MONTH, monthly), archive(DAY_1, csv("2024-01-01", 20))]

    conflicts = parse(*files).sources["conflicts"]

    assert conflicts["count"] == 20
    assert [row["open_time"][14:16] for row in conflicts["listed"]] == [
        "00",
        "01",
        "02",
        "03",
        "04",
    ]


def test_daily_zip_wins_over_a_monthly_one(archive, parse, csv):
    monthly = archive(MONTH, csv("2024-01-15T00:00", 3).replace("12.5", "99"))
    daily = archive("BTCUSDT-1m-2024-01-15", csv("2024-01-15T00:01", 3))

    partition = parse(daily, monthly)

    assert partition.frame["volume"].to_list() == [99.0, 12.5, 12.5, 12.5]
    assert partition.frame["source"].to_list() == ["monthly", "daily", "daily", "daily"]
    by_month, by_day = partition.sources["inputs"]
    assert (by_month["rows_kept"], by_month["conflicts"]) == (1, 2)
    assert (by_day["rows_kept"], by_day["conflicts"]) == (3, 0)


def test_rows_are_sorted_and_disorder_is_counted(archive, parse, csv):
    rows = csv("2024-01-01", 6).splitlines(keepends=True)
    content = "".join(rows[3:] + rows[:3])

    partition = parse(archive(DAY_1, content))

    assert only(partition)["out_of_order"] == 1
    assert partition.frame["open_time"].is_sorted()
    assert partition.frame["open"].to_list() == [100, 101, 102, 103, 104, 105]


@pytest.mark.parametrize("name", ["klines", "markPriceKlines"])
def test_impossible_bars_are_kept_and_counted(archive, parse, csv, line, name):
    content = csv("2024-01-02", 2) + line("2024-01-02T00:02", price=1.0) * 2
    files = [archive(DAY_1, csv("2024-01-01", 3)), archive(DAY_2, content)]

    partition = parse(*files, data_type=name, trade_type=TradeType.UM_FUTURES)

    assert partition.frame["low"].min() == 0
    sound, spoiled = partition.sources["inputs"]
    assert (sound["impossible"], sound["warnings"]) == (0, [])
    assert spoiled["impossible"] == 1
    assert spoiled["warnings"] == ["1 row(s) have impossible values"]
    assert [day.get("impossible") for day in partition.sources["days"]] == [None, 1]


def test_bars_off_the_grid_are_kept_and_counted(archive, parse, line):
    content = line("2024-01-01T00:00") + line("2024-01-01T00:01:14")

    partition = parse(archive(DAY_1, content))

    assert only(partition)["off_grid"] == 1
    assert partition.frame["open_time"][1] == utc("2024-01-01T00:01:14")


def test_rows_outside_the_first_and_last_day_are_dropped(archive, parse, csv):
    source = archive("BTCUSDT-1h-2024-01", csv("2024-01-01", 96, length_ms=3_600_000))

    partition = parse(
        source,
        interval="1h",
        first_day=dt.date(2024, 1, 2),
        last_day=dt.date(2024, 1, 3),
    )

    assert only(partition)["rows_outside"] == 48
    assert partition.frame["open_time"].min() == utc("2024-01-02")
    assert partition.frame["open_time"].max() == utc("2024-01-03T23:00")
    assert partition.sources["days"] == [
        {"day": "2024-01-02", "expected": 24, "present": 24},
        {"day": "2024-01-03", "expected": 24, "present": 24},
    ]


def test_daily_zip_wins_over_the_month_that_follows_it(archive, parse, line):
    week = {"length_ms": 7 * 86_400_000}
    files = [
        archive("BTCUSDT-1w-2024-01-31", line("2024-01-29", price=10, **week)),
        archive("BTCUSDT-1w-2024-02", line("2024-01-29", price=20, **week)),
    ]
    partition = parse(*files, interval="1w")

    assert partition.frame.select("open", "source").rows() == [(10.0, "daily")]


def test_week_that_opened_in_another_partition_is_left_to_that(archive, parse, line):
    content = line("2024-12-30", length_ms=7 * 86_400_000)
    source = archive("BTCUSDT-1w-2025-01", content)

    partition = parse(source, interval="1w", partition="2025")

    assert only(partition)["rows_outside"] == 1
    assert partition.frame.is_empty()


def test_month_bars_are_parsed(archive, parse, line):
    content = line("2024-02-01", length_ms=29 * 86_400_000)

    partition = parse(archive("BTCUSDT-1mo-2024-02", content), interval="1mo")

    assert only(partition)["integrity_status"] == "ok"
    assert partition.sources["days"] == [
        {"day": "2024-02-01", "expected": 1, "present": 1}
    ]


def test_input_of_another_partition_is_an_error(archive, parse, csv):
    source = archive(DAY_1, csv("2024-01-01", 1))

    with pytest.raises(KeyGrammarError, match="is not within the partition"):
        parse(source, partition="2023")
    with pytest.raises(KeyGrammarError, match="is passed twice"):
        parse(source, source)
    with pytest.raises(KeyGrammarError, match="expected YYYY"):
        parse(source, partition="2024-")


def test_zip_cut_off_anywhere_never_passes_for_whole(archive, parse, csv):
    source = archive(DAY_1, csv("2024-01-01", 200), checksum=None)
    whole = source.path.read_bytes()
    sizes = [*range(0, len(whole), 97), *range(len(whole) - 97, len(whole))]

    for size in sizes:
        source.path.write_bytes(whole[:size])
        record = only(parse(source))
        assert record["integrity_status"] == ("corrupt" if size else "vanished")
        assert record["rows_kept"] == 0


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_damaged_zip_never_raises_nor_loses_rows_unseen(archive, parse, csv, data):
    source = archive(DAY_1, csv("2024-01-01", 20), checksum=None)
    damaged = bytearray(source.path.read_bytes())
    spots = data.draw(
        st.lists(
            st.tuples(st.integers(0, len(damaged) - 1), st.integers(0, 255)),
            min_size=1,
            max_size=4,
        )
    )
    for position, value in spots:
        damaged[position] = value
    source.path.write_bytes(damaged)

    record = only(parse(source))

    if record["integrity_status"] != "corrupt":
        assert record["rows_kept"] == 20


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_damaged_csv_is_refused_or_read_line_by_line(archive, parse, csv, data):
    text = csv("2024-01-01", 5, header=data.draw(st.booleans()))
    position = data.draw(st.integers(0, len(text)))
    length = data.draw(st.integers(0, 30))
    insert = data.draw(st.text('0123456789.,-E+\r\n"a \x00é', max_size=5))
    content = text[:position] + insert + text[position + length :]
    good = archive(DAY_2, csv("2024-01-02", 3))

    partition = parse(archive(DAY_1, content), good)

    damaged, sound = partition.sources["inputs"]
    assert sound["rows_kept"] == 3
    lines = [line for line in content.split("\n") if line.strip()]
    if damaged["integrity_status"] == "corrupt":
        assert damaged["reason"]
    else:
        assert damaged["rows_read"] == len(lines) - damaged["header"]
    assert partition.frame.null_count().row(0) == (0,) * partition.frame.width
    assert partition.frame["open_time"].is_sorted()
