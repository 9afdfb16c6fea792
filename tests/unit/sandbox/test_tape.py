import datetime as dt

import polars as pl
import pytest

from bhds.core.markets import Interval, TradeType
from bhds.sandbox.prices import KlineSource
from bhds.sandbox.tape import filled_orders, order_count
from bhds.sandbox.timegrid import DAY_MS, to_ms
from bhds.sandbox.universe import Universe

START = to_ms(dt.datetime(2025, 1, 1, tzinfo=dt.UTC))


@pytest.fixture
def source(symbol):
    """Bars of one symbol with trades: quiet, with a halt, listed at noon."""
    halt = {"start": "2025-01-02T03:07:00", "end": "2025-01-02T03:21:00"}
    described = symbol(
        "um_futures",
        "AAAUSDT",
        trades_published=True,
        trades_per_minute=4,
        quiet_share=0.6,
        halts=[halt],
    )
    return KlineSource(Universe.model_validate({"seed": 7, "symbols": [described]}))


@pytest.fixture
def traded(source):
    return source.universe.symbol(TradeType.UM_FUTURES, "AAAUSDT")


@pytest.mark.parametrize("count", range(30))
def test_orders_fill_one_three_one_and_two_trades_in_turn(count):
    sizes = [1, 3, 1, 2] * 5
    filled = [sum(sizes[:number]) for number in range(len(sizes) + 1)]

    orders = order_count(pl.Series([count]))[0]

    assert orders == next(number for number, each in enumerate(filled) if each >= count)


def test_trades_are_the_same_wherever_one_starts(source, traded):
    whole = source.tape.trades(traded, start_ms=START, end_ms=START + 3 * DAY_MS)

    day = source.tape.trades(traded, start_ms=START + DAY_MS, end_ms=START + 2 * DAY_MS)

    first = START + DAY_MS
    expected = whole.filter(
        pl.col("open_time").is_between(first, first + DAY_MS, closed="left")
    )
    assert day.height > 1_000
    assert day.equals(expected)


def test_ids_count_from_the_listing_on(source, traded):
    listed = to_ms(traded.listed) // DAY_MS * DAY_MS

    trades = source.tape.trades(traded, start_ms=listed, end_ms=START + 40 * DAY_MS)
    last = source.tape.trades(
        traded, start_ms=START + 39 * DAY_MS, end_ms=START + 40 * DAY_MS
    )

    assert trades["id"].to_list() == list(range(1, trades.height + 1))
    orders = filled_orders(trades)
    assert orders["order_id"].to_list() == list(range(1, orders.height + 1))
    assert last.equals(trades.tail(last.height))


def test_times_are_in_their_bar_and_in_order(source, traded):
    trades = source.tape.trades(traded, start_ms=START, end_ms=START + DAY_MS)

    assert trades["time_us"].is_sorted()
    assert (trades["time_us"] // 60_000_000 * 60_000).equals(trades["open_time"])


def test_the_first_bar_of_a_day_and_of_a_span_has_trades(source, traded):
    minutes = source.bars(
        traded, Interval.parse("1m"), start_ms=START, end_ms=START + 10 * DAY_MS
    )

    has_trades = minutes.filter(pl.col("trade_count") > 0)["open_time"]

    firsts = [START + day * DAY_MS for day in range(10)]
    firsts += [to_ms(traded.halts[0].end)]
    assert has_trades.len() < 0.5 * minutes.height
    assert set(firsts) <= set(has_trades)


def test_a_symbol_has_other_bars_with_trades_but_the_same_closes(source, traded):
    plain = traded.model_copy(update={"trades_published": False})
    without = KlineSource(Universe.model_validate({"seed": 7, "symbols": [plain]}))
    minute = Interval.parse("1m")
    span = {"start_ms": START, "end_ms": START + DAY_MS}

    ours, theirs = (
        source.bars(traded, minute, **span),
        without.bars(plain, minute, **span),
    )

    assert not ours.equals(theirs)
    assert ours["close"].equals(theirs["close"])
