"""Sets of moments."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhds.core.time_ranges import joined_within, subtract, union
from bhds.core.timegrid import Span

RANGES = st.lists(
    st.tuples(st.integers(0, 30), st.integers(0, 30)).map(lambda ends: Span(*ends)),
    max_size=6,
)


def moments(ranges):
    return {moment for start, end in ranges for moment in range(start, end)}


@given(RANGES)
def test_a_union_has_every_moment_in_ranges_that_do_not_meet(ranges):
    found = union(ranges)

    assert moments(found) == moments(ranges)
    assert all(a.end_ms < b.start_ms for a, b in pairwise(found))


@given(RANGES, RANGES)
def test_what_is_taken_is_gone_and_nothing_else(ranges, taken):
    left = subtract(ranges, taken)

    assert moments(left) == moments(ranges) - moments(taken)
    assert left == union(left)


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        (5, [(0, 2), (4, 6), (9, 10)]),
        (6, [(0, 6), (9, 10)]),
        (10, [(0, 10)]),
    ],
)
def test_ranges_are_joined_while_a_joined_one_is_short_enough(span, expected):
    ranges = [Span(0, 2), Span(4, 6), Span(9, 10)]

    assert joined_within(ranges, span_ms=span) == expected


def test_a_long_range_stays_as_it_is():
    assert joined_within([Span(0, 90), Span(95, 96)], span_ms=10) == [
        (0, 90),
        (95, 96),
    ]
