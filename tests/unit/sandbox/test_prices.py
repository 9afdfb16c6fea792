import datetime as dt

import polars as pl
import pytest

from bhds.core.markets import ARCHIVE_INTERVALS, Interval, TradeType
from bhds.sandbox.bars import SUMMED
from bhds.sandbox.prices import KlineSource
from bhds.sandbox.timegrid import bar_end, bar_open, to_ms

START = to_ms(dt.datetime(2024, 12, 30, tzinfo=dt.UTC))
END = to_ms(dt.datetime(2025, 1, 10, tzinfo=dt.UTC))
MINUTE = Interval.parse("1m")
EVERY_SYMBOL = [
    (TradeType.SPOT, "AAAUSDT"),
    (TradeType.UM_FUTURES, "AAAUSDT"),
    (TradeType.UM_FUTURES, "币安人生USDT"),
    (TradeType.CM_FUTURES, "AAAUSD_PERP"),
]


def bars_of(universe, market, name, interval="1m", *, start=START, end=END):
    return KlineSource(universe).bars(
        universe.symbol(market, name),
        Interval.parse(interval),
        start_ms=start,
        end_ms=end,
    )


def added_up(rows, interval):
    """Aggregate rows of bars in plain Python, with the prices of traded ones."""
    groups = {}
    for row in rows:
        groups.setdefault(bar_open(interval, row["open_time"]), []).append(row)
    bars = []
    for label, parts in groups.items():
        traded = [part for part in parts if part["trade_count"] > 0] or parts
        prices = {
            "open": traded[0]["open"],
            "high": max(part["high"] for part in traded),
            "low": min(part["low"] for part in traded),
            "close": traded[-1]["close"],
        }
        sums = {name: sum(part[name] for part in parts) for name in SUMMED}
        bars.append({"open_time": label} | prices | sums)
    return bars


@pytest.mark.parametrize("name", ARCHIVE_INTERVALS[2:])
def test_every_interval_adds_up_to_the_minutes(universe, name):
    interval = Interval.parse(name)
    start = bar_open(interval, START)
    end = bar_end(interval, bar_open(interval, START + 2 * 86_400_000))
    symbol = (TradeType.UM_FUTURES, "AAAUSDT")

    coarse = bars_of(universe, *symbol, name, start=start, end=end)
    minutes = bars_of(universe, *symbol, start=start, end=end)

    assert minutes.height > 1_000
    if interval.duration and interval.duration < dt.timedelta(hours=1):
        minutes = minutes.head(600)
        coarse = coarse.head(len(added_up(minutes.to_dicts(), interval)))
    assert coarse.to_dicts() == added_up(minutes.to_dicts(), interval)


def test_minutes_add_up_to_the_seconds(universe):
    symbol = (TradeType.SPOT, "SECUSDT")
    start = to_ms(dt.datetime(2025, 1, 5, 23, 50, tzinfo=dt.UTC))
    end = start + 20 * 60_000

    seconds = bars_of(universe, *symbol, "1s", start=start, end=end)
    minutes = bars_of(universe, *symbol, "1m", start=start, end=end)

    assert seconds.height == 20 * 60
    assert minutes.to_dicts() == added_up(seconds.to_dicts(), MINUTE)


@pytest.mark.parametrize(("market", "name"), EVERY_SYMBOL)
def test_bars_are_possible(universe, market, name):
    bars = bars_of(universe, market, name)

    assert bars.select(
        (pl.col("low") > 0).all()
        & (pl.col("low") <= pl.min_horizontal("open", "close")).all()
        & (pl.col("high") >= pl.max_horizontal("open", "close")).all()
        & (pl.col("volume") >= pl.col("trade_count")).all()
        & (pl.col("taker_volume") <= pl.col("volume")).all()
        & (pl.col("taker_amount") <= pl.col("amount")).all()
    ).item()
    if market is not TradeType.CM_FUTURES:
        traded = bars.filter(pl.col("volume") > 0)
        average = pl.col("amount") / pl.col("volume")
        assert traded.select(average.is_between("low", "high").all()).item()


def test_bars_are_the_same_wherever_one_starts(universe):
    symbol = (TradeType.SPOT, "AAAUSDT")
    whole = bars_of(universe, *symbol)
    start = START + 5 * 86_400_000 + 60_000 * 77

    part = bars_of(universe, *symbol, start=start, end=start + 60_000 * 1_000)

    assert part.equals(whole.filter(pl.col("open_time") >= start).head(1_000))


def test_price_goes_on_across_days_and_months(universe):
    bars = bars_of(universe, TradeType.CM_FUTURES, "AAAUSD_PERP")

    jump = (bars["open"] - bars["close"].shift(1)).abs().max()

    assert jump <= 1


def test_quiet_bars_are_flat_at_the_last_close(universe):
    bars = bars_of(universe, TradeType.SPOT, "AAAUSDT")

    quiet = bars.with_columns(last=pl.col("close").shift(1)).filter(
        pl.col("trade_count") == 0
    )

    assert 0.3 < quiet.height / bars.height < 0.5
    for name in ("open", "high", "low", "close"):
        assert (quiet[name] == quiet["last"]).all()
    assert quiet["volume"].sum() == quiet["amount"].sum() == 0


def test_a_halt_leaves_no_bars_and_moves_the_price(universe):
    bars = bars_of(universe, TradeType.UM_FUTURES, "AAAUSDT")
    bars = bars.with_columns(step=pl.col("open_time").diff() // 60_000)

    gap = bars.with_columns(last=pl.col("close").shift(1)).filter(pl.col("step") > 1)

    assert gap["step"].to_list() == [(2 * 24 + 4) * 60 + 31]
    assert gap["open"][0] / gap["last"][0] == pytest.approx(0.5, rel=0.1)


def test_bars_begin_with_the_listing_and_end_with_the_delisting(universe):
    bars = bars_of(universe, TradeType.UM_FUTURES, "币安人生USDT")

    listed = to_ms(dt.datetime(2024, 12, 30, 12, tzinfo=dt.UTC))
    delisted = to_ms(dt.datetime(2025, 1, 3, 9, tzinfo=dt.UTC))
    assert bars["open_time"][0] == listed
    assert bars["open_time"][-1] == delisted - 60_000


def test_outages_stop_a_whole_market(universe):
    halt = {"start": "2025-01-02T00:00", "end": "2025-01-02T01:00"}
    stopped = universe.model_validate(
        {"symbols": universe.symbols, "outages": {"spot": [halt]}}
    )

    hours = {
        market: bars_of(stopped, market, "AAAUSDT", "1h", start=END - 8 * 86_400_000)
        for market in (TradeType.SPOT, TradeType.UM_FUTURES)
    }

    first = END - 8 * 86_400_000
    assert first not in hours[TradeType.SPOT]["open_time"]
    assert hours[TradeType.SPOT]["open_time"][0] == first + 3_600_000


def test_seed_changes_the_prices(universe):
    other = universe.model_validate({"seed": 8, "symbols": universe.symbols})

    ours, theirs = (
        bars_of(each, TradeType.SPOT, "AAAUSDT") for each in (universe, other)
    )

    assert not ours["open"].equals(theirs["open"])


def test_a_running_bar_holds_what_has_been_traded(universe):
    source = KlineSource(universe)
    symbol = universe.symbol(TradeType.CM_FUTURES, "AAAUSD_PERP")
    hour = Interval.parse("1h")
    opened = to_ms(dt.datetime(2025, 1, 5, 8, tzinfo=dt.UTC))
    now = opened + 10 * 60_000 + 30_000

    bars = source.bars_until(
        symbol, hour, start_ms=opened - 3_600_000, end_ms=now, now_ms=now
    )

    final = source.bars(
        symbol, hour, start_ms=opened - 3_600_000, end_ms=opened + 3_600_000
    )
    assert bars["open_time"].to_list() == final["open_time"].to_list()
    assert bars.head(1).equals(final.head(1))
    assert bars["open"][1] == final["open"][1]
    assert 0 < bars["volume"][1] < final["volume"][1]
