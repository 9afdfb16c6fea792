"""Values as they go into the page, and rows that are too many for it."""

import datetime as dt

import polars as pl

from bhds.core.timegrid import TIME
from bhds.report.blocks import ReportTable, TableColumn, capped


def values(series):
    table = ReportTable(
        "t", "caption", (TableColumn("x", "X"),), pl.DataFrame({"x": series})
    )
    return [value for (value,) in table.values()]


def test_times_are_cut_to_the_minute_unless_they_have_seconds():
    times = [dt.datetime(2025, 1, 2, 3, 4), dt.datetime(2025, 1, 2, 3, 4, 5), None]  # noqa: DTZ001
    series = pl.Series(times, dtype=pl.Datetime("us")).cast(TIME)

    assert values(series) == ["2025-01-02 03:04", "2025-01-02 03:04:05", None]


def test_days_are_text_and_durations_are_seconds():
    assert values([dt.date(2025, 1, 2)]) == ["2025-01-02"]
    assert values([dt.timedelta(hours=1, seconds=1)]) == [3601]


def test_what_is_no_number_is_left_out():
    assert values([1.5, float("nan"), float("inf"), None]) == [1.5, None, None, None]


def test_a_table_shows_its_columns_alone_in_their_order():
    rows = pl.DataFrame({"a": [1], "b": [2], "c": [3]})

    table = ReportTable(
        "t", "caption", (TableColumn("c", "C"), TableColumn("a", "A")), rows
    )

    assert table.values() == [[3, 1]]


def test_rows_beyond_the_limit_are_counted_and_said_where():
    rows = pl.DataFrame({"a": range(1_500)})

    shown, note = capped(rows, at=1_000, where="all.parquet")

    assert shown["a"].to_list() == list(range(1_000))
    assert note == "1,000 of 1,500 are shown; all are in all.parquet."


def test_rows_within_the_limit_are_all_shown():
    shown, note = capped(pl.DataFrame({"a": [1, 2]}), at=2, where="all.parquet")

    assert shown.height == 2
    assert note == "All 2 are shown; the full table is all.parquet."
