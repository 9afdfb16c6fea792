"""How the API and the bucket fail to answer, on request.

Faults are of the way an answer takes, not of the data: bars that the API does not
have are `Publication.holes`.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from threading import Lock

from bhds.core.errors import ConfigError

_OK = 200
_LOWEST_STATUS, _FIRST_OF_THE_SERVER, _HIGHEST_STATUS = 400, 500, 599
_RETRY_AFTER_S = {429: 1, 418: 120}
"""What is told with a status unless another time is given."""


class Manner(StrEnum):
    """In which way a request is not answered as it should be."""

    REFUSE = "refuse"
    """By another status."""
    CUT_OFF = "cut_off"
    """Status 200, but the connection ends in the middle of the body."""
    HALVE = "halve"
    """Status 200 and a whole answer of which the body is half of the JSON."""
    BOMB = "bomb"
    """Status 200 and a small body that inflates to 64 MiB."""
    ENDLESS = "endless"
    """Status 200 and a body of blanks that goes on for 1 GiB."""
    REDIRECT = "redirect"
    """By a redirect to a host that is none of the exchange's."""
    STALL = "stall"
    """Not at all; the connection stays open."""


@dataclass
class Fault:
    """What happens to the next requests."""

    manner: Manner
    times: int | None
    """How many requests are still to meet it; None: all until the faults are cleared.
    """
    endpoint: str | None
    """The only endpoint that it happens to, as `um_futures/klines`; None: all do."""
    status: int = _OK
    retry_after_s: int | None = None
    """Seconds told in `Retry-After`; None: there is no such header."""
    symbol: str | None = None
    """The only symbol or pair that it happens to; None: to all, and to none."""
    code: int | None = None
    """The API's own code of a refusal; None: one that follows from the status."""
    message: str | None = None
    """The text that goes with the code."""

    @property
    def is_free(self) -> bool:
        """Whether it keeps a request from being charged to its budget."""
        return _LOWEST_STATUS <= self.status < _FIRST_OF_THE_SERVER


class Faults:
    """The faults that the next answers have; safe for several threads.

    Of several faults, a request meets the one that was asked for first and is of its
    endpoint and symbol.

    Parameters
    ----------
    endpoints
        The labels of all endpoints: of the API those under which requests are counted,
        of the bucket `listing`.
    """

    def __init__(self, endpoints: Collection[str]) -> None:
        self._endpoints = endpoints
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
            When it is set to what is negative or not finite.
        """
        return self._latency_s

    @latency_s.setter
    def latency_s(self, seconds: float) -> None:
        if not 0 <= seconds < math.inf:
            msg = f"latency_s {seconds}: expected a finite number of seconds from 0 on"
            raise ConfigError(msg)
        self._latency_s = seconds

    def refuse(
        self,
        status: int,
        *,
        times: int | None = 1,
        endpoint: str | None = None,
        retry_after_s: int | None = None,
        symbol: str | None = None,
        code: int | None = None,
        message: str | None = None,
    ) -> None:
        """Answer the next requests by `status`, 400 to 599.

        Requests refused by 4xx cost nothing, as of those that are stopped on their way
        or are beyond a budget; those by 5xx cost what others do.

        Parameters
        ----------
        status
            The HTTP status.
        times
            How many requests, 1 or more; None: all, until `clear`.
        endpoint
            The only endpoint that it happens to, as `um_futures/klines`; None: all.
        retry_after_s
            Seconds to tell in `Retry-After`; None: 1 with 429, 120 with 418, and no
            such header with others.
        symbol
            The only symbol or pair that it happens to; None: any request.
        code, message
            `code` and `msg` of the answer's JSON; None: those of the status.

        Raises
        ------
        ConfigError
            If a number is out of its bounds, or there is no such endpoint.
        """
        if not _LOWEST_STATUS <= status <= _HIGHEST_STATUS:
            msg = f"status {status}: expected one that refuses, from 400 to 599"
            raise ConfigError(msg)
        if retry_after_s is None:
            retry_after_s = _RETRY_AFTER_S.get(status)
        self._plan(
            Fault(
                Manner.REFUSE,
                times,
                endpoint,
                status,
                retry_after_s,
                symbol=symbol,
                code=code,
                message=message,
            )
        )

    def cut_off(self, *, times: int | None = 1, endpoint: str | None = None) -> None:
        """End the connection in the middle of the next answers' bodies.

        Their status is 200 and `Content-Length` that of the whole; requests that are
        refused anyway are not cut off. Parameters and errors are as of `refuse`.
        """
        self._plan(Fault(Manner.CUT_OFF, times, endpoint))

    def halve(self, *, times: int | None = 1, endpoint: str | None = None) -> None:
        """Send, as if it were all, the first half of the next answers' bodies.

        Parameters and errors are as of `refuse`.
        """
        self._plan(Fault(Manner.HALVE, times, endpoint))

    def bomb(self, *, times: int | None = 1, endpoint: str | None = None) -> None:
        """Send the next answers as bodies that inflate to 64 MiB.

        Parameters and errors are as of `refuse`.
        """
        self._plan(Fault(Manner.BOMB, times, endpoint))

    def endless(self, *, times: int | None = 1, endpoint: str | None = None) -> None:
        """Send the next answers as bodies that go on for 1 GiB.

        Parameters and errors are as of `refuse`.
        """
        self._plan(Fault(Manner.ENDLESS, times, endpoint))

    def redirect(self, *, times: int | None = 1, endpoint: str | None = None) -> None:
        """Redirect the next requests to another host.

        Parameters and errors are as of `refuse`.
        """
        self._plan(Fault(Manner.REDIRECT, times, endpoint))

    def stall(self, *, times: int | None = 1, endpoint: str | None = None) -> None:
        """Leave the next requests without an answer, and their connections open.

        Parameters and errors are as of `refuse`.
        """
        self._plan(Fault(Manner.STALL, times, endpoint))

    def clear(self) -> None:
        """Forget the faults that are still to come; latency is none of them."""
        with self._lock:
            self._planned.clear()

    def take(self, endpoint: str, *, symbol: str | None = None) -> Fault | None:
        """Return what happens to a request of `endpoint`, and count it as met."""
        with self._lock:
            for fault in self._planned:
                if fault.endpoint in (None, endpoint) and fault.symbol in (
                    None,
                    symbol,
                ):
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
        """Return the faults that are still to come, those asked for first in front."""
        with self._lock:
            return [*self._planned]

    def _plan(self, fault: Fault) -> None:
        if fault.times is not None and fault.times < 1:
            msg = f"times {fault.times}: expected 1 or more, or None for all"
            raise ConfigError(msg)
        if fault.endpoint is not None and fault.endpoint not in self._endpoints:
            msg = (
                f"endpoint {fault.endpoint!r}: expected one that there is, such as "
                f"{min(self._endpoints)!r}"
            )
            raise ConfigError(msg)
        with self._lock:
            self._planned.append(fault)
