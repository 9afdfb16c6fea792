"""Which requests the sandbox answers: none that a web page of another origin made."""

import ipaddress
import logging
import re

from aiohttp import web
from aiohttp.http import HttpProcessingError

from bhds.sandbox.endpoints import ADMIN_ROOT

_LOCAL_NAME = "localhost"
_OWN_SITES = frozenset({None, "none", "same-origin"})
"""Values of `Sec-Fetch-Site`, which only browsers send, of requests of our own."""
_JSON = "application/json"
_HOST = re.compile(r"(\[[^]]*\]|[^:]+)(?::[0-9]*)?")


def _without_traceback(record: logging.LogRecord) -> bool:
    """Log in one line what is no HTTP at all: a client's fault."""
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, HttpProcessingError):
        record.exc_info = None
        record.msg += f": {type(error).__name__}"
    return True


logger = logging.getLogger(__name__)
"""Where the server reports requests that it could not answer."""
logger.addFilter(_without_traceback)


def check_request(request: web.Request, *, host: str) -> None:
    """Refuse a request that a browser may have been tricked into.

    A page can make a name of its own mean 127.0.0.1 (DNS rebinding), but not an
    address. To change the sandbox, a page must not be of another origin, and has to
    send JSON: that, browsers ask leave for, which the sandbox never gives.

    Parameters
    ----------
    request
        The request.
    host
        The name or address that the sandbox listens at.

    Raises
    ------
    web.HTTPException
        Status 421, 403 or 415, with one line of reason.
    """
    asked = request.headers.get("Host")
    if asked is not None and not _is_own(asked, host=host):
        text = f"Host {asked[:100]!r}: expected an IP address, {_LOCAL_NAME} or {host}"
        raise web.HTTPMisdirectedRequest(text=text)
    if not request.path.startswith(f"{ADMIN_ROOT}/"):
        return
    origin = request.headers.get("Origin")
    is_other = origin is not None and origin != f"{request.scheme}://{asked}"
    if is_other or request.headers.get("Sec-Fetch-Site") not in _OWN_SITES:
        text = "request from a page of another origin: expected none"
        raise web.HTTPForbidden(text=text)
    if request.method == "POST" and request.content_type != _JSON:
        text = f"Content-Type {request.content_type[:100]!r}: expected {_JSON}"
        raise web.HTTPUnsupportedMediaType(text=text)


def _is_own(asked: str, *, host: str) -> bool:
    found = _HOST.fullmatch(asked)
    name = found[1].strip("[]").lower() if found else ""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name in {_LOCAL_NAME, host.lower()}
    return True
