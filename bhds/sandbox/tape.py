"""The trades of a symbol, one by one: what its bars are added up from.

Only symbols whose `trades_published` is set have a tape. A bar that is drawn as for
any other symbol is here a draft: it says how many trades there are, where the price
begins and ends, and how far it may go. The trades follow from it and from their own
draws; the bar that is published is what they add up to.

Orders fill one trade, three, one and two in turn, at one price and time each. So how
many trades and orders there were before any moment, and with it every id, follows from
the counts of the drafts, without making the trades. The first order of a bar is at the
draft's open and the last at its close, so bars without trades, flat at the last close,
stand as they are drawn.
"""

from collections.abc import Callable
from functools import lru_cache

import polars as pl

from bhds.core.markets import Frequency, TradeType
from bhds.sandbox.bars import PRICES
from bhds.sandbox.draws import bit_field, draw, stream_key
from bhds.sandbox.timegrid import DAY_MS, Period, period_at, periods, to_ms
from bhds.sandbox.universe import COIN_DECIMALS, Symbol, Universe

REVISION = 1
"""Raise by one when the same drafts must yield other trades."""

_TURN = 7
_ORDERS_IN_TURN = 4
_ORDER_IN_TURN = pl.Series([0, 1, 1, 1, 2, 3, 3])
_PLACE_IN_ORDER = pl.Series([0, 0, 1, 2, 0, 0, 1])
"""Of the seven trades of a turn: the number of its order, and its place in it."""

_MOST_TRADES = 1 << 20
"""No bar has as many trades: the draws of bars never meet."""

Drafts = Callable[[Symbol, int, int], pl.DataFrame]
"""Draws the finest bars of a symbol that open in a range (ms; its end is outside)."""


class Tape:
    """The trades of all symbols of a universe; safe for several threads."""

    def __init__(self, universe: Universe, drafts: Drafts) -> None:
        self._universe = universe
        self._drafts = drafts
        self._days = lru_cache(maxsize=4096)(self._counted_days)

    def trades(self, symbol: Symbol, *, start_ms: int, end_ms: int) -> pl.DataFrame:
        """Return the trades of a range (its end is outside) that begins at midnight.

        Returns
        -------
        polars.DataFrame
            Sorted by unique `id`, which counts from 1 on without holes, and by
            `time_us` (µs). `order_id` counts orders in the same way; the rest is as
            in `expand`.
        """
        drafts = self._drafts(symbol, start_ms, end_ms)
        trades_before, orders_before = self._before(symbol, start_ms)
        trades = expand(drafts, symbol, seed=self._universe.seed)
        return trades.with_columns(
            id=pl.int_range(1, pl.len() + 1) + trades_before,
            order_id=pl.col("opens").cast(pl.Int64).cum_sum() + orders_before,
        )

    def _before(self, symbol: Symbol, time_ms: int) -> tuple[int, int]:
        """Return how many trades and orders there were before a midnight."""
        month = period_at(Frequency.MONTHLY, time_ms)
        trades, orders = 0, 0
        for each in periods(
            Frequency.MONTHLY, start_ms=to_ms(symbol.listed), end_ms=month.end_ms
        ):
            counted = self._days(symbol.market, symbol.name, each)
            # Of the months before, the whole: what came before their next midnight.
            day = (min(time_ms, each.end_ms) - each.start_ms) // DAY_MS
            trades, orders = trades + counted[day][0], orders + counted[day][1]
        return trades, orders

    def _counted_days(
        self, market: TradeType, name: str, month: Period
    ) -> list[tuple[int, int]]:
        """Return the trades and orders of a month before each midnight, and in all."""
        symbol = self._universe.symbol(market, name)
        drafts = self._drafts(symbol, month.start_ms, month.end_ms)
        place = (pl.col("open_time") - month.start_ms) // DAY_MS
        days = drafts.group_by(day=place).agg(
            pl.col("trade_count").sum(),
            orders=pl.col("trade_count").map_batches(order_count).sum(),
        )
        counts = {day: (trades, orders) for day, trades, orders in days.iter_rows()}
        before = [(0, 0)]
        for day in range((month.end_ms - month.start_ms) // DAY_MS):
            trades, orders = counts.get(day, (0, 0))
            before.append((before[-1][0] + trades, before[-1][1] + orders))
        return before


def order_count(trades: pl.Series) -> pl.Series:
    """Return how many orders fill as many `trades`, all of one bar."""
    last = (trades - 1).clip(lower_bound=0)
    orders = last // _TURN * _ORDERS_IN_TURN + _ORDER_IN_TURN.gather(last % _TURN) + 1
    return orders * (trades > 0).cast(pl.Int64)


def expand(drafts: pl.DataFrame, symbol: Symbol, *, seed: int) -> pl.DataFrame:
    """Return the trades of drafted bars.

    Returns
    -------
    polars.DataFrame
        In order of time, Int64 unless noted: `open_time` of the bar, `time_us`, `price`
        (units of its last decimal), `quantity` (likewise), `amount` (as in bars),
        `is_buyer_maker` (Boolean), `opens` (Boolean: the first trade of an order).
    """
    traded = drafts.filter(pl.col("trade_count") > 0)
    counts = traded["trade_count"]
    starts = counts.cum_sum() - counts
    bar = pl.int_range(traded.height, eager=True).repeat_by(counts).explode()
    place = pl.int_range(bar.len(), eager=True) - starts.gather(bar)
    in_order = _PLACE_IN_ORDER.gather(place % _TURN)
    key = stream_key(seed, symbol.market, symbol.name, "trade")
    number = (traded["open_time"] // symbol.step_ms).gather(bar)
    drawn = draw(number * _MOST_TRADES + place, key)
    # All trades of an order share the draws of its first one.
    shared = drawn.gather(pl.int_range(bar.len(), eager=True) - in_order)
    columns = traded.select("open_time", *PRICES)[bar].with_columns(
        order=place // _TURN * _ORDERS_IN_TURN + _ORDER_IN_TURN.gather(place % _TURN),
        orders=order_count(counts).gather(bar),
        opens=in_order == 0,
        waiting=bit_field(shared, offset=0, width=16),
        wandering=bit_field(shared, offset=16, width=8),
        is_buyer_maker=bit_field(shared, offset=24, width=1) == 1,
        large=bit_field(drawn, offset=32, width=10),
    )
    return columns.select(
        "open_time",
        _time_us(symbol),
        _price(symbol).alias("price"),
        _quantity(symbol).alias("quantity"),
        "is_buyer_maker",
        "opens",
    ).with_columns(amount=amount_of(symbol, pl.col("quantity"), price=pl.col("price")))


def _time_us(symbol: Symbol) -> pl.Expr:
    """Return when each order is filled: at random, in its own part of the bar."""
    step_us = symbol.step_ms * 1_000
    part = pl.col("order") * step_us + step_us * pl.col("waiting") // (1 << 16)
    return (pl.col("open_time") * 1_000 + part // pl.col("orders")).alias("time_us")


def _price(symbol: Symbol) -> pl.Expr:
    """Return a price off the line from open to close, in whole ticks."""
    first, high, low, last = (pl.col(name) // symbol.tick_units for name in PRICES)
    order, steps = pl.col("order"), pl.col("orders") - 1
    line = first + (last - first) * order // steps.clip(lower_bound=1)
    off = (high - low) * (pl.col("wandering") - 128) // 256
    ticks = (
        pl.when(order == steps)
        .then(last)
        .when(order == 0)
        .then(first)
        .otherwise((line + off).clip(low, high))
    )
    return ticks * symbol.tick_units


def _quantity(symbol: Symbol) -> pl.Expr:
    """Return a quantity about that of the mean trade, at least the smallest one."""
    return 1 + 2 * (symbol.units_per_trade - 1) * pl.col("large") // 1024


def amount_of(symbol: Symbol, quantity: pl.Expr, *, price: pl.Expr) -> pl.Expr:
    """Return what a quantity is worth at a price, in the units of bars' amounts."""
    if symbol.market is not TradeType.CM_FUTURES:
        return quantity.mul(price)
    unit = symbol.contract_size * 10 ** (COIN_DECIMALS + symbol.price_decimals)
    return quantity.mul(unit).floordiv(price)


def traded_bars(drafts: pl.DataFrame, trades: pl.DataFrame) -> pl.DataFrame:
    """Return the bars that `trades` add up to, and the drafts without trades."""
    taken = ~pl.col("is_buyer_maker")
    traded = trades.group_by("open_time", maintain_order=True).agg(
        open=pl.col("price").first(),
        high=pl.col("price").max(),
        low=pl.col("price").min(),
        close=pl.col("price").last(),
        volume=pl.col("quantity").sum(),
        amount=pl.col("amount").sum(),
        trade_count=pl.len().cast(pl.Int64),
        taker_volume=pl.col("quantity").filter(taken).sum(),
        taker_amount=pl.col("amount").filter(taken).sum(),
    )
    quiet = drafts.filter(pl.col("trade_count") == 0)
    return pl.concat([traded.select(drafts.columns), quiet]).sort("open_time")


def filled_orders(trades: pl.DataFrame) -> pl.DataFrame:
    """Return one row for each order of `trades`, which must hold all of its trades.

    Returns
    -------
    polars.DataFrame
        Sorted by unique `order_id`: `price`, `quantity` (of all its trades),
        `first_trade_id`, `last_trade_id`, `time_us`, `is_buyer_maker`.
    """
    firsts = trades["opens"].arg_true()
    lasts = firsts.shift(-1, fill_value=trades.height) - 1
    so_far = trades["quantity"].cum_sum()
    return trades[firsts].select(
        "order_id",
        "price",
        quantity=so_far.gather(lasts) - so_far.gather(firsts) + pl.col("quantity"),
        first_trade_id="id",
        last_trade_id=trades["id"].gather(lasts),
        time_us="time_us",
        is_buyer_maker="is_buyer_maker",
    )
