import hashlib
import io
import zipfile
from dataclasses import astuple

import pytest

from bhds.core.errors import ConfigError, SelectionError
from bhds.sandbox.defects import Defect

UM = "data/futures/um"
KEY = f"{UM}/daily/klines/AAAUSDT/1m/AAAUSDT-1m-2025-01-05.zip"
QUIET_KEY = "data/spot/daily/klines/AAAUSDT/1m/AAAUSDT-1m-2025-01-05.zip"
DEPTH_KEY = f"{UM}/daily/bookDepth/AAAUSDT/AAAUSDT-bookDepth-2025-01-05.zip"
FUTURE_KEY = f"{UM}/daily/klines/AAAUSDT/1m/AAAUSDT-1m-2025-02-20.zip"


def content(exchange, key):
    return exchange.store.read(key)[1]


def lines(exchange, key):
    with zipfile.ZipFile(io.BytesIO(content(exchange, key))) as archive:
        return archive.read(archive.namelist()[0]).decode().splitlines()


def digests(exchange, key):
    """Return MD5 and SHA-256 of what is served, and SHA-256 of what is announced."""
    served = content(exchange, key)
    return (
        hashlib.md5(served, usedforsecurity=False).hexdigest(),
        hashlib.sha256(served).hexdigest(),
        content(exchange, f"{key}.CHECKSUM").decode().split()[0],
    )


@pytest.mark.parametrize("key", [KEY, DEPTH_KEY])
def test_a_truncated_file_ends_early_and_is_announced_so(exchange, key):
    whole = lines(exchange, key)

    exchange.spoil(key, Defect.TRUNCATED)

    assert lines(exchange, key) == whole[: 1 + (len(whole) - 1) // 3]
    md5, sha256, announced = digests(exchange, key)
    assert announced == sha256
    assert exchange.store.describe([key])[0].etag == md5


def test_a_corrupt_file_cannot_be_opened_and_has_the_checksum_of_the_sound_one(
    exchange,
):
    _, sound, _ = digests(exchange, KEY)

    exchange.spoil(KEY, Defect.CORRUPT)

    md5, sha256, announced = digests(exchange, KEY)
    assert announced == sound != sha256
    assert exchange.store.describe([KEY])[0].etag == md5
    with pytest.raises(zipfile.BadZipFile):
        lines(exchange, KEY)


@pytest.mark.parametrize("key", [KEY, QUIET_KEY])
def test_a_run_of_traded_bars_is_without_volume(exchange, key):
    whole = [line.split(",") for line in lines(exchange, key)]

    exchange.spoil(key, Defect.NO_VOLUME)

    spoiled = [line.split(",") for line in lines(exchange, key)]
    rows = range(len(whole))
    changed = [at for at in rows if whole[at] != spoiled[at]]
    first, last = changed[0], changed[-1]
    assert 0 <= first - len(whole) // 2 < 32
    assert float(whole[first][5]) > 0
    assert 11 <= last - first <= 12
    close = whole[first - 1][4]
    for row in spoiled[first : first + 13]:
        assert row[1:5] == [close] * 4
        assert {float(row[place]) for place in (5, 7, 8, 9, 10)} == {0}
    assert spoiled[first][0] == whole[first][0]


def test_defects_add_up_in_one_order_and_are_mended_together(exchange):
    before = exchange.store.describe([KEY])

    exchange.spoil(KEY, Defect.NO_VOLUME)
    exchange.spoil(KEY, Defect.TRUNCATED)
    one_way = exchange.store.describe([KEY])
    exchange.repair(KEY)
    assert exchange.store.describe([KEY]) == before
    exchange.spoil(KEY, Defect.TRUNCATED)
    only_one = exchange.store.describe([KEY])
    exchange.spoil(KEY, Defect.NO_VOLUME)

    assert exchange.store.describe([KEY]) == one_way != only_one
    assert astuple(before[0])[-1] == astuple(one_way[0])[-1]


def test_what_is_yet_to_be_published_appears_with_its_defect(exchange):
    exchange.spoil(FUTURE_KEY, Defect.TRUNCATED)
    assert exchange.store.read(FUTURE_KEY) is None

    exchange.set_now(exchange.now.replace(day=25))

    assert len(lines(exchange, FUTURE_KEY)) == 1 + 480


def test_only_what_can_be_is_spoiled_or_mended(exchange):
    for key in (f"{KEY}.CHECKSUM", f"{UM}/none.zip", KEY.replace("01-05", "01-02")):
        with pytest.raises(SelectionError, match="expected a zip"):
            exchange.spoil(key, Defect.CORRUPT)
    with pytest.raises(ConfigError, match=r"bookDepth.*expected \['klines'\]"):
        exchange.spoil(DEPTH_KEY, Defect.NO_VOLUME)
    with pytest.raises(SelectionError, match="spoil it first"):
        exchange.repair(KEY)
