import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhds.parse.collapse import collapse

SCHEMA = {"time": pl.Int64, "value": pl.Float64, "rank": pl.Int64}


def collapsed(rows):
    frame = pl.DataFrame(rows, schema=SCHEMA, orient="row")
    return collapse(frame, key="time", precedence=["rank"], values=["value"])


def test_unique_rows_stay_as_they_are():
    unique = collapsed([(1, 1.0, 0), (2, 1.0, 1)])

    assert unique.kept.rows() == [(1, 1.0, 0), (2, 1.0, 1)]
    assert unique.duplicates.is_empty()
    assert unique.conflicts.is_empty()


def test_identical_rows_are_collapsed():
    unique = collapsed([(1, 1.0, 0), (1, 1.0, 1), (1, 1.0, 2), (2, 5.0, 3)])

    assert unique.kept.rows() == [(1, 1.0, 2), (2, 5.0, 3)]
    assert unique.duplicates["rank"].to_list() == [0, 1]
    assert unique.conflicts.is_empty()


def test_highest_rank_wins_a_conflict():
    unique = collapsed([(1, 9.0, 5), (1, 8.0, 2)])

    assert unique.kept.rows() == [(1, 9.0, 5)]
    assert unique.conflicts.rows() == [(1, 8.0, 2, 9.0, 5)]
    assert unique.conflicts.columns[3:] == ["kept_value", "kept_rank"]


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

    unique = collapse(frame, key="time", precedence=["rank"], values=["close_time"])

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
    assert unique.conflicts.height == sum(
        value != last[time] for time, value, _ in ranked
    )
