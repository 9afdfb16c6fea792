"""Keep aria2c on the host of its downloads: it has no option for that.

aria2c follows redirects to wherever they lead. So it reaches the one allowed host
directly (`--no-proxy`), and any other through this proxy on loopback, which refuses
and remembers it. Where the settings name a proxy, the allowed host is reached through
this one and then that one.
"""

import base64
import secrets
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import ClassVar
from urllib.parse import unquote, urlsplit

_MOST_HEAD_BYTES = 1 << 16
_CHUNK_BYTES = 1 << 16
_CONNECT_S = 60.0  # aria2c has its own, shorter time
_DROPPED = (b"proxy-authorization:", b"proxy-connection:", b"connection:")


class HostGuard(socketserver.ThreadingTCPServer):
    """A proxy on loopback for one host and one client.

    Parameters
    ----------
    host
        The host that is let through.
    proxy
        `[http://][user:password@]host[:port]` to reach it; None: it is not reached
        through here at all.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, host: str, *, proxy: str | None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.host = host.lower()
        self.proxy = None
        if proxy is not None:
            self.proxy = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        token = secrets.token_hex(16)  # other users of this machine have no use of it
        self.authorization = _basic("bhds", token)
        self.url = f"http://bhds:{token}@127.0.0.1:{self.server_address[1]}"
        self.refused: dict[str, None] = {}
        """Hosts that were requested and refused, in this order."""

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore connections that break off: aria2c reports its own failures."""


@contextmanager
def guarding(host: str, *, proxy: str | None) -> Iterator[HostGuard]:
    """Run a guard in a thread of its own while the block runs."""
    with HostGuard(host, proxy=proxy) as guard:
        thread = threading.Thread(
            target=guard.serve_forever, args=(0.05,), daemon=True, name="hostguard"
        )
        thread.start()
        try:
            yield guard
        finally:
            guard.shutdown()
            thread.join()


class _Handler(socketserver.StreamRequestHandler):
    rbufsize = 0  # what follows the head is for the other side
    server: HostGuard
    _REFUSALS: ClassVar[dict[int, str]] = {
        400: "Bad Request",
        403: "Forbidden",
        407: "Proxy Authentication Required",
        502: "Bad Gateway",
    }

    def handle(self) -> None:
        """Answer one request; a tunnel stays open until either side ends it."""
        head = _read_head(self.rfile.read)
        method, _, rest = head.partition(b" ")
        target = rest.partition(b" ")[0].decode("ascii", "replace")
        is_tunnel = method == b"CONNECT"
        host = _host(f"//{target}" if is_tunnel else target)
        if self.server.authorization not in head:
            self._refuse(407)
        elif not host:
            self._refuse(400)
        elif host != self.server.host or self.server.proxy is None:
            self.server.refused[host] = None
            self._refuse(403)
        else:
            self._pass_on(head, is_tunnel=is_tunnel)

    def _refuse(self, status: int) -> None:
        line = f"HTTP/1.1 {status} {self._REFUSALS[status]}\r\n"
        text = f"{line}Content-Length: 0\r\nConnection: close\r\n\r\n"
        self.wfile.write(text.encode())

    def _pass_on(self, head: bytes, *, is_tunnel: bool) -> None:
        """Send a request to the proxy of the settings, and its answer back.

        Nothing but the head is sent on before there is a tunnel to the allowed host:
        a second request on the connection might be for another.
        """
        proxy = self.server.proxy
        assert proxy is not None  # noqa: S101 - asked before
        address = (proxy.hostname or "", proxy.port or 80)
        try:
            upstream = socket.create_connection(address, timeout=_CONNECT_S)
        except OSError:
            self._refuse(502)
            return
        with upstream:
            upstream.settimeout(None)
            self.connection.settimeout(None)
            lines = [b"Connection: close"] if not is_tunnel else []
            if proxy.username is not None:
                user, password = unquote(proxy.username), unquote(proxy.password or "")
                lines.append(_basic(user, password))
            upstream.sendall(_with_lines(head, lines))
            if is_tunnel:
                answer = _read_head(upstream.recv)
                self.connection.sendall(answer)
                if answer.partition(b" ")[2].startswith(b"2"):
                    there = threading.Thread(
                        target=_pump, args=(self.connection, upstream), daemon=True
                    )
                    there.start()
            _pump(upstream, self.connection)


def _read_head(read: Callable[[int], bytes]) -> bytes:
    """Read a head byte by byte: what follows is not to be taken."""
    head = bytearray()
    while not head.endswith(b"\r\n\r\n"):
        byte = read(1)
        if not byte or len(head) > _MOST_HEAD_BYTES:
            msg = "no head of HTTP"
            raise ConnectionError(msg)
        head += byte
    return bytes(head)


def _host(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""


def _with_lines(head: bytes, lines: list[bytes]) -> bytes:
    first, *fields = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    kept = [field for field in fields if not field.lower().startswith(_DROPPED)]
    return b"\r\n".join([first, *kept, *lines, b"", b""])


def _basic(user: str, password: str) -> bytes:
    encoded = base64.b64encode(f"{user}:{password}".encode())
    return b"Proxy-Authorization: Basic " + encoded


def _pump(source: socket.socket, target: socket.socket) -> None:
    """Send on what comes until it ends, and then the end."""
    with suppress(OSError):
        while chunk := source.recv(_CHUNK_BYTES):
            target.sendall(chunk)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
