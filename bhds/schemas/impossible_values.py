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

from bhds.core.markets import TradeType
from bhds.schemas.klines import turnover_columns

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
        also compares each row with the one before: these are sorted by their key.

    Notes
    -----
    The takers' part is compared without a tolerance: sums that are rounded alike keep
    their order, and every known genuine bar has it so.
    """
    is_wrong = has_impossible_values(data_type, trade_type)
    if data_type not in _FOLLOWS:
        return is_wrong
    return is_wrong | ~_FOLLOWS[data_type]().fill_null(value=True)


def has_impossible_values(data_type: str, trade_type: TradeType) -> pl.Expr:
    """Return an expression: whether a row is impossible by itself.

    As `is_impossible`, but without regard to the row before, for rows in any order.
    """
    if data_type not in _POSSIBLE:
        return pl.lit(value=False)
    is_possible = reduce(and_, _POSSIBLE[data_type](trade_type))
    return ~is_possible.fill_null(value=False)


def has_rule(data_type: str) -> bool:
    """Return whether rows of a data type can be impossible."""
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


def _of_trades(trade_type: TradeType) -> list[pl.Expr]:
    is_cm = trade_type is TradeType.CM_FUTURES
    # Of the smallest trades of all this is rounded to 0.
    turnover = "base_quantity" if is_cm else "quote_quantity"
    return [_is_positive("price"), _is_positive("quantity"), _is_amount(turnover)]


def _of_agg_trades(_: TradeType) -> list[pl.Expr]:
    are_in_order = pl.col("first_trade_id") <= pl.col("last_trade_id")
    return [_is_positive("price"), _is_positive("quantity"), are_in_order]


def _of_book_ticker(_: TradeType) -> list[pl.Expr]:
    """Return that each side of the book has a price and a quantity, or neither.

    ASSUME: a side on which nobody offers anything is published with zeros.
    """
    sides = [(f"best_{side}_price", f"best_{side}_qty") for side in ("bid", "ask")]
    return [
        (_is_positive(price) & _is_positive(quantity))
        | ((pl.col(price) == 0) & (pl.col(quantity) == 0))
        for price, quantity in sides
    ]


def _of_book_depth(_: TradeType) -> list[pl.Expr]:
    """Return that depths are amounts; where the book is thin, a band may be empty."""
    return [_is_amount("depth"), _is_amount("notional")]


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


def _time_passes(time: str) -> pl.Expr:
    """Return whether a row is at most a little earlier than the one before."""
    return pl.col(time) >= pl.col(time).shift() - _JITTER


def _bands_are_in_order() -> pl.Expr:
    """Return whether what lies within a band also lies within the next wider one.

    Rows of one time are sorted by `percentage`: the widest band of the bids first, that
    of the asks last.
    """
    percentage, time = pl.col("percentage"), pl.col("timestamp")
    is_same_time = time == time.shift()
    bids = is_same_time & (percentage < 0)
    asks = is_same_time & (percentage.shift() > 0)
    amounts = pl.col("depth", "notional")
    return pl.all_horizontal(
        ~bids | (amounts <= amounts.shift()), ~asks | (amounts >= amounts.shift())
    )


_FOLLOWS: dict[str, Callable[[], pl.Expr]] = {
    "trades": lambda: _time_passes("time"),
    "aggTrades": lambda: _time_passes("time"),
    "bookTicker": lambda: _time_passes("transaction_time"),
    "bookDepth": _bands_are_in_order,
}
"""Whether a row can follow the one before it, by data type; null of the first row."""
