"""Impossible rows, and bands of the order book that stand still."""

import datetime as dt
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhds.core.markets import TradeType
from bhds.parse.impossible_rows import FROZEN_AFTER, FaultTally
from bhds.schemas.datatypes import data_type

UM = TradeType.UM_FUTURES
START = dt.datetime(2026, 9, 3, 18, tzinfo=dt.UTC)
DAY = (START - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)).days
MINUTE = dt.timedelta(minutes=1)
SCHEMA = data_type("bookDepth").table(UM).schema | {"file": pl.UInt32()}


def snapshots(count, *, still=(), step=MINUTE, begin=START, amount=None):
    """Return snapshots of two bands, of which some stand still."""
    rows = [
        (
            begin + number * step,
            band,
            *(
                (7.0 * band if amount is None else amount,) * 2
                if band in still
                else (band * (100.0 + number % 7),) * 2
            ),
            0,
        )
        for number in range(count)
        for band in (1.0, 2.0)
    ]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def counted(*pieces):
    tally = FaultTally("bookDepth", UM, time="timestamp")
    for piece in pieces:
        tally.add(piece)
    return {day - DAY: count for day, count in tally.counts()["frozen"].items()}


LONG = FROZEN_AFTER // MINUTE + 1


def test_rows_of_bands_that_stand_still_for_hours_are_counted_by_day():
    # From 18:00 to 02:59 of the next day.
    assert counted(snapshots(9 * 60, still=[2.0])) == {0: 360, 1: 180}
    assert counted(snapshots(LONG, still=[1.0, 2.0])) == {0: 2 * LONG}


def test_bands_that_move_or_stand_still_for_less_are_not_frozen():
    assert counted(snapshots(9 * 60)) == {}
    assert counted(snapshots(LONG - 1, still=[1.0])) == {}
    halves = [
        snapshots(LONG - 1, still=[2.0], amount=5.0),
        snapshots(LONG - 1, still=[2.0], amount=6.0, begin=START + (LONG - 1) * MINUTE),
    ]
    assert counted(*halves) == {}


def test_a_band_that_nobody_offers_anything_in_is_not_frozen():
    assert counted(snapshots(9 * 60, still=[1.0], amount=0.0)) == {}


def test_a_time_without_snapshots_is_no_stand_still():
    begin = START + dt.timedelta(hours=5)
    parts = [snapshots(60, still=[2.0]), snapshots(60, still=[2.0], begin=begin)]

    assert counted(*parts) == {}


@given(
    st.lists(st.tuples(st.integers(1, 150), st.sampled_from([5.0, 6.0])), max_size=8),
    st.lists(st.integers(0, 2400), max_size=6),
)
def test_however_rows_are_cut_into_pieces_the_count_is_the_same(stretches, cuts):
    parts, begin = [snapshots(0)], START
    for minutes, amount in stretches:
        parts.append(snapshots(minutes, still=[2.0], amount=amount, begin=begin))
        begin += minutes * MINUTE
    rows = pl.concat(parts)
    ends = sorted([0, *(min(cut, rows.height) for cut in cuts), rows.height])
    pieces = [rows.slice(a, b - a) for a, b in pairwise(ends)]

    expected, length, total = None, 0, 0
    for minutes, amount in [*stretches, (0, None)]:
        if amount != expected:
            total += length if length >= LONG else 0
            expected, length = amount, 0
        length += minutes
    assert sum(counted(*pieces).values()) == total


def test_impossible_rows_are_counted_across_pieces_by_day_and_zip():
    schema = data_type("trades").table(UM).schema
    rows = pl.DataFrame(
        [
            (number, price, 1.0, 1.0, START + second * dt.timedelta(seconds=1), True)
            for number, price, second in [
                *((1, 1.0, 0), (2, 0.0, 1), (3, 1.0, 90)),
                *((4, 1.0, 2), (5, -1.0, 22_000), (6, 1.0, 22_001)),
            ]
        ],
        schema=schema,
        orient="row",
    )
    tally = FaultTally("trades", UM, time="time")

    # The fourth is earlier than the third, which is in the piece before.
    tally.add(rows.head(3), file=0)
    tally.add(rows.slice(3), file=1)

    assert tally.counts()["impossible"] == {DAY: 2, DAY + 1: 1}
    assert tally.files == {0: 1, 1: 2}


@pytest.mark.parametrize("name", ["metrics", "fundingRate"])
def test_types_without_a_rule_have_no_faults(name):
    tally = FaultTally(name, UM, time="create_time")

    tally.add(pl.DataFrame({"create_time": [START]}), file=0)

    assert not any(tally.counts().values())
