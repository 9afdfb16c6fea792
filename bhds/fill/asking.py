"""Ask the API for what is outstanding, and keep every page of its answers."""

import asyncio
import datetime as dt
import logging
from collections.abc import AsyncIterator, Coroutine, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import polars as pl

from bhds.api.budget import Budget
from bhds.config import Settings
from bhds.errors import RefusedError, UnknownSymbolError
from bhds.fill import refusal, usage
from bhds.fill.answers import Answer, Journal, Row, outstanding
from bhds.fill.held import Bounds, Held
from bhds.fill.holes import Hole
from bhds.fill.ranges import joined_within
from bhds.gridpoints import Span
from bhds.markets import TradeType

if TYPE_CHECKING:  # most jobs have nothing to ask: they need not wait for aiohttp
    from bhds.api.client import ApiClient, FundingPage, KlinePage

logger = logging.getLogger(__name__)

OFFLINE = "offline: no server was asked"


class Kind(Protocol):
    """What is asked for: bars, or funding events, of one series."""

    @property
    def trade_type(self) -> TradeType:
        """The market."""

    @property
    def schema(self) -> pl.Schema:
        """The columns of partitions and fills."""

    @property
    def time(self) -> str:
        """The column that tells where a row lies."""

    def holes(self, held: Held, *, bounds: Bounds) -> list[Hole]:
        """List what is to be asked for, in time order."""

    def joint_span_ms(self) -> int:
        """Return how long a time one request may answer for, holes and all."""

    def extent(self, row: Row) -> Span:
        """Return the range that one row is about."""

    def ask(
        self, client: "ApiClient", span: Span, *, closed_by_ms: int
    ) -> "AsyncIterator[KlinePage] | AsyncIterator[FundingPage]":
        """Ask for the rows of a range that are complete by a moment."""

    def frame(self, rows: Sequence[Row]) -> pl.DataFrame:
        """Return rows as partitions have them, sorted and unique by `time`."""


def complete(
    kind: Kind,
    holes: Sequence[Hole],
    journal: Journal,
    *,
    settings: Settings,
    path: str,
) -> str | None:
    """Ask for what the journal does not answer yet.

    Returns
    -------
    str or None
        Why something was not answered: this place is refused, or no server may be
        asked. None if all was.

    Raises
    ------
    ApiError
        If the API cannot be reached, or does not answer as documented. The journal
        has what was answered by then.
    """
    begun = dt.datetime.now(dt.UTC)
    spans = outstanding(
        [hole.span for hole in holes], journal.answers, now=begun, extent=kind.extent
    )
    if not spans:
        return None
    if settings.offline:
        return OFFLINE
    if (message := refusal.known(Path(), kind.trade_type)) is not None:
        logger.info("%s: not asked: %s", path, message)
        return message
    try:
        asyncio.run(_ask(kind, spans, journal, settings=settings, path=path))
    except RefusedError as error:
        is_first = refusal.note(Path(), kind.trade_type, message=str(error))
        logger.log(logging.WARNING if is_first else logging.INFO, "%s", error)
        return str(error)
    return None


def rows_of(journal: Journal) -> list[Row]:
    """Return all rows that were answered, the latest answers last."""
    answers = sorted(journal.answers, key=lambda answer: answer.asked_at)
    return [row for answer in answers for row in answer.rows]


async def _ask(
    kind: Kind,
    spans: Sequence[Span],
    journal: Journal,
    *,
    settings: Settings,
    path: str,
) -> None:
    """Ask for ranges, near ones together, and write down each page as it comes."""
    begun = dt.datetime.now(dt.UTC)
    async with open_client(kind.trade_type, settings) as client:
        try:
            closed_by_ms = await client.server_time()
            joined = joined_within(
                _before(spans, closed_by_ms), span_ms=kind.joint_span_ms()
            )
            ask = partial(_ask_range, kind, client, journal, closed_by_ms=closed_by_ms)
            # The first tells whether the symbol is known at all.
            for span in joined[:1]:
                await ask(span)
            await _all(map(ask, joined[1:]))
        except UnknownSymbolError as error:
            logger.info("%s: %s", path, error)
            for span in joined:
                journal.append(Answer(span, begun, ()))
        finally:
            used = client.usage
            usage.append(
                Path(),
                asked_at=begun,
                path=path,
                requests=used.requests,
                weight=used.weight,
                refusals=used.refusals,
                rows=used.rows,
            )


async def _ask_range(
    kind: Kind,
    client: "ApiClient",
    journal: Journal,
    span: Span,
    *,
    closed_by_ms: int,
) -> None:
    async for page in kind.ask(client, span, closed_by_ms=closed_by_ms):
        now = dt.datetime.now(dt.UTC)
        rows = tuple(map(tuple, page.rows))
        journal.append(Answer(Span(page.start_ms, page.end_ms), now, rows))


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
        budget=Budget(
            spot=endpoints.api_spot, um=endpoints.api_um, cm=endpoints.api_cm
        ),
        proxy=settings.http.proxy_for(endpoint),
        timeout_s=settings.http.timeout_s,
        concurrency=settings.http.connections,
    )
