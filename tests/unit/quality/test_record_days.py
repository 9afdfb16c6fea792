import datetime as dt

import polars as pl
import pytest

from bhds.core.markets import Interval
from bhds.core.timegrid import TIME
from bhds.quality.record_days import account
from bhds.schemas.quality_tables import DAYS

DAY = 24 * 60


@pytest.fixture
def counted(at):
    def counted(*sources, last_day, api=(), interval=None, newest=None, **more):
        found = account(
            sources,
            fill_times=pl.Series([at(minute) for minute in api], dtype=TIME),
            symbol="AUSDT",
            interval=interval and Interval.parse(interval),
            last_day=dt.date.fromisoformat(last_day),
            newest=dt.date.fromisoformat(newest or last_day),
            **more,
        )
        assert found.schema == DAYS
        return found

    return counted


def day(date, present, expected=288, **more):
    counts = {"expected": expected, "present": present, "daily": present}
    return {"day": date, **counts, **more}


def test_rows_are_those_of_the_kind_of_zip_that_they_are_from(counted, zip_entry):
    sources = {
        "days": [
            day("2024-01-31", 288, daily=0),
            day("2024-02-01", 287, conflicts=3, daily=286),
        ],
        "inputs": [zip_entry("2024-01"), zip_entry("2024-02-01")],
    }

    found = counted(sources, last_day="2024-02-01")

    columns = ["expected", "daily", "monthly", "conflicts", "has_file"]
    assert found.select(columns).rows() == [
        (288, 0, 288, 0, True),
        (288, 286, 1, 3, True),
    ]


def test_days_without_a_file_should_have_as_many_rows_as_others(counted, zip_entry):
    sources = {
        "days": [day("2024-01-01", 288), day("2024-01-03", 288)],
        "inputs": [zip_entry("2024-01-01"), zip_entry("2024-01-03")],
    }

    found = counted(sources, last_day="2024-01-04")

    assert found.select("expected", "daily", "has_file").rows() == [
        (288, 288, True),
        (288, 0, False),
        (288, 288, True),
        (288, 0, False),
    ]


def test_the_first_day_counts_from_the_first_row(counted, zip_entry):
    sources = {
        "days": [day("2024-01-01", 192), day("2024-01-02", 288)],
        "inputs": [zip_entry("2024-01-01", first=8 * 60), zip_entry("2024-01-02")],
    }

    found = counted(sources, last_day="2024-01-02")

    assert found["expected"].to_list() == [192, 288]


def test_faults_are_counted_from_every_partition_of_a_day(counted, zip_entry):
    faults = {"impossible": 2, "frozen": 3, "missing_ids": 4, "missing_trade_ids": 5}
    sources = [
        {"days": [day("2024-01-31", 9, **faults)], "inputs": [zip_entry("2024-01")]},
        {
            "days": [day("2024-01-31", 1, impossible=1), day("2024-02-01", 288)],
            "inputs": [zip_entry("2024-02")],
        },
    ]

    found = counted(*sources, last_day="2024-02-01")

    assert found.select(*faults).rows() == [(3, 3, 4, 5), (0, 0, 0, 0)]
    assert found["off_grid"].to_list() == [0, 0]


def test_what_the_trades_of_a_day_add_up_to_is_its_volume(counted, zip_entry):
    sources = {
        "days": [
            day("2024-01-01", 3, expected=None, quantity=1.5),
            day("2024-01-02", 0, expected=None),
            day("2024-01-03", 1, expected=None, quantity=0.0),
        ],
        "inputs": [zip_entry("2024-01")],
    }

    found = counted(sources, last_day="2024-01-03")

    assert found["volume"].to_list() == [1.5, None, 0.0]


def test_rows_of_the_api_are_counted_by_their_times(counted, zip_entry, hole):
    partition = {"days": [day("2024-01-01", 288)], "inputs": [zip_entry("2024-01-01")]}
    fill = {
        "missing_ranges": [
            hole(DAY, 2 * DAY, "part"),
            hole(2 * DAY, 3 * DAY, "pending"),
        ]
    }

    found = counted(partition, fill, api=[DAY, DAY + 5], last_day="2024-01-03")

    assert found.select("api", "api_answer", "daily").rows() == [
        (0, None, 288),
        (2, "empty", 0),
        (0, "pending", 0),
    ]


def test_where_no_number_is_known_none_is_expected(counted, zip_entry):
    sources = {
        "days": [day("2024-01-01", 3, expected=None)],
        "inputs": [zip_entry("2024-01-01", first=60)],
    }

    found = counted(sources, last_day="2024-01-02")

    assert found.select("expected", "daily").rows() == [(None, 3), (None, 0)]


def test_of_longer_bars_only_days_on_which_one_opens_count(counted, zip_entry):
    sources = {
        "days": [day("2024-01-01", 1, 1), day("2024-01-08", 0, 1)],
        "inputs": [zip_entry("2024-01")],
    }

    found = counted(sources, interval="1w", last_day="2024-01-20")

    assert found["day"].dt.day().to_list() == [1, 8]


@pytest.mark.parametrize(
    "sources",
    [{}, {"days": [day("2024-01-01", 0)], "inputs": []}, {"missing_ranges": []}],
)
def test_without_rows_there_are_no_days(counted, sources):
    assert counted(sources, last_day="2024-01-03").is_empty()


def test_a_lost_day_before_the_first_row_counts(counted, zip_entry):
    sources = {
        "days": [day("2024-01-03", 288)],
        "inputs": [
            zip_entry("2024-01-01", integrity_status="corrupt"),
            zip_entry("2024-01-03"),
        ],
    }

    found = counted(sources, last_day="2024-01-03")

    assert found.select("day", "expected", "daily", "is_corrupt").rows() == [
        (dt.date(2024, 1, 1), 288, 0, True),
        (dt.date(2024, 1, 3), 288, 288, False),
    ]


def test_the_last_day_of_what_has_ended_counts_to_its_last_row(counted, zip_entry):
    sources = {
        "days": [day("2024-01-01", 288), day("2024-01-02", 9)],
        "inputs": [
            zip_entry("2024-01-01", first=0, last=DAY - 5),
            zip_entry("2024-01-02", first=DAY, last=DAY + 45),
        ],
    }

    for newest, expected in (("2024-01-05", 288), ("2024-01-06", 10)):
        found = counted(sources, last_day="2024-01-02", newest=newest)
        assert found["expected"].to_list() == [288, expected]


def test_a_day_that_only_its_neighbours_files_reach_is_expected_whole(
    counted, zip_entry
):
    # The label 00:00 of metrics is of the day before.
    sources = {
        "days": [
            *(day(f"2024-01-0{n}", 1, expected=None) for n in (1, 3)),
            *(day(f"2024-01-0{n}", 287) for n in (2, 4)),
        ],
        "inputs": [
            zip_entry("2024-01-02", first=-5 + DAY, last=2 * DAY - 10),
            zip_entry("2024-01-04", first=-5 + 3 * DAY, last=4 * DAY - 10),
        ],
    }

    found = counted(sources, last_day="2024-01-04")

    assert found.select("expected", "daily", "monthly", "has_file").rows() == [
        (288, 1, 0, False),
        (288, 287, 0, True),
        (288, 1, 0, False),
        (288, 287, 0, True),
    ]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        pytest.param([100, 100, 14, 100], [None, None, 100, None], id="few"),
        pytest.param(
            [100, 100, 74, 100, 100, 75], [None, None, 100, *[None] * 3], id="quarters"
        ),
        pytest.param([14, 100], [None, None], id="the first day counts to its end"),
        pytest.param([100, 14], [None, 100], id="two days"),
        pytest.param([100] * 9 + [120] * 9, [None] * 18, id="another era"),
        pytest.param([100, 14, 14], [None, 100, 57], id="two days in a row"),
        pytest.param([100, 100, 14, 14, 100], [None, None, 100, 100, None], id="amid"),
        pytest.param([14], [None], id="alone"),
    ],
)
def test_rows_at_a_steady_pace_are_compared_with_the_days_around(
    counted, zip_entry, rows, expected
):
    dates = [dt.date(2024, 1, number + 1).isoformat() for number in range(len(rows))]
    first = (1 - rows[0] / 100) * DAY if rows[0] < rows[-1] else 0
    sources = {
        "days": [
            day(date, number, expected=None)
            for date, number in zip(dates, rows, strict=True)
        ],
        "inputs": [zip_entry(dates[0], first=first), *map(zip_entry, dates[1:])],
    }

    found = counted(sources, last_day=dates[-1], is_steady=True)

    assert found["expected"].to_list() == expected


def test_ids_that_are_missing_between_two_months_count(counted, zip_entry, at):
    def part(name, last, *ends):
        times = [
            [number, int(at(minute).timestamp()) * 1_000_000] for number, minute in ends
        ]
        return {
            "partition": name,
            "ids": times,
            "days": [day(last, 5, expected=None)],
            "inputs": [zip_entry(last)],
        }

    sources = [
        part("2024-01", "2024-01-31", (1, 30 * DAY), (9, 30.5 * DAY)),
        part("2024-02", "2024-02-01", (100, 31 * DAY), (120, 31.5 * DAY)),
        {"partition": "2024-03", "ids": [], "days": [], "inputs": []},
        part("2024-04", "2024-04-01", (121, 91 * DAY), (130, 91.5 * DAY)),
    ]

    found = counted(*sources, last_day="2024-02-02")

    counts = found.filter(pl.col("missing_ids") > 0).select("day", "missing_ids")
    assert counts.rows() == [(dt.date(2024, 1, 31), 90)]


EIGHT = [(hour, 8) for hour in range(0, 96, 8)]


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        pytest.param(EIGHT, [3, 3, 3, 3], id="all"),
        pytest.param([e for e in EIGHT if e[0] != 32], [3, 3, 3, 3], id="one missing"),
        pytest.param(
            [e for e in EIGHT if not 16 < e[0] < 64], [3, 3, 3, 3], id="a day and more"
        ),
        pytest.param(EIGHT[2:], [1, 3, 3, 3], id="it begins later"),
        pytest.param(EIGHT[:-1], [3, 3, 3, 3], id="the last is missing"),
        pytest.param(
            [(0, 8), (8, 8), (16, 8), *((hour, 4) for hour in range(20, 96, 4))],
            [4, 6, 6, 6],
            id="another interval",
        ),
        pytest.param(
            [*EIGHT[:4], (24, 8), *EIGHT[4:]], [3, 4, 3, 3], id="two of one minute"
        ),
        pytest.param(
            [(hour, None) for hour, _ in EIGHT if hour != 48], [3] * 4, id="of the API"
        ),
        pytest.param(
            [(hour, None) for hour in (*range(0, 48, 4), *range(48, 96, 8))],
            [6, 6, 3, 3],
            id="another interval in the API",
        ),
    ],
)
def test_events_are_expected_by_the_hours_that_they_name(
    counted, zip_entry, at, events, expected
):
    rows = pl.DataFrame(
        [(at(60 * hour), hours) for hour, hours in events],
        schema={"time": TIME, "hours": pl.Int8},
        orient="row",
    )
    counts = rows["time"].dt.date().value_counts()
    sources = {
        "days": [
            day(date.isoformat(), number, expected=None, daily=0)
            for date, number in counts.rows()
        ],
        "inputs": [zip_entry("2024-01")],
    }

    found = counted(sources, last_day="2024-01-04", events=rows)

    assert found["expected"].to_list() == expected


def test_no_events_are_expected_after_the_end(counted, zip_entry, at):
    rows = pl.DataFrame({"time": [at(0), at(8 * 60)], "hours": [8, 8]})
    sources = {
        "days": [day("2024-01-01", 2, expected=None, daily=0)],
        "inputs": [zip_entry("2024-01")],
    }

    for newest, expected in (("2024-01-04", [3, 3]), ("2024-01-05", [2, None])):
        found = counted(sources, last_day="2024-01-02", newest=newest, events=rows)
        assert found["expected"].to_list() == expected
