import datetime as dt

import polars as pl
import pytest

from bhds.core.markets import Interval
from bhds.quality.evidence import Evidence
from bhds.schemas.quality_tables import GAP_EVIDENCE, GAPS

DAY = 24 * 60
MINUTE = Interval.parse("1m")


@pytest.fixture
def judged(at):
    """Say what some sources have of one gap between two minutes."""

    def judged(sources, last, first, *, untraded=0, missing=1, interval=MINUTE):
        tail = first is None
        row = {
            "symbol": "AUSDT",
            "prev_open_time": at(last),
            "next_open_time": None if tail else at(first),
            "missing_bars": missing,
            "untraded_bars": untraded,
            "duration": dt.timedelta(minutes=untraded if tail else first - last),
            "price_change": None,
            "split": False,
        }
        gaps = pl.DataFrame([row], schema=GAPS)
        found = Evidence.of(sources).on_gaps(gaps, interval=interval)
        assert found.schema == GAP_EVIDENCE
        return found.row(0, named=True)

    return judged


@pytest.mark.parametrize(
    ("last", "first", "counts"),
    [
        pytest.param(10, 20, (0, 0), id="within a day"),
        pytest.param(10, DAY, (0, 0), id="to midnight"),
        pytest.param(10, DAY + 1, (0, 1), id="past midnight"),
        pytest.param(DAY - 1, 2 * DAY, (1, 1), id="one whole day"),
        pytest.param(10, 3 * DAY + 5, (2, 2), id="two whole days"),
        pytest.param(DAY - 1, 5 * DAY, (4, 3), id="four, one of which has a file"),
    ],
)
def test_days_without_bars_and_without_files_are_counted(
    judged, zip_entry, last, first, counts
):
    days = ["2024-01-01", "2024-01-04", "2024-01-06"]
    sources = [{"inputs": [zip_entry(day, last=0) for day in days]}]

    found = judged(sources, last, first)

    assert (found["empty_days"], found["absent_days"]) == counts
    expected = dt.date(2024, 1, 2) if counts[1] else None
    assert found["first_absent_day"] == expected


def test_a_month_is_a_file_of_each_of_its_days(judged, zip_entry):
    sources = [{"inputs": [zip_entry("2024-01", last=31 * DAY - 1)]}]

    found = judged(sources, DAY - 1, 9 * DAY)

    assert (found["empty_days"], found["absent_days"]) == (8, 0)


@pytest.mark.parametrize("integrity_status", ["corrupt", "vanished"])
def test_a_file_of_no_use_is_no_file(judged, zip_entry, integrity_status):
    sources = [{"inputs": [zip_entry("2024-01-02", integrity_status=integrity_status)]}]

    assert judged(sources, DAY + 5, DAY + 9)["absent_days"] == 1


@pytest.mark.parametrize(
    ("entries", "first", "expected"),
    [
        pytest.param([("2024-01-01", 100)], DAY, True, id="to the end of its day"),
        pytest.param([("2024-01-01", 100)], 2 * DAY, True, id="and no file after"),
        pytest.param([("2024-01-01", DAY - 1)], 200, False, id="it goes on"),
        pytest.param([("2024-01", 100)], 31 * DAY, True, id="a month"),
        pytest.param(
            [("2024-01", 100), ("2024-01-01", DAY - 1)], DAY, False, id="not both"
        ),
        pytest.param([], DAY, False, id="no file"),
    ],
)
def test_a_file_that_ends_where_the_gap_begins_is_truncated(
    judged, zip_entry, entries, first, expected
):
    sources = [{"inputs": [zip_entry(day, last=last) for day, last in entries]}]

    assert judged(sources, 100, first)["truncated"] is expected


@pytest.mark.parametrize(
    ("holes", "expected"),
    [
        pytest.param([], "not_requested", id="none"),
        pytest.param([(0, 11), (50, 90)], "not_requested", id="others"),
        pytest.param([(0, 12)], "empty", id="its first bar"),
        pytest.param([(19, 30)], "empty", id="its last bar"),
        pytest.param([(0, 15, "part")], "empty", id="some came"),
        pytest.param([(0, 15), (15, 30, "pending")], "pending", id="a part is not yet"),
        pytest.param(
            [(0, 15, "unanswered"), (15, 30, "pending")], "unanswered", id="the worst"
        ),
    ],
)
def test_what_the_api_said_of_a_gap(judged, hole, holes, expected):
    sources = [{"missing_ranges": [hole(*each) for each in holes]}, {"inputs": []}]

    assert judged(sources, 10, 20)["api"] == expected
    assert judged(sources, 10, 20, missing=0)["api"] is None


def test_a_tail_is_judged_up_to_its_last_bar(judged, zip_entry):
    sources = [{"inputs": [zip_entry("2024-01-01", last=DAY - 1)]}]

    found = judged(sources, DAY - 1, None, untraded=2 * DAY)

    assert (found["empty_days"], found["absent_days"]) == (2, 2)


def test_gaps_of_months_are_judged(judged):
    found = judged([], 0, 91 * DAY, interval=Interval.parse("1mo"))

    assert found["empty_days"] == 29 + 31


def test_no_gaps_have_no_evidence():
    none = Evidence.of([]).on_gaps(GAPS.to_frame(), interval=MINUTE)

    assert none.equals(GAP_EVIDENCE.to_frame())


def test_conflicts_are_counted_by_day():
    days = [
        {"day": "2024-01-01", "present": 3, "conflicts": 2},
        {"day": "2024-01-02", "present": 3},
    ]

    found = Evidence.of([{"days": days}, {"days": days[:1]}])

    assert found.conflict_days == {dt.date(2024, 1, 1): 4}
