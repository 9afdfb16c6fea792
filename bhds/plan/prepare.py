"""Make the plan: refresh stale listings, select symbols, resolve files."""

import datetime as dt
import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path

import polars as pl

from bhds import instruments
from bhds.archive.download import ledger
from bhds.archive.keys import CHECKSUM_SUFFIX
from bhds.archive.listing import cache
from bhds.archive.listing.cache import Listing, ListingRequest
from bhds.backfill import unanswered
from bhds.config import Dataset, Settings
from bhds.core.errors import ListingError, SelectionError
from bhds.core.listing_period import ListingPeriod
from bhds.core.markets import TradeType
from bhds.core.unlisted import Unlisted
from bhds.parse import supplements
from bhds.plan import files as archive
from bhds.plan import recorded
from bhds.plan.dataset import PlannedDataset, directories, plan_dataset, with_backfills
from bhds.plan.endings import has_ended, unlisted
from bhds.plan.plan import Plan
from bhds.plan.targets import NamedFiles, implied_datasets
from bhds.schemas import datatypes
from bhds.schemas.datatypes import FUNDING

logger = logging.getLogger(__name__)

Choice = Callable[[Sequence[str]], list[str]]
"""Chooses among the symbols of the bucket."""


def plan(
    settings: Settings,
    *,
    targets: Iterable[str],
    data_dir: Path,
    now: dt.datetime,
    online: bool,
    keep: bool = True,
    record: bool = True,
    lists_files: bool = False,
) -> Plan:
    """Plan what the settings and the targets request.

    Parameters
    ----------
    settings
        The settings.
    targets
        What was requested; a path among it may name a series that the settings do
        not.
    data_dir
        The data directory.
    now
        The present, UTC.
    online
        Whether stale listings may be fetched again.
    keep
        Whether listings that were fetched are written; if not, nothing is.
    record
        Whether an exchangeInfo that was fetched is written.
    lists_files
        As of `Plan`.

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
    targets = list(targets)
    named = NamedFiles.of(targets)
    implied = implied_datasets(targets, configured=configured)
    known = recorded.known_symbols(
        {dataset.trade_type for dataset in (*configured, *implied)},
        settings=settings,
        data_dir=data_dir,
        now=now,
        online=online,
        keep=keep and record,
    )
    planner = _Planner(
        settings, known=known, data_dir=data_dir, now=now, online=online, keep=keep
    )
    found = planner.plan([*configured, *implied])
    found = [planner.with_damaged(each, named.zips) for each in found]
    recorded.warn_of_younger(found, known=known, data_dir=data_dir)
    listing_periods = _listing_periods(found)
    planned = [planner.with_backfills(each, listing_periods) for each in found]
    for dataset in planned:
        _expect_something(dataset)
    first = len(configured)
    funding = planner.funding_of(planned[:first], known=planned)
    more_funding = planner.funding_of(planned[first:], known=[*planned, *funding])
    return Plan(
        [
            *planned[:first],
            *(planner.with_backfills(each, listing_periods) for each in funding),
        ],
        implied=[
            *planned[first:],
            *(planner.with_backfills(each, listing_periods) for each in more_funding),
        ],
        listings=sorted(planner.listing_paths),
        requested_at=unanswered.requested_at(data_dir, now=now),
        known=planner.known,
        named=named,
        lists_files=lists_files,
        offline=settings.offline,
    )


class _Planner:
    """Resolves datasets to files; see `plan`."""

    def __init__(
        self,
        settings: Settings,
        *,
        known: Mapping[TradeType, instruments.Known],
        data_dir: Path,
        now: dt.datetime,
        online: bool,
        keep: bool,
    ) -> None:
        self._settings = settings
        self._data_dir = data_dir
        self._now = now
        self._offline = settings.offline or not online
        self._keep = keep
        columns = ["key", "etag", "md5", "first_seen", "served_size", "proof"]
        self._newest = ledger.newest(ledger.read(data_dir, columns=columns), now=now)
        self._supplements = supplements.read(data_dir)
        self.known = known
        self.listing_paths: set[str] = set()
        """Paths of the listings that were used."""

    def plan(self, datasets: Sequence[Dataset]) -> list[PlannedDataset]:
        """Resolve datasets by their own selections."""
        choices = [
            partial(_select, dataset, known=self.known.get(dataset.trade_type))
            for dataset in datasets
        ]
        listings = self._listings(datasets, choices)
        return [
            self._plan(dataset, found)
            for dataset, found in zip(datasets, listings, strict=True)
        ]

    def with_damaged(
        self, planned: PlannedDataset, zips: Collection[str]
    ) -> PlannedDataset:
        """Mark those of some zips, and of their CHECKSUMs, that are damaged on disk.

        All other files are judged by size, and by what the ledger says of their bytes.
        """
        if not zips:
            return planned
        damaged = archive.damaged(
            planned.files.filter(
                pl.col("path").str.strip_suffix(CHECKSUM_SUFFIX).is_in(zips)
            ),
            newest=self._newest,
            data_dir=self._data_dir,
        )
        state = pl.when(pl.col("path").is_in(damaged)).then(pl.lit(archive.REPLACED))
        files = planned.files.with_columns(state=state.otherwise("state"))
        return replace(planned, files=files)

    def funding_of(
        self, planned: Iterable[PlannedDataset], *, known: Sequence[PlannedDataset]
    ) -> list[PlannedDataset]:
        """Resolve the funding that results need, of symbols that `known` has none of.

        That is one dataset a market at most, of the perpetuals among its klines. A
        symbol may have no file of it, as one that is new.
        """
        needed: dict[TradeType, list[PlannedDataset]] = defaultdict(list)
        for each in planned:
            dataset = each.dataset
            if dataset.has_results and dataset.results.funding:
                needed[dataset.trade_type].append(each)
        markets = set(datatypes.data_type(FUNDING).trade_types)
        found = (
            self._funding(market, needed[market], known=known)
            for market in sorted(markets & needed.keys())
        )
        return [each for each in found if each.symbols]

    def _funding(
        self,
        market: TradeType,
        klines: Sequence[PlannedDataset],
        *,
        known: Sequence[PlannedDataset],
    ) -> PlannedDataset:
        elsewhere = {
            symbol
            for each in known
            if (each.dataset.trade_type, each.dataset.data_type) == (market, FUNDING)
            for symbol in each.symbols
        }
        info = self.known.get(market)
        symbols = sorted(
            symbol
            for symbol in {s for each in klines for s in each.symbols_with_any}
            - elsewhere
            if _has_funding(instruments.classify(symbol, trade_type=market, known=info))
        )
        starts = [each.first_day for each in klines]
        dataset = Dataset(
            trade_type=market,
            data_type=FUNDING,
            start=None if None in starts else min(filter(None, starts)),
            end=max((each.last_day for each in klines), default=None),
        )
        planned = self._plan(dataset, self._funding_listings(dataset, set(symbols)))
        return replace(planned, symbols=tuple(symbols))

    def _funding_listings(self, dataset: Dataset, symbols: set[str]) -> list[Listing]:
        """Return the listings of some symbols; without any if there is none offline."""

        def choose(names: Sequence[str]) -> list[str]:
            return sorted(symbols.intersection(names))

        try:
            return self._listings([dataset], [choose])[0]
        except ListingError as error:
            if not self._offline:
                raise
            logger.warning("%s; results go on without the archive's funding", error)
            return [Listing.empty(directory) for directory in directories(dataset)]

    def with_backfills(
        self,
        planned: PlannedDataset,
        listing_periods: Mapping[TradeType, Mapping[str, ListingPeriod]],
    ) -> PlannedDataset:
        """Add requests to the API, if it may be queried."""
        if not self._settings.api.enabled:
            return planned
        is_funding = planned.dataset.data_type == FUNDING
        return with_backfills(
            planned,
            today=self._now.date(),
            listing_periods=listing_periods[planned.dataset.trade_type]
            if is_funding
            else None,
        )

    def _plan(self, dataset: Dataset, found: Sequence[Listing]) -> PlannedDataset:
        planned = plan_dataset(
            dataset,
            listings=found,
            data_dir=self._data_dir,
            newest=self._newest,
            supplements=self._supplements,
            offline=self._settings.offline,
            as_of=self._settings.last_day(self._now),
        )
        ended = frozenset(s for s in planned.symbols if self._has_ended(s, planned))
        periods = {s: self._unlisted(s, planned) for s in planned.symbols}
        return replace(
            planned,
            ended=ended,
            trading=self._trading(planned),
            unlisted={s: p for s, p in periods.items() if p},
        )

    def _trading(self, planned: PlannedDataset) -> frozenset[str]:
        """Return the symbols that the exchange lists as traded, after their files.

        Compared with the last file, so that a result is not built again as days pass.
        """
        market = planned.dataset.trade_type
        known_on, known = self._known_on.get(market), self.known.get(market, {})
        if known_on is None:
            return frozenset()
        too_new = {
            symbol
            for symbol, listing_period in planned.listing_periods.items()
            if known_on < min(listing_period.last_day, self._last_begun_day)
        }
        return frozenset(
            symbol
            for symbol in planned.symbols
            if known.get(symbol, {}).get("status") == "TRADING"
            and symbol not in too_new
        )

    def _unlisted(self, symbol: str, planned: PlannedDataset) -> Unlisted:
        market = planned.dataset.trade_type
        return unlisted(
            symbol,
            trade_type=market,
            as_of=min(planned.last_day, self._last_begun_day),
            known=self.known.get(market),
        )

    def _has_ended(self, symbol: str, planned: PlannedDataset) -> bool:
        """Return whether a symbol is known today to have ended in the time wanted.

        One with files of later days had not ended by then.
        """
        market = planned.dataset.trade_type
        is_going_on = symbol in planned.going_on
        return has_ended(
            symbol,
            trade_type=market,
            listing_period=planned.listing_periods.get(symbol),
            as_of=planned.last_day if is_going_on else self._last_begun_day,
            known=self.known.get(market),
            known_on=self._known_on.get(market),
        )

    @cached_property
    def _known_on(self) -> dict[TradeType, dt.date]:
        """The UTC day on which exchangeInfo of each market was recorded last."""
        paths = {
            market: instruments.exchange_info_path(self._data_dir, market)
            for market in self.known
        }
        now = self._now.timestamp()
        return {
            market: dt.datetime.fromtimestamp(
                min(path.stat().st_mtime, now), dt.UTC
            ).date()
            for market, path in paths.items()
            if path.exists()
        }

    @property
    def _last_begun_day(self) -> dt.date:
        """The last UTC day wanted, or today where that has not come."""
        return min(self._settings.last_day(self._now), self._now.date())

    def _listings(
        self, datasets: Sequence[Dataset], choices: Sequence[Choice]
    ) -> list[list[Listing]]:
        """Return the listings of each dataset's directories, of its symbols only."""
        settings = self._settings
        found = cache.ensure_listings(
            [
                ListingRequest(tuple(directories(dataset)), choose)
                for dataset, choose in zip(datasets, choices, strict=True)
            ],
            data_dir=self._data_dir,
            endpoint=settings.endpoints.archive_listing,
            proxy=settings.http.proxy_for(settings.endpoints.archive_listing),
            timeout_s=settings.http.timeout_s,
            concurrency=settings.http.connections,
            max_age=dt.timedelta(hours=settings.listing.max_age_hours),
            full_every=dt.timedelta(days=settings.listing.full_refresh_days),
            keep=self._keep,
            now=self._now,
            offline=self._offline,
        )
        self.listing_paths.update(
            table.directory.listing_path for tables in found for table in tables
        )
        return found


def _has_funding(symbol: instruments.SymbolClass) -> bool:
    """Return whether a contract is a perpetual, or may be one."""
    return symbol.contract_type is not instruments.ContractType.DELIVERY


def _listing_periods(
    planned: Iterable[PlannedDataset],
) -> dict[TradeType, dict[str, ListingPeriod]]:
    """Return the listing period of each symbol that has klines, by market."""
    found: dict[TradeType, dict[str, ListingPeriod]] = defaultdict(dict)
    for each in planned:
        if each.dataset.has_results:
            listing_periods = found[each.dataset.trade_type]
            for symbol, listing_period in each.listing_periods.items():
                other = listing_periods.get(symbol, listing_period)
                listing_periods[symbol] = ListingPeriod(
                    min(listing_period.first_day, other.first_day),
                    max(listing_period.last_day, other.last_day),
                )
    return found


def _select(
    dataset: Dataset, symbols: Sequence[str], *, known: instruments.Known | None
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
        return instruments.select_named(wanted, symbols, where=where)
    return instruments.select(
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
    """Refuse a dataset of nothing, but for a feed that ended: that is no mistake.

    Raises
    ------
    SelectionError
        If there are no symbols, or neither files in the time wanted nor anything to
        request from the API.
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
    if not planned.symbols_with_any:
        msg = (
            f"{planned.name}: 0 files of {len(planned.symbols)} symbols lie in the "
            "time wanted; check `start`, `end`, `as_of`, `frequency` and `interval`"
        )
        raise SelectionError(msg)
