"""Insert the bars that were never published, flat at the last close."""

import polars as pl

from bhds.core.markets import Interval
from bhds.core.timegrid import grid_number


def fill_segments(bars: pl.DataFrame, *, interval: Interval) -> pl.DataFrame:
    """Complete the grid of each segment, from its first to its last bar.

    Parameters
    ----------
    bars
        n >= 0 bars on the grid of `interval`, sorted by unique `open_time`, with
        `segment` and with `source` of `klines.RESULT_SOURCES`.
    interval
        The spacing of the bars.

    Returns
    -------
    polars.DataFrame
        m >= n rows with the columns of `bars`; within a segment one row per grid
        point, but for one that a new count of 3d bars cuts short. Inserted bars have
        `open`, `high`, `low` and `close` of the close before, volumes and counts of 0,
        and `source` `filled`. The rest is unchanged, also bars without trades.
    """
    inserted = _missing_bars(bars, interval=interval)
    if inserted.is_empty():
        return bars
    return bars.merge_sorted(inserted, key="open_time")


def _missing_bars(bars: pl.DataFrame, *, interval: Interval) -> pl.DataFrame:
    """Return the bars to insert, with the columns of `bars`, sorted by time."""
    number = grid_number(pl.col("open_time"), interval=interval)
    same_segment = pl.col("segment") == pl.col("segment").shift(-1)
    before = (
        bars.lazy()
        .select(
            "open_time",
            "close",
            "segment",
            until=pl.col("open_time").shift(-1),
            is_before_hole=same_segment & (number.shift(-1) - number > 1),
        )
        .filter("is_before_hole")
    )
    # Whole bars only: where a new count of 3d bars begins, the one before is cut short.
    last = pl.col("until").dt.offset_by(f"-{interval.name}")
    holes = before.select(
        pl.datetime_ranges(
            "open_time", last, interval=interval.name, closed="right"
        ).alias("open_time"),
        "segment",
        *(pl.col("close").alias(name) for name in ("open", "high", "low", "close")),
        source=pl.lit("filled"),
    ).explode("open_time")
    holes = holes.drop_nulls("open_time")  # of no whole bar
    known = holes.collect_schema().names()
    zero = (pl.lit(0).alias(name) for name in bars.columns if name not in known)
    ordered = (pl.col(name).cast(dtype) for name, dtype in bars.schema.items())
    return holes.with_columns(zero).select(ordered).collect()
