"""Bars that are asked for without a partition."""

import datetime as dt

import pytest

from bhds.backfill.by_hand import days_span
from bhds.core.errors import ConfigError

DAY = dt.date(2025, 3, 6)
DAY_MS = 86_400_000


def test_days_are_included_at_both_ends():
    span = days_span(DAY, DAY + dt.timedelta(days=1))

    assert span.end_ms - span.start_ms == 2 * DAY_MS
    assert span.start_ms == 1_741_219_200_000


def test_days_of_the_future_are_refused():
    later = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=2)

    with pytest.raises(ConfigError, match=f"end {later} is after today"):
        days_span(DAY, later)


def test_days_the_wrong_way_round_are_refused():
    with pytest.raises(ConfigError, match="swap them"):
        days_span(DAY, DAY - dt.timedelta(days=1))
