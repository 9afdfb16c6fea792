"""Tables of what the bucket holds: kept on disk, refreshed when they are stale.

A table covers one directory (market, frequency, data type, interval), with the time
at which each symbol was last listed; beside it stand the symbols that the bucket
has. A table on disk is whole or absent: it is replaced only when every symbol that
was asked for has been listed to its last page.
"""

import asyncio
import datetime as dt
import json
import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeVar

import polars as pl

from bhds.archive import keys
from bhds.archive.bucket import BucketClient, ObjectInfo
from bhds.archive.directory import Directory, symbol_of_key
from bhds.errors import ListingError
from bhds.storage import write_parquet

logger = logging.getLogger(__name__)

LISTING_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "key": pl.String,
    "size": pl.Int64,
    "etag": pl.String,
    "last_modified": pl.Datetime("us", "UTC"),
}
"""Columns of a listing, sorted by unique `key`; `size` in bytes, `etag` unquoted."""

SYMBOLS_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {"symbol": pl.String}
"""Columns of a table of symbols, sorted by unique `symbol`."""

_METADATA_PREFIX = "bhds."
_UNREADABLE = (
    OSError,
    pl.exceptions.PolarsError,
    # Damage that Polars does not foresee; no Exception, but nothing worse either.
    pl.exceptions.PanicException,
    # Metadata that is missing, or not as written here.
    KeyError,
    TypeError,
    ValueError,
    AttributeError,
)

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class ListingRequest:
    """A wish for the listings of some symbols in each of some directories.

    `select` is given the symbols of all these directories together, sorted, and
    picks those wanted; it may be asked twice. Without it, all are wanted. A symbol
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


@dataclass(frozen=True, slots=True)
class _Table:
    """A listing with the times at which its symbols were listed whole."""

    frame: pl.DataFrame
    listed: dict[str, dt.datetime] = field(default_factory=dict)

    @classmethod
    def empty(cls) -> Self:
        return cls(pl.DataFrame(schema=LISTING_SCHEMA))


def load(directory: Directory, *, data_dir: Path) -> pl.DataFrame | None:
    """Read the listing on disk, as in `LISTING_SCHEMA`, whatever its age.

    None if there is none, or, with a warning, if it cannot be read.
    """
    table = _load_table(directory, data_dir=data_dir)
    return None if table is None else table.frame


def load_symbols(directory: Directory, *, data_dir: Path) -> list[str] | None:
    """Read the symbols on disk, sorted, whatever their age.

    None if there are none, or, with a warning, if they cannot be read.
    """
    universe = _load_universe(directory, data_dir=data_dir)
    return None if universe is None else universe[0]


async def refresh_symbols(
    client: BucketClient,
    directory: Directory,
    *,
    data_dir: Path,
    now: dt.datetime,
    max_age: dt.timedelta,
) -> list[str]:
    """Return the symbols that the bucket has, sorted; list them if that is due.

    Folders whose name cannot be a symbol are left out with a warning. What was
    listed is written with `now`, which has a time zone, as its time.

    Raises
    ------
    ListingError
        If the symbols cannot be listed whole; what is on disk stays.
    """
    held = _load_universe(directory, data_dir=data_dir)
    if held is not None and _is_fresh(held[1], now=now, max_age=max_age):
        return held[0]
    folders = await client.list_prefixes(directory.prefix)
    names = [folder.removeprefix(directory.prefix)[:-1] for folder in folders]
    symbols = sorted(name for name in names if keys.symbol_fault(name) is None)
    refused = sorted(set(names) - set(symbols))
    if refused:
        logger.warning(
            "%s: left out %d folder(s) whose names cannot be symbols: %s",
            directory.prefix,
            len(refused),
            ", ".join(map(repr, refused)),
        )
    write_parquet(
        pl.DataFrame({"symbol": symbols}, schema=SYMBOLS_SCHEMA),
        data_dir / directory.symbols_path,
        metadata={"listed_at": now.isoformat()},
    )
    return symbols


async def refresh(
    client: BucketClient,
    directory: Directory,
    symbols: Collection[str],
    *,
    data_dir: Path,
    now: dt.datetime,
    max_age: dt.timedelta,
) -> pl.DataFrame:
    """Return the directory's listing with each of `symbols` fresh in it.

    Symbols that were never listed, or longer than `max_age` before `now`, are
    listed at once; the rows of all others stay. The table is replaced on disk when
    all of them have been listed whole, with `now`, which has a time zone, as
    their time.

    Raises
    ------
    ListingError
        If a symbol cannot be listed whole; the table on disk stays as it was.
    """
    table = await _refresh_table(
        client, directory, symbols, data_dir=data_dir, now=now, max_age=max_age
    )
    return table.frame


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
) -> list[list[Listing]]:
    """Answer each request with fresh listings, or else with the last ones.

    Nothing is asked of the bucket while what is on disk is at most `max_age` older
    than `now`, which has a time zone. Where a refresh fails, what is on disk serves,
    with a warning. With `offline`, it always does, whatever its age.

    Returns
    -------
    list of list of Listing
        For each request, one listing for each of its directories, in their order.

    Raises
    ------
    ListingError
        If a listing can be had neither way. All others are refreshed first.
    """
    if offline:
        return [_held_offline(request, data_dir=data_dir) for request in requests]

    async def ensure_all() -> list[list[Listing]]:
        async with BucketClient(
            endpoint, proxy=proxy, timeout_s=timeout_s, concurrency=concurrency
        ) as client:
            run = _Run(client, data_dir=data_dir, now=now, max_age=max_age)
            return await _settle(run.ensure(request) for request in requests)

    return asyncio.run(ensure_all())


class _Run:
    """One run's way to the bucket and to the tables on disk."""

    def __init__(
        self,
        client: BucketClient,
        *,
        data_dir: Path,
        now: dt.datetime,
        max_age: dt.timedelta,
    ) -> None:
        self._client = client
        self._data_dir = data_dir
        self._now = now
        self._max_age = max_age
        # Those who want the same table take turns: each finds what the one before
        # wrote, and adds to it.
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def ensure(self, request: ListingRequest) -> list[Listing]:
        """Refresh what a request wants, or fall back on what is on disk."""
        try:
            return await self._refresh(request)
        except ListingError as error:
            try:
                held = _held(request, data_dir=self._data_dir)
            except ListingError as none:
                msg = f"{error}; and {none} to go on with"
                raise ListingError(msg) from error
            ages = ", ".join(_age(listing, now=self._now) for listing in held)
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

    def _known(self, request: ListingRequest) -> list[Collection[str]]:
        """Return the symbols listed before: what left the bucket may be on disk."""
        tables = (
            _load_table(directory, data_dir=self._data_dir)
            for directory in request.directories
        )
        return [table.listed for table in tables if table is not None]

    async def _symbols(self, directory: Directory) -> list[str]:
        async with self._turns[directory.symbols_path]:
            return await refresh_symbols(
                self._client,
                directory,
                data_dir=self._data_dir,
                now=self._now,
                max_age=self._max_age,
            )

    async def _table(self, directory: Directory, symbols: Collection[str]) -> _Table:
        async with self._turns[directory.listing_path]:
            return await _refresh_table(
                self._client,
                directory,
                symbols,
                data_dir=self._data_dir,
                now=self._now,
                max_age=self._max_age,
            )


def _held_offline(request: ListingRequest, *, data_dir: Path) -> list[Listing]:
    try:
        return _held(request, data_dir=data_dir)
    except ListingError as error:
        msg = (
            f"{error}, and offline forbids to ask the bucket; run once with "
            "offline: false"
        )
        raise ListingError(msg) from error


def _held(request: ListingRequest, *, data_dir: Path) -> list[Listing]:
    """Answer a request from the disk; refuse if it knows none of the symbols."""
    tables: list[_Table] = []
    for directory in request.directories:
        table = _load_table(directory, data_dir=data_dir)
        if table is None:
            msg = f"{data_dir / directory.listing_path}: there is no listing on disk"
            raise ListingError(msg)
        tables.append(table)
    universes: list[Collection[str]] = [table.listed for table in tables]
    universes += [
        load_symbols(directory, data_dir=data_dir) or []
        for directory in request.directories
    ]
    wanted = list(dict.fromkeys(request.select(_union(universes))))
    return [
        _held_listing(directory, wanted, table=table)
        for directory, table in zip(request.directories, tables, strict=True)
    ]


def _held_listing(
    directory: Directory, wanted: Sequence[str], *, table: _Table
) -> Listing:
    """Narrow a table to those of the wanted symbols that it knows, if any."""
    symbols = [symbol for symbol in wanted if symbol in table.listed]
    never_listed = [symbol for symbol in wanted if symbol not in table.listed]
    if never_listed and not symbols:
        msg = (
            f"{directory.listing_path}: there is no listing on disk of the "
            f"{len(wanted)} wanted symbol(s), {wanted[0]} first,"
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


def _listing(directory: Directory, symbols: list[str], *, table: _Table) -> Listing:
    """Narrow a table to `symbols`, each of which has been listed."""
    others = table.listed.keys() - symbols
    return Listing(
        directory,
        symbols,
        _without(table.frame, others, directory=directory),
        min((table.listed[symbol] for symbol in symbols), default=None),
    )


def _age(listing: Listing, *, now: dt.datetime) -> str:
    path = listing.directory.listing_path
    if listing.listed_at is None:
        return f"{path} (no symbols)"
    hours = (now - listing.listed_at) / dt.timedelta(hours=1)
    return f"{path} ({hours:.1f} h old)"


async def _refresh_table(
    client: BucketClient,
    directory: Directory,
    symbols: Collection[str],
    *,
    data_dir: Path,
    now: dt.datetime,
    max_age: dt.timedelta,
) -> _Table:
    held = _load_table(directory, data_dir=data_dir)
    table = held or _Table.empty()
    due = [
        symbol
        for symbol in dict.fromkeys(symbols)
        if not _is_fresh(table.listed.get(symbol), now=now, max_age=max_age)
    ]
    if held is not None and not due:
        return held
    logger.info("%s: listing %d symbol(s)", directory.listing_path, len(due))
    # In the order of their prefixes, that is, of all their keys.
    prefixes = sorted(map(directory.symbol_prefix, due))
    gate = asyncio.Semaphore(client.concurrency)
    listed = await _all(_list_whole(client, prefix, gate=gate) for prefix in prefixes)
    kept = _without(table.frame, due, directory=directory)
    refreshed = _Table(
        kept.merge_sorted(pl.concat([kept.clear(), *listed]), key="key"),
        table.listed | dict.fromkeys(due, now),
    )
    times = {symbol: at.isoformat() for symbol, at in sorted(refreshed.listed.items())}
    write_parquet(
        refreshed.frame,
        data_dir / directory.listing_path,
        metadata={"listed": json.dumps(times)},
    )
    return refreshed


async def _list_whole(
    client: BucketClient, prefix: str, *, gate: asyncio.Semaphore
) -> pl.DataFrame:
    """List a prefix, sorted by unique key.

    The gate lets in as many prefixes as there are connections: each holds a page of
    objects, and these are ten times the size of the columns they become.
    """
    async with gate:
        pages = [_frame(page.keys) async for page in client.pages(prefix)]
    return pl.concat(pages).unique("key", keep="last").sort("key")


def _frame(objects: list[ObjectInfo]) -> pl.DataFrame:
    columns = zip(*objects, strict=True) if objects else [()] * len(LISTING_SCHEMA)
    named = dict(zip(LISTING_SCHEMA, columns, strict=True))
    return pl.DataFrame(named, schema=LISTING_SCHEMA)


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


def _is_fresh(
    listed_at: dt.datetime | None, *, now: dt.datetime, max_age: dt.timedelta
) -> bool:
    # A time to come is that of a clock which was wrong: it says nothing.
    return listed_at is not None and dt.timedelta() <= now - listed_at <= max_age


def _without(
    frame: pl.DataFrame, symbols: Collection[str], *, directory: Directory
) -> pl.DataFrame:
    """Leave out the objects of `symbols`."""
    if not symbols:
        return frame
    return frame.filter(~symbol_of_key(directory).is_in(list(symbols)))


def _load_table(directory: Directory, *, data_dir: Path) -> _Table | None:
    def read(frame: pl.DataFrame, metadata: dict[str, str]) -> _Table:
        times = json.loads(metadata[f"{_METADATA_PREFIX}listed"])
        return _Table(frame, {symbol: _time(at) for symbol, at in times.items()})

    return _load(data_dir / directory.listing_path, schema=LISTING_SCHEMA, read=read)


def _load_universe(
    directory: Directory, *, data_dir: Path
) -> tuple[list[str], dt.datetime] | None:
    def read(
        frame: pl.DataFrame, metadata: dict[str, str]
    ) -> tuple[list[str], dt.datetime]:
        listed_at = _time(metadata[f"{_METADATA_PREFIX}listed_at"])
        return frame["symbol"].to_list(), listed_at

    return _load(data_dir / directory.symbols_path, schema=SYMBOLS_SCHEMA, read=read)


def _load(
    path: Path,
    *,
    schema: Mapping[str, pl.DataType | type[pl.DataType]],
    read: Callable[[pl.DataFrame, dict[str, str]], _Result],
) -> _Result | None:
    """Read a table with its metadata; None if it is absent or not to be trusted."""
    try:
        # One open file for both, as another process may replace the path between.
        with path.open("rb") as file:
            frame = pl.read_parquet(file)
            file.seek(0)
            metadata = pl.read_parquet_metadata(file)
        if frame.schema != schema:
            msg = f"columns are {dict(frame.schema)}, expected {schema}"
            raise ValueError(msg)
        return read(frame, metadata)
    except FileNotFoundError:
        return None
    except _UNREADABLE as error:
        logger.warning("%s: unreadable listing counts as absent: %r", path, error)
        return None


def _time(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).astimezone(dt.UTC)
