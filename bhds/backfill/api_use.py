"""Requests to the API: one row for each backfill that made any."""

from pathlib import Path
from typing import Any

import polars as pl

from bhds import layout
from bhds.core.errors import ApiError
from bhds.io.append_table import AppendTable
from bhds.schemas.api_tables import API_USE

_TABLE = AppendTable(
    file=layout.API_USE,
    schema=API_USE,
    sort=("requested_at", "path"),
    error=ApiError,
    if_lost="earlier requests are then missing in the record",
)


def append(data_dir: Path, **row: Any) -> None:
    """Add the row of one backfill."""
    _TABLE.append(data_dir, rows=pl.DataFrame([row], schema=API_USE))


def read(data_dir: Path) -> pl.DataFrame:
    """Read the whole record, unsorted."""
    return _TABLE.read(data_dir)


def compact(data_dir: Path) -> int:
    """Merge what jobs recorded into one file; return how many parts there were."""
    return _TABLE.compact(data_dir)
