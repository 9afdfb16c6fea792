"""Send requests within the budget, and separate passing faults from lasting ones.

Notes
-----
Binance API documentation, "HTTP Return Codes" and "LIMITS", read 2026-07: 429 and 418
state in `Retry-After` for how many seconds to send nothing; 418 is a ban of 2 minutes
to 3 days; 403 comes from the firewall, 451 from a place that is not served; after 5xx
it is unknown whether the request was carried out, which for questions is no matter.
"""

import asyncio
import logging
from dataclasses import dataclass
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import urlencode

from bhds.api import headers
from bhds.api.codes import CodeKind, kind_of, refusal_of
from bhds.api.endpoints import MarketApi, Request
from bhds.api.json_bodies import JsonError, read_json
from bhds.api.limits import Pool
from bhds.api.rate_limiter import RateLimiter
from bhds.core.errors import ApiError, RefusedError, SymbolRefusedError, cut
from bhds.io import http

logger = logging.getLogger(__name__)

_WHOLE_ANSWER_TIMEOUTS = 4  # an answer that trickles may take this many timeouts
_MOST_REFUSALS = 20
_SHOWN = 200  # bytes of an answer that is no JSON
_DEFAULT_PAUSE_S = {429: 60.0, 418: 120.0}
_HTTP_OK = 200
_HTTP_BANNED = 418
_HTTP_CLIENT_ERROR, _HTTP_SERVER_ERROR = 400, 500
_REFUSED = {
    403: "the exchange's firewall refuses this address",
    451: "the exchange does not serve this place",
}


class Response(NamedTuple):
    """A good answer."""

    content: Any
    """The JSON, read."""
    body: bytes
    subject: str
    """The request, as errors name it."""


@dataclass
class Usage:
    """Requests and received rows of a client so far."""

    requests: int = 0
    """Those sent, refused or failed ones too."""
    weight: int = 0
    """What they cost, of all budgets."""
    refusals: int = 0
    """Answers that ordered a pause: 429 and 418."""
    rows: int = 0
    """Bars and funding events that were handed out."""


class Transport:
    """Asks one market's endpoint; use it in `async with`.

    Parameters
    ----------
    market
        What its API is like.
    endpoint
        Its URL, to which paths are appended.
    budget
        What is shared with all other clients of this machine.
    proxy
        URL of an HTTP proxy, or None to connect directly.
    timeout_s
        Seconds without a byte, or until connected, after which a request counts as
        failed.
    concurrency
        The largest number of simultaneous requests.
    """

    def __init__(
        self,
        market: MarketApi,
        *,
        endpoint: str,
        budget: RateLimiter,
        proxy: str | None,
        timeout_s: float,
        concurrency: int,
    ) -> None:
        self.endpoint = endpoint.rstrip("/")
        self.usage = Usage()
        self._market = market
        self._budget = budget
        self._slots = asyncio.Semaphore(concurrency)
        self._http = http.HttpClient(
            proxy=proxy,
            timeout_s=timeout_s,
            whole_answer_timeouts=_WHOLE_ANSWER_TIMEOUTS,
            concurrency=concurrency,
        )

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._http.__aexit__(kind, error, traceback)
        self._budget.close()  # others that use it open it again

    async def fetch(self, request: Request) -> Response:
        """Return the answer to a request, asked again where that may help.

        Raises
        ------
        RefusedError
            If the server does not serve this address or place.
        SymbolRefusedError
            If it refuses the request's symbol, in its own form.
        ApiError
            If it refuses the request, orders a pause that is too long or too many of
            them, or does not answer soundly in several attempts.
        """
        subject = self._subject(request)
        try:
            return await http.retrying(http.PASSING, self._ask_once, request, subject)
        except http.PASSING as error:
            msg = (
                f"{subject}: could not be had; last cause: {self._http.cause(error)}; "
                "check the connection, http.proxy and endpoints"
            )
            raise ApiError(msg) from error
        except http.LASTING as error:
            cause = self._http.cause(error)
            msg = f"{subject}: {cause}; check endpoints and http.proxy"
            raise ApiError(msg) from error

    async def _ask_once(self, request: Request, subject: str) -> Response:
        """Repeat the request until the server orders no pause; a pause is no fault."""
        for _ in range(_MOST_REFUSALS):
            received = await self._send(request)
            if received.status not in _DEFAULT_PAUSE_S:
                return _judged(received, subject, names_symbol=request.names_symbol)
            self.usage.refusals += 1
            self._pause(request, received)
        msg = (
            f"{subject}: the server ordered a pause {_MOST_REFUSALS} times, expected "
            "an answer after it; look what else at this address uses the API"
        )
        raise ApiError(msg)

    async def _send(self, request: Request) -> http.Received:
        url = http.address(f"{self.endpoint}{request.path}", request.parameters)
        spending = self._budget.acquire(
            request.pool, request.weight, timeout_s=self._http.longest_s
        )
        async with self._slots, spending as spent:
            self.usage.requests += 1
            self.usage.weight += request.weight
            received = await self._http.get(url, most_bytes=request.most_bytes)
            if request.pool is not Pool.FUNDING:  # which the header does not count
                spent.used_weight = headers.used_weight(received.headers)
        return received

    def _pause(self, request: Request, received: http.Received) -> None:
        """Close the budget to all processes for as long as the server orders."""
        default_s = _DEFAULT_PAUSE_S[received.status]
        pause_s = headers.pause_s(received.headers, default_s=default_s)
        logger.info(
            "%s: status %d, nothing is sent for %g s",
            *(self.endpoint, received.status, pause_s),
        )
        # A ban is of the address, whatever the request draws on.
        is_ban = received.status == _HTTP_BANNED
        for pool in self._market.pools if is_ban else (request.pool,):
            self._budget.block(pool, pause_s)

    def _subject(self, request: Request) -> str:
        query = urlencode(request.parameters, safe="/", encoding="utf-8")
        query = f"?{query}" if query else ""
        return f"{self.endpoint}{request.path}{query}"


def _judged(received: http.Received, subject: str, *, names_symbol: bool) -> Response:
    """Return a good answer, or raise what another is.

    Parameters
    ----------
    received
        The answer.
    subject
        The request, as errors name it.
    names_symbol
        Whether the request is for one symbol. A code that is documented for symbols,
        or undocumented, is then the outcome of that symbol.
    """
    status, _, body = received
    if status >= _HTTP_SERVER_ERROR:
        msg = f"status {status}"
        raise http.UnavailableError(msg)
    try:
        content = read_json(body)
    except JsonError as error:
        if status == _HTTP_OK:
            shown = cut(body[:_SHOWN].decode(errors="replace"))
            msg = f"the answer is no usable JSON: {error}: '{shown}'"
            raise http.UnavailableError(msg) from error
        content = None
    if status == _HTTP_OK:
        return Response(content, body, subject)
    if status in _REFUSED:
        msg = (
            f"{subject}: status {status}, expected 200: {_REFUSED[status]}; run from "
            "another place, go through a proxy (http.proxy), or set api.enabled: false "
            "to go on with the archive alone"
        )
        raise RefusedError(msg)
    refusal = refusal_of(content)
    reply = f"status {status}, {refusal or 'not in the form of the API'}"
    if refusal is not None and status >= _HTTP_CLIENT_ERROR:
        kind = kind_of(refusal.code)
        if kind is CodeKind.TEMPORARY:
            raise http.UnavailableError(reply)
        if names_symbol and kind is not CodeKind.REQUEST:
            msg = (
                f"{subject}: {reply}, expected a symbol that the API serves; it "
                "refuses delisted and settling contracts: only the archive has them"
            )
            raise SymbolRefusedError(msg, code=refusal.code, reason=refusal.message)
    msg = (
        f"{subject}: {reply}, expected 200; check endpoints and http.proxy, or set "
        "api.enabled: false to continue with the archive alone"
    )
    raise ApiError(msg)
