"""Tables of parts: what is added is neither lost nor counted twice."""

import multiprocessing

import polars as pl
import pytest

from bhds.core.errors import FetchError
from bhds.io import append_table
from bhds.io.append_table import AppendTable

TABLE = AppendTable(
    file="tables/notes.parquet",
    schema=pl.Schema({"key": pl.String(), "number": pl.Int64(), "text": pl.String()}),
    sort=("key", "number"),
    error=FetchError,
    if_lost="the notes are then lost",
)
EARLIER = AppendTable(
    file=TABLE.file,
    schema=pl.Schema({"key": pl.String(), "number": pl.Int64()}),
    sort=TABLE.sort,
    error=TABLE.error,
    if_lost=TABLE.if_lost,
)


def rows(*keys, number=1, text="t"):
    return pl.DataFrame(
        [(key, number, text) for key in keys], schema=TABLE.schema, orient="row"
    )


def parts(data_dir):
    return sorted((data_dir / TABLE.folder).glob("*.parquet"))


def keys(data_dir):
    return TABLE.read(data_dir)["key"].to_list()


def test_a_table_that_was_never_written_is_empty(tmp_path):
    read = TABLE.read(tmp_path)

    assert read.is_empty()
    assert read.schema == TABLE.schema


def test_what_was_appended_is_read(tmp_path):
    TABLE.append(tmp_path, rows=rows("b", "a"))
    TABLE.append(tmp_path, rows=rows("a", number=2))

    read = TABLE.read(tmp_path)

    assert read.schema == TABLE.schema
    assert read.rows() == [("b", 1, "t"), ("a", 1, "t"), ("a", 2, "t")]


def test_no_rows_make_no_part(tmp_path):
    TABLE.append(tmp_path, rows=rows())

    assert list(tmp_path.iterdir()) == []


def test_columns_may_come_in_any_order(tmp_path):
    TABLE.append(tmp_path, rows=rows("a").select("text", "number", "key"))

    assert TABLE.read(tmp_path).equals(rows("a"))


def test_a_column_that_is_not_appended_is_null(tmp_path):
    TABLE.append(tmp_path, rows=rows("a").drop("number"))

    assert TABLE.read(tmp_path).rows() == [("a", None, "t")]


def test_rows_without_the_key_are_not_appended(tmp_path):
    with pytest.raises(pl.exceptions.ColumnNotFoundError):
        TABLE.append(tmp_path, rows=rows("a").drop("key"))

    assert parts(tmp_path) == []


def test_single_columns_are_read_from_parts_and_merged_file(tmp_path):
    TABLE.append(tmp_path, rows=rows("a"))
    TABLE.compact(tmp_path)
    TABLE.append(tmp_path, rows=rows("b"))

    read = TABLE.read(tmp_path, columns=["text", "key"])

    assert read.columns == ["text", "key"]
    assert read["key"].to_list() == ["a", "b"]


def test_compaction_sorts_and_changes_no_row_and_leaves_one_file(tmp_path):
    for key in "cab":
        TABLE.append(tmp_path, rows=rows(key))

    merged = [TABLE.compact(tmp_path), TABLE.compact(tmp_path)]

    assert merged == [3, 0]
    assert parts(tmp_path) == []
    assert TABLE.read(tmp_path).equals(rows("a", "b", "c"))


def test_later_compactions_add_to_the_first(tmp_path):
    for key in "abc":
        TABLE.append(tmp_path, rows=rows(key))
        TABLE.compact(tmp_path)

    assert keys(tmp_path) == ["a", "b", "c"]


# --- a schema that has grown ----------------------------------------------------------


@pytest.mark.parametrize("is_merged", [False, True], ids=["part", "merged file"])
@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        pytest.param(None, [("a", 1, None), ("b", 1, "t")], id="all columns"),
        pytest.param(["text"], [(None,), ("t",)], id="the new column alone"),
    ],
)
def test_a_column_gained_since_is_null_in_files_written_before(
    tmp_path, is_merged, columns, expected
):
    EARLIER.append(tmp_path, rows=rows("a").drop("text"))
    if is_merged:
        EARLIER.compact(tmp_path)
    TABLE.append(tmp_path, rows=rows("b"))

    assert TABLE.read(tmp_path, columns=columns).rows() == expected


def test_files_written_before_are_merged_with_the_new_column(tmp_path):
    EARLIER.append(tmp_path, rows=rows("a").drop("text"))
    EARLIER.compact(tmp_path)
    TABLE.append(tmp_path, rows=rows("b"))

    TABLE.compact(tmp_path)

    assert pl.read_parquet(tmp_path / TABLE.file).rows() == [
        ("a", 1, None),
        ("b", 1, "t"),
    ]


# --- several processes, killed at any moment ------------------------------------------


def test_a_part_that_outlived_its_merger_is_not_counted_twice(tmp_path):
    TABLE.append(tmp_path, rows=rows("a"))
    (part,) = parts(tmp_path)
    content = part.read_bytes()
    TABLE.compact(tmp_path)
    part.write_bytes(content)  # as if killed before it was removed
    TABLE.append(tmp_path, rows=rows("b"))

    before = keys(tmp_path)
    merged = TABLE.compact(tmp_path)

    assert before == ["a", "b"]
    assert merged == 1
    assert parts(tmp_path) == []
    assert keys(tmp_path) == ["a", "b"]


def test_a_part_that_comes_during_a_compaction_is_left_alone(tmp_path, monkeypatch):
    TABLE.append(tmp_path, rows=rows("a"))
    flush = append_table._flush_to_disk

    def append_meanwhile(path):
        flush(path)
        TABLE.append(tmp_path, rows=rows("b"))

    monkeypatch.setattr(append_table, "_flush_to_disk", append_meanwhile)
    TABLE.compact(tmp_path)

    assert len(parts(tmp_path)) == 1
    assert keys(tmp_path) == ["a", "b"]


def test_a_part_that_is_merged_during_a_read_is_read_once(tmp_path, monkeypatch):
    TABLE.append(tmp_path, rows=rows("a"))
    read_parts = AppendTable._read_parts

    def compact_before(table, found, *, columns):
        monkeypatch.setattr(AppendTable, "_read_parts", read_parts)
        TABLE.compact(tmp_path)
        return read_parts(table, found, columns=columns)

    monkeypatch.setattr(AppendTable, "_read_parts", compact_before)

    assert keys(tmp_path) == ["a"]


def test_a_table_that_never_comes_to_rest_is_an_error(tmp_path, monkeypatch):
    def gone(*_args, **_kwargs):
        raise FileNotFoundError

    monkeypatch.setattr(AppendTable, "_read_parts", gone)

    with pytest.raises(FetchError, match=r"notes\.d: its files changed during each"):
        TABLE.read(tmp_path)


def append_many(data_dir, first):
    for number in range(first, first + 15):
        TABLE.append(data_dir, rows=rows(f"{number:03d}"))
        TABLE.compact(data_dir)


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
    assert sorted(keys(tmp_path)) == expected


# --- files that are no part of the table ----------------------------------------------


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(b"", "parquet: ", id="empty"),
        pytest.param(b"PAR1 and no more", "parquet: ", id="cut off"),
        pytest.param({"text": ["t"]}, "it has no column key", id="no key"),
        pytest.param(
            {"key": ["a"], "number": ["1"]},
            "its column number is String, not Int64",
            id="other dtype",
        ),
    ],
)
@pytest.mark.parametrize("name", ["notes.d/1-a.parquet", "notes.parquet"])
def test_a_broken_file_is_named_with_a_remedy(tmp_path, name, content, reason):
    TABLE.append(tmp_path, rows=rows("a"))
    path = tmp_path / "tables" / name
    if isinstance(content, dict):
        pl.DataFrame(content).write_parquet(path)
    else:
        path.write_bytes(content)
    kept = path.read_bytes()

    message = rf"{name}: cannot be read \({reason}.*columns key, number, text\. Move it"
    with pytest.raises(FetchError, match=message):
        TABLE.read(tmp_path, columns=["text"])
    with pytest.raises(FetchError, match=f"{name}.* the notes are then lost"):
        TABLE.compact(tmp_path)
    assert path.read_bytes() == kept
    assert len(parts(tmp_path)) == (2 if "notes.d" in name else 1)
