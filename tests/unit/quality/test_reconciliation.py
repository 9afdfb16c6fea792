"""Results against longer published bars, made up and genuine."""

import datetime as dt

import polars as pl
import pytest

from bhds.core.markets import Interval, TradeType
from bhds.quality.reconciliation import compare, not_reconciled
from bhds.schemas.klines import parsed_klines, result_klines
from bhds.schemas.quality_tables import NOT_RECONCILED, RECONCILIATION

DAY = 24 * 60
COLUMNS = [
    *("open", "high", "low", "close", "trade_count"),
    *("volume", "quote_volume", "taker_buy_volume", "taker_buy_quote_volume"),
]


@pytest.fixture
def result(at):
    """Make a bar of each minute given, whose prices tell the minute."""

    def result(minutes, **columns):
        data = {
            "open_time": [at(minute) for minute in minutes],
            "open": minutes,
            "high": [minute + 0.5 for minute in minutes],
            "low": [minute - 0.5 for minute in minutes],
            "close": [minute + 0.25 for minute in minutes],
            "segment": [0] * len(minutes),
            "source": ["daily"] * len(minutes),
            **columns,
        }
        schema = result_klines(TradeType.SPOT)
        sums = {name: [1] * len(minutes) for name in schema if name not in data}
        return pl.DataFrame(data | sums, schema=schema, strict=False)

    return result


@pytest.fixture
def hour(at):
    """Make the hour that the minutes from `first` to `last` are the bars of."""

    def hour(first, last, **columns):
        n = last - first + 1
        row = {
            "open_time": at(first - first % 60),
            "open": first,
            "high": last + 0.5,
            "low": first - 0.5,
            "close": last + 0.25,
            "source": "daily",
            **columns,
        }
        schema = parsed_klines(TradeType.SPOT)
        sums = dict.fromkeys(COLUMNS[4:], n)
        return pl.DataFrame([sums | row], schema=schema, strict=False)

    return hour


def comparison_of(result, *published, base="1m", interval="1h", off_grid=()):
    return compare(
        result,
        pl.concat(published),
        trade_type=TradeType.SPOT,
        symbol="AUSDT",
        base=Interval.parse(base),
        interval=Interval.parse(interval),
        off_grid_days=pl.Series(off_grid, dtype=pl.Date),
    )


def agreement_of(result, *hours, **more):
    found = comparison_of(result, *hours, **more).table
    assert found.schema == RECONCILIATION
    assert found["column"].to_list() == COLUMNS
    return found


def test_bars_that_agree_are_all_equal(result, hour):
    found = agreement_of(result(range(120)), hour(0, 59), hour(60, 119))

    assert found.select("n_compared", "n_equal", "max_abs_diff").unique().rows() == [
        (2, 2, None)
    ]


@pytest.mark.parametrize("column", COLUMNS)
def test_the_worst_difference_of_each_column_is_told(result, hour, at, column):
    hours = [hour(0, 59), hour(60, 119), hour(120, 179)]
    for number, by in ((1, 1), (2, -3)):
        hours[number] = hours[number].with_columns(pl.col(column) + by)

    found = agreement_of(result(range(180)), *hours).filter(column=column)

    assert found.select(
        "n_compared", "n_equal", "max_abs_diff", "max_abs_diff_time"
    ).rows() == [(3, 1, 3.0, at(120))]


@pytest.mark.parametrize(
    ("ours", "theirs", "equal"),
    [
        (60.0, 60.0 + 5e-8, True),
        (60.0, 60.0 + 5e-7, False),
        (1e-7, 0.0, True),
        (6e10, 6e10 * (1 + 5e-13), True),
        (6e10, 6e10 * (1 + 5e-12), False),
    ],
)
def test_sums_may_differ_by_rounding(result, hour, ours, theirs, equal):
    minutes = result(range(60), volume=[ours, *[0.0] * 59])

    found = agreement_of(minutes, hour(0, 59, volume=theirs)).filter(column="volume")

    assert found["n_equal"].to_list() == [equal]


def test_prices_may_not(result, hour):
    bar = hour(0, 59).with_columns(pl.col("close") + 5e-8)

    found = agreement_of(result(range(60)), bar).filter(column="close")

    assert found["n_equal"].to_list() == [0]


def test_bars_that_were_filled_are_left_out(result, hour):
    sources = ["daily"] * 50 + ["filled"] * 9 + ["api"]
    minutes = list(range(60))
    bars = result(minutes, source=sources)
    published = hour(0, 59, trade_count=51, volume=51, quote_volume=51)
    published = published.with_columns(pl.lit(51.0).alias(n) for n in COLUMNS[7:])

    found = agreement_of(bars, published)

    assert found["n_equal"].to_list() == [1] * 9


def test_bars_that_the_result_does_not_cover_are_not_compared(result, hour):
    found = agreement_of(result(range(30, 170)), hour(0, 59), hour(60, 119))

    assert found["n_compared"].unique().to_list() == [1]


def test_a_result_without_bars_compares_none(result, hour):
    found = agreement_of(result([]), hour(0, 59))

    assert found.select("n_compared", "n_equal").unique().rows() == [(0, 0)]


def test_a_published_bar_without_one_of_ours_is_not_compared(result, hour):
    minutes = [*range(60), *range(180, 240)]

    found = agreement_of(result(minutes), hour(0, 59), hour(60, 119), hour(180, 239))

    assert found["n_compared"].unique().to_list() == [2]


def test_bars_of_days_that_are_off_the_grid_are_counted_apart(result, hour):
    hours = [hour(first, first + 59) for first in (0, 60, DAY, DAY + 60)]
    hours[2] = hours[2].with_columns(close=-1.0)
    minutes = [*range(120), *range(DAY, DAY + 120)]
    second = dt.date(2024, 1, 2)

    found = agreement_of(result(minutes), *hours, off_grid=[second])

    assert found.select("n_compared", "n_equal", "off_grid").unique().rows() == [
        (2, 2, 2)
    ]


@pytest.fixture
def bars_of_days(at):
    """Make bars from their hours after 2024-01-01, all of one price, but for some."""

    def bars(hours, *, number=1, wrong=()):
        rows = [
            dict.fromkeys(COLUMNS, 1.0)
            | {"open_time": at(60 * hour), "source": "daily", "segment": 0}
            | dict.fromkeys(COLUMNS[4:], number + (hour in wrong))
            for hour in hours
        ]
        schema = result_klines(TradeType.SPOT)
        return pl.DataFrame(rows, schema=schema, strict=False)

    return bars


WEEK = range(7 * 24)
BARS = {"1h": (WEEK, 1), "12h": (WEEK[::12], 12), "1d": (WEEK[::24], 24)}


@pytest.mark.parametrize(
    ("published", "lacking", "expected"),
    [
        pytest.param({"12h": [], "1d": []}, [], [], id="all equal"),
        pytest.param({"1d": [24]}, [], [("1d", 2)], id="a day"),
        pytest.param(
            {"12h": [36], "1d": [24]}, [], [("12h", 2), ("1d", 2)], id="half of it too"
        ),
        pytest.param({"12h": [], "1d": [24]}, [], [("1d", 2)], id="its halves agree"),
        pytest.param(
            {"1w": [0]}, [], [("1w", day) for day in range(1, 8)], id="only a week"
        ),
        pytest.param({"1w": [0], "1d": []}, [], [], id="a week whose days agree"),
        pytest.param({"1w": [0], "1d": [24]}, [], [("1d", 2)], id="a day of a week"),
        pytest.param({"1w": []}, [30], [("1w", 2)], id="a week that lacks an hour"),
    ],
)
def test_the_shortest_bars_say_which_days_differ(
    bars_of_days, published, lacking, expected
):
    lengths = BARS | {"1w": ([0], len(WEEK))}
    hours = bars_of_days([hour for hour in WEEK if hour not in lacking])
    found = {}
    for name, wrong in published.items():
        times, number = lengths[name]
        longer = bars_of_days(times, number=number, wrong=wrong)
        found[Interval.parse(name)] = comparison_of(
            hours, longer, base="1h", interval=name
        )

    days = not_reconciled(found, hours, symbol="AUSDT", base=Interval.parse("1h"))

    assert days.schema == NOT_RECONCILED
    assert days.select("interval", pl.col("day").dt.day()).rows() == expected
