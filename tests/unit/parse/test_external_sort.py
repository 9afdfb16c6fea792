from itertools import pairwise

import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from bhds import __version__
from bhds.core.errors import ParseError
from bhds.core.timegrid import TIME
from bhds.io import storage
from bhds.parse.external_sort import GroupWriter, Sizes, SortedRuns
from bhds.parse.order import ascends
from bhds.schemas.klines import with_symbol

SCHEMA = pl.Schema({"id": pl.Int64(), "value": pl.Float64()})
TWO_KEYS = pl.Schema({"time": TIME, "level": pl.Float64(), "value": pl.Float64()})
TINY = Sizes(group=8, shuffled_group=3, span=10, sample=2, same_key=50)


def frame(*ids, value=0.0):
    return pl.DataFrame({"id": ids, "value": [value] * len(ids)}, schema=SCHEMA)


@pytest.fixture
def written(tmp_path):
    """Return a function that appends pieces of zips, and tells what came of them."""

    def write(*pieces, schema=SCHEMA, key=("id",), sizes=TINY, discard=()):
        path = tmp_path / "runs.parquet"
        with SortedRuns(path, symbol="A", schema=schema, key=key, sizes=sizes) as runs:
            for file, rows in pieces:
                runs.append(rows, file=file)
            for file in discard:
                runs.discard(file)
            runs.finish({})
        return runs, path

    return write


def row_groups(path):
    with pq.ParquetFile(path) as opened:
        return [
            opened.metadata.row_group(number).num_rows
            for number in range(opened.num_row_groups)
        ]


# --- the writer -----------------------------------------------------------------------


def test_small_pieces_share_row_groups_and_large_ones_are_divided(tmp_path):
    path = tmp_path / "groups.parquet"
    rows = frame(*range(100))

    with GroupWriter(path, symbol="A", schema=SCHEMA, group_rows=8) as writer:
        places = [
            writer.append(rows.slice(begin, length))
            for begin, length in [(0, 3), (3, 4), (7, 2), (9, 21), (30, 1)]
        ]
        writer.finish({})

    assert places == [[(0, 0)], [(0, 3)], [(0, 7)], [(1, 0), (2, 0), (3, 0)], [(3, 5)]]
    assert row_groups(path) == [9, 8, 8, 6]
    assert_frame_equal(storage.read_rows(path), rows.head(31))


def test_file_says_how_it_was_made_as_every_other_does(tmp_path):
    path, other = tmp_path / "a.parquet", tmp_path / "b.parquet"
    metadata = {"stage": "parse", "inputs": "ab cd"}

    with GroupWriter(path, symbol="A", schema=SCHEMA, group_rows=8) as writer:
        writer.append(frame(1, 2))
        writer.finish(metadata)

    storage.write_parquet(frame(1, 2), other, metadata=metadata, symbol="A")
    assert_frame_equal(pl.read_parquet(path), pl.read_parquet(other))
    assert storage.read_parquet_metadata(path) == storage.read_parquet_metadata(other)
    assert storage.read_parquet_metadata(path) == metadata | {"version": __version__}


def test_dtypes_come_back_as_they_were(tmp_path):
    path = tmp_path / "types.parquet"
    schema = pl.Schema({"time": TIME, "id": pl.Int64(), "flag": pl.Boolean()})
    rows = pl.DataFrame(
        {"time": [0, 1_704_067_200_123_456], "id": [1, -2], "flag": [True, False]},
    ).cast(dict(schema))

    with GroupWriter(path, symbol="A", schema=schema, group_rows=8) as writer:
        writer.append(rows)
        writer.finish({})

    assert_frame_equal(storage.read_rows(path), rows)
    assert pl.scan_parquet(path).collect_schema() == with_symbol(schema)


def test_row_groups_tell_their_extremes(tmp_path):
    path = tmp_path / "groups.parquet"

    with GroupWriter(path, symbol="A", schema=SCHEMA, group_rows=8) as writer:
        writer.append(frame(*range(16)))
        writer.finish({})

    with pq.ParquetFile(path) as opened:
        group = opened.metadata.row_group(1)
        symbols, ids = (group.column(number).statistics for number in (0, 1))
    assert (ids.min, ids.max) == (8, 15)
    assert (symbols.min, symbols.max) == ("A", "A")


# --- runs in order --------------------------------------------------------------------


def test_rows_in_order_are_the_file_itself(written):
    pieces = [(0, frame(1, 2)), (0, frame(3)), (2, frame()), (2, frame(7, 9))]

    runs, path = written(*pieces)

    assert runs.are_one
    assert_frame_equal(storage.read_rows(path), frame(1, 2, 3, 7, 9))


def test_rows_that_are_out_of_order_within_a_piece_are_sorted_at_once(written):
    runs, path = written((0, frame(3, 1, 2)), (0, frame(5, 4)))

    assert runs.are_one
    assert_frame_equal(storage.read_rows(path), frame(1, 2, 3, 4, 5))


def test_discarded_rows_do_not_come_back(written):
    runs, _ = written((0, frame(1, 2)), (1, frame(3)), (0, frame(4)), discard=[0])

    assert not runs.are_one
    assert pl.concat(runs.ranges())["id"].to_list() == [3]


def test_nothing_changes_when_there_is_nothing_to_discard(written):
    runs, _ = written((0, frame(1, 2)), discard=[1])

    assert runs.are_one


def test_all_may_be_discarded(written):
    runs, _ = written((0, frame(1, 2)), discard=[0])

    assert not runs.are_one
    assert list(runs.ranges()) == []


def test_column_that_does_not_tell_rows_apart_is_refused(written):
    with pytest.raises(ParseError, match="id 7 stands in more than 50 of 61 lines"):
        written((0, frame(*[7] * 51, *range(10))))


def test_a_key_may_stand_in_as_many_rows_as_agreed(written):
    runs, _ = written((0, frame(*[7] * 50)))

    assert pl.concat(runs.ranges()).height == 50


# --- properties -----------------------------------------------------------------------

IDS = st.lists(st.integers(0, 20), max_size=12)


def reference(pieces, key):
    """Sort all rows at once."""
    parts = [
        rows.with_columns(file=pl.lit(file, pl.UInt32))
        for file, rows in enumerate(pieces)
    ]
    return pl.concat(parts).sort(key, maintain_order=True)


@given(
    pieces=st.lists(st.tuples(IDS, st.booleans()), min_size=1, max_size=6),
    sizes=st.builds(
        Sizes,
        group=st.integers(1, 20),
        shuffled_group=st.integers(1, 10),
        span=st.integers(4, 20),
        sample=st.integers(1, 5),
        same_key=st.just(50),
    ),
)
def test_rows_come_back_as_if_all_were_sorted_in_memory(
    tmp_path_factory, pieces, sizes
):
    path = tmp_path_factory.mktemp("runs") / "runs.parquet"
    frames = [
        frame(*(sorted(set(ids)) if is_sorted else ids), value=float(number))
        for number, (ids, is_sorted) in enumerate(pieces)
    ]

    with SortedRuns(path, symbol="A", schema=SCHEMA, key=["id"], sizes=sizes) as runs:
        for number, rows in enumerate(frames):
            runs.append(rows, file=number)
        runs.finish({})

    expected = reference(frames, ["id"])
    ranges = list(runs.ranges())
    back = pl.concat(ranges) if ranges else expected.clear()
    assert_frame_equal(back.select("id", "value", "file"), expected)
    if runs.are_one:
        assert_frame_equal(storage.read_rows(path), expected.select("id", "value"))
        assert expected["id"].is_unique().all()
    for rows in ranges:
        assert rows["row"].sort().to_list() == list(range(rows.height))
        assert ascends(rows, key=["id", "row"])
    ends = [(rows["id"][0], rows["id"][-1]) for rows in ranges]
    assert all(last < first for (_, last), (first, _) in pairwise(ends))


@given(
    st.lists(
        st.lists(
            st.tuples(st.integers(0, 4), st.sampled_from([-1.0, 0.0, 2.5])), max_size=12
        ),
        max_size=6,
    )
)
def test_rows_of_a_key_of_two_columns_stay_together(tmp_path_factory, pieces):
    path = tmp_path_factory.mktemp("runs") / "runs.parquet"
    frames = [
        pl.DataFrame(
            {
                "time": [time * 1_000_000 for time, _ in rows],
                "level": [level for _, level in rows],
                "value": [float(number)] * len(rows),
            },
            schema_overrides={"time": pl.Int64},
        ).cast(dict(TWO_KEYS))
        for number, rows in enumerate([[], *pieces])
    ]

    with SortedRuns(
        path, symbol="A", schema=TWO_KEYS, key=["time", "level"], sizes=TINY
    ) as runs:
        for number, rows in enumerate(frames):
            runs.append(rows, file=number)
        runs.finish({})

    expected = reference(frames, ["time", "level"])
    back = pl.concat([expected.clear(), *(r.drop("row") for r in runs.ranges())])
    assert_frame_equal(back, expected)
    if runs.are_one:
        assert_frame_equal(storage.read_rows(path), expected.drop("file"))


def test_ranges_are_bounded_however_the_rows_are_shuffled(written):
    sizes = Sizes(group=100, shuffled_group=16, span=200, sample=10, same_key=50)
    ids = pl.int_range(4_000, eager=True)
    shuffled = [ids.filter(ids * 7_919 % 20 == number) for number in range(20)]

    runs, path = written(*((0, frame(*part)) for part in shuffled), sizes=sizes)

    heights = [rows.height for rows in runs.ranges()]
    assert sum(heights) == 4_000
    assert max(heights) <= 200 + 10 * 20
    first, *others = row_groups(path)
    assert first >= 100
    assert max(others[1:]) <= 16
