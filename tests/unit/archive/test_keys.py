"""Keys, paths and URLs of archive files: one grammar, both ways."""

import datetime as dt
import itertools
import zipfile
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhds.archive import keys
from bhds.archive.keys import ArchiveFile
from bhds.core.errors import KeyGrammarError
from bhds.core.markets import Frequency, TradeType

KEY_LISTS = Path(__file__).parents[4] / "shared/realdata/listings/keys"
BASE = "https://data.binance.vision"

KEYS_AND_PATHS = [
    (
        "data/futures/um/monthly/klines/BTCUSDT/1m/BTCUSDT-1m-2024-02.zip",
        "aws_data/um_futures/monthly/klines/BTCUSDT/1m/BTCUSDT-1m-2024-02.zip",
    ),
    (
        "data/spot/daily/klines/币安人生USDT/1s/币安人生USDT-1s-2026-02-02.zip",
        "aws_data/spot/daily/klines/币安人生USDT/1s/币安人生USDT-1s-2026-02-02.zip",
    ),
    (
        "data/spot/monthly/klines/ETHBTC/1mo/ETHBTC-1mo-2017-08.zip",
        "aws_data/spot/monthly/klines/ETHBTC/1mo/ETHBTC-1mo-2017-08.zip",
    ),
    (
        "data/futures/cm/daily/premiumIndexKlines/BTCUSD_PERP/1h/BTCUSD_PERP-1h-2024-02-29.zip",
        "aws_data/cm_futures/daily/premiumIndexKlines/BTCUSD_PERP/1h/BTCUSD_PERP-1h-2024-02-29.zip",
    ),
    (
        "data/futures/um/monthly/fundingRate/ICPUSDT_SETTLED/ICPUSDT_SETTLED-fundingRate-2022-06.zip",
        "aws_data/um_futures/monthly/fundingRate/ICPUSDT_SETTLED/ICPUSDT_SETTLED-fundingRate-2022-06.zip",
    ),
    (
        "data/futures/cm/daily/liquidationSnapshot/BTCUSD_240628/BTCUSD_240628-liquidationSnapshot-2024-02-01.zip",
        "aws_data/cm_futures/daily/liquidationSnapshot/BTCUSD_240628/BTCUSD_240628-liquidationSnapshot-2024-02-01.zip",
    ),
]
MONTHLY = "data/futures/um/monthly"
DAILY = "data/spot/daily"


@pytest.mark.parametrize(("key", "path"), KEYS_AND_PATHS)
def test_a_key_and_its_path_name_the_same_file(key, path):
    file = ArchiveFile.from_key(key)

    assert file == ArchiveFile.from_path(path)
    assert (file.key, file.path) == (key, path)


@pytest.mark.parametrize(("key", "path"), KEYS_AND_PATHS)
@pytest.mark.parametrize("suffix", ["", keys.CHECKSUM_SUFFIX])
def test_bulk_mapping_agrees_with_the_grammar(key, path, suffix):
    assert keys.path_of_key(key + suffix) == path + suffix
    assert keys.key_of_path(path + suffix) == key + suffix


def test_from_key_tells_every_field():
    file = ArchiveFile.from_key(KEYS_AND_PATHS[0][0])

    assert file == ArchiveFile(
        TradeType.UM_FUTURES, Frequency.MONTHLY, "klines", "BTCUSDT", "1m", "2024-02"
    )
    assert file.trade_type is TradeType.UM_FUTURES
    assert file.frequency is Frequency.MONTHLY


@pytest.mark.parametrize(
    ("key", "first", "last"),
    [
        pytest.param(
            f"{DAILY}/trades/A/A-trades-2024-02-29.zip",
            dt.date(2024, 2, 29),
            dt.date(2024, 2, 29),
            id="day",
        ),
        pytest.param(
            f"{MONTHLY}/trades/A/A-trades-2024-02.zip",
            dt.date(2024, 2, 1),
            dt.date(2024, 2, 29),
            id="leap month",
        ),
        pytest.param(
            f"{MONTHLY}/trades/A/A-trades-2023-12.zip",
            dt.date(2023, 12, 1),
            dt.date(2023, 12, 31),
            id="last month of a year",
        ),
    ],
)
def test_a_file_covers_its_day_or_month(key, first, last):
    file = ArchiveFile.from_key(key)

    assert (file.first_day, file.last_day) == (first, last)


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("", "begin with"),
        ("data/margin/daily/trades/A/A-trades-2024-02-01.zip", "begin with"),
        ("/data/spot/daily/trades/A/A-trades-2024-02-01.zip", "begin with"),
        ("data/spot/weekly/trades/A/A-trades-2024-02-01.zip", "frequency 'weekly'"),
        (f"{DAILY}/tr-ades/A/A-tr-ades-2024-02-01.zip", "data type 'tr-ades'"),
        (f"{DAILY}/trades/A-trades-2024-02-01.zip", "3 fields"),
        (f"{DAILY}/klines/A/1m/x/A-1m-2024-02-01.zip", "6 fields"),
        (f"{DAILY}/klines/A/A-klines-2024-02-01.zip", "interval None"),
        (f"{DAILY}/klines/A//A-1m-2024-02-01.zip", "name"),
        (f"{DAILY}/klines/A/7m/A-7m-2024-02-01.zip", "interval '7m'"),
        (f"{DAILY}/trades/A/1m/A-1m-2024-02-01.zip", "interval '1m'"),
        (f"{DAILY}/trades/A//A-trades-2024-02-01.zip", "name"),
        (f"{DAILY}/klines/A/1m/B-1m-2024-02-01.zip", "name 'B-1m"),
        (f"{DAILY}/klines/A/1m/A-5m-2024-02-01.zip", "name 'A-5m"),
        (f"{DAILY}/klines/A/1m/A-1m-2024-02-01.ZIP", "name"),
        (f"{DAILY}/klines/A/1m/A-1m-2024-02-01.zip.CHECKSUM", "name"),
        (f"{DAILY}/klines/A/1m/", "name ''"),
        (f"{DAILY}/klines/A/1m/A-1m-2020-8-1.zip", "period '2020-8-1'"),
        (f"{DAILY}/klines/A/1m/A-1m-2024-02.zip", "period '2024-02'"),
        (f"{DAILY}/klines/A/1m/A-1m-2023-02-29.zip", "period '2023-02-29'"),
        (f"{DAILY}/klines/A/1m/A-1m-20240201.zip", "period '20240201'"),
        (f"{DAILY}/klines/A/1m/A-1m-２０２４-02-01.zip", "period"),
        (f"{DAILY}/klines/A/1m/A-1m-2024-02-01\n.zip", "period"),
        (f"{MONTHLY}/klines/A/1m/A-1m-2020-8.zip", "period '2020-8'"),
        (f"{MONTHLY}/klines/A/1m/A-1m-2020-13.zip", "period '2020-13'"),
        (f"{MONTHLY}/klines/A/1m/A-1m-2020-08-01.zip", "period '2020-08-01'"),
        (f"{MONTHLY}/klines/A/1m/A-1m-0000-01.zip", "period '0000-01'"),
    ],
)
def test_a_malformed_key_is_refused_with_its_reason(key, reason):
    with pytest.raises(KeyGrammarError, match="no archive file") as failure:
        ArchiveFile.from_key(key)

    assert reason in str(failure.value)


@pytest.mark.parametrize(
    "symbol",
    [
        pytest.param("", id="empty"),
        pytest.param(".", id="this folder"),
        pytest.param("..", id="parent folder"),
        pytest.param("A..B", id="dots in a pair"),
        pytest.param(".A", id="hidden"),
        pytest.param("A/B", id="slash"),
        pytest.param("A\\B", id="backslash"),
        pytest.param("A\0", id="NUL"),
        pytest.param("A\n", id="line feed"),
        pytest.param("A\x7f", id="delete"),
        pytest.param("A\x85", id="next line"),
        pytest.param("A\u2028", id="line separator"),
        pytest.param("A\ud800", id="surrogate"),
        pytest.param("A-B", id="hyphen"),
        pytest.param("{A}", id="braces"),
        pytest.param("J*USDT", id="star"),
        pytest.param("J?USDT", id="question mark"),
        pytest.param("J[A]USDT", id="brackets"),
        pytest.param("A B", id="blank"),
        pytest.param("A\u202eB", id="right to left"),
        pytest.param("A" * 65, id="65 bytes"),
        pytest.param("币" * 22, id="66 bytes"),
        pytest.param("A" * 10**6, id="a million letters"),
        pytest.param("btcusdt", id="small letters"),
        pytest.param("ＢＴＣUSDT", id="full width"),
        pytest.param("\u212aUSDT", id="Kelvin"),
        pytest.param("A'$;", id="signs of a shell"),
    ],
)
def test_a_symbol_that_could_leave_its_folder_is_refused(symbol):
    with pytest.raises(KeyGrammarError):
        ArchiveFile.from_key(f"{DAILY}/trades/{symbol}/{symbol}-trades-2024-02-01.zip")

    with pytest.raises(KeyGrammarError, match="symbol"):
        ArchiveFile(
            TradeType.SPOT, Frequency.DAILY, "trades", symbol, None, "2024-02-01"
        )


@pytest.mark.parametrize("path", [KEYS_AND_PATHS[0][0], "aws_data/um/x", "../aws_data"])
def test_a_path_outside_the_archive_is_refused(path):
    with pytest.raises(KeyGrammarError, match="aws_data/spot/"):
        ArchiveFile.from_path(path)
    with pytest.raises(KeyGrammarError, match="aws_data/spot/"):
        keys.key_of_path(path)


@given(symbol=st.text(max_size=8), interval=st.sampled_from(["1m", "1mo", None]))
def test_every_symbol_is_refused_or_survives_the_round_trip(symbol, interval):
    data_type = "trades" if interval is None else "klines"
    try:
        file = ArchiveFile(
            TradeType.SPOT, Frequency.MONTHLY, data_type, symbol, interval, "2024-02"
        )
    except KeyGrammarError:
        assert keys.symbol_fault(symbol) is not None
        return

    assert ArchiveFile.from_key(file.key) == file
    assert ArchiveFile.from_path(file.path) == file
    url = keys.url_of_key(BASE, key=file.key)
    assert url.isascii()
    assert unquote(urlsplit(url).path) == f"/{file.key}"


def test_url_of_key_encodes_utf8_and_keeps_slashes():
    url = keys.url_of_key(f"{BASE}/", key="data/spot/币/a b+c?#%.zip")

    assert url == f"{BASE}/data/spot/%E5%B8%81/a%20b%2Bc%3F%23%25.zip"


@pytest.mark.skipif(not KEY_LISTS.is_dir(), reason="needs shared/realdata/listings")
def test_the_exchange_s_own_keys_follow_the_grammar():
    """`test_inventory` reads the lists column by column."""
    archives = sorted(KEY_LISTS.glob("*.zip"))

    assert archives
    for path in archives:
        with (
            zipfile.ZipFile(path) as archive,
            archive.open(archive.namelist()[0]) as lines,
        ):
            urls = [line.decode().strip() for line in itertools.islice(lines, 500)]
        for url in urls:
            key = url.removeprefix(f"{BASE}/")
            file = ArchiveFile.from_key(key)
            assert file.key == key
            assert keys.path_of_key(key) == file.path
