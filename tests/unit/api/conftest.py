import asyncio
import datetime as dt

import pytest
import stamina

from bhds.api.client import ApiClient
from bhds.api.limits import Limit, Pool
from bhds.api.rate_limiter import RateLimiter
from bhds.core.markets import TradeType
from tests.scripted import ScriptedServer

AMPLE = dict.fromkeys(Pool, Limit(weight=1_000_000, window_s=60))


class Clock:
    """A clock that runs only while somebody sleeps."""

    def __init__(self):
        self.now = dt.datetime(2025, 2, 10, 12, tzinfo=dt.UTC).timestamp()
        self.slept = []

    def __call__(self):
        return self.now

    async def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def open_budget(tmp_path, clock):
    """A function that opens a budget in a folder of the test's own."""
    opened = []

    def open_one(endpoint="http://exchange", **settings):
        given = {
            "spot": endpoint,
            "um": endpoint,
            "cm": endpoint,
            "directory": tmp_path / "budget",
            "limits": AMPLE,
            "clock": clock,
            "sleep": clock.sleep,
        }
        opened.append(RateLimiter(**(given | settings)))
        return opened[-1]

    yield open_one
    for budget in opened:
        budget.close()


class FakeServer(ScriptedServer):
    """An API that the client is run against."""

    def __init__(self, open_budget, *answers):
        super().__init__(*answers)
        self.open_budget = open_budget

    def run(self, act, *, trade_type=TradeType.UM_FUTURES, budget=None, **settings):
        """Run `act(client)` against this server."""

        async def run(endpoint):
            given = {"budget": budget or self.open_budget(endpoint)} | settings
            async with ApiClient(trade_type, endpoint=endpoint, **given) as client:
                return await act(client)

        return self.serve(run)


@pytest.fixture
def fake_server(open_budget):
    """A function that makes a server of the answers that it is to give."""
    return lambda *answers: FakeServer(open_budget, *answers)


@pytest.fixture(autouse=True)
def _three_attempts_without_waiting():
    with stamina.set_testing(testing=True, attempts=3):
        yield
