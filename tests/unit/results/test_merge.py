import polars as pl
import pytest

from bhds.errors import ResultError
from bhds.results.merge import is_strictly_increasing, merge


@pytest.mark.parametrize(
    ("sources", "kept"),
    [
        pytest.param(("daily", "monthly"), "daily", id="daily over monthly"),
        pytest.param(("api", "monthly"), "api", id="api over monthly"),
        pytest.param(("daily", "api"), "daily", id="daily over api"),
        pytest.param(("monthly", "api", "daily"), "daily", id="all three"),
    ],
)
def test_merge_keeps_one_bar_by_precedence_in_any_order(published, sources, kept):
    frames = [
        published([0, 1], source=source, close=float(price))
        for price, source in enumerate(sources, start=1)
    ]
    expected = published([0, 1], source=kept, close=1.0 + sources.index(kept))

    assert merge(frames).bars.equals(expected)
    assert merge(frames[::-1]).bars.equals(expected)


def test_merge_decides_row_by_row(published):
    monthly = published([0, 1, 2], source="monthly")
    daily = published([1], source="daily")
    api = published([2, 3], source="api")

    merged = merge([monthly, daily, api]).bars

    assert merged["source"].to_list() == ["monthly", "daily", "api", "api"]


def test_merge_prefers_a_bar_with_trades_over_a_better_source_without(published):
    empty = published([0], source="daily", trade_count=0)
    traded = published([0], source="api", trade_count=3)

    merged = merge([empty, traded]).bars

    assert merged.equals(traded)


def test_merge_keeps_the_later_of_two_bars_of_one_source(published):
    frames = [published([0], close=1.0), published([0], close=2.0)]

    assert merge(frames).bars["close"].to_list() == [2.0]


def test_merge_sorts_interleaved_partitions(published, minutes_of):
    merged = merge([published([4, 0, 2]), published([3, 1], source="api")]).bars

    assert minutes_of(merged["open_time"]) == [0, 1, 2, 3, 4]


def test_merge_joins_years_given_in_any_order(published, minutes_of):
    merged = merge([published([2, 3]), published([]), published([0, 1])]).bars

    assert minutes_of(merged["open_time"]) == [0, 1, 2, 3]


def test_merge_accepts_one_frame_and_empty_frames(published):
    empty = published([])

    assert merge(empty).bars.schema == empty.schema
    assert merge([empty, empty]).bars.equals(empty)


def test_merge_refuses_no_partition():
    with pytest.raises(ResultError, match="0 partitions, expected at least one"):
        merge([])


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param([], True, id="none"),
        pytest.param([5], True, id="one"),
        pytest.param([1, 2, 3], True, id="increasing"),
        pytest.param([1, 1], False, id="twice"),
        pytest.param([2, 1], False, id="decreasing"),
    ],
)
def test_is_strictly_increasing(values, expected):
    assert is_strictly_increasing(pl.Series(values, dtype=pl.Int64)) is expected
