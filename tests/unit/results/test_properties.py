"""Results and resampled bars against a slow reference, written row by row."""

import datetime as dt

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from bhds.columns import FUNDING, parsed_klines
from bhds.markets import Interval, TradeType
from bhds.results.build import build_results
from bhds.results.gaps import SplitRule
from bhds.results.resample import ResampleRule, resample

HOUR = Interval.parse("1h")
STEP = dt.timedelta(hours=1)
START = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
SPLIT = SplitRule(min_days=1, min_price_change=0.1)
SUMS = ("volume", "quote_volume", "trade_count", "taker_buy_volume")
DISTANCES = (60, 60, 60, 60, 13, 47, 120, 600, 1440, 1500, 2880, 2941, 4500)


@st.composite
def published_bars(draw):
    """Bars at most 25 long: on and off the grid, untraded, with gaps of all kinds.

    All values are whole numbers, so that sums are exact in any order.
    """
    time = START + dt.timedelta(minutes=draw(st.integers(0, 100)))
    rows = []
    for minutes in draw(st.lists(st.sampled_from(DISTANCES), max_size=24)):
        prices = [draw(st.integers(90, 110)) for _ in range(4)]
        trades = draw(st.sampled_from([0, 1, 2, 5]))
        rows.append(
            {
                "open_time": time,
                "open": prices[0],
                "high": max(prices),
                "low": min(prices),
                "close": prices[1],
                "volume": 3 * trades,
                "quote_volume": 3 * trades * prices[2],
                "trade_count": trades,
                "taker_buy_volume": trades,
                "taker_buy_quote_volume": trades * prices[3],
                "close_time": time,
                "source": draw(st.sampled_from(["daily", "monthly", "api"])),
            }
        )
        time += dt.timedelta(minutes=minutes)
    return rows


def build(rows, **options):
    frame = pl.DataFrame(rows, schema=parsed_klines(TradeType.SPOT))
    return build_results(
        frame,
        trade_type=TradeType.SPOT,
        symbol="X",
        interval=HOUR,
        **({"vwap": True, "fill": True, "split": SPLIT} | options),
    )


def combine(group):
    """Make one row of several, as the exchange would have published it."""
    combined = dict(group[0])
    traded = [row for row in group if row["trade_count"] > 0] or group
    combined["open"] = traded[0]["open"]
    combined["high"] = max(row["high"] for row in traded)
    combined["low"] = min(row["low"] for row in traded)
    combined["close"] = traded[-1]["close"]
    for name in (*SUMS, "taker_buy_quote_volume"):
        combined[name] = sum(row[name] for row in group)
    return combined


def on_grid(rows):
    groups = {}
    for row in rows:
        point = row["open_time"] - (row["open_time"] - START) % STEP
        groups.setdefault(point, []).append({**row, "open_time": point})
    return [combine(group) for group in groups.values()]


def is_split(before, after):
    distance = after["open_time"] - before["open_time"]
    change = round(after["open"] / before["close"] - 1, 12)
    day = dt.timedelta(days=1)
    return (distance > day and abs(change) > 0.1) or distance > 2 * day


def reference(rows):
    """Walk from bar to bar; fill, and begin a segment after a splitting gap."""
    bars = on_grid(rows)
    traded = [n for n, bar in enumerate(bars) if bar["trade_count"] > 0]
    result = []
    segment = 0
    for position, n in enumerate(traded):
        if position > 0:
            before = bars[traded[position - 1]]
            if is_split(before, bars[n]):
                segment += 1
            else:
                result += between(bars[traded[position - 1] : n + 1], segment)
        result.append({**bars[n], "segment": segment})
    for row in result:
        quotient = row["quote_volume"] / row["volume"] if row["volume"] else row["open"]
        row["vwap"] = quotient
        if row["volume"]:
            row["vwap"] = min(max(quotient, row["low"]), row["high"])
    return result


def between(bars, segment):
    """Return untraded and filled rows strictly between two traded bars."""
    rows = []
    by_time = {bar["open_time"]: bar for bar in bars}
    close = bars[0]["close"]
    time = bars[0]["open_time"] + STEP
    while time < bars[-1]["open_time"]:
        flat = dict.fromkeys((*SUMS, "taker_buy_quote_volume"), 0)
        flat |= dict.fromkeys(("open", "high", "low", "close"), close)
        row = by_time.get(time, flat | {"open_time": time, "source": "filled"})
        rows.append({**row, "segment": segment})
        close = row["close"]
        time += STEP
    return rows


@settings(max_examples=150, deadline=None)
@given(published_bars())
def test_results_equal_those_of_the_row_by_row_reference(rows):
    frame = build(rows).frame

    expected = reference(rows)
    names = [name for name in frame.columns if name != "funding_rate"]
    assert frame.select(names).rows() == [
        tuple(row[name] for name in names) for row in expected
    ]


funding_events = st.dictionaries(
    st.integers(-30, 400).map(lambda hour: START + hour * STEP)
    | st.integers(-100, 6000).map(lambda m: START + dt.timedelta(minutes=m)),
    st.integers(-8, 8),
    max_size=60,
)
"""The rates of events before, in and after the bars, most of them on full hours."""


def funding_frame(paid):
    rows = [{"funding_time": time, "funding_rate": paid[time]} for time in sorted(paid)]
    return pl.DataFrame(rows, schema=FUNDING.names(), schema_overrides=FUNDING)


def pay(rows, paid):
    """Put the sum of the rates that lie in each bar on it."""
    for row in rows:
        times = [t for t in paid if row["open_time"] <= t < row["open_time"] + STEP]
        row["funding_rate"] = sum(paid[t] for t in times) if times else None
    return rows


@settings(max_examples=150, deadline=None)
@given(published_bars(), funding_events)
def test_funding_of_results_equals_that_of_the_row_by_row_reference(rows, paid):
    results = build(rows, funding=funding_frame(paid))

    expected = pay(reference(rows), paid)
    assert results.frame.select("open_time", "funding_rate").rows() == [
        (row["open_time"], row["funding_rate"]) for row in expected
    ]
    hours = [time - (time - START) % STEP for time in paid]
    on_bars = [hour for hour in hours if hour in {row["open_time"] for row in expected}]
    counts = results.counts
    assert counts.funding_events == len(paid)
    assert counts.funding_dropped == len(hours) - len(on_bars)
    combined = sum(on_bars.count(hour) > 1 for hour in set(on_bars))
    assert counts.funding_combined == combined


@settings(max_examples=100, deadline=None)
@given(published_bars(), st.booleans(), st.booleans())
def test_no_trade_is_lost_and_every_bar_is_sound(rows, fill, enabled):
    split = SplitRule(enabled=enabled)

    frame = build(rows, fill=fill, split=split).frame

    for name in SUMS:
        assert frame[name].sum() == sum(row[name] for row in rows)
    for price in ("open", "close", "vwap"):
        is_within = pl.col(price).is_between("low", "high")
        # An untraded bar's VWAP is its open; drawn opens are within the bar.
        assert frame.select(is_within.all()).item()
    assert frame["open_time"].is_unique().all()
    if fill:
        steps = frame.select(pl.col("open_time").diff().over("segment").drop_nulls())
        assert set(steps.to_series()) <= {STEP}


@settings(max_examples=100, deadline=None)
@given(published_bars())
def test_gaps_and_segments_agree(rows):
    results = build(rows)

    splits = results.gaps.filter("split")
    traded = [bar["open_time"] for bar in on_grid(rows) if bar["trade_count"] > 0]
    assert results.counts.segments == (splits.height + 1 if traded else 0)
    assert results.gaps["last_open_time"].is_sorted()
    inner = results.gaps.filter(pl.col("first_open_time").is_not_null())
    filled = inner.filter(~pl.col("split"))["missing_bars"].sum()
    assert results.counts.filled == filled
    points = inner["missing_bars"] + inner["untraded_bars"] + 1
    assert (points * STEP).to_list() == inner["duration"].to_list()


def resample_reference(rows, *, every, offset):
    groups = {}
    for row in rows:
        shifted = row["open_time"] - EPOCH - offset
        label = EPOCH + offset + shifted // every * every
        groups.setdefault((row["segment"], label), []).append(row)
    bars = []
    for (segment, label), group in groups.items():
        times = [row["open_time"] for row in rows if row["segment"] == segment]
        if times[0] <= label and label + every <= times[-1] + STEP:
            filled = sum(row["source"] == "filled" for row in group)
            bar = combine(group) | {"open_time": label, "filled_count": filled}
            bars.append(bar | {"first_vwap": group[0]["vwap"]} | funding_of(group))
    return bars


def funding_of(group):
    paid = [row for row in group if row["funding_rate"] is not None]
    return {
        "funding_rate": sum(row["funding_rate"] for row in paid) if paid else None,
        "funding_count": len(paid),
        "funding_time": paid[0]["open_time"] if paid else None,
    }


@settings(max_examples=100, deadline=None)
@given(
    published_bars(),
    funding_events,
    st.sampled_from(["1h", "2h", "4h_1h", "5h_3h", "1d", "1d_7h"]),
)
def test_resampled_bars_equal_those_of_the_row_by_row_reference(rows, paid, name):
    rule = ResampleRule.parse(name)

    bars = resample(
        build(rows, funding=funding_frame(paid)).frame,
        trade_type=TradeType.SPOT,
        symbol="X",
        base=HOUR,
        rule=rule,
    )

    expected = resample_reference(
        pay(reference(rows), paid),
        every=rule.interval.duration,
        offset=rule.offset,
    )
    names = [name for name in bars.columns if name != "vwap"]
    assert bars.select(names).rows() == [
        tuple(row[name] for name in names) for row in expected
    ]
