import datetime as dt

import polars as pl
import pytest

from bhds.archive.integrity.zip_input import DAY_US, FilePeriod, day_us
from bhds.core.markets import Interval
from bhds.core.timegrid import TIME
from bhds.parse.expected_rows import (
    earliest_open_us,
    events_due,
    expected_per_day,
    is_off_grid,
    rows_per_day,
)


def times(*texts):
    moments = [dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC) for text in texts]
    return pl.Series(moments, dtype=TIME)


@pytest.mark.parametrize(
    ("interval", "on", "off"),
    [
        ("1s", "2024-01-01T00:00:01", "2024-01-01T00:00:01.001"),
        ("1m", "2024-01-01T00:01", "2018-02-09T09:28:14.789"),
        ("8h", "2024-01-01T16:00", "2024-01-01T04:00"),
        ("1d", "2024-01-01", "2024-01-01T01:00"),
        ("3d", "2024-01-02", "2024-01-01T12:00"),
        ("1w", "2024-01-01", "2024-01-02"),
        ("1mo", "2024-02-01", "2024-02-02"),
        ("1mo", "2024-02-01", "2024-02-01T00:00:00.001"),
    ],
)
def test_bars_off_the_grid_are_told(interval, on, off):
    open_us = pl.Series("t", times(on, off)).to_physical()

    flags = pl.select(is_off_grid(pl.lit(open_us), interval=Interval.parse(interval)))

    assert flags.to_series().to_list() == [False, True]


@pytest.mark.parametrize(
    ("interval", "earliest"),
    [("1m", "2024-02-14"), ("1d", "2024-02-14"), ("1mo", "2024-02-01")],
)
def test_bar_of_a_day_opens_no_earlier(interval, earliest):
    day = dt.date(2024, 2, 14)

    bound = earliest_open_us(day, Interval.parse(interval))

    assert bound == day_us(dt.date.fromisoformat(earliest))


def test_week_may_open_before_a_day_that_it_reaches():
    bound = earliest_open_us(dt.date(2024, 2, 14), Interval.parse("1w"))

    assert bound == day_us(dt.date(2024, 2, 7)) + 1


def table(interval, open_time, *covered):
    days = expected_per_day(
        rows_per_day(open_time),
        interval=Interval.parse(interval),
        covered=[FilePeriod.parse(text) for text in covered],
    )
    return [tuple(day.values()) for day in days]


def test_each_covered_day_is_counted():
    bars = times("2024-01-01T00:00", "2024-01-01T08:00", "2024-01-03T16:00")

    days = table("8h", bars, "2024-01-01", "2024-01-02", "2024-01-03", "2024-01-01")

    assert days == [("2024-01-01", 3, 2), ("2024-01-02", 3, 0), ("2024-01-03", 3, 1)]


@pytest.mark.parametrize(
    ("interval", "expected"),
    [("1s", 86_400), ("1m", 1440), ("15m", 96), ("12h", 2), ("1d", 1)],
)
def test_day_should_be_full(interval, expected):
    assert table(interval, times(), "2024-01-01") == [("2024-01-01", expected, 0)]


def test_weeks_are_counted_on_mondays():
    days = table("1w", times("2024-01-01", "2024-01-15"), "2024-01")

    assert days == [
        ("2024-01-01", 1, 1),
        ("2024-01-08", 1, 0),
        ("2024-01-15", 1, 1),
        ("2024-01-22", 1, 0),
        ("2024-01-29", 1, 0),
    ]


def test_months_are_counted_on_the_first():
    days = table("1mo", times("2024-01-01"), "2024-01", "2024-02")

    assert days == [("2024-01-01", 1, 1), ("2024-02-01", 1, 0)]


def test_three_day_bars_are_counted_in_step_with_those_present():
    days = table("3d", times("2020-01-01", "2020-01-04", "2020-01-10"), "2020-01")

    assert [day for day, _, _ in days[:4]] == [
        "2020-01-01",
        "2020-01-04",
        "2020-01-07",
        "2020-01-10",
    ]
    assert [present for _, _, present in days[:4]] == [1, 1, 0, 1]
    assert table("3d", times(), "2020-01") == []


def test_bar_on_a_day_that_is_not_covered_is_counted_too():
    days = table("1w", times("2024-02-12"), "2024-02-14")

    assert days == [("2024-02-12", None, 1)]


def test_rows_of_a_known_spacing_are_counted():
    present = rows_per_day(times("2023-12-31T23:55", "2024-01-01", "2024-01-01T00:05"))

    days = expected_per_day(
        present,
        covered=[FilePeriod.parse("2024-01-01"), FilePeriod.parse("2024-01-02")],
        spacing=dt.timedelta(minutes=5),
    )

    assert [tuple(day.values()) for day in days] == [
        ("2023-12-31", None, 1),
        ("2024-01-01", 288, 2),
        ("2024-01-02", 288, 0),
    ]


@pytest.mark.parametrize(
    ("events", "due"),
    [
        pytest.param([], {}, id="none"),
        pytest.param(
            ["01T00/8", "01T08/8", "01T16/8", "02T16/8"],
            {"01": 3, "02": 3},
            id="1 of 3",
        ),
        pytest.param(["01T08/8", "02T00/8"], {}, id="ends are not known"),
        pytest.param(
            ["01T00/8", "01T16/8", "01T20/4", "02T20/4"],
            {"01": 4, "02": 6},
            id="the interval changes",
        ),
        pytest.param(
            ["01T00/8", "01T08/4", "01T12/4", "01T16/4", "01T20/4"],
            {"01": 5},
            id="it changes after a longer time",
        ),
        pytest.param(
            ["01T00/8", "01T00/8", "01T08/8", "01T16/8"],
            {"01": 4},
            id="two of one minute",
        ),
        pytest.param(["01T16/8", "04T00/8"], {"02": 3, "03": 3}, id="days without any"),
    ],
)
def test_events_due_follow_from_the_interval_of_the_event_before(events, due):
    parted = [event.split("/") for event in events]
    hours = pl.Series([int(number) for _, number in parted], dtype=pl.Int8)

    found = events_due(times(*(f"2024-01-{time}:00" for time, _ in parted)), hours)

    of_days = {
        day_us(dt.date(2024, 1, int(day))) // DAY_US: n for day, n in due.items()
    }
    assert found == of_days


def test_how_many_rows_there_should_be_may_be_unknown():
    present = rows_per_day(times("2023-12-31T23:55", "2024-01-01"))

    days = expected_per_day(present, covered=[FilePeriod.parse("2024-01-01")])

    assert [tuple(day.values()) for day in days] == [
        ("2023-12-31", None, 1),
        ("2024-01-01", None, 1),
    ]
