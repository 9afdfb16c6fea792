"""The sandbox exchange over HTTP, on loopback."""

import asyncio
import json
import re
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import format_datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any

from aiohttp import web

from bhds.core.errors import BhdsError
from bhds.io.storage import replacing
from bhds.sandbox import admin, guard
from bhds.sandbox.endpoints import (
    ADMIN_ROOT,
    DOWNLOAD_ROOT,
    LISTING_ROOT,
    SandboxEndpoints,
)
from bhds.sandbox.exchange import Exchange
from bhds.sandbox.faults import Failure, Fault, changed, failed
from bhds.sandbox.listing import MAX_KEYS, Query, error_document, list_page
from bhds.sandbox.objects import StoredObject
from bhds.sandbox.publication import CHECKSUM
from bhds.sandbox.rest import Endpoint, RestError

LOOPBACK = "127.0.0.1"
_START_TIMEOUT_S = 30

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_EXCHANGE = web.AppKey("exchange", Exchange)
_HOST = web.AppKey("host", str)
_STOPPING = web.AppKey("stopping", asyncio.Event)
"""Set when the server ends: it would wait for requests that are not answered."""
_BUCKET_ERRORS = {
    403: ("AccessDenied", "Access Denied"),
    503: ("SlowDown", "Please reduce your request rate."),
}
_MAX_KEYS = re.compile("[0-9]{1,10}")
_LONGEST_KEY = 1_024
"""Bytes, as of S3."""
_BUCKET_ERROR = ("InternalError", "We encountered an internal error.")
_LONGEST_REASON = 500
_TOO_MANY = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.IM_A_TEAPOT})


@dataclass(frozen=True)
class Running:
    """A sandbox that answers requests."""

    exchange: Exchange
    endpoints: SandboxEndpoints
    runner: web.AppRunner


async def start(exchange: Exchange, *, host: str = LOOPBACK, port: int = 0) -> Running:
    """Serve `exchange` in the running event loop; port 0 takes any that is free.

    End it by `await running.runner.cleanup()`, which also closes the exchange.
    """
    app = application(exchange, host=host)
    runner = web.AppRunner(app, access_log=None, logger=guard.logger)
    await runner.setup()
    site = web.TCPSite(runner, host, port)
    await site.start()
    bound = runner.addresses[0]
    return Running(exchange, SandboxEndpoints.at(f"http://{host}:{bound[1]}"), runner)


def application(exchange: Exchange, *, host: str) -> web.Application:
    """Return the aiohttp application that serves `exchange` at `host`."""
    app = web.Application(middlewares=[_through_here])
    app[_EXCHANGE] = exchange
    app[_HOST] = host
    app[_STOPPING] = asyncio.Event()
    app.router.add_get(LISTING_ROOT, _listing, name="listing")
    app.router.add_get(LISTING_ROOT + "/", _listing)
    app.router.add_get(DOWNLOAD_ROOT + "/{key:.+}", _download)
    for path in exchange.api.endpoints:
        app.router.add_get(path, _api_handler(path))
    app.router.add_get(ADMIN_ROOT + "/state", _state)
    app.router.add_post(ADMIN_ROOT + "/{action}", _act)
    app.on_shutdown.append(_release)
    app.on_cleanup.append(_close)
    return app


def run(
    exchange: Exchange,
    *,
    host: str = LOOPBACK,
    port: int = 0,
    endpoints_file: Path | None = None,
) -> None:
    """Serve `exchange` until SIGINT or SIGTERM.

    Once requests are answered, one line on standard output has the endpoints as
    YAML, and `endpoints_file`, if given, appears with the same over several lines.
    """
    asyncio.run(_serve_until_signal(exchange, host, port, endpoints_file))


@contextmanager
def serving(exchange: Exchange) -> Iterator[Running]:
    """Serve `exchange` from a thread of its own while the block runs, then close it."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="sandbox", daemon=True)
    thread.start()
    try:
        starting = asyncio.run_coroutine_threadsafe(start(exchange), loop)
        running = starting.result(_START_TIMEOUT_S)
        try:
            yield running
        finally:
            stopping = asyncio.run_coroutine_threadsafe(running.runner.cleanup(), loop)
            stopping.result(_START_TIMEOUT_S)
    finally:
        asyncio.run_coroutine_threadsafe(loop.shutdown_default_executor(), loop).result(
            _START_TIMEOUT_S
        )
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_START_TIMEOUT_S)
        loop.close()


async def _serve_until_signal(
    exchange: Exchange, host: str, port: int, endpoints_file: Path | None
) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    running = await start(exchange, host=host, port=port)
    try:
        if endpoints_file is not None:
            with replacing(endpoints_file) as partial:
                partial.write_text(running.endpoints.as_yaml(), encoding="utf-8")
        sys.stdout.write(running.endpoints.as_yaml(flow=True))
        sys.stdout.flush()
        await stopped.wait()
    finally:
        await running.runner.cleanup()


async def _release(app: web.Application) -> None:
    app[_STOPPING].set()


async def _close(app: web.Application) -> None:
    await asyncio.to_thread(app[_EXCHANGE].close)


@web.middleware
async def _through_here(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Count a request and answer it: the one place that all requests pass through."""
    guard.check_request(request, host=request.app[_HOST])
    request.app[_EXCHANGE].requests[_kind(request)] += 1
    return await handler(request)


def _kind(request: web.Request) -> str:
    """Return under which name a request is counted."""
    path = request.path
    if path.startswith(DOWNLOAD_ROOT + "/"):
        return "checksum" if path.endswith(CHECKSUM) else "zip"
    if path.rstrip("/") == LISTING_ROOT:
        return "listing"
    if path.startswith(ADMIN_ROOT):
        return "admin"
    endpoint = request.app[_EXCHANGE].api.endpoints.get(path)
    return endpoint.label if endpoint else "other"


async def _listing(request: web.Request) -> web.StreamResponse:
    faults = request.app[_EXCHANGE].listing_faults
    await asyncio.sleep(faults.latency_s)
    fault = faults.take("listing")
    if fault is not None and fault.how is Failure.REFUSE:
        return _refused_by_bucket(fault, key=request.query.get("prefix", ""))
    return await _with_fault(request, await _page(request), fault)


def _refused_by_bucket(fault: Fault, *, key: str) -> web.Response:
    code, message = _BUCKET_ERRORS.get(fault.status, _BUCKET_ERROR)
    return _xml_error(code, message, key=key, status=fault.status)


def _xml_error(code: str, message: str, *, key: str, status: int) -> web.Response:
    body = error_document(code, message, key=key)
    return web.Response(status=status, text=body, content_type="application/xml")


async def _page(request: web.Request) -> web.Response:
    asked = request.query
    max_keys = asked.get("max-keys", str(MAX_KEYS))
    if not _MAX_KEYS.fullmatch(max_keys):
        message = "Provided max-keys not an integer"
        return _xml_error("InvalidArgument", message, key=max_keys[:20], status=400)
    query = Query(
        prefix=asked.get("prefix", ""),
        delimiter=asked.get("delimiter", ""),
        marker=asked.get("marker", ""),
        max_keys=int(max_keys),
        is_encoded=asked.get("encoding-type") == "url",
    )
    page = await asyncio.to_thread(list_page, request.app[_EXCHANGE].store, query)
    return web.Response(text=page, content_type="application/xml")


async def _download(request: web.Request) -> web.StreamResponse:
    key = request.match_info["key"]
    if len(key.encode()) > _LONGEST_KEY:
        message = "Your key is too long"
        return _xml_error("KeyTooLongError", message, key=key[:100], status=400)
    found = await asyncio.to_thread(request.app[_EXCHANGE].store.read, key)
    if found is None:
        message = "The specified key does not exist."
        return _xml_error("NoSuchKey", message, key=key, status=404)
    described, content = found
    fault = request.app[_EXCHANGE].download_faults.take(key)
    if fault is None:
        return _file_response(request, described, content)
    if fault.how is Failure.REFUSE:
        return _refused_by_bucket(fault, key=key)
    if changed(fault.how, content) != content:
        # A range is one of the changed bytes, so that a download can be resumed.
        return _file_response(request, described, changed(fault.how, content))
    return await _with_fault(request, web.Response(body=content), fault)


def _file_response(
    request: web.Request, described: StoredObject, content: bytes
) -> web.Response:
    """Return a file or the requested range: all downloaded bytes pass through here."""
    headers = {
        "ETag": f'"{described.etag}"',
        "Last-Modified": format_datetime(described.last_modified, usegmt=True),
        "Accept-Ranges": "bytes",
        "Content-Type": "binary/octet-stream",
    }
    if _is_known(request, described):
        return web.Response(status=304, headers=headers)
    if "Range" not in request.headers:
        return web.Response(body=content, headers=headers)
    size = len(content)
    try:
        start, stop, _ = request.http_range.indices(size)
    except ValueError:
        start = stop = size
    if start >= stop:
        headers["Content-Range"] = f"bytes */{size}"
        return web.Response(status=416, headers=headers)
    headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    return web.Response(status=206, body=content[start:stop], headers=headers)


def _is_known(request: web.Request, described: StoredObject) -> bool:
    """Check whether the client has this revision, by its conditions."""
    etags = request.if_none_match
    if etags is not None:
        return any(tag.value in (described.etag, "*") for tag in etags)
    since = request.if_modified_since
    return since is not None and described.last_modified <= since


def _api_handler(path: str) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        # Anew each time: an exchange that lists more symbols has another API.
        endpoint = request.app[_EXCHANGE].api.endpoints[path]
        faults = request.app[_EXCHANGE].api_faults
        await asyncio.sleep(faults.latency_s / 2)
        symbol = request.query.get("symbol", request.query.get("pair"))
        fault = faults.take(endpoint.label, symbol=symbol)
        if fault is not None and fault.is_free:
            answer = _fault_response(fault, {})
        else:
            answer = await _answer(request, endpoint, fault)
        await asyncio.sleep(faults.latency_s / 2)
        return await _with_fault(request, answer, fault)

    return handle


async def _answer(
    request: web.Request, endpoint: Endpoint, fault: Fault | None
) -> web.Response:
    """Charge a request and answer it, or refuse it as its budget or `fault` demands."""
    exchange = request.app[_EXCHANGE]
    address = request.remote or LOOPBACK
    refusals = (
        exchange.limiter.spend(address, pool, weight)
        for pool, weight in endpoint.cost(request.query).items()
    )
    refusal = next(filter(None, refusals), None)
    pool = endpoint.market.pool
    headers = {"X-MBX-USED-WEIGHT-1M": str(exchange.limiter.used(address, pool))}
    if refusal is not None:
        message = f"Too many requests; the budget {pool.value!r} of this IP is used up."
        fault = Fault(
            *(Failure.REFUSE, 1, None),
            status=refusal.status,
            retry_after_s=refusal.retry_after_s,
            message=message,
        )
    if fault is not None and fault.how is Failure.REFUSE:
        return _fault_response(fault, headers)
    try:
        status, body = 200, await asyncio.to_thread(endpoint.answer, request.query)
    except RestError as error:
        status, body = 400, error.body
    return web.Response(
        text=body, status=status, headers=headers, content_type="application/json"
    )


def _fault_response(fault: Fault, headers: dict[str, str]) -> web.Response:
    """Return the requested refusal."""
    if fault.status == HTTPStatus.FORBIDDEN and fault.code is None:
        # The firewall's page is no JSON.
        answer = web.Response(text="<html><body><h1>403 Forbidden</h1></body></html>")
        answer.content_type = "text/html"
    else:
        usual = -1003 if fault.status in _TOO_MANY else -1000
        code = usual if fault.code is None else fault.code
        message = fault.message or f"The sandbox is set to answer {fault.status}."
        answer = web.json_response({"code": code, "msg": message})
    answer.set_status(fault.status)
    answer.headers.update(headers)
    if fault.retry_after_s is not None:
        answer.headers["Retry-After"] = str(fault.retry_after_s)
    return answer


async def _with_fault(
    request: web.Request, answer: web.Response, fault: Fault | None
) -> web.StreamResponse:
    """Send `answer` as `fault` has it; one that is a refusal is sent as it is."""
    if fault is None or fault.how is Failure.REFUSE:
        return answer
    if answer.status != HTTPStatus.OK and fault.how is not Failure.STALL:
        return answer
    stopping = request.app[_STOPPING]
    return await failed(fault.how, request, answer, stopping=stopping)


async def _state(request: web.Request) -> web.Response:
    """Return the state of the sandbox: `admin.state`."""
    return web.json_response(admin.state(request.app[_EXCHANGE]))


async def _act(request: web.Request) -> web.Response:
    """Change the sandbox by an action of `admin.actions`, and return its state.

    The body is a JSON object of the action's fields.
    """
    exchange, action = request.app[_EXCHANGE], request.match_info["action"]
    known = sorted(admin.actions(exchange))
    if action not in known:
        text = f"action {action[:100]!r}: expected one of {known}"
        raise web.HTTPNotFound(text=text)
    try:
        sent: Any = json.loads(await request.read())
        await asyncio.to_thread(admin.act, exchange, action, sent)
    except RecursionError as error:
        raise web.HTTPBadRequest(text="body: nested too deeply") from error
    except (BhdsError, ValueError, TypeError, OverflowError) as error:
        reason = " ".join(str(error).split())[:_LONGEST_REASON]
        raise web.HTTPBadRequest(text=reason) from error
    return await _state(request)
