"""Bars of the API, as partitions have them."""

import datetime as dt

import polars as pl
import pytest

from bhds.backfill.archive_rows import ArchivedRows, BackfillBounds
from bhds.backfill.klines import Bars
from bhds.backfill.missing_ranges import Coverage
from bhds.core.errors import ConfigError
from bhds.core.markets import Interval, TradeType
from bhds.core.timegrid import Span
from bhds.schemas.klines import parsed_klines

MINUTE = 60_000
OPEN = 1_735_689_600_000  # 2025-01-01 00:00
MARKETS = [TradeType.SPOT, TradeType.UM_FUTURES, TradeType.CM_FUTURES]


def bars_of(trade_type=TradeType.UM_FUTURES, data_type="klines", interval="1m"):
    return Bars(trade_type, data_type, "AUSDT", Interval.parse(interval))


def row(open_ms=OPEN, *, close=1.5, trades=7, close_ms=None):
    prices = (1.0, 2.0, 0.5, close)
    until = open_ms + MINUTE - 1 if close_ms is None else close_ms
    return (open_ms, *prices, 10.0, until, 15.0, trades, 4.0, 6.0)


@pytest.mark.parametrize("trade_type", MARKETS)
def test_a_fill_has_the_columns_of_a_partition(trade_type):
    frame = bars_of(trade_type).frame([row()])

    assert frame.schema == parsed_klines(trade_type)
    assert bars_of(trade_type).frame([]).schema == frame.schema
    assert frame.row(0) == (
        dt.datetime(2025, 1, 1, tzinfo=dt.UTC),
        *(1.0, 2.0, 0.5, 1.5),
        *(10.0, 15.0, 7, 4.0, 6.0),
        dt.datetime(2025, 1, 1, 0, 0, 59, 999_000, tzinfo=dt.UTC),
        "api",
    )


def test_prices_that_are_no_trades_have_no_volumes():
    bars = bars_of(data_type="markPriceKlines")

    frame = bars.frame([row()])

    assert frame.columns == [
        "open_time",
        "open",
        "high",
        "low",
        "close",
        "close_time",
        "source",
    ]
    assert frame.schema == bars.schema


def test_bars_are_sorted_and_of_two_answers_the_later_counts():
    frame = bars_of().frame([row(OPEN + MINUTE), row(close=1.1), row(close=1.2)])

    assert frame["open_time"].dt.epoch("ms").to_list() == [OPEN, OPEN + MINUTE]
    assert frame["close"].to_list() == [1.2, 1.5]


@pytest.mark.parametrize(
    ("interval", "open_ms", "until"),
    [
        pytest.param("1m", OPEN, OPEN + MINUTE, id="closed early or not"),
        pytest.param("1m", OPEN + 14_789, OPEN + MINUTE, id="off the grid"),
        pytest.param("1mo", OPEN, OPEN + 31 * 86_400_000, id="a month"),
    ],
)
def test_a_bar_is_about_the_time_between_two_grid_points(interval, open_ms, until):
    """One in which trading stops closes early; no other opens before the next point."""
    bar = row(open_ms, close_ms=open_ms + 1)

    assert bars_of(interval=interval).extent(bar) == Span(OPEN, until)


def test_holes_within_one_page_are_asked_for_together():
    assert bars_of().joint_span_ms() == 498 * MINUTE
    assert bars_of(interval="1mo").joint_span_ms() > 400 * 30 * 86_400_000


def held(bars, *opens, trades=5):
    return bars.frame([row(open_ms, trades=trades) for open_ms in opens])


@pytest.mark.parametrize(
    ("data_type", "expected"),
    [("klines", ["untraded", "truncated"]), ("markPriceKlines", ["truncated"])],
)
def test_only_what_is_traded_can_lack_trades(data_type, expected):
    bars = bars_of(data_type=data_type)
    day = held(bars, *(OPEN + minute * MINUTE for minute in range(1400)))
    if data_type == "klines":
        number = pl.int_range(pl.len())
        trades = pl.when(number.is_between(100, 120)).then(0).otherwise(5)
        day = day.with_columns(trade_count=trades)
    end = OPEN + 1440 * MINUTE
    bounds = BackfillBounds(OPEN, end, now_ms=end, is_first=False)

    coverage = Coverage(frozenset([OPEN // 86_400_000]), frozenset())
    archived = ArchivedRows(bars.shown(day), (*bars.doubtful(day),), coverage, ())

    found = bars.missing_ranges(archived, bounds=bounds)

    assert [hole.reason.value for hole in found] == expected


def test_an_interval_that_the_market_does_not_have_is_refused():
    with pytest.raises(ConfigError, match="1s"):
        _ = bars_of(interval="1s").schema
