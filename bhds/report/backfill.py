"""Symbols with requests to the REST API that were not answered."""

import polars as pl

from bhds import layout
from bhds.report.blocks import OF_SYMBOL, ReportTable, capped
from bhds.report.inputs import MARKET

_LISTED = 1_000
_PATH = rf"^{layout.API}/([^/]+)/([^/]+)/([^/]+)(?:/([^/]+))?/[^/]+$"


def unanswered_table(unanswered: pl.DataFrame) -> ReportTable:
    """List the backfills with unanswered requests, by their `path`."""
    market, data_type, symbol, interval = (
        pl.col("path").str.extract(_PATH, group) for group in range(1, 5)
    )
    named = unanswered.select(
        market=market.cast(MARKET),
        series=pl.concat_str(data_type, interval, separator=" ", ignore_nulls=True),
        symbol=symbol,
    )
    rows, note = capped(
        named.unique().sort("market", "series", "symbol"),
        at=_LISTED,
        where=layout.UNANSWERED,
    )
    return ReportTable(
        name="api-unanswered",
        caption="Symbols with unanswered requests",
        columns=OF_SYMBOL,
        rows=rows,
        note=note,
        if_empty="Every request was answered.",
    )
