"""Fetch bars, funding and exchange information from one market's REST API.

Ranges of bars are requested in as few requests as can be: first whole, for an answer
with room left says all there is to say of it, be it years without a bar; what is left
after a full answer in pages, several at once.
"""

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Generic, NamedTuple, Self, TypeVar

from bhds.api import checks, rows
from bhds.api.endpoints import (
    EXCHANGE_INFO,
    MARKETS,
    SERVER_TIME,
    Endpoint,
    MarketApi,
    Request,
)
from bhds.api.paginator import Cutter
from bhds.api.rate_limiter import RateLimiter
from bhds.api.rows import Bar, Event
from bhds.api.transport import Transport, Usage
from bhds.core.errors import ApiError
from bhds.core.markets import Interval, TradeType
from bhds.core.timegrid import Grid, Span

_T = TypeVar("_T")
_EventT = TypeVar("_EventT", bound=Event)


class KlinePage(NamedTuple):
    """All bars that open in a range and that the API has."""

    start_ms: int
    """Milliseconds since 1970, UTC, inclusive."""
    end_ms: int
    """Likewise, exclusive."""
    rows: list[Bar]
    """Sorted by unique `open_time`."""


class EventPage(NamedTuple, Generic[_EventT]):
    """All events of a range that the API has."""

    start_ms: int
    """Milliseconds since 1970, UTC, inclusive."""
    end_ms: int
    """Likewise, exclusive."""
    rows: list[_EventT]
    """Sorted by `time_ms`, which several may share."""


@dataclass(frozen=True)
class _Series:
    """Bars of one symbol, and how they are requested."""

    data_type: str
    symbol: str
    interval: Interval
    cutter: Cutter


class ApiClient:
    """Sends requests to the API of one market; use it in `async with`.

    Parameters
    ----------
    trade_type
        The market: spot, um_futures or cm_futures.
    endpoint
        The URL to which paths such as `/fapi/v1/klines` are appended.
    budget
        What is shared with all other clients of this machine.
    proxy
        URL of an HTTP proxy, or None to connect directly.
    timeout_s
        Seconds without a byte, or until connected, after which a request counts as
        failed. Waiting for the budget does not count.
    concurrency
        The largest number of simultaneous requests.

    Raises
    ------
    ApiError
        If the market has no such API.
    """

    def __init__(
        self,
        trade_type: TradeType,
        *,
        endpoint: str,
        budget: RateLimiter,
        proxy: str | None = None,
        timeout_s: float = 15.0,
        concurrency: int = 8,
    ) -> None:
        self._market = _market(trade_type)
        self._concurrency = concurrency
        self.unknown_fields: set[str] = set()
        """What answers had beyond the known fields, in words."""
        self._transport = Transport(
            self._market,
            endpoint=endpoint,
            budget=budget,
            proxy=proxy,
            timeout_s=timeout_s,
            concurrency=concurrency,
        )

    async def __aenter__(self) -> Self:
        await self._transport.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._transport.__aexit__(kind, error, traceback)

    @property
    def usage(self) -> Usage:
        """Requests and received rows so far."""
        return self._transport.usage

    async def server_time(self) -> int:
        """Return the server's clock, in ms since 1970, UTC.

        Raises
        ------
        ApiError
            As `klines`.
        """
        return await self.fetch(SERVER_TIME)

    async def exchange_info(self) -> bytes:
        """Return the JSON that lists the market's symbols, as the server wrote it.

        Raises
        ------
        ApiError
            As `klines`, or if it lists none.
        """
        answer = await self._transport.fetch(self._market.request(EXCHANGE_INFO))
        EXCHANGE_INFO.read(answer.content, subject=answer.subject)
        return answer.body

    async def fetch(self, endpoint: Endpoint[_T]) -> _T:
        """Return the answer of an endpoint without parameters.

        Raises
        ------
        ApiError
            As `klines`, or if the market has no such endpoint.
        """
        answer = await self._transport.fetch(self._market.request(endpoint))
        return endpoint.read(answer.content, subject=answer.subject)

    async def events(
        self,
        endpoint: Endpoint[list[_EventT]],
        symbol: str,
        *,
        start_ms: int,
        end_ms: int,
    ) -> AsyncGenerator[EventPage[_EventT], None]:
        """Yield the events of a range, page by page, in time order.

        Parameters
        ----------
        endpoint
            What they are, such as `endpoints.FUNDING_RATES`.
        symbol
            A contract.
        start_ms, end_ms
            Start inclusive, end exclusive; ms since 1970, UTC. The pages together
            cover this range exactly once.

        Raises
        ------
        SymbolRefusedError, RefusedError, ApiError
            As `klines`; also if the market has no such endpoint.
        """
        while start_ms < end_ms:
            requested = Span(start_ms, end_ms)
            request = self._market.events(endpoint, symbol, **requested._asdict())
            events = await self._events(endpoint, request, requested)
            if len(events) >= endpoint.limit:
                events, requested = checks.whole_moments(events, requested)
            self.usage.rows += len(events)
            yield EventPage(*requested, events)
            start_ms = requested.end_ms

    async def first_event(
        self,
        endpoint: Endpoint[list[_EventT]],
        symbol: str,
        *,
        start_ms: int,
        end_ms: int,
    ) -> EventPage[_EventT]:
        """Return the first event of a range, by the cheapest request.

        Raises
        ------
        SymbolRefusedError, RefusedError, ApiError
            As `events`.
        """
        requested = Span(start_ms, end_ms)
        request = self._market.events(endpoint, symbol, **requested._asdict())
        events = await self._events(endpoint, self._market.first(request), requested)
        self.usage.rows += len(events)
        # Its moment may have others, of which the answer has room for one.
        answered = events[0].time_ms if events else end_ms
        return EventPage(start_ms, answered, events)

    async def first_kline(
        self,
        data_type: str,
        symbol: str,
        interval: Interval,
        *,
        start_ms: int,
        end_ms: int,
    ) -> KlinePage:
        """Return the first bar that opens in a range, by the cheapest request.

        Only of markets that answer the oldest bars of a range first.

        Raises
        ------
        SymbolRefusedError, RefusedError, ApiError
            As `klines`.
        """
        request = self._market.klines(
            data_type, symbol, interval, start_ms=start_ms, end_ms=end_ms, points=0
        )
        bars = await self._bars(self._market.first(request), Span(start_ms, end_ms))
        self.usage.rows += len(bars)
        answered = bars[0].open_time + 1 if bars else end_ms
        return KlinePage(start_ms, answered, bars)

    async def klines(
        self,
        data_type: str,
        symbol: str,
        interval: Interval,
        *,
        start_ms: int,
        end_ms: int,
        closed_by_ms: int | None = None,
    ) -> AsyncGenerator[KlinePage, None]:
        """Yield the bars of a range, page by page, in any order.

        Parameters
        ----------
        data_type
            The archive's name of the series: `klines`, or of futures also
            `markPriceKlines`, `indexPriceKlines`, `premiumIndexKlines`.
        symbol
            The name in the archive; of cm `indexPriceKlines` that is a pair.
        interval
            The spacing of the bars.
        start_ms, end_ms
            Bars that open from the start, inclusive, to the end, exclusive; ms since
            1970, UTC. The pages together cover this range exactly once.
        closed_by_ms
            The server's time, or None to take bars that are still running for done.
            Bars whose `close_time` is not before it are left out, and the pages then
            cover the range only up to the grid point, or the bar, where they begin.

        Raises
        ------
        SymbolRefusedError
            If the API refuses the symbol.
        RefusedError
            If it does not serve this address or place.
        ApiError
            If it has no such series, or if it refuses, bans this address for long, or
            does not answer soundly in several attempts.
        """
        series = self._series(data_type, symbol, interval)
        if closed_by_ms is not None:
            end_ms = min(end_ms, series.cutter.grid.closed_before(closed_by_ms))
        async with aclosing(self._pages(series, Span(start_ms, end_ms))) as pages:
            async for page in pages:
                closed = page if closed_by_ms is None else _closed(page, closed_by_ms)
                if closed.start_ms < closed.end_ms:
                    self.usage.rows += len(closed.rows)
                    yield closed

    def _series(self, data_type: str, symbol: str, interval: Interval) -> _Series:
        market = self._market
        cutter = Cutter(
            Grid(interval),
            limit=market.tiers[-1].limit,
            newest_first=market.newest_first,
            longest_span_ms=market.longest_span_ms,
        )
        return _Series(data_type, symbol, interval, cutter)

    async def _pages(
        self, series: _Series, rest: Span
    ) -> AsyncGenerator[KlinePage, None]:
        """Yield pages that together cover a range.

        As long as answers have room left, and again where pages stay empty, as much as
        may be is requested at once: that is how absences are skipped.
        """
        cutter = series.cutter
        is_sparse = True
        while rest.start_ms < rest.end_ms:
            if is_sparse:
                requested = cutter.longest(rest)
                page = await self._page(series, requested)
                yield page
                rest = cutter.without(rest, Span(page.start_ms, page.end_ms))
                is_sparse = (page.start_ms, page.end_ms) == requested
                continue
            spans = cutter.pages(rest, count=self._concurrency)
            coming = _as_completed([self._ask_whole(series, span) for span in spans])
            async with aclosing(coming) as pages:
                async for page in pages:
                    yield page
                    if spans[-1] == (page.start_ms, page.end_ms):
                        is_sparse = not page.rows
            rest = cutter.without(rest, spans[-1])

    async def _ask_whole(self, series: _Series, span: Span) -> KlinePage:
        """Return all bars of a range, of which there may be more than an answer."""
        found: list[Bar] = []
        rest = span
        while rest.start_ms < rest.end_ms:
            page = await self._page(series, rest)
            found += page.rows
            rest = series.cutter.without(rest, Span(page.start_ms, page.end_ms))
        return KlinePage(*span, sorted(found))

    async def _page(self, series: _Series, span: Span) -> KlinePage:
        """Request once the bars of a range; return those of the part answered."""
        request = self._market.klines(
            series.data_type,
            series.symbol,
            series.interval,
            start_ms=span.start_ms,
            end_ms=span.end_ms,
            points=series.cutter.grid.points(span),
        )
        bars = await self._bars(request, span)
        start_ms, end_ms = series.cutter.answered(span, bars, limit=request.limit)
        kept = [bar for bar in bars if start_ms <= bar.open_time < end_ms]
        return KlinePage(start_ms, end_ms, kept)

    async def _bars(self, request: Request, requested: Span) -> list[Bar]:
        """Return the bars of one answer, which are those of a range, in order."""
        answer = await self._transport.fetch(request)
        bars = rows.parse_bars(
            answer.content,
            subject=answer.subject,
            limit=request.limit,
            unknown=self.unknown_fields,
        )
        times = [bar.open_time for bar in bars]
        checks.check_times(
            times, requested=requested, subject=answer.subject, unique=True
        )
        return bars

    async def _events(
        self, endpoint: Endpoint[list[_EventT]], request: Request, requested: Span
    ) -> list[_EventT]:
        """Return the events of one answer: a symbol's, of a range, in order."""
        answer = await self._transport.fetch(request)
        events = endpoint.read(
            answer.content,
            subject=answer.subject,
            limit=request.limit,
            unknown=self.unknown_fields,
        )
        times = [event.time_ms for event in events]
        checks.check_times(
            times, requested=requested, subject=answer.subject, unique=False
        )
        checks.check_symbols(
            events, request.parameters["symbol"], subject=answer.subject
        )
        return events


def _market(trade_type: TradeType) -> MarketApi:
    if trade_type not in MARKETS:
        msg = f"market {trade_type}: has no such API, expected {', '.join(MARKETS)}"
        raise ApiError(msg)
    return MARKETS[trade_type]


def _closed(page: KlinePage, closed_by_ms: int) -> KlinePage:
    """Return a page up to its first bar that is not over by a moment."""
    for number, bar in enumerate(page.rows):
        if bar.close_time >= closed_by_ms:
            return KlinePage(page.start_ms, bar.open_time, page.rows[:number])
    return page


async def _as_completed(
    parts: Sequence[Coroutine[Any, Any, _T]],
) -> AsyncGenerator[_T, None]:
    """Run coroutines at once and yield what they return, the first to end first."""
    tasks = [asyncio.create_task(part) for part in parts]
    try:
        for done in asyncio.as_completed(tasks):
            yield await done
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
