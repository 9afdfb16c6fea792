"""Find the stretches in which a symbol did not trade, and where its history splits.

A gap is one grid point or more without a trade, between two traded bars. It splits

- at the traded bar after it, if `dt > min_days` and `|price change| >
  min_price_change`, where `dt` is the time between the open times of the two;
- at the traded bar after it, if the price rose or fell by more than the factor
  `max_price_ratio`, however short the gap is;
- at the first published bar after each run of unpublished bars that lasts longer
  than `2 * min_days`, whatever the price. Published bars interrupt a run.

Of bars of a day and longer, the first needs three grid points without a trade, and
the last three unpublished bars in a row.

Each of the three is decided by bars up to the one that begins the segment, so a
later bar never moves a split.
"""

import datetime as dt
from dataclasses import dataclass

import polars as pl

from bhds.config import SplitRule
from bhds.core.markets import Interval
from bhds.core.timegrid import grid_number
from bhds.core.unlisted import Unlisted, is_unlisted
from bhds.schemas.quality_tables import GAPS

ENDED_AFTER = dt.timedelta(days=7)
"""Published bars without one trade for longer than this show that a symbol has ended.
Should it trade again, they come back."""

_DECIMALS = 12
"""Rounds away binary noise: 110 / 100 - 1 is to be no more than 0.1."""

_TRADED = pl.col("open_time").filter(pl.col("trade_count") > 0)
_DAY = dt.timedelta(days=1)
_FEWEST_LONG_BARS = 3
"""How many grid points of bars of a day and longer the clauses with days need: one bar
of a week is longer than any usual limit, and the archive loses single bars."""


@dataclass(frozen=True)
class Gaps:
    """The gaps of one symbol, and where they cut its history."""

    table: pl.DataFrame
    """`quality_tables.GAPS`; see `find_gaps`."""
    begins: pl.Series
    """The open times of the first bar of each segment but the first, sorted."""


def find_gaps(
    bars: pl.DataFrame,
    *,
    symbol: str,
    interval: Interval,
    split: SplitRule,
    has_ended: bool = False,
    unlisted: Unlisted = (),
) -> Gaps:
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
    has_ended
        Whether the bars without trades after the last traded bar are no part of the
        history, because the symbol has ended.
    unlisted
        When the symbol was not listed: bars without trades that open then are no part
        of the history either, and count as unpublished.

    Returns
    -------
    Gaps
        `table` is sorted by unique `prev_open_time`: one row for two neighbouring
        traded bars (`prev_open_time`, `next_open_time`) between which a published bar
        is missing or the history splits. `missing_bars` and `untraded_bars` count the
        grid points between them without a bar and with a bar without trades;
        `duration` is the time between the two; `price_change` is open over previous
        close minus 1, to 12 decimals. Where bars without trades follow the last traded
        one, and either bars are missing among them or the symbol has ended, they make a
        final row, with `next_open_time` and `price_change` null and `duration` up to
        the last published bar; `trimmed` if the symbol has ended. So is a gap in which
        the symbol was not listed. Bars that were published without trades are no gap
        otherwise.
    """
    numbered = bars.select("open_time", "open", "close", "trade_count").with_columns(
        position=pl.int_range(pl.len(), dtype=pl.Int64),
        number=grid_number(pl.col("open_time"), interval=interval),
    )
    traded = numbered.filter(pl.col("trade_count") > 0)
    inner = _steps(traded)
    # Before the first traded bar no segment has begun; after the last, all may be over.
    published = numbered.filter(is_in_history(has_ended=has_ended, unlisted=unlisted))
    begins = pl.concat(
        [
            inner.filter(_splits_trades(split, interval))["open_time"],
            _steps(published).filter(_splits_publication(split, interval))["open_time"],
        ]
    )
    begins = begins.unique().sort()
    tail = _tail(numbered, traded)
    stretches = pl.concat(
        [
            inner.with_columns(
                next_open_time="open_time",
                trimmed=is_unlisted(
                    pl.col("prev_open_time"), unlisted, until=pl.col("open_time")
                ),
            ),
            tail.with_columns(next_open_time=None, trimmed=has_ended),
        ],
        how="diagonal",
    )
    before = begins.search_sorted(stretches["prev_open_time"], side="right")
    until = begins.search_sorted(stretches["open_time"], side="right")
    table = stretches.with_columns(
        symbol=pl.lit(symbol),
        split=until > before,
        missing_bars=pl.col("points") - pl.col("untraded_bars"),
    ).filter((pl.col("missing_bars") > 0) | pl.col("split") | pl.col("trimmed"))
    columns = (pl.col(name).cast(dtype) for name, dtype in GAPS.items())
    return Gaps(table.select(columns), begins)


def is_untraded_for_long(bars: pl.DataFrame, *, interval: Interval) -> bool:
    """Return whether the bars after the last trade add up to more than `ENDED_AFTER`.

    So the exchange went on to publish bars, while nobody traded. Time without published
    bars does not count: the archive may lack it. Of bars of a day and longer, there are
    three at least.

    Parameters
    ----------
    bars
        n >= 0 published bars on the grid, sorted by unique `open_time`.
    interval
        The spacing of the bars.
    """
    time = pl.col("open_time")
    tail = bars.filter(time > _TRADED.max()).select(time)
    untraded = tail.select((time.dt.offset_by(interval.name) - time).sum()).item()
    return bool(untraded > ENDED_AFTER) and tail.height >= _fewest(interval)


def is_in_history(*, has_ended: bool, unlisted: Unlisted = ()) -> pl.Expr:
    """Return which bars are part of a history: from the first with trades on.

    Of a symbol that has ended, up to the last with trades; without any trade, none.
    While it was not listed, only bars with trades, such as that of the settlement.
    """
    time = pl.col("open_time")
    begun = time >= _TRADED.min()
    if unlisted:
        begun &= (pl.col("trade_count") > 0) | ~is_unlisted(time, unlisted)
    return begun & (time <= _TRADED.max()) if has_ended else begun


def _splits_trades(split: SplitRule, interval: Interval) -> pl.Expr:
    """Return the rule on steps between traded bars."""
    price, previous = pl.col("open"), pl.col("last_close")
    # A price of 0 or less is impossible, and no evidence of a change.
    is_possible = (price > 0) & (previous > 0)
    moved = pl.col("price_change").abs() > split.min_price_change
    is_long = pl.col("duration") > dt.timedelta(days=split.min_days)
    has_points = pl.col("points") >= _fewest(interval)
    ratio = pl.max_horizontal(price / previous, previous / price).round(_DECIMALS)
    jumped = ratio > split.max_price_ratio
    return split.enabled & is_possible & ((is_long & has_points & moved) | jumped)


def _splits_publication(split: SplitRule, interval: Interval) -> pl.Expr:
    """Return the rule on steps between published bars."""
    begin = pl.col("prev_open_time").dt.offset_by(interval.name)
    is_long = pl.col("open_time") - begin > dt.timedelta(days=2 * split.min_days)
    return split.enabled & is_long & (pl.col("points") >= _fewest(interval))


def _fewest(interval: Interval) -> int:
    """Return how many grid points the clauses with days need."""
    is_short = interval.duration is not None and interval.duration < _DAY
    return 1 if is_short else _FEWEST_LONG_BARS


def _steps(bars: pl.DataFrame) -> pl.DataFrame:
    """Return one row for each two neighbouring bars not next to each other."""
    time, number, position = (
        pl.col(name) for name in ("open_time", "number", "position")
    )
    close = pl.col("close").shift(1)
    return (
        bars.with_columns(
            prev_open_time=time.shift(1),
            last_close=close,
            points=number.diff() - 1,
            untraded_bars=position.diff() - 1,
            duration=time.diff(),
            price_change=(pl.col("open") / close - 1).round(_DECIMALS),
        )
        .filter(pl.col("points") > 0)
        .drop("number", "position", "close", "trade_count")
    )


def _tail(bars: pl.DataFrame, traded: pl.DataFrame) -> pl.DataFrame:
    """Return one row if bars without trades follow the last traded bar, or none.

    Its `open_time` is that of the last bar.
    """
    ends = pl.concat([traded.tail(1), bars.tail(1)])
    time, number, position = (
        pl.col(name) for name in ("open_time", "number", "position")
    )
    return ends.select(
        time,
        prev_open_time=time.shift(1),
        points=number.diff(),
        untraded_bars=position.diff(),
        duration=time.diff(),
    ).filter(pl.col("points") > 0)
