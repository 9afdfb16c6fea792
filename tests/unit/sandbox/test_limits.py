import pytest

from bhds.sandbox.limits import Budget, LimitEnforcer, LimitPool, Refusal

HOME = "127.0.0.1"


@pytest.fixture
def clock():
    return [6_000.0]


@pytest.fixture
def limiter(clock):
    budgets = {pool: Budget(weight=10, window_s=60) for pool in LimitPool}
    return LimitEnforcer(budgets, clock=lambda: clock[0])


def test_weights_add_up_until_the_window_ends(limiter, clock):
    assert limiter.spend(HOME, LimitPool.SPOT, 4) is None
    assert limiter.spend(HOME, LimitPool.SPOT, 6) is None
    assert limiter.used(HOME, LimitPool.SPOT) == 10

    clock[0] += 60
    assert limiter.used(HOME, LimitPool.SPOT) == 0


def test_pools_and_addresses_are_apart(limiter):
    limiter.spend(HOME, LimitPool.SPOT, 10)

    assert limiter.used(HOME, LimitPool.FUTURES) == 0
    assert limiter.spend("127.0.0.2", LimitPool.SPOT, 10) is None


def test_overrunning_is_refused_until_the_window_ends(limiter, clock):
    limiter.spend(HOME, LimitPool.SPOT, 8)
    clock[0] += 45

    refusal = limiter.spend(HOME, LimitPool.SPOT, 4)

    assert refusal == Refusal(429, 16)
    assert limiter.used(HOME, LimitPool.SPOT) == 8
    clock[0] += refusal.retry_after_s
    assert limiter.spend(HOME, LimitPool.SPOT, 4) is None


def test_going_on_leads_to_bans_that_grow(limiter, clock):
    limiter.spend(HOME, LimitPool.SPOT, 10)

    statuses = [limiter.spend(HOME, LimitPool.SPOT, 1).status for _ in range(7)]

    assert statuses == [429] * 5 + [418] * 2
    clock[0] += 119
    assert limiter.spend(HOME, LimitPool.SPOT, 1) == Refusal(418, 2)
    clock[0] += 1
    assert limiter.spend(HOME, LimitPool.SPOT, 10) is None
    second = [limiter.spend(HOME, LimitPool.SPOT, 1) for _ in range(6)][-1]
    assert second == Refusal(418, 240)


def test_what_is_granted_is_kept_by_window_and_refusals_are_counted(limiter, clock):
    for address, weight in ((HOME, 4), (HOME, 7), ("127.0.0.2", 10), (HOME, 6)):
        limiter.spend(address, LimitPool.SPOT, weight)
    clock[0] += 180
    limiter.spend(HOME, LimitPool.SPOT, 3)

    assert limiter.weights(LimitPool.SPOT) == [20, 3]
    assert limiter.weights(LimitPool.FUNDING) == []
    assert limiter.refused == 1
