"""Make the plan: refresh stale listings, select symbols, resolve files."""

import datetime as dt
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

from bhds import universe
from bhds.archive import ledger, listing
from bhds.archive.listing import Listing, ListingRequest
from bhds.config import Dataset, Settings
from bhds.errors import SelectionError
from bhds.planning.dataset import PlannedDataset, directories, plan_dataset
from bhds.planning.plan import Plan
from bhds.planning.targets import implied_datasets

_ASKS_NOTHING = {
    *("--lint", "--unlock", "--version"),
    *("--list", "--list-rules", "-l", "--list-target-rules", "--lt"),
}


def asks_nothing(arguments: Iterable[str]) -> bool:
    """Tell whether a Snakemake command line neither plans nor builds anything."""
    return not _ASKS_NOTHING.isdisjoint(arguments)


def plan(
    settings: Settings,
    *,
    targets: Iterable[str],
    data_dir: Path,
    now: dt.datetime,
    online: bool,
) -> Plan:
    """Plan what the settings and the targets ask for.

    Parameters
    ----------
    settings
        The settings.
    targets
        What was asked for; a path among it may name a series that the settings do
        not.
    data_dir
        The data directory.
    now
        The present, UTC.
    online
        Whether stale listings may be fetched again.

    Raises
    ------
    SelectionError
        If a named symbol does not exist, or a dataset selects nothing.
    ListingError
        If a listing can be had neither from the server nor from the disk.
    ConfigError
        If two datasets contradict each other.
    """
    configured = settings.datasets
    datasets = [*configured, *implied_datasets(targets, configured=configured)]
    listings = _listings(settings, datasets, data_dir=data_dir, now=now, online=online)
    columns = ["key", "etag", "md5", "first_seen"]
    newest = ledger.newest(ledger.read(data_dir, columns=columns))
    planned = [
        plan_dataset(
            dataset,
            listings=found,
            data_dir=data_dir,
            newest=newest,
            last_day=settings.last_day(now),
        )
        for dataset, found in zip(datasets, listings, strict=True)
    ]
    for dataset in planned:
        _refuse_nothing(dataset)
    paths = {table.directory.listing_path for found in listings for table in found}
    first = len(configured)
    return Plan(planned[:first], implied=planned[first:], listings=sorted(paths))


def _listings(
    settings: Settings,
    datasets: Sequence[Dataset],
    *,
    data_dir: Path,
    now: dt.datetime,
    online: bool,
) -> list[list[Listing]]:
    """Return the listings of each dataset's directories, of its symbols only."""
    requests = [
        ListingRequest(tuple(directories(dataset)), partial(_select, dataset))
        for dataset in datasets
    ]
    return listing.ensure_listings(
        requests,
        data_dir=data_dir,
        endpoint=settings.endpoints.archive_listing,
        proxy=settings.http.proxy_for(settings.endpoints.archive_listing),
        timeout_s=settings.http.timeout_s,
        concurrency=settings.http.connections,
        max_age=dt.timedelta(hours=settings.listing.max_age_h),
        now=now,
        offline=settings.offline or not online,
    )


def _select(dataset: Dataset, symbols: Sequence[str]) -> list[str]:
    """Return those of the bucket's symbols that a dataset wants."""
    wanted = dataset.symbols
    if isinstance(wanted, list):
        where = f"{dataset.trade_type} {dataset.data_type} of the archive"
        return universe.select_named(wanted, symbols, where=where)
    return universe.select(
        symbols,
        trade_type=dataset.trade_type,
        quote=wanted.quote,
        contract_type=wanted.contract_type,
        stable_pairs=wanted.stable_pairs,
        leveraged=wanted.leveraged,
        include=wanted.include,
        exclude=wanted.exclude,
    ).selected


def _refuse_nothing(planned: PlannedDataset) -> None:
    if not planned.symbols:
        msg = (
            f"{planned.name}: the filter selects 0 symbols of the archive, expected at "
            "least one; widen `symbols`"
        )
        raise SelectionError(msg)
    if planned.files.is_empty():
        msg = (
            f"{planned.name}: 0 files of {len(planned.symbols)} symbols lie in the "
            "time wanted; check `start`, `as_of`, `frequency` and `interval`"
        )
        raise SelectionError(msg)
