"""Results and resampled bars against a slow reference, written row by row."""

import datetime as dt
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhds.bars.merge import merge
from bhds.config import SplitRule
from bhds.core.markets import Interval, TradeType
from bhds.core.resample_rule import ResampleRule
from bhds.schemas.klines import FUNDING, parsed_klines

from .conftest import build_from, resampled

HOUR = Interval.parse("1h")
STEP = dt.timedelta(hours=1)
START = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
SPLIT = SplitRule(min_days=1, min_price_change=0.1)
SUMS = ("volume", "quote_volume", "trade_count", "taker_buy_volume")
DISTANCES = (60, 60, 60, 60, 13, 47, 120, 600, 1440, 1500, 2880, 2941, 4500)


@st.composite
def published_bars(draw, distances=DISTANCES, min_size=0):
    """Bars at most 25 long: on and off the grid, untraded, with gaps of all kinds.

    All values are whole numbers, so that sums are exact in any order.
    """
    time = START + dt.timedelta(minutes=draw(st.integers(0, 100)))
    rows = []
    steps = st.lists(st.sampled_from(distances), min_size=min_size, max_size=24)
    for minutes in draw(steps):
        price = st.integers(90, 110) | st.sampled_from([20, 550])
        prices = [draw(price) for _ in range(4)]
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


funding_events = st.dictionaries(
    st.integers(-30, 400).map(lambda hour: START + hour * STEP)
    | st.integers(-100, 6000).map(lambda m: START + dt.timedelta(minutes=m)),
    st.integers(-8, 8),
    max_size=60,
)
"""The rates of events before, in and after the bars, most of them on full hours."""


def build(rows, **options):
    frame = pl.DataFrame(rows, schema=parsed_klines(TradeType.SPOT))
    return build_from(frame, interval="1h", **({"split": SPLIT} | options))


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


def is_split(before, after, last_traded):
    """Whether a bar begins a segment: after lost bars, or where the price jumped."""
    day = dt.timedelta(days=1)
    if after["open_time"] - before["open_time"] - STEP > 2 * day:
        return True
    distance = after["open_time"] - last_traded["open_time"]
    if after["trade_count"] == 0 or distance == STEP:
        return False
    ratio = after["open"] / last_traded["close"]
    moved = abs(round(ratio - 1, 12)) > 0.1
    return (distance > day and moved) or not 1 / 5 <= ratio <= 5


def reference(rows):
    """Walk from bar to bar; fill, and begin a segment where the history splits."""
    bars = on_grid(rows)
    first = next((n for n, bar in enumerate(bars) if bar["trade_count"] > 0), len(bars))
    result = []
    segment, last_traded = 0, None
    for before, bar in pairwise([None, *bars[first:]]):
        if before is not None:
            if is_split(before, bar, last_traded):
                segment += 1
            else:
                result += filled_between(before, bar, segment)
        if bar["trade_count"] > 0:
            last_traded = bar
        result.append({**bar, "segment": segment})
    for row in result:
        quotient = row["quote_volume"] / row["volume"] if row["volume"] else row["open"]
        row["vwap"] = quotient
        if row["volume"]:
            row["vwap"] = min(max(quotient, row["low"]), row["high"])
    return result


def filled_between(before, after, segment):
    """Return flat rows strictly between two published bars."""
    flat = dict.fromkeys((*SUMS, "taker_buy_quote_volume"), 0)
    flat |= dict.fromkeys(("open", "high", "low", "close"), before["close"])
    flat |= {"source": "filled", "segment": segment}
    n = (after["open_time"] - before["open_time"]) // STEP
    return [flat | {"open_time": before["open_time"] + k * STEP} for k in range(1, n)]


@given(published_bars())
def test_results_equal_those_of_the_row_by_row_reference(rows):
    frame = build(rows).frame

    expected = reference(rows)
    names = [name for name in frame.columns if name != "funding_rate"]
    assert frame.select(names).rows() == [
        tuple(row[name] for name in names) for row in expected
    ]


def funding_frame(paid):
    rows = [{"funding_time": time, "funding_rate": paid[time]} for time in sorted(paid)]
    return pl.DataFrame(rows, schema=FUNDING.names(), schema_overrides=FUNDING)


def pay(rows, paid):
    """Put the sum of the rates that lie in each bar on it."""
    for row in rows:
        times = [t for t in paid if row["open_time"] <= t < row["open_time"] + STEP]
        row["funding_rate"] = sum(paid[t] for t in times) if times else None
    return rows


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


@given(published_bars())
def test_gaps_and_segments_agree(rows):
    results = build(rows)

    begins = results.frame.filter(pl.col("segment").diff() > 0)["open_time"].to_list()
    gaps = results.gaps.rows(named=True)
    for gap in gaps:
        until = gap["prev_open_time"] + gap["duration"]
        inside = [begin for begin in begins if gap["prev_open_time"] < begin <= until]
        assert gap["split"] == bool(inside)
        begins = [begin for begin in begins if begin not in inside]
        assert (gap["missing_bars"] + gap["untraded_bars"]) * STEP == gap[
            "duration"
        ] - (STEP if gap["next_open_time"] else dt.timedelta(0))
        assert gap["missing_bars"] > 0 or gap["split"]
    assert begins == []
    assert results.gaps["prev_open_time"].is_sorted()
    if results.counts.segments < 2:
        assert results.counts.filled == results.gaps["missing_bars"].sum()


def before(rows, moment):
    return [row for row in rows if row["open_time"] < moment]


@given(
    published_bars(),
    funding_events,
    st.tuples(st.integers(1, 60), st.integers(1, 5)),
    st.tuples(st.integers(0, 60), st.integers(1, 30)),
)
def test_with_more_days_no_row_of_an_earlier_day_changes_or_goes(
    rows, paid, days, unlisted
):
    """Rows may only come at the end: of a gap that was open, or windows then over."""
    day, more = days
    ends = [START + dt.timedelta(days=n) for n in (day, day + more)]
    settled = START + dt.timedelta(days=unlisted[0], hours=9)
    periods = ((settled, settled + dt.timedelta(days=unlisted[1])),)
    known = [
        build(
            before(rows, end),
            funding=funding_frame({t: rate for t, rate in paid.items() if t < end}),
            unlisted=periods if settled < end else (),
        )
        for end in ends
    ]
    frames = [results.frame for results in known]
    gone, added = changes(*frames)
    assert gone.is_empty()
    last = frames[0]["open_time"].max() or ends[0]
    of_earlier_days = added.filter(pl.col("open_time") < ends[0])
    assert set(of_earlier_days["source"]) <= {"filled"}
    assert (of_earlier_days["open_time"] > last).all()
    inner = [results.gaps.drop_nulls("next_open_time") for results in known]
    assert changes(*inner)[0].is_empty()
    for name in ("5h_3h", "1d", "1w"):
        rule = ResampleRule.parse(name)
        gone, added = changes(*(resampled(frame, rule, base="1h") for frame in frames))
        assert gone.is_empty()
        assert (added["open_time"].dt.offset_by(rule.interval.name) > last).all()


def changes(earlier, later):
    """Return the rows that are only in the one, and those only in the other frame."""
    keys = earlier.columns
    gone = earlier.join(later, on=keys, how="anti", nulls_equal=True)
    return gone, later.join(earlier, on=keys, how="anti", nulls_equal=True)


def window(time, rule):
    """Return where the window begins that `time` lies in, and where it ends."""
    name = rule.interval.name
    if rule.interval.duration is None:
        months = (time.year * 12 + time.month - 1) // int(name[:-2]) * int(name[:-2])
        ends = (months, months + int(name[:-2]))
        return tuple(dt.datetime(n // 12, n % 12 + 1, 1, tzinfo=dt.UTC) for n in ends)
    days = 4 if name.endswith("w") else rule.interval.phase or 0
    anchor = EPOCH + dt.timedelta(days=days) + rule.offset
    start = time - (time - anchor) % rule.interval.duration
    return start, start + rule.interval.duration


def resample_reference(rows, rule, paid=None):
    paid = paid or {}
    groups = {}
    for row in rows:
        groups.setdefault((row["segment"], window(row["open_time"], rule)), []).append(
            row
        )
    spans = {}
    for row in rows:
        first, _ = spans.get(row["segment"], (row["open_time"], None))
        spans[row["segment"]] = (first, row["open_time"] + STEP)
    bars = []
    for (segment, (label, end)), group in groups.items():
        begin, stop = spans[segment]
        if begin <= label and end <= stop:
            filled = sum(row["source"] == "filled" for row in group)
            bar = combine(group) | {"open_time": label, "filled_count": filled}
            bars.append(
                bar | {"first_vwap": group[0]["vwap"]} | funding_of(group, paid)
            )
    return bars


def funding_of(group, paid):
    times = [
        time
        for time in sorted(paid)
        if any(row["open_time"] <= time < row["open_time"] + STEP for row in group)
    ]
    return {
        "funding_rate": sum(paid[time] for time in times) if times else None,
        "funding_count": len(times),
        "funding_time": times[0] if times else None,
    }


def assert_bars_equal(bars, expected):
    names = [name for name in bars.columns if name != "vwap"]
    assert bars.select(names).rows() == [
        tuple(row[name] for name in names) for row in expected
    ]


def assert_sound(bars):
    """Prices are within the bar, and times are there once, in order."""
    for price in ("open", "close", "vwap"):
        assert bars.select(pl.col(price).is_between("low", "high").all()).item()
    assert bars["open_time"].is_sorted()
    assert bars["open_time"].is_unique().all()


@given(
    published_bars(),
    funding_events,
    st.sampled_from(["1h", "2h", "4h_1h", "5h_3h", "1d", "1d_7h"]),
)
def test_resampled_bars_equal_those_of_the_row_by_row_reference(rows, paid, name):
    rule = ResampleRule.parse(name)

    bars = resampled(build(rows).frame, rule, base="1h", funding=funding_frame(paid))

    assert_bars_equal(bars, resample_reference(reference(rows), rule, paid))
    assert_sound(bars)


@st.composite
def long_rules(draw):
    """Rules of days, weeks and months, with every offset that they can have."""
    interval = Interval.parse(draw(st.sampled_from(["2d", "3d", "1w", "2w", "1mo"])))
    if interval.duration is None:
        return ResampleRule(interval)
    interval = interval.with_phase_of([draw(st.integers(0, 2))])
    hours = draw(st.integers(0, interval.duration // STEP - 1))
    return ResampleRule(interval, hours * STEP)


@given(published_bars((1380, 1440, 2880, 2941, 4500), min_size=15), long_rules())
def test_weeks_and_months_equal_those_of_the_row_by_row_reference(rows, rule):
    frame = build(rows, split=SplitRule(enabled=False)).frame

    bars = resampled(frame, rule, base="1h")

    assert_bars_equal(bars, resample_reference(frame.rows(named=True), rule))
    assert_sound(bars)


@given(published_bars((60, 60, 120, 600, 1440, 2880)), st.data())
def test_however_partitions_are_cut_the_result_is_the_same(rows, data):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(rows)), max_size=4)))
    parts = [rows[begin:end] for begin, end in pairwise([0, *cuts, len(rows)])]
    schema = parsed_klines(TradeType.SPOT)
    frames = [pl.DataFrame(part, schema=schema) for part in parts]

    shuffled = data.draw(st.permutations(frames))
    merged = merge(shuffled, trade_type=TradeType.SPOT, interval=HOUR).bars

    assert merged.equals(pl.DataFrame(rows, schema=schema))
    assert build(merged.rows(named=True)).frame.equals(build(rows).frame)


@given(published_bars())
def test_building_again_from_what_was_published_gives_the_same(rows):
    first = build(rows)
    published = first.frame.filter(pl.col("source") != "filled")

    again = build(published.with_columns(close_time="open_time").rows(named=True))

    assert again.frame.equals(first.frame)
    assert (again.counts.off_grid, again.counts.combined, again.counts.trimmed) == (
        0,
    ) * 3
    assert again.counts.filled == first.counts.filled


@given(
    published_bars(),
    st.sampled_from(
        [
            ("BTCUSD_PERP", None, 100),
            ("BTCUSD_250328", None, 100),
            ("ETHUSD_PERP", None, 10),
            ("ETHUSD_PERP", 25.0, 25),
        ]
    ),
    st.sampled_from(["2h", "4h_1h", "1d"]),
)
def test_the_vwap_of_coin_margined_bars_is_a_price_within_the_bar(rows, contract, name):
    symbol, contract_usd, size = contract
    schema = parsed_klines(TradeType.CM_FUTURES)
    quoted = {row["open_time"]: (row["high"] + row["low"]) / 2 for row in rows}
    frame = pl.DataFrame(
        [
            row
            | {"base_volume": row["volume"] * size / quoted[row["open_time"]]}
            | {"taker_buy_base_volume": 0.0}
            for row in rows
        ],
        schema=schema,
    )

    market = {
        "trade_type": TradeType.CM_FUTURES,
        "symbol": symbol,
        "contract_usd": contract_usd,
    }

    results = build_from(frame, interval="1h", split=SPLIT, **market).frame
    bars = resampled(results, name, base="1h", **market)

    for table in (results, bars):
        assert_sound(table)
        for row in table.filter(pl.col("trade_count") > 0).rows(named=True):
            worth = row["volume"] * size
            assert worth / row["vwap"] == pytest.approx(row["base_volume"])


@given(published_bars(), st.integers(0, 100))
def test_a_history_that_ends_earlier_has_the_same_rows(rows, hours):
    """But for bars that a later one shows to be missing."""
    end = START + hours * STEP
    earlier = [row for row in rows if row["open_time"] < end]

    part = build(earlier, is_trading=True).frame

    whole = build(rows, is_trading=True).frame.filter(pl.col("open_time") < end)
    assert part.equals(whole.head(part.height))
    assert set(whole.tail(-part.height or whole.height)["source"]) <= {"filled"}
