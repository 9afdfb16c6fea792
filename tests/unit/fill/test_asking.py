"""Who is asked, how often, and what is kept of the answers, whatever happens."""

import datetime as dt
import logging
from pathlib import Path

import pytest

from bhds import config
from bhds.api.client import KlinePage
from bhds.api.transport import Usage
from bhds.errors import ApiError, RefusedError, UnknownSymbolError
from bhds.fill import asking, refusal, usage
from bhds.fill.answers import Answer, Journal
from bhds.fill.bars import Bars
from bhds.fill.holes import Hole, Reason
from bhds.gridpoints import Span
from bhds.markets import Interval, TradeType

HOUR = 3_600_000
BEGIN = 1_735_689_600_000  # 2025-01-01 00:00
KIND = Bars(TradeType.SPOT, "klines", "AUSDT", Interval.parse("1h"))
PATH = "api_data/spot/klines/AUSDT/1h/2025.parquet"
NEAR, FAR, FARTHER = (
    Span(BEGIN + n * HOUR, BEGIN + (n + 2) * HOUR) for n in (0, 600, 1200)
)


def bar(open_ms):
    prices = (1.0, 2.0, 0.5, 1.5)
    return (open_ms, *prices, 10.0, open_ms + HOUR - 1, 15.0, 7, 4.0, 6.0)


class FakeClient:
    """Has a bar for every hour, hands out pages of two, and fails at some ranges."""

    def __init__(self, *, failures, server_ms):
        self.failures = failures
        self.server_ms = server_ms
        self.asked = []
        self.usage = Usage()

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        return None

    async def server_time(self):
        self.usage.requests += 1
        return self.server_ms

    async def klines(self, *series, start_ms, end_ms, closed_by_ms):
        assert series == (KIND.data_type, KIND.symbol, KIND.interval)
        end_ms = min(end_ms, closed_by_ms)
        self.asked.append(Span(start_ms, end_ms))
        for start in range(start_ms, end_ms, 2 * HOUR):
            self.usage.requests += 1
            if start in self.failures:
                raise self.failures[start]
            end = min(start + 2 * HOUR, end_ms)
            self.usage.rows += (end - start) // HOUR
            yield KlinePage(start, end, [bar(t) for t in range(start, end, HOUR)])


class Asked:
    """What came of asking for some holes."""

    def __init__(self, monkeypatch):
        self.monkeypatch = monkeypatch
        self.journal = Journal(Path("2025.answers.jsonl"))

    def __call__(self, *spans, failures=None, server_ms=BEGIN + 9999 * HOUR, **raw):
        client = FakeClient(failures=failures or {}, server_ms=server_ms)
        self.monkeypatch.setattr(asking, "open_client", lambda *_: client)
        self.asked = client.asked
        return asking.complete(
            KIND,
            [Hole(span, Reason.MISSING, None) for span in spans],
            self.journal,
            settings=config.load(
                {"datasets": [{"trade_type": "spot"}], **raw}, environment={}
            ),
            path=PATH,
        )

    def opens(self):
        return sorted(row[0] for row in asking.rows_of(self.journal))


@pytest.fixture
def ask(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Asked(monkeypatch)


def hours(span):
    return list(range(span.start_ms, span.end_ms, HOUR))


def test_what_was_answered_is_kept_and_not_asked_for_again(ask):
    assert ask(NEAR, FAR) is None
    assert ask.asked == [NEAR, FAR]

    assert ask(NEAR, FAR) is None

    assert ask.asked == []
    assert ask.opens() == hours(NEAR) + hours(FAR)
    assert Journal(ask.journal.path).answers == ask.journal.answers


def test_holes_near_each_other_are_asked_for_at_once(ask):
    near = [Span(BEGIN + n * HOUR, BEGIN + (n + 1) * HOUR) for n in (0, 5, 497)]

    ask(*near)

    assert ask.asked == [Span(BEGIN, BEGIN + 498 * HOUR)]


def test_a_symbol_that_is_unknown_is_answered_with_nothing(ask):
    gone = UnknownSymbolError("gone")

    assert ask(NEAR, FAR, failures={NEAR.start_ms: gone}) is None

    assert ask.asked == [NEAR]
    assert [(a.span, a.rows) for a in ask.journal.answers] == [(NEAR, ()), (FAR, ())]
    assert ask(NEAR, FAR) is None
    assert ask.asked == []


def test_nothing_is_asked_for_that_the_exchange_has_not_come_to(ask):
    now = FAR.start_ms + HOUR

    ask(NEAR, FAR, FARTHER, server_ms=now)

    assert ask.asked == [NEAR, Span(FAR.start_ms, now)]


def test_a_refusal_is_told_once_and_others_do_not_ask(ask, caplog):
    refused = RefusedError("HTTP 451: not here")

    with caplog.at_level(logging.INFO):
        assert ask(NEAR, failures={NEAR.start_ms: refused}) == "HTTP 451: not here"
        assert ask(NEAR) == "HTTP 451: not here"

    assert ask.asked == []
    told = [r.levelname for r in caplog.records if str(refused) in r.getMessage()]
    assert told == ["WARNING", "INFO"]
    refusal.forget(Path())
    assert ask(NEAR) is None
    assert ask.opens() == hours(NEAR)


def test_a_second_refusal_is_no_second_warning(ask, caplog):
    refusal.note(Path(), TradeType.SPOT, message="HTTP 451")
    refused = RefusedError("HTTP 451")
    ask.monkeypatch.setattr(refusal, "known", lambda *_: None)  # asked meanwhile

    with caplog.at_level(logging.INFO):
        ask(NEAR, failures={NEAR.start_ms: refused})

    assert {record.levelname for record in caplog.records} == {"INFO"}


def test_offline_nobody_is_asked(ask):
    assert ask(NEAR, offline=True) == asking.OFFLINE
    assert ask.asked == []
    assert usage.read(Path()).is_empty()


def test_offline_is_no_matter_where_all_is_answered(ask):
    ask(NEAR)

    assert ask(NEAR, offline=True) is None


@pytest.mark.parametrize("error", [ApiError, RefusedError])
def test_a_failure_in_the_middle_keeps_the_pages_that_came(ask, error):
    span = Span(BEGIN, BEGIN + 6 * HOUR)
    failures = {BEGIN + 4 * HOUR: error("no")}

    if error is ApiError:
        with pytest.raises(ApiError, match="no"):
            ask(span, failures=failures)
    else:
        assert ask(span, failures=failures) == "no"

    assert Journal(ask.journal.path).answers == ask.journal.answers
    assert ask.opens() == hours(Span(BEGIN, BEGIN + 4 * HOUR))
    refusal.forget(Path())
    ask(span)
    assert ask.asked == [Span(BEGIN + 4 * HOUR, BEGIN + 6 * HOUR)]


def test_one_failure_among_many_ranges_is_raised_as_itself(ask):
    failures = {FAR.start_ms: ApiError("far"), FARTHER.start_ms: ApiError("farther")}

    with pytest.raises(ApiError, match=r"^far$"):
        ask(NEAR, FAR, FARTHER, failures=failures)

    assert ask.opens() == hours(NEAR)


@pytest.mark.parametrize("failures", [{}, {FAR.start_ms: ApiError("no")}])
def test_every_fill_that_asked_is_on_record_though_it_failed(ask, failures):
    if failures:
        with pytest.raises(ApiError):
            ask(NEAR, FAR, failures=failures)
    else:
        ask(NEAR, FAR)

    record = usage.read(Path()).row(0, named=True)
    assert record["path"] == PATH
    assert record["requests"] == 3
    assert record["rows"] == (2 if failures else 4)


def test_rows_are_in_the_order_in_which_they_were_asked_for(ask):
    asked_at = dt.datetime(2025, 3, 1, tzinfo=dt.UTC)
    later = Answer(NEAR, asked_at + dt.timedelta(hours=1), (("later",),))
    for answer in (later, Answer(NEAR, asked_at, (("earlier",),))):
        ask.journal.append(answer)

    assert asking.rows_of(ask.journal) == [("earlier",), ("later",)]
