"""Sections of the page, and their text without data."""

import pytest

from bhds.report.findings import gather
from bhds.report.sections import sections
from bhds.schemas import quality_tables

from .conftest import day_rows


@pytest.fixture
def parts_of():
    """Return the parts of the page of a data directory, by name."""

    def lay_out(data):
        found = sections(gather(data.tables, data_dir=data.root))
        return {section.name: section for section in found}

    return lay_out


def test_all_sections_are_in_order(parts_of, data_dir):
    parts = parts_of(data_dir)

    assert list(parts) == [
        *("summary", "coverage", "gaps", "pictures", "files", "conflicts"),
        *("reconciliation", "api", "sources"),
    ]
    assert all(part.blocks for part in parts.values())


def test_names_of_blocks_are_unique(parts_of, data_dir):
    names = [
        block.name for part in parts_of(data_dir).values() for block in part.blocks
    ]

    assert len(set(names)) == len(names)


def test_files_are_counted_with_those_that_were_replaced(parts_of, data_dir):
    text = " ".join(parts_of(data_dir)["files"].sentences)

    assert "2 files (17 bytes; zips and CHECKSUMs) were downloaded" in text
    assert "1 of them in more than one revision" in text


def test_data_without_results_has_neither_gaps_nor_comparisons(parts_of, empty_dir):
    days = day_rows("AUSDT", conditions=["available"])
    empty_dir.quality("um_futures", "condition-metrics", days, quality_tables.CONDITION)

    parts = parts_of(empty_dir)

    said = {name: " ".join(part.sentences) for name, part in parts.items()}
    assert "Gaps are searched for in klines" in said["gaps"]
    assert "Conflicts are searched for in klines" in said["conflicts"]
    assert "add a dataset such as 1d klines" in said["reconciliation"]
    assert "No symbol has gaps" in said["pictures"]
    assert [block.name for block in parts["sources"].blocks] == ["sources-table"]


def test_a_market_without_gaps_has_a_sentence_of_its_own(parts_of, empty_dir):
    empty_dir.quality("spot", "gaps-1m", [], quality_tables.CLASSIFIED_GAPS)

    assert parts_of(empty_dir)["gaps"].sentences == (
        "There are no gaps: every symbol traded in every bar.",
    )


def test_days_on_which_trades_add_up_are_counted(parts_of, data_dir):
    text = " ".join(parts_of(data_dir)["reconciliation"].sentences)

    assert "On 0 of 1 checked days" in text
