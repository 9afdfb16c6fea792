import datetime as dt

import pytest

from bhds.columns import GAPS
from bhds.markets import Interval, TradeType
from bhds.results.gaps import SplitRule, find_gaps
from bhds.results.grid import put_on_grid

MINUTE = Interval.parse("1m")
DAY = 24 * 60
DEFAULT = SplitRule()


def gaps_of(bars, interval=MINUTE, split=DEFAULT):
    on_grid = put_on_grid(bars, trade_type=TradeType.SPOT, interval=interval).frame
    return find_gaps(on_grid, symbol="BTCUSDT", interval=interval, split=split)


def test_a_complete_series_has_no_gaps(published):
    gaps = gaps_of(published([0, 1, 2]))

    assert gaps.height == 0
    assert gaps.schema == GAPS


def test_a_gap_counts_missing_and_untraded_bars_apart(published, minutes_of):
    bars = published(
        [0, 1, 2, 6, 7],
        trade_count=[1, 1, 0, 0, 1],
        close=[100.0, 100.0, 100.0, 100.0, 102.0],
    )

    gap = gaps_of(bars).row(0, named=True)

    assert gap["symbol"] == "BTCUSDT"
    assert minutes_of([gap["last_open_time"], gap["first_open_time"]]) == [1, 7]
    assert (gap["missing_bars"], gap["untraded_bars"]) == (3, 2)
    assert gap["duration"] == dt.timedelta(minutes=6)
    assert (gap["price_change"], gap["split"]) == (0.02, False)


def test_published_bars_without_trades_are_no_gap(published):
    bars = published([0, 1, 2], trade_count=[1, 0, 1])

    assert gaps_of(bars).height == 0


@pytest.mark.parametrize(
    ("minutes", "price", "splits"),
    [
        pytest.param(DAY, 120.0, False, id="one day is not more than one day"),
        pytest.param(DAY + 1, 120.0, True, id="more than one day, price moved"),
        pytest.param(DAY + 1, 80.0, True, id="more than one day, price fell"),
        pytest.param(DAY + 1, 110.0, False, id="ten percent is not more than that"),
        pytest.param(DAY + 1, 90.0, False, id="nor is minus ten percent"),
        pytest.param(2 * DAY, 100.0, False, id="two days are not more than two"),
        pytest.param(2 * DAY + 1, 100.0, True, id="more than two, price unmoved"),
    ],
)
def test_a_gap_splits_strictly_beyond_the_limits(published, minutes, price, splits):
    bars = published([0, minutes], close=[100.0, price])

    assert gaps_of(bars)["split"].to_list() == [splits]


def test_a_long_stretch_of_untraded_bars_splits_though_none_is_missing(published):
    bars = published(
        range(2 * DAY + 2), trade_count=[1, *[0] * (2 * DAY), 1], close=100.0
    )

    gap = gaps_of(bars).row(0, named=True)

    assert (gap["missing_bars"], gap["untraded_bars"]) == (0, 2 * DAY)
    assert gap["split"]


def test_the_limits_can_be_set_and_the_split_switched_off(published):
    bars = published([0, 31], close=[100.0, 106.0])
    strict = SplitRule(min_days=0.02, min_price_change=0.05)
    disabled = SplitRule(enabled=False, min_days=0.02, min_price_change=0.05)

    assert gaps_of(bars)["split"].to_list() == [False]
    assert gaps_of(bars, split=strict)["split"].to_list() == [True]
    assert gaps_of(bars, split=disabled)["split"].to_list() == [False]


def test_many_gaps_are_listed_in_time_order(published, minutes_of):
    days = [0, 3, 4.5, 8, 8.5, 20]
    bars = published([day * DAY for day in days], close=[100.0, 100, 200, 200, 500, 1])

    gaps = gaps_of(bars)

    assert minutes_of(gaps["last_open_time"]) == [day * DAY for day in days[:-1]]
    assert gaps["split"].to_list() == [True, True, True, False, True]


def test_the_delisted_tail_is_a_gap_without_an_end(published, minutes_of):
    bars = published([0, 1, 2, 5], trade_count=[1, 1, 0, 0])

    gap = gaps_of(bars).row(-1, named=True)

    assert minutes_of([gap["last_open_time"]]) == [1]
    assert gap["first_open_time"] is None
    assert gap["price_change"] is None
    assert (gap["missing_bars"], gap["untraded_bars"]) == (2, 2)
    assert gap["duration"] == dt.timedelta(minutes=4)
    assert gap["split"] is False


def test_a_tail_longer_than_the_limit_does_not_split(published):
    bars = published([0, 5 * DAY], trade_count=[1, 0])

    assert gaps_of(bars)["split"].to_list() == [False]


@pytest.mark.parametrize("trades", [[], [0, 0]], ids=["no bars", "no trades"])
def test_a_symbol_that_never_traded_has_no_gaps(published, trades):
    gaps = gaps_of(published(range(len(trades)), trade_count=trades))

    assert gaps.height == 0
    assert gaps.schema == GAPS


@pytest.mark.parametrize(
    ("interval", "days", "missing"),
    [
        pytest.param("3d", [0, 3, 9], 1, id="3d"),
        pytest.param("1w", [0, 7, 28], 2, id="1w"),
        pytest.param("1mo", [0, 31, 91], 1, id="1mo"),
    ],
)
def test_neighbouring_bars_longer_than_min_days_are_no_gap(
    published, minutes_of, interval, days, missing
):
    bars = published([day * DAY for day in days], close=[100.0, 200.0, 200.0])

    gaps = gaps_of(bars, interval=Interval.parse(interval))

    assert minutes_of(gaps["first_open_time"]) == [days[-1] * DAY]
    assert gaps["missing_bars"].to_list() == [missing]
    assert gaps["split"].to_list() == [True]
