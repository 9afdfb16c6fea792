import datetime as dt

import polars as pl
import pytest

from bhds.archive.integrity.zip_input import FilePeriod
from bhds.core.errors import ParseError
from bhds.core.markets import Interval
from bhds.core.timegrid import TIME
from bhds.parse.csv_reader import CsvBody
from bhds.parse.times import check_times, microseconds
from bhds.schemas.csv_table import Field, Form, Table

from .conftest import utc

DAY = FilePeriod.parse("2024-01-02")
BODY = CsvBody(
    layout=("time",), has_header=True, rows=0, data=b"", warnings=(), first_line=2
)
MINUTE = dt.timedelta(minutes=1)


def ms(text):
    return int(utc(text).timestamp() * 1000)


def table_of(kind, *names, slack=dt.timedelta()):
    fields = tuple(Field(name, kind) for name in names)
    return Table(fields, schema=pl.Schema(), key=(), time=names[0], slack=slack)


def check(table, columns, *, interval=None):
    return check_times(
        pl.DataFrame(columns),
        body=BODY,
        period=DAY,
        table=table,
        interval=interval and Interval.parse(interval),
    )


def check_clock(*texts, slack=MINUTE):
    times = pl.Series([utc(text) for text in texts], dtype=TIME)
    return check(table_of(Form.CLOCK, "time", slack=slack), {"time": times})


def check_event(text, *, event, slack=MINUTE):
    table = table_of(Form.EPOCH, "time", "event_time", slack=slack)
    return check(table, {"time": [ms(text)], "event_time": [event]})


def test_unit_is_told_by_the_magnitude():
    table = table_of(Form.EPOCH, "time")

    assert check(table, {"time": [ms("2024-01-02")]}) == "ms"
    assert check(table, {"time": [ms("2024-01-02") * 1000]}) == "us"


def test_file_without_rows_has_no_unit():
    empty = pl.Series([], dtype=pl.Int64)

    assert check(table_of(Form.EPOCH, "time"), {"time": empty}) is None


def test_text_is_at_the_resolution_of_seconds():
    assert check_clock("2024-01-02T00:00", "2024-01-02T23:59:59") == "s"


@pytest.mark.parametrize("text", ["2024-01-01T23:59:00", "2024-01-03T00:00:59"])
def test_time_may_be_outside_by_less_than_the_slack(text):
    assert check_clock(text) == "s"
    assert check_event(text, event=ms("2024-01-02")) == "ms"


@pytest.mark.parametrize("text", ["2024-01-01T23:58:59", "2024-01-03T00:01:00"])
def test_time_outside_by_more_is_refused(text):
    with pytest.raises(ParseError) as refused:
        check_clock("2024-01-02", text)

    assert str(refused.value) == (
        f"line 3: time {text}+00:00: expected a time of 2024-01-02 to 2024-01-02, "
        "give or take 0:01:00"
    )
    with pytest.raises(ParseError, match=f"line 2: time {ms(text)} is {text}"):
        check_event(text, event=ms("2024-01-02"))


def test_without_slack_the_period_is_exact():
    assert check_clock("2024-01-02T23:59:59", slack=dt.timedelta()) == "s"
    with pytest.raises(ParseError, match="expected a time of 2024-01-02 to 2024-01-02"):
        check_clock("2024-01-03", slack=dt.timedelta())


def test_other_times_are_checked_for_their_unit_only():
    assert check_event("2024-01-02", event=ms("2024-02-01")) == "ms"
    with pytest.raises(ParseError, match=r"line 2: event_time 170.*: expected ms, as"):
        check_event("2024-01-02", event=ms("2024-01-02") * 1000)
    with pytest.raises(ParseError, match="event_time 7: expected a time in ms or µs"):
        check_event("2024-01-02", event=7)


@pytest.mark.parametrize(
    ("close", "is_right"),
    [("2024-01-03T00:59:59", True), ("2024-01-03T01:00", False)],
)
def test_close_of_a_bar_may_be_a_bar_later_than_the_period(close, is_right):
    table = table_of(Form.EPOCH, "open_time", "close_time")
    bar = {"open_time": [ms("2024-01-02T23:30")], "close_time": [ms(close)]}

    if is_right:
        assert check(table, bar, interval="1h") == "ms"
    else:
        with pytest.raises(ParseError, match="line 2: close_time"):
            check(table, bar, interval="1h")


def test_times_of_both_units_become_microseconds():
    times = pl.Series([ms("2024-01-02"), ms("2025-01-02") * 1000 + 7])

    scaled = pl.select(microseconds(pl.lit(times)).cast(TIME)).to_series()

    later = utc("2025-01-02") + dt.timedelta(microseconds=7)
    assert scaled.to_list() == [utc("2024-01-02"), later]
