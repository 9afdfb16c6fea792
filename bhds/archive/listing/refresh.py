"""Bring the tables of a directory up to date with the bucket.

A symbol is listed whole now and then, and by its tail in between. Keys sort by date,
so the tail holds what is new, late or replaced among the latest files, in one page
however long the symbol's history; what changed further back waits for the next whole
listing.
"""

import asyncio
import bisect
import datetime as dt
import logging
import re
from collections.abc import Collection, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

import polars as pl

from bhds.archive import keys
from bhds.archive.listing.bucket import BucketClient
from bhds.archive.listing.directory import Directory
from bhds.archive.listing.tables import Listed, ListingTable, Symbols, TableStore

logger = logging.getLogger(__name__)

TAIL_ZIPS = 30
"""How many of the latest zips that are known a tail holds, with their CHECKSUMs."""

_NAMED = 5
"""So many folders that are left out are named."""

_PERIOD = r"[0-9]{4}-[0-9]{2}(-[0-9]{2})?"

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Schedule:
    """What is due now; a time to come says nothing: the clock was wrong."""

    now: dt.datetime
    """The present, with a time zone."""
    max_age: dt.timedelta
    """The age up to which a listing serves."""
    full_every: dt.timedelta = dt.timedelta()
    """The age up to which a whole listing serves to list no more than the tail."""

    def is_due(self, listed_at: dt.datetime | None) -> bool:
        """Return whether what was last listed then is to be listed."""
        return not self._serves(listed_at, self.max_age)

    def is_whole_due(self, listed_whole_at: dt.datetime | None) -> bool:
        """Return whether what was last listed whole then is to be listed whole."""
        return not self._serves(listed_whole_at, self.full_every)

    def _serves(self, listed_at: dt.datetime | None, longest: dt.timedelta) -> bool:
        return (
            listed_at is not None and dt.timedelta() <= self.now - listed_at <= longest
        )


@dataclass(frozen=True, slots=True)
class _Stretch:
    """The rows of a symbol that a listing of what comes after `marker` replaces."""

    symbol: str
    prefix: str
    marker: str
    """Empty where the whole symbol is listed."""
    first: int
    end: int
    """Of the rows of the table, itself excluded."""


async def refresh_symbols(
    client: BucketClient,
    directory: Directory,
    *,
    store: TableStore,
    schedule: Schedule,
) -> list[str]:
    """Return the symbols that the bucket has, sorted; list them if that is due.

    Folders whose name cannot be a symbol are left out with a warning.

    Raises
    ------
    ListingError
        If the symbols cannot be listed whole; what is in the store stays.
    """
    held = store.symbols(directory)
    if held is not None and not schedule.is_due(held.listed_at):
        return held.names
    folders = await client.list_prefixes(directory.prefix)
    names = [folder.removeprefix(directory.prefix)[:-1] for folder in folders]
    faults = {name: keys.symbol_fault(name) for name in names}
    symbols = sorted(name for name, fault in faults.items() if fault is None)
    refused = sorted(fault for fault in faults.values() if fault is not None)
    if refused:
        more = len(refused) - _NAMED
        logger.warning(
            "%s: left out %d folder(s) whose names cannot be symbols: %s%s",
            directory.prefix,
            len(refused),
            "; ".join(refused[:_NAMED]),
            f"; and {more:,} more" if more > 0 else "",
        )
    store.put_symbols(directory, Symbols(symbols, schedule.now))
    return symbols


async def refresh(
    client: BucketClient,
    directory: Directory,
    symbols: Collection[str],
    *,
    store: TableStore,
    schedule: Schedule,
) -> ListingTable:
    """Return the directory's table with each of `symbols` fresh in it.

    Those that are due are listed at once, whole or by their tails; all other rows
    stay. The table in the store is replaced when all have been listed to their ends.

    Raises
    ------
    ListingError
        If a symbol cannot be listed to its end; the table in the store stays.
    """
    held = store.table(directory)
    table = held or ListingTable.empty()
    due = _due(table, symbols, schedule=schedule)
    if held is not None and not due:
        return held
    stretches = _stretches(table, due, directory=directory, schedule=schedule)
    whole = [stretch.symbol for stretch in stretches if not stretch.marker]
    asked = f"{len(due)} symbol(s), {len(whole)} of them whole"
    logger.info("%s: listing %s", directory.listing_path, asked)
    gate = asyncio.Semaphore(client.concurrency)
    listing = (_list(client, stretch, gate=gate) for stretch in stretches)
    frame = _splice(table.frame, stretches, fresh=await _all(listing))
    times = dict.fromkeys(whole, Listed(schedule.now, schedule.now))
    for symbol in set(due).difference(whole):
        times[symbol] = table.listed[symbol]._replace(latest=schedule.now)
    refreshed = ListingTable(frame, table.listed | times)
    store.put_table(directory, refreshed)
    return refreshed


def _due(
    table: ListingTable, symbols: Iterable[str], *, schedule: Schedule
) -> list[str]:
    """Return those of `symbols` that are to be listed, each once."""
    times = {symbol: table.listed.get(symbol) for symbol in symbols}
    return [
        symbol
        for symbol, listed in times.items()
        if listed is None or schedule.is_due(listed.latest)
    ]


def _stretches(
    table: ListingTable,
    symbols: Sequence[str],
    *,
    directory: Directory,
    schedule: Schedule,
) -> list[_Stretch]:
    """Return what is to be listed of each symbol, in the order of the keys."""
    by_prefix = {directory.symbol_prefix(symbol): symbol for symbol in symbols}
    prefixes = pl.Series(sorted(by_prefix), dtype=pl.String)
    held = table.frame["key"]
    first = held.search_sorted(prefixes)
    # No name that begins with `a/` comes after `a0`: 0 is what follows the slash.
    end = held.search_sorted(prefixes.str.replace("/$", "0"))
    stretches: list[_Stretch] = []
    for prefix, begin, stop in zip(prefixes, first, end, strict=True):
        symbol = by_prefix[prefix]
        times = table.listed.get(symbol)
        marker, kept = "", 0
        if times is not None and not schedule.is_whole_due(times.whole):
            stem = f"{prefix}{symbol}-{directory.interval or directory.data_type}-"
            known = held[begin:stop].to_list()
            marker = _tail_marker(known, stem=stem)
            kept = bisect.bisect_right(known, marker)
        stretches.append(_Stretch(symbol, prefix, marker, begin + kept, stop))
    return stretches


def _tail_marker(known: Sequence[str], *, stem: str) -> str:
    """Return the key after which the tail of a symbol's known keys begins.

    It is empty where the tail is all there is. Counted are files of the archive:
    others sort after them in places, and may hide what is new.
    """
    is_zip = re.compile(rf"{re.escape(stem)}{_PERIOD}\.zip").fullmatch
    latest = filter(is_zip, reversed(known))
    before_tail = next(islice(latest, TAIL_ZIPS, None), None)
    return "" if before_tail is None else before_tail + keys.CHECKSUM_SUFFIX


async def _list(
    client: BucketClient, stretch: _Stretch, *, gate: asyncio.Semaphore
) -> pl.DataFrame:
    """List what comes after a stretch's marker.

    The gate lets in as many as there are connections: each holds pages.
    """
    async with gate:
        return await client.list_objects(stretch.prefix, after=stretch.marker)


def _splice(
    frame: pl.DataFrame,
    stretches: Sequence[_Stretch],
    *,
    fresh: Sequence[pl.DataFrame],
) -> pl.DataFrame:
    """Put what was listed in the place of each stretch."""
    pieces: list[pl.DataFrame] = []
    done = 0
    for stretch, listed in zip(stretches, fresh, strict=True):
        pieces += [frame[done : stretch.first], listed]
        done = stretch.end
    # In one piece: a Parquet file takes the form of the pieces.
    return pl.concat([*pieces, frame[done:]], rechunk=True)


async def _all(
    coroutines: Iterable[Coroutine[Any, Any, _Result]],
) -> list[_Result]:
    """Await all; the first failure is raised, and stops the others."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(coroutine) for coroutine in coroutines]
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return [task.result() for task in tasks]
