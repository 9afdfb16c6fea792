import datetime as dt

import polars as pl
import pytest

from bhds.core.markets import Interval
from bhds.core.timegrid import TIME
from bhds.quality.day_condition import judge
from bhds.schemas.quality_tables import (
    CLASSIFIED_GAPS,
    CONDITION,
    DAY_FAULTS,
    DAYS,
    GAP_EVIDENCE,
)

START = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
CHANGES = {
    "symbol": pl.String,
    "first_day": pl.Date,
    "last_day": pl.Date,
    "last_modified": TIME,
}
FOLDER = "data/spot/{frequency}/klines/AUSDT/1m/AUSDT-1m-{period}.zip"


def moment(minutes):
    """Return the time some minutes after 2024-01-01, UTC."""
    return START + dt.timedelta(minutes=minutes)


def judge_days(table, *, changes=(), gaps=(), as_of=dt.date(2024, 1, 31), **more):
    """Judge a table of days of 1m bars; changes are the rows of a table too."""
    found = judge(
        table,
        gaps=pl.DataFrame(list(gaps), schema=CLASSIFIED_GAPS),
        changes=pl.DataFrame(list(changes), schema=CHANGES, orient="row"),
        **({"interval": Interval.parse("1m")} | more),
        as_of=as_of,
    )
    assert found.schema == CONDITION
    return found


@pytest.fixture
def at():
    return moment


@pytest.fixture
def zip_entry():
    """Make the entry of a zip in a partition's sources."""

    def entry(period, *, last=None, first=None, integrity_status="ok"):
        frequency = "daily" if period.count("-") == 2 else "monthly"
        return {
            "key": FOLDER.format(frequency=frequency, period=period),
            "integrity_status": integrity_status,
            "first_time": None if first is None else moment(first).isoformat(),
            "last_time": None if last is None else moment(last).isoformat(),
        }

    return entry


@pytest.fixture
def hole():
    """Make the entry of a hole in a fill's sources."""

    def entry(start, end, status="empty"):
        times = {"start": moment(start).isoformat(), "end": moment(end).isoformat()}
        return {**times, "status": status}

    return entry


@pytest.fixture
def gap():
    """Make a row of gaps with evidence between two minutes after 2024-01-01."""

    def row(last, first, *, symbol="AUSDT", untraded=0, **evidence):
        tail = first is None
        duration = untraded if tail else first - last
        return {
            "symbol": symbol,
            "prev_open_time": moment(last),
            "next_open_time": None if tail else moment(first),
            "missing_bars": 0 if tail else first - last - 1 - untraded,
            "untraded_bars": untraded,
            "duration": dt.timedelta(minutes=duration),
            "price_change": None if tail else 0.0,
            "split": False,
            "trimmed": False,
            "empty_days": 0,
            "absent_days": 0,
            "first_absent_day": None,
            "truncated": False,
            "api": "empty",
            **evidence,
        }

    return row


@pytest.fixture
def gaps_of():
    def table(*rows):
        return pl.DataFrame(rows, schema=GAP_EVIDENCE)

    return table


@pytest.fixture
def day():
    """Make a row of days: a whole one of the archive unless said otherwise."""

    def row(date, *, symbol="AUSDT", **columns):
        return {
            "symbol": symbol,
            "day": dt.date.fromisoformat(date),
            "expected": 1440,
            "daily": 1440,
            "monthly": 0,
            "api": 0,
            "filled": 0,
            "volume": None,
            "conflicts": 0,
            **dict.fromkeys((*DAY_FAULTS, "missing_trade_ids"), 0),
            "has_file": True,
            "is_corrupt": False,
            "api_answer": None,
            **columns,
        }

    return row


@pytest.fixture
def days_of():
    def table(*rows):
        return pl.DataFrame(rows, schema=DAYS)

    return table
