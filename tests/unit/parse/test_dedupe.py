import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhds.parse.dedupe import collapse, collapse_pairs

SCHEMA = {"time": pl.Int64, "value": pl.Float64, "rank": pl.Int64}


def collapsed(rows):
    frame = pl.DataFrame(rows, schema=SCHEMA, orient="row")
    return collapse(frame, key=["time"], precedence=["rank"], values=["value"])


def test_highest_rank_wins_a_conflict():
    unique = collapsed([(1, 9.0, 5), (1, 8.0, 2)])

    assert unique.kept.rows() == [(1, 9.0, 5)]
    assert unique.conflicts.rows() == [(1, 8.0, 2, 9.0, 5)]
    assert unique.conflicts.columns[3:] == ["kept_value", "kept_rank"]


def test_no_time_is_compared_where_the_moments_differ():
    times = {"close_time": [60_000_000, 61_000_000, 62_000_000], "at": [7, 9, 9]}
    frame = pl.DataFrame({"time": [1, 1, 1], "rank": [0, 1, 2]} | times).cast(
        {"close_time": pl.Datetime("us", "UTC")}
    )

    unique = collapse(
        frame, key=["time"], precedence=["rank"], values=["close_time"], moment="at"
    )

    assert unique.duplicates["rank"].to_list() == [0]
    assert unique.conflicts["rank"].to_list() == [1]


@pytest.mark.parametrize(
    ("dropped_us", "kept_us", "conflicts"),
    [
        (59_999_000, 59_999_999, 0),
        (59_999_999, 59_999_000, 0),
        (59_999_999, 58_999_999, 1),
    ],
)
def test_times_are_compared_at_milliseconds(dropped_us, kept_us, conflicts):
    frame = pl.DataFrame(
        {"time": [1, 1], "close_time": [dropped_us, kept_us], "rank": [0, 1]}
    ).with_columns(pl.col("close_time").cast(pl.Datetime("us", "UTC")))

    unique = collapse(frame, key=["time"], precedence=["rank"], values=["close_time"])

    assert unique.conflicts.height == conflicts
    assert unique.kept["close_time"].to_physical().to_list() == [kept_us]


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from([1.0, 2.0])), max_size=30))
def test_no_row_is_lost_and_the_last_wins(rows):
    ranked = [(time, value, rank) for rank, (time, value) in enumerate(rows)]

    unique = collapsed(ranked)

    last = {time: value for time, value, _ in ranked}
    assert unique.kept.select("time", "value").rows() == sorted(last.items())
    assert (
        unique.kept.height + unique.duplicates.height + unique.conflicts.height
    ) == len(rows)
    others = {(time, value) for time, value in rows if value != last[time]}
    assert sorted(unique.conflicts.select("time", "value").rows()) == sorted(others)


def test_rows_without_a_value_are_duplicates_of_each_other_only():
    unique = collapsed([(1, None, 0), (1, None, 1), (2, None, 2), (2, 1.0, 3)])

    assert unique.kept.rows() == [(1, None, 1), (2, 1.0, 3)]
    assert unique.duplicates["rank"].to_list() == [0]
    assert unique.conflicts["rank"].to_list() == [2]


@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 2), st.sampled_from([1.0, 2.0])),
        max_size=20,
    )
)
def test_key_may_be_of_several_columns(rows):
    frame = pl.DataFrame(
        [(*row, rank) for rank, row in enumerate(rows)],
        schema={"time": pl.Int64, "level": pl.Int64, "value": pl.Float64, "rank": None},
        schema_overrides={"rank": pl.Int64},
        orient="row",
    )

    unique = collapse(
        frame, key=["time", "level"], precedence=["rank"], values=["value"]
    )

    last = {(time, level): value for time, level, value in rows}
    kept = unique.kept.select("time", "level", "value").rows()
    assert kept == [(*key, value) for key, value in sorted(last.items())]
    assert unique.conflicts.height == len(set(rows)) - len(kept)
    assert unique.duplicates.height == len(rows) - len(kept) - unique.conflicts.height


def test_of_identical_rows_each_second_goes():
    rows = [(2, 5.0, 0), (1, 1.0, 1), (1, 1.0, 2), (1, 3.0, 3), (1, 1.0, 4)]
    frame = pl.DataFrame([*rows, (2, 5.0, 5)], schema=SCHEMA, orient="row")

    unique = collapse_pairs(
        frame, time="time", order=["rank"], values=["time", "value"]
    )

    assert unique.kept.rows() == [(1, 1.0, 1), (1, 3.0, 3), (1, 1.0, 4), (2, 5.0, 0)]
    assert unique.duplicates["rank"].to_list() == [2, 5]
    assert unique.conflicts.is_empty()
