"""Build the result of one symbol from its published bars."""

import datetime as dt
from dataclasses import dataclass

import polars as pl

from bhds.bars.forward_fill import fill_segments
from bhds.bars.funding import join_funding
from bhds.bars.gaps import find_gaps, is_untraded_for_long
from bhds.bars.grid import put_on_grid
from bhds.bars.merge import is_strictly_increasing
from bhds.bars.segments import assign_segments
from bhds.bars.vwap import vwap as vwap_of_bar
from bhds.config import SplitRule
from bhds.core.errors import ResultError
from bhds.core.markets import Interval, TradeType
from bhds.core.timegrid import with_phase_of
from bhds.core.unlisted import Unlisted
from bhds.schemas.klines import FUNDING, RESULT_SOURCES, parsed_klines, result_klines

REVISION = 6
"""Raise by one when the same klines and events must yield a different result."""


@dataclass(frozen=True)
class BarCounts:
    """What was done to the published bars and funding events of one symbol."""

    published: int
    off_grid: int
    """Bars that opened between two grid points, and were floored."""
    combined: int
    """Grid points on which several published bars fell."""
    trimmed: int
    """Bars without trades before the first trade, of a symbol that has ended after the
    last, and while it was not listed."""
    filled: int
    segments: int
    funding_events: int
    """Events of the contract; 0 if funding is not wanted."""
    funding_dropped: int
    """Events outside every bar: before, after and between the segments."""
    funding_combined: int
    """Bars in which several events lie, whose rates were added up."""


@dataclass(frozen=True)
class BuiltBars:
    """The result of a symbol: `klines.result_klines`, `quality_tables.GAPS`, counts."""

    frame: pl.DataFrame
    gaps: pl.DataFrame
    interval: Interval
    """The spacing of the bars, with their phase if they are 3d bars."""
    counts: BarCounts
    first_traded: dt.datetime | None
    """The open time of the first bar with trades, on the grid, UTC; None without."""
    last_traded: dt.datetime | None
    has_ended: bool
    """Whether the bars after the last with trades are left out."""
    ended_at: dt.datetime | None
    """When the last bar of a symbol that has ended is over, UTC; None while it has
    not, or without a trade."""


def build_results(
    parsed: pl.DataFrame,
    *,
    trade_type: TradeType,
    symbol: str,
    interval: Interval,
    vwap: bool,
    fill: bool,
    split: SplitRule,
    has_ended: bool = False,
    is_trading: bool = False,
    unlisted: Unlisted = (),
    funding: pl.DataFrame | None = None,
    contract_usd: float | None = None,
) -> BuiltBars:
    """Make published bars into a regular series, cut at its gaps.

    Parameters
    ----------
    parsed
        n >= 0 rows of `klines.parsed_klines`, as `merge.merge` returns them.
    trade_type, symbol, interval
        What the bars are of.
    vwap
        Whether to compute `vwap`, which is null otherwise.
    fill
        Whether to insert the bars that are missing within a segment.
    split
        When a gap ends one segment and begins the next.
    has_ended
        Whether it is known that the symbol trades no more. Its bars after the last
        trade are then left out; so they are if `gaps.is_untraded_for_long`.
    is_trading
        Whether the exchange says that the symbol is traded, so that bars without
        trades, however many, are those of a quiet or halted market.
    unlisted
        When it was not listed: bars without trades that open then are left out.
    funding
        m >= 0 rows of `datatypes.FUNDING`, as `funding.merge_events` returns them; None
        if funding is not wanted or the market has none.
    contract_usd
        Of COIN-M futures, what one contract is worth; see `vwap.vwap`.

    Returns
    -------
    BuiltBars
        `frame` is sorted by unique `open_time`; `funding_rate` is null on bars without
        an event. The columns and dtypes are the same whatever the data, and without
        funding: a symbol that never traded has 0 rows.

    Raises
    ------
    ResultError
        If `parsed` or `funding` has other columns, is unsorted or has a time twice,
        or if there are more segments than can be numbered.
    """
    events = FUNDING.to_frame() if funding is None else funding
    _check_bars(parsed, trade_type=trade_type, symbol=symbol)
    _check_events(events, symbol=symbol)
    interval = with_phase_of(interval, parsed["open_time"])
    grid = put_on_grid(parsed, trade_type=trade_type, interval=interval)
    is_over = has_ended or (
        not is_trading and is_untraded_for_long(grid.frame, interval=interval)
    )
    gaps = find_gaps(
        grid.frame,
        symbol=symbol,
        interval=interval,
        split=split,
        has_ended=is_over,
        unlisted=unlisted,
    )
    bars = grid.frame.with_columns(pl.col("source").cast(RESULT_SOURCES))
    bars = assign_segments(
        bars,
        begins=gaps.begins,
        has_ended=is_over,
        unlisted=unlisted,
        symbol=symbol,
    )
    complete = fill_segments(bars, interval=interval) if fill else bars
    # On the complete grid, so that an event in a bar that was filled is kept.
    joined = join_funding(complete, events, interval=interval)
    price = pl.lit(None)
    if vwap:
        price = vwap_of_bar(
            trade_type=trade_type, symbol=symbol, contract_usd=contract_usd
        )
    frame = joined.frame.with_columns(vwap=price).select(
        pl.col(name).cast(dtype) for name, dtype in result_klines(trade_type).items()
    )
    counts = BarCounts(
        published=parsed.height,
        off_grid=grid.off_grid,
        combined=grid.combined,
        trimmed=grid.frame.height - bars.height,
        filled=complete.height - bars.height,
        segments=0 if bars.is_empty() else bars["segment"][-1] + 1,
        funding_events=joined.counts.events,
        funding_dropped=joined.counts.dropped,
        funding_combined=joined.counts.combined,
    )
    traded = frame.filter(pl.col("trade_count") > 0)["open_time"]
    ends = traded.tail(1 if is_over else 0).dt.offset_by(interval.name)
    return BuiltBars(
        frame,
        gaps.table,
        interval,
        counts,
        first_traded=None if traded.is_empty() else traded[0],
        last_traded=None if traded.is_empty() else traded[-1],
        has_ended=is_over,
        ended_at=None if ends.is_empty() else ends[0],
    )


def _check_bars(parsed: pl.DataFrame, *, trade_type: TradeType, symbol: str) -> None:
    """Raise ResultError unless the frame is what `merge.merge` returns."""
    expected = parsed_klines(trade_type)
    if parsed.schema != expected:
        msg = (
            f"{symbol}: columns {_differences(parsed, expected)} are not those of "
            f"parsed {trade_type} klines; build its partitions again"
        )
        raise ResultError(msg)
    if not is_strictly_increasing(parsed["open_time"]):
        msg = f"{symbol}: open_time is unsorted or not unique; merge the partitions"
        raise ResultError(msg)


def _check_events(events: pl.DataFrame, *, symbol: str) -> None:
    """Raise ResultError unless the frame is what `funding.merge_events` returns."""
    if events.schema != FUNDING:
        msg = (
            f"{symbol}: columns {_differences(events, FUNDING)} are not those of "
            "funding events; build its funding again"
        )
        raise ResultError(msg)
    if not events["funding_time"].is_sorted():
        msg = f"{symbol}: funding_time is unsorted; merge the events"
        raise ResultError(msg)


def _differences(frame: pl.DataFrame, expected: pl.Schema) -> list[str]:
    """Name the columns of other dtypes, or all if only their order is another."""
    wrong = dict(set(frame.schema.items()) ^ set(expected.items()))
    return sorted(wrong) or frame.columns
