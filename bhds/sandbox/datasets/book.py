"""The order book: its depth at some distances from the price, and its best prices."""

import datetime as dt

import polars as pl

from bhds.core.markets import Interval, TradeType
from bhds.sandbox import formats, prices
from bhds.sandbox.datasets.feed import FolderFeed, PublishedType
from bhds.sandbox.draws import bit_field, draw, stream_key
from bhds.sandbox.prices import KlineSource
from bhds.sandbox.tape import amount_of
from bhds.sandbox.timegrid import MINUTE_MS, Period
from bhds.sandbox.universe import COIN_DECIMALS

DEPTH_REVISION = 1
"""Raise by one when the same universe must yield other files."""
TICKER_REVISION = 1
"""Raise by one when the same universe must yield other files."""

HUNDREDTHS_SINCE = dt.date(2026, 1, 1)
"""First day whose files have percentages as `-5.00`, and 0.20 % too (ASSUME: between
2025-10, seen as `-5`, and 2026-04-01)."""

_DEPTH_HEADER = "timestamp,percentage,depth,notional"
_TICKER_HEADER = (
    "update_id,best_bid_price,best_bid_qty,best_ask_price,best_ask_qty,"
    "transaction_time,event_time"
)
_MINUTE = Interval.parse("1m")
_SNAPSHOT_MS = 30_000
_QUOTE_MS = 5_000
_MINUTES_OF_TRADES = 50
"""Within 1 % of the price lies about what is traded in this time."""
_DECIMALS = 8


class BookDepth(PublishedType):
    """What there was to be had within some distances of the price, every 30 s."""

    name = "bookDepth"
    content_revision = (prices.REVISION, formats.REVISION, DEPTH_REVISION)
    altered = ("depth",)

    def rows(
        self, source: KlineSource, feed: FolderFeed, period: Period
    ) -> pl.DataFrame:
        """Return one row for each snapshot and distance, in order.

        Int64: `time` (ms, whole seconds), `percentage` (hundredths of a percent),
        `depth` (units of the quantity's last decimal), `notional` (as the amounts of
        bars). Depth grows with the distance.
        """
        symbol, percentage = feed.symbol, pl.col("percentage")
        snapshots, drawn = _moments(source, feed, period, every_ms=_SNAPSHOT_MS)
        snapshots = snapshots.with_columns(
            time=pl.col("time") + 1_000 * bit_field(drawn, offset=0, width=3) + 5_000,
            bids=bit_field(drawn, offset=8, width=9) + 512,
            asks=bit_field(drawn, offset=17, width=9) + 512,
        )
        levels = pl.DataFrame({"percentage": _percentages(period.start)})
        offered = pl.when(percentage < 0).then("bids").otherwise("asks")
        within = symbol.units_per_trade * symbol.trades_per_minute * _MINUTES_OF_TRADES
        # As if what lies there were spread evenly up to the distance.
        price = pl.col("close") * (20_000 + percentage) // 20_000
        return (
            snapshots.join(levels, how="cross", maintain_order="left_right")
            .select(
                "time",
                "percentage",
                depth=1 + within * percentage.abs() // 100 * offered // 1_024,
                price=price.clip(lower_bound=1),
            )
            .with_columns(
                notional=amount_of(symbol, pl.col("depth"), price=pl.col("price"))
            )
        )

    def csv(self, rows: pl.DataFrame, feed: FolderFeed, period: Period) -> bytes:
        """Return the rows in the format of their era."""
        symbol, percentage = feed.symbol, pl.col("percentage")
        is_cm = symbol.market is TradeType.CM_FUTURES
        amount = symbol.price_decimals + symbol.quantity_decimals
        is_fine = period.start >= HUNDREDTHS_SINCE
        shown = rows.select(
            pl.col("time").cast(pl.Datetime("ms")),
            formats.with_point(percentage, 2) if is_fine else percentage // 100,
            formats.with_decimals(
                pl.col("depth"), symbol.quantity_decimals, shown=_DECIMALS
            ),
            formats.with_decimals(
                pl.col("notional"), COIN_DECIMALS if is_cm else amount, shown=_DECIMALS
            ),
        )
        return formats.csv_file(shown, header=_DEPTH_HEADER)


class BookTicker(PublishedType):
    """The best bid and ask, about every 5 s.

    Genuine files have a row for every change, some seven million in a day of BTCUSDT.
    """

    name = "bookTicker"
    content_revision = (prices.REVISION, formats.REVISION, TICKER_REVISION)
    altered = ("ask_quantity",)

    def rows(
        self, source: KlineSource, feed: FolderFeed, period: Period
    ) -> pl.DataFrame:
        """Return one row for each change, in order.

        Int64: unique `update_id`, which has holes; `bid`, `bid_quantity`, `ask`,
        `ask_quantity` (units of the last decimals), `transaction_time` and
        `event_time` (ms). The bid is on the line from the open to the close of the
        minute, and the ask one tick or two above.
        """
        symbol = feed.symbol
        quotes, drawn = _moments(source, feed, period, every_ms=_QUOTE_MS)
        first, last = (pl.col(name) // symbol.tick_units for name in ("open", "close"))
        gone = pl.col("time") - pl.col("open_time")
        bid = (first + (last - first) * gone // MINUTE_MS).clip(lower_bound=1)
        spread = 1 + bit_field(drawn, offset=0, width=1)
        sizes = (bit_field(drawn, offset=at, width=10) for at in (1, 11))
        bid_quantity, ask_quantity = (
            1 + 8 * symbol.units_per_trade * n // 1_024 for n in sizes
        )
        happened = pl.col("time") + bit_field(drawn, offset=21, width=12)
        return quotes.select(
            update_id=pl.col("number") * 1_024 + bit_field(drawn, offset=33, width=10),
            bid=bid * symbol.tick_units,
            bid_quantity=bid_quantity,
            ask=(bid + spread) * symbol.tick_units,
            ask_quantity=ask_quantity,
            transaction_time=happened,
            event_time=happened + 1 + bit_field(drawn, offset=43, width=3),
        )

    def csv(self, rows: pl.DataFrame, feed: FolderFeed, period: Period) -> bytes:  # noqa: ARG002
        """Return the rows as text."""
        symbol = feed.symbol
        shown = rows.select(
            "update_id",
            *(
                formats.with_point(pl.col(name), decimals)
                for side in ("bid", "ask")
                for name, decimals in (
                    (side, symbol.price_decimals),
                    (f"{side}_quantity", symbol.quantity_decimals),
                )
            ),
            "transaction_time",
            "event_time",
        )
        return formats.csv_file(shown, header=_TICKER_HEADER)


def _moments(
    source: KlineSource, feed: FolderFeed, period: Period, *, every_ms: int
) -> tuple[pl.DataFrame, pl.Series]:
    """Return the moments of a period at which the symbol trades, and their draws.

    Moments are `every_ms` apart. Int64: `time` (ms), `number` (of the moment, since
    1970), and `open_time`, `open`, `close` of the minute.
    """
    symbol = feed.symbol
    start_ms, end_ms = feed.data_type.window(feed, period)
    bars = source.bars(symbol, _MINUTE, start_ms=start_ms, end_ms=end_ms)
    count = MINUTE_MS // every_ms
    moment = pl.int_range(bars.height * count, eager=True)
    moments = bars.select("open_time", "open", "close")[moment // count].with_columns(
        number=pl.col("open_time") // every_ms + moment % count
    )
    key = stream_key(
        source.universe.seed, symbol.market, symbol.name, feed.data_type.name
    )
    drawn = draw(moments["number"], key)
    return moments.with_columns(time=pl.col("number") * every_ms), drawn


def _percentages(day: dt.date) -> tuple[int, ...]:
    """Return the distances in a file of `day`, in hundredths of a percent."""
    whole = (100, 200, 300, 400, 500)
    above = (20, *whole) if day >= HUNDREDTHS_SINCE else whole
    return (*(-each for each in reversed(above)), *above)
