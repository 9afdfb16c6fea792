import datetime as dt
import json
from pathlib import Path

import polars as pl
import pytest

from bhds.bars.grid import is_far_off_grid, put_on_grid
from bhds.core.markets import Interval, TradeType
from bhds.core.timegrid import TIME, floor_time, grid_number, with_phase_of

MINUTE = Interval.parse("1m")
THREE_DAYS = Interval.parse("3d")
API_KLINES = Path("../shared/realdata/spot/api_klines/BTCUSDT")


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


@pytest.mark.parametrize(
    ("interval", "time", "is_far"),
    [
        ("5m", "2018-02-10T05:01:00", False),
        ("5m", "2018-02-10T05:01:00.001", True),
        ("1h", "2018-02-10T05:28:14", True),
        ("1h", "2018-02-10T05:00:59", False),
        ("1w", "2018-02-05T09:00:00", True),
        ("1mo", "2018-02-01T00:00:00", False),
        ("1mo", "2018-02-02T00:00:00", True),
        ("3m", "2018-02-10T05:02:00", False),
        ("1m", "2018-02-10T05:00:59", False),
    ],
)
def test_bars_of_5m_and_longer_are_far_off_the_grid_after_a_minute(
    interval, time, is_far
):
    expression = is_far_off_grid(pl.col("t"), interval=Interval.parse(interval))

    assert times(time).filter(expression).height == is_far


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


def put(bars, interval=MINUTE):
    return put_on_grid(bars, trade_type=TradeType.SPOT, interval=interval)


def test_put_on_grid_leaves_bars_on_the_grid_alone(published):
    bars = published([0, 1, 5])

    gridded = put(bars)

    assert gridded.frame.equals(bars.drop("close_time"))
    assert (gridded.off_grid, gridded.combined) == (0, 0)


def test_put_on_grid_floors_bars_that_open_mid_minute(published, minutes_of):
    gridded = put(published([0, 1.25, 2.25]))

    assert minutes_of(gridded.frame["open_time"]) == [0, 1, 2]
    assert (gridded.off_grid, gridded.combined) == (2, 0)


def test_put_on_grid_combines_bars_of_one_minute(published, minutes_of):
    bars = published(
        [0, 1, 1.25, 1.5, 2],
        open=[1.0, 2.0, 3.0, 4.0, 5.0],
        high=[1.0, 9.0, 8.0, 7.0, 5.0],
        low=[1.0, 0.5, 0.7, 0.2, 5.0],
        close=[1.0, 3.0, 4.0, 6.0, 5.0],
        volume=[1.0, 10.0, 20.0, 30.0, 5.0],
        trade_count=[1, 2, 3, 4, 5],
        source=["daily", "api", "daily", "daily", "daily"],
    )

    gridded = put(bars)

    assert minutes_of(gridded.frame["open_time"]) == [0, 1, 2]
    middle = gridded.frame.row(1, named=True)
    assert [middle[k] for k in ("open", "high", "low", "close")] == [2.0, 9.0, 0.2, 6.0]
    assert (middle["volume"], middle["trade_count"]) == (60.0, 9)
    assert middle["source"] == "api"
    assert (gridded.off_grid, gridded.combined) == (2, 1)


def test_put_on_grid_takes_no_price_from_a_bar_without_trades(published):
    bars = published(
        [0, 0.25, 0.5], close=[9.0, 2.0, 1.0], trade_count=[0, 3, 0], source="daily"
    )

    (bar,) = put(bars).frame.iter_rows(named=True)

    assert [bar[k] for k in ("open", "high", "low", "close")] == [2.0] * 4
    assert bar["trade_count"] == 3


def test_put_on_grid_combines_bars_without_any_trade(published):
    bars = published([0, 0.25], close=[9.0, 2.0], trade_count=0)

    (bar,) = put(bars).frame.iter_rows(named=True)

    assert [bar[k] for k in ("open", "high", "low", "close")] == [9.0, 9.0, 2.0, 2.0]


def test_put_on_grid_accepts_no_bars(published):
    assert put(published([])).frame.height == 0
