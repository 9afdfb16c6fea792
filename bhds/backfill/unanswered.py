"""Remember which fills could not ask all that they had to, so that a later run asks.

Snakemake takes a fill that is there for done. One that was refused an answer, or whose
answer expires, is passed to the plan by this table, and gets the time of the run as a
parameter, which makes it out of date; the fill that was answered keeps the parameter
that it was made with.
"""

import datetime as dt
from pathlib import Path

import polars as pl

from bhds.core.errors import ApiError
from bhds.io.append_table import AppendTable
from bhds.schemas.api_tables import UNANSWERED

_TABLE = AppendTable(
    file="api_data/unanswered.parquet",
    folder="api_data/unanswered.d",
    schema=UNANSWERED,
    sort=("path", "told_at"),
    error=ApiError,
    if_lost="fills that were refused an answer are then taken for complete",
)


def tell(
    data_dir: Path,
    path: str,
    *,
    asked_at: str | None,
    is_answered: bool,
    expires_at: dt.datetime | None = None,
) -> None:
    """Record how a fill came out, if it was or will be made again for an answer.

    Parameters
    ----------
    data_dir
        The data directory.
    path
        The fill, below the data directory.
    asked_at
        The parameter that the fill was made with; None unless it is made again
        because it was refused an answer before.
    is_answered
        Whether all that had to be requested was answered.
    expires_at
        From when on, UTC, the answer is requested again; None: it stays.
    """
    if is_answered and asked_at is None and expires_at is None:
        return
    row = {
        "path": path,
        "told_at": dt.datetime.now(dt.UTC),
        "asked_at": asked_at,
        "is_answered": is_answered,
        "expires_at": expires_at,
    }
    _TABLE.append(data_dir, rows=pl.DataFrame([row], schema=UNANSWERED))


def asked_at(data_dir: Path, *, now: dt.datetime) -> dict[str, str]:
    """Return the parameter of each fill that was ever made again, by its path.

    That is the present, UTC, for one that lacks an answer, or whose answer expired.
    """
    newest = _newest(data_dir).with_columns(
        pl.when(
            pl.col("is_answered") & (pl.col("expires_at") > now).fill_null(value=True)
        )
        .then("asked_at")
        .otherwise(pl.lit(now.isoformat()))
    )
    return dict(newest.select("path", "asked_at").drop_nulls().iter_rows())


def count(data_dir: Path) -> int:
    """Return how many fills lack an answer that they were refused."""
    return lacking(data_dir).height


def lacking(data_dir: Path) -> pl.DataFrame:
    """Return `path` and `told_at` (UTC) of the fills that lack an answer, by path."""
    return _newest(data_dir).filter(~pl.col("is_answered")).select("path", "told_at")


def _newest(data_dir: Path) -> pl.DataFrame:
    """Return how each fill came out last, by path."""
    return (
        _TABLE.read(data_dir)
        .sort("path", "told_at")
        .unique("path", keep="last", maintain_order=True)
    )


def compact(data_dir: Path) -> int:
    """Merge what jobs recorded into one file; return how many parts there were."""
    return _TABLE.compact(data_dir)
