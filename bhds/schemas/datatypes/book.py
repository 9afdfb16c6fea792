"""The order book: its depth, and its best bid and ask."""

import datetime as dt
from functools import cache

from bhds.core.markets import TradeType
from bhds.schemas.columns import TRADED
from bhds.schemas.csv_table import Field, Form, Table, schema_of
from bhds.schemas.datatypes.entry import (
    CM,
    DAILY,
    MONTHLY,
    UM,
    DataType,
    Feed,
    PartitionSize,
)

_MINUTE = dt.timedelta(minutes=1)


@cache
def _book_depth(_: TradeType) -> Table:
    """Describe the depth at some percentages of the price, every 30 s or so."""
    fields = (
        Field(
            "timestamp", Form.CLOCK, unit="UTC", meaning="The moment of the snapshot"
        ),
        Field(
            "percentage",
            Form.NUMBER,
            unit="%",
            meaning="Distance from the price up to which orders count; below 0: "
            "bids, above: asks",
        ),
        Field("depth", Form.NUMBER, unit=TRADED, meaning="Quantity of these orders"),
        Field(
            "notional",
            Form.NUMBER,
            unit="quote currency (COIN-M: base currency)",
            meaning="Value of these orders",
        ),
    )
    return Table(
        fields=fields,
        schema=schema_of(fields),
        key=("timestamp", "percentage"),
        time="timestamp",
        slack=_MINUTE,
        is_steady=True,
        is_large=True,
    )


@cache
def _book_ticker(_: TradeType) -> Table:
    """Describe the best bid and ask, each time one of them changes."""
    fields = (
        Field("update_id", Form.WHOLE, meaning="Number of the change; it counts up"),
        Field("best_bid_price", Form.NUMBER, unit="quote currency", meaning="Best bid"),
        Field(
            "best_bid_qty", Form.NUMBER, unit=TRADED, meaning="Quantity at the best bid"
        ),
        Field("best_ask_price", Form.NUMBER, unit="quote currency", meaning="Best ask"),
        Field(
            "best_ask_qty", Form.NUMBER, unit=TRADED, meaning="Quantity at the best ask"
        ),
        Field(
            "transaction_time", Form.EPOCH, unit="UTC", meaning="When the book changed"
        ),
        Field("event_time", Form.EPOCH, unit="UTC", meaning="When the change was sent"),
    )
    return Table(
        fields=fields,
        schema=schema_of(fields),
        key=("update_id",),
        time="transaction_time",
        slack=_MINUTE,
        is_large=True,
    )


DATA_TYPES = (
    DataType(
        "bookDepth",
        feeds=(Feed(UM, DAILY), Feed(CM, DAILY)),
        table=_book_depth,
        row="the depth of the book up to a distance from the price, at a moment",
        partition=PartitionSize.MONTH,
    ),
    DataType(
        "bookTicker",
        feeds=(
            Feed(UM, MONTHLY, last_day=dt.date(2024, 3, 30)),
            Feed(UM, DAILY, last_day=dt.date(2024, 3, 30)),
            Feed(CM, MONTHLY, last_day=dt.date(2024, 10, 14)),
            Feed(CM, DAILY, last_day=dt.date(2024, 10, 14)),
        ),
        table=_book_ticker,
        row="a change of the best bid or ask",
        partition=PartitionSize.MONTH,
        revision=4,
    ),
)
