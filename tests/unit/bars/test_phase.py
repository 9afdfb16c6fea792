"""3d bars open on days of each symbol's own, and are never moved to another day."""

import datetime as dt
from dataclasses import replace

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhds.bars import phase
from bhds.bars.phase import PhaseSource
from bhds.config import SplitRule
from bhds.core.markets import Interval, TradeType
from bhds.core.resample_rule import ResampleRule
from bhds.core.timegrid import with_phase_of
from bhds.quality import reconciliation
from bhds.schemas.klines import parsed_klines

from .conftest import build_from, resampled

THREE_DAYS = Interval.parse("3d")
HOUR = Interval.parse("1h")
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
SPOT = TradeType.SPOT
PARSED = parsed_klines(SPOT)
FIRST = 19_000  # 2022-01-08, on phase 1


def bar(time, price, trades):
    return {
        "open_time": time,
        **dict.fromkeys(("open", "high", "low", "close"), price),
        "volume": 2 * trades,
        "quote_volume": 2 * trades * price,
        "trade_count": trades,
        "taker_buy_volume": trades,
        "taker_buy_quote_volume": trades * price,
        "close_time": time,
        "source": "daily",
    }


def build(rows, interval, **options):
    return build_from(pl.DataFrame(rows, schema=PARSED), interval=interval, **options)


def combine(hours, label):
    """Make one bar of several, as the exchange does."""
    traded = [hour for hour in hours if hour["trade_count"]] or hours
    made = bar(label, 0, sum(hour["trade_count"] for hour in hours))
    prices = [hour["open"] for hour in traded]
    made |= {"open": prices[0], "high": max(prices), "low": min(prices)}
    quote = sum(hour["quote_volume"] for hour in hours)
    taker = sum(hour["taker_buy_quote_volume"] for hour in hours)
    sums = {"quote_volume": quote, "taker_buy_quote_volume": taker}
    return made | {"close": prices[-1]} | sums


@st.composite
def histories(draw):
    """The hours of a symbol, without and with halts, and the days of its listings.

    At a listing the exchange counts the days of 3d bars anew.
    """
    listings, hours = [], []
    day = FIRST + draw(st.integers(0, 2))
    for _ in range(draw(st.integers(1, 3))):
        listings.append(day)
        time = EPOCH + day * DAY + dt.timedelta(hours=draw(st.integers(0, 23)))
        n = draw(st.integers(1, 400))
        price = draw(st.integers(90, 110))
        halt = draw(st.sampled_from([None, 5, 30, 90]))
        for number in range(n):
            at = time + number * dt.timedelta(hours=1)
            if halt is None or not n // 3 < number < n // 3 + halt:
                trades = (number * 7 + price) % 3
                hours.append(bar(at, price + number % 5, trades or number == 0))
        day = (hours[-1]["open_time"] - EPOCH).days + draw(st.integers(1, 9))
    return listings, hours


def published_3d(listings, hours):
    """Return the 3d bars that the exchange publishes of these hours."""
    windows = {}
    for hour in hours:
        day = (hour["open_time"] - EPOCH).days
        listed = max(each for each in listings if each <= day)
        label = EPOCH + (day - (day - listed) % 3) * DAY
        windows.setdefault(label, []).append(hour)
    return [combine(bars, label) for label, bars in windows.items()]


@given(histories(), st.booleans())
def test_resampled_3d_bars_are_those_that_the_exchange_publishes(history, is_split):
    listings, hours = history
    published = published_3d(listings, hours)
    result = build(hours, "1h", split=SplitRule(enabled=is_split)).frame
    theirs = pl.DataFrame(published, schema=PARSED)
    interval = with_phase_of(THREE_DAYS, theirs["open_time"])

    bars = resampled(result, ResampleRule(interval), base="1h")

    assert (bars["open_time"].diff().drop_nulls() >= 3 * DAY).all()
    opened = {row["open_time"]: row for row in published}
    for row in bars.rows(named=True):
        same = opened.get(row["open_time"])
        if same is None:  # filled all through: the exchange has no bar of it
            assert row["filled_count"] == 72
            continue
        for name in ("open", "high", "low", "close", "trade_count", "quote_volume"):
            assert row[name] == same[name] or row["filled_count"] > 0
        inside = result.filter(
            pl.col("open_time").is_between(
                row["open_time"], row["open_time"] + 3 * DAY, closed="left"
            )
        )
        assert inside["segment"].unique().to_list() == [row["segment"]]
        assert inside.height == 72
    checked = reconciliation.compare(
        result,
        theirs,
        trade_type=SPOT,
        symbol="X",
        base=HOUR,
        interval=THREE_DAYS,
        off_grid_days=pl.Series([], dtype=pl.Date),
    )
    assert checked.table["n_equal"].to_list() == checked.table["n_compared"].to_list()
    assert checked.table["n_compared"].min() >= bars.filter(filled_count=0).height


@given(
    st.lists(st.sampled_from([3, 3, 3, 3, 6, 1, 2, 4, 91]), max_size=20),
    st.booleans(),
    st.booleans(),
)
def test_published_3d_bars_keep_their_days(steps, fill, is_split):
    days = [FIRST]
    for step in steps:
        days.append(days[-1] + step)
    rows = [bar(EPOCH + day * DAY, 100 + day % 7, 1) for day in days]

    built = build(rows, "3d", fill=fill, split=SplitRule(enabled=is_split, min_days=30))

    frame = built.frame.filter(pl.col("source") != "filled")
    assert frame.select("open_time", "open", "trade_count").rows() == [
        (row["open_time"], row["open"], 1) for row in rows
    ]
    assert built.counts.off_grid == built.counts.combined == 0
    steps_left = pl.col("open_time").diff().over("segment").drop_nulls()
    if fill:
        # Before a new count less than one bar is left out.
        assert all(step < 6 * DAY for step in built.frame.select(steps_left)[:, 0])
    filled = built.frame.with_columns(until=pl.col("open_time").shift(-1)).filter(
        source="filled"
    )
    assert built.frame["open_time"].is_unique().all()
    assert (filled["open_time"] + 3 * DAY <= filled["until"]).all()


@pytest.mark.parametrize("phase_of_bars", [0, 1, 2])
@pytest.mark.parametrize("name", ["3d", "3d_1h", "3d_2d"])
def test_windows_begin_an_offset_after_the_days_of_the_phase(phase_of_bars, name):
    hours = [bar(EPOCH + FIRST * DAY + n * DAY / 24, 100, 1) for n in range(400)]
    rule = ResampleRule.parse(name)
    rule = replace(rule, interval=rule.interval.with_phase_of([phase_of_bars]))

    bars = resampled(build(hours, "1h").frame, rule, base="1h")

    assert bars.height >= 4
    for time in bars["open_time"]:
        since = time - rule.offset - EPOCH
        assert since % DAY == dt.timedelta(0)
        assert since.days % 3 == phase_of_bars


def test_without_a_phase_3d_bars_are_counted_from_the_first_day():
    hours = [bar(EPOCH + (FIRST + 1) * DAY + n * DAY / 24, 100, 1) for n in range(150)]

    bars = resampled(build(hours, "1h").frame, "3d", base="1h")

    assert bars["open_time"].to_list() == [
        EPOCH + (FIRST + 1) * DAY,
        EPOCH + (FIRST + 4) * DAY,
    ]


@pytest.mark.parametrize("days", [[FIRST], [FIRST, FIRST + 3, FIRST + 7, FIRST + 11]])
def test_a_phase_is_read_back_from_the_metadata(days):
    interval = THREE_DAYS.with_phase_of(days)

    metadata = phase.to_metadata(interval, PhaseSource.PUBLISHED)

    assert phase.from_metadata(THREE_DAYS, metadata) == interval
    assert metadata["phase_source"] == "published"


def test_a_phase_that_is_not_known_is_not_recorded():
    assert phase.to_metadata(THREE_DAYS, PhaseSource.API) == {}
    assert phase.from_metadata(THREE_DAYS, {}) == THREE_DAYS
