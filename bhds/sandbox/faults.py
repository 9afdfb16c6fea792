"""Faults of the next answers, on request, of the API, the listings or the downloads.

A fault changes how a request is answered, not the data: bars that the API does not have
are `Publication.holes`, and files with defects are `Publication.spoiled`.
"""

import gzip
import math
from asyncio import Event, to_thread
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from threading import Lock

from aiohttp import web
from yarl import URL

from bhds.core.errors import ConfigError

_RETRY_AFTER_S = {429: 1, 418: 120}
"""The `Retry-After` of a status, unless another is given."""
_BOMB_BYTES = 64 * 1024**2
_ENDLESS_BYTES = 1024**3  # for as long as anybody reads it, in the end
_BLANKS = b" " * 2**16
_PADDING = bytes(100)
_PAGE = "<!DOCTYPE html><html><body>Please accept our terms to go on.</body></html>"


class Failure(StrEnum):
    """How a request fails."""

    REFUSE = "refuse"
    """Another status, from 400 to 599. Those by 4xx are not charged to a budget."""
    CUT_OFF = "cut_off"
    """Status 200, but the connection ends in the middle of the body."""
    HALVE = "halve"
    """Status 200 and, as if it were all, the first half of the body."""
    BOMB = "bomb"
    """Status 200 and a small body that inflates to 64 MiB."""
    ENDLESS = "endless"
    """Status 200 and a body of blanks that goes on for 1 GiB."""
    REDIRECT = "redirect"
    """A redirect to the same address on `localhost`, which is another host."""
    STALL = "stall"
    """No answer; the connection stays open."""
    PAGE = "page"
    """A page of HTML, as of a portal."""
    FLIP = "flip"
    """The body with one bit turned."""
    PAD = "pad"
    """The body and zeros behind it."""


@dataclass
class Fault:
    """The failure of the next requests."""

    how: Failure
    times: int | None
    """How many requests are still to meet it; None: all until the faults are cleared.
    """
    target: str | None
    """The only endpoint (`um_futures/klines`) or key that fails; None: all."""
    symbol: str | None = None
    """The only symbol or pair that fails; None: any request."""
    status: int = 503
    """Of a refusal, as the next three."""
    retry_after_s: int | None = None
    """Seconds in `Retry-After`; None: no such header."""
    code: int | None = None
    """The API's own code; None: one that follows from the status."""
    message: str | None = None
    """The text that goes with the code."""

    @property
    def is_free(self) -> bool:
        """Whether it keeps a request from being charged to its budget."""
        return self.how is Failure.REFUSE and self.status < 500  # noqa: PLR2004


class Faults:
    """The faults that the next answers have; safe for several threads.

    Of several faults, a request meets the first one of its target and symbol.

    Parameters
    ----------
    targets
        The labels of all endpoints, as requests are counted; None: any key.
    """

    def __init__(self, targets: Collection[str] | None = None) -> None:
        self._targets = targets
        self._planned: list[Fault] = []
        self._lock = Lock()
        self._latency_s = 0.0
        self.served = 0
        """How many requests have met a fault."""

    @property
    def latency_s(self) -> float:
        """Seconds that each answer takes longer than it must.

        Half of them go by before the request is charged to its budget, half after.

        Raises
        ------
        ConfigError
            When it is set to a number that is negative or not finite.
        """
        return self._latency_s

    @latency_s.setter
    def latency_s(self, seconds: float) -> None:
        if not 0 <= seconds < math.inf:
            msg = f"latency_s {seconds}: expected a finite number of seconds from 0 on"
            raise ConfigError(msg)
        self._latency_s = seconds

    def add(
        self,
        how: Failure,
        *,
        times: int | None = 1,
        target: str | None = None,
        symbol: str | None = None,
        status: int = 503,
        retry_after_s: int | None = None,
        code: int | None = None,
        message: str | None = None,
    ) -> None:
        """Plan a fault of the next requests; parameters are the fields of `Fault`.

        Without `retry_after_s` it is 1 with status 429, 120 with 418.

        Raises
        ------
        ConfigError
            If a number is out of its bounds, or there is no such target.
        """
        if not 400 <= status <= 599:  # noqa: PLR2004
            msg = f"status {status}: expected one that refuses, from 400 to 599"
            raise ConfigError(msg)
        if times is not None and times < 1:
            msg = f"times {times}: expected 1 or more, or None for all"
            raise ConfigError(msg)
        if target is not None and self._targets and target not in self._targets:
            msg = (
                f"target {target!r}: expected an endpoint such as "
                f"{min(self._targets)!r}"
            )
            raise ConfigError(msg)
        if retry_after_s is None:
            retry_after_s = _RETRY_AFTER_S.get(status)
        fault = Fault(
            *(Failure(how), times, target, symbol, status, retry_after_s, code, message)
        )
        with self._lock:
            self._planned.append(fault)

    def clear(self) -> None:
        """Forget the planned faults; latency is none of them."""
        with self._lock:
            self._planned.clear()

    def take(self, target: str, *, symbol: str | None = None) -> Fault | None:
        """Return the fault of a request of `target`, if any, and count it as met."""
        with self._lock:
            for fault in self._planned:
                if fault.target in (None, target) and fault.symbol in (None, symbol):
                    break
            else:
                return None
            self.served += 1
            if fault.times is not None:
                fault.times -= 1
                if not fault.times:
                    self._planned.remove(fault)
            return fault

    def planned(self) -> list[Fault]:
        """Return the faults that are still to come, in order."""
        with self._lock:
            return [*self._planned]


def changed(how: Failure, body: bytes) -> bytes:
    """Return the bytes of a body that is sent whole but is not the right one."""
    middle = len(body) // 2
    if how is Failure.HALVE:
        return body[:middle]
    if how is Failure.PAD:
        return body + _PADDING
    if how is Failure.FLIP and body:
        return body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :]
    return body


async def failed(
    how: Failure, request: web.Request, answer: web.Response, *, stopping: Event
) -> web.StreamResponse:
    """Send `answer` as it should not be.

    Parameters
    ----------
    how
        The failure; `REFUSE` is up to the caller, who knows the form of a refusal.
    request
        The request that fails.
    answer
        The right answer, of status 200.
    stopping
        Set when the server ends: it would wait for requests without an answer.
    """
    body = answer.body if isinstance(answer.body, bytes) else b""
    match how:
        case Failure.STALL:
            await stopping.wait()
            return answer
        case Failure.PAGE:
            return web.Response(text=_PAGE, content_type="text/html")
        case Failure.REDIRECT:
            elsewhere = URL(str(request.url)).with_host("localhost")
            return web.Response(status=302, headers={"Location": str(elsewhere)})
        case Failure.BOMB:
            bomb = await to_thread(gzip.compress, bytes(_BOMB_BYTES))
            return web.Response(body=bomb, headers={"Content-Encoding": "gzip"})
        case Failure.CUT_OFF | Failure.ENDLESS:
            return await _begun(how, request, answer, body)
    answer.body = changed(how, body)
    return answer


async def _begun(
    how: Failure, request: web.Request, answer: web.Response, body: bytes
) -> web.StreamResponse:
    """Send a body that does not end where it should."""
    begun = web.StreamResponse(headers=answer.headers)
    if how is Failure.ENDLESS:
        begun.headers.popall("Content-Length", None)
        await begun.prepare(request)
        for _ in range(_ENDLESS_BYTES // len(_BLANKS)):
            await begun.write(_BLANKS)
        return begun
    begun.content_length = len(body)
    await begun.prepare(request)
    await begun.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return begun
