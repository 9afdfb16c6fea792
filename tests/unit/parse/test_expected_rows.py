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


@pytest.mark.parametrize(
    ("interval", "covered", "opened", "expected"),
    [
        pytest.param(
            "8h",
            ["01-01", "01-02", "01-03", "01-01"],
            ["01-01T00:00", "01-01T08:00", "01-03T16:00"],
            [("01-01", 3, 2), ("01-02", 3, 0), ("01-03", 3, 1)],
            id="each day once",
        ),
        pytest.param("1s", ["01-01"], [], [("01-01", 86_400, 0)], id="seconds"),
        pytest.param("1d", ["01-01"], [], [("01-01", 1, 0)], id="days"),
        pytest.param(
            "1w",
            ["01"],
            ["01-01", "01-15"],
            [(f"01-{n:02}", 1, int(n in {1, 15})) for n in (1, 8, 15, 22, 29)],
            id="weeks on Mondays",
        ),
        pytest.param(
            "1w",
            ["02-14"],
            ["02-12"],
            [("02-12", None, 1)],
            id="a bar on a day that is not covered",
        ),
        pytest.param(
            "1mo",
            ["01", "02"],
            ["01-01"],
            [("01-01", 1, 1), ("02-01", 1, 0)],
            id="months on the first",
        ),
        pytest.param(
            "3d",
            ["01"],
            ["01-01", "01-04", "01-10"],
            [(f"01-{n:02}", 1, int(n in {1, 4, 10})) for n in range(1, 32, 3)],
            id="three days in step with those present",
        ),
        pytest.param("3d", ["01"], [], [], id="three days of which none is present"),
    ],
)
def test_bars_are_counted_on_the_days_on_which_one_opens(
    interval, covered, opened, expected
):
    days = expected_per_day(
        rows_per_day(times(*(f"2024-{time}" for time in opened))),
        interval=Interval.parse(interval),
        covered=[FilePeriod.parse(f"2024-{text}") for text in covered],
    )

    found = [tuple(day.values()) for day in days]
    assert found == [(f"2024-{day}", *counts) for day, *counts in expected]


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
