"""What is listed when, whole or by its tail, and what becomes of the table."""

import asyncio
import datetime as dt
from itertools import chain

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhds.archive.listing import refresh
from bhds.archive.listing.bucket import BucketClient
from bhds.archive.listing.directory import Directory
from bhds.archive.listing.pages import Page
from bhds.archive.listing.refresh import TAIL_ZIPS, Schedule
from bhds.archive.listing.tables import TableStore
from bhds.core.errors import ListingError
from bhds.core.markets import Frequency, TradeType
from bhds.schemas.archive_tables import LISTING_SCHEMA

UM_KLINES = Directory(TradeType.UM_FUTURES, Frequency.MONTHLY, "klines", "1m")
UM_HOURS = Directory(TradeType.UM_FUTURES, Frequency.MONTHLY, "klines", "1h")
UM_DAYS = Directory(TradeType.UM_FUTURES, Frequency.DAILY, "klines", "1m")
FUNDING = Directory(TradeType.UM_FUTURES, Frequency.MONTHLY, "fundingRate")

NOON = dt.datetime(2026, 10, 5, 12, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
WEEK = dt.timedelta(days=7)
MODIFIED = dt.datetime(2026, 10, 1, 8, 30, tzinfo=dt.UTC)


def zip_key(directory, symbol, period="2024-02"):
    tag = directory.interval or directory.data_type
    return f"{directory.symbol_prefix(symbol)}{symbol}-{tag}-{period}.zip"


def days(symbol, count, *, first="2024-01-01"):
    """Name the zips of `count` days and their CHECKSUMs, in order."""
    begin = dt.date.fromisoformat(first)
    zips = [
        zip_key(UM_DAYS, symbol, str(begin + dt.timedelta(days=day)))
        for day in range(count)
    ]
    return [name for each in zips for name in (each, f"{each}.CHECKSUM")]


class MemoryBucket(BucketClient):
    """A bucket of keys (with their ETags) in memory, four entries a page."""

    def __init__(self, *keys, etag="e", broken=()):
        super().__init__("http://bucket.invalid")
        self.etags = dict.fromkeys(keys, etag)
        self.broken = broken
        self.asked = []

    async def pages(self, prefix, *, delimiter="", marker=""):
        self.asked.append((prefix, marker))
        found = sorted(k for k in self.etags if k.startswith(prefix) and k > marker)
        if delimiter:
            names = {key[len(prefix) :].split(delimiter)[0] for key in found}
            folders = sorted(f"{prefix}{name}{delimiter}" for name in names)
            yield self._page([], folders)
            return
        for first in range(0, max(len(found), 1), 4):
            yield self._page(found[first:][:4], [])
            await asyncio.sleep(0)
            if prefix in self.broken:
                msg = f"{prefix}: broken"
                raise ListingError(msg)

    def _page(self, keys, folders):
        rows = [(key, 7, self.etags[key], MODIFIED) for key in keys]
        objects = pl.DataFrame(rows, schema=LISTING_SCHEMA, orient="row")
        return Page(objects, folders, None, truncated=False)


def run(
    bucket, symbols, *, store, directory=UM_KLINES, now=NOON, full_every=dt.timedelta()
):
    schedule = Schedule(now, max_age=HOUR, full_every=full_every)
    return asyncio.run(
        refresh.refresh(bucket, directory, symbols, store=store, schedule=schedule)
    )


def run_symbols(bucket, *, store, directory=UM_KLINES, now=NOON):
    schedule = Schedule(now, max_age=HOUR)
    return asyncio.run(
        refresh.refresh_symbols(bucket, directory, store=store, schedule=schedule)
    )


def keys_of(table):
    return table.frame["key"].to_list()


@pytest.fixture
def store(tmp_path):
    return TableStore(tmp_path)


# --- symbols -------------------------------------------------------------------------


def test_symbols_are_the_folders_of_the_directory(store, tmp_path):
    bucket = MemoryBucket(*(zip_key(UM_KLINES, name) for name in ("币", "B", "A_B")))

    assert run_symbols(bucket, store=store) == ["A_B", "B", "币"]
    assert TableStore(tmp_path).symbols(UM_HOURS) == (["A_B", "B", "币"], NOON)


def test_a_folder_that_cannot_be_a_symbol_is_left_out_with_a_warning(store, caplog):
    bucket = MemoryBucket(*(zip_key(UM_KLINES, name) for name in ("", "..", "A")))

    assert run_symbols(bucket, store=store) == ["A"]
    assert (
        "2 folder(s) whose names cannot be symbols: symbol '': expected" in caplog.text
    )


@pytest.mark.parametrize(
    ("age", "requests"),
    [
        pytest.param(HOUR, 1, id="of max age"),
        pytest.param(HOUR + dt.timedelta(seconds=1), 2, id="older"),
        pytest.param(-HOUR, 2, id="from the future"),
    ],
)
def test_symbols_are_listed_again_when_they_are_stale(store, age, requests):
    bucket = MemoryBucket(zip_key(UM_KLINES, "A"))

    run_symbols(bucket, store=store, now=NOON)
    run_symbols(bucket, store=store, now=NOON + age)

    assert len(bucket.asked) == requests


# --- whole listings ------------------------------------------------------------------


def test_refresh_puts_a_sorted_table_with_the_times_of_its_symbols(store, tmp_path):
    months = [zip_key(UM_KLINES, "A", f"2024-0{month}") for month in range(1, 6)]
    keys = [*months, zip_key(UM_KLINES, "A_B"), zip_key(UM_KLINES, "币")]
    bucket = MemoryBucket(*keys)

    table = run(bucket, ["币", "A_B", "A", "EMPTY"], store=store)

    assert keys_of(table) == sorted(keys, key=str.encode)
    assert table.frame.schema == LISTING_SCHEMA
    assert table.frame.row(0) == (months[0], 7, "e", MODIFIED)
    assert table.listed == dict.fromkeys(("A", "A_B", "EMPTY", "币"), (NOON, NOON))
    kept = TableStore(tmp_path).table(UM_KLINES)
    assert kept.frame.equals(table.frame)
    assert kept.listed == table.listed


@pytest.mark.parametrize("directory", [UM_KLINES, FUNDING], ids=["1m", "funding"])
def test_refresh_lists_only_what_is_due_and_keeps_the_rest(store, directory):
    """Symbols beside each other, of which one name begins another."""
    a, a0, ab, c = (zip_key(directory, name) for name in ("A", "A0", "AB", "C"))
    old = MemoryBucket(a, a0, ab, etag="old")
    run(old, ["A", "A0", "AB"], store=store, directory=directory)
    later = NOON + 2 * HOUR
    new = MemoryBucket(a, c, etag="new")

    table = run(new, ["A"], store=store, directory=directory, now=later)
    again = run(
        new, ["A", "A", "C"], store=store, directory=directory, now=later + HOUR
    )

    assert new.asked == [(directory.symbol_prefix(name), "") for name in ("A", "C")]
    assert keys_of(table) == [a, a0, ab]
    assert table.frame["etag"].to_list() == ["new", "old", "old"]
    assert keys_of(again) == [a, a0, ab, c]
    assert again.frame["etag"].to_list() == ["new", "old", "old", "new"]


def test_a_symbol_without_files_is_not_listed_again(store):
    bucket = MemoryBucket()

    run(bucket, ["A"], store=store)
    run(bucket, ["A"], store=store)

    assert bucket.asked == [(UM_KLINES.symbol_prefix("A"), "")]


@pytest.mark.parametrize("full_every", [dt.timedelta(), WEEK], ids=["whole", "tails"])
@pytest.mark.parametrize("held", [True, False])
def test_refresh_changes_nothing_unless_every_symbol_was_listed_to_its_end(
    store, tmp_path, held, full_every
):
    keys = [*days("A", 40), *days("B", 40)]
    path = tmp_path / UM_DAYS.listing_path
    if held:
        run(MemoryBucket(*keys), ["A", "B"], store=store, directory=UM_DAYS)
    before = path.read_bytes() if held else None
    broken = MemoryBucket(*keys, broken=[UM_DAYS.symbol_prefix("B")])

    with pytest.raises(ListingError, match="B/1m/: broken"):
        run(
            broken,
            ["A", "B"],
            store=store,
            directory=UM_DAYS,
            now=NOON + 2 * HOUR,
            full_every=full_every,
        )

    assert (path.read_bytes() if held else None) == before
    assert path.exists() == held
    assert list(tmp_path.rglob("*.partial")) == []


def test_a_damaged_table_is_listed_anew(store, tmp_path):
    bucket = MemoryBucket(zip_key(UM_KLINES, "A"))
    table = run(bucket, ["A"], store=store)
    (tmp_path / UM_KLINES.listing_path).write_bytes(b"")

    assert run(bucket, ["A"], store=store).frame.equals(table.frame)


# --- tails ---------------------------------------------------------------------------


def tails(bucket, symbols=("A",), *, store, now=NOON + 2 * HOUR, directory=UM_DAYS):
    return run(
        bucket, symbols, store=store, directory=directory, now=now, full_every=WEEK
    )


def test_a_tail_begins_after_the_checksum_of_the_last_zip_that_it_leaves_out(store):
    keys = days("A", TAIL_ZIPS + 10)
    bucket = MemoryBucket(*keys)
    tails(bucket, store=store, now=NOON)

    table = tails(bucket, store=store)

    prefix = UM_DAYS.symbol_prefix("A")
    assert bucket.asked == [(prefix, ""), (prefix, keys[2 * 10 - 1])]
    assert keys_of(table) == keys
    assert table.listed == {"A": (NOON, NOON + 2 * HOUR)}


def test_a_tail_shows_what_changed_among_the_latest_files(store):
    keys = days("A", TAIL_ZIPS + 10)
    first_zip, late_checksum, replaced, *gone = keys[20], keys[23], keys[30], keys[-1]
    before = MemoryBucket(*keys)
    del before.etags[late_checksum]
    tails(before, store=store, now=NOON)
    bucket = MemoryBucket(*keys, *days("A", 3, first="2024-02-10"))
    bucket.etags |= {replaced: "new", first_zip: "new"}
    del bucket.etags[gone[0]]

    table = tails(bucket, store=store)

    assert dict(zip(keys_of(table), table.frame["etag"], strict=True)) == bucket.etags
    assert keys_of(table) == sorted(bucket.etags)


def test_what_changed_further_back_waits_for_a_whole_listing(store):
    keys = days("A", TAIL_ZIPS + 10)
    tails(MemoryBucket(*keys), store=store, now=NOON)
    bucket = MemoryBucket(*keys[1:])
    bucket.etags[keys[2]] = "new"

    by_tail = tails(bucket, store=store)
    whole = tails(bucket, store=store, now=NOON + WEEK + HOUR)

    assert keys_of(by_tail) == keys
    assert set(by_tail.frame["etag"]) == {"e"}
    assert keys_of(whole) == keys[1:]
    assert whole.frame["etag"].to_list()[1] == "new"
    assert whole.listed == {"A": (NOON + WEEK + HOUR, NOON + WEEK + HOUR)}


def test_all_latest_files_may_vanish(store):
    keys = days("A", TAIL_ZIPS + 10)
    tails(MemoryBucket(*keys), store=store, now=NOON)

    table = tails(MemoryBucket(*keys[:20]), store=store)
    again = tails(MemoryBucket(), store=store, now=NOON + 4 * HOUR)

    assert keys_of(table) == keys[:20]
    assert keys_of(again) == []
    assert again.listed == {"A": (NOON + 4 * HOUR, NOON + 4 * HOUR)}


@pytest.mark.parametrize("count", [0, 1, TAIL_ZIPS])
def test_a_symbol_that_is_all_tail_is_listed_whole(store, count):
    keys = days("A", count)
    bucket = MemoryBucket(*keys)
    tails(bucket, store=store, now=NOON)

    table = tails(bucket, store=store)

    assert bucket.asked == 2 * [(UM_DAYS.symbol_prefix("A"), "")]
    assert keys_of(table) == keys
    assert table.listed == {"A": (NOON + 2 * HOUR, NOON + 2 * HOUR)}


@pytest.mark.parametrize(
    ("age", "full_every", "is_whole"),
    [
        pytest.param(WEEK, WEEK, False, id="of full_every"),
        pytest.param(WEEK + dt.timedelta(seconds=1), WEEK, True, id="older"),
        pytest.param(-WEEK, WEEK, True, id="from the future"),
        pytest.param(2 * HOUR, dt.timedelta(), True, id="always whole"),
        pytest.param(2 * HOUR, dt.timedelta(seconds=1), True, id="more often than due"),
    ],
)
def test_a_symbol_is_listed_whole_when_that_is_due(store, age, full_every, is_whole):
    bucket = MemoryBucket(*days("A", TAIL_ZIPS + 1))
    run(bucket, ["A"], store=store, directory=UM_DAYS)

    now = NOON + age
    table = run(
        bucket, ["A"], store=store, directory=UM_DAYS, now=now, full_every=full_every
    )

    assert (bucket.asked[-1][1] == "") == is_whole
    assert table.listed == {"A": (now if is_whole else NOON, now)}


def test_each_symbol_is_listed_as_it_is_due(store):
    """Symbols beside each other, of which one name begins another."""
    names = ("A", "A0", "AB", "A_B", "币")
    keys = {name: days(name, TAIL_ZIPS + 5) for name in names}
    bucket = MemoryBucket(*chain.from_iterable(keys.values()))
    tails(bucket, ["A", "AB", "币"], store=store, now=NOON)
    tails(bucket, ["A0", "A_B"], store=store, now=NOON + WEEK)
    bucket.asked.clear()
    now = NOON + WEEK + 2 * HOUR

    table = tails(bucket, ["币", "A_B", "A", "NEW"], store=store, now=now)

    asked = {prefix.split("/")[-3]: marker for prefix, marker in bucket.asked}
    assert asked == {"A": "", "A_B": keys["A_B"][9], "NEW": "", "币": ""}
    assert keys_of(table) == sorted(bucket.etags, key=str.encode)
    assert table.listed == {
        "A": (now, now),
        "A0": (NOON + WEEK, NOON + WEEK),
        "AB": (NOON, NOON),
        "A_B": (NOON + WEEK, now),
        "NEW": (now, now),
        "币": (now, now),
    }


@pytest.mark.parametrize(
    "stray",
    [
        pytest.param("{prefix}part-{number:05d}-c000.zip", id="another name"),
        pytest.param("{prefix}A-1m-2024-{number:05d}.zip", id="no day"),
        pytest.param("{prefix}B-1m-2024-02-{number:02d}.zip", id="another symbol"),
        pytest.param("{prefix}A-1m-9/{number}-2024-01-01.zip", id="a folder"),
    ],
)
def test_names_that_sort_after_all_days_do_not_hide_new_ones(store, stray):
    prefix = UM_DAYS.symbol_prefix("A")
    strays = [
        stray.format(prefix=prefix, number=n) for n in range(10, 11 + 3 * TAIL_ZIPS)
    ]
    keys = days("A", TAIL_ZIPS + 5)
    tails(MemoryBucket(*keys, *strays), store=store, now=NOON)
    bucket = MemoryBucket(*keys, *days("A", 9, first="2024-02-05"), *strays)

    table = tails(bucket, store=store)

    assert bucket.asked == [(prefix, keys[9])]
    assert keys_of(table) == sorted(bucket.etags)


def test_a_directory_without_intervals_has_tails_too(store):
    keys = [
        zip_key(FUNDING, "A", f"{2000 + month // 12}-{month % 12 + 1:02d}")
        for month in range(TAIL_ZIPS + 3)
    ]
    bucket = MemoryBucket(*keys)
    tails(bucket, store=store, directory=FUNDING, now=NOON)

    tails(bucket, store=store, directory=FUNDING)

    assert bucket.asked[1] == (FUNDING.symbol_prefix("A"), f"{keys[2]}.CHECKSUM")


NAMES = {
    symbol: [
        *days(symbol, TAIL_ZIPS + 4),
        f"{UM_DAYS.symbol_prefix(symbol)}{symbol}-1m-2024-01-2.zip",
        f"{UM_DAYS.symbol_prefix(symbol)}{symbol}-1m-2024-2.zip",
        f"{UM_DAYS.symbol_prefix(symbol)}part-00000.zip",
        f"{UM_DAYS.symbol_prefix(symbol)}/",
    ]
    for symbol in ("A", "A_B", "币")
}
SOME_NAMES = st.sets(st.sampled_from([*chain.from_iterable(NAMES.values())]))


@given(
    lost=SOME_NAMES,
    gained=SOME_NAMES,
    replaced=SOME_NAMES,
    symbols=st.sets(st.sampled_from([*NAMES]), min_size=1),
)
def test_a_tail_is_what_a_whole_listing_shows_but_for_changes_before_its_marker(
    tmp_path_factory, lost, gained, replaced, symbols
):
    whole = dict.fromkeys(chain.from_iterable(NAMES.values()), "e")
    before = {key: whole[key] for key in whole if key not in gained}
    after = whole | dict.fromkeys(replaced, "new")
    after = {key: after[key] for key in after if key not in lost}
    store = TableStore(tmp_path_factory.getbasetemp(), keep=False)
    bucket = MemoryBucket()
    bucket.etags = before
    tails(bucket, [*NAMES], store=store, now=NOON)
    bucket.asked.clear()
    bucket.etags = after

    table = tails(bucket, symbols, store=store)

    markers = dict(bucket.asked)

    def is_listed(symbol, key):
        return symbol in symbols and key > markers[UM_DAYS.symbol_prefix(symbol)]

    expected = {
        key: (after if is_listed(symbol, key) else before).get(key)
        for symbol, names in NAMES.items()
        for key in sorted(names)
    }
    found = dict(zip(keys_of(table), table.frame["etag"], strict=True))
    assert found == {key: etag for key, etag in expected.items() if etag}
    assert keys_of(table) == sorted(found, key=str.encode)
