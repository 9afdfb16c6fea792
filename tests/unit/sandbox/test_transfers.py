"""Downloads that go wrong on request, as curl would meet them."""

import asyncio
import urllib.parse

import aiohttp
import pytest

from bhds.core.errors import ConfigError
from bhds.sandbox.server import start
from bhds.sandbox.transfers import Spoiling, Transfers

KEY = "data/futures/um/daily/klines/币安人生USDT/1m/币安人生USDT-1m-2025-01-01.zip"


def download(exchange, *, times=1):
    """Return status, headers and bytes of some downloads, one after the other."""

    async def ask():
        running = await start(exchange)
        url = f"{running.endpoints.archive_download}/{urllib.parse.quote(KEY)}"
        found = []
        try:
            async with aiohttp.ClientSession() as session:
                for _ in range(times):
                    async with session.get(url, allow_redirects=False) as answer:
                        body = await answer.read()
                        found.append((answer.status, answer.headers, body))
        finally:
            await running.runner.cleanup()
        return found

    return asyncio.run(ask())


@pytest.mark.parametrize(
    ("manner", "is_so"),
    [
        (Spoiling.PAGE, lambda body, _: body.startswith(b"<!DOCTYPE html>")),
        (Spoiling.PAD, lambda body, sound: body == sound + bytes(100)),
        (
            Spoiling.FLIP,
            lambda body, sound: (
                sum(map(int.__ne__, body, sound)) == 1 and len(body) == len(sound)
            ),
        ),
    ],
)
def test_other_bytes_come_as_often_as_asked_for(exchange, manner, is_so):
    ((_, _, sound),) = download(exchange)
    exchange.transfers.spoil(manner, times=2)

    answers = download(exchange, times=3)

    assert [status for status, *_ in answers] == [200] * 3
    assert [is_so(body, sound) for *_, body in answers] == [True, True, False]
    assert answers[2][2] == sound


def test_a_redirect_leads_to_another_host(exchange):
    exchange.transfers.spoil(Spoiling.REDIRECT)

    ((status, headers, _),) = download(exchange)

    assert status == 302
    assert headers["Location"].startswith("http://localhost:")


def test_a_length_is_announced_that_does_not_come(exchange):
    exchange.transfers.spoil(Spoiling.LENGTH)

    with pytest.raises(aiohttp.ClientPayloadError):
        download(exchange)


def test_faults_are_of_one_file_until_they_are_cleared():
    transfers = Transfers()
    transfers.spoil(Spoiling.FLIP, key="a")
    transfers.spoil(Spoiling.PAGE, times=1, key="b")

    assert [transfers.take(key) for key in ("c", "b", "b", "a", "a")] == [
        *(None, "page", None, "flip", "flip")
    ]

    transfers.clear()
    assert transfers.take("a") is None

    with pytest.raises(ConfigError, match="times 0"):
        transfers.spoil(Spoiling.PAGE, times=0)
