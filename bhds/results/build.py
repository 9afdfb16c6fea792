"""Build the result of one symbol from its published bars."""

from dataclasses import dataclass

import polars as pl

from bhds.columns import RESULT_SOURCES, parsed_klines, result_klines
from bhds.errors import ResultError
from bhds.markets import Interval, TradeType
from bhds.results.fill import fill_segments
from bhds.results.gaps import SplitRule, find_gaps
from bhds.results.grid import put_on_grid
from bhds.results.merge import is_strictly_increasing
from bhds.results.segments import assign_segments
from bhds.results.vwap import vwap as vwap_of_bar

REVISION = 1
"""Raise by one when the same klines must yield a different result."""


@dataclass(frozen=True)
class Counts:
    """What was done to the published bars of one symbol, in bars."""

    published: int
    off_grid: int
    """Bars that opened between two grid points, and were floored."""
    combined: int
    """Grid points on which several published bars fell."""
    trimmed: int
    """Bars without trades outside every segment: lead, tail, and splitting gaps."""
    filled: int
    segments: int


@dataclass(frozen=True)
class Results:
    """One symbol's result: `columns.result_klines`, `columns.GAPS`, and counts."""

    frame: pl.DataFrame
    gaps: pl.DataFrame
    counts: Counts


def build_results(
    parsed: pl.DataFrame,
    *,
    trade_type: TradeType,
    symbol: str,
    interval: Interval,
    vwap: bool,
    fill: bool,
    split: SplitRule,
) -> Results:
    """Make published bars into a regular series, cut at its gaps.

    Parameters
    ----------
    parsed
        n >= 0 rows of `columns.parsed_klines`, as `merge.merge` returns them.
    trade_type, symbol, interval
        What the bars are of.
    vwap
        Whether to compute `vwap`, which is null otherwise.
    fill
        Whether to insert the bars that are missing within a segment.
    split
        When a gap ends one segment and begins the next.

    Returns
    -------
    Results
        `frame` is sorted by unique `open_time`; `funding_rate` is null throughout.
        The columns and dtypes are the same whatever the data: a symbol that never
        traded has 0 rows.

    Raises
    ------
    ResultError
        If `parsed` has other columns, is unsorted or has an `open_time` twice, or
        splits into more segments than can be numbered.
    """
    _check(parsed, trade_type=trade_type, symbol=symbol)
    grid = put_on_grid(parsed, trade_type=trade_type, interval=interval)
    gaps = find_gaps(grid.frame, symbol=symbol, interval=interval, split=split)
    source = pl.col("source").cast(RESULT_SOURCES)
    bars = grid.frame.with_columns(source)
    bars = assign_segments(bars, gaps=gaps, symbol=symbol)
    complete = fill_segments(bars, interval=interval) if fill else bars
    price = vwap_of_bar(trade_type=trade_type, symbol=symbol) if vwap else pl.lit(None)
    frame = complete.with_columns(
        vwap=price,
        # Null means "no funding event in this bar". Events are joined on the
        # complete grid afterwards, so that one in a bar without trades is kept.
        funding_rate=pl.lit(None),
    ).select(
        pl.col(name).cast(dtype) for name, dtype in result_klines(trade_type).items()
    )
    counts = Counts(
        published=parsed.height,
        off_grid=grid.off_grid,
        combined=grid.combined,
        trimmed=grid.frame.height - bars.height,
        filled=complete.height - bars.height,
        segments=0 if bars.is_empty() else bars["segment"][-1] + 1,
    )
    return Results(frame, gaps, counts)


def _check(parsed: pl.DataFrame, *, trade_type: TradeType, symbol: str) -> None:
    """Raise ResultError unless the frame is what `merge.merge` returns."""
    expected = parsed_klines(trade_type)
    if parsed.schema != expected:
        wrong = dict(set(parsed.schema.items()) ^ set(expected.items()))
        msg = (
            f"{symbol}: columns {sorted(wrong) or parsed.columns} are not those of "
            f"parsed {trade_type} klines; build its partitions again"
        )
        raise ResultError(msg)
    if not is_strictly_increasing(parsed["open_time"]):
        msg = f"{symbol}: open_time is unsorted or not unique; merge the partitions"
        raise ResultError(msg)
