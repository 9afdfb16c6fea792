"""Who is asked, how often, and what is kept of the answers, whatever happens."""

import dataclasses
import datetime as dt
import logging
from pathlib import Path

import pytest

from bhds import config
from bhds.api.client import KlinePage
from bhds.api.codes import ApiRefusal
from bhds.api.transport import Usage
from bhds.backfill import api_use, refusal, requests, unanswered
from bhds.backfill.history import Origin, RequestedHistory
from bhds.backfill.klines import Bars
from bhds.backfill.missing_ranges import MissingRange, MissingReason
from bhds.backfill.response_journal import Answer, Journal
from bhds.core.errors import ApiError, RefusedError, SymbolRefusedError
from bhds.core.markets import Interval, TradeType
from bhds.core.timegrid import Span

HOUR = 3_600_000
BEGIN = 1_735_689_600_000  # 2025-01-01 00:00
KIND = Bars(TradeType.SPOT, "klines", "AUSDT", Interval.parse("1h"))
PATH = "api_data/spot/klines/AUSDT/1h/all.parquet"
NEAR, FAR, FARTHER = (
    Span(BEGIN + n * HOUR, BEGIN + (n + 2) * HOUR) for n in (0, 600, 1200)
)


def bar(open_ms):
    prices = (1.0, 2.0, 0.5, 1.5)
    return (open_ms, *prices, 10.0, open_ms + HOUR - 1, 15.0, 7, 4.0, 6.0)


class FakeClient:
    """Has a bar for every hour, hands out pages of two, and fails at some ranges."""

    def __init__(self, *, failures, server_ms, first_ms, unknown):
        self.failures = failures
        self.first_ms = first_ms
        self.server_ms = server_ms
        self.unknown_fields = set(unknown)
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
        assert series[::2] == (KIND.data_type, KIND.interval)
        end_ms = min(end_ms, closed_by_ms)
        self.asked.append(Span(start_ms, end_ms))
        for start in range(start_ms, end_ms, 2 * HOUR):
            self.usage.requests += 1
            if start in self.failures:
                raise self.failures[start]
            end = min(start + 2 * HOUR, end_ms)
            self.usage.rows += (end - start) // HOUR
            yield KlinePage(start, end, [bar(t) for t in range(start, end, HOUR)])

    async def first_kline(self, *_, start_ms, end_ms):
        self.usage.requests += 1
        self.asked.append(Span(start_ms, end_ms))
        if start_ms in self.failures:
            raise self.failures[start_ms]
        if self.first_ms is None or self.first_ms >= end_ms:
            return KlinePage(start_ms, end_ms, [])
        return KlinePage(start_ms, self.first_ms + 1, [bar(self.first_ms)])


class DatasetRequest:
    """What came of asking for some holes."""

    def __init__(self, monkeypatch):
        self.monkeypatch = monkeypatch
        self.journal = Journal(Path("2025.answers.jsonl"))

    def __call__(
        self,
        *spans,
        failures=None,
        server_ms=BEGIN + 9999 * HOUR,
        origin=None,
        first_ms=None,
        symbol="AUSDT",
        unknown=(),
        **raw,
    ):
        client = FakeClient(
            failures=failures or {},
            server_ms=server_ms,
            first_ms=first_ms,
            unknown=unknown,
        )
        self.monkeypatch.setattr(requests, "open_client", lambda *_: client)
        self.asked = client.asked

        def holes_from(begin_ms):
            earlier = [] if begin_ms is None else [Span(begin_ms, origin.first_ms)]
            return [
                MissingRange(span, MissingReason.MISSING, None)
                for span in (*earlier, *spans)
            ]

        return requests.complete(
            dataclasses.replace(KIND, symbol=symbol),
            RequestedHistory(KIND.extent, KIND.begin_ms, holes_from, origin),
            self.journal,
            settings=config.load(
                {"datasets": [{"trade_type": "spot"}], **raw}, environment={}
            ),
            path=PATH.replace(KIND.symbol, symbol),
        )

    def opens(self):
        return sorted(row[0] for rows in requests.rows_of(self.journal) for row in rows)


@pytest.fixture
def ask(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return DatasetRequest(monkeypatch)


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


def refused(code):
    return SymbolRefusedError(f"code {code}", code=code, reason="no")


@pytest.mark.parametrize("code", [-1121, -1122, -9999])
def test_a_refused_symbol_is_answered_with_its_code_for_some_hours(ask, code):
    assert ask(NEAR, FAR, failures={NEAR.start_ms: refused(code)}) is None

    assert ask.asked == [NEAR]
    told = ApiRefusal(code, "no")
    answers = [(a.span, a.rows, a.refusal) for a in ask.journal.answers]
    assert answers == [(NEAR, (), told), (FAR, (), told)]
    assert Journal(ask.journal.path).answers == ask.journal.answers
    assert ask(NEAR, FAR) is None
    assert ask.asked == []

    ask.journal.answers = [
        dataclasses.replace(a, requested_at=a.requested_at - dt.timedelta(hours=12))
        for a in ask.journal.answers
    ]
    ask(NEAR, FAR)
    assert ask.opens() == hours(NEAR) + hours(FAR)


def test_a_symbol_refused_on_a_later_page_keeps_the_earlier_ones(ask):
    span = Span(BEGIN, BEGIN + 6 * HOUR)

    assert ask(span, failures={BEGIN + 2 * HOUR: refused(-1122)}) is None

    assert ask.opens() == hours(Span(BEGIN, BEGIN + 2 * HOUR))
    assert ask.journal.answers[-1].span == Span(BEGIN + 2 * HOUR, span.end_ms)


def refuse(ask, number, *, code=-9999, first=0):
    """Refuse so many symbols; return what came of the last."""
    for n in range(first, first + number):
        ask.journal = Journal(Path(f"{n}.answers.jsonl"))
        failures = {NEAR.start_ms: refused(code)}
        last = ask(NEAR, failures=failures, symbol=f"S{n}USDT")
    return last


def test_an_unknown_code_of_the_first_20_symbols_is_the_markets(ask, caplog):
    assert refuse(ask, 19) is None
    assert unanswered.count(Path()) == 0

    with caplog.at_level(logging.INFO):
        message = refuse(ask, 1, first=19)
        ask.journal = Journal(Path("other.answers.jsonl"))
        assert ask(NEAR, symbol="OTHERUSDT") == message

    assert "-9999" in message
    assert ask.asked == []
    warned = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert warned == [message]
    assert unanswered.count(Path()) == 20
    assert refusal.message(Path()) is None


@pytest.mark.parametrize("otherwise", ["answered", "another code", "documented"])
def test_an_unknown_code_is_the_symbols_if_not_all_have_it(ask, otherwise):
    refuse(ask, 10)
    ask.journal = Journal(Path("other.answers.jsonl"))
    failures = {
        "answered": {},
        "another code": {NEAR.start_ms: refused(-9998)},
        "documented": {NEAR.start_ms: refused(-1121)},
    }[otherwise]
    ask(NEAR, failures=failures, symbol="OTHERUSDT")

    assert refuse(ask, 20, first=10) is None


def test_a_documented_code_is_never_the_markets(ask):
    assert refuse(ask, 25, code=-1122) is None
    assert refusal.message(Path()).count("-1122") == 1


def test_the_symbols_of_a_run_are_reported_once_by_code(ask):
    refuse(ask, 7, code=-1122)
    refuse(ask, 7, code=-1122)
    refuse(ask, 1, code=-1121, first=7)

    few, many = refusal.message(Path()).splitlines()

    assert "spot refused 1 symbol(s) with code -1121 (no): S7USDT;" in many
    assert "spot refused 7 symbol(s) with code -1122" in few
    assert "S0USDT, S1USDT, S2USDT, S3USDT, S4USDT and 2 more;" in few
    refusal.forget(Path())
    assert refusal.message(Path()) is None


def test_an_unknown_field_is_reported_once_a_run(ask, caplog):
    for span in (NEAR, FAR):
        ask(span, unknown={"'mood' of a funding event"})

    (record,) = caplog.records
    assert "'mood' of a funding event" in record.getMessage()
    refusal.forget(Path())
    ask(FARTHER, unknown={"'mood' of a funding event"})
    assert len(caplog.records) == 2


ORIGIN = Origin(since_ms=0, first_ms=NEAR.start_ms, lookback_ms=None)


def test_bars_before_those_of_the_archive_are_asked_for(ask):
    first_ms = NEAR.start_ms - 5 * HOUR

    ask(NEAR, origin=ORIGIN, first_ms=first_ms)

    rest = Span(first_ms + HOUR, NEAR.end_ms)
    assert ask.asked == [Span(0, NEAR.start_ms), rest]
    assert ask.opens() == hours(Span(first_ms, NEAR.end_ms))


def test_a_symbol_refused_at_its_first_bar_is_not_asked_further(ask):
    failures = {0: refused(-1121)}

    assert ask(NEAR, origin=ORIGIN, failures=failures) is None

    assert ask.asked == [Span(0, NEAR.start_ms)]
    assert [a.span for a in ask.journal.answers] == [ask.asked[0], NEAR]


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

    record = api_use.read(Path()).row(0, named=True)
    assert record["path"] == PATH
    assert record["requests"] == 3
    assert record["rows"] == (2 if failures else 4)


def test_rows_are_in_the_order_in_which_they_were_asked_for(ask):
    requested_at = dt.datetime(2025, 3, 1, tzinfo=dt.UTC)
    later = Answer(NEAR, requested_at + dt.timedelta(hours=1), (("later",),))
    for answer in (later, Answer(NEAR, requested_at, (("earlier",),))):
        ask.journal.append(answer)

    assert requests.rows_of(ask.journal) == [(("earlier",),), (("later",),)]
