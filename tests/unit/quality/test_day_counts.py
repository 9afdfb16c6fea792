import datetime as dt

import polars as pl
import pytest

from bhds.core.markets import Interval, TradeType
from bhds.quality.day_counts import FAULTS, account, faults_of
from bhds.quality.evidence import Evidence
from bhds.schemas.klines import parsed_klines, result_klines
from bhds.schemas.quality_tables import DAYS

DAY = 24 * 60


@pytest.fixture
def counted(at):
    """Count the days of bars some minutes after 2024-01-01, by their sources."""

    def counted(
        bars,
        *,
        last_day,
        interval="1m",
        sources=(),
        conflicts=(),
        faults=(),
        has_ended=False,
        unlisted=(),
    ):
        schema = result_klines(TradeType.SPOT)
        rows = {"open_time": [at(m) for m in bars], "source": list(bars.values())}
        rows["volume"] = [2.0] * len(bars)
        result = pl.DataFrame(rows, schema={name: schema[name] for name in rows})
        times = pl.DataFrame(
            {"open_time": [at(minute) for minute in conflicts]},
            schema={"open_time": schema["open_time"]},
        )
        found = account(
            result,
            Evidence.of(sources),
            conflicts=times,
            faults=pl.DataFrame(list(faults), schema=FAULTS, orient="row"),
            symbol="AUSDT",
            interval=Interval.parse(interval),
            last_day=dt.date.fromisoformat(last_day),
            has_ended=has_ended,
            unlisted=unlisted,
        )
        assert found.schema == DAYS
        return found

    return counted


def test_bars_are_counted_by_day_and_source(counted):
    bars = dict.fromkeys(range(DAY), "monthly")
    bars |= {DAY + 0: "daily", DAY + 1: "api", DAY + 2: "filled", DAY + 3: "api"}

    found = counted(bars, last_day="2024-01-02")

    columns = ["expected", "daily", "monthly", "api", "filled", "volume"]
    assert found.select(columns).rows() == [
        (DAY, 0, DAY, 0, 0, 2.0 * DAY),
        (DAY, 1, 0, 2, 1, 8.0),
    ]


def test_days_count_from_the_first_bar_to_the_last_day(counted):
    bars = dict.fromkeys(range(DAY - 10, DAY + 5), "daily")

    found = counted(bars, last_day="2024-01-04")

    assert found.select(pl.col("day").dt.day(), "expected", "daily").rows() == [
        (1, 10, 10),
        (2, DAY, 5),
        (3, DAY, 0),
        (4, DAY, 0),
    ]


@pytest.mark.parametrize(
    ("until", "has_ended", "status", "expected"),
    [
        (3, False, "empty", DAY),
        (3, True, None, 5),
        (6, False, None, DAY),
        (6, False, "unanswered", DAY),
        (6, False, "empty", 5),
        (6, False, "refused", 5),
    ],
)
def test_the_last_day_of_a_symbol_that_ended_counts_to_its_last_bar(
    counted, until, expected, status, *, has_ended
):
    bars = dict.fromkeys(range(DAY + 5), "daily")
    hole = {"start": "2024-01-02T00:05:00Z", "end": f"2024-01-0{until}T00:00:00Z"}
    sources = [{"missing_ranges": [{**hole, "status": status}]}] if status else []

    found = counted(
        bars, last_day=f"2024-01-0{until}", sources=sources, has_ended=has_ended
    )

    assert found["expected"].to_list()[:2] == [DAY, expected]


def test_a_day_counts_while_the_symbol_was_listed(counted, at):
    bars = dict.fromkeys([*range(9), *range(3 * DAY + 1050, 4 * DAY)], "daily")

    found = counted(
        bars, last_day="2024-01-05", unlisted=((at(9), at(3 * DAY + 1050)),)
    )

    assert found.select("expected", "daily").rows() == [
        (9, 9),
        (DAY, 0),
        (DAY, 0),
        (390, 390),
        (DAY, 0),
    ]


def test_of_longer_bars_only_days_on_which_one_opens_count(counted):
    # 2024-01-01 was a Monday.
    found = counted({0: "daily", 14 * DAY: "api"}, interval="1w", last_day="2024-01-20")

    assert found.select(pl.col("day").dt.day(), "expected", "daily", "api").rows() == [
        (1, 1, 1, 0),
        (8, 1, 0, 0),
        (15, 1, 0, 1),
    ]


def test_months_count_on_their_first_day(counted):
    found = counted({0: "monthly"}, interval="1mo", last_day="2024-03-15")

    assert found["day"].to_list() == [dt.date(2024, month, 1) for month in (1, 2, 3)]
    assert found["expected"].to_list() == [1, 1, 1]


def test_conflicts_within_and_between_partitions_are_added(counted):
    sources = [{"days": [{"day": "2024-01-01", "conflicts": 2}]}]
    bars = dict.fromkeys(range(2 * DAY), "daily")

    found = counted(
        bars, last_day="2024-01-02", sources=sources, conflicts=[5, DAY, DAY + 1]
    )

    assert found["conflicts"].to_list() == [3, 2]


def test_faulty_bars_are_counted_by_day(counted):
    bars = dict.fromkeys(range(2 * DAY), "daily")

    found = counted(bars, last_day="2024-01-02", faults=[(dt.date(2024, 1, 2), 3, 2)])

    assert found.select("impossible", "off_grid").rows() == [(0, 0), (3, 2)]
    assert found.select("frozen", "missing_ids").rows() == [(0, 0)] * 2


def test_files_and_answers_stand_by_the_day(counted, zip_entry, hole):
    sources = [
        {
            "inputs": [
                zip_entry("2024-01-01"),
                zip_entry("2024-01-02"),
                zip_entry("2024-01-02", integrity_status="corrupt"),
                zip_entry("2024-01-03", integrity_status="corrupt"),
            ]
        },
        {
            "missing_ranges": [
                hole(DAY - 1, DAY),
                hole(DAY, DAY + 9, "filled"),
                hole(2 * DAY + 5, 3 * DAY, "unanswered"),
                hole(3 * DAY, 4 * DAY),
            ]
        },
    ]
    # The last day lacks nothing any more.
    bars = {0: "daily"} | dict.fromkeys(range(3 * DAY, 4 * DAY), "api")

    found = counted(bars, last_day="2024-01-04", sources=sources)

    assert found["has_file"].to_list() == [True, True, False, False]
    assert found["is_corrupt"].to_list() == [False, False, True, False]
    assert found["api_answer"].to_list() == ["empty", None, "unanswered", None]


@pytest.mark.parametrize(
    ("interval", "bars", "expected"),
    [
        # A low of zero, a high below the low; far from the grid, and next to it.
        ("1h", {0: {}, 60: {"low": 0.0}, 125: {"high": 0.5}}, [(1, 2, 1)]),
        ("1m", {0: {}, 1.5: {"low": 0.0}}, [(1, 1, 0)]),
        # A bar counts for the grid point that it is put on.
        ("1w", {3 * DAY: {}, 7 * DAY: {}}, [(1, 0, 1)]),
    ],
)
def test_bars_that_cannot_be_are_found(at, interval, bars, expected):
    schema = parsed_klines(TradeType.SPOT)
    sound = dict.fromkeys(schema, 1.0) | {"source": "daily"}
    rows = [
        sound | {"open_time": at(minute), "close_time": at(minute), **values}
        for minute, values in bars.items()
    ]

    found = faults_of(
        pl.DataFrame(rows, schema=schema, strict=False),
        trade_type=TradeType.SPOT,
        interval=Interval.parse(interval),
    )

    assert found.schema == FAULTS
    days = found.select(pl.col("day").dt.day(), "impossible", "off_grid")
    assert days.sort("day").rows() == expected


def test_the_row_of_a_week_is_of_a_file_that_begins_within_it(counted, zip_entry):
    sources = [{"inputs": [zip_entry("2024-02")]}]

    found = counted(
        {28 * DAY: "monthly"}, interval="1w", last_day="2024-02-05", sources=sources
    )

    assert found.select(pl.col("day").dt.day(), "has_file").rows() == [
        (29, True),
        (5, True),
    ]


def test_a_result_without_bars_has_no_days(counted):
    assert counted({}, last_day="2024-01-03").is_empty()


def test_days_before_the_first_bar_count_if_a_daily_zip_was_of_them(counted, zip_entry):
    zips = ("2023-12-28", "2023-12-29", "2023-12-30", "2024-01-01")
    sources = {
        "inputs": [
            zip_entry(zips[0], integrity_status="corrupt"),
            zip_entry(zips[1]),  # it has bars, but none with a trade
            zip_entry(zips[2], integrity_status="vanished"),
            zip_entry(zips[3]),
        ],
        "days": [{"day": day, "present": DAY} for day in zips[1::2]],
    }
    bars = dict.fromkeys(range(10, DAY), "daily")

    found = counted(bars, last_day="2024-01-01", sources=[sources])

    columns = ["expected", "daily", "has_file", "is_corrupt"]
    assert found.select(pl.col("day").dt.day(), *columns).rows() == [
        (28, DAY, 0, False, True),
        (30, DAY, 0, False, False),
        (1, DAY - 10, DAY - 10, True, False),
    ]
