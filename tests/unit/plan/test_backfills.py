"""Which days the API is asked to fill."""

import datetime as dt

import pytest

from bhds.core.listing_period import STAYS_OPEN, ListingPeriod
from bhds.plan.backfills import Backfill, backfills_of


def day(text):
    return dt.date.fromisoformat(text)


def fill(first, last, last_wanted, *, start=None, is_whole=True):
    """The fill of one symbol, by its listing period; None if it has none."""
    found = backfills_of(
        {"AUSDT": ListingPeriod(day(first), day(last))},
        start=start and day(start),
        last_day=day(last_wanted),
        is_whole=is_whole,
    )
    return found.get("AUSDT")


@pytest.mark.parametrize(
    ("first", "last", "start", "expected"),
    [
        pytest.param(
            *("2023-11-05", "2025-03-08", None),
            Backfill(day("2023-11-05"), day("2025-03-09"), is_first=True),
            id="until the last day wanted",
        ),
        pytest.param(
            *("2024-05-01", "2025-02-28", "2025-03-05"),
            Backfill(day("2025-03-05"), day("2025-03-09"), is_first=False),
            id="files older than the start, while it may live",
        ),
        pytest.param(
            *("2022-04-01", "2022-06-10", "2025-03-05"),
            None,
            id="ended before the start",
        ),
    ],
)
def test_a_symbol_is_filled_in_its_life(first, last, start, expected):
    assert fill(first, last, "2025-03-09", start=start) == expected


def test_what_is_asked_of_a_delisted_symbol_does_not_change_from_day_to_day():
    early, late = (
        fill("2022-04-01", "2022-06-10", wanted)
        for wanted in ("2025-03-09", "2025-03-10")
    )

    assert early == late
    assert early.last_day == day("2022-06-10") + STAYS_OPEN


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
    found = fill("2025-02-01", "2025-03-08", "2025-03-09", start=start)

    assert (found.first_day, found.is_first) == (day(first_day), is_first)


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
    found = fill(
        "2025-01-10", "2026-03-08", "2026-03-09", start=start, is_whole=is_whole
    )

    assert found.since == (since and day(since))
