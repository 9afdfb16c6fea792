"""Which archive files a series needs, and the state of each on disk."""

import datetime as dt
import hashlib
import os

import polars as pl
import pytest

from bhds.archive.listing.directory import Directory
from bhds.core.markets import Frequency, TradeType
from bhds.plan import files as archive
from bhds.schemas.archive_tables import LEDGER, LISTING_SCHEMA

from .conftest import zips

DAY = dt.date
LISTED_AT = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
DAILY = Directory(TradeType.CM_FUTURES, Frequency.DAILY, "klines", "1m")
KEYS = "data/futures/cm/daily/klines"
PATHS = "aws_data/cm_futures/daily/klines"
ZIP = "BTCUSD_PERP/1m/BTCUSD_PERP-1m-2025-01-01.zip"


def listing(*names, size=10, etag="e"):
    rows = [(f"{KEYS}/{name}", size, etag, LISTED_AT) for name in names]
    return pl.DataFrame(rows, schema=LISTING_SCHEMA, orient="row")


def test_listed_files_stand_below_the_data_directory():
    table = listing(ZIP, f"{ZIP}.CHECKSUM", size=7)

    files = archive.listed_files(table, directory=DAILY)

    assert files.schema == archive.FILES
    assert files["path"].to_list() == [f"{PATHS}/{ZIP}", f"{PATHS}/{ZIP}.CHECKSUM"]
    assert files["is_checksum"].to_list() == [False, True]
    assert files.drop("key", "path", "is_checksum").unique().rows() == [
        ("BTCUSD_PERP", "2025-01-01", 7, "e")
    ]


def test_what_is_no_file_of_the_archive_is_left_out():
    table = listing(ZIP, "BTCUSD_PERP/1m/BTCUSD_PERP-1m-2025-01-01.zip.md5")

    assert archive.listed_files(table, directory=DAILY)["key"].to_list() == [
        f"{KEYS}/{ZIP}"
    ]


def test_unlisted_files_are_recognised_by_their_paths():
    disk = pl.DataFrame(
        {"path": [f"{PATHS}/{ZIP}", f"{PATHS}/note.txt"], "disk_size": [9, 1]}
    )

    files = archive.unlisted_files(disk, directory=DAILY)

    assert files.schema == archive.FILES
    assert files.select("key", "path", "size", "etag").rows() == [
        (f"{KEYS}/{ZIP}", f"{PATHS}/{ZIP}", 9, None)
    ]


def test_the_folder_of_a_symbol_is_where_its_files_are():
    assert archive.local_folder(DAILY, "BTCUSD_PERP") == f"{PATHS}/BTCUSD_PERP/1m"
    assert archive.local_root(DAILY) == f"{PATHS}/"


def test_the_disk_is_scanned_folder_by_folder_and_no_deeper(tmp_path):
    for name, size in {"a/1": 3, "b/2": 0, "b/deep/3": 1, "c/4": 1}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x" * size)
        os.utime(tmp_path / name, (0, size))

    disk = archive.scan_disk(["a", "none", "b"], data_dir=tmp_path)

    found = disk.filter(pl.col("path") != "b/deep").sort("path").rows()
    assert found == [("a/1", 3, 3), ("b/2", 0, 0)]


def test_a_disk_without_files_has_the_same_columns(tmp_path):
    disk = archive.scan_disk(["none"], data_dir=tmp_path)

    assert disk.schema == {
        "path": pl.String,
        "disk_size": pl.Int64,
        "disk_time": pl.Float64,
    }
    assert disk.height == 0


NOW = dt.datetime(2025, 3, 10, 12, tzinfo=dt.UTC)


def newest_rows(*rows):
    """The newest rows of a ledger, without what states do not depend on."""
    names = ("key", "etag", "md5", "first_seen", "served_size", "proof")
    schema = {name: LEDGER[name] for name in names}
    rows = [(*row, None)[: len(names)] for row in rows]
    return pl.DataFrame(rows, schema=schema, orient="row")


@pytest.mark.parametrize(
    ("listed", "disk", "fetched", "expected"),
    [
        pytest.param((10, "e"), None, None, "missing", id="never fetched"),
        pytest.param((10, "e"), None, "e", "missing", id="fetched, then deleted"),
        pytest.param((10, "e"), 10, "e", "present", id="fetched"),
        pytest.param((10, "e"), 9, "e", "replaced", id="damaged on disk"),
        pytest.param((10, "new"), 10, "old", "replaced", id="another revision"),
        pytest.param((10, "e"), 10, None, "present", id="brought, of that size"),
        pytest.param((10, "e"), 9, None, "replaced", id="brought, of another size"),
        pytest.param((10, None), 10, "old", "present", id="no longer listed"),
        pytest.param((10, None), 9, None, "present", id="brought, not listed"),
    ],
)
def test_the_state_of_a_file_follows_listing_disk_and_ledger(
    listed, disk, fetched, expected
):
    files = pl.DataFrame(
        [("k", "p", *listed)],
        schema={"key": pl.String, "path": pl.String, "size": int, "etag": pl.String},
        orient="row",
    )
    on_disk = [] if disk is None else [("p", disk)]
    recorded = [] if fetched is None else [("k", fetched, fetched, NOW, 10)]

    states = archive.with_state(
        files,
        disk=pl.DataFrame(
            [*on_disk, ("other", 1)],
            schema={"path": pl.String, "disk_size": pl.Int64},
            orient="row",
        ),
        newest=newest_rows(*recorded, ("other", "x", "x", NOW, 1)),
        listed_at=NOW,
    )

    assert states["state"].to_list() == [expected]
    assert states["state"].dtype == archive.STATES
    assert states["etag"].to_list() == [listed[1]]


MD5, OTHER = "0" * 32, "1" * 32


@pytest.mark.parametrize(
    ("etag", "recorded", "disk", "expected"),
    [
        pytest.param(MD5, (MD5, 10, None), 10, "present", id="as listed"),
        pytest.param(MD5, (OTHER, 10, None), 10, "replaced", id="other bytes"),
        pytest.param(MD5, (OTHER, 12, None), 12, "replaced", id="another size"),
        pytest.param(MD5, (OTHER, 12, "CRC"), 12, "present", id="proven sound"),
        pytest.param(MD5, (OTHER, 12, "CRC"), 11, "replaced", id="proven, cut since"),
        pytest.param(f"{MD5}-2", (OTHER, 10, None), 10, "present", id="of parts"),
        pytest.param(
            f"{MD5}-2", (OTHER, 12, None), 12, "replaced", id="of parts, another size"
        ),
    ],
)
def test_bytes_unlike_their_listing_are_fetched_again_unless_proven_sound(
    etag, recorded, disk, expected
):
    """Versions that kept what was served twice recorded no proof."""
    files = pl.DataFrame({"key": ["k"], "path": ["p"], "size": [10], "etag": [etag]})
    md5, served_size, proof = recorded

    states = archive.with_state(
        files,
        disk=pl.DataFrame({"path": ["p"], "disk_size": [disk]}),
        newest=newest_rows(("k", etag, md5, NOW, served_size, proof)),
        listed_at=NOW,
    )

    assert states["state"].to_list() == [expected]


@pytest.mark.parametrize(
    ("etag", "disk", "expected"),
    [
        pytest.param(MD5, 10, "present", id="as listed"),
        pytest.param(OTHER, 10, "replaced", id="other bytes"),
        pytest.param(MD5, 9, "replaced", id="cut since"),
        pytest.param(f"{OTHER}-2", 10, "present", id="of parts"),
    ],
)
def test_an_adopted_file_is_compared_with_the_listing_by_size_and_md5(
    etag, disk, expected
):
    files = pl.DataFrame({"key": ["k"], "path": ["p"], "size": [10], "etag": [etag]})

    states = archive.with_state(
        files,
        disk=pl.DataFrame({"path": ["p"], "disk_size": [disk]}),
        newest=newest_rows(("k", None, MD5, NOW, disk)),
        listed_at=NOW,
    )

    assert states["state"].to_list() == [expected]


ITS_MD5 = hashlib.md5(b"its bytes", usedforsecurity=False).hexdigest()


@pytest.mark.parametrize(
    ("etag", "recorded", "is_damaged"),
    [
        pytest.param(ITS_MD5, OTHER, False, id="as listed"),
        pytest.param(OTHER, ITS_MD5, False, id="as it was proven sound"),
        pytest.param(OTHER, None, True, id="other bytes"),
        pytest.param(f"{OTHER}-2", OTHER, True, id="not as it came"),
        pytest.param(f"{OTHER}-2", None, False, id="nothing to compare with"),
        pytest.param(None, None, False, id="not listed"),
    ],
)
def test_a_file_is_damaged_if_no_known_md5_is_its_own(
    tmp_path, etag, recorded, is_damaged
):
    (tmp_path / "p").write_bytes(b"its bytes")
    row = {"key": "k", "path": "p", "etag": etag, "state": "present"}

    found = archive.damaged(
        pl.DataFrame(
            [row, {**row, "path": "absent", "state": "missing"}],
            schema_overrides={"etag": pl.String},
        ),
        newest=newest_rows(("k", "e", recorded, NOW, 9)),
        data_dir=tmp_path,
    )

    assert found == ["p"] * is_damaged


def test_states_keep_the_order_of_files():
    paths = ["b", "a", "c"]
    files = pl.DataFrame({"key": paths, "path": paths, "size": [1] * 3, "etag": paths})
    disk = pl.DataFrame({"path": ["a", "b"], "disk_size": [1, 1]})
    newest = newest_rows(("b", "b", "b", NOW, 1), ("a", "x", "x", NOW, 1))

    states = archive.with_state(files, disk=disk, newest=newest, listed_at=NOW)

    assert states["path"].to_list() == paths
    assert states["state"].to_list() == ["present", "replaced", "missing"]


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        pytest.param(None, DAY(2025, 2, 1), ["2025-01", "2025-02-01"], id="open"),
        pytest.param(
            DAY(2025, 1, 31), DAY(2025, 2, 1), ["2025-01", "2025-02-01"], id="touched"
        ),
        pytest.param(DAY(2025, 2, 1), DAY(2025, 2, 1), ["2025-02-01"], id="one day"),
        pytest.param(None, DAY(2025, 1, 1), ["2025-01"], id="first day of a month"),
        pytest.param(DAY(2025, 2, 2), DAY(2025, 3, 1), [], id="afterwards"),
        pytest.param(None, DAY(2024, 12, 31), [], id="before"),
    ],
)
def test_zips_with_a_wanted_day_are_kept(first, last, expected):
    table = zips(("A", "2025-01"), ("A", "2025-02-01"))

    kept = archive.within(table, first_day=first, last_day=last)

    assert kept["period"].to_list() == expected
