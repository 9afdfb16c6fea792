"""Merge a symbol's partitions, archive and API, into one series of published bars."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from bhds.core.errors import ResultError
from bhds.core.markets import Interval, TradeType
from bhds.parse.precedence import choose_bars


@dataclass(frozen=True)
class Merged:
    """Every published bar once, and those that lost to other values."""

    bars: pl.DataFrame
    """Sorted by unique `open_time`, with the columns of the partitions."""
    conflicts: pl.DataFrame
    """The bars that differ from the one kept in their place in more than the source,
    sorted by `open_time`. The kept bar's values stand beside them, as
    `kept_<column>`."""


def merge(
    partitions: Sequence[pl.DataFrame], *, trade_type: TradeType, interval: Interval
) -> Merged:
    """Return every published bar once, in time order, and what disagreed with it.

    Of several publications of one bar, `bhds.parse.precedence` chooses. Partitions that
    begin later are the later files or, if they begin at once, those that come later in
    the input.

    Parameters
    ----------
    partitions
        One or more frames of `klines.parsed_klines`, in any order.
    trade_type, interval
        What their bars are of.

    Returns
    -------
    Merged
        At most as many bars as came in.

    Raises
    ------
    ResultError
        If there is no partition at all.
    """
    if not partitions:
        msg = "merge: 0 partitions, expected at least one; build or fetch one first"
        raise ResultError(msg)
    ordered = sorted(
        (frame for frame in partitions if not frame.is_empty()),
        key=lambda frame: frame["open_time"][0],
    )
    numbered = (
        frame.with_columns(file=pl.lit(number, pl.UInt32))
        for number, frame in enumerate(ordered or partitions[:1])
    )
    chosen = choose_bars(
        pl.concat(numbered, rechunk=True),
        data_type="klines",
        trade_type=trade_type,
        interval=interval,
    )
    conflicts = chosen.conflicts.drop("file", "kept_file").sort(
        "open_time", maintain_order=True
    )
    return Merged(chosen.kept.drop("file"), conflicts)


def is_strictly_increasing(times: pl.Series) -> bool:
    """Return whether `times` is sorted and unique (and so are 0 and 1 values)."""
    physical = times.to_physical()
    return bool((physical.slice(1) > physical.slice(0, max(len(times) - 1, 0))).all())
