"""The parts of the page, and what they say where there is nothing to show."""

import pytest

from bhds.report.findings import gather
from bhds.report.sections import sections
from bhds.schemas import klines

from .conftest import day_rows


@pytest.fixture
def parts_of():
    """Return the parts of the page of a data directory, by name."""

    def lay_out(data):
        found = sections(gather(data.tables, data_dir=data.root))
        return {section.name: section for section in found}

    return lay_out


def test_the_parts_stand_in_order_and_none_lacks(parts_of, data_dir):
    parts = parts_of(data_dir)

    assert list(parts) == [
        *("summary", "coverage", "gaps", "pictures", "files", "conflicts", "proofs"),
        *("api", "sources"),
    ]
    assert all(part.blocks for part in parts.values())


def test_names_of_blocks_are_unique(parts_of, data_dir):
    names = [
        block.name for part in parts_of(data_dir).values() for block in part.blocks
    ]

    assert len(set(names)) == len(names)


def test_files_are_counted_with_those_that_were_replaced(parts_of, data_dir):
    text = " ".join(parts_of(data_dir)["files"].sentences)

    assert "2 files (17 bytes; zips and CHECKSUMs) came from the archive, 1 of" in text


def test_data_without_results_has_neither_gaps_nor_proofs(parts_of, empty_dir):
    days = day_rows("AUSDT", conditions=["available"])
    empty_dir.quality("um_futures", "condition-metrics", days, klines.CONDITION)

    parts = parts_of(empty_dir)

    said = {name: " ".join(part.sentences) for name, part in parts.items()}
    assert "Gaps are looked for in klines" in said["gaps"]
    assert "Conflicts are looked for in klines" in said["conflicts"]
    assert "a dataset of 1d klines" in said["proofs"]
    assert "No symbol has gaps" in said["pictures"]
    assert [block.name for block in parts["sources"].blocks] == ["sources-table"]


def test_a_market_without_gaps_is_told_from_one_in_which_none_are_looked_for(
    parts_of, empty_dir
):
    empty_dir.quality("spot", "gaps-1m", [], klines.CLASSIFIED_GAPS)

    assert parts_of(empty_dir)["gaps"].sentences == (
        "Every symbol traded in every bar: there are no gaps.",
    )


def test_days_on_which_trades_add_up_are_counted(parts_of, data_dir):
    text = " ".join(parts_of(data_dir)["proofs"].sentences)

    assert "On 0 of 1 days that were checked" in text
