import datetime as dt

import pytest

from bhds.api.paginator import Cutter
from bhds.api.rows import Bar
from bhds.core.markets import ARCHIVE_INTERVALS, Interval
from bhds.core.timegrid import Grid, Span
from bhds.sandbox.timegrid import DAY_MS, MINUTE_MS, bar_end, bar_open, to_ms

MINUTE = Grid(Interval.parse("1m"))
MONTH = Grid(Interval.parse("1mo"))


def month_ms(year, month):
    return to_ms(dt.datetime(year, month, 1, tzinfo=dt.UTC))


def bars(*minutes):
    return [Bar(int(at * MINUTE_MS), *[0.0] * 5, 0, 0.0, 0, 0.0, 0.0) for at in minutes]


def span(start, end):
    return Span(int(start * MINUTE_MS), int(end * MINUTE_MS))


@pytest.mark.parametrize("name", ARCHIVE_INTERVALS)
@pytest.mark.parametrize("off_ms", [-1, 0, 1])
def test_grid_points_are_where_bars_open(name, off_ms):
    interval = Interval.parse(name)
    grid = Grid(interval)
    opened = bar_open(interval, to_ms(dt.datetime(2024, 2, 29, 13, 7, tzinfo=dt.UTC)))
    time_ms = opened + off_ms

    assert grid.floor(time_ms) == bar_open(interval, time_ms)
    following = bar_end(interval, opened)
    assert grid.ceil(time_ms) == (following if off_ms > 0 else opened)
    assert grid.time(grid.number(opened) + 1) == following


@pytest.mark.parametrize(
    ("grid", "asked", "count"),
    [
        (MINUTE, span(0, 5), 5),
        (MINUTE, span(0.5, 5), 4),
        (MINUTE, span(0, 5.5), 6),
        (MINUTE, span(0.2, 0.8), 0),
        (MONTH, Span(month_ms(2023, 11), month_ms(2025, 1)), 14),
        (MONTH, Span(month_ms(2023, 11) + 1, month_ms(2025, 1) + 1), 14),
    ],
)
def test_points_of_a_range_are_counted(grid, asked, count):
    assert grid.points(asked) == count


def test_pages_are_cut_from_the_start_where_the_oldest_come_first():
    cutter = Cutter(MINUTE, limit=5)

    assert cutter.pages(span(0.5, 11), count=9) == [
        *(span(0.5, 4), span(4, 8), span(8, 11))
    ]
    assert cutter.pages(span(0, 100), count=2) == [span(0, 4), span(4, 8)]
    assert cutter.without(span(0, 11), span(0, 4)) == span(4, 11)


def test_pages_are_cut_from_the_end_where_the_newest_come_first():
    cutter = Cutter(MINUTE, limit=5, newest_first=True)

    assert cutter.pages(span(0, 10.5), count=9) == [
        *(span(7, 10.5), span(3, 7), span(0, 3))
    ]
    assert cutter.without(span(0, 11), span(7, 11)) == span(0, 7)


@pytest.mark.parametrize("newest_first", [False, True])
def test_no_request_spans_more_than_it_may(newest_first):
    day = Grid(Interval.parse("1d"))
    cutter = Cutter(
        day, limit=499, newest_first=newest_first, longest_span_ms=200 * DAY_MS
    )
    rest = Span(0, 1_000 * DAY_MS)

    for asked in [cutter.longest(rest), *cutter.pages(rest, count=9)]:
        assert asked.end_ms - asked.start_ms == 200 * DAY_MS
    assert len(cutter.pages(rest, count=9)) == 5


def test_a_range_of_months_is_cut_at_the_first_of_a_month():
    cutter = Cutter(MONTH, limit=499, newest_first=True, longest_span_ms=200 * DAY_MS)

    asked = cutter.longest(Span(0, month_ms(2025, 1)))

    assert asked == Span(month_ms(2024, 7), month_ms(2025, 1))


def test_a_range_without_a_grid_point_is_cut_all_the_same():
    cutter = Cutter(MONTH, limit=499, newest_first=True, longest_span_ms=10 * DAY_MS)
    end_ms = month_ms(2025, 1) - DAY_MS

    assert cutter.longest(Span(0, end_ms)) == Span(end_ms - 10 * DAY_MS, end_ms)


@pytest.mark.parametrize("newest_first", [False, True])
def test_an_answer_with_room_left_is_whole(newest_first):
    cutter = Cutter(MINUTE, limit=5, newest_first=newest_first)

    assert cutter.answered(span(0, 90), bars(3, 4), limit=3) == span(0, 90)
    assert cutter.answered(span(0, 90), [], limit=3) == span(0, 90)


@pytest.mark.parametrize(
    ("newest_first", "found", "part"),
    [
        pytest.param(False, (1, 2, 3), (0, 3), id="oldest"),
        pytest.param(False, (1, 2, 3.5), (0, 3), id="oldest, off the grid"),
        pytest.param(False, (0.1, 0.2, 0.3), (0, 0.3), id="oldest, within one bar"),
        pytest.param(True, (5, 6, 7), (5, 9), id="newest"),
        pytest.param(True, (5.5, 6, 7), (6, 9), id="newest, off the grid"),
        pytest.param(True, (8.1, 8.2, 8.3), (8.1, 9), id="newest, within one bar"),
    ],
)
def test_a_full_answer_is_whole_up_to_where_it_was_cut_off(newest_first, found, part):
    cutter = Cutter(MINUTE, limit=5, newest_first=newest_first)

    answered = cutter.answered(span(0, 9), bars(*found), limit=3)

    expected = span(*part)
    if part == (0, 0.3):
        expected = Span(0, expected.end_ms + 1)
    assert answered == expected
