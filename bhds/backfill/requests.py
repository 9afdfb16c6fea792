"""Request outstanding ranges from the API, and keep every page of the responses."""

import asyncio
import datetime as dt
import logging
from collections.abc import Coroutine, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bhds.api.codes import ApiRefusal
from bhds.api.rate_limiter import RateLimiter
from bhds.backfill import api_use, refusal, unanswered
from bhds.backfill.history import RequestedHistory
from bhds.backfill.requested_series import RequestedSeries
from bhds.backfill.response_journal import Answer, Journal, Row
from bhds.config import Settings
from bhds.core.errors import RefusedError, SymbolRefusedError
from bhds.core.markets import TradeType
from bhds.core.time_ranges import joined_within
from bhds.core.timegrid import Span

if TYPE_CHECKING:  # most jobs have nothing to request: they need not wait for aiohttp
    from bhds.api.client import ApiClient, EventPage, KlinePage

logger = logging.getLogger(__name__)

OFFLINE = "offline: no request was sent"


def complete(
    kind: RequestedSeries,
    wanted: RequestedHistory,
    journal: Journal,
    *,
    settings: Settings,
    path: str,
) -> str | None:
    """Request what the journal does not answer yet.

    Returns
    -------
    str or None
        Why something was not answered: this place or the whole market is refused, or
        no server may be queried. None if all was, or if the API refuses this symbol.

    Raises
    ------
    ApiError
        If the API cannot be reached, or does not answer as documented. The journal
        has what was answered by then.
    """
    market = kind.trade_type
    if not wanted.outstanding(journal.answers, now=dt.datetime.now(dt.UTC)):
        return None
    if settings.offline:
        return OFFLINE
    if (message := refusal.known(Path(), market)) is not None:
        logger.info("%s: not asked: %s", path, message)
        return message
    try:
        asyncio.run(_request(kind, wanted, journal, settings=settings, path=path))
    except SymbolRefusedError as error:
        return _note_symbol(kind, wanted, journal, error=error, path=path)
    except RefusedError as error:
        _warn_once(market, str(error))
        return str(error)
    refusal.note_answer(Path(), market)
    return None


def _note_symbol(
    kind: RequestedSeries,
    wanted: RequestedHistory,
    journal: Journal,
    *,
    error: SymbolRefusedError,
    path: str,
) -> str | None:
    """Record that the API refuses the symbol.

    Returns
    -------
    str or None
        The message, if the same code turns out to be of the whole market.
    """
    market, refused = kind.trade_type, ApiRefusal(error.code, error.reason)
    logger.info("%s: %s", path, error)
    refusal.note_symbol(Path(), market, kind.symbol, path=path, refusal=refused)
    if of_market := refusal.of_market(Path(), market):
        message = (
            f"{market}: the API refused each of the first symbols with {refused}, "
            f"which is no documented code; the last: {error}; this run sends no more "
            "requests to this market; check for a newer version of BHDS"
        )
        _warn_once(market, message)
        for each in of_market:
            unanswered.record(Path(), each.path, requested_at=None, is_answered=False)
        return message
    now = dt.datetime.now(dt.UTC)
    for span in wanted.outstanding(journal.answers, now=now):
        journal.append(Answer(span, now, (), refused))
    return None


def _warn_once(market: str, message: str) -> None:
    is_first = refusal.note(Path(), market, message=message)
    logger.log(logging.WARNING if is_first else logging.INFO, "%s", message)


def rows_of(journal: Journal) -> list[tuple[Row, ...]]:
    """Return the rows of each answer, the latest answers last."""
    answers = sorted(journal.answers, key=lambda answer: answer.requested_at)
    return [answer.rows for answer in answers]


async def _request(
    kind: RequestedSeries,
    wanted: RequestedHistory,
    journal: Journal,
    *,
    settings: Settings,
    path: str,
) -> None:
    """Request the outstanding ranges, and record each page when it arrives."""
    begun = dt.datetime.now(dt.UTC)
    async with open_client(kind.trade_type, settings) as client:
        try:
            await _find_origin(kind, wanted, client, journal)
            spans = wanted.unfilled(journal.answers, now=dt.datetime.now(dt.UTC))
            if spans:
                await _fill(kind, spans, client, journal)
        finally:
            warn_of_unknown_fields(client, kind.trade_type)
            used = client.usage
            api_use.append(
                Path(),
                requested_at=begun,
                path=path,
                requests=used.requests,
                weight=used.weight,
                refusals=used.refusals,
                rows=used.rows,
            )


def warn_of_unknown_fields(client: "ApiClient", market: TradeType) -> None:
    """Warn, once a run, of each field of answers that is not known."""
    for field in sorted(client.unknown_fields):
        if refusal.note_unknown_field(Path(), market, field=field):
            logger.warning(
                "%s: the API's answers have a new field, which is left out: %s; look "
                "whether BHDS has a newer version",
                *(market, field),
            )


async def _find_origin(
    kind: RequestedSeries,
    wanted: RequestedHistory,
    client: "ApiClient",
    journal: Journal,
) -> None:
    """Request the first row, further back for as long as there are earlier ones."""
    while spans := wanted.unknown_origin(journal.answers, now=dt.datetime.now(dt.UTC)):
        rows = 0
        for span in spans:
            async for page in kind.request_first(client, span):
                rows += _keep(page, journal)
        if not rows:
            return


async def _fill(
    kind: RequestedSeries, spans: Sequence[Span], client: "ApiClient", journal: Journal
) -> None:
    """Request ranges, near ones together."""
    closed_by_ms = await client.server_time()
    joined = joined_within(_before(spans, closed_by_ms), span_ms=kind.joint_span_ms())
    request = partial(_request_range, kind, client, journal, closed_by_ms=closed_by_ms)
    # The first tells whether the symbol is served at all.
    for span in joined[:1]:
        await request(span)
    await _all(map(request, joined[1:]))


async def _request_range(
    kind: RequestedSeries,
    client: "ApiClient",
    journal: Journal,
    span: Span,
    *,
    closed_by_ms: int,
) -> None:
    async for page in kind.request(client, span, closed_by_ms=closed_by_ms):
        _keep(page, journal)


def _keep(page: "KlinePage | EventPage[Any]", journal: Journal) -> int:
    """Write down a page; return how many rows it has."""
    rows = tuple(map(tuple, page.rows))
    span = Span(page.start_ms, page.end_ms)
    journal.append(Answer(span, dt.datetime.now(dt.UTC), rows))
    return len(rows)


def _before(spans: Sequence[Span], limit_ms: int) -> list[Span]:
    """Cut off what lies after a moment: the exchange is not that far."""
    cut = (Span(start, min(end, limit_ms)) for start, end in spans)
    return [span for span in cut if span.start_ms < span.end_ms]


async def _all(coroutines: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Await all; the first failure is raised, and stops the others."""
    try:
        async with asyncio.TaskGroup() as group:
            for coroutine in coroutines:
                group.create_task(coroutine)
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None


def open_client(trade_type: TradeType, settings: Settings) -> "ApiClient":
    """Return a client of one market, to be used in `async with`."""
    from bhds.api.client import ApiClient  # noqa: PLC0415 - see above

    endpoints = settings.endpoints
    endpoint = {
        TradeType.SPOT: endpoints.api_spot,
        TradeType.UM_FUTURES: endpoints.api_um,
        TradeType.CM_FUTURES: endpoints.api_cm,
    }[trade_type]
    return ApiClient(
        trade_type,
        endpoint=endpoint,
        budget=RateLimiter(
            spot=endpoints.api_spot, um=endpoints.api_um, cm=endpoints.api_cm
        ),
        proxy=settings.http.proxy_for(endpoint),
        timeout_s=settings.http.timeout_s,
        concurrency=settings.http.connections,
    )
