"""The regular grid of an interval, and published bars put on it.

`bhds.core.timegrid` says where the grid points are.
"""

import datetime as dt
from dataclasses import dataclass

import polars as pl

from bhds.core.markets import Interval, TradeType
from bhds.core.timegrid import DAY_MS, counts, months_of
from bhds.schemas.klines import TIME, turnover_columns

_DAY_US = DAY_MS * 1_000
_MICROSECOND = dt.timedelta(microseconds=1)
_NO_OFFSET = dt.timedelta(0)
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


def microseconds(duration: dt.timedelta) -> int:
    """Return a duration as a whole number of microseconds."""
    return duration // _MICROSECOND


def with_phase_of(interval: Interval, open_time: pl.Series) -> Interval:
    """Return the interval with the phase of published bars, sorted by open time."""
    if not interval.has_phase:
        return interval
    return interval.with_phase_of(open_time.to_physical() // _DAY_US)


def floor_time(
    time: pl.Expr, *, interval: Interval, offset: dt.timedelta = _NO_OFFSET
) -> pl.Expr:
    """Return the last grid point at or before `time`, as Datetime[us, UTC].

    The grid is shifted by `offset`, which calendar months do not have.
    """
    if interval.duration is None:
        return time.dt.truncate(interval.name)
    every = microseconds(interval.duration)
    physical = time.to_physical()
    start, _ = _count_of(physical - microseconds(offset), interval=interval)
    shift = start + microseconds(offset)
    return (physical - (physical - shift) % every).cast(TIME)


def is_far_off_grid(time: pl.Expr, *, interval: Interval) -> pl.Expr:
    """Return an expression: whether a bar opens too far from its grid point.

    That is more than a minute after the grid point that it is put on, of bars of 5
    minutes and longer: such a bar is not the one of that grid point. Trading that is
    resumed within a minute moves every shorter bar, and no longer one, by seconds.
    """
    if interval.duration is not None and interval.duration < _SHORTEST_COUNTED:
        return pl.lit(value=False)
    return time - floor_time(time, interval=interval) > pl.lit(_FAR)


def grid_number(time: pl.Expr, *, interval: Interval) -> pl.Expr:
    """Return the number of the grid point `time` is on or after, as Int64.

    Neighbouring grid points differ by 1, which makes grid points countable for
    calendar months as well.
    """
    if interval.duration is None:
        # Since 1970, from where Polars counts months to truncate to several.
        years = time.dt.year().cast(pl.Int64) - 1970
        months = years * 12 + time.dt.month() - 1
        return months // months_of(interval)
    physical = time.to_physical()
    start, number = _count_of(physical, interval=interval)
    return (physical - start) // microseconds(interval.duration) + number


def _count_of(physical: pl.Expr, *, interval: Interval) -> tuple[pl.Expr, pl.Expr]:
    """Return the grid point in µs, and its number, from which bars are counted."""
    known = counts(interval)
    starts = pl.Series([count.start_ms * 1_000 for count in known], dtype=pl.Int64)
    numbers = pl.Series([count.number for count in known], dtype=pl.Int64)
    if len(known) == 1:  # nearly always, and much faster
        return pl.lit(starts[0]), pl.lit(numbers[0])
    at = pl.lit(starts).search_sorted(physical, side="right").cast(pl.Int64) - 1
    at = at.clip(0)
    return pl.lit(starts).gather(at), pl.lit(numbers).gather(at)


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
        n >= 0 rows of `columns.parsed_klines`, sorted by unique `open_time`.
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
