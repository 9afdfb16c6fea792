"""A server of prescribed answers, for those that no exchange gives."""

import asyncio

from aiohttp import web
from aiohttp.test_utils import TestServer

TestServer.__test__ = False


class ScriptedServer:
    """Give the answers in order, the last one for ever, and keep the requests.

    An answer is a status, a body and headers, of which all but the first may be left
    out; or a function of the request.
    """

    def __init__(self, *answers):
        self.answers = list(answers)
        self.requests = []

    async def handle(self, request):
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if callable(answer):
            return await answer(request)
        status, body, headers = (*answer, *("[]", {})[len(answer) - 1 :])
        body = body.encode() if isinstance(body, str) else body
        return web.Response(status=status, body=body, headers=headers)

    def serve(self, act):
        """Serve on loopback while `act(url)` runs, and return its result."""

        async def run():
            app = web.Application()
            app.router.add_get("/{path:.*}", self.handle)
            async with TestServer(app) as server:
                return await act(str(server.make_url("")).rstrip("/"))

        return asyncio.run(asyncio.wait_for(run(), timeout=60))
