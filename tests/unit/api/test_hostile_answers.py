"""Answers of the sandbox that nobody should read to their end."""

import asyncio

import pytest

from bhds.api.client import ApiClient
from bhds.archive.listing.bucket import BucketClient
from bhds.core.errors import ApiError, ListingError
from bhds.core.markets import TradeType
from bhds.sandbox.exchange import Exchange
from bhds.sandbox.server import serving

HOSTILE = [
    ("bomb", r"\(status 200\) has more than 16 MiB"),
    ("endless", r"\(status 200\) has more than 16 MiB"),
    (
        "redirect",
        r"redirects to http://localhost:\d+, which is not one of the hosts of",
    ),
]


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    with (
        Exchange(cache_dir=tmp_path_factory.mktemp("cache")) as exchange,
        serving(exchange) as running,
    ):
        yield running


@pytest.mark.parametrize(("manner", "told"), HOSTILE)
def test_a_hostile_answer_of_the_api_is_one_error(running, open_budget, manner, told):
    running.exchange.api_faults.add(manner)
    endpoint = running.endpoints.api_um

    async def ask():
        async with ApiClient(
            TradeType.UM_FUTURES, endpoint=endpoint, budget=open_budget(endpoint)
        ) as client:
            await client.server_time()

    with pytest.raises(ApiError, match=told):
        asyncio.run(ask())


@pytest.mark.parametrize(("manner", "told"), HOSTILE)
def test_a_hostile_answer_of_the_bucket_is_one_error(running, manner, told):
    running.exchange.listing_faults.add(manner)

    async def ask():
        async with BucketClient(running.endpoints.archive_listing) as client:
            await client.list_prefixes("data/spot/daily/klines/")

    with pytest.raises(ListingError, match=told):
        asyncio.run(ask())
