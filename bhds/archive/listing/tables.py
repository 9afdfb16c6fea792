"""Tables of what the bucket holds, with the times at which it was queried.

A table of objects covers one directory (market, frequency, data type, interval);
beside it stand the symbols that the bucket has. A table on disk is whole or absent.
"""

import datetime as dt
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Self, TypeVar

import polars as pl

from bhds.archive.listing.directory import Directory
from bhds.io.storage import write_parquet
from bhds.schemas.archive_tables import LISTING_SCHEMA, SYMBOLS_SCHEMA

logger = logging.getLogger(__name__)

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


class Listed(NamedTuple):
    """When a symbol was listed, UTC."""

    whole: dt.datetime
    """The last time that it was listed from its first key to its last."""
    latest: dt.datetime
    """The last time that at least its tail was listed."""


@dataclass(frozen=True, slots=True)
class ListingTable:
    """The objects of the symbols of one directory that were listed so far."""

    frame: pl.DataFrame
    """As in `LISTING_SCHEMA`, sorted by unique `key`."""
    listed: dict[str, Listed] = field(default_factory=dict)
    """Each symbol that was listed, with objects or without."""

    @classmethod
    def empty(cls) -> Self:
        """Return a table of nothing that was ever listed."""
        return cls(pl.DataFrame(schema=LISTING_SCHEMA))


class Symbols(NamedTuple):
    """The symbols of one directory, sorted, and when they were listed, UTC."""

    names: list[str]
    listed_at: dt.datetime


class TableStore:
    """The tables below one data directory.

    Parameters
    ----------
    data_dir
        The data directory.
    keep
        Whether what is put here is written to disk; if not, it is there as long as
        this store, and nothing on disk changes.
    """

    def __init__(self, data_dir: Path, *, keep: bool = True) -> None:
        self._data_dir = data_dir
        self._keep = keep
        self._tables: dict[Directory, ListingTable] = {}
        self._symbols: dict[str, Symbols] = {}

    def table(self, directory: Directory) -> ListingTable | None:
        """Return a directory's table, whatever its age.

        None if there is none, or, with a warning, if it cannot be read.
        """
        if directory in self._tables:
            return self._tables[directory]
        path = self._data_dir / directory.listing_path
        return _load(path, schema=LISTING_SCHEMA, read=_table)

    def symbols(self, directory: Directory) -> Symbols | None:
        """Return a directory's symbols, whatever their age.

        None if there are none, or, with a warning, if they cannot be read.
        """
        if directory.symbols_path in self._symbols:
            return self._symbols[directory.symbols_path]
        path = self._data_dir / directory.symbols_path
        return _load(path, schema=SYMBOLS_SCHEMA, read=_symbols)

    def put_table(self, directory: Directory, table: ListingTable) -> None:
        """Replace a directory's table."""
        if not self._keep:
            self._tables[directory] = table
            return
        listed = sorted(table.listed.items())
        latest = {symbol: times.latest.isoformat() for symbol, times in listed}
        whole = {symbol: times.whole.isoformat() for symbol, times in listed}
        write_parquet(
            table.frame,
            self._data_dir / directory.listing_path,
            metadata={"listed": json.dumps(latest), "listed_whole": json.dumps(whole)},
        )

    def put_symbols(self, directory: Directory, symbols: Symbols) -> None:
        """Replace a directory's symbols."""
        if not self._keep:
            self._symbols[directory.symbols_path] = symbols
            return
        write_parquet(
            pl.DataFrame({"symbol": symbols.names}, schema=SYMBOLS_SCHEMA),
            self._data_dir / directory.symbols_path,
            metadata={"listed_at": symbols.listed_at.isoformat()},
        )


def _table(frame: pl.DataFrame, metadata: dict[str, str]) -> ListingTable:
    latest = _times(metadata["listed"])
    # Older versions wrote one time, and always listed whole.
    whole = _times(metadata.get("listed_whole", metadata["listed"]))
    if not frame["key"].is_sorted():
        msg = "keys are not sorted"
        raise ValueError(msg)
    listed = {symbol: Listed(whole[symbol], at) for symbol, at in latest.items()}
    return ListingTable(frame, listed)


def _symbols(frame: pl.DataFrame, metadata: dict[str, str]) -> Symbols:
    return Symbols(frame["symbol"].to_list(), _time(metadata["listed_at"]))


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
            frame = pl.read_parquet(file, glob=False)
            file.seek(0)
            metadata = pl.read_parquet_metadata(file)
        if frame.schema != schema:
            msg = f"columns are {dict(frame.schema)}, expected {schema}"
            raise ValueError(msg)
        return read(
            frame,
            {name.removeprefix(_METADATA_PREFIX): metadata[name] for name in metadata},
        )
    except FileNotFoundError:
        return None
    except _UNREADABLE as error:
        logger.warning("%s: unreadable listing counts as absent: %r", path, error)
        return None


def _times(text: str) -> dict[str, dt.datetime]:
    return {symbol: _time(at) for symbol, at in json.loads(text).items()}


def _time(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).astimezone(dt.UTC)
