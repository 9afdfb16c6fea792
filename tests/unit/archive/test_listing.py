"""Listing tables: what is in them, when they are refreshed, what survives a fault."""

import asyncio
import datetime as dt
import http.client
import logging
import socket
from urllib.parse import quote

import polars as pl
import pytest
import stamina
from moto.server import ThreadedMotoServer

from bhds.archive import listing
from bhds.archive.bucket import BucketClient, ObjectInfo, Page
from bhds.archive.directory import Directory
from bhds.archive.listing import ListingRequest
from bhds.errors import ListingError
from bhds.markets import Frequency, TradeType
from bhds.storage import read_parquet_metadata, write_parquet

UM_KLINES = Directory(TradeType.UM_FUTURES, Frequency.MONTHLY, "klines", "1m")
UM_HOURS = Directory(TradeType.UM_FUTURES, Frequency.MONTHLY, "klines", "1h")
FUNDING = Directory(TradeType.UM_FUTURES, Frequency.MONTHLY, "fundingRate")
UM_TRADES = Directory(TradeType.UM_FUTURES, Frequency.MONTHLY, "aggTrades")

NOON = dt.datetime(2026, 10, 5, 12, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
MODIFIED = dt.datetime(2026, 10, 1, 8, 30, tzinfo=dt.UTC)


def zip_key(directory, symbol, period="2024-02"):
    tag = directory.interval or directory.data_type
    return f"{directory.symbol_prefix(symbol)}{symbol}-{tag}-{period}.zip"


def frame_of(keys):
    return pl.DataFrame({"key": keys}, schema={"key": pl.String}).select(
        "key",
        size=pl.lit(7, pl.Int64),
        etag=pl.lit("e"),
        last_modified=pl.lit(MODIFIED, pl.Datetime("us", "UTC")),
    )


class MemoryBucket(BucketClient):
    """A bucket of keys (with their ETags) in memory, two entries a page."""

    def __init__(self, *keys, etag="e", broken=()):
        super().__init__("http://bucket.invalid")
        self.etags = dict.fromkeys(keys, etag)
        self.broken = broken
        self.asked = []

    async def pages(self, prefix, *, delimiter=""):
        self.asked.append(prefix)
        found = sorted(key for key in self.etags if key.startswith(prefix))
        if delimiter:
            names = {key[len(prefix) :].split(delimiter)[0] for key in found}
            folders = sorted(f"{prefix}{name}{delimiter}" for name in names)
            yield Page([], folders, None, truncated=False)
            return
        for first in range(0, len(found), 2):
            yield Page(
                [ObjectInfo(k, 7, self.etags[k], MODIFIED) for k in found[first:][:2]],
                [],
                None,
                truncated=False,
            )
            await asyncio.sleep(0)
            if prefix in self.broken:
                msg = f"{prefix}: broken"
                raise ListingError(msg)
        if not found:
            yield Page([], [], None, truncated=False)


def refresh(bucket, symbols, *, data_dir, directory=UM_KLINES, now=NOON, age=HOUR):
    return asyncio.run(
        listing.refresh(
            bucket, directory, symbols, data_dir=data_dir, now=now, max_age=age
        )
    )


def refresh_symbols(bucket, *, data_dir, directory=UM_KLINES, now=NOON, age=HOUR):
    return asyncio.run(
        listing.refresh_symbols(
            bucket, directory, data_dir=data_dir, now=now, max_age=age
        )
    )


# --- directories ---------------------------------------------------------------------


def test_symbols_are_the_folders_of_the_directory(tmp_path):
    bucket = MemoryBucket(*(zip_key(UM_KLINES, name) for name in ("币", "B", "A_B")))

    assert refresh_symbols(bucket, data_dir=tmp_path) == ["A_B", "B", "币"]
    assert listing.load_symbols(UM_HOURS, data_dir=tmp_path) == ["A_B", "B", "币"]
    metadata = read_parquet_metadata(tmp_path / UM_KLINES.symbols_path)
    assert metadata["listed_at"] == NOON.isoformat()


def test_a_folder_that_cannot_be_a_symbol_is_left_out_with_a_warning(tmp_path, caplog):
    bucket = MemoryBucket(*(zip_key(UM_KLINES, name) for name in ("", "..", "A")))

    assert refresh_symbols(bucket, data_dir=tmp_path) == ["A"]
    assert "2 folder(s) whose names cannot be symbols: '', '..'" in caplog.text


@pytest.mark.parametrize(
    ("age", "requests"),
    [
        pytest.param(HOUR, 1, id="of max age"),
        pytest.param(HOUR + dt.timedelta(seconds=1), 2, id="older"),
        pytest.param(-HOUR, 2, id="from the future"),
    ],
)
def test_symbols_are_listed_again_when_they_are_stale(tmp_path, age, requests):
    bucket = MemoryBucket(zip_key(UM_KLINES, "A"))

    refresh_symbols(bucket, data_dir=tmp_path, now=NOON)
    refresh_symbols(bucket, data_dir=tmp_path, now=NOON + age)

    assert len(bucket.asked) == requests


# --- refresh -------------------------------------------------------------------------


def test_refresh_writes_a_sorted_table_with_the_times_of_its_symbols(tmp_path):
    months = [zip_key(UM_KLINES, "A", f"2024-0{month}") for month in range(1, 6)]
    keys = [*months, zip_key(UM_KLINES, "A_B"), zip_key(UM_KLINES, "币")]
    bucket = MemoryBucket(*keys)

    table = refresh(bucket, ["币", "A_B", "A", "EMPTY"], data_dir=tmp_path)

    assert table["key"].to_list() == sorted(keys, key=str.encode)
    assert table.schema == listing.LISTING_SCHEMA
    assert table.row(0) == (months[0], 7, "e", MODIFIED)
    assert listing.load(UM_KLINES, data_dir=tmp_path).equals(table)
    metadata = read_parquet_metadata(tmp_path / UM_KLINES.listing_path)
    times = pl.Series([metadata["listed"]]).str.json_decode(
        pl.Struct(dict.fromkeys(["A", "A_B", "EMPTY", "币"], pl.String))
    )
    assert set(times[0].values()) == {NOON.isoformat()}


def test_refresh_lists_only_what_is_due_and_keeps_the_rest(tmp_path):
    keys = [zip_key(UM_KLINES, name) for name in ("A", "AB", "B")]
    refresh(MemoryBucket(*keys, etag="old"), ["A", "AB", "B"], data_dir=tmp_path)
    later = NOON + 2 * HOUR
    fresher = MemoryBucket(keys[0], zip_key(UM_KLINES, "C"), etag="new")

    table = refresh(fresher, ["A"], data_dir=tmp_path, now=later)
    again = refresh(fresher, ["A", "A", "C"], data_dir=tmp_path, now=later + HOUR)

    assert fresher.asked == [UM_KLINES.symbol_prefix(name) for name in ("A", "C")]
    assert table["etag"].to_list() == ["new", "old", "old"]
    assert again["etag"].to_list() == ["new", "old", "old", "new"]


def test_refresh_forgets_what_the_bucket_no_longer_has(tmp_path):
    months = [zip_key(UM_KLINES, "A", period) for period in ("2024-01", "2024-02")]
    refresh(MemoryBucket(*months), ["A"], data_dir=tmp_path)

    table = refresh(
        MemoryBucket(months[1]), ["A"], data_dir=tmp_path, now=NOON + 2 * HOUR
    )

    assert table["key"].to_list() == months[1:]


def test_a_symbol_without_files_is_not_listed_again(tmp_path):
    bucket = MemoryBucket()

    refresh(bucket, ["A"], data_dir=tmp_path)
    refresh(bucket, ["A"], data_dir=tmp_path)

    assert bucket.asked == [UM_KLINES.symbol_prefix("A")]


@pytest.mark.parametrize("held", [True, False])
def test_refresh_writes_nothing_unless_every_symbol_was_listed_whole(tmp_path, held):
    keys = [zip_key(UM_KLINES, name) for name in ("A", "B")]
    path = tmp_path / UM_KLINES.listing_path
    if held:
        refresh(MemoryBucket(*keys), ["A", "B"], data_dir=tmp_path)
    before = path.read_bytes() if held else None
    broken = MemoryBucket(*keys, broken=[UM_KLINES.symbol_prefix("B")])

    with pytest.raises(ListingError, match="B/1m/: broken"):
        refresh(broken, ["A", "B"], data_dir=tmp_path, now=NOON + 2 * HOUR)

    assert (path.read_bytes() if held else None) == before
    assert path.exists() == held
    assert list(tmp_path.rglob("*.partial")) == []


def _cut_in_half(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _flip_every_byte(path):
    path.write_bytes(bytes(byte ^ 0xFF for byte in path.read_bytes()))


def _change_columns(path):
    write_parquet(pl.DataFrame({"a": [1]}), path, metadata={"listed": "{}"})


def _change_metadata(*, listed):
    def change(path):
        metadata = {"listed": listed} if listed else {}
        frame = pl.DataFrame(schema=listing.LISTING_SCHEMA)
        write_parquet(frame, path, metadata=metadata)

    return change


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda path: path.write_bytes(b""), id="empty"),
        pytest.param(_cut_in_half, id="cut off"),
        pytest.param(_flip_every_byte, id="garbage"),
        pytest.param(_change_columns, id="other columns"),
        pytest.param(_change_metadata(listed=None), id="no times"),
        pytest.param(_change_metadata(listed="{"), id="no JSON"),
        pytest.param(_change_metadata(listed="[]"), id="no object"),
        pytest.param(_change_metadata(listed='{"A": "noon"}'), id="no time"),
        pytest.param(_change_metadata(listed='{"A": 1}'), id="a number"),
    ],
)
def test_a_damaged_listing_counts_as_absent_with_a_warning(tmp_path, caplog, damage):
    bucket = MemoryBucket(zip_key(UM_KLINES, "A"))
    table = refresh(bucket, ["A"], data_dir=tmp_path)
    damage(tmp_path / UM_KLINES.listing_path)

    assert listing.load(UM_KLINES, data_dir=tmp_path) is None
    assert "listing-1m.parquet: unreadable listing counts as absent" in caplog.text
    assert refresh(bucket, ["A"], data_dir=tmp_path).equals(table)


def test_no_listing_on_disk_is_no_reason_for_a_warning(tmp_path, caplog):
    assert listing.load(UM_KLINES, data_dir=tmp_path) is None
    assert listing.load_symbols(UM_KLINES, data_dir=tmp_path) is None
    assert caplog.text == ""


# --- ensure_listings, over HTTP ------------------------------------------------------

UM_SYMBOLS = ("BTCUSDT", "ETHUSDT", "币安人生USDT")
STORED = sorted(
    [zip_key(UM_KLINES, name) for name in UM_SYMBOLS]
    + [zip_key(UM_HOURS, "BTCUSDT"), zip_key(FUNDING, "BTCUSDT")]
)


@pytest.fixture(scope="module")
def s3_endpoint():
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    connection = http.client.HTTPConnection(host, port)
    for path in ["/listed", *(f"/listed/{quote(key)}" for key in STORED)]:
        connection.request("PUT", path)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200
    connection.close()
    yield f"http://{host}:{port}/listed"
    server.stop()


@pytest.fixture
def dead_endpoint():
    with socket.socket() as reserved, stamina.set_testing(testing=True):
        reserved.bind(("127.0.0.1", 0))  # bound, but not listening
        yield f"http://127.0.0.1:{reserved.getsockname()[1]}/listed"


def ensure(*requests, data_dir, endpoint, now=NOON, offline=False):
    """Ask for listings; a bare directory stands for a request of all its symbols."""
    answers = listing.ensure_listings(
        [
            request
            if isinstance(request, ListingRequest)
            else ListingRequest((request,))
            for request in requests
        ],
        data_dir=data_dir,
        endpoint=endpoint,
        proxy=None,
        timeout_s=10,
        concurrency=4,
        max_age=HOUR,
        now=now,
        offline=offline,
    )
    return [each for answer in answers for each in answer]


def only(*symbols):
    return lambda universe: [name for name in symbols if name in universe]


def keys_of(answer):
    return answer.table["key"].to_list()


def test_ensure_lists_several_directories_at_once(tmp_path, s3_endpoint):
    answers = ensure(
        FUNDING, UM_KLINES, UM_HOURS, data_dir=tmp_path, endpoint=s3_endpoint
    )

    funding, minutes, hours = answers
    assert keys_of(funding) == [zip_key(FUNDING, "BTCUSDT")]
    assert keys_of(minutes) == [zip_key(UM_KLINES, name) for name in UM_SYMBOLS]
    assert minutes.symbols == hours.symbols == list(UM_SYMBOLS)
    assert keys_of(hours) == [zip_key(UM_HOURS, "BTCUSDT")]
    assert {answer.listed_at for answer in answers} == {NOON}
    assert [answer.directory for answer in answers] == [FUNDING, UM_KLINES, UM_HOURS]


def test_requests_for_one_directory_add_up_in_its_table(tmp_path, s3_endpoint):
    first, second = ensure(
        ListingRequest((UM_KLINES,), only("BTCUSDT")),
        ListingRequest((UM_KLINES,), only("ETHUSDT")),
        data_dir=tmp_path,
        endpoint=s3_endpoint,
    )

    assert keys_of(first) == [zip_key(UM_KLINES, "BTCUSDT")]
    assert keys_of(second) == [zip_key(UM_KLINES, "ETHUSDT")]
    table = listing.load(UM_KLINES, data_dir=tmp_path)
    assert table["key"].to_list() == keys_of(first) + keys_of(second)


def test_ensure_requests_nothing_while_listings_are_fresh(
    tmp_path, caplog, s3_endpoint, dead_endpoint
):
    [listed] = ensure(UM_KLINES, data_dir=tmp_path, endpoint=s3_endpoint)

    [held] = ensure(
        UM_KLINES, data_dir=tmp_path, endpoint=dead_endpoint, now=NOON + HOUR
    )

    assert held.table.equals(listed.table)
    assert caplog.records == []


def test_ensure_refreshes_a_stale_listing(tmp_path, s3_endpoint):
    ensure(UM_KLINES, data_dir=tmp_path, endpoint=s3_endpoint)

    [listed] = ensure(
        UM_KLINES, data_dir=tmp_path, endpoint=s3_endpoint, now=NOON + 2 * HOUR
    )

    assert listed.listed_at == NOON + 2 * HOUR


def test_ensure_goes_on_with_an_old_listing_when_the_refresh_fails(
    tmp_path, caplog, s3_endpoint, dead_endpoint
):
    [listed] = ensure(UM_KLINES, data_dir=tmp_path, endpoint=s3_endpoint)

    [held] = ensure(
        UM_KLINES, data_dir=tmp_path, endpoint=dead_endpoint, now=NOON + 30 * HOUR
    )

    assert held.table.equals(listed.table)
    assert held.listed_at == NOON
    [warning] = [each for each in caplog.records if each.name == listing.__name__]
    assert warning.levelno == logging.WARNING
    assert dead_endpoint in warning.message
    assert "going on with" in warning.message
    assert warning.message.endswith("listing-1m.parquet (30.0 h old)")
    assert "\n" not in warning.message


def test_a_request_selects_among_the_symbols_of_all_its_directories(
    tmp_path, s3_endpoint
):
    offered = []

    def select(universe):
        offered.append(list(universe))
        return ["BTCUSDT", "ETHUSDT"]

    request = ListingRequest((FUNDING, UM_KLINES), select)
    [[funding, klines]] = listing.ensure_listings(
        [request],
        data_dir=tmp_path,
        endpoint=s3_endpoint,
        proxy=None,
        timeout_s=10,
        concurrency=4,
        max_age=HOUR,
        now=NOON,
        offline=False,
    )

    assert offered == [list(UM_SYMBOLS)]
    assert (funding.directory, klines.directory) == (FUNDING, UM_KLINES)
    assert funding.symbols == klines.symbols == ["BTCUSDT", "ETHUSDT"]
    assert keys_of(funding) == [zip_key(FUNDING, "BTCUSDT")]
    assert keys_of(klines) == [
        zip_key(UM_KLINES, name) for name in ("BTCUSDT", "ETHUSDT")
    ]


def test_ensure_fails_if_there_is_no_listing_anywhere(tmp_path, dead_endpoint):
    with pytest.raises(ListingError, match="no listing on disk to go on") as failure:
        ensure(UM_KLINES, data_dir=tmp_path, endpoint=dead_endpoint)

    assert dead_endpoint in str(failure.value)
    assert "listing-1m.parquet" in str(failure.value)


def test_a_directory_that_fails_does_not_hold_up_the_others(tmp_path, s3_endpoint):
    # A folder in the way of the table: the listing is had, but cannot be written.
    blocked = tmp_path / UM_KLINES.listing_path
    blocked.mkdir(parents=True)

    with pytest.raises(OSError, match="listing-1m"):
        ensure(UM_KLINES, FUNDING, data_dir=tmp_path, endpoint=s3_endpoint)

    assert listing.load(FUNDING, data_dir=tmp_path).height == 1


def test_offline_takes_what_is_on_disk_whatever_its_age(
    tmp_path, s3_endpoint, dead_endpoint
):
    [listed] = ensure(UM_KLINES, data_dir=tmp_path, endpoint=s3_endpoint)

    [held] = ensure(
        ListingRequest((UM_KLINES,), only("ETHUSDT")),
        data_dir=tmp_path,
        endpoint=dead_endpoint,
        now=NOON + 9_999 * HOUR,
        offline=True,
    )

    assert keys_of(held) == [zip_key(UM_KLINES, "ETHUSDT")]
    assert set(keys_of(held)) < set(keys_of(listed))


def test_offline_without_a_listing_is_an_error(tmp_path, dead_endpoint):
    with pytest.raises(ListingError, match=r"listing-1m\.parquet.* offline"):
        ensure(UM_KLINES, data_dir=tmp_path, endpoint=dead_endpoint, offline=True)


def test_symbols_never_listed_are_left_out_with_a_warning(
    tmp_path, caplog, s3_endpoint, dead_endpoint
):
    bitcoin = ListingRequest((UM_KLINES,), only("BTCUSDT"))
    ensure(bitcoin, data_dir=tmp_path, endpoint=s3_endpoint)

    [held] = ensure(UM_KLINES, data_dir=tmp_path, endpoint=dead_endpoint, offline=True)

    assert held.symbols == ["BTCUSDT"]
    assert "2 symbol(s) never listed so far: ETHUSDT, 币安人生USDT" in caplog.text
    with pytest.raises(ListingError, match="no listing on disk of the 1 wanted symbol"):
        ensure(
            ListingRequest((UM_KLINES,), only("ETHUSDT")),
            data_dir=tmp_path,
            endpoint=dead_endpoint,
            offline=True,
        )


def test_a_feed_without_symbols_is_listed_as_empty(
    tmp_path, s3_endpoint, dead_endpoint
):
    [listed] = ensure(UM_TRADES, data_dir=tmp_path, endpoint=s3_endpoint)
    [held] = ensure(UM_TRADES, data_dir=tmp_path, endpoint=dead_endpoint, offline=True)

    assert listed.table.is_empty()
    assert (listed.symbols, listed.listed_at) == (held.symbols, held.listed_at)
