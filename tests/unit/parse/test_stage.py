"""The parse stage from files: zips, listings and CHECKSUMs in, a partition out."""

import datetime as dt
import hashlib
import json
import shutil
from pathlib import Path

import polars as pl
import pytest

from bhds import __version__
from bhds.archive.keys import ArchiveFile
from bhds.archive.listing.directory import Directory
from bhds.core.errors import ParseError, PlaceError
from bhds.core.markets import Frequency, TradeType
from bhds.io import storage
from bhds.schemas.archive_tables import LISTING_SCHEMA
from bhds.schemas.datatypes import data_type
from bhds.schemas.klines import parsed_klines, with_symbol
from bhds.stages import parse

LISTED_AT = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
FOLDER = "aws_data/spot/daily/klines/BTCUSDT/1m"
PARTITION = "parsed_data/spot/klines/BTCUSDT/1m/2024.parquet"
SOURCES = "parsed_data/spot/klines/BTCUSDT/1m/2024.sources.json"
WHOLE = {"first_day": None, "last_day": dt.date(2024, 3, 31)}


@pytest.fixture(autouse=True)
def data_dir(tmp_path, monkeypatch):
    """Work in a data directory, as jobs do."""
    folder = tmp_path / "data_dir"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def put(archive, csv):
    """Put the zip of one day into the data directory, and return its path."""

    def put(day, bars=2, **options):
        made = archive(f"BTCUSDT-1m-{day}", csv(day, bars), **options).path
        Path(FOLDER).mkdir(parents=True, exist_ok=True)
        for path in (made, made.with_name(f"{made.name}.CHECKSUM")):
            if path.exists():
                shutil.move(path, FOLDER)
        return f"{FOLDER}/{made.name}"

    return put


def write(zips, *, days=WHOLE, partition="2024"):
    sources_path = SOURCES.replace("2024", partition)
    parse.write_partition(
        zips,
        partition_path=PARTITION.replace("2024", partition),
        sources_path=sources_path,
        days=days,
        trade_type="spot",
        data_type="klines",
        symbol="BTCUSDT",
        interval="1m",
        partition=partition,
    )
    return json.loads(Path(sources_path).read_text(encoding="utf-8"))


def list_etags(etags):
    """Write the listing of the daily zips, with the etag of each path."""
    directory = Directory(TradeType.SPOT, Frequency.DAILY, "klines", "1m")
    rows = [
        (ArchiveFile.from_path(path).key, 10, etag, LISTED_AT)
        for path, etag in etags.items()
    ]
    frame = pl.DataFrame(rows, schema=LISTING_SCHEMA, orient="row")
    storage.write_parquet(frame, directory.listing_path, metadata={})


def sha256(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def test_a_partition_and_its_sources_are_written(put):
    zips = [put("2024-03-01", 3), put("2024-03-02", 2)]

    sources = write(zips)

    frame = pl.read_parquet(PARTITION)
    assert frame.schema == with_symbol(parsed_klines(TradeType.SPOT))
    assert frame["symbol"].unique().to_list() == ["BTCUSDT"]
    assert frame.height == sources["rows"] == 5
    assert [entry["integrity_status"] for entry in sources["inputs"]] == ["ok", "ok"]
    assert [entry["key"] for entry in sources["inputs"]] == [
        ArchiveFile.from_path(path).key for path in zips
    ]


def test_a_partition_of_all_history_replaces_years_and_months(put):
    zips = [put("2023-12-31", 3), put("2024-03-02", 2)]
    write(zips[1:])
    other = Path(PARTITION).with_name("notes.parquet")
    other.touch()

    sources = write(zips, partition="all")

    assert sources["rows"] == 5
    assert sorted(path.name for path in other.parent.iterdir()) == [
        *("all.parquet", "all.sources.json", "notes.parquet")
    ]


def test_the_metadata_tells_what_a_partition_was_made_of_in_time_order(put):
    first, second = put("2024-03-01"), put("2024-03-02")

    write([second, first])

    assert storage.read_parquet_metadata(PARTITION) == {
        "version": __version__,
        "stage": "parse",
        "revision": str(data_type("klines").revision),
        "as_of": "2024-03-31",
        "inputs": f"{sha256(first)} {sha256(second)}",
    }


def test_days_bound_the_partition(put):
    zips = [put(f"2024-03-0{day}") for day in (1, 2, 3)]
    days = {"first_day": dt.date(2024, 3, 2), "last_day": dt.date(2024, 3, 2)}

    sources = write(zips, days=days)

    opened = pl.read_parquet(PARTITION)["open_time"].dt.date().unique()
    assert opened.to_list() == [dt.date(2024, 3, 2)]
    assert (sources["first_day"], sources["last_day"]) == ("2024-03-02",) * 2


def test_without_a_last_day_the_metadata_says_none(put):
    write([put("2024-03-01")], days={"first_day": None, "last_day": None})

    assert storage.read_parquet_metadata(PARTITION)["as_of"] == ""


def test_the_listed_etag_saves_a_zip_whose_checksum_is_stale(put):
    listed = put("2024-03-01", checksum=f"{'0' * 64}  BTCUSDT-1m-2024-03-01.zip")
    unlisted = put("2024-03-02", checksum=f"{'0' * 64}  BTCUSDT-1m-2024-03-02.zip")
    md5 = hashlib.md5(Path(listed).read_bytes(), usedforsecurity=False).hexdigest()
    list_etags({listed: md5})

    sources = write([listed, unlisted])

    assert [
        (entry["integrity_status"], entry["etag"]) for entry in sources["inputs"]
    ] == [
        ("checksum-stale", md5),
        ("corrupt", None),
    ]
    assert pl.read_parquet(PARTITION).height == 2


def test_a_zip_that_is_not_there_leaves_what_was_written_before(put):
    write([put("2024-03-01")])
    before = {path: Path(path).read_bytes() for path in (PARTITION, SOURCES)}

    with pytest.raises(ParseError, match="no such file"):
        write([f"{FOLDER}/BTCUSDT-1m-2024-03-02.zip"])

    assert {path: Path(path).read_bytes() for path in before} == before


def test_the_same_zips_make_the_same_bytes(put):
    zips = [put("2024-03-01"), put("2024-03-02")]
    write(zips)
    before = {path: Path(path).read_bytes() for path in (PARTITION, SOURCES)}

    write(zips[::-1])

    assert {path: Path(path).read_bytes() for path in before} == before


METRICS = (
    "create_time,symbol,sum_open_interest,sum_open_interest_value,"
    "count_toptrader_long_short_ratio,sum_toptrader_long_short_ratio,"
    "count_long_short_ratio,sum_taker_long_short_vol_ratio\n"
    '2024-03-01 00:05:00,BTCUSDT,1,2,"","","",""\n'
)
AGG_TRADES = (
    "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,"
    "is_buyer_maker\n"
    "7,42000.1,0.5,11,12,1709251200000,true\n"
    "8,42000.2,0.5,13,13,1709251200001,false\n"
)


@pytest.fixture
def put_records(archive):
    """Put a um daily zip into the data directory, and return its path."""

    def put_records(name, content):
        made = archive(name, content).path
        symbol, series, _ = name.split("-", maxsplit=2)
        folder = Path(f"aws_data/um_futures/daily/{series}/{symbol}")
        folder.mkdir(parents=True, exist_ok=True)
        for path in (made, made.with_name(f"{made.name}.CHECKSUM")):
            shutil.move(path, folder)
        return f"{folder}/{made.name}"

    return put_records


def write_records(zips, data_type, *, partition):
    paths = [Path(f"parsed/{partition}{end}") for end in (".parquet", ".sources.json")]
    parse.write_partition(
        zips,
        partition_path=str(paths[0]),
        sources_path=str(paths[1]),
        days=WHOLE,
        trade_type="um_futures",
        data_type=data_type,
        symbol="BTCUSDT",
        partition=partition,
    )
    return paths


@pytest.mark.parametrize(
    ("name", "content", "partition", "rows"),
    [
        pytest.param("metrics", METRICS, "2024", 1, id="whole"),
        pytest.param("aggTrades", AGG_TRADES, "2024-03", 2, id="piece by piece"),
    ],
)
def test_data_without_intervals_is_written_alike(
    put_records, name, content, partition, rows
):
    path = put_records(f"BTCUSDT-{name}-2024-03-01", content)

    partition_path, sources_path = write_records([path], name, partition=partition)

    frame = pl.read_parquet(partition_path)
    sources = json.loads(sources_path.read_text(encoding="utf-8"))
    table = data_type(name).table(TradeType.UM_FUTURES)
    assert frame.schema == with_symbol(table.schema)
    assert frame.height == sources["rows"] == rows
    assert (sources["data_type"], sources["interval"]) == (name, None)
    assert storage.read_parquet_metadata(partition_path) == {
        "version": __version__,
        "stage": "parse",
        "revision": str(data_type(name).revision),
        "as_of": "2024-03-31",
        "inputs": sha256(path),
    }
    assert sorted(partition_path.parent.iterdir()) == [partition_path, sources_path]


@pytest.mark.parametrize("name", ["metrics", "aggTrades"])
def test_sources_that_cannot_be_written_leave_the_partition_as_it_was(
    put_records, monkeypatch, name
):
    content = {"metrics": METRICS, "aggTrades": AGG_TRADES}[name]
    path = put_records(f"BTCUSDT-{name}-2024-03-01", content)
    partition_path, _ = write_records([], name, partition="2024-03")
    before = partition_path.read_bytes()

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(storage, "write_json", fail)
    with pytest.raises((OSError, PlaceError), match=r"(?i)no space left"):
        write_records([path], name, partition="2024-03")

    assert partition_path.read_bytes() == before
    assert list(partition_path.parent.glob(".*.partial")) == []
