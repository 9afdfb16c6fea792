"""Cut a symbol's history into segments at its splitting gaps."""

import polars as pl

from bhds.bars.gaps import is_in_history
from bhds.core.errors import ResultError
from bhds.core.unlisted import Unlisted

MAX_SEGMENTS = 2**15
"""Segments are numbered in Int16, from 0."""


def assign_segments(
    bars: pl.DataFrame,
    *,
    begins: pl.Series,
    has_ended: bool,
    unlisted: Unlisted = (),
    symbol: str,
) -> pl.DataFrame:
    """Return each bar with its segment, without the bars that belong to none.

    Parameters
    ----------
    bars
        n >= 0 published bars on the grid, sorted by unique `open_time`.
    begins
        Where `gaps.find_gaps` found segments but the first to begin in these bars.
    has_ended
        Whether the bars after the last traded one belong to no segment.
    unlisted
        When the symbol was not listed.
    symbol
        The subject of error messages.

    Returns
    -------
    polars.DataFrame
        m <= n rows in the same order, with `segment` (Int16), from 0 in time order.
        Dropped are bars without trades before the first traded bar and, if the symbol
        has ended, after the last; and such as open while it was not listed.

    Raises
    ------
    ResultError
        If there are more segments than `segment` can number.
    """
    if len(begins) >= MAX_SEGMENTS:
        msg = (
            f"{symbol}: {len(begins)} splitting gaps, expected less than "
            f"{MAX_SEGMENTS}; raise split.min_days or split.min_price_change"
        )
        raise ResultError(msg)
    kept = bars.filter(is_in_history(has_ended=has_ended, unlisted=unlisted))
    number = begins.search_sorted(kept["open_time"], side="right")
    return kept.with_columns(segment=number.cast(pl.Int16))
