"""Make the plan: refresh stale listings, select symbols, resolve files."""

import datetime as dt
import logging
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

logger = logging.getLogger(__name__)

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
    keep: bool = True,
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
    keep
        Whether listings that were fetched are written; if not, nothing is.

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
    listings = _listings(
        settings, datasets, data_dir=data_dir, now=now, online=online, keep=keep
    )
    columns = ["key", "etag", "md5", "first_seen", "served_size"]
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
        _expect_something(dataset)
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
    keep: bool,
) -> list[list[Listing]]:
    """Return the listings of each dataset's directories, of its symbols only."""
    known = {
        trade_type: universe.read_exchange_info(path)
        for trade_type in {dataset.trade_type for dataset in datasets}
        if (path := data_dir / f"api_data/{trade_type}/exchangeInfo.json").exists()
    }
    requests = [
        ListingRequest(
            tuple(directories(dataset)),
            partial(_select, dataset, known=known.get(dataset.trade_type)),
        )
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
        full_every=dt.timedelta(days=settings.listing.full_every_d),
        keep=keep,
        now=now,
        offline=settings.offline or not online,
    )


def _select(
    dataset: Dataset, symbols: Sequence[str], *, known: universe.Known | None
) -> list[str]:
    """Return those of the bucket's symbols that a dataset wants.

    `known` is what the exchange itself says of its symbols, where it was recorded.
    """
    wanted = dataset.symbols
    if dataset.ended and isinstance(wanted, list):
        return sorted(set(wanted))  # what was withdrawn may be on disk
    if dataset.ended and not symbols:
        return []
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
        known=known,
    ).selected


def _expect_something(planned: PlannedDataset) -> None:
    """Refuse a dataset without files, but for a feed that ended: that is no mistake.

    Raises
    ------
    SelectionError
        If there are no symbols, or no files in the time wanted.
    """
    ended = planned.dataset.ended
    if ended and planned.files.is_empty():
        logger.warning(
            "%s: the feed ended on %s, and the archive has no file of it in the time "
            "wanted",
            *(planned.name, ended),
        )
        return
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
