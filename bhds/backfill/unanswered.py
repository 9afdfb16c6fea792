"""Remember which backfills are incomplete, so that a later run requests the rest.

Snakemake takes a backfill that is there for done. One that was refused an answer, or
whose answer expires, is passed to the plan by this table, and gets the time of the run
as a parameter, which makes it out of date; the backfill that was answered keeps the
parameter that it was made with.
"""

import datetime as dt
from pathlib import Path

import polars as pl

from bhds import layout
from bhds.core.errors import ApiError
from bhds.io.append_table import AppendTable
from bhds.schemas.api_tables import UNANSWERED

_TABLE = AppendTable(
    file=layout.UNANSWERED,
    schema=UNANSWERED,
    sort=("path", "recorded_at"),
    error=ApiError,
    if_lost="backfills that were refused an answer are then taken for complete",
)


def record(
    data_dir: Path,
    path: str,
    *,
    requested_at: str | None,
    is_answered: bool,
    expires_at: dt.datetime | None = None,
) -> None:
    """Record how a backfill came out, if it was or will be made again for an answer.

    Parameters
    ----------
    data_dir
        The data directory.
    path
        The backfill, below the data directory.
    requested_at
        The parameter that the backfill was made with; None unless it is made again
        because it was refused an answer before.
    is_answered
        Whether all that had to be requested was answered.
    expires_at
        From when on, UTC, the answer is requested again; None: it stays.
    """
    if is_answered and requested_at is None and expires_at is None:
        return
    row = {
        "path": path,
        "recorded_at": dt.datetime.now(dt.UTC),
        "requested_at": requested_at,
        "is_answered": is_answered,
        "expires_at": expires_at,
    }
    _TABLE.append(data_dir, rows=pl.DataFrame([row], schema=UNANSWERED))


def requested_at(data_dir: Path, *, now: dt.datetime) -> dict[str, str]:
    """Return the parameter of each backfill that was ever made again, by its path.

    That is the present, UTC, for one that lacks an answer, or whose answer expired.
    """
    newest = _newest(data_dir).with_columns(
        pl.when(
            pl.col("is_answered") & (pl.col("expires_at") > now).fill_null(value=True)
        )
        .then("requested_at")
        .otherwise(pl.lit(now.isoformat()))
    )
    return dict(newest.select("path", "requested_at").drop_nulls().iter_rows())


def count(data_dir: Path) -> int:
    """Return how many backfills lack an answer that they were refused."""
    return open_backfills(data_dir).height


def open_backfills(data_dir: Path) -> pl.DataFrame:
    """Return `path` and `recorded_at` (UTC) of backfills without an answer, by path."""
    return (
        _newest(data_dir).filter(~pl.col("is_answered")).select("path", "recorded_at")
    )


def _newest(data_dir: Path) -> pl.DataFrame:
    """Return how each backfill came out last, by path."""
    return (
        _TABLE.read(data_dir)
        .sort("path", "recorded_at")
        .unique("path", keep="last", maintain_order=True)
    )


def compact(data_dir: Path) -> int:
    """Merge what jobs recorded into one file; return how many parts there were."""
    return _TABLE.compact(data_dir)
