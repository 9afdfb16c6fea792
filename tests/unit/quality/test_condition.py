import datetime as dt

import polars as pl
import pytest

from bhds.archive.directory import Directory
from bhds.archive.listing_page import LISTING_SCHEMA
from bhds.columns import CLASSIFIED_GAPS, CONDITION, TIME
from bhds.markets import Frequency, Interval, TradeType
from bhds.quality.condition import changes_in, judge

MINUTE = Interval.parse("1m")
AS_OF = dt.date(2024, 1, 31)
NOTHING = {"daily": 0, "has_file": False}
CHANGES = {
    "symbol": pl.String,
    "first_day": pl.Date,
    "last_day": pl.Date,
    "last_modified": TIME,
}


@pytest.fixture
def judged(days_of):
    """Judge some days, and return the (condition, reason) of each."""

    def judged(*rows, gaps=(), as_of=AS_OF, changes=None):
        found = judge(
            days_of(*rows),
            gaps=pl.DataFrame(list(gaps), schema=CLASSIFIED_GAPS),
            changes=pl.DataFrame(changes or [], schema=CHANGES, orient="row"),
            interval=MINUTE,
            as_of=as_of,
        )
        assert found.schema == CONDITION
        return found

    return judged


def verdicts(found, date="2024-01-31", symbol="AUSDT"):
    return found.filter(
        (pl.col("day") == dt.date.fromisoformat(date)) & (pl.col("symbol") == symbol)
    ).row(0, named=True)


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        pytest.param({}, ("available", None), id="all of the archive"),
        pytest.param({"daily": 1430, "api": 10}, ("available", None), id="some of api"),
        pytest.param({"conflicts": 1}, ("degraded", "conflict"), id="a conflict"),
        pytest.param(
            {"daily": 1439, "filled": 1}, ("degraded", "missing_rows"), id="filled"
        ),
        pytest.param({"daily": 1439}, ("degraded", "missing_rows"), id="not filled"),
        pytest.param(
            {"daily": 0, "filled": 1440}, ("missing", "missing_rows"), id="all filled"
        ),
        *(
            pytest.param({name: 1, **more}, ("degraded", reason), id=f"{name} {more}")
            for name, reason in (
                ("impossible", "impossible_values"),
                ("off_grid", "off_grid"),
                ("frozen", "frozen"),
                ("missing_ids", "missing_rows"),
            )
            for more in ({}, {"conflicts": 1}, {"daily": 1000})
        ),
        pytest.param({"missing_trade_ids": 9}, ("available", None), id="trade ids"),
        pytest.param(NOTHING, ("pending", "not_published"), id="no file yet"),
        pytest.param(
            NOTHING | {"is_corrupt": True}, ("missing", "corrupt_file"), id="corrupt"
        ),
        pytest.param({"expected": None}, ("available", None), id="rows without number"),
        pytest.param(
            {"expected": None, "daily": 0}, ("missing", "missing_rows"), id="no rows"
        ),
    ],
)
def test_a_day_is_judged_by_its_rows(judged, day, columns, expected):
    found = verdicts(judged(day("2024-01-31", **columns)))

    assert (found["condition"], found["reason"]) == expected


@pytest.mark.parametrize(
    ("date", "expected"),
    [("2024-01-29", "pending"), ("2024-01-28", "missing")],
)
def test_a_day_is_pending_for_three_days(judged, day, date, expected):
    rows = [day(date, **NOTHING), day("2024-01-31")]

    assert verdicts(judged(*rows), date)["condition"] == expected


def gap_of(name, first, last):
    times = [dt.datetime.fromisoformat(f"{t}+00:00") for t in (first, last)]
    return {
        "symbol": "AUSDT",
        "last_open_time": times[0],
        "first_open_time": times[1],
        "duration": times[1] - times[0],
        "class": name,
    }


@pytest.mark.parametrize(
    ("name", "condition"),
    [
        ("halt", "missing"),
        ("outage", "missing"),
        ("missing_file", "missing"),
        ("relisting", "not_listed"),
    ],
)
def test_the_class_of_the_longest_gap_is_the_reason(judged, day, name, condition):
    gaps = [
        gap_of("not_published", "2024-01-10T05:00", "2024-01-10T05:20"),
        gap_of(name, "2024-01-10T23:59", "2024-01-12T08:00"),
    ]
    rows = [
        day("2024-01-10", daily=1420),
        day("2024-01-11", **NOTHING),
        day("2024-01-12", daily=960),
        day("2024-01-31"),
    ]

    found = judged(*rows, gaps=gaps)

    assert [verdicts(found, f"2024-01-{n}")["reason"] for n in (10, 11, 12)] == [
        "not_published",
        name,
        name,
    ]
    assert verdicts(found, "2024-01-11")["condition"] == condition


def test_a_symbol_that_others_outlive_is_no_longer_listed(judged, day):
    rows = [
        day("2024-01-10"),
        day("2024-01-11", **NOTHING, api_answer="empty"),
        *(day(f"2024-01-{n}", symbol="BUSDT") for n in range(10, 32)),
    ]

    found = judged(*rows).filter(symbol="AUSDT")

    assert found["condition"].to_list() == ["available", *["not_listed"] * 21]
    assert found["reason"].to_list()[1:] == ["no_longer_listed"] * 21


def test_a_symbol_that_others_outlive_by_days_is_awaited(judged, day):
    rows = [day("2024-01-28"), day("2024-01-29", **NOTHING, api_answer="empty")]
    others = [day(f"2024-01-{n}", symbol="BUSDT") for n in range(28, 32)]

    found = judged(*rows, *others).filter(symbol="AUSDT")

    assert found["condition"].to_list() == ["available", *["pending"] * 3]


def test_the_file_of_the_last_month_covers_days_without_a_symbol(judged, day):
    rows = [day("2024-01-10"), day("2024-01-11", daily=0)]
    others = [day(f"2024-01-{n}", symbol="BUSDT") for n in range(10, 32)]

    found = judged(*rows, *others)

    assert verdicts(found, "2024-01-11")["condition"] == "not_listed"


def test_a_last_file_that_is_corrupt_is_no_end(judged, day):
    rows = [day("2024-01-10"), day("2024-01-11", **NOTHING, is_corrupt=True)]
    others = [day(f"2024-01-{n}", symbol="BUSDT") for n in range(10, 32)]

    found = judged(*rows, *others)

    assert verdicts(found, "2024-01-11")["reason"] == "corrupt_file"


def test_days_that_no_symbol_has_are_missing_then_pending(judged, day):
    found = judged(day("2024-01-26"), day("2024-01-26", symbol="BUSDT"))

    assert found.filter(symbol="AUSDT")["condition"].to_list() == [
        "available",
        *["missing"] * 2,
        *["pending"] * 3,
    ]


def test_no_days_are_added_to_what_ended_long_ago(judged, day):
    found = judged(day("2023-11-29"), day("2024-01-31", symbol="BUSDT"))

    assert found.height == 2


def test_what_most_other_symbols_lack_is_an_outage(judged, day):
    rows = [day("2024-01-31", daily=1400, symbol=name) for name in ("A", "B", "C")]

    shared = judged(*rows, day("2024-01-31", symbol="D"))
    alone = judged(*rows[:1], *(day("2024-01-31", symbol=name) for name in "BCD"))

    assert shared["reason"].to_list() == [*["outage"] * 3, None]
    assert alone["reason"].to_list() == ["missing_rows", None, None, None]


def test_a_day_tells_when_its_zips_were_last_changed(judged, day):
    times = [dt.datetime(2024, 2, number, tzinfo=dt.UTC) for number in (1, 2, 3)]
    first, last = dt.date(2024, 1, 1), dt.date(2024, 1, 31)
    changes = [
        ("AUSDT", first, last, times[1]),
        ("AUSDT", last, last, times[0]),
        ("BUSDT", last, last, times[2]),
    ]

    found = judged(day("2024-01-31"), day("2023-12-31"), changes=changes)

    assert verdicts(found)["last_modified"] == times[1]
    assert verdicts(found, "2023-12-31")["last_modified"] is None


def test_changes_are_those_of_the_zips_of_a_listing():
    directory = Directory(TradeType.SPOT, Frequency.MONTHLY, "klines", "1m")
    name = f"{directory.prefix}AUSDT/1m/AUSDT-1m-2024-02.zip"
    changed = dt.datetime(2024, 3, 1, tzinfo=dt.UTC)
    keys = [name, f"{name}.CHECKSUM", f"{directory.prefix}AUSDT/1m/other.zip"]
    listing = pl.DataFrame(
        [(key, 1, "e", changed) for key in keys], schema=LISTING_SCHEMA, orient="row"
    )

    assert changes_in(listing, directory=directory).rows() == [
        ("AUSDT", dt.date(2024, 2, 1), dt.date(2024, 2, 29), changed)
    ]


def test_no_days_have_no_condition(judged):
    assert judged().equals(CONDITION.to_frame())
