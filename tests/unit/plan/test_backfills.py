"""Which partitions the API is asked to fill."""

import datetime as dt

import pytest

from bhds.core.listing_period import STAYS_OPEN, ListingPeriod
from bhds.plan.backfills import Backfill, backfills_of
from bhds.schemas.datatypes import PartitionSize


def day(text):
    return dt.date.fromisoformat(text)


def fills(
    first,
    last,
    last_wanted,
    *,
    archived,
    size=PartitionSize.YEAR,
    start=None,
    is_whole=True,
):
    """Fills of one symbol, by its listing period and its archived partitions."""
    found = backfills_of(
        {"AUSDT": archived},
        size=size,
        listing_periods={"AUSDT": ListingPeriod(day(first), day(last))},
        start=start and day(start),
        last_day=day(last_wanted),
        is_whole=is_whole,
    )
    return found["AUSDT"]


@pytest.mark.parametrize(
    ("first", "last", "last_wanted", "archived", "start", "expected"),
    [
        pytest.param(
            *("2023-11-05", "2025-03-08", "2025-03-09", ["2023", "2025"], None),
            {
                "2023": ("2023-11-05", "2023-12-31", "has_archive", "is_first"),
                "2024": ("2024-01-01", "2024-12-31"),
                "2025": ("2025-01-01", "2025-03-09", "has_archive", "is_last"),
            },
            id="each period of its listing period",
        ),
        pytest.param(
            *("2025-06-01", "2025-12-31", "2026-01-01", ["2025"], None),
            {
                "2025": (
                    "2025-06-01",
                    "2025-12-31",
                    "has_archive",
                    "is_first",
                    "is_last",
                ),
                "2026": ("2026-01-01", "2026-01-01", "is_last"),
            },
            id="a new year before its first file",
        ),
        pytest.param(
            *("2025-03-01", "2025-03-08", "2025-03-09", [], None),
            {"2025": ("2025-03-01", "2025-03-09", "is_first", "is_last")},
            id="no archive",
        ),
        pytest.param(
            *("2024-05-01", "2025-02-28", "2025-03-09", [], "2025-03-05"),
            {"2025": ("2025-03-05", "2025-03-09", "is_last")},
            id="files older than the start, while it may live",
        ),
        pytest.param(
            *("2022-04-01", "2022-06-10", "2025-03-09", [], "2025-03-05"),
            {},
            id="ended before the start",
        ),
    ],
)
def test_there_is_a_fill_for_each_period_of_the_life_of_a_symbol(  # noqa: PLR0917
    first, last, last_wanted, archived, start, expected
):
    found = fills(first, last, last_wanted, archived=archived, start=start)

    flags = ("has_archive", "is_first", "is_last")
    assert found == {
        name: Backfill(
            first_day=day(first_day),
            last_day=day(last_day),
            **{flag: flag in true for flag in flags},
        )
        for name, (first_day, last_day, *true) in expected.items()
    }


def test_months_are_periods_too():
    found = fills(
        "2025-01-15",
        "2025-02-27",
        "2025-03-02",
        archived=["2025-01", "2025-02"],
        size=PartitionSize.MONTH,
    )

    assert [(name, f.first_day, f.last_day) for name, f in found.items()] == [
        ("2025-01", day("2025-01-15"), day("2025-01-31")),
        ("2025-02", day("2025-02-01"), day("2025-02-28")),
        ("2025-03", day("2025-03-01"), day("2025-03-02")),
    ]


def test_what_is_asked_of_a_delisted_symbol_does_not_change_from_day_to_day():
    early, late = (
        fills("2022-04-01", "2022-06-10", wanted, archived=["2022"])
        for wanted in ("2025-03-09", "2025-03-10")
    )

    assert early == late
    assert early["2022"].last_day == day("2022-06-10") + STAYS_OPEN


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
    found = fills(
        "2025-02-01", "2025-03-08", "2025-03-09", archived=["2025"], start=start
    )

    assert (found["2025"].first_day, found["2025"].is_first) == (
        day(first_day),
        is_first,
    )


@pytest.mark.parametrize(
    ("start", "is_whole", "since"),
    [
        (None, True, None),
        ("2024-06-01", True, "2024-06-01"),
        ("2025-01-15", True, None),  # the fill begins at the start
        (None, False, "2025-01-10"),
        ("2024-06-01", False, "2025-01-10"),
    ],
)
def test_the_first_row_is_searched_from_the_start_on(start, is_whole, since):
    found = fills(
        "2025-01-10",
        "2026-03-08",
        "2026-03-09",
        archived=["2025", "2026"],
        start=start,
        is_whole=is_whole,
    )

    assert found["2025"].since == (since and day(since))
    assert found["2026"].since is None
