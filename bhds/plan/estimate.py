"""Estimate what a plan takes: requests to the REST API, time, and disk space."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

import polars as pl

from bhds import layout
from bhds.archive.download.ledger import Rate
from bhds.config import Dataset
from bhds.core.listing_period import STAYS_OPEN
from bhds.core.markets import Interval, TradeType
from bhds.io import storage
from bhds.plan import space
from bhds.plan.backfills import Backfill
from bhds.plan.dataset import PlannedDataset
from bhds.schemas.datatypes import FUNDING

_DAY = dt.timedelta(days=1)
_SHORTEST_MONTH = 28 * _DAY
_FUNDING_SPACING = dt.timedelta(hours=1)
"""ASSUME: at most an event an hour, the shortest funding interval that there is."""

_ENDED_AFTER = 31 * _DAY
"""ASSUME: a symbol more than a month behind the newest file of its dataset has ended:
all symbols of a market are published together."""


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


DEFAULT_RATE = Rate(bytes_per_s=10e6, files_per_s=50)
"""ASSUME: what a common line yields, until downloads were measured here."""

_JOB_S = 0.8
"""Processor time of a job that has next to nothing to do: 60 of them took 48.6 s, with
Snakemake's own (docs/performance.md, "Start of a process")."""
_DOWNLOAD_BLOCKS = 1
_BACKFILL_BLOCKS = 6
"""As `bhds.plan.space` counts them: two files with their records, and a log."""


@dataclass(frozen=True)
class Estimate:
    """What a plan takes besides downloads."""

    api_requests: int
    api_seconds: float
    """What the limits of the API make the requests take, one after the other."""
    jobs: int
    """That parse, backfill and build."""
    cpu_seconds: float
    """What they take of one core, with their start and Snakemake's part."""
    partition_bytes: int
    """How much parsed partitions will add to the disk."""
    result_bytes: int
    """How much results and resampled files will add to the disk."""
    overhead_bytes: int
    """How much whole blocks, provenance, tables, logs and `.snakemake` will add, those
    of downloads included."""


def estimate(
    dataset: Dataset,
    files: pl.DataFrame,
    *,
    data_dir: Path,
    last_day: dt.date,
    has_api: bool,
    backfills: Mapping[str, Backfill] | None = None,
    filled: Mapping[str, dt.date] | None = None,
    block_bytes: int = 1,
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
        Whether the API supplies what the archive lacks.
    backfills
        Its backfills, as `PlannedDataset.backfills`; of symbols without files only
        these show what is requested.
    filled
        Until when each symbol is backfilled; see `backfilled_until`.
    block_bytes
        The size of a block of the disk.
    """
    filled = filled or {}
    zips = files.filter(~pl.col("is_checksum"))
    requests, seconds = 0, 0.0
    due_backfills: list[str] = []
    paging = _paging(dataset)
    if has_api and paging is not None:
        found = [_holes(zips), _tails(zips, last_day=last_day)]
        found.append(_without_zips(backfills or {}, zips))
        runs = _not_filled(pl.concat(found), filled=filled)
        requests = _requests(dataset, runs, paging=paging)
        requests += sum(  # for the first row of each history
            backfill.is_first and symbol not in filled
            for symbol, backfill in (backfills or {}).items()
        )
        seconds = requests / paging.requests_per_s
        due_backfills = [
            symbol
            for symbol, backfill in (backfills or {}).items()
            if filled.get(symbol) != backfill.last_day
        ]
    partitions = space.partitions(
        dataset, zips, data_dir=data_dir, block_bytes=block_bytes
    )
    results = space.results(
        dataset,
        zips,
        data_dir=data_dir,
        backfilled=due_backfills,
        block_bytes=block_bytes,
    )
    jobs = partitions.jobs + len(due_backfills) + results.jobs
    if dataset.data_type == FUNDING:
        jobs += len({*zips.drop_nulls("due")["symbol"], *due_backfills})
    blocks = files.drop_nulls("due").select(
        (
            space.in_blocks(pl.col("size"), block_bytes=block_bytes) - pl.col("size")
        ).sum()
        + pl.len() * _DOWNLOAD_BLOCKS * block_bytes
    )
    return Estimate(
        requests,
        seconds,
        jobs,
        jobs * _JOB_S + partitions.cpu_seconds + results.cpu_seconds,
        partitions.size_bytes,
        results.size_bytes,
        partitions.overhead_bytes
        + results.overhead_bytes
        + len(due_backfills) * _BACKFILL_BLOCKS * block_bytes
        + int(blocks.item()),
    )


def total(estimates: Sequence[Estimate]) -> Estimate:
    """Add up datasets, as if they were requested one after the other."""
    return Estimate(*map(sum, zip(*map(astuple, estimates), strict=True)))


def backfilled_until(planned: PlannedDataset, *, data_dir: Path) -> dict[str, dt.date]:
    """Return the last day of each symbol's backfill on disk.

    What the API has not answered, or what changed in partitions since, is not seen.
    """
    dataset = planned.dataset
    found = {}
    for symbol in planned.backfills:
        series = (dataset.trade_type, dataset.data_type, symbol, dataset.interval)
        if last_day := _last_day(data_dir / layout.backfill(*series)):
            found[symbol] = dt.date.fromisoformat(last_day)
    return found


def _last_day(path: Path) -> str | None:
    """Return the last day that a backfill may hold, None if there is no backfill."""
    try:
        return storage.read_parquet_metadata(path).get("as_of")
    except (OSError, pl.exceptions.PolarsError):
        return None


def _not_filled(runs: pl.DataFrame, *, filled: Mapping[str, dt.date]) -> pl.DataFrame:
    """Cut the runs of days, `days` and `has_ended`, to those not filled yet."""
    done = pl.DataFrame(
        {"symbol": filled.keys(), "done": filled.values()},
        schema={"symbol": pl.String, "done": pl.Date},
    )
    left = (pl.col("until") - pl.col("done")).dt.total_days()
    return (
        runs.join(done, on="symbol", how="left")
        .with_columns(days=pl.min_horizontal("days", left))
        .filter(pl.col("days") > 0)
    )


def _requests(dataset: Dataset, runs: pl.DataFrame, *, paging: Paging) -> int:
    """Count the requests that backfill what the archive lacks.

    That is, for each symbol: the days without a zip between its first and its last
    day with one, and the days after that. A symbol that has ended costs one request
    to learn so. Days that are truncated or corrupt cannot be foreseen.
    """
    span = _spacing(dataset) * paging.rows
    if paging.max_span is not None:
        span = min(span, paging.max_span)
    pages = (pl.col("days") * (_DAY / span)).ceil().cast(pl.Int64)
    requests = pl.when("has_ended").then(1).otherwise(pages)
    return int(runs.select(requests.sum()).item())


def _paging(dataset: Dataset) -> Paging | None:
    """Return how a dataset is requested; None if it cannot be."""
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
        .select(
            "symbol",
            days=days,
            has_ended=pl.lit(value=False),
            until=pl.col("first_day").dt.offset_by("-1d"),
        )
        .filter(pl.col("days") > 0)
    )


def _tails(zips: pl.DataFrame, *, last_day: dt.date) -> pl.DataFrame:
    """Return the days after the last one covered, of each symbol that has any."""
    end = pl.col("last_day").max()
    newest = pl.lit(zips["last_day"].max(), pl.Date)
    behind, missing = newest - pl.col("end"), pl.lit(last_day) - pl.col("end")
    return (
        zips.group_by("symbol")
        .agg(end=end)
        .select(
            "symbol",
            days=missing.dt.total_days(),
            has_ended=(behind > _ENDED_AFTER) | (missing > STAYS_OPEN),
            until=pl.min_horizontal(pl.lit(last_day), pl.col("end") + STAYS_OPEN),
        )
        .filter(pl.col("days") > 0)
    )


def _without_zips(
    backfills: Mapping[str, Backfill], zips: pl.DataFrame
) -> pl.DataFrame:
    """Return all the days of each symbol that the archive has no file of."""
    archived = set(zips["symbol"])
    rows = [
        (symbol, backfill.first_day, backfill.last_day)
        for symbol, backfill in backfills.items()
        if symbol not in archived
    ]
    days = {"symbol": pl.String, "first_day": pl.Date, "until": pl.Date}
    return pl.DataFrame(rows, schema=days, orient="row").select(
        "symbol",
        days=(pl.col("until") - pl.col("first_day")).dt.total_days() + 1,
        has_ended=pl.lit(value=False),
        until="until",
    )
