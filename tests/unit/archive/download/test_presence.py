import socket
from urllib.parse import quote

import pytest

from bhds.archive.download import presence

STATUSES = {"here": 200, "gone": 404, "closed": 403, "币": 410}


@pytest.fixture
def ask(bucket):
    bucket.objects["here"] = b""
    bucket.statuses = {key: [status] for key, status in STATUSES.items()}
    bucket.redirects = {
        "moved": "/here",
        "moved-to-none": "http://[::1/here",
        "moved-to-no-port": "http://127.0.0.1:999999/here",
    }
    bucket.broken = {"broken", *(f"broken/{number}" for number in range(20))}

    def ask(*paths, port=bucket.server_port, proxy=None, connections=2):
        urls = [f"http://127.0.0.1:{port}/{quote(path)}" for path in paths]
        return presence.ask(urls, proxy=proxy, timeout_s=5, connections=connections)

    return ask


def test_each_url_gets_its_own_status(ask):
    assert ask(*STATUSES, "moved") == [*STATUSES.values(), 200]


def test_nothing_is_asked_for_no_url(ask, bucket):
    assert ask() == []
    assert bucket.requests == []


def test_a_server_that_cannot_be_reached_gives_none(ask, caplog):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # nobody listens

        assert ask("here", "gone", port=closed.getsockname()[1]) == [None] * 2

    assert "cannot be asked" in caplog.text


def test_one_that_cannot_be_asked_does_not_hold_back_the_others(ask, caplog):
    bad = ["broken", "moved-to-none", "moved-to-no-port"]

    statuses = ask(*bad, "gone", "here", connections=5)

    assert statuses == [None, None, None, 404, 200]
    (line,) = caplog.messages
    assert "and 2 more: cannot be asked" in line


def test_a_server_that_is_not_there_is_not_asked_for_every_file(ask, bucket):
    assert ask(*(f"broken/{number}" for number in range(20))) == [None] * 20
    assert len(bucket.requests) <= 4


def test_a_proxy_may_lack_its_scheme(ask, bucket):
    assert ask("here", port=1, proxy=f"127.0.0.1:{bucket.server_port}") == [200]
    ((_, _, headers),) = bucket.requests
    assert headers["Host"] == "127.0.0.1:1"
