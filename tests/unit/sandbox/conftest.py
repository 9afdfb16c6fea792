import asyncio
import datetime as dt
import io
import urllib.parse
import zipfile
from contextlib import asynccontextmanager

import aiohttp
import pytest

from bhds.sandbox.exchange import Exchange
from bhds.sandbox.limits import LimitEnforcer
from bhds.sandbox.server import start
from bhds.sandbox.universe import Universe

UTC = dt.UTC


def described(market, name, **changes):
    """Describe a symbol listed on 2024-12-30, a day and a half before 2025."""
    given = {
        "market": market,
        "name": name,
        "base_asset": name[:3],
        "listed": dt.datetime(2024, 12, 30, 12, tzinfo=UTC),
        "price": "100",
        "price_decimals": 2,
        "tick": "0.01",
        "quantity_decimals": 3,
        "quantity_per_trade": "2.5",
        "trades_per_minute": 30,
    }
    if market != "spot":
        given["contract_type"] = "PERPETUAL"
    if market == "cm_futures":
        given |= {"quantity_decimals": 0, "contract_size": 10}
    return given | changes


@pytest.fixture
def symbol():
    """Return a function that describes a symbol, given what is special about it."""
    return described


@pytest.fixture
def universe():
    """Five symbols with a short life; with a halt, quiet bars, 1s bars and an end."""
    halt = {
        "start": dt.datetime(2025, 1, 1, 22, tzinfo=UTC),
        "end": dt.datetime(2025, 1, 4, 2, 30, tzinfo=UTC),
        "price_change": -0.5,
    }
    return Universe.model_validate(
        {
            "seed": 7,
            "symbols": [
                described("spot", "AAAUSDT", quiet_share=0.4),
                described(
                    "spot",
                    "SECUSDT",
                    listed=dt.datetime(2025, 1, 5, 23, 50, tzinfo=UTC),
                    seconds=True,
                    quiet_share=0.5,
                ),
                described("um_futures", "AAAUSDT", halts=[halt]),
                described(
                    "um_futures",
                    "币安人生USDT",
                    delisted=dt.datetime(2025, 1, 3, 9, tzinfo=UTC),
                ),
                described("cm_futures", "AAAUSD_PERP"),
            ],
        }
    )


@pytest.fixture
def clock():
    """The seconds that the limiter's clock shows; change them in place."""
    return [1_000_000.0]


@pytest.fixture
def exchange(universe, clock, tmp_path):
    """An exchange whose present is Monday 2025-02-10, noon."""
    with Exchange(
        universe,
        now=dt.datetime(2025, 2, 10, 12, tzinfo=UTC),
        cache_dir=tmp_path / "cache",
        limiter=LimitEnforcer(clock=lambda: clock[0]),
    ) as opened:
        yield opened


@asynccontextmanager
async def client_of(exchange):
    running = await start(exchange)
    timeout = aiohttp.ClientTimeout(total=30)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        try:
            yield running.endpoints, session
        finally:
            await running.runner.cleanup()


def get(exchange, make_url, *, method="GET", **options):
    """Ask a server of `exchange` once: status, headers and body."""

    async def ask():
        async with (
            client_of(exchange) as (endpoints, session),
            session.request(method, make_url(endpoints), **options) as response,
        ):
            return response.status, response.headers, await response.read()

    return asyncio.run(ask())


def file_url(key):
    return lambda endpoints: f"{endpoints.archive_download}/{urllib.parse.quote(key)}"


def content(exchange, key):
    return exchange.store.read(key)[1]


def lines(exchange, key):
    """Return the lines of the first member of a zip."""
    with zipfile.ZipFile(io.BytesIO(content(exchange, key))) as archive:
        return archive.read(archive.namelist()[0]).decode().splitlines()


def fields(exchange, key):
    """Return the lines of a file as lists of fields."""
    return [line.split(",") for line in lines(exchange, key)]
