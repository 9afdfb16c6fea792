"""What killed runs left, and that nothing else is ever removed."""

import datetime as dt
import os
from pathlib import Path

import pytest

from bhds import config, layout
from bhds.archive.download.staging import RequestedFile, Staging
from bhds.cleanup import stale_files
from bhds.core.errors import BhdsError
from bhds.io import runs
from bhds.io.storage import replacing
from bhds.plan import prepare

NOW = dt.datetime(2025, 3, 10, 12, tzinfo=dt.UTC)
FOLDER = "um_futures/monthly/klines/AUSDT/1m"
NAME = "AUSDT-1m-2025-01.zip"


def make(root, path, *, age_h=0, content=b"x"):
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
    changed = (NOW - dt.timedelta(hours=age_h)).timestamp()
    os.utime(target, (changed, changed))
    return path


# --- killed writes


@pytest.mark.parametrize(
    "path",
    [
        "results_data/um_futures/klines/1m/.BTCUSDT.pqt.4711.partial",
        "aws_data/um_futures/monthly/klines/.listing-1m.parquet.1.partial",
        "parsed_data/um_futures/klines/龙虾USDT/1m/.2025.parquet.99999.partial",
    ],
)
def test_what_a_killed_writer_left_is_found(tmp_path, path):
    make(tmp_path, path, age_h=25)

    assert stale_files.killed_writes(tmp_path, now=NOW) == [path]


@pytest.mark.skipif(runs.current() is None, reason="nothing tells who is gone")
def test_what_a_writer_makes_is_found_once_the_writer_is_gone(tmp_path, monkeypatch):
    with replacing(tmp_path / "results_data" / "A.pqt") as partial:
        make(tmp_path, partial.relative_to(tmp_path), age_h=25)
        assert stale_files.killed_writes(tmp_path, now=NOW) == []
        monkeypatch.setattr(runs.Process, "is_gone", True)

        found = stale_files.killed_writes(tmp_path, now=NOW)

    assert found == [f"results_data/{partial.name}"]


@pytest.mark.parametrize(
    ("path", "age_h"),
    [
        pytest.param("results_data/.a.pqt.1.partial", 23, id="may be in use"),
        pytest.param("results_data/a.pqt.1.partial", 99, id="not hidden"),
        pytest.param("results_data/.a.pqt.partial", 99, id="without a process"),
        pytest.param("results_data/.a.pqt.1.partial.bak", 99, id="another suffix"),
        pytest.param("mine/.a.pqt.1.partial", 99, id="not a folder of a stage"),
        pytest.param(".a.pqt.1.partial", 99, id="not in a folder"),
        pytest.param("results_data/a.pqt", 99, id="a result"),
    ],
)
def test_other_files_are_not_leftovers(tmp_path, path, age_h):
    make(tmp_path, path, age_h=age_h)

    assert stale_files.killed_writes(tmp_path, now=NOW) == []


def test_links_are_not_followed(tmp_path):
    data, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    path = make(elsewhere, "deep/.a.pqt.1.partial", age_h=99)
    (data / "results_data").mkdir(parents=True)
    (data / "results_data" / "linked").symlink_to(elsewhere / "deep")
    (data / "results_data" / ".b.pqt.1.partial").symlink_to(elsewhere / path)
    (data / "parsed_data").symlink_to(elsewhere)

    assert stale_files.killed_writes(data, now=NOW) == []


# --- staged downloads


@pytest.fixture
def staged(bucket):
    """Stage one file of AUSDT, and tell which staged files are found in place."""

    def find(name, *, folder=FOLDER, symbols=None):
        make(bucket.data_dir, f"{layout.STAGING}/{folder}/{name}")
        dataset = {"trade_type": "um_futures", "symbols": symbols or ["AUSDT"]}
        planned = prepare.plan(
            config.load({"datasets": [dataset]}, environment={}),
            targets=(),
            data_dir=bucket.data_dir,
            now=NOW,
            online=False,
        ).datasets
        found = stale_files.staged_in_place(planned, data_dir=bucket.data_dir)
        return [path.rpartition("/")[2] for path in found]

    bucket.publish("AUSDT", "2025-01", "2025-02")
    bucket.publish("BUSDT", "2025-01")
    bucket.fetch("AUSDT", "2025-01")
    bucket.fetch("BUSDT", "2025-01")
    return find


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(f"{NAME}.d41d8cd98f00b204e9800998ecf8427e", id="zip"),
        pytest.param(f"{NAME}.CHECKSUM.d41d8cd9_2", id="CHECKSUM"),
        pytest.param(f"{NAME}.d41d8cd9.aria2", id="control file"),
        pytest.param(f"{NAME}.unlisted", id="of a file no longer listed"),
    ],
)
def test_what_is_staged_of_a_file_in_place_is_found(staged, name):
    assert staged(name) == [name]


@pytest.mark.parametrize("etag", ["d41d8cd98f00b204e9800998ecf8427e-2", "a/b", None])
def test_staged_names_are_those_that_downloads_use(tmp_path, staged, etag):
    wanted = RequestedFile("key", tmp_path / f"aws_data/{FOLDER}/{NAME}", 1, etag)
    place = Staging([wanted], data_dir=tmp_path).place(wanted)

    name = Path(place).name
    assert staged(name) == [name]


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        pytest.param("AUSDT-1m-2025-02.zip.e", FOLDER, id="the file is missing"),
        pytest.param("AUSDT-1m-2024-12.zip.e", FOLDER, id="the file is not wanted"),
        pytest.param(NAME, FOLDER, id="no tag"),
        pytest.param("input.txt", FOLDER, id="another name"),
        pytest.param(f"{NAME}.e", "um_futures", id="another folder"),
        pytest.param(
            "BUSDT-1m-2025-01.zip.e", FOLDER.replace("A", "B"), id="another symbol"
        ),
    ],
)
def test_what_else_is_staged_stays(staged, name, folder):
    assert staged(name, folder=folder) == []


@pytest.mark.parametrize("damaged", ["", ".CHECKSUM"])
def test_what_is_staged_of_a_file_to_be_replaced_stays(bucket, staged, damaged):
    bucket.fetch("AUSDT", "2025-01")
    (bucket.data_dir / f"aws_data/{FOLDER}/{NAME}{damaged}").write_bytes(b"?")

    assert staged(f"{NAME}.e") == []


# --- quarantine


def test_all_that_was_put_aside_is_found(tmp_path):
    paths = [
        make(tmp_path, f"aws_data/.quarantine/{name}")
        for name in ("spot/a.zip.0123", "um_futures/b.zip.4567")
    ]
    make(tmp_path, "aws_data/um_futures/c.zip")

    assert stale_files.quarantined(tmp_path) == paths


def test_without_a_quarantine_there_is_nothing(tmp_path):
    assert stale_files.quarantined(tmp_path) == []


# --- removal


def test_files_are_removed_and_counted(tmp_path):
    paths = [make(tmp_path, "aws_data/a", content=b"12"), make(tmp_path, "aws_data/b")]
    kept = make(tmp_path, "aws_data/c")

    assert stale_files.sizes([*paths, "aws_data/gone"], data_dir=tmp_path) == {
        "aws_data/a": 2,
        "aws_data/b": 1,
    }
    assert stale_files.remove([*paths, "aws_data/gone"], data_dir=tmp_path) == 2
    assert [path.name for path in (tmp_path / "aws_data").iterdir()] == ["c"]
    assert (tmp_path / kept).exists()


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("aws_data/link", id="a link to a file"),
        pytest.param("linked/sound", id="behind a link to a folder"),
        pytest.param("linked/deep/sound", id="deep behind a link"),
        pytest.param("aws_data/../../elsewhere/sound", id="outside"),
        pytest.param("aws_data/folder", id="a folder"),
    ],
)
def test_nothing_outside_the_data_directory_is_touched(tmp_path, path):
    data = tmp_path / "data"
    make(tmp_path, "elsewhere/sound")
    make(tmp_path, "elsewhere/deep/sound")
    (data / "aws_data" / "folder").mkdir(parents=True)
    (data / "aws_data" / "link").symlink_to(tmp_path / "elsewhere" / "sound")
    (data / "linked").symlink_to(tmp_path / "elsewhere")

    assert stale_files.sizes([path], data_dir=data) == {}
    assert stale_files.remove([path], data_dir=data) == 0
    assert (data / path).exists()


def test_a_data_directory_may_itself_be_a_link(tmp_path):
    make(tmp_path, "disk/aws_data/a")
    (tmp_path / "data").symlink_to(tmp_path / "disk")

    assert stale_files.remove(["aws_data/a"], data_dir=tmp_path / "data") == 1


def test_a_file_that_cannot_be_removed_is_named(tmp_path, monkeypatch):
    make(tmp_path, "aws_data/a")

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.unlink", refuse)
    with pytest.raises(BhdsError, match=r"aws_data/a: Permission denied; .*run again"):
        stale_files.remove(["aws_data/a"], data_dir=tmp_path)
