"""Tables on disk: what is in them, what of them can be trusted, what is kept."""

import datetime as dt
import json

import polars as pl
import pytest

from bhds.archive.listing.directory import Directory
from bhds.archive.listing.tables import Listed, ListingTable, Symbols, TableStore
from bhds.core.markets import Frequency, TradeType
from bhds.io.storage import read_parquet_metadata, write_parquet
from bhds.schemas.archive_tables import LISTING_SCHEMA

UM_KLINES = Directory(TradeType.UM_FUTURES, Frequency.MONTHLY, "klines", "1m")
UM_HOURS = Directory(TradeType.UM_FUTURES, Frequency.MONTHLY, "klines", "1h")

NOON = dt.datetime(2026, 10, 5, 12, tzinfo=dt.UTC)
WHOLE = NOON - dt.timedelta(days=3)
FRAME = pl.DataFrame(
    [("a", 1, "e", NOON), ("b", 2, None, None)], schema=LISTING_SCHEMA, orient="row"
)
TABLE = ListingTable(FRAME, {"币": Listed(WHOLE, NOON), "A": Listed(NOON, NOON)})
SYMBOLS = Symbols(["A", "币"], NOON)


def assert_same(table, expected):
    assert table.frame.equals(expected.frame)
    assert table.frame.schema == expected.frame.schema
    assert table.listed == expected.listed


def test_a_table_comes_back_as_it_was_put(tmp_path):
    TableStore(tmp_path).put_table(UM_KLINES, TABLE)

    assert_same(TableStore(tmp_path).table(UM_KLINES), TABLE)
    metadata = read_parquet_metadata(tmp_path / UM_KLINES.listing_path)
    noon, whole = NOON.isoformat(), WHOLE.isoformat()
    assert json.loads(metadata["listed"]) == {"A": noon, "币": noon}
    assert json.loads(metadata["listed_whole"]) == {"A": noon, "币": whole}


def test_symbols_come_back_for_all_intervals(tmp_path):
    TableStore(tmp_path).put_symbols(UM_KLINES, SYMBOLS)

    assert TableStore(tmp_path).symbols(UM_HOURS) == SYMBOLS
    metadata = read_parquet_metadata(tmp_path / UM_KLINES.symbols_path)
    assert metadata["listed_at"] == NOON.isoformat()


def test_a_table_with_one_time_a_symbol_was_listed_whole(tmp_path):
    listed = json.dumps({"A": NOON.isoformat()})
    path = tmp_path / UM_KLINES.listing_path
    write_parquet(FRAME, path, metadata={"listed": listed})

    table = TableStore(tmp_path).table(UM_KLINES)

    assert_same(table, ListingTable(FRAME, {"A": Listed(NOON, NOON)}))


def test_nothing_on_disk_is_no_reason_for_a_warning(tmp_path, caplog):
    assert TableStore(tmp_path).table(UM_KLINES) is None
    assert TableStore(tmp_path).symbols(UM_KLINES) is None
    assert caplog.text == ""


def test_what_is_not_kept_is_there_for_this_store_only(tmp_path):
    store = TableStore(tmp_path, keep=False)
    assert store.table(UM_KLINES) is store.symbols(UM_KLINES) is None

    store.put_table(UM_KLINES, TABLE)
    store.put_symbols(UM_KLINES, SYMBOLS)

    assert_same(store.table(UM_KLINES), TABLE)
    assert store.symbols(UM_HOURS) == SYMBOLS
    assert store.table(UM_HOURS) is None
    assert list(tmp_path.iterdir()) == []


def test_what_is_on_disk_stays_where_nothing_is_kept(tmp_path):
    TableStore(tmp_path).put_table(UM_KLINES, TABLE)
    store = TableStore(tmp_path, keep=False)
    assert_same(store.table(UM_KLINES), TABLE)

    store.put_table(UM_KLINES, ListingTable.empty())

    assert_same(store.table(UM_KLINES), ListingTable.empty())
    assert_same(TableStore(tmp_path).table(UM_KLINES), TABLE)


def _cut_in_half(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _flip_every_byte(path):
    path.write_bytes(bytes(byte ^ 0xFF for byte in path.read_bytes()))


def _change_columns(path):
    write_parquet(pl.DataFrame({"a": [1]}), path, metadata={"listed": "{}"})


def _reverse(path):
    write_parquet(FRAME.reverse(), path, metadata={"listed": "{}"})


def _change_metadata(**metadata):
    return lambda path: write_parquet(FRAME, path, metadata=metadata)


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda path: path.write_bytes(b""), id="empty"),
        pytest.param(_cut_in_half, id="cut off"),
        pytest.param(_flip_every_byte, id="garbage"),
        pytest.param(_change_columns, id="other columns"),
        pytest.param(_reverse, id="not sorted"),
        pytest.param(_change_metadata(), id="no times"),
        pytest.param(_change_metadata(listed="{"), id="no JSON"),
        pytest.param(_change_metadata(listed="[]"), id="no object"),
        pytest.param(_change_metadata(listed='{"A": "noon"}'), id="no time"),
        pytest.param(_change_metadata(listed='{"A": 1}'), id="a number"),
        pytest.param(
            _change_metadata(
                listed=json.dumps({"A": NOON.isoformat()}), listed_whole="{}"
            ),
            id="never whole",
        ),
    ],
)
def test_a_damaged_table_counts_as_absent_with_a_warning(tmp_path, caplog, damage):
    TableStore(tmp_path).put_table(UM_KLINES, TABLE)
    damage(tmp_path / UM_KLINES.listing_path)

    assert TableStore(tmp_path).table(UM_KLINES) is None
    assert "listing-1m.parquet: unreadable listing counts as absent" in caplog.text


def test_damaged_symbols_count_as_absent_with_a_warning(tmp_path, caplog):
    TableStore(tmp_path).put_symbols(UM_KLINES, SYMBOLS)
    _cut_in_half(tmp_path / UM_KLINES.symbols_path)

    assert TableStore(tmp_path).symbols(UM_KLINES) is None
    assert "symbols.parquet: unreadable listing counts as absent" in caplog.text
