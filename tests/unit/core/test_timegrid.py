"""Grid points, one at a time, are those of columns."""

import datetime as dt
import json
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhds.core.markets import ARCHIVE_INTERVALS, Interval
from bhds.core.timegrid import (
    DAY_MS,
    TIME,
    Grid,
    Span,
    floor_time,
    grid_number,
    with_phase_of,
)

THREE_DAYS = Interval.parse("3d")
FIRST = 19_000  # 2022-01-08, on phase 1
API_KLINES = Path("../shared/realdata/spot/api_klines/BTCUSDT")

MOMENTS = [
    dt.datetime(2020, 2, 29, 23, 59, 59, 999_000, tzinfo=dt.UTC),
    dt.datetime(2024, 12, 30, tzinfo=dt.UTC),
    dt.datetime(2025, 1, 1, tzinfo=dt.UTC),
    dt.datetime(2025, 3, 9, 10, 14, 14, 789_000, tzinfo=dt.UTC),
]


@pytest.mark.parametrize("name", [*ARCHIVE_INTERVALS, "7mo"])
@pytest.mark.parametrize("moment", MOMENTS, ids=str)
def test_a_point_has_the_number_and_time_that_columns_say(name, moment):
    interval = Interval.parse(name)
    time = pl.lit(moment).cast(TIME)
    number, floor, time_ms = pl.select(
        grid_number(time, interval=interval),
        floor_time(time, interval=interval).dt.epoch("ms").alias("floor"),
        time.dt.epoch("ms").alias("time"),
    ).row(0)
    grid = Grid(interval)

    assert grid.number(time_ms) == number
    assert grid.time(number) == grid.floor(time_ms) == floor
    assert grid.ceil(time_ms) == (floor if floor == time_ms else grid.time(number + 1))
    assert grid.points(Span(floor, grid.time(number + 3))) == 3


def times(*texts):
    moments = [dt.datetime.fromisoformat(text + "+00:00") for text in texts]
    return pl.DataFrame({"t": moments}, schema={"t": TIME})


@pytest.mark.parametrize(
    ("interval", "time", "floored"),
    [
        ("1s", "2024-01-01T00:00:14.789", "2024-01-01T00:00:14"),
        ("1m", "2024-01-01T00:03:14.789", "2024-01-01T00:03:00"),
        ("1h", "2024-01-01T05:59:59.999999", "2024-01-01T05:00:00"),
        ("1d", "2024-01-01T05:00:00", "2024-01-01T00:00:00"),
        ("1w", "2024-01-07T23:00:00", "2024-01-01T00:00:00"),
        ("1w", "2024-01-08T00:00:00", "2024-01-08T00:00:00"),
        ("1mo", "2024-02-29T12:00:00", "2024-02-01T00:00:00"),
    ],
)
def test_floor_time_is_the_grid_point_at_or_before(interval, time, floored):
    expression = floor_time(pl.col("t"), interval=Interval.parse(interval))

    assert times(time).select(expression).equals(times(floored))


@pytest.mark.parametrize(
    ("phase", "time", "floored"),
    [
        (0, "2020-01-02T23:59:00", "2019-12-31T00:00:00"),
        (1, "2020-01-03T23:59:00", "2020-01-01T00:00:00"),
        (1, "2020-01-04T00:00:00", "2020-01-04T00:00:00"),
        (2, "2020-01-04T00:00:00", "2020-01-02T00:00:00"),
    ],
)
def test_days_of_3d_bars_are_counted_from_the_phase(phase, time, floored):
    expression = floor_time(pl.col("t"), interval=THREE_DAYS.with_phase_of([phase]))

    assert times(time).select(expression).equals(times(floored))


def test_floor_time_shifts_the_grid_by_the_offset():
    expression = floor_time(
        pl.col("t"), interval=Interval.parse("1h"), offset=dt.timedelta(minutes=5)
    )

    floored = times("2024-01-01T01:04:59", "2024-01-01T01:05:00").select(expression)

    assert floored.equals(times("2024-01-01T00:05:00", "2024-01-01T01:05:00"))


@pytest.mark.parametrize("name", ["1m", "8h", "3d", "1w", "1mo", "3mo"])
def test_neighbouring_grid_points_differ_by_one(name):
    interval = Interval.parse(name)
    days = (
        pl.datetime_range(
            dt.datetime(2023, 1, 1, tzinfo=dt.UTC),
            dt.datetime(2025, 1, 1, tzinfo=dt.UTC),
            "1d",
            time_unit="us",
            time_zone="UTC",
            eager=True,
        )
        .alias("t")
        .to_frame()
    )
    points = days.select(floor_time(pl.col("t"), interval=interval)).unique(
        maintain_order=True
    )
    following = pl.col("t").dt.offset_by(name)

    steps = points.select(
        grid_number(following, interval=interval)
        - grid_number(pl.col("t"), interval=interval)
    )["t"]

    assert steps.unique().to_list() == [1]


@pytest.mark.skipif(not API_KLINES.exists(), reason="no recorded API klines")
@pytest.mark.parametrize("folder", ["2h", "12h", "1d", "3d", "1w", "1M"])
def test_bars_of_the_exchange_are_on_the_grid(folder):
    interval = Interval.parse(folder.replace("M", "mo"))
    for path in (API_KLINES / folder).glob("*.json"):
        opens = [row[0] for row in json.loads(path.read_text())]
        recorded = pl.DataFrame({"t": opens}).select(
            pl.from_epoch("t", time_unit="ms").dt.replace_time_zone("UTC").cast(TIME)
        )

        phased = with_phase_of(interval, recorded["t"])
        floored = recorded.select(floor_time(pl.col("t"), interval=phased))

        assert len(phased.phase_starts) == phased.has_phase
        assert floored.equals(recorded), path


@given(st.lists(st.integers(1, 8), max_size=8), st.integers(-9, 40), st.integers(0, 5))
def test_grid_points_of_restarted_counts_are_numbered_without_gaps(steps, day, n):
    days = [FIRST]
    for step in steps:
        days.append(days[-1] + step)
    grid = Grid(THREE_DAYS.with_phase_of(days))
    number = grid.number((FIRST + day) * DAY_MS)

    times = [grid.time(number + k) for k in range(n + 2)]

    assert [grid.number(time) for time in times] == list(range(number, number + n + 2))
    assert [grid.number(time - 1) + 1 for time in times] == [
        grid.number(time) for time in times
    ]
    assert all(0 < after - at <= 3 * DAY_MS for at, after in pairwise(times))
    assert grid.points(Span(times[0], times[-1])) == n + 1
    assert all(grid.floor(each * DAY_MS) == each * DAY_MS for each in days)
