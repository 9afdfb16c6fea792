import pytest

from bhds.bars.gaps import find_gaps
from bhds.bars.segments import MAX_SEGMENTS, assign_segments
from bhds.config import SplitRule
from bhds.core.errors import ResultError
from bhds.core.markets import Interval

MINUTE = Interval.parse("1m")
DAY = 24 * 60


def segments_of(bars, *, has_ended=False, **rule):
    gaps = find_gaps(
        bars,
        symbol="X",
        interval=MINUTE,
        split=SplitRule(**rule),
        has_ended=has_ended,
    )
    return assign_segments(bars, begins=gaps.begins, has_ended=has_ended, symbol="X")


@pytest.mark.parametrize("has_ended", [False, True])
def test_untraded_bars_are_dropped_only_before_and_after_a_history(
    published, minutes_of, has_ended
):
    minutes = [0, 1, 2, 3, 4, 1 + 3 * DAY, 2 + 3 * DAY, 3 + 3 * DAY]
    trades = [0, 1, 0, 1, 0, 0, 1, 0]

    segments = segments_of(published(minutes, trade_count=trades), has_ended=has_ended)

    kept = minutes[1:-1] if has_ended else minutes[1:]
    assert minutes_of(segments["open_time"]) == kept
    assert segments["segment"].to_list() == [0, 0, 0, 0, 1, 1, 1][: len(kept)]


def test_more_segments_than_can_be_numbered_are_refused(published):
    bars = published(range(0, 3 * (MAX_SEGMENTS + 1), 3))

    with pytest.raises(ResultError, match=r"X: 32768 splitting gaps, expected less"):
        segments_of(bars, min_days=0.5 / DAY)
