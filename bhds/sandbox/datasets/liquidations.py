"""Liquidation orders: a few each day."""

import polars as pl

from bhds.core.markets import Interval, TradeType
from bhds.sandbox import formats, prices
from bhds.sandbox.bars import is_trading
from bhds.sandbox.datasets.feed import FolderFeed, PublishedType
from bhds.sandbox.draws import bit_field, draw, stream_key
from bhds.sandbox.prices import KlineSource
from bhds.sandbox.timegrid import DAY_MS, MINUTE_MS, Period
from bhds.sandbox.universe import Symbol

REVISION = 1
"""Raise by one when the same universe must yield other files."""

_HEADER = (
    "time,side,order_type,time_in_force,original_quantity,price,average_price,"
    "order_status,last_fill_quantity,accumulated_fill_quantity"
)
_MOST_A_DAY = 8
_MINUTE = Interval.parse("1m")


class LiquidationSnapshot(PublishedType):
    """Orders that were liquidated, of COIN-M alone: USD-M's files were withdrawn.

    Each row is there once; that the archive doubled them is a defect (D24).
    """

    name = "liquidationSnapshot"
    content_revision = (prices.REVISION, formats.REVISION, REVISION)
    altered = ("price",)

    def publishes(self, symbol: Symbol) -> bool:
        """Check whether the symbol is one of COIN-M."""
        return symbol.market is TradeType.CM_FUTURES

    def is_empty(self, source: KlineSource, feed: FolderFeed, period: Period) -> bool:
        """Check whether no order was liquidated."""
        return self._orders(source, feed, period).is_empty()

    def rows(
        self, source: KlineSource, feed: FolderFeed, period: Period
    ) -> pl.DataFrame:
        """Return one row for each order, in order of time.

        `time` (ms), `side`, `quantity` and `last_quantity` (contracts), `price` and
        `average_price` (units of the last decimal). The average price is the close of
        the minute; the price is up to 1 % worse.
        """
        symbol = feed.symbol
        orders = self._orders(source, feed, period)
        start_ms, end_ms = self.window(feed, period)
        bars = source.bars(symbol, _MINUTE, start_ms=start_ms, end_ms=end_ms)
        minute = pl.col("time") // MINUTE_MS * MINUTE_MS
        close = pl.col("close") // symbol.tick_units
        worse = close // 100 * pl.col("worse") // 256
        return (
            orders.with_columns(open_time=minute)
            .join(bars, on="open_time", maintain_order="left")
            .select(
                "time",
                side=pl.when("is_bought").then(pl.lit("BUY")).otherwise(pl.lit("SELL")),
                quantity=1 + pl.col("large"),
                last_quantity=1 + pl.col("large") * pl.col("filled") // 256,
                price=symbol.tick_units
                * (close + pl.when("is_bought").then(worse).otherwise(-worse)),
                average_price="close",
            )
        )

    def csv(self, rows: pl.DataFrame, feed: FolderFeed, period: Period) -> bytes:  # noqa: ARG002
        """Return the orders as text; quantities are whole contracts."""
        decimals = feed.symbol.price_decimals
        shown = rows.select(
            "time",
            "side",
            pl.lit("LIMIT").alias("order_type"),
            pl.lit("IOC").alias("time_in_force"),
            "quantity",
            *(
                formats.with_point(pl.col(name), decimals)
                for name in ("price", "average_price")
            ),
            pl.lit("FILLED").alias("order_status"),
            "last_quantity",
            pl.col("quantity").alias("accumulated_quantity"),
        )
        return formats.csv_file(shown, header=_HEADER)

    def _orders(
        self, source: KlineSource, feed: FolderFeed, period: Period
    ) -> pl.DataFrame:
        """Return the times and draws of orders, while the symbol trades."""
        symbol = feed.symbol
        start_ms, end_ms = self.window(feed, period)
        number = pl.int_range(
            start_ms // DAY_MS * _MOST_A_DAY, end_ms // DAY_MS * _MOST_A_DAY, eager=True
        )
        key = stream_key(source.universe.seed, symbol.market, symbol.name, self.name)
        drawn = draw(number, key)
        # The first one always happens, and each of the others as a coin falls.
        happens = (number % _MOST_A_DAY == 0) | (
            bit_field(drawn, offset=0, width=1) == 1
        )
        part = DAY_MS // _MOST_A_DAY
        return pl.DataFrame(
            {
                "time": number * part + bit_field(drawn, offset=1, width=24) % part,
                "is_bought": bit_field(drawn, offset=25, width=1) == 1,
                "large": bit_field(drawn, offset=26, width=6),
                "worse": bit_field(drawn, offset=32, width=8),
                "filled": bit_field(drawn, offset=40, width=8),
            }
        ).filter(
            happens,
            is_trading(
                source.universe,
                symbol,
                pl.col("time"),
                start_ms=start_ms,
                end_ms=end_ms,
            ),
        )
