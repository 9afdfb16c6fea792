"""Merge the funding events of a contract, and join them into its bars."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from bhds.core.events import number_events
from bhds.core.markets import Interval
from bhds.core.timegrid import floor_time
from bhds.schemas.klines import FUNDING, FUNDING_EVENTS

REVISION = 3
"""Raise by one when the same partitions must yield other merged events."""

_PRECEDENCE = {"api": 0, "monthly": 1, "daily": 2}
"""Not as of bars, of which the API may correct monthly files: see `merge_events`."""

_RATE = pl.col("funding_rate")


def merge_events(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Return every funding event once, in time order.

    Each frame has an event once, and may have several of one minute. Between frames,
    the events of a minute are matched by `klines.FUNDING_EVENTS`. Of the rows of one
    event the archive's takes precedence over the API's, which knows no
    `funding_interval_hours`: daily (should there ever be such files) over monthly over
    API, then the one whose partition comes later in the input. Where that row has no
    `mark_price` or no `rate_type`, as the archive's have none, those of the best row
    that has them complete it; all else, `source` too, is of that row.

    Parameters
    ----------
    frames
        Partitions and backfills of one contract: any number of frames of
        `datatypes.FUNDING`, each of n >= 0 rows in any order.

    Returns
    -------
    polars.DataFrame
        `datatypes.FUNDING`, sorted by all its columns; 0 rows if there are none.
    """
    filled = sorted(
        (frame for frame in frames if not frame.is_empty()),
        key=lambda frame: max(
            _PRECEDENCE[source] for source in frame["source"].unique()
        ),
    )
    rows = pl.concat(
        [
            FUNDING.to_frame().with_columns(rank=pl.lit(0)),
            *(frame.with_columns(rank=pl.lit(n)) for n, frame in enumerate(filled)),
        ]
    )
    event = number_events(
        rows,
        key=["funding_time"],
        rank="rank",
        values=[name for name in FUNDING if name not in {"funding_time", "source"}],
        rule=FUNDING_EVENTS,
    )
    completed = pl.col("mark_price", "rate_type")
    return (
        rows.with_columns(event=event)
        .sort("event", "rank")
        .group_by("event", maintain_order=True)
        .agg(
            pl.all().exclude("mark_price", "rate_type").last(),
            completed.drop_nulls().last(),
        )
        .select(FUNDING.names())
        .sort(FUNDING.names())
    )


@dataclass(frozen=True)
class FundingCounts:
    """What became of the funding events of one contract."""

    events: int
    """All of them, also those that were dropped."""
    dropped: int
    """Events that lie in no bar."""
    combined: int
    """Bars in which several events lie."""


@dataclass(frozen=True)
class Joined:
    """Bars with the funding events that lie in them."""

    frame: pl.DataFrame
    counts: FundingCounts


def join_funding(
    bars: pl.DataFrame, events: pl.DataFrame, *, interval: Interval
) -> Joined:
    """Join to each bar the funding rate of the event that lies in it.

    A bar is `[open_time, open_time + interval)`, of calendar months as well. Events
    count on bars without trades, and on filled ones. Events in no bar are dropped:
    those before the first and after the last bar and between two segments, where the
    exchange goes on to publish rates of a contract that is not traded, and those in
    holes that were not filled.

    Parameters
    ----------
    bars
        n >= 0 bars on the grid of `interval`, sorted by unique `open_time`.
    events
        m >= 0 rows of `datatypes.FUNDING`, sorted by `funding_time`, as `merge_events`
        returns them.
    interval
        The spacing of the bars.

    Returns
    -------
    Joined
        `frame` has the rows and columns of `bars` and `funding_rate` (Float64): the
        sum of the rates of the events in the bar, the same bits whatever the number
        of threads, and null, never 0, without one.
    """
    bar = floor_time(pl.col("funding_time"), interval=interval).set_sorted()
    # Eager and sorted, because any other group_by adds up partial sums, one a thread
    # (where groups are few, as of months): the last bits would depend on the machine.
    of_bar = (
        events.select(bar, _RATE)
        .group_by("funding_time", maintain_order=True)
        .agg(_RATE.sum(), number=pl.len())
    )
    # On the times alone, because a join copies what it joins to.
    rates = bars.select("open_time").join(
        of_bar,
        left_on="open_time",
        right_on="funding_time",
        how="left",
        maintain_order="left",
    )
    counts = FundingCounts(
        events=events.height,
        dropped=events.height - int(rates["number"].sum()),
        combined=rates.filter(pl.col("number") > 1).height,
    )
    return Joined(bars.with_columns(rates["funding_rate"]), counts)
