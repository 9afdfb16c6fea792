"""Cut a symbol's life into segments at its splitting gaps."""

import polars as pl

from bhds.errors import ResultError

MAX_SEGMENTS = 2**15
"""Segments are numbered in Int16, from 0."""


def assign_segments(
    bars: pl.DataFrame, *, gaps: pl.DataFrame, symbol: str
) -> pl.DataFrame:
    """Give each bar its segment, and drop the bars that belong to none.

    Parameters
    ----------
    bars
        n >= 0 published bars on the grid, sorted by unique `open_time`.
    gaps
        What `gaps.find_gaps` found in these bars.
    symbol
        The subject of error messages.

    Returns
    -------
    polars.DataFrame
        m <= n rows in the same order, with `segment` (Int16), from 0 in time order.
        Every segment begins and ends with a traded bar: what is dropped are bars
        without trades before the first traded bar, after the last, and between the
        two sides of a splitting gap.

    Raises
    ------
    ResultError
        If there are more segments than `segment` can number.
    """
    traded = bars.select(
        pl.col("open_time").filter(pl.col("trade_count") > 0)
    ).to_series()
    if traded.is_empty():
        return bars.clear().with_columns(segment=pl.lit(0, pl.Int16))
    cuts = gaps.filter("split")
    if cuts.height >= MAX_SEGMENTS:
        msg = (
            f"{symbol}: {cuts.height} splitting gaps, expected less than "
            f"{MAX_SEGMENTS}; raise split.min_days or split.min_price_change"
        )
        raise ResultError(msg)
    begins = pl.concat([traded.head(1), cuts["first_open_time"]])
    ends = pl.concat([cuts["last_open_time"], traded.tail(1)])
    return _within(bars, begins=begins, ends=ends)


def _within(bars: pl.DataFrame, *, begins: pl.Series, ends: pl.Series) -> pl.DataFrame:
    """Keep the bars of the segments [begin, end], numbered from 0."""
    starts = bars["open_time"].search_sorted(begins)
    stops = bars["open_time"].search_sorted(ends, side="right")
    return pl.concat(
        bars.slice(start, stop - start).with_columns(segment=pl.lit(number, pl.Int16))
        for number, (start, stop) in enumerate(zip(starts, stops, strict=True))
    )
