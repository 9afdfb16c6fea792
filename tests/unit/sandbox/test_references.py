import datetime as dt

import polars as pl
import pytest

from bhds.core.markets import Interval, TradeType
from bhds.sandbox.bars import PRICES
from bhds.sandbox.prices import KlineSource
from bhds.sandbox.references import Reference
from bhds.sandbox.timegrid import to_ms

START = to_ms(dt.datetime(2024, 12, 30, tzinfo=dt.UTC))
END = to_ms(dt.datetime(2025, 1, 6, tzinfo=dt.UTC))


def bars_of(universe, kind, *, start=START, end=END, interval="1m"):
    symbol = universe.symbol(TradeType.UM_FUTURES, "AAAUSDT")
    return (
        KlineSource(universe)
        .references[kind]
        .bars(symbol, Interval.parse(interval), start_ms=start, end_ms=end)
    )


@pytest.mark.parametrize("kind", Reference)
def test_there_are_bars_where_the_symbol_has_bars(universe, kind):
    symbol = universe.symbol(TradeType.UM_FUTURES, "AAAUSDT")
    traded = KlineSource(universe).bars(
        symbol, Interval.parse("1m"), start_ms=START, end_ms=END
    )

    bars = bars_of(universe, kind)

    assert bars["open_time"].equals(traded["open_time"])
    assert bars.columns == traded.columns
    assert bars["volume"].sum() == bars["taker_amount"].sum() == 0


@pytest.mark.parametrize("kind", Reference)
def test_bars_are_the_same_wherever_one_starts(universe, kind):
    start = END - 86_400_000 + 60_000 * 77

    part = bars_of(universe, kind, start=start)

    assert part.equals(bars_of(universe, kind).filter(pl.col("open_time") >= start))


def test_a_premium_is_small_and_of_either_sign(universe):
    premium = bars_of(universe, Reference.PREMIUM)

    for name in PRICES:
        assert premium[name].abs().max() < 300_000  # 0.3 %
    assert premium["open"].min() < 0 < premium["open"].max()


def test_the_three_have_moves_of_their_own(universe):
    index, mark = (
        bars_of(universe, each) for each in (Reference.INDEX, Reference.MARK)
    )

    assert not index["open"].equals(mark["open"])
    assert not (index["high"] - index["open"]).equals(mark["high"] - mark["open"])
