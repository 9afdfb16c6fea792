"""Put published bars on the regular grid of their interval."""

import datetime as dt
from dataclasses import dataclass

import polars as pl

from bhds.core.markets import Interval, TradeType
from bhds.core.timegrid import floor_time
from bhds.schemas.klines import turnover_columns

_SHORTEST_COUNTED = dt.timedelta(minutes=5)
_FAR = dt.timedelta(minutes=1)


@dataclass(frozen=True)
class GridBars:
    """Published bars on the grid, and what had to be done to them."""

    frame: pl.DataFrame
    off_grid: int
    """Published bars that opened between two grid points."""
    combined: int
    """Grid points on which several published bars fell."""


def is_far_off_grid(time: pl.Expr, *, interval: Interval) -> pl.Expr:
    """Return an expression: whether a bar opens too far from its grid point.

    That is more than a minute after the grid point that it is put on, of bars of 5
    minutes and longer: such a bar is not the one of that grid point. Trading that is
    resumed within a minute moves every shorter bar, and no longer one, by seconds.
    """
    if interval.duration is not None and interval.duration < _SHORTEST_COUNTED:
        return pl.lit(value=False)
    return time - floor_time(time, interval=interval) > pl.lit(_FAR)


def combine_bars(trade_type: TradeType) -> list[pl.Expr]:
    """Return the aggregations that make one bar of several, in time order.

    Prices are those of the bars with trades; only where there are none, of all.

    Notes
    -----
    So does the exchange: spot BTCUSDT opened no trade from 2023-03-24 12:00 on. Its 1h
    and 2h bars of 12:00 are flat at 28080.00, without volume; the 4h bar of 12:00
    opens at 28079.99, as does the 1h bar of 14:00, when trading went on.
    """
    turnover, taker_buy_turnover = turnover_columns(trade_type)
    sums = ("volume", turnover, "trade_count", "taker_buy_volume", taker_buy_turnover)
    opens, highs, lows, closes = map(_of_trades, ("open", "high", "low", "close"))
    return [
        pl.coalesce(opens.first(ignore_nulls=True), pl.col("open").first()),
        pl.coalesce(highs.max(), pl.col("high").max()),
        pl.coalesce(lows.min(), pl.col("low").min()),
        pl.coalesce(closes.last(ignore_nulls=True), pl.col("close").last()),
        pl.col(*sums).sum(),
    ]


def _of_trades(price: str) -> pl.Expr:
    """Return a price of bars with trades, null of those without."""
    return pl.when(pl.col("trade_count") > 0).then(price)


def put_on_grid(
    bars: pl.DataFrame, *, trade_type: TradeType, interval: Interval
) -> GridBars:
    """Floor each bar's `open_time` to the grid, and combine what then coincides.

    Parameters
    ----------
    bars
        n >= 0 rows of `klines.parsed_klines`, sorted by unique `open_time`.
    trade_type, interval
        The market and the spacing of the bars.

    Returns
    -------
    GridBars
        m <= n rows sorted by unique `open_time`, every one on the grid, without
        `close_time`. Bars on one grid point are combined: `source` of the first, sums,
        and of those with trades, or of all if there are none, open of the first,
        extremes and close of the last. None is dropped, so volumes and
        trades are those of the input.
    """
    floored = floor_time(pl.col("open_time"), interval=interval)
    off_grid = bars.select((floored != pl.col("open_time")).sum()).item()
    gridded = bars.drop("close_time")
    if off_grid == 0:
        return GridBars(gridded, off_grid=0, combined=0)
    gridded = gridded.with_columns(floored)
    time = pl.col("open_time")
    shared = (time == time.shift(1)) | (time == time.shift(-1))
    shared = shared.fill_null(value=False)
    combined = (
        gridded.filter(shared)
        .group_by("open_time", maintain_order=True)
        .agg(*combine_bars(trade_type), pl.col("source").first())
        .select(gridded.columns)
    )
    if not combined.is_empty():
        gridded = gridded.filter(~shared).merge_sorted(combined, key="open_time")
    return GridBars(gridded, off_grid=off_grid, combined=combined.height)
