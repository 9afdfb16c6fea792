import datetime as dt

import polars as pl
import pytest

from bhds.archive.listing.directory import Directory
from bhds.core.markets import Frequency, Interval, TradeType
from bhds.quality.day_condition import changes_in
from bhds.schemas.archive_tables import LISTING_SCHEMA
from bhds.schemas.quality_tables import CONDITION, NOT_RECONCILED

from .conftest import judge_days

NOTHING = {"daily": 0, "has_file": False}


@pytest.fixture
def judged(days_of):
    """Judge some days, and return the (condition, reason) of each."""

    def judged(*rows, differing=None, **more):
        return judge_days(days_of(*rows), not_reconciled=differing, **more)

    return judged


def rated(found, date="2024-01-31", symbol="AUSDT"):
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
    found = rated(judged(day("2024-01-31", **columns)))

    assert (found["condition"], found["reason"]) == expected


@pytest.mark.parametrize(
    ("date", "expected"),
    [
        ("2024-01-29", ("pending", "not_published")),
        ("2024-01-28", ("missing", "missing_file")),
    ],
)
def test_a_day_is_pending_for_three_days(judged, day, date, expected):
    rows = [day(date, **NOTHING), day("2024-01-31")]

    found = rated(judged(*rows), date)
    assert (found["condition"], found["reason"]) == expected


def gap_of(name, first, last):
    times = [dt.datetime.fromisoformat(f"{t}+00:00") for t in (first, last)]
    return {
        "symbol": "AUSDT",
        "prev_open_time": times[0],
        "next_open_time": times[1],
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
        gap_of("unexplained", "2024-01-10T05:00", "2024-01-10T05:20"),
        gap_of(name, "2024-01-10T23:59", "2024-01-12T08:00"),
    ]
    rows = [
        day("2024-01-10", daily=1420),
        day("2024-01-11", **NOTHING),
        day("2024-01-12", daily=960),
        day("2024-01-31"),
    ]

    found = judged(*rows, gaps=gaps)

    assert [rated(found, f"2024-01-{n}")["reason"] for n in (10, 11, 12)] == [
        "unexplained",
        name,
        name,
    ]
    assert rated(found, "2024-01-11")["condition"] == condition


def month(day, symbol="AUSDT", *, days, nothing=(), **more):
    """Make days of January; those in `nothing` without rows."""
    return [
        day(
            f"2024-01-{number:02}",
            symbol=symbol,
            **(NOTHING | more if number in nothing else {}),
        )
        for number in days
    ]


def names(found, column="condition", symbol="AUSDT"):
    return found.filter(symbol=symbol)[column].to_list()


def test_a_symbol_that_others_outlive_is_no_longer_listed(judged, day):
    rows = month(day, days=range(10, 12), nothing=[11], api_answer="empty")
    others = month(day, "BUSDT", days=range(10, 32))

    found = judged(*rows, *others)

    assert names(found) == ["available", *["not_listed"] * 21]
    assert names(found, "reason")[1:] == ["no_longer_listed"] * 21


def test_a_symbol_that_others_outlive_by_days_is_awaited(judged, day):
    rows = month(day, days=range(28, 30), nothing=[29], api_answer="empty")
    others = month(day, "BUSDT", days=range(28, 32))

    found = judged(*rows, *others)

    assert names(found) == ["available", *["pending"] * 3]


@pytest.mark.parametrize(
    ("answers", "condition"),
    [
        (["empty"], "not_listed"),
        (["empty", "empty", "unanswered"], "missing"),
        (["empty", "pending"], "missing"),
        ([None], "missing"),
    ],
)
def test_a_symbol_alone_has_ended_if_the_api_has_nothing(
    judged, day, answers, condition
):
    gone = [
        day(f"2024-01-{number}", **NOTHING, api_answer=answer)
        for number, answer in zip(range(20, 32), answers * 12, strict=False)
    ]

    found = judged(day("2024-01-19"), *gone)

    assert names(found)[1:10] == [condition] * 9
    last = "not_listed" if condition == "not_listed" else "pending"
    assert names(found)[10:] == [last] * 3


def test_a_symbol_that_is_known_to_have_ended_is_not_awaited(judged, day):
    found = judged(*month(day, days=range(28, 32), nothing=[30, 31]), ended=["AUSDT"])

    assert names(found) == [*["available"] * 2, *["not_listed"] * 2]


def test_a_symbol_without_rows_for_so_long_has_ended(judged, day):
    rows = [day("2023-11-29"), *month(day, days=range(1, 32), nothing=range(32))]

    assert names(judged(*rows))[1:] == ["not_listed"] * 31


def test_a_stall_of_the_archive_is_no_end(judged, day):
    # One symbol ended on the 5th, files stalled on the 20th, those of one on the 21st.
    found = judged(
        *month(day, "ENDED", days=range(1, 6)),
        *(row for s in "ABC" for row in month(day, s, days=range(1, 21))),
        *month(day, "LATE", days=range(1, 22)),
    )

    assert names(found, symbol="ENDED") == [*["available"] * 5, *["not_listed"] * 26]
    stalled = ["missing"] * 8 + ["pending"] * 3
    for symbol in "ABC":
        assert names(found, symbol=symbol) == [*["available"] * 20, *stalled]
    assert names(found, symbol="LATE") == [*["available"] * 21, *stalled[1:]]


def test_rows_of_a_file_of_another_day_are_not_those_of_a_day(judged, day):
    strays = {"expected": None, "daily": 2, "has_file": False}

    found = judged(
        day("2024-01-09", **strays),
        day("2024-01-10"),
        day("2024-01-11", **strays),
        day("2024-01-12"),
        day("2024-01-13", **strays, symbol="BUSDT"),
        day("2024-01-30"),
        day("2024-01-31", **strays),
    )

    of_days = found.filter(symbol="AUSDT").select("condition", "reason").rows()
    assert of_days == [
        ("not_listed", "not_yet_listed"),
        ("available", None),
        ("degraded", "missing_rows"),
        *[("available", None)] * 2,
        ("pending", "not_published"),
    ]


def test_the_file_of_the_last_month_covers_days_without_a_symbol(judged, day):
    rows = [day("2024-01-10"), day("2024-01-11", daily=0)]
    others = month(day, "BUSDT", days=range(10, 32))

    found = judged(*rows, *others)

    assert rated(found, "2024-01-11")["condition"] == "not_listed"


def test_a_last_file_that_is_corrupt_is_no_end(judged, day):
    rows = [day("2024-01-10"), day("2024-01-11", **NOTHING, is_corrupt=True)]
    others = month(day, "BUSDT", days=range(10, 32))

    found = judged(*rows, *others)

    assert rated(found, "2024-01-11")["reason"] == "corrupt_file"
    assert rated(found, "2024-01-12")["condition"] == "not_listed"


@pytest.mark.parametrize("name", ["missing_file", "relisting", "halt"])
def test_a_corrupt_day_is_called_so_whatever_its_gap(judged, day, name):
    corrupt = NOTHING | {"is_corrupt": True}
    rows = [
        *month(day, days=[9]),
        *(day(f"2024-01-{number}", **corrupt) for number in range(10, 20)),
        day("2024-01-20", has_file=False, is_corrupt=True, daily=0, api=9),
        *month(day, days=range(21, 32)),
    ]
    gap = gap_of(name, "2024-01-09T23:59", "2024-01-20T23:50")

    found = judged(*rows, gaps=[gap])

    assert names(found)[1:12] == [*["missing"] * 10, "degraded"]
    assert names(found, "reason")[1:12] == ["corrupt_file"] * 11


def test_a_day_that_differs_from_longer_bars_is_degraded(judged, day):
    dates = [dt.date(2024, 1, number) for number in (30, 30, 31)]
    differing = pl.DataFrame(
        {"symbol": ["AUSDT", "AUSDT", "BUSDT"], "day": dates},
        schema_overrides=NOT_RECONCILED,
    )

    found = judged(
        *month(day, days=range(30, 32)),
        differing=pl.concat([NOT_RECONCILED.to_frame(), differing], how="diagonal"),
    )

    assert found.select("not_reconciled", "condition", "reason").rows() == [
        (2, "degraded", "not_reconciled"),
        (0, "available", None),
    ]


def test_days_that_no_symbol_has_are_missing_then_pending(judged, day):
    found = judged(day("2024-01-26"), day("2024-01-26", symbol="BUSDT"))

    assert found.filter(symbol="AUSDT")["condition"].to_list() == [
        "available",
        *["missing"] * 2,
        *["pending"] * 3,
    ]


@pytest.mark.parametrize(
    ("last", "added"),
    [
        pytest.param({}, 1, id="the last published day is not long ago"),
        pytest.param({"daily": 0, "filled": 1440}, 0, id="it is long ago"),
    ],
)
def test_no_days_are_added_where_published_rows_ended_long_ago(
    judged, day, last, added
):
    found = judged(day("2023-11-29"), day("2024-01-30", **last))

    assert found.height == 2 + added


def test_what_most_other_symbols_lack_is_an_outage(judged, day):
    rows = [day("2024-01-31", daily=1400, symbol=name) for name in ("A", "B", "C")]

    shared = judged(*rows, day("2024-01-31", symbol="D"))
    alone = judged(*rows[:1], *(day("2024-01-31", symbol=name) for name in "BCD"))

    assert shared["reason"].to_list() == [*["outage"] * 3, None]
    assert alone["reason"].to_list() == ["missing_rows", None, None, None]


def test_one_other_symbol_makes_an_outage_if_the_api_confirms_it(judged, day):
    both = [day("2024-01-31", daily=1400, symbol=name) for name in "AB"]
    confirmed = [{**row, "api_answer": "empty"} for row in both]
    ended = day("2023-11-01", symbol="C"), day("2024-01-31", symbol="C", **NOTHING)
    lost = day("2024-01-30", symbol="C"), day("2024-01-31", symbol="C", **NOTHING)

    assert names(judged(*both), "reason", "A") == ["missing_rows"]
    assert names(judged(*confirmed, *ended), "reason", "A") == ["outage"]
    for others in (ended, lost):
        assert names(judged(confirmed[0], *others), "reason", "A") == ["missing_rows"]


def test_a_day_tells_when_its_zips_were_last_changed(judged, day):
    times = [dt.datetime(2024, 2, number, tzinfo=dt.UTC) for number in (1, 2, 3)]
    first, last = dt.date(2024, 1, 1), dt.date(2024, 1, 31)
    changes = [
        ("AUSDT", first, last, times[1]),
        ("AUSDT", last, last, times[0]),
        ("BUSDT", last, last, times[2]),
    ]

    found = judged(day("2024-01-31"), day("2023-12-31"), changes=changes)

    assert rated(found)["last_modified"] == times[1]
    assert rated(found, "2023-12-31")["last_modified"] is None


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


@pytest.mark.parametrize(
    ("as_of", "expected"), [(28, ["available"]), (29, ["available", "pending"])]
)
def test_a_bar_of_a_week_is_due_on_the_day_it_opens(day, days_of, as_of, expected):
    week = days_of(day("2024-01-22", expected=1, daily=1))

    found = judge_days(
        week, interval=Interval.parse("1w"), as_of=dt.date(2024, 1, as_of)
    )

    assert found["condition"].to_list() == expected
