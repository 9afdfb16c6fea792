"""Results against longer published bars, made up and genuine."""

import polars as pl
import pytest

from bhds.columns import AGREEMENT, parsed_klines, result_klines
from bhds.markets import Interval, TradeType
from bhds.quality.agreement import compare

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


def agreement_of(result, *hours, interval="1h"):
    found = compare(
        result,
        pl.concat(hours),
        trade_type=TradeType.SPOT,
        symbol="AUSDT",
        base=Interval.parse("1m"),
        interval=Interval.parse(interval),
    )
    assert found.schema == AGREEMENT
    assert found["column"].to_list() == COLUMNS
    return found


def test_bars_that_agree_are_all_equal(result, hour):
    found = agreement_of(result(range(120)), hour(0, 59), hour(60, 119))

    assert found.select("compared", "equal", "worst").unique().rows() == [(2, 2, None)]


@pytest.mark.parametrize("column", COLUMNS)
def test_the_worst_difference_of_each_column_is_told(result, hour, at, column):
    hours = [hour(0, 59), hour(60, 119), hour(120, 179)]
    for number, by in ((1, 1), (2, -3)):
        hours[number] = hours[number].with_columns(pl.col(column) + by)

    found = agreement_of(result(range(180)), *hours).filter(column=column)

    assert found.select("compared", "equal", "worst", "worst_time").rows() == [
        (3, 1, 3.0, at(120))
    ]


@pytest.mark.parametrize(
    ("column", "by", "equal"),
    [
        ("volume", 5e-8, 1),
        ("volume", 5e-7, 0),
        ("close", 5e-8, 0),
    ],
)
def test_only_sums_may_differ_by_rounding(result, hour, column, by, equal):
    bar = hour(0, 59).with_columns(pl.col(column) + by)

    found = agreement_of(result(range(60)), bar).filter(column=column)

    assert found["equal"].to_list() == [equal]
    assert found["worst"].to_list() == pytest.approx([by], rel=1e-4)


def test_bars_that_were_filled_are_left_out(result, hour):
    sources = ["daily"] * 50 + ["filled"] * 9 + ["api"]
    minutes = list(range(60))
    bars = result(minutes, source=sources)
    published = hour(0, 59, trade_count=51, volume=51, quote_volume=51)
    published = published.with_columns(pl.lit(51.0).alias(n) for n in COLUMNS[7:])

    found = agreement_of(bars, published)

    assert found["equal"].to_list() == [1] * 9


def test_bars_that_the_result_does_not_cover_are_not_compared(result, hour):
    found = agreement_of(result(range(30, 170)), hour(0, 59), hour(60, 119))

    assert found["compared"].unique().to_list() == [1]


def test_a_result_without_bars_compares_none(result, hour):
    found = agreement_of(result([]), hour(0, 59))

    assert found.select("compared", "equal").unique().rows() == [(0, 0)]


def test_a_published_bar_without_one_of_ours_is_not_compared(result, hour):
    minutes = [*range(60), *range(180, 240)]

    found = agreement_of(result(minutes), hour(0, 59), hour(60, 119), hour(180, 239))

    assert found["compared"].unique().to_list() == [2]
