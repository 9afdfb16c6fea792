"""When exchangeInfo is requested and recorded, and who hears that it is not."""

import asyncio
import datetime as dt
import itertools
import json
import logging
import os

import pytest

from bhds import config
from bhds.backfill import refusal
from bhds.core.errors import ApiError, RefusedError
from bhds.core.markets import TradeType
from bhds.instruments import exchange_info_path, tradifi_table_day
from bhds.plan import prepare, recorded

SPOT, UM = TradeType.SPOT, TradeType.UM_FUTURES
MARKETS = (SPOT, UM, TradeType.CM_FUTURES)
NOW = dt.datetime(2026, 10, 8, 12, tzinfo=dt.UTC)

_TIMES = itertools.count()


def info(**contract_types):
    """An answer of exchangeInfo, which tells the time as the exchange does."""
    entries = [
        {
            "symbol": symbol,
            "baseAsset": symbol.removesuffix("USDT"),
            "quoteAsset": "USDT",
            "contractType": contract_type,
            "status": "TRADING",
        }
        for symbol, contract_type in contract_types.items()
    ]
    document = {"serverTime": next(_TIMES), "symbols": entries}
    return json.dumps(document).encode()


class Exchange:
    """What the API answers, and how often it was asked."""

    requests = 0
    content = b""
    error = None

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        return None

    async def exchange_info(self):
        Exchange.requests += 1
        if self.error is not None:
            raise self.error
        return self.content


@pytest.fixture
def exchange(monkeypatch):
    exchange = Exchange()
    Exchange.requests = 0
    monkeypatch.setattr(recorded, "open_client", lambda *_: exchange)
    exchange.content = info(GDXUSDT="TRADIFI_PERPETUAL", BTCUSDT="PERPETUAL")
    return exchange


@pytest.fixture
def known(tmp_path):
    def known(*markets, now=NOW, online=True, keep=True, **settings):
        raw = {"datasets": [{"trade_type": "um_futures"}], **settings}
        return recorded.known_symbols(
            set(markets or [UM]),
            settings=config.load(raw, environment={}),
            data_dir=tmp_path,
            now=now,
            online=online,
            keep=keep,
        )

    return known


def set_time(path, moment):
    os.utime(path, (moment.timestamp(), moment.timestamp()))


def test_it_is_recorded_of_each_market_once_a_day(exchange, known, tmp_path):
    found = known(UM, SPOT)
    assert exchange.requests == 2
    assert found[UM]["GDXUSDT"]["contractType"] == "TRADIFI_PERPETUAL"
    for market in (UM, SPOT):
        set_time(exchange_info_path(tmp_path, market), NOW)

    assert known(UM, SPOT, now=NOW + dt.timedelta(hours=24)) == found
    assert exchange.requests == 2

    assert known(UM, SPOT, now=NOW + dt.timedelta(hours=24, seconds=1)) == found
    assert exchange.requests == 4


def test_options_have_no_such_api(exchange, known):
    assert known(TradeType.OPTION) == {}
    assert exchange.requests == 0


@pytest.mark.parametrize(
    "forbidden",
    [{"online": False}, {"offline": True}, {"api": {"enabled": False}}],
    ids=str,
)
def test_nobody_is_asked_who_may_not_be(exchange, known, forbidden):
    assert known(**forbidden) == {}
    assert exchange.requests == 0


def test_equal_content_is_not_written_again(exchange, known, tmp_path):
    known()
    path = exchange_info_path(tmp_path, UM)
    content, inode = path.read_bytes(), path.stat().st_ino
    set_time(path, NOW)
    # Another time, order and status: nothing of it is used.
    exchange.content = info(BTCUSDT="PERPETUAL", GDXUSDT="TRADIFI_PERPETUAL")
    assert exchange.content != content

    known(now=NOW + dt.timedelta(days=2))

    assert (path.read_bytes(), path.stat().st_ino) == (content, inode)
    assert path.stat().st_mtime > NOW.timestamp()


def test_a_symbol_that_left_the_exchange_stays_what_it_was(exchange, known, tmp_path):
    known()
    path = exchange_info_path(tmp_path, UM)
    set_time(path, NOW)
    exchange.content = info(BTCUSDT="PERPETUAL", NEWUSDT="PERPETUAL")

    found = known(now=NOW + dt.timedelta(days=2))[UM]

    assert found.keys() == {"BTCUSDT", "GDXUSDT", "NEWUSDT"}
    assert found["GDXUSDT"]["contractType"] == "TRADIFI_PERPETUAL"
    status = {
        e["symbol"]: e["status"] for e in json.loads(path.read_bytes())["symbols"]
    }
    assert status["GDXUSDT"] == "NOT_LISTED"


def test_nothing_is_written_where_nothing_is_to_be_kept(exchange, known, tmp_path):
    found = known(keep=False)

    assert exchange.requests == 1
    assert found[UM].keys() == {"GDXUSDT", "BTCUSDT"}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "error",
    [RefusedError("status 451"), ApiError("nobody there"), TimeoutError(), None],
    ids=repr,
)
def test_what_cannot_be_had_is_one_warning(exchange, known, tmp_path, caplog, error):
    known()
    path = exchange_info_path(tmp_path, UM)
    content = path.read_bytes()
    exchange.error, exchange.content = error, b'{"symbols": []}'

    found = known(now=NOW + dt.timedelta(days=3650))

    assert found[UM].keys() == {"GDXUSDT", "BTCUSDT"}
    assert path.read_bytes() == content
    (record,) = caplog.records
    assert "um_futures: exchangeInfo was not recorded" in record.getMessage()
    is_refused = isinstance(error, RefusedError)
    assert refusal.known(tmp_path, UM) == ("status 451" if is_refused else None)


def test_markets_that_cannot_be_reached_are_waited_for_at_once(
    exchange, known, monkeypatch, caplog
):
    waiting = set()

    async def never():
        waiting.add(asyncio.current_task())
        if len(waiting) == len(MARKETS):
            raise TimeoutError
        await asyncio.Event().wait()

    monkeypatch.setattr(exchange, "exchange_info", never)

    assert known(*MARKETS, http={"timeout_s": 1}) == {}

    assert len(caplog.records) == len(MARKETS)
    assert len(waiting) == len(MARKETS)


@pytest.fixture
def warned(bucket, caplog):
    """Plan without a server; return the warnings."""

    def warned(**settings):
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            prepare.plan(
                config.load(
                    {"datasets": [{"trade_type": "um_futures"}], **settings},
                    environment={},
                ),
                targets=[],
                data_dir=bucket.data_dir,
                now=NOW,
                online=False,
            )
        return [r.getMessage() for r in caplog.records if r.name == recorded.__name__]

    return warned


def test_younger_symbols_than_the_table_are_warned_of(bucket, warned):
    day = tradifi_table_day()
    bucket.publish("OLDUSDT", f"{day}")
    bucket.publish("SPYUSDT", f"{day + dt.timedelta(days=1)}")  # in the table
    bucket.publish("BTCUSDT_261225", f"{day + dt.timedelta(days=1)}")
    assert warned() == []

    bucket.publish("GDXUSDT", f"{day + dt.timedelta(days=1)}")

    (message,) = warned()
    assert "ends on 2026-07-04; 1 younger symbol(s)" in message
    assert "GDXUSDT" in message


def test_a_recorded_exchange_info_counts_from_its_own_day(bucket, warned):
    path = exchange_info_path(bucket.data_dir, UM)
    path.parent.mkdir(parents=True)
    path.write_bytes(info(GDXUSDT="TRADIFI_PERPETUAL"))
    set_time(path, dt.datetime(2026, 9, 1, tzinfo=dt.UTC))
    bucket.publish("GDXUSDT", "2026-09-02")
    bucket.publish("TENCENTUSDT", "2026-09-01")
    assert warned() == []

    bucket.publish("PYPLUSDT", "2026-09-02")

    (message,) = warned()
    assert "is of 2026-09-01; 1 younger symbol(s)" in message
    assert "PYPLUSDT" in message
