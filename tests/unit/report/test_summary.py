"""The totals of the page."""

import pytest

from bhds.report import coverage, summary
from bhds.report.findings import gather


@pytest.fixture
def found(data_dir):
    return gather(data_dir.tables, data_dir=data_dir.root)


def test_totals_are_of_all_markets(found):
    facts = summary.facts(found, coverage.by_symbol(found.days))

    assert {fact.label: (fact.value, fact.remark) for fact in facts} == {
        "Symbols": ("4", "in 2 markets"),
        "Symbol-days complete": ("57.89 %", "of 19 that are due"),
        "Days missing": ("6", "2 degraded"),
        "Gaps": ("2", "0 split a history"),
        "Published values equal": ("91.67 %", "of 12 compared"),
        "Conflicts": ("1", "bars with two values"),
        "Zips": ("2", "1 unusable"),
        "API rows": ("2,000", "missing in the archive"),
    }


def test_a_market_has_its_symbols_days_and_gaps(found):
    table = summary.table(found, coverage.by_symbol(found.days))

    assert [row[:3] + row[5:] for row in table.values()] == [
        ["spot", "klines 1m", 3, 14, 5 / 13, 2, 6, 1, 2],
        ["um_futures", "klines 1m", 1, 6, 1.0, 0, 0, 0, 0],
    ]


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [
        (1, 3, "33.33 %"),
        (3, 3, "100 %"),
        (99_999, 100_000, "99.99 %"),
        (0, 5, "0.00 %"),
        (0, 0, "–"),
    ],
)
def test_only_a_share_of_1_is_100_percent(part, whole, text):
    assert summary.percent(part, whole) == text
