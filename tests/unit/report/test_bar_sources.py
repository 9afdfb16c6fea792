"""Rows by source."""

import datetime as dt

import pytest

from bhds.report import bar_sources
from bhds.schemas import quality_tables

from .conftest import day_rows, of_series


@pytest.fixture
def months():
    rows = day_rows("A", conditions=["available"] * 3 + ["degraded"])
    return bar_sources.by_month(of_series(rows, quality_tables.CONDITION))


def test_rows_are_added_up_by_month_and_source(months):
    assert months.select("month", "daily", "api", "filled").rows() == [
        (dt.date(2025, 1, 1), 2880, 0, 0),
        (dt.date(2025, 2, 1), 1440, 1000, 440),
    ]


def test_a_series_has_its_sums_and_shares(months):
    (row,) = bar_sources.table(months).values()

    assert row[2:] == [5760, 0, 4320, 1000, 1000 / 5760, 440, 440 / 5760]
