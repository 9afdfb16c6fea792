import datetime as dt

import polars as pl
import pytest

from bhds.columns import DAYS, TIME
from bhds.markets import Interval
from bhds.quality.records import account

DAY = 24 * 60


@pytest.fixture
def counted(at):
    def counted(*sources, last_day, api=(), interval=None):
        found = account(
            sources,
            fill_times=pl.Series([at(minute) for minute in api], dtype=TIME),
            symbol="AUSDT",
            interval=interval and Interval.parse(interval),
            last_day=dt.date.fromisoformat(last_day),
        )
        assert found.schema == DAYS
        return found

    return counted


def day(date, present, expected=288, **more):
    return {"day": date, "expected": expected, "present": present, **more}


def test_rows_are_those_of_the_kind_of_zip_that_covers_the_day(counted, zip_entry):
    sources = {
        "days": [day("2024-01-31", 288), day("2024-02-01", 287, conflicts=3)],
        "inputs": [zip_entry("2024-01"), zip_entry("2024-02-01")],
    }

    found = counted(sources, last_day="2024-02-01")

    columns = ["expected", "daily", "monthly", "conflicts", "has_file"]
    assert found.select(columns).rows() == [
        (288, 0, 288, 0, True),
        (288, 287, 0, 3, True),
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
    fill = {"holes": [hole(DAY, 2 * DAY, "part"), hole(2 * DAY, 3 * DAY, "pending")]}

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
    "sources", [{}, {"days": [day("2024-01-01", 0)], "inputs": []}, {"holes": []}]
)
def test_without_rows_there_are_no_days(counted, sources):
    assert counted(sources, last_day="2024-01-03").is_empty()


def test_a_lost_day_before_the_first_row_counts(counted, zip_entry):
    sources = {
        "days": [day("2024-01-03", 288)],
        "inputs": [zip_entry("2024-01-01", verdict="corrupt"), zip_entry("2024-01-03")],
    }

    found = counted(sources, last_day="2024-01-03")

    assert found.select("day", "expected", "daily", "is_corrupt").rows() == [
        (dt.date(2024, 1, 1), 288, 0, True),
        (dt.date(2024, 1, 3), 288, 288, False),
    ]
