"""Grid points, one at a time, are those of columns."""

import datetime as dt

import polars as pl
import pytest

from bhds.core.markets import ARCHIVE_INTERVALS, Interval
from bhds.core.timegrid import TIME, Grid, Span, floor_time, grid_number

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
