import datetime as dt
import hashlib
import io
import zipfile

import pytest

from bhds.core.errors import SelectionError
from bhds.core.markets import Frequency, TradeType
from bhds.sandbox.exchange import Exchange
from bhds.sandbox.timegrid import DAY_MS, period_of_label

from .conftest import content, lines

UM = "data/futures/um"
DAY_KEY = f"{UM}/daily/klines/AAAUSDT/1m/AAAUSDT-1m-2025-01-05.zip"
MONTH_KEY = f"{UM}/monthly/klines/AAAUSDT/1m/AAAUSDT-1m-2025-01.zip"
FUNDING_KEY = f"{UM}/monthly/fundingRate/AAAUSDT/AAAUSDT-fundingRate-2025-01.zip"


def names(exchange, prefix):
    return [key.removeprefix(prefix) for key in exchange.store.keys(prefix)]


def described(exchange, key):
    return exchange.store.describe([key])[0]


def test_keys_come_in_the_order_of_their_bytes_and_go_on_after_any(exchange):
    keys = list(exchange.store.keys("data/"))

    assert len(keys) > 3_000
    assert keys == sorted(set(keys), key=str.encode)
    for prefix in ("", "data/futures/um/daily/klines/A", f"{UM}/"):
        below = [key for key in keys if key.startswith(prefix)]
        assert list(exchange.store.keys(prefix)) == below
        for place in (0, 1, 777, -2, -1):
            after = below[place % len(below)]
            found = exchange.store.keys(prefix, after=after)
            assert list(found) == below[below.index(after) + 1 :]


def test_size_etag_and_checksum_are_those_of_the_bytes_that_are_served(exchange):
    folder = f"{UM}/daily/klines/币安人生USDT/1h/"
    keys = list(exchange.store.keys(folder))

    assert len(keys) == 2 * 5
    for zip_key, checksum_key in zip(keys[::2], keys[1::2], strict=True):
        assert checksum_key == f"{zip_key}.CHECKSUM"
        served = content(exchange, zip_key)
        announced = described(exchange, zip_key)
        assert announced.size == len(served)
        assert announced.etag == hashlib.md5(served, usedforsecurity=False).hexdigest()
        name = zip_key.rpartition("/")[2]
        with zipfile.ZipFile(io.BytesIO(served)) as archive:
            assert archive.namelist() == [name.replace(".zip", ".csv")]
        digest = hashlib.sha256(served).hexdigest()
        assert content(exchange, checksum_key).decode() == f"{digest}  {name}\n"


def test_a_days_file_appears_on_the_next_morning(exchange):
    folder = f"{UM}/daily/klines/AAAUSDT/1m/"

    exchange.set_now(dt.datetime(2025, 1, 6, 8, 4, tzinfo=dt.UTC))
    before = names(exchange, folder)
    exchange.set_now(dt.datetime(2025, 1, 6, 8, 31, tzinfo=dt.UTC))

    new = ["AAAUSDT-1m-2025-01-05.zip", "AAAUSDT-1m-2025-01-05.zip.CHECKSUM"]
    assert names(exchange, folder) == [*before, *new]
    modified = described(exchange, DAY_KEY).last_modified
    assert modified.date() == dt.date(2025, 1, 6)


@pytest.mark.parametrize(
    ("key", "day"),
    [
        pytest.param(MONTH_KEY, dt.date(2025, 2, 3), id="klines on the first Monday"),
        pytest.param(FUNDING_KEY, dt.date(2025, 2, 1), id="funding on the 1st"),
    ],
)
def test_a_months_file_appears_when_it_really_does(exchange, key, day):
    assert described(exchange, key).last_modified.date() == day

    exchange.set_now(dt.datetime.combine(day, dt.time(7), tzinfo=dt.UTC))
    assert exchange.store.read(key) is None


def test_a_day_without_bars_has_no_file(exchange):
    days = names(exchange, f"{UM}/daily/klines/AAAUSDT/1d/")

    assert "AAAUSDT-1d-2025-01-01.zip" in days
    assert "AAAUSDT-1d-2025-01-02.zip" not in days
    assert "AAAUSDT-1d-2025-01-03.zip" not in days
    assert "AAAUSDT-1d-2025-01-04.zip" in days


def test_daily_and_monthly_files_hold_the_same_rows(exchange):
    month = period_of_label(Frequency.MONTHLY, "2025-01")
    folder = f"{UM}/daily/klines/AAAUSDT/1m/"
    days = [
        key
        for key in exchange.store.keys(f"{folder}AAAUSDT-1m-2025-01")
        if key.endswith(".zip")
    ]

    monthly = lines(exchange, MONTH_KEY)

    assert len(days) == (month.end_ms - month.start_ms) // DAY_MS - 2
    assert monthly[1:] == [row for key in days for row in lines(exchange, key)[1:]]


def test_a_week_is_in_the_file_of_the_month_in_which_it_opens(exchange):
    folder = "data/spot/monthly/klines/AAAUSDT/1w/"

    december, january = (
        lines(exchange, f"{folder}AAAUSDT-1w-{month}.zip")
        for month in ("2024-12", "2025-01")
    )

    # Times of the week from 2024-12-30 are in ms, those of 2025 in us.
    assert [row.split(",")[0] for row in december] == ["1735516800000"]
    assert [row.split(",")[0] for row in january] == [
        str(1_736_121_600_000_000 + week * 7 * DAY_MS * 1_000) for week in range(4)
    ]


def test_funding_events_are_every_eight_hours_but_for_the_halt(exchange):
    events = [row.split(",") for row in lines(exchange, FUNDING_KEY)[1:]]

    late = [int(event[0]) % (8 * 3_600_000) for event in events]
    # 31 days of 3 events, less the 7 of the halt.
    assert len(events) == 86
    assert 0 < max(late) < 20
    assert {event[1] for event in events} == {"8"}


UNPUBLISHED = [
    "data/spot/daily/klines/AAAUSDT/1s/AAAUSDT-1s-2025-01-05.zip",
    "data/spot/daily/klines/AAAUSDT/1w/AAAUSDT-1w-2025-01-06.zip",
    f"{UM}/daily/klines/AAAUSDT/1w/AAAUSDT-1w-2025-01-07.zip",
    f"{UM}/daily/klines/AAAUSDT/1w/AAAUSDT-1w-2025-02-10.zip",
    f"{UM}/daily/liquidationSnapshot/AAAUSDT/"
    "AAAUSDT-liquidationSnapshot-2025-01-05.zip",
    f"{UM}/daily/bookTicker/AAAUSDT/AAAUSDT-bookTicker-2025-01-05.zip",
    f"{UM}/daily/klines/AAAUSDT/1m/AAAUSDT-1m-2025-01.zip",
    f"{UM}/daily/klines/AAAUSDT/1m/AAAUSDT-1m-2024-12-29.zip",
    f"{UM}/daily/klines/AAAUSDT/1m/AAAUSDT-1m-2025-02-10.zip",
    f"{UM}/daily/klines/币安人生USDT/1m/币安人生USDT-1m-2025-01-04.zip",
    f"{UM}/monthly/klines/AAAUSDT/1m/AAAUSDT-1m-2025-1.zip",
    f"{UM}/daily/klines/AAAUSDT/1m/",
    "",
]


def test_what_is_not_published_cannot_be_read(exchange):
    assert not {*UNPUBLISHED}.intersection(exchange.store.keys("data/"))
    assert exchange.store.describe(UNPUBLISHED) == []
    assert [key for key in UNPUBLISHED if exchange.store.read(key)] == []


def test_a_kept_cache_is_used_again(universe, tmp_path):
    now = dt.datetime(2025, 2, 10, tzinfo=dt.UTC)
    with Exchange(universe, now=now, cache_dir=tmp_path) as first:
        before = content(first, DAY_KEY)
    (kept,) = (path for path in tmp_path.rglob("*") if path.is_file())
    changed = kept.read_bytes()[:-1] + b"?"
    kept.write_bytes(changed)

    with Exchange(universe, now=now, cache_dir=tmp_path) as second:
        assert content(second, DAY_KEY) == before[:-1] + b"?"


def test_another_seed_gives_other_files_in_the_same_cache(exchange, universe, tmp_path):
    other = universe.model_validate({"seed": 8, "symbols": universe.symbols})

    ours = described(exchange, DAY_KEY)
    with Exchange(other, now=exchange.now, cache_dir=tmp_path / "cache") as theirs:
        assert described(theirs, DAY_KEY).etag != ours.etag


def test_a_withheld_zip_goes_with_its_checksum_and_comes_back(exchange):
    before = described(exchange, DAY_KEY)

    exchange.withhold(DAY_KEY)

    assert exchange.store.read(DAY_KEY) is None
    assert exchange.store.read(f"{DAY_KEY}.CHECKSUM") is None
    assert list(exchange.store.keys(DAY_KEY)) == []
    exchange.release(DAY_KEY)
    assert described(exchange, DAY_KEY) == before
    with pytest.raises(SelectionError, match=r"2025-01-05.*withhold it first"):
        exchange.release(DAY_KEY)


def test_a_checksum_can_be_withheld_alone(exchange):
    exchange.withhold(f"{DAY_KEY}.CHECKSUM")

    assert list(exchange.store.keys(DAY_KEY)) == [DAY_KEY]


@pytest.mark.parametrize("key", [DAY_KEY, FUNDING_KEY])
def test_a_republished_file_has_some_other_rows(exchange, key):
    before, old_rows = described(exchange, key), lines(exchange, key)
    old_checksum = content(exchange, f"{key}.CHECKSUM")

    exchange.republish(key)

    after, new_rows = described(exchange, key), lines(exchange, key)
    assert after.etag != before.etag
    assert after.last_modified == exchange.now
    assert content(exchange, f"{key}.CHECKSUM") != old_checksum
    differing = [old != new for old, new in zip(old_rows, new_rows, strict=True)]
    assert sum(differing) == -(-(len(old_rows) - 1) // 60)

    exchange.republish(key)
    again = described(exchange, key)
    assert again.etag not in (before.etag, after.etag)
    assert again.last_modified > after.last_modified


def test_only_a_published_zip_can_be_republished(exchange):
    for key in (f"{DAY_KEY}.CHECKSUM", f"{UM}/x.zip"):
        with pytest.raises(SelectionError, match="expected a published zip"):
            exchange.republish(key)


def test_second_bars_are_published_for_the_symbol_that_has_them(exchange):
    key = "data/spot/daily/klines/SECUSDT/1s/SECUSDT-1s-2025-01-05.zip"

    assert len(lines(exchange, key)) == 600
    assert exchange.universe.symbol(TradeType.SPOT, "SECUSDT").seconds


GOLDEN = {
    "data/spot/monthly/klines/BTCUSDT/1h/BTCUSDT-1h-2024-12.zip": (
        "ae810c8b2734419c9bde2952188b3284",
        "e230f9fb46a7df60",
    ),
    f"{UM}/monthly/fundingRate/ETHUSDT/ETHUSDT-fundingRate-2023-01.zip": (
        "dd3b09e59abd9cb38cf849d9ef802081",
        "7dbfe4f68b834261",
    ),
    "data/futures/cm/monthly/klines/BTCUSD_PERP/1d/BTCUSD_PERP-1d-2025-01.zip": (
        "6bbdb33fcbfbbc51436fe32c40b6b51d",
        "c37159c5386c8765",
    ),
}
"""Of some files of the shipped universe: the name in the cache, and the SHA-256.

They were recorded by other processes, with caches of their own.
"""


@pytest.mark.parametrize("key", GOLDEN)
def test_files_change_only_with_the_revision_of_their_type(tmp_path, key):
    name, digest = GOLDEN[key]

    with Exchange(cache_dir=tmp_path) as shipped:
        found = hashlib.sha256(content(shipped, key)).hexdigest()

    told = "raise the REVISION of what makes them, and record both anew"
    assert found[:16] == digest, f"there are other bytes: {told}"
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [name], (
        f"files that are kept would not be found: {told}"
    )
