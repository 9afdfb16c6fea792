"""Values that a row cannot have, whoever published it.

A bar of trades has prices above zero, opens and closes between its low and its high,
and has no volume that is negative, no takers' part above the whole, and no trade
without volume. Mark prices and indices are prices too; a premium may be zero or
negative. Of trades and of the order book, prices and quantities are above zero, time
passes as ids rise, and depth does not fall as a band gets wider.
"""

from collections.abc import Callable
from functools import reduce
from operator import and_

import polars as pl

from bhds.columns import turnover_columns
from bhds.markets import TradeType

_INFINITE = float("inf")
_JITTER = pl.duration(minutes=1)
"""How far the time may fall from one id to the next. ASSUME: machines of the exchange
differ by less."""


def is_impossible(data_type: str, trade_type: TradeType) -> pl.Expr:
    """Return an expression: whether the values of a row are impossible.

    Parameters
    ----------
    data_type, trade_type
        What the rows are of.

    Returns
    -------
    polars.Expr
        Boolean, never null; false for a data type without a rule. It takes the columns
        of that type's partitions, fills or results. Of trades and of the order book it
        compares each row with the one before: these are sorted by their key.

    Notes
    -----
    The takers' part is compared without a tolerance: sums that are rounded alike keep
    their order, and every genuine bar at hand has it so.
    """
    rule = _POSSIBLE.get(data_type)
    if rule is None:
        return pl.lit(value=False)
    return reduce(and_, rule(trade_type)).not_().fill_null(value=True)


def has_rule(data_type: str) -> bool:
    """Return whether a data type has a rule."""
    return data_type in _POSSIBLE


def _within_range() -> list[pl.Expr]:
    """Return that opening and closing price lie within the range, all finite.

    NaN is the largest number to Polars: with a finite high and low nothing is NaN.
    """
    low, high = pl.col("low"), pl.col("high")
    prices = (pl.col("open"), pl.col("close"))
    return [
        *(low > -_INFINITE, high < _INFINITE),
        *(low <= price for price in prices),
        *(price <= high for price in prices),
    ]


def _of_prices(_: TradeType) -> list[pl.Expr]:
    return [*_within_range(), pl.col("low") > 0]


def _of_klines(trade_type: TradeType) -> list[pl.Expr]:
    turnover, taker_buy_turnover = turnover_columns(trade_type)
    parts = {"volume": "taker_buy_volume", turnover: taker_buy_turnover}
    count = pl.col("trade_count")
    return [
        *_of_prices(trade_type),
        *(pl.col(part) >= 0 for part in parts.values()),
        *(pl.col(part) <= pl.col(whole) for whole, part in parts.items()),
        *(pl.col(whole) < _INFINITE for whole in parts),
        count >= 0,
        (count == 0) | (pl.col("volume") > 0),
    ]


def _is_positive(name: str) -> pl.Expr:
    return (pl.col(name) > 0) & (pl.col(name) < _INFINITE)


def _is_amount(name: str) -> pl.Expr:
    return (pl.col(name) >= 0) & (pl.col(name) < _INFINITE)


def _time_passes(time: str) -> pl.Expr:
    """Return that a row is no more than a little earlier than the row before."""
    before = pl.col(time).shift()
    return before.is_null() | (pl.col(time) >= before - _JITTER)


def _of_trades(trade_type: TradeType) -> list[pl.Expr]:
    is_cm = trade_type is TradeType.CM_FUTURES
    # Of the smallest trades of all this is rounded to 0.
    turnover = "base_quantity" if is_cm else "quote_quantity"
    return [
        *(_is_positive("price"), _is_positive("quantity"), _is_amount(turnover)),
        _time_passes("time"),
    ]


def _of_agg_trades(_: TradeType) -> list[pl.Expr]:
    return [
        *(_is_positive("price"), _is_positive("quantity"), _time_passes("time")),
        pl.col("first_trade_id") <= pl.col("last_trade_id"),
    ]


def _of_book_ticker(_: TradeType) -> list[pl.Expr]:
    """Return that each side of the book has a price and a quantity, or neither.

    ASSUME: a side on which nobody offers anything is published with zeros.
    """
    sides = [(f"best_{side}_price", f"best_{side}_qty") for side in ("bid", "ask")]
    return [
        *(
            (_is_positive(price) & _is_positive(quantity))
            | ((pl.col(price) == 0) & (pl.col(quantity) == 0))
            for price, quantity in sides
        ),
        _time_passes("transaction_time"),
    ]


def _of_book_depth(_: TradeType) -> list[pl.Expr]:
    """Return that what lies within a band also lies within the next wider one.

    Rows of one time are sorted by `percentage`: the widest band of the bids first, that
    of the asks last. Where the book is thin, the narrowest may be empty.
    """
    percentage = pl.col("percentage")
    is_same_time = pl.col("timestamp") == pl.col("timestamp").shift()
    are_bids = is_same_time & (percentage < 0)
    are_asks = is_same_time & (percentage.shift() > 0)
    return [
        expression
        for name in ("depth", "notional")
        for here, before in [(pl.col(name), pl.col(name).shift())]
        for expression in (
            _is_amount(name),
            (are_bids & (here > before)).fill_null(value=False).not_(),
            (are_asks & (here < before)).fill_null(value=False).not_(),
        )
    ]


_POSSIBLE: dict[str, Callable[[TradeType], list[pl.Expr]]] = {
    "klines": _of_klines,
    "markPriceKlines": _of_prices,
    "indexPriceKlines": _of_prices,
    "premiumIndexKlines": lambda _: _within_range(),
    "trades": _of_trades,
    "aggTrades": _of_agg_trades,
    "bookTicker": _of_book_ticker,
    "bookDepth": _of_book_depth,
}
"""What holds of every row that is possible, by data type."""
