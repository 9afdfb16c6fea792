"""The tables of requests to the REST API."""

import polars as pl

from bhds.core.timegrid import TIME
from bhds.schemas.archive_tables import PATH
from bhds.schemas.columns import Column, TableSchema

UNANSWERED = TableSchema(
    PATH,
    Column("recorded_at", TIME, "UTC", "When the backfill was made"),
    Column(
        "requested_at",
        pl.String(),
        "",
        "The parameter that made the backfill out of date (ISO 8601, UTC); "
        "null if it was not refused before",
    ),
    Column("is_answered", pl.Boolean(), "", "Whether every request was answered"),
    Column(
        "expires_at",
        TIME,
        "UTC",
        "From when on the answer is requested again; null: it stays",
    ),
)

API_USE = TableSchema(
    Column("requested_at", TIME, "UTC", "When the backfill began its requests"),
    PATH,
    Column("requests", pl.Int64(), "requests", "Requests that were sent"),
    Column("weight", pl.Int64(), "weight", "What they cost of the exchange's budget"),
    Column("refusals", pl.Int64(), "requests", "How often the answer was 429 or 418"),
    Column("rows", pl.Int64(), "rows", "Bars or events that came"),
)
