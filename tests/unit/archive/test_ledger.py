import datetime as dt
import multiprocessing
import time

import polars as pl
import pytest

from bhds.archive import ledger
from bhds.errors import FetchError

MONDAY = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)
TUESDAY = dt.datetime(2026, 1, 6, tzinfo=dt.UTC)


def rows(*keys, first_seen=MONDAY, etag="e1"):
    return pl.DataFrame(
        [(key, etag, 9, MONDAY, "m", "s", first_seen) for key in keys],
        schema=ledger.SCHEMA,
        orient="row",
    )


def parts(data_dir):
    return sorted((data_dir / "aws_data" / "ledger.d").glob("*.parquet"))


def test_a_ledger_that_was_never_written_is_empty(tmp_path):
    read = ledger.read(tmp_path)

    assert read.is_empty()
    assert read.schema == pl.Schema(ledger.SCHEMA)


def test_what_was_appended_is_read(tmp_path):
    ledger.append(tmp_path, rows=rows("a", "b"))
    ledger.append(tmp_path, rows=rows("a", first_seen=TUESDAY))

    read = ledger.read(tmp_path)

    assert read.schema == pl.Schema(ledger.SCHEMA)
    assert read["key"].to_list() == ["a", "b", "a"]
    assert read["first_seen"].to_list() == [MONDAY, MONDAY, TUESDAY]


def test_no_rows_make_no_part(tmp_path):
    ledger.append(tmp_path, rows=rows())

    assert list(tmp_path.iterdir()) == []


def test_columns_may_come_in_any_order(tmp_path):
    ledger.append(tmp_path, rows=rows("a").select(reversed(list(ledger.SCHEMA))))

    assert ledger.read(tmp_path).equals(rows("a"))


def test_single_columns_are_read_from_parts_and_merged_file(tmp_path):
    ledger.append(tmp_path, rows=rows("a"))
    ledger.compact(tmp_path)
    ledger.append(tmp_path, rows=rows("b"))

    read = ledger.read(tmp_path, columns=["etag", "key"])

    assert read.columns == ["etag", "key"]
    assert read["key"].to_list() == ["a", "b"]


def test_newest_keeps_the_latest_row_of_each_key():
    history = pl.concat(
        [
            rows("a", first_seen=TUESDAY, etag="a2"),
            rows("b", "a", first_seen=MONDAY, etag="old"),
        ]
    )

    newest = ledger.newest(history)

    assert newest.select("key", "etag").rows() == [("a", "a2"), ("b", "old")]


def test_compaction_changes_no_row_and_leaves_one_file(tmp_path):
    for key in "cab":
        ledger.append(tmp_path, rows=rows(key))

    merged = [ledger.compact(tmp_path), ledger.compact(tmp_path)]

    assert merged == [3, 0]
    assert parts(tmp_path) == []
    assert ledger.read(tmp_path).equals(rows("a", "b", "c"))


def test_later_compactions_add_to_the_first(tmp_path):
    for key in "abc":
        ledger.append(tmp_path, rows=rows(key))
        ledger.compact(tmp_path)

    assert ledger.read(tmp_path)["key"].to_list() == ["a", "b", "c"]


def test_a_part_that_outlived_its_merger_is_not_counted_twice(tmp_path):
    ledger.append(tmp_path, rows=rows("a"))
    (part,) = parts(tmp_path)
    content = part.read_bytes()
    ledger.compact(tmp_path)
    part.write_bytes(content)  # as if killed before it was removed
    ledger.append(tmp_path, rows=rows("b"))

    before = ledger.read(tmp_path)["key"].to_list()
    merged = ledger.compact(tmp_path)

    assert before == ["a", "b"]
    assert merged == 1
    assert parts(tmp_path) == []
    assert ledger.read(tmp_path)["key"].to_list() == ["a", "b"]


def test_a_part_that_comes_during_a_compaction_is_left_alone(tmp_path, monkeypatch):
    ledger.append(tmp_path, rows=rows("a"))
    flush = ledger._flush_to_disk

    def append_meanwhile(path):
        flush(path)
        ledger.append(tmp_path, rows=rows("b"))

    monkeypatch.setattr(ledger, "_flush_to_disk", append_meanwhile)
    ledger.compact(tmp_path)

    assert len(parts(tmp_path)) == 1
    assert ledger.read(tmp_path)["key"].to_list() == ["a", "b"]


def test_a_part_that_is_merged_during_a_read_is_read_once(tmp_path, monkeypatch):
    ledger.append(tmp_path, rows=rows("a"))
    read_parts = ledger._read_parts

    def compact_before(found, *, columns):
        monkeypatch.setattr(ledger, "_read_parts", read_parts)
        ledger.compact(tmp_path)
        return read_parts(found, columns=columns)

    monkeypatch.setattr(ledger, "_read_parts", compact_before)

    assert ledger.read(tmp_path)["key"].to_list() == ["a"]


def append_many(data_dir, first):
    for number in range(first, first + 15):
        ledger.append(data_dir, rows=rows(f"{number:03d}"))
        ledger.compact(data_dir)


def test_processes_that_append_and_compact_at_once_lose_nothing(tmp_path):
    context = multiprocessing.get_context("spawn")
    processes = [
        context.Process(target=append_many, args=(tmp_path, first))
        for first in (0, 100)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)

    assert [process.exitcode for process in processes] == [0, 0]
    expected = [
        f"{number:03d}" for first in (0, 100) for number in range(first, first + 15)
    ]
    assert sorted(ledger.read(tmp_path)["key"]) == expected


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"PAR1 and no more", id="cut off"),
        pytest.param(None, id="other columns"),
    ],
)
@pytest.mark.parametrize("name", ["ledger.d/1-a.parquet", "ledger.parquet"])
def test_a_broken_file_is_named_with_a_remedy(tmp_path, name, content):
    ledger.append(tmp_path, rows=rows("a"))
    path = tmp_path / "aws_data" / name
    if content is None:
        pl.DataFrame({"other": [1]}).write_parquet(path)
    else:
        path.write_bytes(content)

    with pytest.raises(FetchError, match=rf"{name}: cannot be read .*Move it away"):
        ledger.read(tmp_path)
    with pytest.raises(FetchError, match=name):
        ledger.compact(tmp_path)
    assert len(parts(tmp_path)) == (2 if "ledger.d" in name else 1)


def test_a_long_ledger_is_read_quickly(tmp_path):
    count = 200_000
    keys = [f"data/spot/daily/klines/S{i // 500}/1m/S-1m-{i}.zip" for i in range(count)]
    ledger.append(tmp_path, rows=rows(*keys))
    ledger.compact(tmp_path)

    began = time.perf_counter()
    newest = ledger.newest(ledger.read(tmp_path, columns=["key", "size", "first_seen"]))
    elapsed_s = time.perf_counter() - began

    assert newest.height == count
    assert elapsed_s < 5  # 0.1 s where it was measured; planning reads it each time
