"""Find the files of the symbols that a reader wants."""

import datetime as dt
import difflib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bhds import config, instruments, layout
from bhds.core.errors import ConfigError, ResultError
from bhds.core.markets import TradeType
from bhds.io import storage
from bhds.reader.period import TimeRange
from bhds.schemas import datatypes


@dataclass(frozen=True)
class SymbolFile:
    """One file, and the symbol whose rows it holds."""

    symbol: str
    path: Path


@dataclass(frozen=True)
class BuiltMarket:
    """The built files of one market."""

    trade_type: TradeType
    data_dir: Path

    @classmethod
    def of(cls, trade_type: str, data_dir: Path | str | None) -> "BuiltMarket":
        """Read the name of a market, and where the data are (None: by default).

        Raises
        ------
        ConfigError
            If there is no such market.
        """
        if trade_type not in set(TradeType):
            near = difflib.get_close_matches(trade_type, TradeType, n=1, cutoff=0.4)
            hint = f"did you mean {str(near[0])!r}? " if near else ""
            msg = (
                f"trade type {trade_type!r}: {hint}expected one of "
                f"{', '.join(TradeType)}"
            )
            raise ConfigError(msg)
        folder = config.default_data_dir(os.environ) if data_dir is None else data_dir
        return cls(TradeType(trade_type), Path(folder).expanduser())

    @property
    def results(self) -> Path:
        """The folder of the market's results."""
        return self.data_dir / layout.RESULTS / self.trade_type

    @property
    def parsed(self) -> Path:
        """The folder of the market's partitions."""
        return self.data_dir / layout.PARSED / self.trade_type

    @property
    def backfills(self) -> Path:
        """The folder of what the API had for the market's partitions."""
        return self.data_dir / layout.API / self.trade_type

    def bars(self, interval: str) -> Path:
        """Return the folder of the results of klines, with a file per symbol."""
        return self.data_dir / layout.result_folder(self.trade_type, interval)

    def quality_path(self, name: str) -> Path:
        """Return where a table about all symbols of the market is, if it was built."""
        kind, _, series = name.partition("-")
        return self.data_dir / layout.quality_table(
            self.trade_type, kind, series or None
        )

    def quality_table(self, name: str) -> Path:
        """Locate a table about all symbols of the market, such as `gaps-1m`.

        Raises
        ------
        ResultError
            If it was not built.
        """
        path = self.quality_path(name)
        if not path.is_file():
            msg = f"{path}: not built; expected a quality table: snakemake quality_all"
            raise ResultError(msg)
        return path


Symbols = str | Iterable[str] | None
"""One name, several, or all there are."""


def interval_of(data_type: str, interval: str | None) -> str | None:
    """Return the interval of a data type: of bars 1m where none is given.

    Raises
    ------
    ConfigError
        If there is no such data type.
    """
    has_intervals = datatypes.data_type(data_type).has_intervals
    return "1m" if interval is None and has_intervals else interval


def of_results(folder: Path, symbols: Symbols, *, suffix: str) -> list[SymbolFile]:
    """Return the files of some symbols in a folder that has one a symbol, by symbol.

    Raises
    ------
    ResultError
        If there are none at all.
    SelectionError
        If one that is named is not there; the message names the nearest that is.
    """
    paths = {path.stem: path for path in folder.glob(f"[!.]*{suffix}")}
    if not paths:
        raise ResultError(_nothing_in(folder))
    return [
        SymbolFile(symbol, paths[symbol])
        for symbol in chosen(symbols, paths, where=folder)
    ]


@dataclass(frozen=True)
class Records:
    """The files of a data type that a period touches, by symbol and time."""

    symbols: list[str]
    """All that are wanted, also those without a file."""
    partitions: list[SymbolFile]
    backfills: list[SymbolFile]
    """Only those with rows, and none of a data type that no API has."""

    @property
    def all(self) -> list[SymbolFile]:
        """Partitions and backfills."""
        return [*self.partitions, *self.backfills]


def of_records(
    market: BuiltMarket,
    data_type: str,
    symbols: Symbols,
    *,
    interval: str | None,
    period: TimeRange,
) -> Records:
    """Find the partitions and backfills of some symbols that a period touches.

    Parameters
    ----------
    market, data_type
        What the records are of.
    symbols
        See `Symbols`. One that only the API has is among them.
    interval
        Of bars; None of what are no bars.
    period
        The time wanted.

    Raises
    ------
    ResultError, SelectionError
        As of `of_results`; or if the sources of a backfill cannot be read.
    """
    folder = market.parsed / data_type
    archived = _by_symbol(folder, interval=interval)
    backfilled = {}
    if datatypes.data_type(data_type).has_api:
        backfilled = _by_symbol(market.backfills / data_type, interval=interval)
    if not archived and not backfilled:
        raise ResultError(_nothing_in(folder, interval=interval))
    wanted = chosen(symbols, archived.keys() | backfilled.keys(), where=folder)
    return Records(
        wanted,
        [each for each in _files(archived, wanted) if period.touches(each.path.stem)],
        [each for each in _files(backfilled, wanted) if _has_rows(each.path, period)],
    )


def _by_symbol(folder: Path, *, interval: str | None) -> dict[str, Path]:
    """Return the folders of files: one per symbol, or per symbol and interval."""
    return {
        path.name: path / (interval or "")
        for path in (folder.iterdir() if folder.is_dir() else ())
        if (path / (interval or "")).is_dir()
    }


def _files(folders: Mapping[str, Path], symbols: Iterable[str]) -> Iterator[SymbolFile]:
    for symbol in symbols:
        if symbol in folders:
            for path in sorted(folders[symbol].glob("[!.]*.parquet")):
                yield SymbolFile(symbol, path)


def _has_rows(backfill: Path, period: TimeRange) -> bool:
    """Return whether a backfill may have rows of a period, as its sources record."""
    return any(
        period.touches_days(
            *(dt.datetime.fromisoformat(hole[end]).date() for end in ("start", "end"))
        )
        for hole in storage.read_sources(backfill)["missing_ranges"]
        if hole["found"]
    )


def chosen(symbols: Symbols, known: Iterable[str], *, where: Path) -> list[str]:
    """Return the symbols that are wanted of those that are known, by name.

    Raises
    ------
    SelectionError
        If one that is named is not known; the message names the nearest that is.
    """
    if symbols is None:
        return sorted(known)
    names = [symbols] if isinstance(symbols, str) else list(symbols)
    return instruments.select_named(names, known, where=str(where))


def _nothing_in(folder: Path, *, interval: str | None = None) -> str:
    """Return the message for missing files, with the existing ones next to them."""
    what = f"nothing was built here of {interval}"
    if interval is None:
        beside = folder.parent.iterdir() if folder.parent.is_dir() else ()
        names = ", ".join(sorted(path.name for path in beside)[:10])
        what = f"nothing was built here{names and f'; beside it: {names}'}"
    return (
        f"{folder}: {what}; expected the files of at least one symbol; build them with "
        "snakemake, or name another data_dir"
    )
