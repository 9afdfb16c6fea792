import pytest

from bhds.core.errors import ResultError
from bhds.reader.availability import CheckedSeries, refuse_unavailable
from bhds.reader.files import BuiltMarket, of_results
from bhds.reader.period import TimeRange

AVAILABLE = [f"AUSDT 2025-03-0{day} available" for day in (1, 2, 3)]


@pytest.fixture
def check(data):
    def look(start=None, end=None, *, symbols="AUSDT"):
        refuse_unavailable(
            of_results(data.path("klines/1m"), symbols, suffix=".pqt"),
            market=BuiltMarket.of("um_futures", data.folder),
            series=CheckedSeries("klines", "1m"),
            period=TimeRange.of(start, end),
        )

    return look


def test_available_days_pass(data, check):
    data.condition(AVAILABLE, as_of="2025-03-03")
    check()


@pytest.mark.parametrize("condition", ["degraded", "missing", "pending"])
def test_any_other_day_is_refused_with_its_reason(data, check, condition):
    rows = [*AVAILABLE[:2], f"AUSDT 2025-03-03 {condition}"]
    data.condition(rows, as_of="2025-03-03")
    message = rf"1 days of 1 symbols.*AUSDT 2025-03-03 {condition} \(halt\); read"
    with pytest.raises(ResultError, match=message):
        check()
    check(end="2025-03-03")


def test_days_before_a_listing_are_no_fault(data, check):
    data.condition(["AUSDT 2025-03-01 not_listed", *AVAILABLE[1:]], as_of="2025-03-03")
    check()


def test_other_symbols_do_not_matter(data, check):
    rows = [*AVAILABLE, "BUSDT 2025-03-02 missing"]
    data.condition(rows, as_of="2025-03-03")
    check()
    with pytest.raises(ResultError, match="BUSDT 2025-03-02 missing"):
        check(symbols=["AUSDT", "BUSDT"])


def test_only_some_of_many_days_are_named(data, check):
    rows = [f"AUSDT 2025-03-0{day} missing" for day in (1, 2, 3, 4)]
    data.condition(rows, as_of="2025-03-04")
    with pytest.raises(
        ResultError, match=r"4 days .*2025-03-03 missing \(halt\), \.\.\."
    ):
        check()


def test_what_was_not_judged_is_refused(data, check):
    with pytest.raises(ResultError, match=r"not built.*snakemake quality_all"):
        check()
    data.condition(AVAILABLE, as_of="2025-03-03")
    with pytest.raises(ResultError, match=r"condition of symbols \['BUSDT'\]"):
        check(symbols=["AUSDT", "BUSDT"])


def test_results_that_are_newer_than_the_judgement_are_refused(data, check):
    data.condition(AVAILABLE[:2], as_of="2025-03-02")
    message = "last days is not known \\(judged until 2025-03-02\\)"
    with pytest.raises(ResultError, match=message):
        check()
    check(end="2025-03-03")


def test_days_after_the_end_of_a_symbol_are_refused(data, check):
    data.condition(AVAILABLE, as_of="2025-03-31", ends='{"AUSDT": "2025-03-03"}')
    check()
    check(end="2025-03-04")
    with pytest.raises(ResultError, match="2025-03-04 was not judged"):
        check(end="2025-03-05")


def test_days_that_nobody_has_built_yet_are_refused(data, check):
    data.condition(AVAILABLE, as_of="2025-03-03")
    check("2025-03-03", "2025-03-04")
    message = "2025-03-04 was not judged .they are until 2025-03-03.*or build them"
    with pytest.raises(ResultError, match=message):
        check(end="2025-03-05")
    with pytest.raises(ResultError, match=message):
        check("2025-03-04")
