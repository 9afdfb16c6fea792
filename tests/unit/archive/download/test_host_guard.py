"""The proxy that lets aria2c through to one host."""

import base64
import socket
import socketserver
import threading
from contextlib import closing
from urllib.parse import urlsplit

import pytest

from bhds.archive.download.host_guard import guarding

HOST = "archive.example"
USER = b"Proxy-Authorization: Basic " + base64.b64encode(b"me:s@cret")


class Proxy(socketserver.ThreadingTCPServer):
    """The proxy of the settings: it keeps what comes, and echoes in a tunnel."""

    daemon_threads = True
    status = b"200 Connection established"

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Echo)
        self.heads = []


class Echo(socketserver.StreamRequestHandler):
    rbufsize = 0

    def handle(self):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self.rfile.read(1)
        self.server.heads.append(head)
        self.wfile.write(b"HTTP/1.1 " + self.server.status + b"\r\n\r\n")
        while head.startswith(b"CONNECT") and (chunk := self.connection.recv(100)):
            self.wfile.write(chunk)


@pytest.fixture
def proxy():
    with Proxy() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def guard(proxy):
    address = f"me:s%40cret@127.0.0.1:{proxy.server_address[1]}"
    with guarding(HOST, proxy=address) as running:
        yield running


def connect(guard, request, *, user=None):
    """Send a request as aria2c does; return the connection."""
    url = urlsplit(guard.url)
    user = base64.b64encode(f"{user or 'bhds'}:{url.password}".encode()).decode()
    connection = socket.create_connection((url.hostname, url.port), timeout=10)
    head = f"{request} HTTP/1.1\r\nProxy-Authorization: Basic {user}\r\n\r\n"
    connection.sendall(head.encode())
    return connection


def received(connection):
    """Return what comes to the end of the connection."""
    found = b""
    while chunk := connection.recv(1000):
        found += chunk
    return found


@pytest.mark.parametrize(
    ("request_line", "host"),
    [
        ("CONNECT 169.254.1.1:443", "169.254.1.1"),
        ("CONNECT archive.example.evil:443", "archive.example.evil"),
        ("CONNECT [::1]:443", "::1"),
        ("GET http://localhost/latest/meta-data", "localhost"),
        ("GET http://archive.example@evil/x", "evil"),
    ],
)
def test_other_hosts_are_refused_and_named(guard, proxy, request_line, host):
    with closing(connect(guard, request_line)) as connection:
        assert received(connection).startswith(b"HTTP/1.1 403 ")

    assert list(guard.refused) == [host]
    assert proxy.heads == []


@pytest.mark.parametrize("request_line", ["GET /x", "CONNECT :443", "GET http://[x/"])
def test_a_request_without_a_host_is_refused(guard, proxy, request_line):
    with closing(connect(guard, request_line)) as connection:
        assert received(connection).startswith(b"HTTP/1.1 400 ")

    assert proxy.heads == []


def test_others_of_this_machine_are_refused(guard, proxy):
    with closing(connect(guard, f"CONNECT {HOST}:443", user="other")) as connection:
        assert received(connection).startswith(b"HTTP/1.1 407 ")

    assert proxy.heads == []


def test_a_tunnel_to_the_host_leads_through_the_proxy_of_the_settings(guard, proxy):
    with closing(connect(guard, f"CONNECT {HOST.upper()}:443")) as connection:
        answer = connection.recv(1000)
        connection.sendall(b"hello")
        connection.shutdown(socket.SHUT_WR)
        assert answer + received(connection) == (
            b"HTTP/1.1 200 Connection established\r\n\r\nhello"
        )

    (head,) = proxy.heads
    assert head.count(b"Proxy-Authorization") == 1
    assert USER in head


def test_nothing_goes_on_after_a_tunnel_was_refused(guard, proxy):
    proxy.status = b"407 Proxy Authentication Required"
    with closing(connect(guard, f"CONNECT {HOST}:443")) as connection:
        connection.sendall(b"CONNECT evil:443 HTTP/1.1\r\n\r\n")
        connection.settimeout(0.5)
        assert connection.recv(1000).startswith(b"HTTP/1.1 407 ")
        with pytest.raises(TimeoutError):
            connection.recv(1000)


def test_one_request_goes_on_by_connection(guard, proxy):
    with closing(connect(guard, f"GET http://{HOST}/a")) as connection:
        connection.sendall(b"GET http://evil/ HTTP/1.1\r\n\r\n")
        assert received(connection).startswith(b"HTTP/1.1 200 ")

    (head,) = proxy.heads
    assert head.startswith(f"GET http://{HOST}/a ".encode())
    assert b"\r\nConnection: close\r\n" in head


def test_a_proxy_that_is_not_there_is_a_bad_gateway():
    with (
        guarding(HOST, proxy="127.0.0.1:1") as guard,
        closing(connect(guard, f"CONNECT {HOST}:443")) as connection,
    ):
        assert received(connection).startswith(b"HTTP/1.1 502 ")
