"""Gaps by month and class, and those that are listed."""

import datetime as dt

from bhds.report import gaps
from bhds.schemas import quality_tables

from .conftest import gap_row, of_series, rows_of


def gaps_of(*rows):
    return of_series(rows, quality_tables.CLASSIFIED_GAPS)


def test_gaps_are_counted_by_the_month_in_which_they_begin():
    found = gaps_of(
        gap_row("A", begin=0, minutes=5000, name="halt"),
        gap_row("B", begin=10, minutes=5, name="halt"),
        gap_row("A", begin=5000, minutes=5, name="outage"),
    )

    months = gaps.by_month(found)

    assert months.rows() == [
        ("spot", "klines 1m", "outage", dt.date(2025, 2, 1), 1, 1),
        ("spot", "klines 1m", "halt", dt.date(2025, 1, 1), 2, 2),
    ]


def test_a_class_has_its_bars_and_its_longest_gap():
    found = gaps_of(
        gap_row("A", begin=0, minutes=5, name="halt"),
        gap_row("A", begin=9, minutes=1500, name="halt"),
    )

    (row,) = rows_of(gaps.by_class(found))

    assert (row["gaps"], row["symbols"], row["missing"]) == (2, 1, 1503)
    assert row["longest"] == 1500 * 60
    assert row["split"] == 1
    assert row["meaning"] == "trading of the symbol halted"


def test_a_symbol_loses_no_time_after_its_last_trade():
    found = gaps_of(
        gap_row("A", begin=0, minutes=60, name="halt"),
        gap_row("A", begin=90, minutes=30, name="outage"),
        gap_row("A", begin=500, minutes=9000, name="delisted_tail"),
    )

    (row,) = gaps.by_symbol(found).rows(named=True)

    assert (row["symbol"], row["gaps"]) == ("A", 3)
    assert row["lost"] == dt.timedelta(minutes=90)


def test_every_class_has_a_colour_of_its_own():
    assert list(gaps.CLASSES) == quality_tables.GAP_CLASSES.categories.to_list()
    assert len({colour for colour, _ in gaps.CLASSES.values()}) == len(gaps.CLASSES)


def test_of_many_gaps_the_longest_of_each_class_are_listed():
    many = [gap_row("A", begin=n, minutes=n + 2, name="halt") for n in range(400)]
    found = gaps_of(*many, gap_row("B", begin=0, minutes=2, name="outage"))

    table = gaps.longest(found, where="gaps.parquet")

    rows = rows_of(table)
    assert len(rows) == 251
    assert rows[0]["duration"] == 401 * 60
    assert min(row["duration"] for row in rows if row["class"] == "halt") == 152 * 60
    assert rows[-1]["class"] == "outage"
    assert table.note == (
        "251 of 401 are shown, the 250 longest of each class in each market; all are "
        "in gaps.parquet."
    )


def test_a_gap_has_the_number_of_silent_others():
    found = gaps_of(
        gap_row("A", begin=0, minutes=9, name="outage", n_peers=7, n_peers_silent=6)
    )

    (row,) = rows_of(gaps.longest(found, where="x"))

    assert row["others"] == "6 of 7"
    assert row["prev_open_time"] == "2025-01-30 00:00"
    assert row["next_open_time"] == "2025-01-30 00:09"
