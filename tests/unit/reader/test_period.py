import datetime as dt

import polars as pl
import pytest

from bhds.core.errors import ConfigError
from bhds.reader.period import TimeRange

NOON = dt.datetime(2025, 3, 1, 12, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    "value",
    [
        "2025-03-01T12:00",
        "2025-03-01T12:00Z",
        "2025-03-01 14:00+02:00",
        NOON,
        NOON.replace(tzinfo=None),
        NOON.astimezone(dt.timezone(dt.timedelta(hours=-5))),
    ],
)
def test_moments_are_utc_unless_they_say_otherwise(value):
    assert TimeRange.of(value, None).start == NOON


@pytest.mark.parametrize("value", ["2025-03-01", dt.date(2025, 3, 1)])
def test_a_day_is_its_first_moment(value):
    assert TimeRange.of(None, value).end == dt.datetime(2025, 3, 1, tzinfo=dt.UTC)


def test_the_end_is_not_part_of_it():
    times = pl.DataFrame({"t": [NOON - dt.timedelta(hours=1), NOON]})
    assert times.filter(*TimeRange.of(None, NOON).of_times("t")).height == 1
    assert times.filter(*TimeRange.of(NOON, None).of_times("t"))["t"].to_list() == [
        NOON
    ]


def test_days_are_those_that_a_moment_lies_in():
    days = pl.DataFrame({"day": [dt.date(2025, 3, day) for day in (1, 2, 3, 4)]})

    def touched(start, end):
        return [
            d.day for d in days.filter(*TimeRange.of(start, end).of_days("day"))["day"]
        ]

    assert touched("2025-03-02", "2025-03-04") == [2, 3]
    assert touched("2025-03-02T23:59", "2025-03-04T00:00:00.000001") == [2, 3, 4]
    assert touched(None, None) == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("partition", "start", "end", "touched"),
    [
        ("2024", "2025-02-01", None, False),
        ("2025", "2025-02-01", None, True),
        ("2025-01", "2025-03-01", None, False),
        ("2025-03", "2025-01-01", "2025-02-01", False),
        ("2025-03", "2025-03-31", "2025-04-01", True),
        ("2025-12", "2025-12-31", None, True),
        ("2025-03", None, None, True),
        # A file may reach a moment past the end of its period.
        ("2024", "2025-01-01", None, True),
    ],
)
def test_partitions_are_told_by_their_names(partition, start, end, touched):
    assert TimeRange.of(start, end).touches(partition) == touched


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [
        ("1 March", None, "start '1 March': expected a date, a datetime, or ISO 8601"),
        (None, "2025-02-30", "end '2025-02-30': expected a date"),
        (1740834300000, None, "start 1740834300000: expected a date, a datetime"),
        ("2025-03-01", "2025-03-01", "end 2025-03-01: expected a moment after start"),
    ],
)
def test_what_is_no_period_is_refused(start, end, message):
    with pytest.raises(ConfigError, match=message):
        TimeRange.of(start, end)
