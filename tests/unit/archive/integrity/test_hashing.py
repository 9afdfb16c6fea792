import errno
import hashlib
import os

import pytest

from bhds.archive.integrity import hashing
from bhds.archive.integrity.hashing import HASHED, hash_directory
from bhds.archive.listing.directory import Directory
from bhds.core.markets import Frequency, TradeType

DAILY_1M = Directory(TradeType.SPOT, Frequency.DAILY, "klines", "1m")
ROOT = "aws_data/spot/daily/klines"
NAME = "BTCUSDT-1m-2024-01-01.zip"


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / ROOT / "BTCUSDT" / "1m"
    path.mkdir(parents=True)
    return path


@pytest.fixture
def hash_all(tmp_path):
    return lambda **how: hash_directory(
        DAILY_1M, **({"data_dir": tmp_path, "threads": 1} | how)
    )


def test_zips_and_checksums_are_hashed(hash_all, folder):
    (folder / NAME).write_bytes(b"zip")
    (folder / f"{NAME}.CHECKSUM").write_bytes(b"text \xff")

    files = hash_all()

    assert files.schema == HASHED
    archive, checksum = files.to_dicts()
    stat = (folder / NAME).stat()
    assert archive == {
        "key": f"data/spot/daily/klines/BTCUSDT/1m/{NAME}",
        "path": f"{ROOT}/BTCUSDT/1m/{NAME}",
        "is_checksum": False,
        "size": 3,
        "mtime_ns": stat.st_mtime_ns,
        "inode": stat.st_ino,
        "sha256": hashlib.sha256(b"zip").hexdigest(),
        "text": None,
        "fault": None,
    }
    assert checksum["is_checksum"]
    assert checksum["text"] == "text \ufffd"


def test_nothing_to_hash_is_an_empty_frame(hash_all):
    assert hash_all().schema == HASHED


@pytest.mark.parametrize("chunk_bytes", [1, 7, 1000, 4096])
def test_files_larger_than_a_chunk_are_hashed_whole(
    hash_all, folder, monkeypatch, chunk_bytes
):
    monkeypatch.setattr(hashing, "_CHUNK_BYTES", chunk_bytes)
    content = bytes(range(250)) * 4
    (folder / NAME).write_bytes(content)

    assert hash_all()["sha256"].to_list() == [hashlib.sha256(content).hexdigest()]


def test_what_is_none_of_the_directory_is_left_out(hash_all, folder, tmp_path):
    others = [
        f".{NAME}.123.partial",
        f"{NAME}.aria2",
        "BTCUSDT-1m-2024-13-01.zip",
        "BTCUSDT-1m-2024-01.zip",
        "BTCUSDT-5m-2024-01-01.zip",
        "ETHUSDT-1m-2024-01-01.zip",
        "BTCUSDT-notes-é.zip",
        "notes.txt",
    ]
    for name in others:
        (folder / name).write_bytes(b"own")
    (folder / os.fsdecode(b"BTCUSDT-\xff.zip")).write_bytes(b"own")
    (folder / "BTCUSDT-1m-2024-01-03.zip").mkdir()
    (folder / "BTCUSDT-1m-2024-01-04.zip").symlink_to(folder / "notes.txt")
    (folder / "BTCUSDT-1m-2024-01-05.zip").symlink_to(folder / "nowhere")
    os.mkfifo(folder / "BTCUSDT-1m-2024-01-06.zip")
    (tmp_path / ROOT / "listing-1m.parquet").write_bytes(b"own")
    (tmp_path / ROOT / "symbols.parquet").write_bytes(b"own")
    (tmp_path / ROOT / "a-folder").mkdir()
    (tmp_path / ROOT / "ETHUSDT").mkdir()
    (tmp_path / ROOT / "BNBUSDT").symlink_to(tmp_path / "nowhere")
    odd_symbol = os.fsdecode(b"\xffUSDT")
    for symbol, interval in (("BTCUSDT", "5m"), ("XRPUSDT", "5m"), (odd_symbol, "1m")):
        place = tmp_path / ROOT / symbol / interval
        place.mkdir(parents=True)
        (place / f"{symbol}-{interval}-2024-01-01.zip").write_bytes(b"of no symbol")
    (folder / NAME).write_bytes(b"zip")

    assert hash_all()["path"].to_list() == [f"{ROOT}/BTCUSDT/1m/{NAME}"]


def test_symbols_of_any_script_are_hashed(hash_all, tmp_path):
    place = tmp_path / ROOT / "币安人生USDT" / "1m" / "币安人生USDT-1m-2024-01-01.zip"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"zip")

    assert hash_all()["path"].to_list() == [str(place.relative_to(tmp_path))]


def test_a_symbol_that_lies_on_another_disk_is_hashed(hash_all, folder, tmp_path):
    (folder / NAME).write_bytes(b"zip")
    (tmp_path / ROOT / "BTCUSDT").rename(tmp_path / "elsewhere")
    (tmp_path / ROOT / "BTCUSDT").symlink_to(tmp_path / "elsewhere")

    assert hash_all().height == 1


@pytest.mark.parametrize("event", ["removed", "grown"])
def test_files_that_change_meanwhile_are_left_out(hash_all, folder, monkeypatch, event):
    (folder / NAME).write_bytes(b"zip")
    (folder / NAME.replace("-01.zip", "-02.zip")).write_bytes(b"zip")
    scan = hashing._scan

    def scan_and_change(*args, **how):
        found = list(scan(*args, **how))
        if event == "removed":
            (folder / NAME).unlink()
        else:
            (folder / NAME).write_bytes(b"longer")
        return found

    monkeypatch.setattr(hashing, "_scan", scan_and_change)

    assert [path[-6:] for path in hash_all()["path"]] == ["02.zip"]


def test_an_unreadable_file_has_a_fault_and_no_hash(hash_all, folder, monkeypatch):
    (folder / NAME).write_bytes(b"zip")

    def fail(_path, *, buffer):
        raise OSError(errno.EIO, f"Input/output error after {len(buffer)} bytes")

    monkeypatch.setattr(hashing, "_hash_file", fail)
    row = hash_all().row(0, named=True)

    assert (row["size"], row["sha256"]) == (3, None)
    assert row["fault"].startswith("Input/output error")


def test_any_other_failure_names_the_file(hash_all, folder, monkeypatch):
    (folder / NAME).write_bytes(b"zip")

    def fail(_path, *, buffer):
        raise OSError(errno.ESTALE, "Stale file handle", None, None, len(buffer))

    monkeypatch.setattr(hashing, "_hash_file", fail)

    with pytest.raises(OSError, match="Stale") as caught:
        hash_all()

    assert caught.value.filename == f"{ROOT}/BTCUSDT/1m/{NAME}"
