"""Funding events: which the archive lacks, and what the API's answers give of them."""

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import TYPE_CHECKING

import polars as pl

from bhds.api.endpoints import FUNDING_RATES
from bhds.api.rows import FundingEvent
from bhds.backfill.archive_rows import ArchivedRows, BackfillBounds
from bhds.backfill.missing_ranges import Coverage, MissingRange, MissingReason
from bhds.backfill.response_journal import Row
from bhds.core.markets import TradeType
from bhds.core.timegrid import TIME, Span
from bhds.parse.dedupe import collapse_events
from bhds.schemas.klines import FUNDING, FUNDING_EVENTS, RATE_TYPES

if TYPE_CHECKING:  # as in `backfill.requests`
    from bhds.api.client import ApiClient, EventPage

_MS = 1_000  # microseconds
_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS
_LATE_MS = 60_000
"""Events are published some ms late; their times are rounded to the minute."""


@dataclass(frozen=True)
class Events:
    """Funding events of one contract."""

    trade_type: TradeType
    symbol: str

    time = "funding_time"
    schema = FUNDING

    lookback_ms = None
    """The API finds the first event of a contract in one request."""

    def begin_ms(self, row: Row) -> int:
        """Return a moment before one event was due."""
        return int(row[1]) - _LATE_MS

    def first_ms(self, rows: pl.DataFrame) -> int | None:
        """Return a moment before the first of some sorted events was due, if any."""
        first = rows["funding_time"].dt.epoch("ms").first()
        return first - _LATE_MS if isinstance(first, int) else None

    def shown(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Keep the times of events, and the hours between them."""
        return rows.select(self.time, "funding_interval_hours")

    def doubtful(self, rows: pl.DataFrame) -> list[MissingRange]:  # noqa: ARG002
        """Return an empty list: all events are believed."""
        return []

    def missing_ranges(
        self, held: ArchivedRows, *, bounds: BackfillBounds
    ) -> list[MissingRange]:
        """List what is to be requested, in time order."""
        return missing_events(
            held.rows,
            begin_ms=bounds.begin_ms,
            end_ms=min(bounds.end_ms, bounds.now_ms),
            coverage=held.coverage,
            is_first=bounds.is_first,
        )

    def joint_span_ms(self) -> int:
        """Return how long a time one request answers for, at an event an hour."""
        return FUNDING_RATES.limit * _HOUR_MS

    def extent(self, row: Row) -> Span:
        """Return the range that one event is about: its own moment."""
        return Span(row[1], row[1] + 1)

    def request(
        self, client: "ApiClient", span: Span, *, closed_by_ms: int
    ) -> AsyncIterator["EventPage[FundingEvent]"]:
        """Request the events of a range, up to a moment."""
        return client.events(
            FUNDING_RATES,
            self.symbol,
            start_ms=span.start_ms,
            end_ms=max(span.start_ms, min(span.end_ms, closed_by_ms)),
        )

    async def request_first(
        self, client: "ApiClient", span: Span
    ) -> AsyncIterator["EventPage[FundingEvent]"]:
        """Request the first event of a range.

        Another may be of the same moment: the answer is about the time before it.
        """
        page = await client.first_event(
            FUNDING_RATES, self.symbol, start_ms=span.start_ms, end_ms=span.end_ms
        )
        yield page._replace(end_ms=page.rows[0].funding_time) if page.rows else page

    def merge(self, answers: Sequence[Sequence[Row]]) -> pl.DataFrame:
        """Return events as partitions have them, sorted by `funding_time`.

        Parameters
        ----------
        answers
            `api.rows.FundingEvent` of each answer; where two have an event, that of the
            later answer counts.
        """
        frame = pl.DataFrame(
            [
                (number, *row[1:], *[None] * (len(FundingEvent._fields) - len(row)))
                for number, answer in enumerate(answers)
                for row in answer
            ],
            schema={
                "answer": pl.Int64,
                "calc_time": pl.Int64,
                "funding_rate": pl.Float64,
                "mark_price": pl.Float64,
                "rate_type": pl.String,
            },
            orient="row",
        )
        calc_time = (pl.col("calc_time") * _MS).cast(TIME)
        events = frame.with_columns(
            pl.col("rate_type").cast(RATE_TYPES, strict=False),
            calc_time=calc_time,
            funding_time=calc_time.dt.round("1m"),
            funding_interval_hours=pl.lit(None, pl.Int8),
            source=pl.lit("api"),
        )
        unique = collapse_events(
            events,
            key=["funding_time"],
            rank="answer",
            values=["calc_time", "funding_rate", "rate_type", "mark_price"],
            rule=FUNDING_EVENTS,
        )
        return unique.kept.select(
            pl.col(name).cast(dtype) for name, dtype in FUNDING.items()
        )


def missing_events(
    events: pl.DataFrame,
    *,
    begin_ms: int,
    end_ms: int,
    coverage: Coverage,
    is_first: bool,
) -> list[MissingRange]:
    """List the times of which the archive has no events, in time order.

    These are the days of which no month could be used, and, within each stretch of the
    others, the times in which events were due: each says how many hours lie between it
    and its neighbours. Before the first event of a contract there is none.

    Parameters
    ----------
    events
        n >= 0 events of the archive, sorted by `funding_time`, with
        `funding_interval_hours`.
    begin_ms, end_ms
        The time wanted, the end excluded: milliseconds since 1970, UTC.
    coverage
        What the events were read from.
    is_first
        Whether nothing is archived before `begin_ms`.
    """
    wanted = Span(begin_ms, end_ms)
    days = range(begin_ms // _DAY_MS, -(-end_ms // _DAY_MS))
    time_ms = pl.col("funding_time").dt.epoch("ms")
    hours_ms = pl.col("funding_interval_hours").cast(pl.Int64) * _HOUR_MS
    due = events.select(time=time_ms, hours=hours_ms).rows()
    is_born = not is_first
    ranges: list[MissingRange] = []
    for reason, group in groupby(days, coverage.reason):
        run = list(group)
        span = _days(run[0], run[-1], wanted)
        if reason is MissingReason.MISSING:
            inside = [event for event in due if span.start_ms <= event[0] < span.end_ms]
            spans = _missing_within(inside, span, is_born=is_born)
            ranges += [MissingRange(each, reason, None) for each in spans]
        else:
            ranges.append(MissingRange(span, reason, None))
        is_born = True
    return ranges


def _days(first: int, last: int, wanted: Span) -> Span:
    """Return the part of some days in a row that is wanted."""
    start_ms, end_ms = first * _DAY_MS, (last + 1) * _DAY_MS
    return Span(max(start_ms, wanted.start_ms), min(end_ms, wanted.end_ms))


def _missing_within(
    events: Sequence[tuple[int, int]], span: Span, *, is_born: bool
) -> Iterator[Span]:
    """Yield the times in a stretch in which events were due and are not there.

    Parameters
    ----------
    events
        Time and interval, in ms, of the events in the stretch.
    span
        The stretch.
    is_born
        Whether there may be events before the first.
    """
    if not events:
        if is_born:
            yield span
        return
    first, first_interval = events[0]
    if is_born and first - first_interval >= span.start_ms:
        yield Span(span.start_ms, first - _LATE_MS)
    for (before, old), (time, new) in pairwise(events):
        # Where the interval changes, either may be what lies between.
        if time - before > max(old, new) + _LATE_MS:
            yield Span(before + _LATE_MS, time - _LATE_MS)
    last, last_interval = events[-1]
    if last + last_interval + _LATE_MS < span.end_ms:
        yield Span(last + _LATE_MS, span.end_ms)
