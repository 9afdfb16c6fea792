"""A server between BHDS and the sandbox that answers some requests wrongly."""

import asyncio
import gzip
import random
import threading
from collections import Counter
from contextlib import contextmanager

import aiohttp
from aiohttp import web
from yarl import URL

from bhds.sandbox.endpoints import DOWNLOAD_ROOT
from bhds.sandbox.server import LOOPBACK

TIMEOUT_S = 30
ELSEWHERE = "http://127.0.0.2:9/"
"""Another host, where nobody answers."""
BOMB = gzip.compress(bytes(200 << 20), compresslevel=1)
PAGE = b"<!DOCTYPE html><html><body>Welcome to our hotel. Log in.</body></html>"
KEPT = ("Content-Type", "ETag", "Last-Modified", "Content-Range", "Retry-After")
ASKED = ("Range", "If-Range", "If-None-Match", "If-Modified-Since")
REFUSALS = ("500", "503", "429")
BROKEN_OFF = ("reset", "cut off", "wrong length")
ANYWHERE = (*REFUSALS, "reset", "cut off", "redirect", "bomb")
ANYWHERE += ("page", "nothing", "halved", "garbage")
OF_FILES = (*ANYWHERE, "wrong length", "flipped", "padded", "zeros")
"""More faults: in what has no hash, they could not be told from the truth."""


class FaultyProxy:
    """A stand-in for a hotel's network; `share` of the answers are wrong."""

    def __init__(self, target, seed):
        self.share = 0.0
        self.served = Counter()
        self.root = ""
        self._target = target
        self._random = random.Random(seed)

    async def answer(self, request):
        """Pass a request on, and spoil its answer at random."""
        url = URL(f"{self._target}{request.raw_path}", encoded=True)
        asked = {name: request.headers[name] for name in ASKED & request.headers.keys()}
        async with (
            aiohttp.ClientSession() as session,
            session.get(url, headers=asked) as found,
        ):
            body, status = await found.read(), found.status
        headers = {
            name: value
            for name, value in found.headers.items()
            if name in KEPT or name.startswith("X-MBX")
        }
        if self._random.random() >= self.share:
            return web.Response(status=status, body=body, headers=headers)
        is_file = request.path.startswith(DOWNLOAD_ROOT)
        fault = self._random.choice(OF_FILES if is_file else ANYWHERE)
        self.served[fault] += 1
        if fault in REFUSALS:
            headers = {"Retry-After": "1"} if fault == "429" else {}
            return web.Response(status=int(fault), body=PAGE, headers=headers)
        if fault == "redirect":
            return web.Response(status=302, headers={"Location": ELSEWHERE})
        if fault == "bomb":
            headers |= {"Content-Encoding": "gzip"}
            return web.Response(body=BOMB, headers=headers)
        if fault in BROKEN_OFF:
            return await self._broken_off(fault, request, status, body, headers)
        return web.Response(
            status=status, body=self._spoiled(fault, body), headers=headers
        )

    async def _broken_off(self, fault, request, status, body, headers):
        answer = web.StreamResponse(status=status, headers=headers)
        is_too_long = fault == "wrong length"
        answer.content_length = len(body) + 1_000 * is_too_long
        if fault != "reset":
            await answer.prepare(request)
            await answer.write(body if is_too_long else body[: len(body) // 2])
        request.transport.close()
        return answer

    def _spoiled(self, fault, body):
        flipped = bytearray(body or b"\0")
        flipped[self._random.randrange(len(flipped))] ^= 255
        return {
            "page": PAGE,
            "nothing": b"",
            "halved": body[: len(body) // 2],
            "garbage": self._random.randbytes(len(body)),
            "flipped": bytes(flipped),
            "padded": body + bytes(512),
            "zeros": bytes(len(body)),
        }[fault]


@contextmanager
def between(target, seed):
    """Run a proxy of the server at `target` while the block runs; its share is 0."""
    proxy = FaultyProxy(target, seed)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    app = web.Application()
    app.router.add_get("/{path:.*}", proxy.answer)
    runner = web.AppRunner(app, access_log=None)

    async def start():
        await runner.setup()
        await web.TCPSite(runner, LOOPBACK, 0).start()
        proxy.root = f"http://{LOOPBACK}:{runner.addresses[0][1]}"

    try:
        asyncio.run_coroutine_threadsafe(start(), loop).result(TIMEOUT_S)
        yield proxy
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(TIMEOUT_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(TIMEOUT_S)
        loop.close()
