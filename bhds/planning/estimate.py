"""Estimate what a plan takes: requests to the REST API, time, and disk space."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from bhds.archive.ledger import Rate
from bhds.config import Dataset
from bhds.datatypes import FUNDING
from bhds.markets import Interval, TradeType
from bhds.planning import space

_DAY = dt.timedelta(days=1)
_SHORTEST_MONTH = 28 * _DAY
_FUNDING_SPACING = dt.timedelta(hours=1)
"""ASSUME: at most an event an hour, the shortest funding interval that there is."""

_ENDED_AFTER = 31 * _DAY
"""ASSUME: a symbol more than a month behind the newest file of its dataset has ended:
all symbols of a market are published together."""
_NEVER_LATE = 62 * _DAY
"""ASSUME: no file comes that late: months are published by the middle of the next."""


@dataclass(frozen=True)
class Paging:
    """How much one request answers, and how many the exchange allows.

    Notes
    -----
    Limits and weights of the REST documentation of October 2026. Pages of 499 bars
    yield most rows for the weight that they cost in um and cm.
    """

    rows: int
    """The most rows of an answer."""
    requests_per_s: float
    """What the budget allows, for one IP address."""
    max_span: dt.timedelta | None = None
    """The most time that one request may cover."""


_BARS = {
    TradeType.SPOT: Paging(1000, 6000 / 2 / 60),
    TradeType.UM_FUTURES: Paging(499, 2400 / 2 / 60),
    TradeType.CM_FUTURES: Paging(499, 2400 / 2 / 60, max_span=200 * _DAY),
}
_EVENTS = Paging(1000, 500 / (5 * 60))


@dataclass(frozen=True)
class Estimate:
    """What a plan takes besides downloads."""

    api_requests: int
    api_seconds: float
    """What the limits of the API make the requests take, one after the other."""
    partition_bytes: int
    """How much parsed partitions will add to the disk."""
    result_bytes: int
    """How much results and resampled files will add to the disk."""


def estimate(
    dataset: Dataset,
    files: pl.DataFrame,
    *,
    data_dir: Path,
    last_day: dt.date,
    has_api: bool,
) -> Estimate:
    """Estimate what the plan of one dataset takes.

    Parameters
    ----------
    dataset
        What is planned.
    files
        Its files, as `PlannedDataset.files`, with `due`.
    data_dir
        The data directory.
    last_day
        The last UTC day wanted.
    has_api
        Whether the API is asked for what the archive lacks.
    """
    zips = files.filter(~pl.col("is_checksum"))
    requests, seconds = 0, 0.0
    paging = _paging(dataset)
    if has_api and paging is not None and not zips.is_empty():
        requests = _requests(dataset, zips, paging=paging, last_day=last_day)
        seconds = requests / paging.requests_per_s
    return Estimate(
        requests,
        seconds,
        space.partition_bytes(dataset, zips, data_dir=data_dir),
        space.result_bytes(dataset, zips, data_dir=data_dir),
    )


def total(estimates: Sequence[Estimate]) -> Estimate:
    """Add up datasets, as if the API were asked for one after the other."""
    return Estimate(
        sum(estimate.api_requests for estimate in estimates),
        sum(estimate.api_seconds for estimate in estimates),
        sum(estimate.partition_bytes for estimate in estimates),
        sum(estimate.result_bytes for estimate in estimates),
    )


def download_seconds(rate: Rate | None, *, files: int, size_bytes: int) -> float | None:
    """Estimate how long downloads take; None if no rate was measured to tell by."""
    if files == 0:
        return 0.0
    return (
        None if rate is None else rate.seconds_for(files=files, size_bytes=size_bytes)
    )


def _requests(
    dataset: Dataset, zips: pl.DataFrame, *, paging: Paging, last_day: dt.date
) -> int:
    """Count the requests that fill what the archive lacks, as if none was made yet.

    That is, for each symbol: the days without a zip between its first and its last
    day with one, and the days after that. A symbol that has ended costs one request
    to learn so. Days that are truncated or corrupt cannot be foreseen.
    """
    span = _spacing(dataset) * paging.rows
    if paging.max_span is not None:
        span = min(span, paging.max_span)
    runs = pl.concat([_holes(zips), _tails(zips, last_day=last_day)])
    pages = (pl.col("days") * (_DAY / span)).ceil().cast(pl.Int64)
    requests = pl.when("has_ended").then(1).otherwise(pages)
    return int(runs.select(requests.sum()).item())


def _paging(dataset: Dataset) -> Paging | None:
    """Return how a dataset is asked for; None if it cannot be."""
    if dataset.data_type == FUNDING:
        return _EVENTS
    return _BARS.get(dataset.trade_type) if dataset.entry.has_intervals else None


def _spacing(dataset: Dataset) -> dt.timedelta:
    """Return the least time between two rows."""
    if dataset.interval is None:
        return _FUNDING_SPACING
    return Interval.parse(dataset.interval).duration or _SHORTEST_MONTH


def _holes(zips: pl.DataFrame) -> pl.DataFrame:
    """Return the runs of days that no zip covers, between days that one does."""
    covered_until = pl.col("last_day").cum_max().shift().over("symbol")
    days = (pl.col("first_day") - covered_until).dt.total_days() - 1
    return (
        zips.sort("symbol", "first_day")
        .select(days=days, has_ended=pl.lit(value=False))
        .filter(pl.col("days") > 0)
    )


def _tails(zips: pl.DataFrame, *, last_day: dt.date) -> pl.DataFrame:
    """Return the days after the last one covered, of each symbol that has any."""
    end = pl.col("last_day").max()
    newest = zips["last_day"].max()
    behind, missing = pl.lit(newest) - pl.col("end"), pl.lit(last_day) - pl.col("end")
    return (
        zips.group_by("symbol")
        .agg(end=end)
        .select(
            days=missing.dt.total_days(),
            has_ended=(behind > _ENDED_AFTER) | (missing > _NEVER_LATE),
        )
        .filter(pl.col("days") > 0)
    )
