"""Partitions with requests to the REST API that were not answered."""

import polars as pl

from bhds import layout
from bhds.report.blocks import OF_SYMBOL, ReportTable, TableColumn, capped
from bhds.report.inputs import MARKET

_LISTED = 1_000
_PATH = (
    f"^{layout.API}/"
    + r"([^/]+)/([^/]+)/([^/]+)(?:/([^/]+))?/([^/]+)\.(?:parquet|json)$"
)

_UNANSWERED = (
    *OF_SYMBOL,
    TableColumn("partition", "Partition"),
)


def unanswered_table(unanswered: pl.DataFrame) -> ReportTable:
    """List the backfills with unanswered requests, by their `path`."""
    market, data_type, symbol, interval, partition = (
        pl.col("path").str.extract(_PATH, group) for group in range(1, 6)
    )
    named = unanswered.select(
        market=market.cast(MARKET),
        series=pl.concat_str(data_type, interval, separator=" ", ignore_nulls=True),
        symbol=symbol,
        partition=partition,
    )
    rows, note = capped(
        named.sort("market", "series", "symbol", "partition"),
        at=_LISTED,
        where=layout.UNANSWERED,
    )
    return ReportTable(
        name="api-unanswered",
        caption="Partitions with unanswered requests",
        columns=_UNANSWERED,
        rows=rows,
        note=note,
        if_empty="Every request was answered.",
    )
