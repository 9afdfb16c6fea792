"""Funding events of futures."""

from functools import cache

import polars as pl

from bhds.core.markets import TradeType
from bhds.schemas import klines
from bhds.schemas.csv_table import Field, Form, Table
from bhds.schemas.datatypes.entry import (
    CM,
    FUNDING,
    MONTHLY,
    UM,
    DataType,
    Feed,
    PartitionSize,
)


def _funding_columns(rows: pl.DataFrame, _: TradeType) -> pl.DataFrame:
    """Add the minute that an event was due (published with up to 20 ms of jitter)."""
    return rows.with_columns(
        funding_time=pl.col("calc_time").dt.round("1m"),
        mark_price=pl.lit(None, pl.Float64),
    )


@cache
def _funding_rate(_: TradeType) -> Table:
    return Table(
        fields=(
            Field("calc_time", Form.EPOCH),
            Field("funding_interval_hours", Form.WHOLE),
            Field("funding_rate", Form.NUMBER, ("last_funding_rate",)),
            Field(
                "rate_type",
                Form.WORD,
                ("rate_type", "rateType"),
                words=tuple(klines.RATE_TYPES.categories),
                is_optional=True,
            ),
        ),
        schema=klines.FUNDING,
        key=("funding_time",),
        events=klines.FUNDING_EVENTS,
        time="funding_time",
        derive=_funding_columns,
        hours="funding_interval_hours",
    )


DATA_TYPES = (
    DataType(
        FUNDING,
        feeds=(Feed(UM, MONTHLY), Feed(CM, MONTHLY)),
        table=_funding_rate,
        row="a funding event",
        partition=PartitionSize.ALL,
        has_api=True,
    ),
)
