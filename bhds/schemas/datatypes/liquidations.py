"""Orders that liquidated positions."""

import datetime as dt
from functools import cache

from bhds.core.markets import TradeType
from bhds.schemas.columns import TRADED
from bhds.schemas.csv_table import Field, Form, Table, schema_of
from bhds.schemas.datatypes.entry import CM, DAILY, UM, DataType, Feed


@cache
def _liquidations(_: TradeType) -> Table:
    fields = (
        Field("time", Form.EPOCH, unit="UTC", meaning="The time of the order"),
        Field(
            "side",
            Form.WORD,
            words=("BUY", "SELL"),
            meaning="Side of the order that liquidated: `SELL` closes a long position",
        ),
        Field("order_type", Form.WORD, meaning="Type of the order, as published"),
        Field(
            "time_in_force",
            Form.WORD,
            meaning="How long the order was to stand, as published",
        ),
        Field(
            "original_quantity",
            Form.NUMBER,
            unit=TRADED,
            meaning="Quantity of the order",
        ),
        Field(
            "price", Form.NUMBER, unit="quote currency", meaning="Price of the order"
        ),
        Field(
            "average_price",
            Form.NUMBER,
            unit="quote currency",
            meaning="Average price at which it was filled",
        ),
        Field("order_status", Form.WORD, meaning="State of the order, as published"),
        Field(
            "last_fill_quantity",
            Form.NUMBER,
            unit=TRADED,
            meaning="Quantity of its last fill",
        ),
        Field(
            "accumulated_fill_quantity",
            Form.NUMBER,
            unit=TRADED,
            meaning="Quantity of all its fills",
        ),
    )
    return Table(fields=fields, schema=schema_of(fields), key=(), time="time")


DATA_TYPES = (
    DataType(
        "liquidationSnapshot",
        feeds=(
            Feed(UM, DAILY, last_day=dt.date(2024, 3, 31)),
            Feed(CM, DAILY, last_day=dt.date(2024, 10, 14)),
        ),
        table=_liquidations,
        row="a liquidation order",
    ),
)
