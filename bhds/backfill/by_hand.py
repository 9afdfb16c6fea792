"""Bars of named symbols and days, requested by hand: no partition, no backfill."""

import datetime as dt
from pathlib import Path

import polars as pl

from bhds.api.client import ApiClient
from bhds.archive.integrity.zip_input import day_us
from bhds.backfill.klines import Bars
from bhds.backfill.response_journal import Row
from bhds.core.errors import ConfigError
from bhds.core.timegrid import Span
from bhds.io import storage

_MS = 1_000  # microseconds
_DAY = dt.timedelta(days=1)


def days_span(start: dt.date, end: dt.date) -> Span:
    """Return the time of UTC days, both included.

    Raises
    ------
    ConfigError
        If they are the wrong way round, or in the future.
    """
    today = dt.datetime.now(dt.UTC).date()
    if end > today:
        msg = f"end {end} is after today, {today} UTC; name an earlier day"
        raise ConfigError(msg)
    if end < start:
        msg = f"start {start} is later than end {end}; swap them"
        raise ConfigError(msg)
    return Span(day_us(start) // _MS, day_us(end + _DAY) // _MS)


async def request_bars(bars: Bars, span: Span, client: ApiClient) -> pl.DataFrame:
    """Request all bars of a range that are closed by the server's time.

    Returns
    -------
    polars.DataFrame
        As partitions have them, `source` `api`; n >= 0 rows.

    Raises
    ------
    ApiError
        If the API does not know the symbol, refuses or does not answer.
    """
    closed_by_ms = await client.server_time()
    rows: list[Row] = []
    async for page in bars.request(client, span, closed_by_ms=closed_by_ms):
        rows += page.rows
    return bars.frame(rows)


def write_bars(frame: pl.DataFrame, path: Path, *, bars: Bars, span: Span) -> None:
    """Write what was requested by hand, and say so in the file's metadata."""
    days = (dt.datetime.fromtimestamp(ms / 1000, dt.UTC).date() for ms in span)
    first_day, after = days
    metadata = {
        "stage": "by_hand",
        "symbol": bars.symbol,
        "first_day": first_day.isoformat(),
        "as_of": (after - _DAY).isoformat(),
    }
    storage.write_parquet(frame, path, metadata=metadata, symbol=bars.symbol)
