"""The funding events that a partition lacks."""

import datetime as dt

import polars as pl
import pytest

from bhds.archive.integrity.zip_input import DAY_US, day_us
from bhds.backfill.funding import Events, missing_events
from bhds.backfill.missing_ranges import Coverage
from bhds.core.markets import TradeType
from bhds.schemas.klines import FUNDING

UM = Events(TradeType.UM_FUTURES, "AUSDT")


def at(text):
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def events(*times, hours=8):
    """Events at some times; (time, hours) where the interval is another."""
    rows = [time if isinstance(time, tuple) else (time, hours) for time in times]
    return pl.DataFrame(
        {
            "funding_time": [at(time) for time, _ in rows],
            "funding_interval_hours": [hours for _, hours in rows],
        },
        schema={
            name: FUNDING[name] for name in ("funding_time", "funding_interval_hours")
        },
    )


def month(text):
    first = dt.date.fromisoformat(f"{text}-01")
    last = (first + dt.timedelta(days=32)).replace(day=1)
    return range(day_us(first) // DAY_US, day_us(last) // DAY_US)


def found(frame, begin, end, *, usable=(), useless=(), is_first=False):
    holes = missing_events(
        frame,
        begin_ms=int(at(begin).timestamp() * 1000),
        end_ms=int(at(end).timestamp() * 1000),
        coverage=Coverage(
            frozenset(day for text in usable for day in month(text)),
            frozenset(day for text in useless for day in month(text)),
        ),
        is_first=is_first,
    )
    return [
        (
            *(
                f"{dt.datetime.fromtimestamp(ms / 1e3, dt.UTC):%m-%d %H:%M}"
                for ms in hole.span
            ),
            hole.reason.value,
        )
        for hole in holes
    ]


def every(hours, begin, end):
    """Events of an interval, from a time until another."""
    times = pl.datetime_range(
        at(begin), at(end), f"{hours}h", eager=True, closed="left"
    )
    return [(time.replace(tzinfo=None).isoformat(), hours) for time in times]


def test_months_that_the_archive_has_not_are_asked_for():
    assert found(
        events(*every(8, "2025-02-01", "2025-03-01")),
        "2025-01-01",
        "2025-05-10T12:00",
        usable=["2025-02"],
        useless=["2025-03"],
    ) == [
        ("01-01 00:00", "02-01 00:00", "missing_file"),
        ("03-01 00:00", "04-01 00:00", "corrupt"),
        ("04-01 00:00", "05-10 12:00", "tail"),
    ]


EIGHT = every(8, "2025-01-01", "2025-02-01")


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        pytest.param(EIGHT, [], id="whole"),
        pytest.param(
            [*EIGHT[:4], *EIGHT[5:]],
            [("01-02 00:01", "01-02 15:59", "missing")],
            id="one lost",
        ),
        pytest.param(
            EIGHT[1:], [("01-01 00:00", "01-01 07:59", "missing")], id="first"
        ),
        pytest.param(
            EIGHT[:-1], [("01-31 08:01", "02-01 00:00", "missing")], id="last lost"
        ),
        pytest.param(
            [
                *every(8, "2025-01-01", "2025-01-10"),
                *every(4, "2025-01-10", "2025-01-20"),
                *every(1, "2025-01-20", "2025-01-25"),
                *every(8, "2025-01-25", "2025-02-01"),
            ],
            [],
            id="changes of the interval",
        ),
        pytest.param(
            [e for e in every(4, "2025-01-01", "2025-02-01") if "01-01T04" not in e[0]],
            [("01-01 00:01", "01-01 07:59", "missing")],
            id="one lost of each 4 h",
        ),
        pytest.param([], [("01-01 00:00", "02-01 00:00", "missing")], id="all lost"),
    ],
)
def test_events_that_were_due_and_are_not_there_are_asked_for(times, expected):
    assert (
        found(events(*times), "2025-01-01", "2025-02-01", usable=["2025-01"])
        == expected
    )


@pytest.mark.parametrize(
    ("useless", "reason"), [(["2025-01"], "corrupt"), ([], "missing_file")]
)
def test_after_a_month_without_a_file_of_use_a_contract_may_have_earlier_events(
    useless, reason
):
    archived = events(*every(8, "2025-02-03T16:00", "2025-03-01"))

    holes = found(
        archived,
        *("2025-01-10", "2025-03-01"),
        usable=["2025-02"],
        useless=useless,
        is_first=True,
    )

    assert holes == [
        ("01-10 00:00", "02-01 00:00", reason),
        ("02-01 00:00", "02-03 15:59", "missing"),
    ]


def test_events_from_the_first_that_the_api_has_are_asked_for():
    archived = events(*every(8, "2025-01-15T16:00", "2025-02-01"))

    holes = found(archived, "2025-01-15T07:59:00.005", "2025-02-01", usable=["2025-01"])

    assert holes == [("01-15 07:59", "01-15 15:59", "missing")]


@pytest.mark.parametrize("is_first", [True, False])
def test_before_the_first_event_of_a_contract_there_is_none(is_first):
    listed = events(*every(8, "2025-01-15T16:00", "2025-02-01"))

    holes = found(
        listed, "2025-01-01", "2025-02-01", usable=["2025-01"], is_first=is_first
    )

    earlier = [("01-01 00:00", "01-15 15:59", "missing")]
    assert holes == ([] if is_first else earlier)


def test_what_is_between_months_that_the_archive_has_not_is_asked_for_once():
    frame = events(*EIGHT, *every(8, "2025-03-01", "2025-04-01"))

    holes = found(frame, "2025-01-01", "2025-04-01", usable=["2025-01", "2025-03"])

    assert holes == [("02-01 00:00", "03-01 00:00", "missing_file")]


def test_events_of_the_api_are_rounded_to_the_minute_and_have_no_interval():
    due = int(at("2025-01-01T08:00").timestamp() * 1000)

    frame = UM.merge(
        [
            [("AUSDT", due + 13, 0.0001, None, None)],
            [("AUSDT", due - 8 * 3_600_000, -0.5, 60.25, None)],
        ]
    )

    assert frame.schema == FUNDING
    assert frame.select(
        "funding_time", "funding_rate", "mark_price", "funding_interval_hours", "source"
    ).rows() == [
        (at("2025-01-01T00:00"), -0.5, 60.25, None, "api"),
        (at("2025-01-01T08:00"), 0.0001, None, None, "api"),
    ]
    assert frame["calc_time"].dt.millisecond().to_list() == [0, 13]


def test_of_two_answers_for_one_event_the_later_counts():
    due = int(at("2025-01-01T08:00").timestamp() * 1000)

    frame = UM.merge(
        [[("AUSDT", due, 0.1, None)], [("AUSDT", due + 5, 0.2, None, "Regular")]]
    )

    assert frame.select("funding_rate", "rate_type").rows() == [(0.2, "Regular")]
    assert UM.merge([]).schema == FUNDING


@pytest.mark.parametrize("late_ms", [0, 8])
def test_events_of_one_minute_are_two_however_often_they_are_answered(late_ms):
    due = int(at("2026-06-18").timestamp() * 1000)
    answer = [
        ("AUSDT", due, 0.1, None, "Regular"),
        ("AUSDT", due + late_ms, -2.0, None, "Special"),
    ]

    frame = UM.merge([answer, answer[::-1]])

    assert sorted(frame.select("funding_rate", "rate_type").rows()) == [
        (-2.0, "Special"),
        (0.1, "Regular"),
    ]
