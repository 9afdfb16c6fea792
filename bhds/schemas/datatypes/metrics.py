"""Open interest and ratios of contracts, every five minutes."""

import datetime as dt
from functools import cache

import polars as pl

from bhds.core.markets import TradeType
from bhds.core.timegrid import TIME
from bhds.schemas.columns import TRADED, Column
from bhds.schemas.csv_table import Field, Form, Table, schema_of
from bhds.schemas.datatypes.entry import CM, DAILY, UM, DataType, Feed

_FIVE_MINUTES = dt.timedelta(minutes=5)
_METRICS_RELABELLED = dt.date(2026, 6, 25)
"""The first UTC day whose um files have the new labels."""


def _metrics_columns(rows: pl.DataFrame, trade_type: TradeType) -> pl.DataFrame:
    """Add the start of the period that a label stands for.

    Notes
    -----
    um labels said when a period ended until 2026-06-25 00:00, and say when it began
    since; cm labels always did (binance/binance-public-data#491). The file of
    2026-06-24 ends with the label of 00:00 and that of 2026-06-25 begins with it:
    which one it is, the file's own day shows (`file_day`). Labels are up to 4 s late
    in genuine files of 2024, and never early.
    """
    label = pl.col("raw_create_time").dt.truncate("5m")
    if trade_type is TradeType.CM_FUTURES:
        return rows.with_columns(create_time=label)
    ends = pl.col("file_day") < _METRICS_RELABELLED
    start = pl.when(ends).then(label - _FIVE_MINUTES).otherwise(label)
    return rows.with_columns(create_time=start)


@cache
def _metrics(_: TradeType) -> Table:
    fields = (
        Field(
            "raw_create_time",
            Form.CLOCK,
            ("create_time",),
            unit="UTC",
            meaning="The label as published",
        ),
        Field("symbol", Form.SYMBOL),
        Field(
            "sum_open_interest",
            Form.OPTIONAL_NUMBER,
            unit=TRADED,
            meaning="Open interest; null where it was left blank",
        ),
        Field(
            "sum_open_interest_value",
            Form.OPTIONAL_NUMBER,
            unit="quote currency (COIN-M: base currency)",
            meaning="Value of the open interest; null where it was left blank",
        ),
        Field(
            "count_toptrader_long_short_ratio",
            Form.OPTIONAL_NUMBER,
            unit="ratio",
            meaning="Accounts of top traders that are long to those that are "
            "short; null where it was left blank",
        ),
        Field(
            "sum_toptrader_long_short_ratio",
            Form.OPTIONAL_NUMBER,
            unit="ratio",
            meaning="Positions of top traders that are long to those that are "
            "short; null where it was left blank",
        ),
        Field(
            "count_long_short_ratio",
            Form.OPTIONAL_NUMBER,
            unit="ratio",
            meaning="Accounts that are long to those that are short; null where "
            "it was left blank",
        ),
        Field(
            "sum_taker_long_short_vol_ratio",
            Form.OPTIONAL_NUMBER,
            unit="ratio",
            meaning="Volume that takers bought to that which they sold; null "
            "where it was left blank",
        ),
    )
    return Table(
        fields=fields,
        schema=schema_of(
            fields,
            Column("create_time", TIME, "The start of the five minutes", unit="UTC"),
        ),
        key=("create_time",),
        time="create_time",
        derive=_metrics_columns,
        spacing=_FIVE_MINUTES,
        slack=_FIVE_MINUTES,
    )


DATA_TYPES = (
    DataType(
        "metrics",
        feeds=(Feed(UM, DAILY), Feed(CM, DAILY)),
        table=_metrics,
        row="five minutes of a contract",
    ),
)
