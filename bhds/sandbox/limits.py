"""Request budgets of the REST API, and what comes of overrunning them.

Notes
-----
Binance API documentation, "LIMITS": a budget of weight per minute and address, 429
with `Retry-After` beyond it, and for those who go on 418, a ban of 2 minutes to 3
days. Coin-M and USD-M futures draw on one budget since 2026-06-30.
"""

import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

_FIRST_BAN_S = 120
_LONGEST_BAN_S = 3 * 86_400
_PATIENCE = 5
"""Refused requests within a window that are still answered by 429."""


class LimitPool(Enum):
    """A budget that several endpoints share."""

    SPOT = "spot"
    FUTURES = "futures"
    FUNDING = "funding"


@dataclass(frozen=True)
class Budget:
    """How much may be used within a window of time."""

    weight: int
    window_s: int


BUDGETS = {
    LimitPool.SPOT: Budget(weight=6_000, window_s=60),
    LimitPool.FUTURES: Budget(weight=2_400, window_s=60),
    LimitPool.FUNDING: Budget(weight=500, window_s=300),
}
"""The budgets of the real exchange."""


@dataclass(frozen=True)
class Refusal:
    """Why a request is not answered."""

    status: int
    """429, or 418 for an address that is banned."""
    retry_after_s: int


@dataclass
class _Account:
    """What one address has used of one pool."""

    window: int = -1
    used: int = 0
    refused: int = 0
    """Refusals in the present window."""
    bans: int = 0
    banned_until_s: float = 0.0


@dataclass
class LimitEnforcer:
    """Weights used per address and pool; charged from one thread only."""

    budgets: dict[LimitPool, Budget] = field(default_factory=lambda: dict(BUDGETS))
    clock: Callable[[], float] = time.time
    """Seconds; windows begin at multiples of their length."""
    refused: int = 0
    """How many requests were refused so far, by 429 or 418."""
    _granted: defaultdict[LimitPool, dict[int, int]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    """By pool and number of the window, what all addresses together were granted."""
    _accounts: dict[tuple[str, LimitPool], _Account] = field(default_factory=dict)

    def spend(self, address: str, pool: LimitPool, weight: int) -> Refusal | None:
        """Charge a request, or return why it is refused; a refused one is free."""
        refusal = self._charge(address, pool, weight)
        self.refused += refusal is not None
        return refusal

    def _charge(self, address: str, pool: LimitPool, weight: int) -> Refusal | None:
        now = self.clock()
        budget = self.budgets[pool]
        account = self._account(address, pool, now)
        if now < account.banned_until_s:
            return Refusal(418, _seconds_until(account.banned_until_s, now))
        if account.used + weight <= budget.weight:
            account.used += weight
            granted = self._granted[pool]
            granted[account.window] = granted.get(account.window, 0) + weight
            return None
        account.refused += 1
        if account.refused <= _PATIENCE:
            window_end = (account.window + 1) * budget.window_s
            return Refusal(429, _seconds_until(window_end, now))
        ban_s = min(_FIRST_BAN_S * 2**account.bans, _LONGEST_BAN_S)
        account.bans += 1
        account.banned_until_s = now + ban_s
        return Refusal(418, ban_s)

    def used(self, address: str, pool: LimitPool) -> int:
        """Return the weight that `address` has used in the present window."""
        return self._account(address, pool, self.clock()).used

    def weights(self, pool: LimitPool) -> list[int]:
        """Return the weight that was granted in each window, of all addresses together.

        Windows are in order of time, the present one last; those in which nothing was
        granted are left out.
        """
        return [*self._granted[pool].values()]

    def _account(self, address: str, pool: LimitPool, now: float) -> _Account:
        account = self._accounts.setdefault((address, pool), _Account())
        window = int(now // self.budgets[pool].window_s)
        if account.window != window:
            account.window, account.used, account.refused = window, 0, 0
        return account


def _seconds_until(moment: float, now: float) -> int:
    return int(moment - now) + 1
