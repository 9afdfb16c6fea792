import datetime as dt
import hashlib
import os
import shutil
from pathlib import Path

import pytest

from bhds.core.errors import ConfigError
from bhds.sandbox.realfiles import RealFiles

REAL = Path("../shared/realdata/spot/klines/BTCUSDT/1m")
FOLDER = "data/spot/daily/klines/BTCUSDT/1m"


@pytest.fixture
def folder(tmp_path):
    tmp_path /= "bucket"
    for name in ("data/a/x.zip", "data/a.zip", "data/a-b/y.zip", "data/a/.hidden"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path


def test_keys_come_in_order_and_go_on_after_any(folder):
    store = RealFiles(folder)
    keys = ["data/a-b/y.zip", "data/a.zip", "data/a/x.zip"]

    assert list(store.keys("")) == keys
    assert list(store.keys("data/a/")) == keys[2:]
    assert list(store.keys("data/a")) == keys
    for place, key in enumerate(keys):
        assert list(store.keys("", after=key)) == keys[place + 1 :]


@pytest.mark.skipif(not REAL.is_dir(), reason="genuine exchange files are absent")
def test_genuine_files_are_described_and_read_as_they_are(tmp_path):
    target = tmp_path / FOLDER
    shutil.copytree(REAL, target)
    store = RealFiles(tmp_path)
    keys = list(store.keys(f"{FOLDER}/"))

    assert len(keys) == 6
    for described in store.describe(keys):
        path = tmp_path / described.key
        content = path.read_bytes()
        assert store.read(described.key) == (described, content)
        assert described.size == len(content)
        assert described.etag == hashlib.md5(content, usedforsecurity=False).hexdigest()
        assert described.last_modified.timestamp() == int(path.stat().st_mtime)


def test_files_that_come_change_and_go_are_seen(folder):
    store = RealFiles(folder)
    (old,) = store.describe(["data/a.zip"])
    (folder / "data/b.zip").write_text("new")
    path = folder / "data/a.zip"
    path.write_text("other")
    moment = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)
    os.utime(path, (moment.timestamp(), moment.timestamp()))

    assert list(store.keys("data/b")) == ["data/b.zip"]
    (new,) = store.describe(["data/a.zip"])
    assert new.etag != old.etag
    assert new.last_modified == moment
    path.unlink()
    assert store.describe(["data/a.zip", "data/b.zip"])[0].key == "data/b.zip"


@pytest.mark.parametrize(
    "key",
    [
        *("data/../../secret", "/etc/hostname", "data/a", "data/a/.hidden"),
        *("data//a.zip", "data/a.zip\0", f"data/{'x' * 300}", "data/\udcff.zip"),
        *("data/out", "data/up/secret", "data/hidden", "data/round", "data/dangling"),
        *("data/pipe", "data/device"),
    ],
)
def test_nothing_else_can_be_listed_or_read(folder, key):
    data = folder / "data"
    (folder.parent / "secret").write_text("x")
    (data / os.fsdecode(b"\xff.zip")).write_text("x")
    os.mkfifo(data / "pipe")
    for name, target in {
        "out": "/etc/hostname",
        "up": "../..",
        "hidden": "a/.hidden",
        "round": "round",
        "dangling": "none",
        "device": "/dev/zero",
        "again": "../data",
    }.items():
        (data / name).symlink_to(target)
    store = RealFiles(folder)

    assert store.read(key) is None
    assert store.describe([key]) == []
    assert list(store.keys("")) == ["data/a-b/y.zip", "data/a.zip", "data/a/x.zip"]


def test_symbolic_links_within_the_folder_are_followed(folder):
    (folder / "data/b").symlink_to("a")
    (folder / "data/c.zip").symlink_to("a.zip")
    store = RealFiles(folder)

    assert list(store.keys("data/b")) == ["data/b/x.zip"]
    assert store.read("data/b/x.zip")[1] == b"data/a/x.zip"
    assert store.read("data/c.zip")[1] == b"data/a.zip"


@pytest.mark.parametrize("target", [None, "/etc"])
def test_a_folder_that_is_not_a_bucket_is_refused(tmp_path, target):
    if target is not None:
        (tmp_path / "data").symlink_to(target)

    with pytest.raises(ConfigError, match="expected it to hold a folder `data`"):
        RealFiles(tmp_path)
