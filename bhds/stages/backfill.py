"""Write backfills: the rows of the API that partitions miss, with their sources."""

import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from bhds import layout
from bhds.archive.integrity.zip_input import DAY_US, utc_time
from bhds.backfill import requests, unanswered
from bhds.backfill.archive_rows import ArchivedRows, BackfillBounds
from bhds.backfill.funding import Events
from bhds.backfill.history import RequestedHistory
from bhds.backfill.klines import Bars
from bhds.backfill.missing_ranges import MissingRange, MissingReason, with_missing_range
from bhds.backfill.requested_series import RequestedSeries
from bhds.backfill.response_journal import Journal
from bhds.config import Settings
from bhds.core.markets import Interval, TradeType
from bhds.core.time_ranges import subtract
from bhds.core.timegrid import Span
from bhds.io import storage
from bhds.parse.expected_rows import rows_per_day
from bhds.schemas.datatypes import FUNDING
from bhds.schemas.impossible_values import is_impossible
from bhds.stages.earlier_layout import files_replaced_by

REVISION = 5
"""Raise by one when the same partitions and answers must yield another backfill."""

SCHEMA_VERSION = 2
"""Raise by one when the entries of a backfill's `.sources.json` change."""

_MS = 1_000  # microseconds


def write_backfill(
    partitions: Sequence[str],
    *,
    backfill_path: str,
    sources_path: str,
    bounds: Mapping[str, Any],
    settings: Settings,
    trade_type: str,
    data_type: str,
    symbol: str,
    interval: str | None = None,
) -> None:
    """Request what a symbol's partitions lack, and write the backfill with its sources.

    What was answered is kept beside the backfill, in `all.answers.jsonl`, and is not
    asked again. Where the API refuses this place, or none may be queried, the
    backfill has what was answered before, its sources say what was not, and the next
    run asks.

    Parameters
    ----------
    partitions
        The paths of the partitions in time order, relative to the data directory, which
        is the current one; there may be none. The sources of each are next to it.
    backfill_path, sources_path
        Where the backfill and its sources go.
    bounds
        `first_day` and `last_day` (UTC, included), `is_first`, `is_last` and `since`,
        as in `bhds.plan.backfills.Backfill`; and `requested_at`, which makes this
        backfill differ from one that was refused an answer, or is None.
    settings
        Endpoints, proxy, time-out, connections, and whether anything may be queried.
    trade_type, data_type, symbol, interval
        What the backfill is of; the interval is None for funding.

    Raises
    ------
    ApiError
        If the API cannot be reached, or does not answer as documented. What was
        answered by then is kept.
    ParseError
        If a partition cannot be read.
    """
    kind = _kind(TradeType(trade_type), data_type, symbol, interval)
    held = ArchivedRows.read(partitions, kind=kind, is_last=bounds["is_last"])
    if isinstance(kind, Bars):
        kind = kind.on_grid_of(held.rows)
    now = dt.datetime.now(dt.UTC)
    wanted = RequestedHistory.of(kind, held, bounds=BackfillBounds.until(now, bounds))
    journal = Journal(Path(layout.responses_of(backfill_path)))
    replaced = files_replaced_by(backfill_path)
    for path in replaced:
        if path.suffix == ".jsonl":
            journal.take_over(path)
    requested_at = bounds["requested_at"]
    if requested_at is not None:  # the market, or this place, was refused before
        journal.forget_refusals(before=dt.datetime.fromisoformat(requested_at))
    why_not = requests.complete(
        kind, wanted, journal, settings=settings, path=backfill_path
    )
    ranges = wanted.missing_ranges(journal.answers)
    journal.keep(wanted.spans(journal.answers))
    impossible = is_impossible(data_type, kind.trade_type)
    answered = kind.merge(requests.rows_of(journal))
    rows = _wanted(answered, ranges, time=kind.time, impossible=impossible)
    # Of the answers that came just now, too.
    now = dt.datetime.now(dt.UTC)
    left = wanted.unfilled(journal.answers, now=now)
    served = [each for each in journal.answers if each.refusal is None]
    refused = subtract(wanted.unfilled(served, now=now), left)
    refusals = [each.refusal for each in journal.answers if each.refusal is not None]
    sources = {
        "schema": SCHEMA_VERSION,
        "revision": REVISION,
        "trade_type": trade_type,
        "data_type": data_type,
        "symbol": symbol,
        "interval": interval,
        "first_day": _first_day(rows, bounds["first_day"], time=kind.time).isoformat(),
        "last_day": bounds["last_day"].isoformat(),
        "rows": rows.height,
        "unanswered": why_not,
        "refused": refusals[-1]._asdict() if refusals else None,
        "missing_ranges": _account(
            ranges,
            rows,
            not_answered={
                "pending" if why_not is None else "unanswered": left,
                "refused": refused,
            },
            time=kind.time,
        ),
        "days": _days(rows.filter(impossible)[kind.time]),
    }
    storage.write_json(sources, sources_path)
    metadata = {
        "stage": "backfill",
        "revision": str(REVISION),
        "as_of": sources["last_day"],
        "inputs": " ".join(held.sha256),
    }
    storage.write_parquet(rows, backfill_path, metadata=metadata, symbol=symbol)
    for path in replaced:
        path.unlink(missing_ok=True)
    is_answered = why_not is None
    unanswered.record(
        Path(), backfill_path, requested_at=requested_at, is_answered=is_answered
    )


def _first_day(rows: pl.DataFrame, planned: dt.date, *, time: str) -> dt.date:
    """Return the first UTC day of a backfill, which may be earlier than planned."""
    first = rows[time].dt.date().min()
    return min(first, planned) if isinstance(first, dt.date) else planned


def _kind(
    trade_type: TradeType, data_type: str, symbol: str, interval: str | None
) -> RequestedSeries:
    if data_type == FUNDING:
        return Events(trade_type, symbol)
    return Bars(trade_type, data_type, symbol, Interval.parse(interval or ""))


def _wanted(
    rows: pl.DataFrame,
    ranges: Sequence[MissingRange],
    *,
    time: str,
    impossible: pl.Expr,
) -> pl.DataFrame:
    """Keep the rows of missing ranges that are better than the published ones.

    In the place of bars without trades only bars with trades are, and in the place of
    impossible values only possible ones.
    """
    worse = {
        MissingReason.UNTRADED: pl.col("trade_count") == 0,
        MissingReason.IMPOSSIBLE: impossible,
    }
    inside = with_missing_range(rows, ranges, time=time)
    for reason, is_worse in worse.items():
        numbers = [n for n, each in enumerate(ranges) if each.reason is reason]
        if numbers:
            inside = inside.filter(~(pl.col("missing_range").is_in(numbers) & is_worse))
    return inside.drop("missing_range")


def _days(impossible: pl.Series) -> list[dict[str, Any]]:
    """Count the impossible rows of each day that has any, by their times.

    The entries are as those of partitions, whose rows alone they count as present.
    """
    return [
        {
            "day": utc_time(day * DAY_US)[:10],
            "expected": None,
            "present": 0,
            "impossible": count,
        }
        for day, count in sorted(rows_per_day(impossible).items())
    ]


def _account(
    ranges: Sequence[MissingRange],
    rows: pl.DataFrame,
    *,
    not_answered: Mapping[str, Sequence[Span]],
    time: str,
) -> list[dict[str, Any]]:
    """Return the rows of each missing range, and whether it was answered.

    Parameters
    ----------
    ranges
        The requested ranges.
    rows
        The rows of the backfill.
    not_answered
        What was not answered, by its status: `unanswered`, `refused` where the API
        refuses the symbol, or `pending` where the exchange is not yet that far.
    time
        The column that shows where a row lies.
    """
    counted = (
        with_missing_range(rows, ranges, time=time).group_by("missing_range").len()
    )
    found = dict(counted.iter_rows())
    return [
        {
            "start": utc_time(each.span.start_ms * _MS),
            "end": utc_time(each.span.end_ms * _MS),
            "reason": each.reason.value,
            "expected": each.expected,
            "found": found.get(number, 0),
            "status": next(
                (
                    status
                    for status, spans in not_answered.items()
                    if any(_overlap(each.span, span) for span in spans)
                ),
                _status(each, found.get(number, 0)),
            ),
        }
        for number, each in enumerate(ranges)
    ]


def _overlap(one: Span, other: Span) -> bool:
    return one.start_ms < other.end_ms and other.start_ms < one.end_ms


def _status(wanted: MissingRange, found: int) -> str:
    """Return what an answered range has: `empty`, `part` or `filled`."""
    if not found:
        return "empty"
    return (
        "part" if wanted.expected is not None and found < wanted.expected else "filled"
    )
