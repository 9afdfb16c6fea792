import datetime as dt

import polars as pl
import pytest

from bhds.bars.grid import is_far_off_grid, put_on_grid
from bhds.core.markets import Interval, TradeType
from bhds.core.timegrid import TIME

MINUTE = Interval.parse("1m")


def times(*texts):
    moments = [dt.datetime.fromisoformat(text + "+00:00") for text in texts]
    return pl.DataFrame({"t": moments}, schema={"t": TIME})


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


def put(bars, interval=MINUTE):
    return put_on_grid(bars, trade_type=TradeType.SPOT, interval=interval)


def test_put_on_grid_leaves_bars_on_the_grid_alone(published):
    bars = published([0, 1, 5])

    gridded = put(bars)

    assert gridded.frame.equals(bars.drop("close_time"))
    assert (gridded.off_grid, gridded.combined) == (0, 0)


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


def test_put_on_grid_combines_bars_without_any_trade(published):
    prices = {"open": [9.0, 2.0], "high": [10.0, 11.0], "low": [8.0, 1.0]}
    bars = published([0, 0.25], close=[9.5, 3.0], trade_count=0, **prices)

    (bar,) = put(bars).frame.iter_rows(named=True)

    assert [bar[k] for k in ("open", "high", "low", "close")] == [9.0, 11.0, 1.0, 3.0]
