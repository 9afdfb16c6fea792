import datetime as dt
import hashlib
import io
import zipfile
from dataclasses import astuple
from itertools import pairwise

import polars as pl
import pytest

from bhds.core.errors import ConfigError, SelectionError
from bhds.sandbox import spoiling
from bhds.sandbox.defects import SPOILERS, Defect, unchanged
from bhds.sandbox.timegrid import DAY_MS, MINUTE_MS, to_ms

from .conftest import content, fields, lines

UM = "data/futures/um"
SPOT_KEY = "data/spot/daily/klines/AAAUSDT/1m/AAAUSDT-1m-2025-01-05.zip"
DEPTH_KEY = f"{UM}/daily/bookDepth/AAAUSDT/AAAUSDT-bookDepth-2025-01-05.zip"
METRICS_KEY = f"{UM}/daily/metrics/AAAUSDT/AAAUSDT-metrics-2025-01-05.zip"
FUNDING_KEY = f"{UM}/monthly/fundingRate/AAAUSDT/AAAUSDT-fundingRate-2025-01.zip"
MIDNIGHT = to_ms(dt.datetime(2025, 1, 5, tzinfo=dt.UTC))


def um_key(period="2025-01-05", symbol="AAAUSDT"):
    frequency = "daily" if period.count("-") > 1 else "monthly"
    return f"{UM}/{frequency}/klines/{symbol}/1m/{symbol}-1m-{period}.zip"


def spoiled(exchange, key, *hows):
    """Return the rows of a file without its defects, and with them."""
    before = fields(exchange, key)
    for how in hows:
        exchange.spoil(key, how)
    return before, fields(exchange, key)


def test_every_defect_is_one_change_of_one_stage():
    assert set(SPOILERS) == set(Defect)
    for spoiler in SPOILERS.values():
        changes = (spoiler.rows, spoiler.text, spoiler.archive)
        assert sum(change is not unchanged for change in changes) == 1


def test_rows_are_there_twice(exchange):
    (header, *whole), (same, *double) = spoiled(exchange, um_key(), Defect.DUPLICATED)

    assert same == header
    assert double == [row for row in whole for _ in range(2)]


def test_every_60th_bar_is_contradicted_by_the_one_before_it(exchange):
    (_, *whole), (_, *found) = spoiled(exchange, um_key(), Defect.CONTRADICTED)

    assert len(found) == 1440 + 24
    assert [row for row in found if row in whole] == whole
    for place, row in enumerate(found):
        if row not in whole:
            true = found[place + 1]
            assert true[0] == row[0]
            assert int(row[8]) == int(true[8]) + 1
            assert row[1:5] == true[1:5]


def test_rows_are_interleaved(exchange):
    (_, *whole), (_, *found) = spoiled(exchange, um_key(), Defect.UNSORTED)

    assert found == whole[::2] + whole[1::2]


def test_ten_rows_are_missing(exchange):
    (_, *whole), (_, *found) = spoiled(exchange, um_key(), Defect.LOST_ROWS)

    assert found == whole[:480] + whole[490:]


def test_whole_days_of_a_month_are_missing(exchange):
    key = um_key("2025-01")
    _, (_, *found) = spoiled(exchange, key, Defect.LOST_DAYS)

    days = {dt.datetime.fromtimestamp(int(row[0]) / 1000, dt.UTC).day for row in found}
    halted = {2, 3}
    assert days == {*range(1, 32)} - halted - {*spoiling.LOST_DAYS}


def test_fifty_bars_from_the_middle_on_are_stale(exchange):
    (_, *whole), (_, *found) = spoiled(exchange, um_key(), Defect.STALE)

    stale = [place for place in range(1440) if found[place] != whole[place]]
    assert stale == [*range(720, 770)]
    assert found[720][:5] == whole[720][:5]


def test_bars_are_those_of_another_day(exchange):
    (_, *whole), (_, *found) = spoiled(exchange, um_key(), Defect.WRONG_DAY)

    assert [int(row[0]) - DAY_MS for row in found] == [int(row[0]) for row in whole]


@pytest.mark.parametrize(
    "key", [SPOT_KEY, SPOT_KEY.replace("2025-01-05", "2024-12-31")]
)
def test_units_of_time_are_mixed(exchange, key):
    whole, found = spoiled(exchange, key, Defect.MIXED_UNITS)

    here, there = len(whole[0][0]), len(found[-1][0])
    assert {here, there} == {13, 16}
    half = len(whole) // 2
    for place in (0, 6):
        assert [len(row[place]) for row in found[:half]] == [here] * half
        digits = min(here, there)
        assert [row[place][:digits] for row in found] == [
            row[place][:digits] for row in whole
        ]
    assert len(found[half][0]) == there


def test_bars_open_late_after_a_halt(exchange):
    key = um_key("2025-01-04")  # trading went on at 02:30
    (_, *whole), (_, *found) = spoiled(exchange, key, Defect.OFF_GRID)

    late = [int(row[0]) % MINUTE_MS for row in found]
    assert late[:120] == [spoiling.LATE_MS] * 120
    assert set(late[120:]) == {0}
    assert [row[1:6] for row in found] == [row[1:6] for row in whole]


def test_bars_open_late_after_a_halt_within_the_file():
    times = [0, 1, 2, 40, 41, *range(42, 200)]
    bars = pl.DataFrame({"open_time": [each * MINUTE_MS for each in times]})

    late = spoiling.off_the_grid(bars)["open_time"] % MINUTE_MS > 0

    assert late.arg_true().to_list() == [*range(3, 123)]


def test_flat_bars_follow_a_delisting(exchange):
    key = um_key("2025-01-03", "币安人生USDT")
    (_, *whole), (_, *found) = spoiled(exchange, key, Defect.FLAT_TAIL)

    assert len(whole) == 9 * 60
    assert found[: len(whole)] == whole
    assert len(found) == 1440
    for row in found[len(whole) :]:
        assert set(row[1:5]) == {whole[-1][4]}
        assert float(row[5]) == int(row[8]) == 0
    opened = [int(row[0]) for row in found]
    assert {after - before for before, after in pairwise(opened)} == {MINUTE_MS}


def test_funding_goes_on_after_the_settlement(exchange):
    key = FUNDING_KEY.replace("AAAUSDT", "币安人生USDT")
    (_, *whole), (_, *found) = spoiled(exchange, key, Defect.PHANTOM_EVENTS)

    assert found[: len(whole)] == whole
    phantoms = found[len(whole) :]
    first = dt.datetime.fromtimestamp(int(phantoms[0][0]) / 1000, dt.UTC)
    last = dt.datetime.fromtimestamp(int(phantoms[-1][0]) / 1000, dt.UTC)
    assert first == dt.datetime(2025, 1, 3, 16, tzinfo=dt.UTC)
    assert last == dt.datetime(2025, 1, 31, 16, tzinfo=dt.UTC)
    assert {float(row[2]) for row in phantoms} == {0.0001}


def test_metrics_are_blank_zero_and_begin_twice(exchange):
    (_, *whole), (_, *found) = spoiled(
        exchange, METRICS_KEY, Defect.BLANKS, Defect.ZEROS, Defect.MIDNIGHT_TWICE
    )

    again, *found = found
    assert again[0] == "2025-01-05 00:00:00"
    assert whole[0][0] == "2025-01-05 00:05:00"
    for place, (row, true) in enumerate(zip(found, whole, strict=True)):
        assert (row[4:] == ['""'] * 4) == (place % 60 == 0)
        assert row[:2] == true[:2]
        if place != 144:
            assert row[2:4] == true[2:4]
    assert float(found[144][2]) == float(found[144][3]) == 0


def test_quantities_lose_their_precision():
    orders = pl.DataFrame({"order_id": range(25), "quantity": [500] * 25})

    found = spoiling.without_precision(orders)["quantity"]

    assert (found == 1).arg_true().to_list() == [0, 10, 20]
    assert set(found) == {1, 500}


@pytest.mark.parametrize("key", [um_key(), SPOT_KEY])
def test_columns_come_and_go(exchange, key):
    whole, more = spoiled(exchange, key, Defect.EXTRA_COLUMN)
    exchange.repair(key)
    _, fewer = spoiled(exchange, key, Defect.MISSING_COLUMN)

    assert [row[:-1] for row in more] == whole
    assert fewer == [row[:8] + row[9:] for row in whole]
    if whole[0][0] == "open_time":
        assert more[0][-1] == "trade_status"
        assert "count" not in fewer[0]


def test_a_zip_of_the_same_content_has_the_checksum_of_another(exchange):
    key = um_key()
    announced = content(exchange, f"{key}.CHECKSUM")
    whole, found = spoiled(exchange, key, Defect.STALE_CHECKSUM)

    assert found == whole
    assert content(exchange, f"{key}.CHECKSUM") == announced
    exchange.repair(key)
    sound = content(exchange, key)
    exchange.spoil(key, Defect.STALE_CHECKSUM)
    assert content(exchange, key)[: len(sound) - 2] == sound[:-2]
    assert len(content(exchange, key)) > len(sound)


@pytest.mark.parametrize(
    ("how", "names"),
    [
        (Defect.TWO_MEMBERS, ["{}", "copy-of-{}"]),
        (Defect.IN_FOLDER, ["folder/{}"]),
    ],
)
def test_members_are_not_what_they_should_be(exchange, how, names):
    key = um_key()
    whole, found = spoiled(exchange, key, how)

    assert found == whole
    with zipfile.ZipFile(io.BytesIO(content(exchange, key))) as archive:
        assert archive.namelist() == [
            name.format("AAAUSDT-1m-2025-01-05.csv") for name in names
        ]
        assert archive.testzip() is None


def test_a_defect_makes_other_bytes_and_always_the_same(exchange):
    keys = {
        "metrics": METRICS_KEY,
        "fundingRate": FUNDING_KEY.replace("AAAUSDT", "币安人生USDT"),
        Defect.FLAT_TAIL: um_key("2025-01-03", "币安人生USDT"),
        Defect.LOST_DAYS: um_key("2025-01"),
    }
    found = {}
    # No symbol of this universe publishes aggTrades.
    for how in [how for how in Defect if how is not Defect.LOST_PRECISION]:
        (data_type,) = SPOILERS[how].data_types or {"klines"}
        key = keys.get(how, keys.get(data_type, um_key()))
        sound = content(exchange, key)
        exchange.spoil(key, how)
        found[how] = key, content(exchange, key)
        assert found[how][1] != sound, how
        exchange.repair(key)
    folder = exchange.store._cache._folder
    folder.rename(folder.with_name("old"))
    for how, (key, first) in found.items():
        exchange.spoil(key, how)
        assert content(exchange, key) == first, how
        exchange.repair(key)


def test_a_defect_of_other_data_is_refused(exchange):
    for how, spoiler in SPOILERS.items():
        if spoiler.data_types is not None and "metrics" not in spoiler.data_types:
            with pytest.raises(ConfigError, match=f"for the defect '{how}'"):
                exchange.spoil(METRICS_KEY, how)


def digests(exchange, key):
    """Return MD5 and SHA-256 of what is served, and SHA-256 of what is announced."""
    served = content(exchange, key)
    return (
        hashlib.md5(served, usedforsecurity=False).hexdigest(),
        hashlib.sha256(served).hexdigest(),
        content(exchange, f"{key}.CHECKSUM").decode().split()[0],
    )


@pytest.mark.parametrize("key", [um_key(), DEPTH_KEY])
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
    _, sound, _ = digests(exchange, um_key())

    exchange.spoil(um_key(), Defect.CORRUPT)

    md5, sha256, announced = digests(exchange, um_key())
    assert announced == sound != sha256
    assert exchange.store.describe([um_key()])[0].etag == md5
    with pytest.raises(zipfile.BadZipFile):
        lines(exchange, um_key())


@pytest.mark.parametrize("key", [um_key(), SPOT_KEY])
def test_a_run_of_traded_bars_is_without_volume(exchange, key):
    whole, found = spoiled(exchange, key, Defect.NO_VOLUME)

    rows = range(len(whole))
    changed = [at for at in rows if whole[at] != found[at]]
    first, last = changed[0], changed[-1]
    assert 0 <= first - len(whole) // 2 < 32
    assert float(whole[first][5]) > 0
    assert 11 <= last - first <= 12
    close = whole[first - 1][4]
    for row in found[first : first + 13]:
        assert row[1:5] == [close] * 4
        assert {float(row[place]) for place in (5, 7, 8, 9, 10)} == {0}
    assert found[first][0] == whole[first][0]


def test_defects_add_up_in_one_order_and_are_mended_together(exchange):
    before = exchange.store.describe([um_key()])

    exchange.spoil(um_key(), Defect.NO_VOLUME)
    exchange.spoil(um_key(), Defect.TRUNCATED)
    one_way = exchange.store.describe([um_key()])
    exchange.repair(um_key())
    assert exchange.store.describe([um_key()]) == before
    exchange.spoil(um_key(), Defect.TRUNCATED)
    only_one = exchange.store.describe([um_key()])
    exchange.spoil(um_key(), Defect.NO_VOLUME)

    assert exchange.store.describe([um_key()]) == one_way != only_one
    assert astuple(before[0])[-1] == astuple(one_way[0])[-1]


def test_what_is_yet_to_be_published_appears_with_its_defect(exchange):
    exchange.spoil(um_key("2025-02-20"), Defect.TRUNCATED)
    assert exchange.store.read(um_key("2025-02-20")) is None

    exchange.set_now(exchange.now.replace(day=25))

    assert len(lines(exchange, um_key("2025-02-20"))) == 1 + 480


def test_only_what_can_be_is_spoiled_or_mended(exchange):
    key = um_key()
    for none in (f"{key}.CHECKSUM", f"{UM}/none.zip", um_key("2025-01-02")):
        with pytest.raises(SelectionError, match="expected a zip"):
            exchange.spoil(none, Defect.CORRUPT)
    with pytest.raises(SelectionError, match="spoil it first"):
        exchange.repair(um_key())
