"""The tables of requests to the REST API."""

import polars as pl

from bhds.core.timegrid import TIME
from bhds.schemas.archive_tables import PATH
from bhds.schemas.columns import Column, TableSchema

UNANSWERED = TableSchema(
    PATH,
    Column("recorded_at", TIME, "When the backfill was made", unit="UTC"),
    Column(
        "requested_at",
        pl.String(),
        "The parameter that made the backfill out of date (ISO 8601, UTC); "
        "null if it was not refused before",
    ),
    Column("is_answered", pl.Boolean(), "Whether every request was answered"),
    Column(
        "expires_at",
        TIME,
        "From when on the answer is requested again; null: it stays",
        unit="UTC",
    ),
)

API_USE = TableSchema(
    Column("requested_at", TIME, "When the backfill began its requests", unit="UTC"),
    PATH,
    Column("requests", pl.Int64(), "Requests that were sent", unit="requests"),
    Column(
        "weight", pl.Int64(), "What they cost of the exchange's budget", unit="weight"
    ),
    Column(
        "refusals", pl.Int64(), "How often the answer was 429 or 418", unit="requests"
    ),
    Column("rows", pl.Int64(), "Bars or events that came", unit="rows"),
)
