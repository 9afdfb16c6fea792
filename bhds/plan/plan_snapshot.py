"""A plan that one process made and others follow.

Jobs on other machines read the Snakefile again. They must see what the main process
saw, whatever listing, disk and clock say meanwhile; they can ask nobody, and are to
start fast. So the plan is one Parquet file: a row for each zip, and all else as JSON in
the file's metadata. Who follows it for some symbols reads those.
"""

import datetime as dt
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
from pydantic import BaseModel

from bhds.config import Dataset
from bhds.core.errors import PlanError
from bhds.core.markets import TradeType
from bhds.core.unlisted import Unlisted
from bhds.core.version import __version__
from bhds.io import storage
from bhds.plan.backfills import Backfill
from bhds.plan.dataset import PlannedDataset
from bhds.plan.files import PRESENT, STATES
from bhds.plan.plan import Plan

_KEPT = ["symbol", "partition", "first_day", "last_day", "path"]


class LoadedPlan(NamedTuple):
    """A plan, and when it was made, UTC."""

    plan: Plan
    made_at: dt.datetime


class _Dataset(BaseModel):
    """A planned dataset without its files."""

    dataset: Dataset
    symbols: tuple[str, ...]
    backfills: dict[str, Backfill]
    ended: frozenset[str]
    trading: frozenset[str]
    unlisted: dict[str, Unlisted]
    first_day: dt.date | None
    last_day: dt.date
    resample_parts: tuple[tuple[str, ...], ...]


class _Remainder(BaseModel):
    """What a plan is besides files."""

    made_at: dt.datetime
    listings: list[str]
    requested_at: dict[str, str]
    known: dict[TradeType, dict[str, dict[str, Any]]]
    configured: list[_Dataset]
    implied: list[_Dataset]


def dump(plan: Plan, path: Path, *, made_at: dt.datetime) -> None:
    """Write a plan for other processes; they see the whole file or the one before.

    Parameters
    ----------
    plan
        The plan.
    path
        Where it goes.
    made_at
        When it was made, UTC.
    """
    planned = (*plan.datasets, *plan.implied)
    zips = pl.concat(
        each.files.filter(~pl.col("is_checksum")).select(
            pl.lit(number, pl.Int32).alias("dataset"), *_KEPT
        )
        for number, each in enumerate(planned)
    )
    remainder = _Remainder(
        made_at=made_at,
        listings=plan.listings,
        requested_at=plan.requested_at,
        known={market: _of_plan(plan, market) for market in plan.known},
        configured=[_without_files(each) for each in plan.datasets],
        implied=[_without_files(each) for each in plan.implied],
    )
    storage.write_parquet(zips, path, metadata={"plan": remainder.model_dump_json()})


def load(path: Path, *, symbols: Collection[str] | None = None) -> LoadedPlan:
    """Read a plan that `dump` wrote.

    Its zips are all taken for present, CHECKSUMs are left out, and nothing is to be
    downloaded: that is for the process that made it.

    Parameters
    ----------
    path
        Where it is.
    symbols
        Which symbols it is needed of; None: all.

    Raises
    ------
    PlanError
        If it cannot be read, or another version of BHDS wrote it.
    """
    try:
        metadata = storage.read_parquet_metadata(path)
        zips = pl.scan_parquet(path, glob=False)
        if symbols is not None:
            zips = zips.filter(pl.col("symbol").is_in([*symbols]))
        frame = zips.collect()
    except (OSError, pl.exceptions.PolarsError) as error:
        msg = (
            f"{path}: cannot be read ({error}); expected the plan that a run writes as "
            "it starts; share the data directory with this machine, and start "
            "Snakemake without --no-hooks"
        )
        raise PlanError(msg) from error
    if metadata.get("version") != __version__:
        msg = (
            f"{path}: written by BHDS {metadata.get('version')}, expected "
            f"{__version__}; give all machines the same environment"
        )
        raise PlanError(msg)
    return _rebuilt(frame, _Remainder.model_validate_json(metadata["plan"]), symbols)


def _of_plan(plan: Plan, market: TradeType) -> dict[str, dict[str, Any]]:
    """Return what is known of those symbols of a market that are in the plan."""
    symbols = {
        symbol
        for planned in (*plan.datasets, *plan.implied)
        if planned.dataset.trade_type == market
        for symbol in planned.symbols
    }
    entries = plan.known[market]
    return {symbol: dict(entries[symbol]) for symbol in symbols & entries.keys()}


def _without_files(planned: PlannedDataset) -> _Dataset:
    return _Dataset(
        dataset=planned.dataset,
        symbols=planned.symbols,
        backfills=dict(planned.backfills),
        ended=planned.ended,
        trading=planned.trading,
        unlisted=dict(planned.unlisted),
        first_day=planned.first_day,
        last_day=planned.last_day,
        resample_parts=planned.resample_parts,
    )


def _rebuilt(
    zips: pl.DataFrame, remainder: _Remainder, symbols: Collection[str] | None
) -> LoadedPlan:
    files = zips.with_columns(
        *(pl.lit(None, pl.String).alias(name) for name in ("key", "etag")),
        *(pl.lit(None, pl.Int64).alias(name) for name in ("size", "disk_size")),
        pl.lit(None, pl.String).alias("frequency"),
        is_checksum=pl.lit(value=False),
        state=pl.lit(PRESENT).cast(STATES),
    )
    kept = [*remainder.configured, *remainder.implied]
    planned = [
        _with_files(each, files.filter(pl.col("dataset") == number), symbols)
        for number, each in enumerate(kept)
    ]
    plan = Plan(
        planned[: len(remainder.configured)],
        implied=planned[len(remainder.configured) :],
        listings=remainder.listings,
        requested_at=remainder.requested_at,
        known=remainder.known,
    )
    return LoadedPlan(plan, remainder.made_at)


def _with_files(
    kept: _Dataset, files: pl.DataFrame, symbols: Collection[str] | None
) -> PlannedDataset:
    wanted = [s for s in kept.symbols if symbols is None or s in symbols]
    backfills = {
        symbol: kept.backfills[symbol] for symbol in wanted if symbol in kept.backfills
    }
    unlisted = {s: kept.unlisted[s] for s in wanted if s in kept.unlisted}
    return PlannedDataset(
        kept.dataset,
        tuple(wanted),
        files.drop("dataset"),
        backfills,
        ended=kept.ended.intersection(wanted),
        trading=kept.trading.intersection(wanted),
        unlisted=unlisted,
        first_day=kept.first_day,
        last_day=kept.last_day,
        resample_parts=kept.resample_parts,
    )
