"""The rule of events: none is lost, none is counted twice, whatever the order."""

from collections import Counter

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhds.core.events import number_events
from bhds.core.timegrid import TIME
from bhds.schemas.klines import FUNDING_EVENTS, RATE_TYPES

VALUES = ["calc_time", "funding_rate", "rate_type"]
MS = 1_000


def funding(*sources):
    """Return rows of one minute: of each source events as (ms, rate[, type])."""
    rows = [
        (0, rank, event[0] * MS, event[1], event[2] if len(event) > 2 else None)
        for rank, source in enumerate(reversed(sources))
        for event in source
    ]
    return pl.DataFrame(
        rows,
        schema={
            "minute": pl.Int64,
            "rank": pl.Int64,
            "calc_time": pl.Int64,
            "funding_rate": pl.Float64,
            "rate_type": RATE_TYPES,
        },
        orient="row",
    ).with_columns(pl.col("calc_time").cast(TIME))


def events(rows, key=("minute",)):
    """Return each event as a sorted list of its rows, of the first source first."""
    numbers = number_events(
        rows, key=key, rank="rank", values=VALUES, rule=FUNDING_EVENTS
    )
    grouped = (
        rows.with_columns(event=numbers, ms=pl.col("calc_time").dt.epoch("ms"))
        .sort("rank", "ms", "funding_rate", descending=[True, False, False])
        .group_by("event", maintain_order=True)
        .agg(row=pl.struct("rank", "ms", "funding_rate", "rate_type"))
    )
    return sorted(
        (tuple(tuple(row.values()) for row in rows) for rows in grouped["row"]),
        key=str,
    )


def sizes(rows):
    return Counter(map(len, events(rows)))


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        pytest.param([[(1, 0.5), (9, -2.0)]], {1: 2}, id="two of one file"),
        pytest.param([[(1, 0.5), (1, 0.5)]], {2: 1}, id="identical rows of one file"),
        pytest.param(
            [[(1, 0.5), (9, -2.0)], [(9, -2.0, "Special"), (1, 0.5, "Regular")]],
            {2: 2},
            id="both sources have both",
        ),
        pytest.param([[(1, 0.5)], [(1, 0.25)]], {2: 1}, id="another rate"),
        pytest.param([[(1, 0.5)], [(7, 0.25)]], {2: 1}, id="another time and rate"),
        pytest.param([[(1, 0.5)], [(1, 0.5), (9, -2.0)]], {2: 1, 1: 1}, id="one more"),
        pytest.param(
            [[(0, 0.5), (0, -2.0)], [(1, -2.0), (1, 0.5)]], {2: 2}, id="by their rates"
        ),
        pytest.param(
            [[(1, 0.5, "Regular")], [(1, 0.5, "Special")]], {1: 2}, id="by their types"
        ),
        pytest.param(
            [[(1, 0.5)], [(1, 0.25)], [(1, 0.25)]], {3: 1}, id="three sources"
        ),
    ],
)
def test_events_are_matched_between_sources_only(sources, expected):
    assert sizes(funding(*sources)) == expected


def test_time_goes_before_rate():
    (first, second) = events(funding([(1, 0.5), (9, -2.0)], [(1, -2.0), (9, 0.5)]))

    assert [[row[1] for row in event] for event in (first, second)] == [[1, 1], [9, 9]]


EVENT = st.tuples(
    st.integers(0, 2),
    st.sampled_from([0.5, 0.25, -2.0]),
    st.sampled_from([None, "Regular", "Special"]),
)


@given(
    st.lists(st.lists(EVENT, max_size=4), min_size=1, max_size=3),
    st.randoms(use_true_random=False),
)
def test_no_event_is_lost_and_none_is_counted_twice(sources, random):
    """Each source has every event at most once; one source alone settles how many."""
    found = events(funding(*sources))

    distinct = [set(source) for source in sources]
    for event in found:
        by_source = Counter(rank for rank, *_ in set(event))
        assert max(by_source.values()) == 1
        types = {row[3] for row in event} - {None}
        assert len(types) <= 1
    rows = [row for event in found for row in event]
    assert len(rows) == sum(map(len, sources))
    assert len(found) >= max(map(len, distinct))
    if not any(kind for source in sources for *_, kind in source):
        assert len(found) == max(map(len, distinct))
    shuffled = funding(*(random.sample(source, len(source)) for source in sources))
    order = random.sample(range(shuffled.height), shuffled.height)
    assert events(shuffled[order]) == found
