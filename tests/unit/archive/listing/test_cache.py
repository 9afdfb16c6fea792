"""Answers to requests for listings: fresh ones, or else the last ones."""

import datetime as dt
import http.client
import logging
import socket
from urllib.parse import quote

import polars as pl
import pytest
import stamina
from moto.server import ThreadedMotoServer

from bhds.archive.listing import cache
from bhds.archive.listing.bucket import BucketClient
from bhds.archive.listing.cache import ListingRequest
from bhds.archive.listing.directory import Directory
from bhds.archive.listing.tables import Listed, ListingTable, Symbols, TableStore
from bhds.core.errors import ListingError
from bhds.core.markets import Frequency, TradeType
from bhds.schemas.archive_tables import LISTING_SCHEMA

UM_KLINES = Directory(TradeType.UM_FUTURES, Frequency.MONTHLY, "klines", "1m")
UM_HOURS = Directory(TradeType.UM_FUTURES, Frequency.MONTHLY, "klines", "1h")
FUNDING = Directory(TradeType.UM_FUTURES, Frequency.MONTHLY, "fundingRate")
UM_TRADES = Directory(TradeType.UM_FUTURES, Frequency.MONTHLY, "aggTrades")

NOON = dt.datetime(2026, 10, 5, 12, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
WEEK = dt.timedelta(days=7)
YEAR = range(1, 13)


def zip_key(directory, symbol, period="2024-02"):
    tag = directory.interval or directory.data_type
    return f"{directory.symbol_prefix(symbol)}{symbol}-{tag}-{period}.zip"


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


def ensure(*requests, data_dir, endpoint, now=NOON, offline=False, **settings):
    """Ask for listings; a bare directory stands for a request of all its symbols."""
    answers = cache.ensure_listings(
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
        **settings,
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
    assert {answer.listed_whole_at for answer in answers} == {NOON}
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
    table = TableStore(tmp_path).table(UM_KLINES).frame
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


def test_ensure_lists_the_tail_of_what_was_listed_whole_lately(tmp_path, s3_endpoint):
    months = [f"{year}-{month:02d}" for year in (2019, 2020, 2021) for month in YEAR]
    known = [zip_key(UM_KLINES, "BTCUSDT", month) for month in months]
    yesterday = NOON - dt.timedelta(days=1)
    rows = [(key, 1, None, None) for key in known]
    frame = pl.DataFrame(rows, schema=LISTING_SCHEMA, orient="row")
    store = TableStore(tmp_path)
    store.put_symbols(UM_KLINES, Symbols(["BTCUSDT", "ETHUSDT"], NOON))
    times = {"BTCUSDT": Listed(yesterday, yesterday)}
    store.put_table(UM_KLINES, ListingTable(frame, times))

    [listed] = ensure(
        UM_KLINES, data_dir=tmp_path, endpoint=s3_endpoint, full_every=WEEK
    )

    listed_now = [zip_key(UM_KLINES, name) for name in ("BTCUSDT", "ETHUSDT")]
    assert keys_of(listed) == [*known[: 36 - 30], *listed_now]
    assert (listed.listed_at, listed.listed_whole_at) == (NOON, yesterday)


def test_ensure_goes_on_with_an_old_listing_when_the_refresh_fails(
    tmp_path, caplog, s3_endpoint, dead_endpoint
):
    [listed] = ensure(UM_KLINES, data_dir=tmp_path, endpoint=s3_endpoint)

    [held] = ensure(
        UM_KLINES, data_dir=tmp_path, endpoint=dead_endpoint, now=NOON + 30 * HOUR
    )

    assert held.table.equals(listed.table)
    assert held.listed_at == NOON
    [warning] = [each for each in caplog.records if each.name == cache.__name__]
    assert warning.levelno == logging.WARNING
    assert dead_endpoint in warning.message
    assert "going on with" in warning.message
    assert warning.message.endswith("listing-1m.parquet (30.0 h old)")
    assert "\n" not in warning.message


# --- nothing kept --------------------------------------------------------------------


def test_requests_for_one_directory_share_what_is_not_kept(
    tmp_path, s3_endpoint, monkeypatch
):
    asked = []

    class CountingClient(BucketClient):
        def pages(self, prefix, **options):
            asked.append(prefix)
            return super().pages(prefix, **options)

    monkeypatch.setattr(cache, "BucketClient", CountingClient)

    first, second = ensure(
        ListingRequest((UM_KLINES,), only("BTCUSDT")),
        ListingRequest((UM_KLINES,), only("BTCUSDT", "ETHUSDT")),
        data_dir=tmp_path,
        endpoint=s3_endpoint,
        keep=False,
    )

    assert keys_of(first) == [zip_key(UM_KLINES, "BTCUSDT")]
    assert keys_of(second) == [
        zip_key(UM_KLINES, name) for name in ("BTCUSDT", "ETHUSDT")
    ]
    symbols = [UM_KLINES.symbol_prefix(name) for name in ("BTCUSDT", "ETHUSDT")]
    assert asked == [UM_KLINES.prefix, *symbols]
    assert list(tmp_path.iterdir()) == []


# --- requests ------------------------------------------------------------------------


def test_a_request_selects_among_the_symbols_of_all_its_directories(
    tmp_path, s3_endpoint
):
    offered = []

    def select(universe):
        offered.append(list(universe))
        return ["BTCUSDT", "ETHUSDT"]

    request = ListingRequest((FUNDING, UM_KLINES), select)
    [[funding, klines]] = cache.ensure_listings(
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

    assert TableStore(tmp_path).table(FUNDING).frame.height == 1


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
    with pytest.raises(
        ListingError, match=r"listing-1m\.parquet.* offline.*snakemake -n"
    ):
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
