import zipfile
from pathlib import Path

import pytest

from bhds.core.errors import ConfigError
from bhds.sandbox.keylist import KeyList
from bhds.sandbox.listing import Query, list_page

KEY_LISTS = Path("../shared/realdata/listings/keys")
ROOT = "https://data.binance.vision/"
ZIPS = ["a/b/2.zip", "a/b/1.zip", "a/b-c/1.zip", "a/龙/1.zip", "z.zip"]


def write(file, *texts):
    with zipfile.ZipFile(file, "w") as archive:
        for number, text in enumerate(texts):
            archive.writestr(f"{number}.txt", text)
    return file


def key_list(file, keys):
    return write(file, "".join(f"{ROOT}{key}\n" for key in keys))


@pytest.fixture
def store(tmp_path):
    return KeyList(
        [key_list(tmp_path / "1", ZIPS[:3]), key_list(tmp_path / "2", ZIPS[2:])]
    )


def all_keys():
    names = [name for key in ZIPS for name in (key, f"{key}.CHECKSUM")]
    return sorted(names, key=str.encode)


def test_each_zip_of_all_lists_is_there_once_with_its_checksum(store):
    assert list(store.keys("")) == all_keys()


@pytest.mark.parametrize("prefix", ["", "a/", "a/b", "a/b/", "a/龙/1.zip.", "b", "zz"])
@pytest.mark.parametrize("after", ["", *all_keys(), "a/b0", "a", "~", "龙"])
def test_keys_below_any_prefix_go_on_after_any_name(store, prefix, after):
    expected = [key for key in all_keys() if key.startswith(prefix) and key > after]

    assert list(store.keys(prefix, after=after)) == expected


def test_what_is_told_of_a_key_follows_from_it_alone(store, tmp_path):
    other = KeyList([key_list(tmp_path / "3", ZIPS[1:2])])
    keys = ["a/b/1.zip", "a/b/1.zip.CHECKSUM"]

    described = store.describe(keys)

    assert described == other.describe(keys)
    assert [each.key for each in described] == keys
    assert described[1].size == len(f"{64 * '0'}  1.zip")
    assert len({each.etag for each in store.describe(all_keys())}) == 2 * len(ZIPS)
    assert all(len(each.etag) == 32 for each in described)
    assert all(each.size > 0 and each.last_modified.tzinfo for each in described)


def test_there_is_nothing_to_be_read(store):
    assert store.read("a/b/1.zip") is None


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        pytest.param([], "0 files, expected one", id="empty zip"),
        pytest.param([f"{ROOT}a.zip", ""], "2 files, expected one", id="two files"),
        pytest.param([f"{ROOT}a.zip\nb.zip"], "line 2: 'b.zip'", id="no URL"),
        pytest.param([f"{ROOT}a.txt"], r"<key>\.zip", id="no zip"),
        pytest.param([b"\xff"], "utf-8", id="no UTF-8"),
    ],
)
def test_what_is_no_key_list_is_refused(tmp_path, texts, told):
    with pytest.raises(ConfigError, match=told):
        KeyList([write(tmp_path / "keys.zip", *texts)])


def test_a_file_that_is_no_zip_is_refused(tmp_path):
    (tmp_path / "keys.zip").write_text(f"{ROOT}a.zip")

    with pytest.raises(ConfigError, match="not a zip file; expected a zip of one"):
        KeyList([tmp_path / "keys.zip"])


@pytest.mark.skipif(
    not KEY_LISTS.is_dir(), reason="genuine exchange listings are absent"
)
def test_genuine_keys_are_paged():
    [file] = KEY_LISTS.glob("data_futures_um_monthly_klines_1m_USDT-*.zip")
    store = KeyList([file])
    root = "data/futures/um/monthly/klines/"

    folders = list_page(store, Query(root, "/"))
    symbol = list_page(store, Query(f"{root}BTCUSDT/1m/"))

    assert sum(1 for _ in store.keys("")) == 2 * 16_956
    assert folders.count("<CommonPrefixes>") == 668
    assert f"<Prefix>{root}我踏马来了USDT/</Prefix>" in folders
    assert "<Key>data/futures/um/monthly/klines/BTCUSDT/1m/BTCUSDT-1m-2020-01" in symbol
    assert "<IsTruncated>false</IsTruncated>" in symbol
