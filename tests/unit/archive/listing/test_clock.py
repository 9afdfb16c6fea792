"""This machine's clock, held against a server's."""

import datetime as dt

import pytest

from bhds.archive.listing import clock

NOW = dt.datetime(2025, 3, 10, 12, 0, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Date": "Mon, 10 Mar 2025 12:00:00 GMT"},
        {"Date": "Mon, 10 Mar 2025 11:00:00 GMT"},
        {"Date": "Mon, 10 Mar 2025 13:00:00 GMT"},
        {"Date": "Mon, 10 Mar 2025 02:00:00 GMT", "Age": "36000"},
        {"Date": "Mon, 10 Mar 2025 12:00:00 -0000"},
        {"Date": "soon"},
        {"Date": "Mon, 10 Mar 2024 12:00:00 GMT", "Age": "long"},
        {"Date": "Mon, 10 Mar 2024 12:00:00 GMT", "Age": "9" * 30},
        {"Date": "Mon, 10 Mar 2024 12:00:00 GMT", "Age": "9" * 5_000},
        {"Date": "Fri, 31 Dec 9999 23:59:59 GMT", "Age": "36000"},
    ],
)
def test_a_clock_that_agrees_or_cannot_be_compared_is_no_fault(headers):
    assert clock.fault(headers, now=NOW) is None


@pytest.mark.parametrize(
    "date", ["Mon, 10 Mar 2025 10:59:59 GMT", "Tue, 10 Mar 2026 12:00:00 GMT"]
)
def test_a_clock_that_is_wrong_is_told_with_both_times_and_what_to_do(date):
    fault = clock.fault({"Date": date}, now=NOW)

    assert "this machine says 2025-03-10 12:00 UTC" in fault
    assert "set the clock" in fault
    assert "as_of" in fault
