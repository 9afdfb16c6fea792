"""Readers of what comes from outside, fuzzed: they answer, or raise a `BhdsError`."""

import io
import json
from contextlib import suppress

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from bhds.api import rows
from bhds.api.endpoints import ENDPOINTS
from bhds.archive.integrity.bounds import bounds_of
from bhds.archive.integrity.status import read_checksum_file
from bhds.archive.integrity.zip_reader import find_csv, inflated
from bhds.archive.keys import ArchiveFile
from bhds.archive.listing.pages import parse_page
from bhds.core.errors import BhdsError
from bhds.core.markets import TradeType
from bhds.instruments.exchange_info import parse_exchange_info
from bhds.parse.csv_reader import read_bodies, split_header
from bhds.sandbox.exchange import Exchange
from bhds.sandbox.listing import Query, list_page
from bhds.schemas.datatypes import data_type
from tests.soak.archives import zipped
from tests.unit.parse.conftest import HEADER, kline_csv
from tests.workflow.conftest import UNIVERSE

EXAMPLES = 200
"""Of a reader in each turn."""
LONGEST = 2_000
"""Characters of a message."""
STEM = "BTCUSDT-1m-2024-01-02"
PIECES = (
    *(b"\0", b"\n", b"\r\n", b",", b'"', b"<", b"&", b"PK\1\2", b"PK\5\6", b"[[", b"{"),
    *(b"9" * 30, b"1e999", b"NaN", b"-1", b"null", b"\xff\xfe", b"<!DOCTYPE a>", b"\\"),
)
KLINES = data_type("klines").table(TradeType.SPOT)
ANSWERS = {
    "klines": rows.parse_bars,
    **{endpoint.name: endpoint.read for endpoint in ENDPOINTS},
}
JSON = st.recursive(
    st.integers() | st.floats() | st.text() | st.none() | st.booleans(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=30,
).map(lambda found: json.dumps(found).encode())


@st.composite
def changed(draw, text):
    """Return `text` with pieces taken out, put in or doubled."""
    edit = st.tuples(
        st.integers(0, len(text)),
        st.integers(0, 40),
        st.sampled_from(PIECES) | st.binary(max_size=8),
        st.integers(0, 3),
    )
    for place, length, piece, times in draw(st.lists(edit, min_size=1, max_size=4)):
        text = text[:place] + piece * times + text[place + length :]
    return text


def readers(folder):
    """Return each reader with what it is given."""
    content = kline_csv("2024-01-02T00:00:00", 30).encode()
    beside = folder / f"{STEM}.zip.CHECKSUM"
    key = f"data/spot/daily/klines/BTCUSDT/1m/{STEM}.zip".encode()
    asked = {"symbol": "龙虾USDT", "interval": "1m", "limit": "3"}
    with Exchange(UNIVERSE) as exchange:
        query = Query("data/futures/um/daily/klines/龙虾USDT/", max_keys=5)
        page = list_page(exchange.store, query).encode()
        endpoints = exchange.api.endpoints
        bodies = {n: endpoints[f"/fapi/v1/{n}"].answer(asked).encode() for n in ANSWERS}

    def read_zip(text):
        archive = io.BytesIO(text)
        bounds = bounds_of("klines", interval="1m", days=1)
        list(inflated(archive, entry=find_csv(archive, stem=STEM, bounds=bounds)))

    def read_csv(text):
        read_bodies([split_header(text, table=KLINES)], table=KLINES, symbol="BTCUSDT")

    def read_checksum(text):
        beside.write_bytes(text)
        read_checksum_file(beside, archive_name=f"{STEM}.zip")

    def read_answer(name):
        def read(text):
            with suppress(json.JSONDecodeError, UnicodeDecodeError):
                found = json.loads(text)
                ANSWERS[name](found, subject="the answer")

        return read

    return {
        "zip": (read_zip, changed(zipped([content], f"{STEM}.csv"))),
        "CSV": (read_csv, changed(content) | changed(HEADER.encode() + content)),
        "CHECKSUM": (read_checksum, changed(b"0" * 64 + f"  {STEM}.zip".encode())),
        "listing": (parse_page, changed(page)),
        "key": (
            lambda text: ArchiveFile.from_key(text.decode(errors="surrogateescape")),
            changed(key),
        ),
        "instruments": (
            lambda text: parse_exchange_info(text, path=folder / "exchangeInfo.json"),
            changed(bodies["exchangeInfo"]) | JSON,
        ),
    } | {name: (read_answer(name), changed(bodies[name]) | JSON) for name in ANSWERS}


def run(part, *, folder):
    """Fuzz each reader in turn until the time is over."""
    folder.mkdir()
    known = readers(folder)
    while part.goes_on:
        for name, (read, sent) in known.items():
            count, fault = fuzz(read, sent | st.binary(), part.random.getrandbits(32))
            part.count(name, times=count)
            if fault is not None and not any(f": {name}: " in old for old in part.lost):
                part.count(name, fault, times=0)


def fuzz(read, sent, number, *, examples=EXAMPLES):
    """Read many texts; return how many, and the smallest that is let through."""
    count = 0

    @seed(number)
    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(sent)
    def attack(text):
        nonlocal count
        count += 1
        message = ""
        try:
            read(text)
        except BhdsError as error:
            message = str(error)
        assert "\n" not in message, message
        assert len(message) < LONGEST, f"{len(message)} characters"

    try:
        attack()
    except Exception as error:  # noqa: BLE001 -- whatever a reader lets through
        notes = " ".join(getattr(error, "__notes__", []))
        return count, f"{type(error).__name__}: {str(error)[:500]} {notes[:500]}"
    return count, None
