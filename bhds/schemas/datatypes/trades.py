"""Trades, and aggregates of them."""

from functools import cache

from bhds.core.events import EventRule
from bhds.core.markets import TradeType
from bhds.schemas.columns import TRADED
from bhds.schemas.csv_table import Field, Form, Table, schema_of
from bhds.schemas.datatypes.entry import CM, SPOT, UM, DataType, PartitionSize, both


def _best_match(trade_type: TradeType) -> tuple[Field, ...]:
    return (
        (
            Field(
                "is_best_match",
                Form.FLAG,
                meaning="Whether it was at the best price, as published",
            ),
        )
        if trade_type is SPOT
        else ()
    )


@cache
def _agg_trades(trade_type: TradeType) -> Table:
    fields = (
        Field(
            "agg_trade_id",
            Form.WHOLE,
            meaning="Number of the aggregate; it counts up without holes",
        ),
        Field(
            "price", Form.NUMBER, unit="quote currency", meaning="Price of the trade"
        ),
        Field("quantity", Form.NUMBER, unit=TRADED, meaning="Traded quantity"),
        Field(
            "first_trade_id", Form.WHOLE, meaning="Number of the first of its trades"
        ),
        Field("last_trade_id", Form.WHOLE, meaning="Number of the last of its trades"),
        Field(
            "time",
            Form.EPOCH,
            ("transact_time",),
            unit="UTC",
            meaning="The time of the trade",
        ),
        Field(
            "is_buyer_maker",
            Form.FLAG,
            meaning="Whether the buyer was the maker, that is, a seller took",
        ),
        *_best_match(trade_type),
    )
    return Table(
        fields=fields,
        schema=schema_of(fields),
        key=("agg_trade_id",),
        # Without a round for all: trades of one id with other trade ids are others.
        events=EventRule(
            (
                ("first_trade_id", "last_trade_id"),
                ("first_trade_id",),
                ("last_trade_id",),
            )
        ),
        time="time",
        consecutive=True,
        trade_ids=("first_trade_id", "last_trade_id"),
        is_large=True,
    )


@cache
def _trades(trade_type: TradeType) -> Table:
    is_cm = trade_type is CM
    fields = (
        Field(
            "id", Form.WHOLE, meaning="Number of the trade; it counts up without holes"
        ),
        Field(
            "price", Form.NUMBER, unit="quote currency", meaning="Price of the trade"
        ),
        Field(
            "quantity", Form.NUMBER, ("qty",), unit=TRADED, meaning="Traded quantity"
        ),
        Field(
            "base_quantity",
            Form.NUMBER,
            ("base_qty",),
            unit="base currency",
            meaning="Traded value in coin",
        )
        if is_cm
        else Field(
            "quote_quantity",
            Form.NUMBER,
            ("quote_qty",),
            unit="quote currency",
            meaning="Traded value",
        ),
        Field("time", Form.EPOCH, unit="UTC", meaning="The time of the trade"),
        Field(
            "is_buyer_maker",
            Form.FLAG,
            meaning="Whether the buyer was the maker, that is, a seller took",
        ),
        *_best_match(trade_type),
    )
    return Table(
        fields=fields,
        schema=schema_of(fields),
        key=("id",),
        events=EventRule((("time", "price", "quantity"), ())),
        time="time",
        consecutive=True,
        is_large=True,
    )


DATA_TYPES = (
    DataType(
        "aggTrades",
        feeds=both(SPOT, UM, CM),
        table=_agg_trades,
        row="trades of one taker order at one price",
        partition=PartitionSize.MONTH,
        revision=5,
    ),
    DataType(
        "trades",
        feeds=both(SPOT, UM, CM),
        table=_trades,
        row="a trade",
        partition=PartitionSize.MONTH,
        revision=5,
    ),
)
