import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from bhds.archive.download import presence

MOVED = {
    "/moved": "/here",
    "/moved-to-none": "http://[::1/here",
    "/moved-to-no-port": "http://127.0.0.1:999999/here",
}
STATUSES = {"/here": 200, "/gone": 404, "/closed": 403, "/%E5%B8%81?a=1": 410}


class Handler(BaseHTTPRequestHandler):
    def do_HEAD(self):
        self.server.asked.append(self.path)
        if self.path in MOVED:
            self.send_response(302)
            self.send_header("Location", MOVED[self.path])
        elif self.path.startswith("/broken"):
            self.wfile.write(b"no HTTP\r\n\r\n")
            return
        else:
            self.send_response(STATUSES.get(self.path, 200))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_args):
        pass


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.asked = []
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def ask(server):
    def ask(*paths, port=server.server_port, proxy=None, connections=2):
        urls = [f"http://127.0.0.1:{port}{path}" for path in paths]
        return presence.ask(urls, proxy=proxy, timeout_s=5, connections=connections)

    return ask


def test_each_url_gets_its_own_status(ask):
    assert ask(*STATUSES, "/moved") == [*STATUSES.values(), 200]


def test_nothing_is_asked_for_no_url(ask, server):
    assert ask() == []
    assert server.asked == []


def test_a_server_that_cannot_be_reached_gives_none(ask, caplog):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # nobody listens

        assert ask("/here", "/gone", port=closed.getsockname()[1]) == [None] * 2

    assert "cannot be asked" in caplog.text


def test_one_that_cannot_be_asked_does_not_hold_back_the_others(ask, caplog):
    bad = ["/broken", "/moved-to-none", "/moved-to-no-port"]

    statuses = ask(*bad, "/gone", "/here", connections=5)

    assert statuses == [None, None, None, 404, 200]
    (line,) = caplog.messages
    assert "and 2 more: cannot be asked" in line


def test_a_server_that_is_not_there_is_not_asked_for_every_file(ask, server):
    assert ask(*(f"/broken/{number}" for number in range(20))) == [None] * 20
    assert len(server.asked) <= 4


def test_a_proxy_may_lack_its_scheme(ask, server):
    assert ask("/here", port=1, proxy=f"127.0.0.1:{server.server_port}") == [200]
    assert server.asked == ["http://127.0.0.1:1/here"]
