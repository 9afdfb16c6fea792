"""The download stage from paths: look up in listings, fetch, put into place."""

import datetime as dt
import hashlib
import os
from pathlib import Path

import polars as pl
import pytest

from bhds.archive.download import ledger
from bhds.archive.keys import path_of_key
from bhds.archive.listing.directory import Directory
from bhds.core.errors import FetchError, KeyGrammarError
from bhds.core.markets import Frequency, TradeType
from bhds.io import storage
from bhds.sandbox.exchange import Exchange
from bhds.sandbox.server import serving
from bhds.schemas.archive_tables import LISTING_SCHEMA
from bhds.stages import fetch

LISTED_AT = dt.datetime(2025, 3, 1, 8, 30, tzinfo=dt.UTC)
HTTP = {"proxy": None, "timeout_s": 5.0, "connections": 4}


@pytest.fixture(autouse=True)
def data_dir(tmp_path, monkeypatch):
    """Work in a data directory, as jobs do."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    folder = tmp_path / "data_dir"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def served(tmp_path):
    """Return the folder whose files the sandbox serves."""
    folder = tmp_path / "served"
    folder.mkdir()
    return folder


@pytest.fixture
def url(served):
    (served / "data").mkdir()
    with Exchange(serve_dir=served) as exchange, serving(exchange) as running:
        yield running.endpoints.archive_download


def key(symbol, period, *, market="um", suffix=""):
    frequency = "daily" if period.count("-") > 1 else "monthly"
    folder = {"um": "futures/um", "spot": "spot"}[market]
    name = f"{symbol}-1m-{period}.zip{suffix}"
    return f"data/{folder}/{frequency}/klines/{symbol}/1m/{name}"


def md5(content):
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def publish(contents, *, folder):
    """Write objects for the server, and the listings that tell of them."""
    rows = {}
    for name, content in contents.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        frequency = Frequency.DAILY if "/daily/" in name else Frequency.MONTHLY
        market = TradeType.SPOT if "/spot/" in name else TradeType.UM_FUTURES
        listing = Directory(market, frequency, "klines", "1m").listing_path
        row = (name, len(content), md5(content), LISTED_AT)
        rows.setdefault(listing, []).append(row)
    for listing, listed in rows.items():
        frame = pl.DataFrame(listed, schema=LISTING_SCHEMA, orient="row").sort("key")
        storage.write_parquet(frame, listing, metadata={})


def test_files_are_looked_up_in_the_listing_of_their_folder(served):
    publish(
        {
            key("AUSDT", "2025-01"): b"month",
            key("AUSDT", "2025-01", suffix=".CHECKSUM"): b"its checksum",
            key("AUSDT", "2025-02-01"): b"a day",
            key("AUSDT", "2025-02-01", market="spot"): b"spot",
        },
        folder=served,
    )
    wanted = [
        key("AUSDT", "2025-01", suffix=".CHECKSUM"),
        key("AUSDT", "2025-02-01"),
        key("AUSDT", "2025-02-01", market="spot"),
    ]

    rows = fetch.listed_rows(map(path_of_key, wanted))

    assert sorted(rows) == sorted(wanted)
    assert rows[wanted[1]] == {
        "key": wanted[1],
        "size": len(b"a day"),
        "etag": md5(b"a day"),
        "last_modified": LISTED_AT,
    }


def test_what_is_not_listed_is_left_out(served):
    publish({key("AUSDT", "2025-01"): b"month"}, folder=served)
    unlisted = [
        key("BUSDT", "2025-01"),
        key("AUSDT", "2025-01", suffix=".CHECKSUM"),
        key("AUSDT", "2025-02-01"),  # of a folder without a listing
    ]

    assert fetch.listed_rows(map(path_of_key, unlisted)) == {}


def test_a_path_that_is_none_of_the_archive_is_refused():
    with pytest.raises(KeyGrammarError):
        fetch.listed_rows(["aws_data/um_futures/monthly/klines/../x.zip"])


def test_listed_files_are_put_into_place_and_into_the_ledger(served, url):
    contents = {
        key("AUSDT", "2025-01"): b"month",
        key("AUSDT", "2025-01", suffix=".CHECKSUM"): b"its checksum",
        key("币安人生USDT", "2025-02-01"): b"a day",
    }
    publish(contents, folder=served)

    fetch.fetch_paths([path_of_key(each) for each in contents], base_url=url, http=HTTP)

    for name, content in contents.items():
        assert Path(path_of_key(name)).read_bytes() == content
    recorded = ledger.read(Path()).sort("key")
    assert recorded["key"].to_list() == sorted(contents)
    assert recorded["etag"].to_list() == [md5(contents[k]) for k in sorted(contents)]
    assert recorded["last_modified"].unique().to_list() == [LISTED_AT]


def test_files_that_are_as_listed_can_be_left_as_they_are(served, url):
    contents = {key("AUSDT", "2025-01"): b"good", key("AUSDT", "2025-02"): b"also good"}
    publish(contents, folder=served)
    sound, damaged = map(path_of_key, contents)
    Path(sound).parent.mkdir(parents=True)
    Path(sound).write_bytes(b"good")
    Path(damaged).write_bytes(b"not so good")
    os.utime(sound, (1, 1))

    fetch.fetch_paths([sound, damaged], base_url=url, http=HTTP, keeps_sound=True)

    assert Path(sound).stat().st_mtime == 1
    assert Path(damaged).read_bytes() == b"also good"


def test_one_file_that_is_not_listed_any_more_leaves_all_unfetched(
    served, url, data_dir
):
    listed, gone = key("AUSDT", "2025-01"), key("AUSDT", "2025-02")
    publish({listed: b"month"}, folder=served)

    with pytest.raises(FetchError, match=r"2025-02\.zip .*no longer in the listing"):
        fetch.fetch_paths(
            [path_of_key(listed), path_of_key(gone)], base_url=url, http=HTTP
        )

    assert not list(data_dir.rglob("*.zip*"))


@pytest.mark.parametrize(
    ("timeout_s", "passed"), [(0.2, 1), (15.0, 15), (2.6, 3)], ids=str
)
def test_http_settings_reach_the_download(served, monkeypatch, timeout_s, passed):
    publish({key("AUSDT", "2025-01"): b"month"}, folder=served)
    calls = []
    monkeypatch.setattr(
        fetch.batch, "fetch_batch", lambda wanted, **how: calls.append((wanted, how))
    )

    fetch.fetch_paths(
        [path_of_key(key("AUSDT", "2025-01"))],
        base_url="https://data.example",
        http={"proxy": "http://p:1", "timeout_s": timeout_s, "connections": 3},
    )

    ((wanted, how),) = calls
    assert [each.size for each in wanted] == [5]
    assert how == {
        "data_dir": Path(),
        "base_url": "https://data.example",
        "proxy": "http://p:1",
        "timeout_s": passed,
        "connections": 3,
        "may_all_be_gone": False,
        "is_removed_on_failure": False,
    }
