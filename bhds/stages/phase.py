"""Request one 3d bar of a symbol: it shows on which days its 3d bars open."""

import datetime as dt
from pathlib import Path

from bhds import layout
from bhds.archive.integrity.zip_input import day_us
from bhds.backfill import requests, unanswered
from bhds.backfill.history import RequestedHistory
from bhds.backfill.klines import Bars
from bhds.backfill.missing_ranges import MissingRange, MissingReason
from bhds.backfill.response_journal import Journal
from bhds.bars import phase
from bhds.config import Settings
from bhds.core.markets import Interval, TradeType
from bhds.core.timegrid import DAY_MS, Span, with_phase_of
from bhds.io import storage

REVISION = 1
"""Raise by one when the same answers must yield another phase."""

_REQUESTED_DAYS = 62
"""From the first archived day on: the archive may know only the month of the first."""


def write_phase(
    output: str,
    *,
    first_day: dt.date,
    requested_at: str | None,
    settings: Settings,
    trade_type: str,
    symbol: str,
) -> None:
    """Request the first 3d bar of a symbol, and write on which days its bars open.

    The answer is kept next to the output, in `phase.answers.jsonl`, and not requested
    again. Where the API has no bar, or refuses this place or the symbol, the output has
    no phase and says why; a refused symbol is requested again after 12 hours.

    Parameters
    ----------
    output
        Where the answer goes, as JSON: `phase`, `phase_restarts` and `phase_source`
        as `bars.phase` describes them, if there is a bar; `open_time` of the bar;
        and, where there is none, why: `unanswered` or `refused`, else null.
    first_day
        The first UTC day of the symbol, as far as the archive shows.
    requested_at
        What makes this output differ from one that was refused an answer, or None.
    settings
        Endpoints, proxy, time-out, connections, and whether anything may be requested.
    trade_type, symbol
        The symbol.

    Raises
    ------
    ApiError
        If the API cannot be reached, or does not answer as documented.
    """
    bars = Bars(TradeType(trade_type), "klines", symbol, Interval.parse("3d"))
    begin_ms = day_us(first_day) // 1_000
    span = Span(begin_ms, begin_ms + _REQUESTED_DAYS * DAY_MS)
    journal = Journal(Path(layout.responses_of(output)))
    wanted = RequestedHistory(
        bars.extent,
        bars.begin_ms,
        lambda _: [MissingRange(span, MissingReason.MISSING, None)],
    )
    why_not = None
    if requested_at is not None:  # the market, or this place, was refused before
        journal.forget_refusals(before=dt.datetime.fromisoformat(requested_at))
    if not any(answer.rows for answer in journal.answers):
        why_not = requests.complete(
            bars, wanted, journal, settings=settings, path=output
        )
    times = bars.merge(requests.rows_of(journal))["open_time"].head(1)
    known = with_phase_of(bars.interval, times)
    now = dt.datetime.now(dt.UTC)
    left = wanted.outstanding(journal.answers, now=now)
    refusals = [each.refusal for each in journal.answers if each.refusal is not None]
    found = {
        "revision": REVISION,
        "trade_type": trade_type,
        "symbol": symbol,
        **phase.to_metadata(known, phase.PhaseSource.API),
        "open_time": None if times.is_empty() else times[0].isoformat(),
        "unanswered": why_not,
        "refused": refusals[-1]._asdict() if refusals else None,
    }
    storage.write_json(found, output)
    # A symbol that is younger than a bar has one soon, and one refused may be served.
    is_known = known.phase is not None
    final = [] if is_known else [a for a in journal.answers if a.is_final(now)]
    unanswered.record(
        Path(),
        output,
        requested_at=requested_at,
        is_answered=is_known or not left,
        expires_at=min((a.expires_at for a in final if a.expires_at), default=None),
    )
