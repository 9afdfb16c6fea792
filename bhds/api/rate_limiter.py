"""One request budget for all processes of this machine, kept in a SQLite file.

The exchange counts the weight of an address's requests in windows of time. It does
not document how these are aligned, nor when a request is counted between sending and
response. So a request *occupies* its weight from its reservation until one window after
its response, and a reservation is granted if all occupied weight stays within the
budget. Then no window, however aligned, has more than the budget: when the last of its
requests was reserved, all others were still occupied.

Of the libraries that do this, aiolimiter and asynciolimiter know one process, and
limits wants a server (Redis and others). pyrate-limiter has SQLite across processes,
but frees what was acquired a window after it was acquired, not answered, and knows
neither the server's own count nor a pause that a refusal orders for everybody.

Notes
-----
Binance API documentation, "LIMITS", read 2026-07: limits are per IP address; one budget
for USD-M and COIN-M futures since 2026-06-30.
"""

import asyncio
import datetime as dt
import logging
import random
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from bhds.api.limits import LIMITS, LONGEST_PAUSE_S, Limit, Pool
from bhds.api.rate_limiter_file import RateLimiterFile
from bhds.core.errors import ApiError

logger = logging.getLogger(__name__)

_SHORTEST_WAIT_S = 0.02
_JITTER_S = 0.05
_WAITER_GRACE_S = 5.0  # who waits and is this late to look again loses the place
_CLOCK_SLACK_S = 1.0
_TOLD_FROM_S = 5.0  # shorter pauses are not worth a line in the log


@dataclass
class CountedRequest:
    """A request under way, as the block in `RateLimiter.acquire` sees it."""

    used_weight: int | None = None
    """The server's own count of its present window, once it is known."""


class RateLimiter:
    """The budgets of one configuration's endpoints; use it within one thread.

    Processes share the budgets of pools that have the same hosts.

    Parameters
    ----------
    spot, um, cm
        The URLs of the markets' endpoints.
    directory
        Where the file is: local to the machine and this user's own; default: a folder
        for temporary files, named by the user's number.
    limits
        What the exchange allows.
    longest_ban_s
        A pause that the server orders and that is longer is an error, not waited for.
    clock
        Seconds since a moment that is the same in all processes of this machine, and
        that nobody sets. After a restart of the machine, when it may begin again, what
        was reserved or ordered before lasts no longer than it would have at first.
    sleep
        Lets others run for some seconds.
    """

    def __init__(
        self,
        *,
        spot: str,
        um: str,
        cm: str,
        directory: Path | None = None,
        limits: Mapping[Pool, Limit] = LIMITS,
        longest_ban_s: float = 600.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._file = RateLimiterFile(directory, clock=clock)
        self._limits = limits
        self._longest_ban_s = longest_ban_s
        self._sleep = sleep
        hosts = {Pool.SPOT: [spot], Pool.FUTURES: [um, cm], Pool.FUNDING: [um]}
        self._keys = {pool: _key(pool, urls) for pool, urls in hosts.items()}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; it is opened again when it is needed."""
        self._file.close()

    @asynccontextmanager
    async def acquire(
        self, pool: Pool, weight: int, *, timeout_s: float = 60.0
    ) -> AsyncIterator[CountedRequest]:
        """Wait until a request may be sent, and count it while the block runs.

        Within the block the request is sent and its answer read. Requests are granted
        in the order in which they were requested, across processes.

        Parameters
        ----------
        pool
            The budget that the request draws on.
        weight
            What it costs.
        timeout_s
            The longest that the block takes. What was reserved by a process that died
            is free again a window after this.

        Raises
        ------
        ApiError
            If the server has banned this address for longer than is waited for, if
            the budget can never afford the weight, or if the file cannot be used.
        """
        claim = await self._reserve(pool, weight, timeout_s=timeout_s)
        spending = CountedRequest()
        try:
            yield spending
        finally:
            self._settle(pool, weight, claim=claim, used_weight=spending.used_weight)

    def block(self, pool: Pool, seconds: float) -> None:
        """Stop all processes from sending a request until some seconds from now.

        A longer pause that was ordered before stays.

        Raises
        ------
        ApiError
            If the file cannot be used.
        """
        seconds = min(float(seconds), LONGEST_PAUSE_S)
        with self._file.transaction() as (connection, now):
            self._tidy(connection, pool, now)
            connection.execute(
                "INSERT INTO closed VALUES (?1, ?2, ?3) ON CONFLICT (pool) "
                "DO UPDATE SET until = ?2, seconds = ?3 WHERE until < ?2",
                (self._keys[pool], now + seconds, seconds),
            )

    def in_use(self, pool: Pool) -> int:
        """Return the weight that all processes occupy at present.

        Raises
        ------
        ApiError
            If the file cannot be used.
        """
        with self._file.transaction() as (connection, now):
            self._tidy(connection, pool, now)
            return self._sum(connection, pool)

    async def _reserve(self, pool: Pool, weight: int, *, timeout_s: float) -> int:
        """Return the number of the reservation, once it is granted."""
        if weight > self._limits[pool].allowed:
            msg = (
                f"budget {pool}: a request of weight {weight} exceeds what may be used "
                f"at once, {self._limits[pool].allowed}; raise the limit"
            )
            raise ApiError(msg)
        ticket: int | None = None
        try:
            while True:
                with self._file.transaction() as (connection, now):
                    attempt = _Attempt(connection, self._keys[pool], weight, now)
                    wait_s = self._wait_s(attempt, pool, ticket=ticket)
                    if wait_s is None:
                        if ticket is not None:
                            _leave(connection, ticket)
                            ticket = None
                        return attempt.grant(
                            self._limits[pool].window_s, timeout_s=timeout_s
                        )
                    ticket = attempt.queue(ticket, gone_at=now + wait_s)
                await self._sleep(wait_s)
        finally:
            if ticket is not None:
                with self._file.transaction() as (connection, _):
                    _leave(connection, ticket)

    def _wait_s(
        self, attempt: "_Attempt", pool: Pool, *, ticket: int | None
    ) -> float | None:
        """Return how long to wait before the next attempt; None: go."""
        self._tidy(attempt.connection, pool, attempt.now)
        closed_s = attempt.closed_s()
        if closed_s > self._longest_ban_s:
            raise self._banned(pool, closed_s)
        if closed_s > 0:
            if closed_s >= _TOLD_FROM_S and ticket is None:
                logger.info("budget %s: the server orders %.0f s", pool, closed_s)
            return closed_s + _jitter_s()
        free = self._limits[pool].allowed - self._sum(attempt.connection, pool)
        missing = attempt.weight + attempt.ahead(ticket) - free
        if missing <= 0:
            return None
        return max(attempt.until_free_s(missing), _SHORTEST_WAIT_S) + _jitter_s()

    def _settle(
        self, pool: Pool, weight: int, *, claim: int, used_weight: int | None
    ) -> None:
        """Occupy a request's weight until a window from now, and what others used."""
        key, window_s = self._keys[pool], self._limits[pool].window_s
        with self._file.transaction() as (connection, now):
            until = now + window_s
            changed = connection.execute(
                "UPDATE occupied SET frees_at = ?1, expires_at = ?1 WHERE id = ?2",
                (until, claim),
            )
            if not changed.rowcount:  # it took so long that it was given up
                _occupy(connection, key, weight, frees_at=until)
            if used_weight is None:
                return
            self._tidy(connection, pool, now)
            # More than the limit keeps everybody waiting for no longer than that.
            used_weight = min(used_weight, self._limits[pool].weight)
            foreign = used_weight - self._sum(connection, pool)
            if foreign > 0:
                _occupy(connection, key, foreign, frees_at=until)

    def _tidy(self, connection: sqlite3.Connection, pool: Pool, now: float) -> None:
        """Forget what has expired.

        What lasts longer than it did at first, as the machine was started since, begins
        again or goes.
        """
        key, window_s = self._keys[pool], self._limits[pool].window_s
        connection.execute(
            "DELETE FROM occupied WHERE pool = ? AND expires_at <= ?", (key, now)
        )
        connection.execute(
            "UPDATE occupied SET frees_at = ?1, expires_at = ?1 "
            "WHERE pool = ?2 AND frees_at > ?3",
            (now + window_s, key, now + window_s + _CLOCK_SLACK_S),
        )
        longest_s = max(window_s, self._longest_ban_s) + 2 * _WAITER_GRACE_S
        connection.execute(
            "DELETE FROM waiting WHERE pool = ? AND gone_at NOT BETWEEN ? AND ?",
            (key, now, now + longest_s),
        )
        connection.execute(
            "UPDATE closed SET until = ?1 + seconds "
            "WHERE pool = ?2 AND until > ?1 + seconds + ?3",
            (now, key, _CLOCK_SLACK_S),
        )

    def _sum(self, connection: sqlite3.Connection, pool: Pool) -> int:
        query = "SELECT coalesce(sum(weight), 0) FROM occupied WHERE pool = ?"
        (total,) = connection.execute(query, (self._keys[pool],)).fetchone()
        return int(total)

    def _banned(self, pool: Pool, seconds: float) -> ApiError:
        until = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds)
        hosts = self._keys[pool].partition("@")[2]
        return ApiError(
            f"{hosts}: this address may send no requests until {until:%Y-%m-%d %H:%M} "
            f"UTC, which is longer than the {self._longest_ban_s:g} s that are waited "
            "for; run again then, or look what else at this address uses the API"
        )


@dataclass(frozen=True)
class _Attempt:
    """One look, under the lock, whether a request may be sent."""

    connection: sqlite3.Connection
    key: str
    weight: int
    now: float

    def closed_s(self) -> float:
        """Return for how many seconds no request may be sent; at most 0: any may."""
        query = "SELECT until FROM closed WHERE pool = ?"
        row = self.connection.execute(query, (self.key,)).fetchone()
        return 0.0 if row is None else float(row[0]) - self.now

    def ahead(self, ticket: int | None) -> int:
        """Return the weight of those who wait and were earlier."""
        query = (
            "SELECT coalesce(sum(weight), 0) FROM waiting "
            "WHERE pool = ?1 AND (?2 IS NULL OR ticket < ?2)"
        )
        (total,) = self.connection.execute(query, (self.key, ticket)).fetchone()
        return int(total)

    def until_free_s(self, missing: int) -> float:
        """Return the seconds until so much weight may be free, or nearly so."""
        query = "SELECT weight, frees_at FROM occupied WHERE pool = ? ORDER BY frees_at"
        latest = self.now
        for weight, frees_at in self.connection.execute(query, (self.key,)):
            latest = float(frees_at)
            missing -= weight
            if missing <= 0:
                break
        return latest - self.now

    def grant(self, window_s: float, *, timeout_s: float) -> int:
        """Occupy the weight, until the request is answered or given up."""
        return _occupy(
            self.connection,
            self.key,
            self.weight,
            frees_at=self.now + window_s,
            lease_s=timeout_s,
        )

    def queue(self, ticket: int | None, *, gone_at: float) -> int:
        """Take a place among those who wait, or keep it, until a moment and a bit."""
        gone_at += _WAITER_GRACE_S
        if ticket is not None:
            kept = self.connection.execute(
                "UPDATE waiting SET gone_at = ? WHERE ticket = ?", (gone_at, ticket)
            )
            if kept.rowcount:
                return ticket
        added = self.connection.execute(
            "INSERT INTO waiting (pool, weight, gone_at) VALUES (?, ?, ?)",
            (self.key, self.weight, gone_at),
        )
        return int(added.lastrowid or 0)


def _occupy(
    connection: sqlite3.Connection,
    key: str,
    weight: int,
    *,
    frees_at: float,
    lease_s: float = 0.0,
) -> int:
    added = connection.execute(
        "INSERT INTO occupied (pool, weight, frees_at, expires_at) VALUES (?, ?, ?, ?)",
        (key, weight, frees_at, frees_at + lease_s),
    )
    return int(added.lastrowid or 0)


def _leave(connection: sqlite3.Connection, ticket: int) -> None:
    connection.execute("DELETE FROM waiting WHERE ticket = ?", (ticket,))


def _key(pool: Pool, urls: Iterable[str]) -> str:
    hosts = sorted({urlsplit(url).netloc.lower() for url in urls})
    return f"{pool}@{','.join(hosts)}"


def _jitter_s() -> float:
    return random.uniform(0, _JITTER_S)  # noqa: S311
