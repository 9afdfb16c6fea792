"""Which keys of a listing are files of the archive."""

import datetime as dt
import itertools
import zipfile
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhds.archive.keys import ArchiveFile
from bhds.archive.listing.directory import Directory
from bhds.archive.listing.inventory import archive_files
from bhds.core.errors import KeyGrammarError
from bhds.core.markets import Frequency, TradeType

KEY_LISTS = Path(__file__).parents[5] / "shared/realdata/listings/keys"
BASE = "https://data.binance.vision/"

needs_key_lists = pytest.mark.skipif(
    not KEY_LISTS.is_dir(), reason="needs shared/realdata/listings"
)

UM_KLINES = Directory(TradeType.UM_FUTURES, Frequency.MONTHLY, "klines", "1m")
UM_HOURS = Directory(TradeType.UM_FUTURES, Frequency.MONTHLY, "klines", "1h")
FUNDING = Directory(TradeType.UM_FUTURES, Frequency.MONTHLY, "fundingRate")
SPOT_DAYS = Directory(TradeType.SPOT, Frequency.DAILY, "klines", "1m")
UM_TRADES = Directory(TradeType.UM_FUTURES, Frequency.MONTHLY, "aggTrades")

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


def recorded_listing(name, *, most=None):
    with (
        zipfile.ZipFile(KEY_LISTS / name) as archive,
        archive.open(archive.namelist()[0]) as lines,
    ):
        urls = [line.decode().rstrip("\r\n") for line in itertools.islice(lines, most)]
    return frame_of([url.removeprefix(BASE) for url in urls])


@needs_key_lists
@pytest.mark.parametrize(
    ("name", "directory", "count"),
    [
        ("data_futures_um_monthly_klines_1m_USDT-20260308.zip", UM_KLINES, 16_956),
        ("data_spot_daily_klines_1m_USDT-20260204.zip", SPOT_DAYS, 50_000),
    ],
)
def test_every_kline_key_of_the_exchange_is_a_file(name, directory, count):
    keys = recorded_listing(name, most=50_000)

    files, anomalies = archive_files(keys, directory=directory)

    assert (files.height, anomalies.height) == (count, 0)
    assert files["key"].equals(keys["key"])
    assert not files["is_checksum"].any()
    fields = files["key"].str.split("/").list
    assert files["symbol"].equals(fields.get(-3), check_names=False)
    days = pl.col("key").str.extract(r"1m-([0-9-]+)\.zip$")
    assert files["period"].equals(files.select(period=days)["period"])


@needs_key_lists
def test_the_one_odd_key_of_the_exchange_is_an_anomaly():
    keys = recorded_listing("data_futures_um_monthly_aggTrades_USDT-20260215.zip")

    files, anomalies = archive_files(keys, directory=UM_TRADES)

    assert files.height == 15_395
    assert anomalies["key"].to_list() == [
        "data/futures/um/monthly/aggTrades/BTCUSDT/"
        "part-00000-0fae7358-a956-4804-a6d4-1682c07a5127-c000.zip"
    ]
    assert "expected BTCUSDT-aggTrades-<period>.zip" in anomalies["reason"][0]


def test_archive_files_tells_symbol_period_and_checksum():
    zips = [
        zip_key(UM_KLINES, "币安人生USDT"),
        zip_key(UM_KLINES, "BTCUSDT", "2020-01"),
    ]
    keys = frame_of([zips[0], f"{zips[0]}.CHECKSUM", zips[1]])

    files, anomalies = archive_files(keys, directory=UM_KLINES)

    assert anomalies.is_empty()
    assert files.rows() == [
        (zips[0], "币安人生USDT", "2024-02", False, 7, "e", MODIFIED),
        (f"{zips[0]}.CHECKSUM", "币安人生USDT", "2024-02", True, 7, "e", MODIFIED),
        (zips[1], "BTCUSDT", "2020-01", False, 7, "e", MODIFIED),
    ]
    assert files.schema == {
        "key": pl.String,
        "symbol": pl.String,
        "period": pl.String,
        "is_checksum": pl.Boolean,
        "size": pl.Int64,
        "etag": pl.String,
        "last_modified": pl.Datetime("us", "UTC"),
    }


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        (zip_key(UM_KLINES, "A", "2020-8"), "period '2020-8'"),
        (zip_key(UM_KLINES, "A", "2020-8") + ".CHECKSUM", "period '2020-8'"),
        (zip_key(UM_KLINES, "A", "2020-08-01"), "period '2020-08-01'"),
        (zip_key(UM_KLINES, "A") + ".CHECKSUM.CHECKSUM", "name"),
        (zip_key(UM_KLINES, "A").replace("/A-", "/B-"), "name 'B-1m"),
        (zip_key(UM_KLINES, ".."), "symbol '..'"),
        (zip_key(UM_KLINES, "A-B"), "symbol 'A-B'"),
        (zip_key(UM_HOURS, "A"), "another directory"),
        (zip_key(SPOT_DAYS, "A", "2024-02-01"), "another directory"),
        (UM_KLINES.symbol_prefix("A"), "name ''"),
        (UM_KLINES.prefix, "fields"),
        ("", "begin with"),
    ],
)
def test_an_anomalous_key_comes_with_its_reason(key, reason):
    good = zip_key(UM_KLINES, "A")

    files, anomalies = archive_files(frame_of([key, good]), directory=UM_KLINES)

    assert files["key"].to_list() == [good]
    assert anomalies["key"].to_list() == [key]
    assert reason in anomalies["reason"][0]
    assert anomalies["size"].to_list() == [7]


def test_an_empty_listing_has_neither_files_nor_anomalies():
    files, anomalies = archive_files(frame_of([]), directory=FUNDING)

    assert files.is_empty()
    assert anomalies.schema["reason"] == pl.String


def _is_file_by_grammar(key, directory):
    try:
        file = ArchiveFile.from_key(key.removesuffix(".CHECKSUM"))
    except KeyGrammarError:
        return False
    return directory == Directory(
        file.trade_type, file.frequency, file.data_type, file.interval
    )


@given(
    directory=st.sampled_from([UM_KLINES, FUNDING, SPOT_DAYS]),
    symbol=st.sampled_from(["A", "币", "A_B", "A.B", ".", "", "A-1m", "A/1m", "-"])
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=4),
    period=st.sampled_from(["2024-02", "2024-02-29", "2023-02-29", "2024-2", "", "-"]),
    suffix=st.sampled_from(["", ".CHECKSUM", ".zip", "/"]),
    slip=st.none() | st.tuples(st.integers(0, 70), st.sampled_from("/-.A")),
)
def test_columns_and_single_keys_are_read_alike(
    directory, symbol, period, suffix, slip
):
    key = zip_key(directory, symbol, period) + suffix
    if slip is not None:
        at, letter = slip
        key = key[:at] + letter + key[at + 1 :]

    files, anomalies = archive_files(frame_of([key]), directory=directory)

    assert (files.height == 1) == _is_file_by_grammar(key, directory)
    assert files.height + anomalies.height == 1
    if files.height:
        file = ArchiveFile.from_key(key.removesuffix(".CHECKSUM"))
        assert files.select("symbol", "period").row(0) == (file.symbol, file.period)
