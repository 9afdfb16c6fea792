"""Name and cut out the optional files that hold one segment each."""

import re
from collections.abc import Mapping

import polars as pl

from bhds.schemas.klines import SEGMENT_FILES

REVISION = 2
"""Raise by one when the same results must yield other split files or names."""

_EARLIER_SEGMENT = re.compile(r"SP\d+_(.+)")


def segment_names(symbol: str, n: int) -> list[str]:
    """Name the files of a symbol's `n` segments, in time order.

    The last segment has the symbol's own name, those before it `SP0_<symbol>`,
    `SP1_<symbol>` and so on. A symbol without segments has no file.
    """
    earlier = [f"SP{number}_{symbol}" for number in range(n - 1)]
    return [*earlier, symbol][:n]


def symbol_of(name: str) -> str:
    """Return the symbol that the segment file called `name` belongs to."""
    match = _EARLIER_SEGMENT.fullmatch(name)
    return name if match is None else match[1]


def segments_table(
    results: Mapping[str, pl.DataFrame | pl.LazyFrame],
) -> pl.DataFrame:
    """List the segment files of some symbols.

    Parameters
    ----------
    results
        The result of each symbol, or a scan of it; only `open_time` and `segment`
        are read.

    Returns
    -------
    polars.DataFrame
        `klines.SEGMENT_FILES`, one row per segment, by symbol in the order given
        and then by segment: the file's `name`, the `symbol`, the `segment`, and
        the open times of its first and last bar.
    """
    tables = [_segments(symbol, frame=frame) for symbol, frame in results.items()]
    return pl.concat([SEGMENT_FILES.to_frame(), *tables])


def segment_rows(results: pl.DataFrame, segment: int) -> pl.DataFrame:
    """Return the rows of one segment, of results or of resampled bars.

    There may be none: a segment can be too short for one whole resampled bar.
    """
    return results.filter(pl.col("segment") == segment)


def _segments(symbol: str, *, frame: pl.DataFrame | pl.LazyFrame) -> pl.DataFrame:
    segments = (
        frame.lazy()
        .select("open_time", pl.col("segment").set_sorted())
        .group_by("segment", maintain_order=True)
        .agg(
            pl.col("open_time").first().alias("first_open_time"),
            pl.col("open_time").last().alias("last_open_time"),
        )
        .collect()
    )
    names = pl.Series(segment_names(symbol, segments.height), dtype=pl.String)
    return segments.with_columns(name=names, symbol=pl.lit(symbol)).select(
        SEGMENT_FILES.names()
    )
