"""Which partitions the API is asked to fill."""

import datetime as dt

import pytest

from bhds.datatypes import PartitionSize
from bhds.planning.fills import STAYS_OPEN, Fill, fills_of


def day(text):
    return dt.date.fromisoformat(text)


def fills(first, last_wanted, *, size=PartitionSize.YEAR, start=None, **archived):
    """Fills of one symbol; its archived partitions, with their last days."""
    found = fills_of(
        {"AUSDT": {name.strip("_"): day(last) for name, last in archived.items()}},
        size=size,
        first_days={"AUSDT": day(first)},
        start=start and day(start),
        last_day=day(last_wanted),
    )
    return found["AUSDT"]


def test_there_is_a_fill_for_each_period_of_the_life_of_a_symbol():
    found = fills("2023-11-05", "2025-03-09", _2023="2023-12-31", _2025="2025-03-08")

    assert found == {
        "2023": Fill(
            has_archive=True,
            first_day=day("2023-11-05"),
            last_day=day("2023-12-31"),
            is_first=True,
            is_last=False,
        ),
        "2024": Fill(
            has_archive=False,
            first_day=day("2024-01-01"),
            last_day=day("2024-12-31"),
            is_first=False,
            is_last=False,
        ),
        "2025": Fill(
            has_archive=True,
            first_day=day("2025-01-01"),
            last_day=day("2025-03-09"),
            is_first=False,
            is_last=True,
        ),
    }


def test_a_new_year_has_a_fill_before_the_archive_has_its_first_file():
    found = fills("2025-06-01", "2026-01-01", _2025="2025-12-31")

    assert found["2026"] == Fill(
        has_archive=False,
        first_day=day("2026-01-01"),
        last_day=day("2026-01-01"),
        is_first=False,
        is_last=True,
    )


def test_months_are_periods_too():
    found = fills(
        "2025-01-15",
        "2025-03-02",
        size=PartitionSize.MONTH,
        **{"_2025-01": "2025-01-31", "_2025-02": "2025-02-27"},
    )

    assert [(name, f.first_day, f.last_day) for name, f in found.items()] == [
        ("2025-01", day("2025-01-15"), day("2025-01-31")),
        ("2025-02", day("2025-02-01"), day("2025-02-28")),
        ("2025-03", day("2025-03-01"), day("2025-03-02")),
    ]


def test_what_is_asked_of_a_delisted_symbol_does_not_change_from_day_to_day():
    early = fills("2022-04-01", "2025-03-09", _2022="2022-06-10")
    late = fills("2022-04-01", "2025-03-10", _2022="2022-06-10")

    assert early == late
    assert early["2022"].last_day == day("2022-06-10") + STAYS_OPEN


def test_a_symbol_without_an_archive_is_asked_for_from_its_first_day():
    found = fills("2025-03-01", "2025-03-09")

    assert found == {
        "2025": Fill(
            has_archive=False,
            first_day=day("2025-03-01"),
            last_day=day("2025-03-09"),
            is_first=True,
            is_last=True,
        )
    }


@pytest.mark.parametrize(
    ("start", "first_day", "is_first"),
    [
        ("2025-01-31", "2025-02-01", True),
        ("2025-02-01", "2025-02-01", False),
        ("2025-02-15", "2025-02-15", False),
    ],
)
def test_a_start_within_the_life_of_a_symbol_is_not_its_beginning(
    start, first_day, is_first
):
    found = fills("2025-02-01", "2025-03-09", start=start, _2025="2025-03-08")

    assert (found["2025"].first_day, found["2025"].is_first) == (
        day(first_day),
        is_first,
    )
