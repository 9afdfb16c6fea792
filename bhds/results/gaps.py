"""Find the stretches in which a symbol did not trade, and those that split it."""

import datetime as dt
from dataclasses import dataclass

import polars as pl

from bhds.columns import GAPS
from bhds.markets import Interval
from bhds.results.grid import grid_number

_PRICE_CHANGE_DECIMALS = 12
"""Rounds away binary noise: 110 / 100 - 1 is to be no more than 0.1."""


@dataclass(frozen=True)
class SplitRule:
    """When a stretch without trades ends one segment and begins the next.

    It does if `dt > min_days` and `|price change| > min_price_change`, or if
    `dt > 2 * min_days` whatever the price; `dt` is the time between the open times
    of the traded bars on either side.
    """

    enabled: bool = True
    min_days: float = 1.0
    min_price_change: float = 0.1

    def expression(self) -> pl.Expr:
        """Return the rule on the columns `duration` and `price_change`."""
        if not self.enabled:
            return pl.lit(value=False)
        shortest = dt.timedelta(days=self.min_days)
        duration = pl.col("duration")
        moved = pl.col("price_change").abs() > self.min_price_change
        return ((duration > shortest) & moved) | (duration > 2 * shortest)


def find_gaps(
    bars: pl.DataFrame, *, symbol: str, interval: Interval, split: SplitRule
) -> pl.DataFrame:
    """List where bars are missing between traded bars, and where to split.

    Parameters
    ----------
    bars
        n >= 0 published bars on the grid of `interval`, sorted by unique
        `open_time`: `open_time`, `open`, `close`, `trade_count`.
    symbol
        Fills the column `symbol`.
    interval, split
        The spacing of the bars, and when to split.

    Returns
    -------
    polars.DataFrame
        `columns.GAPS`, sorted by unique `last_open_time`: one row a stretch between
        two neighbouring traded bars (`last_open_time`, `first_open_time`) that
        lacks a published bar or that splits. `missing_bars` and `untraded_bars`
        count the grid points between them without a bar and with a bar without
        trades; `duration` is the time between the two; `price_change` is open over
        previous close minus 1, to 12 decimals. Bars without trades after the last
        traded one make a final row, with `first_open_time` and `price_change` null
        and `duration` up to the last published bar. Neighbouring grid points are
        never a gap, so that bars longer than `min_days` do not all split.
    """
    numbered = (
        bars.lazy()
        .select("open_time", "open", "close", "trade_count")
        .with_row_index("position")
        .with_columns(number=grid_number(pl.col("open_time"), interval=interval))
    )
    stretches = pl.concat([_inner_stretches(numbered), _tail(numbered)])
    return (
        stretches.with_columns(
            split=split.expression() & pl.col("first_open_time").is_not_null(),
            symbol=pl.lit(symbol),
        )
        .filter(
            (pl.col("missing_bars") > 0)
            | pl.col("split")
            | pl.col("first_open_time").is_null()
        )
        .select(pl.col(name).cast(dtype) for name, dtype in GAPS.items())
        .collect()
    )


def _inner_stretches(numbered: pl.LazyFrame) -> pl.LazyFrame:
    """Return one row for each two neighbouring traded bars not next to each other."""
    between = pl.col("number").diff() - 1
    untraded = pl.col("position").cast(pl.Int64).diff() - 1
    change = pl.col("open") / pl.col("last_close") - 1
    return (
        numbered.filter(pl.col("trade_count") > 0)
        .with_columns(
            last_open_time=pl.col("open_time").shift(1),
            last_close=pl.col("close").shift(1),
            untraded_bars=untraded,
            missing_bars=between - untraded,
        )
        .filter(pl.col("untraded_bars") + pl.col("missing_bars") > 0)
        .select(
            "last_open_time",
            pl.col("open_time").alias("first_open_time"),
            "missing_bars",
            "untraded_bars",
            duration=pl.col("open_time") - pl.col("last_open_time"),
            price_change=change.round(_PRICE_CHANGE_DECIMALS),
        )
    )


def _tail(numbered: pl.LazyFrame) -> pl.LazyFrame:
    """Return one row if bars without trades follow the last traded bar, or none."""
    last_traded = pl.all().filter(pl.col("trade_count") > 0).last()
    ends = numbered.select(last_traded, pl.all().last().name.prefix("end_"))
    untraded = (pl.col("end_position") - pl.col("position")).cast(pl.Int64)
    return ends.filter(untraded > 0).select(
        pl.col("open_time").alias("last_open_time"),
        pl.lit(None, GAPS["first_open_time"]).alias("first_open_time"),
        (pl.col("end_number") - pl.col("number") - untraded).alias("missing_bars"),
        untraded.alias("untraded_bars"),
        duration=pl.col("end_open_time") - pl.col("open_time"),
        price_change=pl.lit(None, pl.Float64),
    )
