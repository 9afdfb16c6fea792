import polars as pl
import pytest

from bhds.bars.merge import is_strictly_increasing
from bhds.bars.merge import merge as merge_bars
from bhds.core.errors import ResultError
from bhds.core.markets import Interval, TradeType


def merge(partitions, interval="1m"):
    return merge_bars(
        partitions, trade_type=TradeType.SPOT, interval=Interval.parse(interval)
    )


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


def test_of_one_source_the_partition_that_begins_later_is_kept(published):
    earlier, later = published([0, 1, 2], close=1.0), published([1], close=2.0)

    for frames in ([earlier, later], [later, earlier]):
        assert merge(frames).bars["close"].to_list() == [1.0, 2.0, 1.0]


def test_of_partitions_that_begin_at_once_the_later_in_the_input_is_kept(published):
    frames = [published([0], close=1.0), published([0], close=2.0)]

    assert merge(frames).bars["close"].to_list() == [2.0]


def test_merge_accepts_empty_frames(published):
    empty = published([])

    assert merge([empty, empty]).bars.equals(empty)


def test_a_bar_of_the_api_on_the_grid_replaces_an_impossible_one_off_it(published):
    monthly = published([0, 60.2, 120], source="monthly", low=[100.0, 0.0, 100.0])
    api = published([60], source="api", close=200.0)

    merged = merge([monthly, api], interval="1h")

    assert merged.bars["close"].to_list() == [100.0, 200.0, 100.0]
    assert kept_beside(merged.conflicts, "low") == [(0.0, 200.0)]


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


def kept_beside(conflicts, column):
    return conflicts.select(column, f"kept_{column}").rows()


def test_bars_that_differ_are_conflicts_with_both_values(published, minutes_of):
    monthly = published([0, 1, 2], source="monthly", close=1.0)
    api = published([1, 2, 3], source="api", close=2.0)

    conflicts = merge([monthly, api]).conflicts

    assert minutes_of(conflicts["open_time"]) == [1, 2]
    assert kept_beside(conflicts, "close") == [(1.0, 2.0)] * 2
    assert kept_beside(conflicts, "source") == [("monthly", "api")] * 2


def test_conflicts_have_their_columns_without_any(published):
    frames = [published([0], source=source) for source in ("monthly", "daily")]

    assert merge(frames[:1]).conflicts.schema == merge(frames).conflicts.schema
