import datetime as dt

import polars as pl
import pytest

from bhds.bars.gaps import find_gaps, is_untraded_for_long
from bhds.bars.grid import put_on_grid
from bhds.config import SplitRule
from bhds.core.markets import Interval, TradeType

from .conftest import START

MINUTE = Interval.parse("1m")
DAY = 24 * 60
DEFAULT = SplitRule()


def gaps_of(bars, interval=MINUTE, split=DEFAULT, **options):
    on_grid = put_on_grid(bars, trade_type=TradeType.SPOT, interval=interval).frame
    found = find_gaps(
        on_grid, symbol="BTCUSDT", interval=interval, split=split, **options
    )
    return found.table


def begins_of(bars, interval=MINUTE, **rule):
    """Return where segments begin, but the first."""
    on_grid = put_on_grid(bars, trade_type=TradeType.SPOT, interval=interval).frame
    split = SplitRule(**rule)
    return find_gaps(on_grid, symbol="X", interval=interval, split=split).begins


def test_a_gap_counts_missing_and_untraded_bars_apart(published, minutes_of):
    bars = published(
        [0, 1, 2, 6, 7],
        trade_count=[1, 1, 0, 0, 1],
        close=[100.0, 100.0, 100.0, 100.0, 102.0],
    )

    gap = gaps_of(bars).row(0, named=True)

    assert gap["symbol"] == "BTCUSDT"
    assert minutes_of([gap["prev_open_time"], gap["next_open_time"]]) == [1, 7]
    assert (gap["missing_bars"], gap["untraded_bars"]) == (3, 2)
    assert gap["duration"] == dt.timedelta(minutes=6)
    assert (gap["price_change"], gap["split"]) == (0.02, False)


HALTS = [
    pytest.param(DAY, 120.0, False, id="one day is not more than one day"),
    pytest.param(DAY + 1, 120.0, True, id="more than one day, price moved"),
    pytest.param(DAY + 1, 80.0, True, id="more than one day, price fell"),
    pytest.param(DAY + 1, 110.0, False, id="ten percent is not more than that"),
    pytest.param(DAY + 1, 90.0, False, id="nor is minus ten percent"),
    pytest.param(2, 500.0, False, id="five times the price is not more than that"),
    pytest.param(2, 20.0, False, id="nor is a fifth of it"),
    pytest.param(2, 501.0, True, id="more than five times, after one minute"),
    pytest.param(2, 19.99, True, id="less than a fifth, after one minute"),
    pytest.param(1, 100_000.0, False, id="next to each other, whatever the price"),
]


@pytest.mark.parametrize(("minutes", "price", "splits"), HALTS)
@pytest.mark.parametrize("is_published", [False, True])
def test_price_splits_strictly_beyond_the_limits_published_or_not(
    published, minutes, price, splits, *, is_published
):
    quiet = list(range(1, minutes)) if is_published else []
    bars = published(
        [0, *quiet, minutes],
        trade_count=[1, *[0] * len(quiet), 1],
        close=[*[100.0] * (len(quiet) + 1), price],
    )

    assert begins_of(bars).to_list() == bars["open_time"].tail(1).to_list() * splits
    assert gaps_of(bars)["split"].sum() == splits


def test_the_price_of_an_impossible_bar_does_not_split(published):
    bars = published([0, 2 * DAY, 4 * DAY], close=[100.0, 0.0, 100.0])

    assert len(begins_of(bars)) == 0


@pytest.mark.parametrize(
    ("lost", "splits"),
    [
        pytest.param(2 * DAY, False, id="two days are not more than two"),
        pytest.param(2 * DAY + 1, True, id="more than two"),
    ],
)
def test_bars_unpublished_for_long_split_whatever_the_price(published, lost, splits):
    assert gaps_of(published([0, lost + 1]))["split"].to_list() == [splits]


def test_published_bars_without_trades_never_split_alone(published):
    bars = published(
        range(4 * DAY + 2), trade_count=[1, *[0] * (4 * DAY), 1], close=105.0
    )

    assert gaps_of(bars).is_empty()


def test_a_segment_begins_with_what_is_published_after_the_loss(published, minutes_of):
    days = [0, 3, 3.5, 4]
    bars = published([day * DAY for day in days], trade_count=[1, 0, 0, 1])
    moved = bars.with_columns(open=bars["open"].scatter(3, 120.0))

    assert minutes_of(begins_of(bars)) == [3 * DAY]
    assert minutes_of(begins_of(moved)) == [3 * DAY, 4 * DAY]
    assert gaps_of(moved)["split"].to_list() == [True]


def test_the_limits_can_be_set_and_the_split_switched_off(published):
    bars = published([0, 31], close=[100.0, 106.0])
    strict = SplitRule(min_days=0.02, min_price_change=0.05)
    jumpy = SplitRule(max_price_ratio=1.05)
    disabled = SplitRule(
        enabled=False, min_days=0.02, min_price_change=0, max_price_ratio=1.05
    )

    assert gaps_of(bars)["split"].to_list() == [False]
    assert gaps_of(bars, split=strict)["split"].to_list() == [True]
    assert gaps_of(bars, split=jumpy)["split"].to_list() == [True]
    assert gaps_of(bars, split=disabled)["split"].to_list() == [False]


def test_the_trimmed_tail_is_a_gap_without_an_end(published, minutes_of):
    bars = published([0, 1, 2, 5], trade_count=[1, 1, 0, 0])

    gap = gaps_of(bars, has_ended=True).row(-1, named=True)

    assert minutes_of([gap["prev_open_time"]]) == [1]
    assert gap["next_open_time"] is None
    assert gap["price_change"] is None
    assert (gap["missing_bars"], gap["untraded_bars"]) == (2, 2)
    assert gap["duration"] == dt.timedelta(minutes=4)
    assert (gap["split"], gap["trimmed"]) == (False, True)


@pytest.mark.parametrize("lost", [0, 1])
def test_a_quiet_end_is_a_gap_only_if_bars_are_missing(published, lost):
    bars = published([0, 1, 2 + lost], trade_count=[1, 0, 0])

    assert gaps_of(bars)["missing_bars"].to_list() == [lost] * lost
    assert not gaps_of(bars)["trimmed"].any()
    assert gaps_of(bars, has_ended=True)["trimmed"].to_list() == [True]


@pytest.mark.parametrize("has_ended", [False, True])
def test_a_loss_in_the_tail_splits_unless_the_tail_is_trimmed(published, has_ended):
    bars = published([0, 5 * DAY], trade_count=[1, 0])

    assert gaps_of(bars, has_ended=has_ended)["split"].to_list() == [not has_ended]


@pytest.mark.parametrize(
    ("interval", "quiet", "is_long"),
    [
        pytest.param("1h", 168, False, id="seven days are not more than seven"),
        pytest.param("1h", 169, True, id="more than seven days"),
        pytest.param("1w", 2, False, id="two weeks"),
        pytest.param("1w", 3, True, id="three weeks"),
        pytest.param("1mo", 2, False, id="two months"),
        pytest.param("1mo", 3, True, id="three months"),
    ],
)
def test_only_published_bars_show_that_nobody_trades(
    published, interval, quiet, is_long
):
    bars_of = Interval.parse(interval)
    until = START + dt.timedelta(days=120)
    times = pl.select(pl.datetime_range(START, until, interval)).to_series()
    minutes = [(time - START) / dt.timedelta(minutes=1) for time in times]
    bars = published(minutes[: quiet + 1], trade_count=[1, *[0] * quiet])
    lost = bars[[0, -1]] if interval == "1h" else bars.head(1)

    assert is_untraded_for_long(bars, interval=bars_of) is is_long
    assert not is_untraded_for_long(lost, interval=bars_of)
    assert not is_untraded_for_long(bars.clear(), interval=bars_of)


@pytest.mark.parametrize("interval", ["1d", "3d", "1w", "1mo"])
@pytest.mark.parametrize("price", [100.0, 130.0])
@pytest.mark.parametrize("lost", [0, 1, 2, 3])
def test_days_split_long_bars_only_if_three_are_lost(published, interval, price, lost):
    months = [0, 31, 60, 91, 121]
    step = {"1d": 1, "3d": 3, "1w": 7}.get(interval)
    later = months[lost + 1] if step is None else step * (lost + 1)
    bars = published([0, later * DAY], close=[100.0, price])

    gaps = gaps_of(bars, interval=Interval.parse(interval))

    assert gaps["missing_bars"].to_list() == [lost] * (lost > 0)
    assert gaps["split"].sum() == (lost == 3)


@pytest.mark.parametrize("interval", ["1m", "1d", "1w"])
def test_a_ratio_splits_bars_of_every_length_after_one_without_trade(
    published, interval
):
    step = {"1m": 1, "1d": DAY, "1w": 7 * DAY}[interval]
    bars = published([0, 2 * step], close=[100.0, 501.0])

    assert gaps_of(bars, Interval.parse(interval))["split"].to_list() == [True]
