import datetime as dt

import polars as pl
import pytest

from bhds.core.markets import Interval, TradeType
from bhds.core.timegrid import TIME
from bhds.quality.gap_classes import classify, trading_periods_of
from bhds.quality.outages import known_outages, outages_of
from bhds.schemas.quality_tables import CLASSIFIED_GAPS

DAY = 24 * 60
MINUTE = Interval.parse("1m")
AS_OF = dt.date(2024, 3, 31)
NO_OUTAGES = pl.DataFrame(schema={"start": TIME, "end": TIME})
ABSENT = {"absent_days": 2, "first_absent_day": dt.date(2024, 1, 2)}


@pytest.fixture
def trading_periods(at):
    """The trading_period of symbols from minute 0 to 2024-03-31."""

    def trading_periods(*symbols):
        ends = [at(minute).isoformat() for minute in (0, 91 * DAY - 1)]
        return trading_periods_of((symbol, *ends) for symbol in symbols)

    return trading_periods


@pytest.fixture
def classes(gaps_of, trading_periods):
    def classes(*rows, symbols=("AUSDT",), outages=NO_OUTAGES):
        found = classify(
            gaps_of(*rows),
            trading_periods=trading_periods(*symbols),
            outages=outages,
            interval=MINUTE,
            last_day=AS_OF,
        )
        assert found.schema == CLASSIFIED_GAPS
        return found

    return classes


@pytest.mark.parametrize(
    ("first", "evidence", "expected"),
    [
        pytest.param(11, {}, "unexplained", id="a few bars"),
        pytest.param(40, {}, "halt", id="half an hour"),
        pytest.param(11, {"split": True}, "halt", id="it splits"),
        pytest.param(40, {"trimmed": True}, "relisting", id="it was not listed"),
        pytest.param(9 * DAY, {"empty_days": 7}, "relisting", id="a week"),
        pytest.param(9 * DAY, {"empty_days": 6}, "halt", id="less than a week"),
        pytest.param(
            3 * DAY, ABSENT | {"api": "not_requested"}, "missing_file", id="no file"
        ),
        pytest.param(
            3 * DAY, ABSENT | {"api": "unanswered"}, "missing_file", id="no answer"
        ),
        pytest.param(3 * DAY, ABSENT, "halt", id="no file, and the API has none"),
        pytest.param(
            3 * DAY,
            ABSENT | {"api": "not_requested", "missing_bars": 0},
            "halt",
            id="no file, and nothing is missing",
        ),
        pytest.param(
            60 * DAY,
            ABSENT | {"absent_days": 31, "api": "not_requested"},
            "relisting",
            id="no file for a month",
        ),
        pytest.param(
            3 * DAY,
            {
                "absent_days": 1,
                "first_absent_day": dt.date(2024, 3, 29),
                "api": "not_requested",
            },
            "unexplained",
            id="no file yet",
        ),
        pytest.param(
            3 * DAY,
            {
                "absent_days": 1,
                "first_absent_day": dt.date(2024, 3, 28),
                "api": "not_requested",
            },
            "missing_file",
            id="overdue",
        ),
        pytest.param(
            DAY, {"truncated": True, "api": "not_requested"}, "truncated", id="cut off"
        ),
        pytest.param(DAY, {"truncated": True}, "halt", id="cut off, the API has none"),
    ],
)
def test_a_gap_of_one_symbol_is_classed_by_files_and_api(
    classes, gap, first, evidence, expected
):
    found = classes(gap(10, first, **evidence))

    assert found["class"].to_list() == [expected]


@pytest.mark.parametrize(
    ("minutes", "trimmed", "expected"),
    [
        pytest.param(5, True, "delisted_tail", id="it has ended"),
        pytest.param(8, False, "unexplained", id="the last minutes"),
        pytest.param(DAY, False, "halt", id="the last day"),
    ],
)
def test_the_tail_of_a_symbol_that_goes_on_is_a_gap_as_others(
    classes, gap, minutes, trimmed, expected
):
    found = classes(gap(0, None, untraded=minutes, missing_bars=1, trimmed=trimmed))

    assert found["class"].to_list() == [expected]


def test_a_week_of_published_bars_without_trades_is_a_halt(classes, gap):
    row = gap(0, 9 * DAY, untraded=9 * DAY - 1, empty_days=7, split=True)

    assert classes(row)["class"].to_list() == ["halt"]


SYMBOLS = ("AUSDT", "BUSDT", "CUSDT", "DUSDT")


def test_most_symbols_at_once_make_an_outage(classes, gap):
    rows = [gap(100, 220, symbol=symbol) for symbol in SYMBOLS[:3]]

    found = classes(*rows, symbols=SYMBOLS)

    assert found["class"].to_list() == ["outage"] * 3
    assert found.select("n_peers", "n_peers_silent").unique().rows() == [(3, 2)]


@pytest.mark.parametrize(
    ("api", "expected"),
    [("empty", "outage"), ("not_requested", "halt"), ("unanswered", "halt")],
)
def test_one_other_symbol_makes_an_outage_if_the_api_confirms_it(
    classes, gap, api, expected
):
    both = [gap(100, 200, symbol=name, api=api) for name in ("AUSDT", "BUSDT")]

    found = classes(*both, symbols=("AUSDT", "BUSDT"))

    assert found["class"].to_list() == [expected] * 2


def test_half_of_the_others_make_no_outage(classes, gap):
    rows = [gap(100, 220, symbol=symbol) for symbol in SYMBOLS[:2]]

    found = classes(*rows, symbols=SYMBOLS[:3])

    assert found["class"].to_list() == ["halt"] * 2


def test_a_gap_that_only_touches_an_outage_is_none(classes, gap):
    rows = [gap(100, 220, symbol=symbol) for symbol in SYMBOLS[:3]]

    found = classes(*rows, gap(0, 900, symbol="DUSDT"), symbols=SYMBOLS)

    assert found["class"].to_list() == ["outage"] * 3 + ["halt"]
    assert found["n_peers_silent"].to_list() == [3, 3, 3, 0]


def test_the_moment_at_which_most_others_trade_counts(classes, gap):
    # Half and three quarters into the gap of D, two of the others trade again.
    rows = [gap(100, 160, symbol=symbol) for symbol in SYMBOLS[:3]]

    found = classes(*rows, gap(100, 240, symbol="DUSDT"), symbols=SYMBOLS)

    assert found["n_peers_silent"].to_list() == [3, 3, 3, 0]


def test_symbols_that_did_not_live_then_are_no_evidence(gaps_of, gap, at):
    trading_periods = trading_periods_of(
        [
            *((name, at(0).isoformat(), at(900).isoformat()) for name in SYMBOLS[:2]),
            ("CUSDT", at(300).isoformat(), at(900).isoformat()),
            ("DUSDT", at(0).isoformat(), at(90).isoformat()),
            ("EUSDT", "", ""),
        ]
    )
    rows = [gap(100, 220, symbol=symbol) for symbol in SYMBOLS[:2]]

    found = classify(
        gaps_of(*rows),
        trading_periods=trading_periods,
        outages=NO_OUTAGES,
        interval=MINUTE,
        last_day=AS_OF,
    )

    assert found.select("n_peers", "n_peers_silent").rows() == [(1, 1)] * 2


def test_files_lost_by_all_symbols_are_no_outage(classes, gap):
    lost = ABSENT | {"api": "not_requested"}
    rows = [gap(100, 3 * DAY, symbol=symbol, **lost) for symbol in SYMBOLS]

    found = classes(*rows, symbols=SYMBOLS)

    assert found["class"].to_list() == ["missing_file"] * 4


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        pytest.param((90, 230), "outage", id="around"),
        pytest.param((160, 400), "outage", id="half"),
        pytest.param((161, 400), "missing_file", id="less than half"),
        pytest.param((300, 400), "missing_file", id="later"),
    ],
)
def test_a_known_outage_needs_no_other_symbol(classes, gap, at, span, expected):
    start, end = map(at, span)
    known = pl.DataFrame({"start": [start], "end": [end]}, NO_OUTAGES.schema)

    found = classes(gap(100, 220, **ABSENT, api="not_requested"), outages=known)

    assert found["class"].to_list() == [expected]
    assert found["outage"].to_list() == [start if expected == "outage" else None]


def test_gaps_are_sorted_by_symbol_and_time(classes, gap):
    rows = [gap(50, 60, symbol="BUSDT"), gap(90, 99), gap(10, 20)]

    found = classes(*rows, symbols=SYMBOLS)

    assert found["symbol"].to_list() == ["AUSDT", "AUSDT", "BUSDT"]
    assert found["prev_open_time"].to_list()[:2] == sorted(
        found["prev_open_time"].to_list()[:2]
    )


def test_no_gaps_have_no_class(classes):
    assert classes().equals(CLASSIFIED_GAPS.to_frame())


def test_the_catalogue_is_of_spot_in_order_and_does_not_overlap():
    spans = outages_of(TradeType.SPOT)

    assert spans.rows() == [(outage.start, outage.end) for outage in known_outages()]
    assert (spans["end"] > spans["start"]).all()
    assert (spans["start"].slice(1) > spans["end"].head(-1)).all()
    assert outages_of(TradeType.UM_FUTURES).is_empty()
    assert all(outage.source for outage in known_outages())
