"""Trades, and the orders that they filled, of the symbols that publish them."""

import datetime as dt

import polars as pl

from bhds.core.markets import TradeType
from bhds.sandbox import formats, prices, tape
from bhds.sandbox.datasets.feed import FolderFeed, PublishedType
from bhds.sandbox.formats import HEADER_SINCE, MICROSECONDS_SINCE
from bhds.sandbox.prices import KlineSource
from bhds.sandbox.tape import filled_orders
from bhds.sandbox.timegrid import Period
from bhds.sandbox.universe import COIN_DECIMALS, Symbol

REVISION = 1
"""Raise by one when the same trades must yield other files."""

_AGG_TRADES_HEADER = (
    "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,"
    "is_buyer_maker"
)
_TRADES_HEADER = "id,price,qty,quote_qty,time,is_buyer_maker"
_CM_TRADES_HEADER = "id,price,qty,base_qty,time,is_buyer_maker"


class _TradeFiles(PublishedType):
    """What both types have in common.

    No file would be empty: the first bar of a day has trades, as has the first one
    after a halt.
    """

    content_revision = (
        prices.REVISION,
        formats.REVISION,
        tape.REVISION,
        REVISION,
    )
    altered = ("quantity",)

    def publishes(self, symbol: Symbol) -> bool:
        """Check whether the symbol's bars are built from trades."""
        return symbol.trades_published

    def rows(
        self, source: KlineSource, feed: FolderFeed, period: Period
    ) -> pl.DataFrame:
        """Return the trades of the period."""
        start_ms, end_ms = self.window(feed, period)
        return source.tape.trades(feed.symbol, start_ms=start_ms, end_ms=end_ms)


class Trades(_TradeFiles):
    """Trades one by one."""

    name = "trades"

    def csv(self, rows: pl.DataFrame, feed: FolderFeed, period: Period) -> bytes:
        """Return the trades in the format of their market and era."""
        symbol = feed.symbol
        is_cm = symbol.market is TradeType.CM_FUTURES
        decimals = symbol.price_decimals + symbol.quantity_decimals
        shown = rows.select(
            "id",
            *_price_and_quantity(symbol),
            formats.as_shown(
                pl.col("amount"),
                COIN_DECIMALS if is_cm else decimals,
                market=symbol.market,
            ),
            _time(symbol, day=period.start),
            *_flags(symbol),
        )
        header = _CM_TRADES_HEADER if is_cm else _TRADES_HEADER
        return formats.csv_file(shown, header=_if_any(header, symbol, day=period.start))


class AggTrades(_TradeFiles):
    """Trades of one order at one price, in one row."""

    name = "aggTrades"

    def rows(
        self, source: KlineSource, feed: FolderFeed, period: Period
    ) -> pl.DataFrame:
        """Return the orders that were filled in the period."""
        return filled_orders(super().rows(source, feed, period))

    def csv(self, rows: pl.DataFrame, feed: FolderFeed, period: Period) -> bytes:
        """Return the orders in the format of their market and era."""
        symbol = feed.symbol
        shown = rows.select(
            "order_id",
            *_price_and_quantity(symbol),
            "first_trade_id",
            "last_trade_id",
            _time(symbol, day=period.start),
            *_flags(symbol),
        )
        header = _if_any(_AGG_TRADES_HEADER, symbol, day=period.start)
        return formats.csv_file(shown, header=header)


def _price_and_quantity(symbol: Symbol) -> tuple[pl.Expr, pl.Expr]:
    """Return both as the market shows them: contracts as `542.0`."""
    market, quantity = symbol.market, pl.col("quantity")
    price = formats.as_shown(pl.col("price"), symbol.price_decimals, market=market)
    if market is TradeType.CM_FUTURES and symbol.quantity_decimals == 0:
        return price, formats.with_point(quantity * 10, 1)
    return price, formats.as_shown(quantity, symbol.quantity_decimals, market=market)


def _time(symbol: Symbol, *, day: dt.date) -> pl.Expr:
    """Return the time in the unit of a file whose period begins on `day`."""
    is_spot = symbol.market is TradeType.SPOT
    per_unit = 1 if is_spot and day >= MICROSECONDS_SINCE else 1_000
    return pl.col("time_us") // per_unit


def _flags(symbol: Symbol) -> tuple[pl.Expr, ...]:
    """Return who was the maker, `true` or `false`, of spot `True` or `False`.

    Spot says too whether the price was the best one (ASSUME: always).
    """
    is_buyer_maker = pl.col("is_buyer_maker")
    if symbol.market is not TradeType.SPOT:
        return (is_buyer_maker,)
    word = pl.when(is_buyer_maker).then(pl.lit("True")).otherwise(pl.lit("False"))
    return word.alias("is_buyer_maker"), pl.lit("True").alias("is_best_match")


def _if_any(header: str, symbol: Symbol, *, day: dt.date) -> str | None:
    """Return the header of a file whose period begins on `day`, or None."""
    has_header = symbol.market is not TradeType.SPOT and day >= HEADER_SINCE
    return header if has_header else None
