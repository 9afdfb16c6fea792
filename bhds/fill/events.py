"""Funding events: which a partition lacks, and what the API's answers give of them."""

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

import polars as pl

from bhds.api.client import ApiClient, FundingPage
from bhds.columns import FUNDING, TIME
from bhds.fill.answers import Row
from bhds.fill.held import Bounds, Held
from bhds.fill.holes import Coverage, Hole, Reason
from bhds.gridpoints import Span
from bhds.markets import TradeType

_MS = 1_000  # microseconds
_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS
_LATE_MS = 60_000
"""Events are published some ms late; their times are rounded to the minute."""
_PAGE_EVENTS = 1_000
"""The most events of one answer."""


@dataclass(frozen=True)
class Events:
    """Funding events of one contract."""

    trade_type: TradeType
    symbol: str

    time = "funding_time"
    schema = FUNDING

    def holes(self, held: Held, *, bounds: Bounds) -> list[Hole]:
        """List what is to be asked for, in time order."""
        return missing_events(
            held.rows,
            begin_ms=bounds.begin_ms,
            end_ms=min(bounds.end_ms, bounds.now_ms),
            coverage=held.coverage,
            is_last=bounds.is_last,
        )

    def joint_span_ms(self) -> int:
        """Return how long a time one request answers for, at an event an hour."""
        return _PAGE_EVENTS * _HOUR_MS

    def extent(self, row: Row) -> Span:
        """Return the range that one event is about: its own moment."""
        return Span(row[1], row[1] + 1)

    def ask(
        self, client: ApiClient, span: Span, *, closed_by_ms: int
    ) -> AsyncIterator[FundingPage]:
        """Ask for the events of a range, up to a moment."""
        return client.funding_rates(
            self.symbol,
            start_ms=span.start_ms,
            end_ms=max(span.start_ms, min(span.end_ms, closed_by_ms)),
        )

    def frame(self, rows: Sequence[Row]) -> pl.DataFrame:
        """Return events as partitions have them, sorted by unique `funding_time`.

        Parameters
        ----------
        rows
            `api.rows.FundingEvent`; of two of one minute, the later in the sequence
            counts.
        """
        frame = pl.DataFrame(
            [row[1:] for row in rows],
            schema={
                "calc_time": pl.Int64,
                "funding_rate": pl.Float64,
                "mark_price": pl.Float64,
            },
            orient="row",
        )
        calc_time = (pl.col("calc_time") * _MS).cast(TIME)
        return (
            frame.with_columns(
                calc_time=calc_time,
                funding_time=calc_time.dt.round("1m"),
                funding_interval_hours=pl.lit(None, pl.Int8),
                source=pl.lit("api"),
            )
            .unique("funding_time", keep="last", maintain_order=True)
            .sort("funding_time")
            .select(pl.col(name).cast(dtype) for name, dtype in FUNDING.items())
        )


def missing_events(
    events: pl.DataFrame,
    *,
    begin_ms: int,
    end_ms: int,
    coverage: Coverage,
    is_last: bool,
) -> list[Hole]:
    """List the times of which the archive has no events, in time order.

    These are the days of which no month could be used, and, within the others, the
    times between two events that are further apart than the latter says.

    Parameters
    ----------
    events
        n >= 0 events of the archive, sorted by `funding_time`, with
        `funding_interval_hours`.
    begin_ms, end_ms
        The time wanted, the end excluded: milliseconds since 1970, UTC.
    coverage
        What the partition was made from.
    is_last
        Whether the archive has no later partition.
    """
    wanted = Span(begin_ms, end_ms)
    days = range(begin_ms // _DAY_MS, -(-end_ms // _DAY_MS))
    uncovered = (
        Hole(_days(run[0], run[-1], wanted), reason, None)
        for reason, group in groupby(
            days, lambda day: coverage.reason(day, is_last=is_last)
        )
        if reason is not Reason.MISSING
        for run in [list(group)]
    )
    between = _between(events, wanted=wanted, coverage=coverage)
    return sorted([*uncovered, *between], key=lambda hole: hole.span)


def _days(first: int, last: int, wanted: Span) -> Span:
    """Return the part of some days in a row that is wanted."""
    start_ms, end_ms = first * _DAY_MS, (last + 1) * _DAY_MS
    return Span(max(start_ms, wanted.start_ms), min(end_ms, wanted.end_ms))


def _between(
    events: pl.DataFrame, *, wanted: Span, coverage: Coverage
) -> Iterable[Hole]:
    """Yield the times between events within which there should be others."""
    time_ms = pl.col("funding_time").dt.epoch("ms")
    hours = pl.col("funding_interval_hours").cast(pl.Int64)
    late = events.select(time=time_ms, since=time_ms.diff(), hours=hours).filter(
        pl.col("since") > pl.col("hours") * _HOUR_MS + _LATE_MS
    )
    for until, since in late.select("time", "since").iter_rows():
        span = Span(until - since + _LATE_MS, until - _LATE_MS)
        # What no month covers is asked for as such.
        days = range(span.start_ms // _DAY_MS, span.end_ms // _DAY_MS + 1)
        is_wanted = wanted.start_ms <= span.start_ms and until < wanted.end_ms
        if is_wanted and coverage.usable.issuperset(days):
            yield Hole(span, Reason.MISSING, None)
