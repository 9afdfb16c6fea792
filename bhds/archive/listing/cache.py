"""Listings of the bucket: refreshed when they are stale, else as they were held."""

import asyncio
import datetime as dt
import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

import polars as pl

from bhds.archive.listing.bucket import BucketClient
from bhds.archive.listing.directory import Directory, symbol_of_key
from bhds.archive.listing.refresh import Schedule, refresh, refresh_symbols
from bhds.archive.listing.tables import ListingTable, TableStore
from bhds.core.errors import ListingError

__all__ = [
    "Listing",
    "ListingRequest",
    "ensure_listings",
]

logger = logging.getLogger(__name__)

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class ListingRequest:
    """A wish for the listings of some symbols in each of some directories.

    `select` is given the symbols of all these directories together, sorted, and
    picks those wanted; it may be queried twice. Without it, all are wanted. A symbol
    that a directory does not have is listed as empty there.
    """

    directories: tuple[Directory, ...]
    select: Callable[[Sequence[str]], Sequence[str]] = list


@dataclass(frozen=True, slots=True)
class Listing:
    """What the bucket held of one directory."""

    directory: Directory
    symbols: list[str]
    """The symbols that were picked and have been listed, with files or without."""
    table: pl.DataFrame
    """The objects of these symbols, as in `LISTING_SCHEMA`."""
    listed_at: dt.datetime | None
    """When the symbol listed longest ago was listed, UTC; None without symbols."""
    listed_whole_at: dt.datetime | None
    """When the symbol listed whole longest ago was listed whole; None as above.

    What left the bucket or changed since may still be here as it was.
    """

    @classmethod
    def empty(cls, directory: Directory) -> Self:
        """Return a listing of no symbols."""
        return cls(directory, [], ListingTable.empty().frame, None, None)


def ensure_listings(
    requests: Sequence[ListingRequest],
    *,
    data_dir: Path,
    endpoint: str,
    proxy: str | None,
    timeout_s: float,
    concurrency: int,
    max_age: dt.timedelta,
    now: dt.datetime,
    offline: bool,
    full_every: dt.timedelta = dt.timedelta(),
    keep: bool = True,
) -> list[list[Listing]]:
    """Answer each request with fresh listings, or else with the last ones.

    Nothing is requested of the bucket while what is on disk is at most `max_age` older
    than `now`, which has a time zone. Where a refresh fails, what is on disk serves,
    with a warning. With `offline`, it always does, whatever its age.

    Of a symbol that was listed whole at most `full_every` before `now`, only the
    tail is listed: what is new, and what is known of the latest files. What changed
    further back is seen when it is listed whole again. Without `keep`, nothing is
    written to disk.

    Returns
    -------
    list of list of Listing
        For each request, one listing for each of its directories, in their order.

    Raises
    ------
    ListingError
        If a listing can be had neither way. All others are refreshed first.
    """
    store = TableStore(data_dir, keep=keep)
    if offline:
        return [_held_offline(request, store=store) for request in requests]
    schedule = Schedule(now, max_age=max_age, full_every=full_every)

    async def ensure_all() -> list[list[Listing]]:
        async with BucketClient(
            endpoint, proxy=proxy, timeout_s=timeout_s, concurrency=concurrency
        ) as client:
            run = _Run(client, store=store, schedule=schedule)
            return await _settle(run.ensure(request) for request in requests)

    return asyncio.run(ensure_all())


class _Run:
    """One run's way to the bucket and to the tables on disk."""

    def __init__(
        self, client: BucketClient, *, store: TableStore, schedule: Schedule
    ) -> None:
        self._client = client
        self._store = store
        self._schedule = schedule
        # Those who want the same table take turns: each finds what the one before
        # wrote, and adds to it.
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def ensure(self, request: ListingRequest) -> list[Listing]:
        """Refresh what a request wants, or fall back on what is on disk."""
        try:
            return await self._refresh(request)
        except ListingError as error:
            try:
                held = _held(request, store=self._store)
            except ListingError as none:
                msg = f"{error}; and {none} to go on with"
                raise ListingError(msg) from error
            ages = ", ".join(_age(listing, now=self._schedule.now) for listing in held)
            logger.warning("%s; going on with %s", error, ages)
            return held

    async def _refresh(self, request: ListingRequest) -> list[Listing]:
        universes = await _settle(map(self._symbols, request.directories))
        symbols = list(dict.fromkeys(request.select(_union(universes))))
        tables = await _settle(
            self._table(directory, symbols) for directory in request.directories
        )
        return [
            _listing(directory, symbols, table=table)
            for directory, table in zip(request.directories, tables, strict=True)
        ]

    async def _symbols(self, directory: Directory) -> list[str]:
        async with self._turns[directory.symbols_path]:
            return await refresh_symbols(
                self._client, directory, store=self._store, schedule=self._schedule
            )

    async def _table(
        self, directory: Directory, symbols: Collection[str]
    ) -> ListingTable:
        async with self._turns[directory.listing_path]:
            return await refresh(
                self._client,
                directory,
                symbols,
                store=self._store,
                schedule=self._schedule,
            )


def _held_offline(request: ListingRequest, *, store: TableStore) -> list[Listing]:
    try:
        return _held(request, store=store)
    except ListingError as error:
        msg = (
            f"{error}; nothing is listed now, as with offline: true; run `snakemake "
            "-n` once with these settings, and with offline: false"
        )
        raise ListingError(msg) from error


def _held(request: ListingRequest, *, store: TableStore) -> list[Listing]:
    """Answer a request from the store; refuse if it knows none of the symbols."""
    tables: list[ListingTable] = []
    universes: list[Iterable[str]] = []
    for directory in request.directories:
        table = store.table(directory)
        if table is None:
            msg = f"{directory.listing_path}: there is no listing on disk"
            raise ListingError(msg)
        tables.append(table)
        symbols = store.symbols(directory)
        # What left the bucket may be on disk.
        universes += [table.listed, symbols.names if symbols else []]
    wanted = list(dict.fromkeys(request.select(_union(universes))))
    return [
        _held_listing(directory, wanted, table=table)
        for directory, table in zip(request.directories, tables, strict=True)
    ]


def _held_listing(
    directory: Directory, wanted: Sequence[str], *, table: ListingTable
) -> Listing:
    """Narrow a table to those of the wanted symbols that it knows, if any."""
    symbols = [symbol for symbol in wanted if symbol in table.listed]
    never_listed = [symbol for symbol in wanted if symbol not in table.listed]
    if never_listed and not symbols:
        msg = (
            f"{directory.listing_path}: there is no listing on disk of the "
            f"{len(wanted)} wanted symbol(s), {wanted[0]} first"
        )
        raise ListingError(msg)
    if never_listed:
        logger.warning(
            "%s: left out %d symbol(s) never listed so far: %s",
            directory.listing_path,
            len(never_listed),
            ", ".join(never_listed),
        )
    return _listing(directory, symbols, table=table)


def _union(universes: Iterable[Iterable[str]]) -> list[str]:
    return sorted(set().union(*universes))


def _listing(
    directory: Directory, symbols: list[str], *, table: ListingTable
) -> Listing:
    """Narrow a table to `symbols`, each of which has been listed."""
    times = [table.listed[symbol] for symbol in symbols]
    others = table.listed.keys() - symbols
    return Listing(
        directory,
        symbols,
        _without(table.frame, others, directory=directory),
        listed_at=min((each.latest for each in times), default=None),
        listed_whole_at=min((each.whole for each in times), default=None),
    )


def _age(listing: Listing, *, now: dt.datetime) -> str:
    path = listing.directory.listing_path
    if listing.listed_at is None:
        return f"{path} (no symbols)"
    hours = (now - listing.listed_at) / dt.timedelta(hours=1)
    return f"{path} ({hours:.1f} h old)"


async def _settle(
    coroutines: Iterable[Coroutine[Any, Any, _Result]],
) -> list[_Result]:
    """Await all to their end, and only then raise the first failure."""
    outcomes = await asyncio.gather(*coroutines, return_exceptions=True)
    results: list[_Result] = []
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
        results.append(outcome)
    return results


def _without(
    frame: pl.DataFrame, symbols: Collection[str], *, directory: Directory
) -> pl.DataFrame:
    """Leave out the objects of `symbols`."""
    if not symbols:
        return frame
    return frame.filter(~symbol_of_key(directory).is_in(list(symbols)))
