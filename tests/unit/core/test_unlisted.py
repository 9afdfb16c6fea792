"""Times in which a symbol was not listed."""

import datetime as dt

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from bhds.core.timegrid import TIME
from bhds.core.unlisted import is_unlisted

HOURS = st.integers(0, 12).map(lambda n: dt.datetime(2024, 1, 1, n, tzinfo=dt.UTC))
PERIODS = st.lists(st.tuples(HOURS, st.none() | HOURS), max_size=3)


@given(HOURS, PERIODS, st.none() | st.integers(0, 3))
def test_a_period_includes_its_start_and_not_its_end(time, periods, lasting):
    """One without an end goes on."""
    until = time + dt.timedelta(hours=lasting or 0)
    moments = pl.DataFrame({"time": [time], "until": [until]}).cast(TIME)

    found = moments.select(
        is_unlisted(
            pl.col("time"),
            tuple(periods),
            until=None if lasting is None else pl.col("until"),
        )
    )

    assert found.item() == any(
        until >= start and (end is None or time < end) for start, end in periods
    )
