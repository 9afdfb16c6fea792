"""Halts that truly were, one or many in a series, split where they are known to."""

import datetime as dt
import json
import random
from itertools import chain, pairwise
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhds.bars.merge import merge
from bhds.bars.split import segment_rows, segments_table
from bhds.core.markets import Interval, TradeType

from .conftest import START, build_from, make_published

KNOWN_GAPS = Path("../shared/realdata/knowledge/bhds_kline_gaps")
MINUTE = dt.timedelta(minutes=1)
DAY = 24 * 60


def halts_of(market):
    """Return the last and first time of trading around each halt, by symbol."""
    path = KNOWN_GAPS / f"{market}.json"
    listed = json.loads(path.read_text()) if path.exists() else {}
    return {
        symbol: [tuple(map(dt.datetime.fromisoformat, halt)) for halt in halts]
        for symbol, halts in listed.items()
    }


def one_after_another(halts):
    """Choose of many halts those that do not overlap, to be in one series."""
    chosen = []
    for before, after in sorted(halts, key=lambda halt: halt[1]):
        if not chosen or chosen[-1][1] + dt.timedelta(days=1) < before:
            chosen.append((before, after))
    return chosen


def series():
    """Yield symbols with all their halts, and all halts of a market in one series."""
    for market in ("spot", "um_futures"):
        known = halts_of(market)
        for symbol, halts in known.items():
            yield pytest.param(symbol, halts, id=f"{market}-{symbol}")
        every = one_after_another(chain.from_iterable(known.values()))
        yield pytest.param("ALLUSDT", every, id=f"{market}-all")


def bars_around(halts, *, step, n=90):
    """Return n bars that end at each halt, n that begin after it, and few between.

    Prices move little, and by a half over every halt, as where a coin was exchanged
    for another. Every 7th bar has no trade.
    """
    prices = {}
    for number, (before, after) in enumerate(halts):
        quoted = 100.0 * 1.5**number
        prices |= {before - k * step: quoted + k % 3 / 100 for k in range(n)}
        prices |= {after + k * step: 1.5 * quoted for k in range(n)}
        until = halts[number + 1][0] if number + 1 < len(halts) else after
        half_days = (until - after) // dt.timedelta(hours=12)
        prices |= {
            after + k * dt.timedelta(hours=12): 1.5 * quoted for k in range(half_days)
        }
    times = sorted(prices)
    ends = {time for halt in halts for time in halt}
    trades = [
        0 if place % 7 == 3 and time not in ends else 5
        for place, time in enumerate(times)
    ]
    return make_published(
        [(time - START) / MINUTE for time in times],
        close=[prices[time] for time in times],
        trade_count=trades,
    )


def shuffled(bars, *, seed, parts=5):
    """Cut bars into partitions at random, and return these in any order."""
    chance = random.Random(seed)
    cuts = sorted(chance.sample(range(1, bars.height), parts - 1))
    partitions = [
        bars.slice(begin, end - begin)
        for begin, end in pairwise([0, *cuts, bars.height])
    ]
    return chance.sample(partitions, len(partitions))


def merged_bars(partitions, *, interval):
    return merge(
        partitions, trade_type=TradeType.SPOT, interval=Interval.parse(interval)
    ).bars


@pytest.mark.skipif(not KNOWN_GAPS.exists(), reason="no list of known halts")
@pytest.mark.parametrize("interval", ["1m", "1h"])
@pytest.mark.parametrize(("symbol", "halts"), list(series()))
def test_known_halts_split_and_nothing_else_does(symbol, halts, interval):
    bars = bars_around(halts, step=Interval.parse(interval).duration)

    for seed in range(3):
        merged = merged_bars(shuffled(bars, seed=seed), interval=interval)
        results = build_from(merged, interval=interval, symbol=symbol, fill=False)

        splits = results.gaps.filter("split")
        assert splits.select("prev_open_time", "next_open_time").rows() == halts
        frame = results.frame
        assert frame.height == bars.height
        assert frame["open_time"].equals(bars["open_time"])
        expected = [
            sum(time >= after for _, after in halts) for time in bars["open_time"]
        ]
        assert frame["segment"].to_list() == expected
        table = segments_table({symbol: frame})
        names = [*(f"SP{number}_{symbol}" for number in range(len(halts))), symbol]
        assert table["name"].to_list() == names
        begins = [bars["open_time"][0], *(after for _, after in halts)]
        ends = [*(before for before, _ in halts), bars["open_time"][-1]]
        assert table["first_open_time"].to_list() == begins
        assert table["last_open_time"].to_list() == ends
        files = [segment_rows(frame, number) for number in table["segment"]]
        assert pl.concat(files).equals(frame)


@pytest.mark.skipif(not KNOWN_GAPS.exists(), reason="no list of known halts")
@pytest.mark.parametrize("market", ["spot", "um_futures"])
@pytest.mark.parametrize("price", [100.0, 150.0])
def test_a_known_halt_that_was_published_flat_splits_by_its_price_alone(market, price):
    for ((before, after),) in halts_of(market).values():
        hours = range((after - before) // dt.timedelta(hours=1) + 1)
        bars = make_published(
            [(before - START) / MINUTE + 60 * hour for hour in hours],
            trade_count=[5, *[0] * (len(hours) - 2), 5],
            close=[*[100.0] * (len(hours) - 1), price],
        )

        frame = build_from(bars, interval="1h").frame

        assert frame["open_time"].equals(bars["open_time"])
        segments = [0] * (len(hours) - 1) + [int(price > 100)]
        assert frame["segment"].to_list() == segments


def test_the_halts_of_all_symbols_are_known():
    if not KNOWN_GAPS.exists():
        pytest.skip("no list of known halts")
    known = [halts_of(market) for market in ("spot", "um_futures")]

    assert [len(symbols) for symbols in known] == [14, 3]
    assert [sum(map(len, symbols.values())) for symbols in known] == [14, 3]
    together = [one_after_another(chain.from_iterable(each.values())) for each in known]
    assert list(map(len, together)) == [11, 2]


stretches = st.lists(
    st.tuples(
        # Minutes without bars, bars after them, and the price of these.
        st.sampled_from([1, 5, 1439, 1440, 1441, 2879, 2880, 2881, 9000]),
        st.integers(1, 4),
        st.sampled_from([100, 105, 110, 111, 121, 89, 90]),
    ),
    min_size=2,
    max_size=9,
)
"""At least two holes, of all lengths around the limits of the rule."""


def bars_of(holes, *, price=100):
    """Return bars minute after minute, and with them the segment of each."""
    minutes, prices, segments = [0, 1], [price, price], [0, 0]
    for missing, n, moved in holes:
        distance = dt.timedelta(minutes=missing + 1)
        change = abs(round(moved / prices[-1] - 1, 12))
        days = distance / dt.timedelta(days=1)
        splits = (days > 1 and change > 0.1) or missing > 2 * DAY
        first = minutes[-1] + missing + 1
        minutes += range(first, first + n)
        prices += [moved] * n
        segments += [segments[-1] + splits] * n
    bars = make_published(minutes, close=[float(price) for price in prices])
    return bars, segments


@given(stretches, st.integers(0, 9))
def test_any_number_of_gaps_in_any_order_of_partitions_splits_right(holes, seed):
    bars, segments = bars_of(holes)

    frame = build_from(
        merged_bars(shuffled(bars, seed=seed, parts=3), interval="1m"),
        interval="1m",
        fill=False,
    ).frame

    assert frame["open_time"].equals(bars["open_time"])
    assert frame["segment"].to_list() == segments


@given(stretches, stretches)
def test_a_later_gap_changes_no_earlier_row(earlier, later):
    before = build_from(bars_of(earlier)[0], interval="1m").frame

    after = build_from(bars_of(earlier + later)[0], interval="1m").frame

    assert after.head(before.height).equals(before)
    assert after.height > before.height


RECORDED = Path("../shared/realdata/spot/api_klines/BTCUSDT/2h/2018-01-01.json")


@pytest.mark.skipif(not RECORDED.exists(), reason="no genuine files")
def test_an_outage_longer_than_a_day_without_a_jump_does_not_split():
    """Of 2018-02-08, when spot did not trade for 33 and a half hours."""
    rows = json.loads(RECORDED.read_text())
    epoch = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    opened = [epoch + dt.timedelta(milliseconds=row[0]) for row in rows]
    columns = {
        name: [float(row[place]) for row in rows]
        for place, name in enumerate(("open", "high", "low", "close", "volume"), 1)
    }
    bars = make_published(
        [(time - START) / MINUTE for time in opened],
        trade_count=[row[8] for row in rows],
        **columns,
    )

    results = build_from(bars, interval="2h")

    longest = results.gaps.sort("duration").row(-1, named=True)
    assert longest["prev_open_time"] == dt.datetime(2018, 2, 8, tzinfo=dt.UTC)
    assert longest["duration"] == dt.timedelta(hours=34)
    assert results.counts.segments == 1
    assert results.frame["trade_count"].sum() == sum(row[8] for row in rows)
