"""A bucket on loopback, what a plan would want of it, and the staging folder."""

import datetime as dt
import hashlib
import math
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from bhds.archive.download.batch import fetch_batch
from bhds.archive.download.staging import RequestedFile

DEADLINE_S = 30
KEYS = "data/spot/daily/klines/BTCUSDT/1m"
LISTED_AT = dt.datetime(2026, 1, 2, 8, 30, tzinfo=dt.UTC)


class Bucket(ThreadingHTTPServer):
    """Objects by key, with Range support, and the faults that a test asks for."""

    daemon_threads = True
    block_on_close = False

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.objects = {}
        self.statuses = {}  # key: statuses for the next GETs; the last one stays
        self.versions = {}  # key: contents for the next GETs; the last one stays
        self.stalling = set()  # keys that stop half way until the client goes
        self.stalled = threading.Event()
        self.dropped = threading.Event()
        self.redirects = {}  # key: where to
        self.broken = set()  # keys whose answers are no HTTP
        self.types = {}  # key: what its Content-Type is
        self.ranges = True
        self.requests = []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"

    def gets(self, key):
        return [headers for verb, got, headers in self.requests if (verb, got) == key]

    def count(self, key):
        return len(self.gets(("GET", key)))

    def starts(self, key):
        """First byte of each range that was asked for; 0 without a range."""
        ranges = [headers.get("Range") for headers in self.gets(("GET", key))]
        return [int(text[6:].split("-")[0]) if text else 0 for text in ranges]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_args):
        """Say nothing."""

    def do_HEAD(self):
        self.answer(body=False)

    def do_GET(self):
        self.answer(body=True)

    def answer(self, *, body):
        server, key = self.server, unquote(urlsplit(self.path).path).lstrip("/")
        server.requests.append((self.command, key, dict(self.headers)))
        if key in server.broken:
            self.wfile.write(b"no HTTP\r\n\r\n")
            return
        status = take(server.statuses.get(key), consume=body)
        content = take(server.versions.get(key), consume=body)
        content = server.objects.get(key) if content is None else content
        status = status or (404 if content is None else 200)
        if key in server.redirects:
            status = 302
        if status != 200:
            content = b""
        start = self.range_start() if status == 200 and server.ranges else 0
        self.send_response(206 if start else status)
        if key in server.redirects:
            self.send_header("Location", server.redirects[key])
        if key in server.types:
            self.send_header("Content-Type", server.types[key])
        self.send_header("Content-Length", str(len(content) - start))
        if server.ranges:
            self.send_header("Accept-Ranges", "bytes")
        if start:
            total = len(content)
            self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        self.end_headers()
        if body and key in server.stalling:
            self.stall(content[: len(content) // 2])
        elif body:
            self.wfile.write(content[start:])

    def range_start(self):
        text = self.headers.get("Range")
        return int(text.removeprefix("bytes=").split("-")[0]) if text else 0

    def stall(self, content):
        self.wfile.write(content)
        self.server.stalled.set()
        self.connection.recv(1)  # returns when the client has gone
        self.close_connection = True
        self.server.dropped.set()


def take(values, *, consume):
    if not values:
        return None
    return values.pop(0) if consume and len(values) > 1 else values[0]


@pytest.fixture
def bucket():
    """Serve a bucket on loopback."""
    with Bucket() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def fetch(bucket, tmp_path, monkeypatch):
    """Fetch files from the bucket into the data directory, without any proxy."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)

    def fetch(*wanted, **changes):
        settings = {"data_dir": tmp_path, "base_url": bucket.url, "timeout_s": 5}
        return fetch_batch(wanted, **(settings | changes))

    return fetch


@pytest.fixture
def want(bucket, tmp_path):
    """Put an object into the bucket, and return what a plan would want of it."""

    def want(name, content=b"zip", **changes):
        key = f"{KEYS}/{name}"
        if content is not None:
            bucket.objects[key] = content
        listed = {
            "key": key,
            "path": tmp_path / "aws_data" / key.removeprefix("data/"),
            "size": len(content or b""),
            "etag": md5(content or b""),
            "last_modified": LISTED_AT,
        }
        return RequestedFile(**(listed | changes))

    return want


def md5(content):
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def staging(wanted, *, tag=None):
    place = str(wanted.path).replace("/aws_data/", "/aws_data/.staging/")
    return Path(f"{place}.{tag or wanted.etag}")


def stage(wanted, content, *, tag=None):
    place = staging(wanted, tag=tag)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    return place


def record_of(size):
    """Return aria2's record of a file of which no piece has come."""
    piece = 1 << 20
    bits = bytes(math.ceil(math.ceil(size / piece) / 8))
    return struct.pack(">HIIIQQI", 1, 0, 0, piece, size, 0, len(bits)) + bits + bytes(4)


def all_have_come(size):
    """Return aria2's record of a file of which it takes all pieces for come."""
    record = bytearray(record_of(size))
    record[34:-4] = b"\xff" * (len(record) - 38)
    return bytes(record)


def staged_files(tmp_path):
    folder = tmp_path / "aws_data" / ".staging"
    return sorted(
        path.name
        for path in folder.rglob("*")
        if path.is_file() and path.parent.name != "progress"
    )


def wait_until(condition):
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        threading.Event().wait(0.02)
