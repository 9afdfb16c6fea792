"""Where a history begins, by what archive and API have."""

import datetime as dt

import pytest

from bhds.backfill.history import Origin, RequestedHistory
from bhds.backfill.klines import Bars
from bhds.backfill.missing_ranges import MissingRange, MissingReason
from bhds.backfill.response_journal import Answer
from bhds.core.markets import Interval, TradeType
from bhds.core.timegrid import Span

DAY = 86_400_000
NOW = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
FIRST = 1_000 * DAY
KIND = Bars(TradeType.CM_FUTURES, "klines", "AUSD_PERP", Interval.parse("1d"))


def wanted(*, since=0, lookback=None):
    def holes_from(begin):
        return (
            []
            if begin is None
            else [MissingRange(Span(begin, FIRST), MissingReason.MISSING, None)]
        )

    origin = Origin(since_ms=since, first_ms=FIRST, lookback_ms=lookback)
    return RequestedHistory(KIND.extent, KIND.begin_ms, holes_from, origin)


def answer(start, end, *days):
    return Answer(Span(start * DAY, end * DAY), NOW, tuple((d * DAY,) for d in days))


@pytest.mark.parametrize(
    ("answers", "unknown", "holes"),
    [
        pytest.param([], [(0, 1_000)], [], id="not asked"),
        pytest.param([answer(0, 1_000)], [], [], id="nothing earlier"),
        pytest.param([answer(0, 700, 699)], [], [(699, 1_000)], id="earlier bars"),
        pytest.param([answer(0, 1_001, 1_000)], [], [], id="it begins later"),
    ],
)
def test_the_first_bar_is_that_of_the_api_if_it_is_earlier(answers, unknown, holes):
    found = wanted()

    spans = [(s // DAY, e // DAY) for s, e in found.unknown_origin(answers, now=NOW)]
    assert spans == unknown
    begins = [(h.span.start_ms // DAY, 1_000) for h in found.missing_ranges(answers)]
    assert begins == holes


def test_nothing_is_searched_before_the_start():
    assert wanted(since=FIRST).unknown_origin([], now=NOW) == []
    found = wanted(since=990 * DAY)
    assert found.unknown_origin([], now=NOW) == [Span(990 * DAY, FIRST)]


def test_who_answers_from_the_end_is_searched_back_until_there_is_nothing():
    found = wanted(lookback=200 * DAY)
    assert KIND.lookback_ms == 200 * DAY
    answers = []
    assert found.unknown_origin(answers, now=NOW) == [Span(800 * DAY, FIRST)]

    answers.append(answer(800, 1_000, 810, 990))
    assert found.unknown_origin(answers, now=NOW) == [Span(610 * DAY, 800 * DAY)]

    answers.append(answer(610, 800))
    assert found.unknown_origin(answers, now=NOW) == []
    assert [hole.span for hole in found.missing_ranges(answers)] == [
        Span(810 * DAY, FIRST)
    ]
