import datetime as dt

import polars as pl
import pytest

from bhds.bars.forward_fill import fill_segments
from bhds.core.markets import Interval
from bhds.schemas.klines import RESULT_SOURCES

MINUTE = Interval.parse("1m")
DAY = 24 * 60


def with_segments(bars, segments):
    return bars.drop("close_time").with_columns(
        pl.col("source").cast(RESULT_SOURCES),
        segment=pl.Series(segments, dtype=pl.Int16),
    )


def test_missing_bars_are_flat_at_the_last_close(published, minutes_of):
    bars = with_segments(
        published([0, 3, 4], open=1.0, high=9.0, close=[5.0, 6.0, 7.0]), [0, 0, 0]
    )

    filled = fill_segments(bars, interval=MINUTE)

    assert minutes_of(filled["open_time"]) == [0, 1, 2, 3, 4]
    assert filled["source"].to_list() == ["daily", "filled", "filled", "daily", "daily"]
    inserted = filled.filter(pl.col("source") == "filled")
    for price in ("open", "high", "low", "close"):
        assert inserted[price].to_list() == [5.0, 5.0]
    for total in ("volume", "quote_volume", "trade_count", "taker_buy_volume"):
        assert inserted[total].sum() == 0
    assert inserted["segment"].to_list() == [0, 0]
    assert filled.filter(pl.col("source") != "filled").equals(bars)


@pytest.mark.parametrize("minutes", [[], [0], [0, 1, 2]])
def test_complete_series_are_returned_as_they_are(published, minutes):
    bars = with_segments(published(minutes), [0] * len(minutes))

    assert fill_segments(bars, interval=MINUTE).equals(bars)


@pytest.mark.parametrize(
    ("interval", "days", "inserted"),
    [
        pytest.param("3d", [0, 6], ["2024-01-04"], id="3d"),
        pytest.param("1w", [0, 14], ["2024-01-08"], id="1w"),
        pytest.param("1mo", [0, 91], ["2024-02-01", "2024-03-01"], id="1mo"),
    ],
)
def test_long_intervals_are_filled_on_their_grid(published, interval, days, inserted):
    bars = with_segments(published([day * DAY for day in days]), [0, 0])

    filled = fill_segments(bars, interval=Interval.parse(interval))

    new = filled.filter(pl.col("source") == "filled")["open_time"].to_list()
    assert new == [dt.datetime.fromisoformat(day + "T00:00+00:00") for day in inserted]
