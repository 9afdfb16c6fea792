"""Count what is on disk: symbols, range, rows, files, size, age, condition of days."""

import datetime as dt
import os
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import polars as pl

from bhds import layout
from bhds.archive.keys import CHECKSUM_SUFFIX, ArchiveFile
from bhds.core.errors import BhdsError
from bhds.schemas import datatypes
from bhds.status.folders import Folder, FolderKind, Stage, folders
from bhds.status.footers import read_footers

__all__ = ["Holding", "Stage", "survey"]


class Told(Protocol):
    """Receives how far something is."""

    def __call__(self, what: str, *, done: int, total: int) -> None:
        """Take note that `done` steps of `total` are done of `what`."""


def _not_on_progress(what: str, *, done: int, total: int) -> None:
    del what, done, total


_TABLES = (layout.TABLE_SUFFIX, layout.RESULT_SUFFIX)
_ZIP = ".zip"


@dataclass(frozen=True)
class Holding:
    """What is on disk of one kind of files."""

    trade_type: str
    data_type: str
    interval: str | None
    """Of resampled bars the rule, such as `1h_5m`; None where there is none."""
    stage: Stage
    frequency: str | None
    """Of zips: `daily` or `monthly`."""
    symbols: int
    files: int
    """All of them: CHECKSUMs, sources, answers, gaps and the like too."""
    size_bytes: int
    """Without CHECKSUMs."""
    rows: int | None
    """Of the tables; None of zips."""
    first: dt.datetime | None
    """The first time of the rows, UTC; of zips, the begin of the first day that the
    name of one covers. None without any."""
    last: dt.datetime | None
    """The last time; of zips, the begin of the last day."""
    updated: dt.datetime | None
    """When the newest of the files was written, UTC."""
    unreadable: tuple[str, ...]
    """Tables that cannot be read, below the data directory."""
    condition: dict[str, int] | None
    """Days of all symbols by condition (`quality_tables.CONDITION`); None
    where they are not judged."""


@dataclass
class _Tally:
    """What was counted so far of one kind."""

    symbols: set[str] = field(default_factory=set)
    files: int = 0
    size_bytes: int = 0
    updated: float = 0.0
    tables: list[str] = field(default_factory=list)
    """Those whose rows count: not the gaps and days beside results."""
    bounds: list[dt.datetime] = field(default_factory=list)
    rows: int = 0
    unreadable: list[str] = field(default_factory=list)


def survey(data_dir: Path, *, on_progress: Told = _not_on_progress) -> list[Holding]:
    """Count what is below a data directory.

    Names and sizes are read of all files, of tables the footers, and of the market's
    tables of conditions one column: no rows. A folder or file that vanishes meanwhile
    is not counted.

    Parameters
    ----------
    data_dir
        The data directory.
    on_progress
        Receives how far the count is.

    Returns
    -------
    list of Holding
        By market, data type, interval and stage.
    """
    found = list(folders(data_dir))
    tallies: dict[FolderKind, _Tally] = {}
    for number, folder in enumerate(found):
        on_progress("counting files", done=number, total=len(found))
        _count(folder, tallies.setdefault(folder.kind, _Tally()))
    tables = sum(len(tally.tables) for tally in tallies.values())
    done = 0

    def advance(number: int) -> None:
        nonlocal done
        done += number
        on_progress("reading footers", done=done, total=tables)

    for kind, tally in tallies.items():
        _read_tables(kind, tally, data_dir=data_dir, on_progress=advance)
    kinds = {kind for kind, tally in tallies.items() if tally.files}
    return [
        _holding(
            kind,
            tallies[kind],
            condition=_conditions(kind, data_dir=data_dir)
            if kind.stage is _judged_stage(kind, kinds)
            else None,
        )
        for kind in sorted(kinds, key=_order)
    ]


def _count(folder: Folder, tally: _Tally) -> None:
    """Add the files of a folder; hidden ones are of runs under way."""
    is_main = folder.path.rpartition("/")[2] not in layout.SYMBOL_TABLES
    zips = []
    try:
        entries = os.scandir(folder.path)
    except (FileNotFoundError, NotADirectoryError):
        return
    with entries:
        for entry in entries:
            name = entry.name
            if name.startswith(".") or not entry.is_file():
                continue
            tally.files += 1
            if name.endswith(CHECKSUM_SUFFIX):
                continue  # half of all files, and 100 bytes each: not looked at
            stat = entry.stat()
            tally.size_bytes += stat.st_size
            tally.updated = max(tally.updated, stat.st_mtime)
            if name.endswith(_ZIP):
                zips.append(name)
            elif is_main and name.endswith(_TABLES):
                tally.tables.append(entry.path)
                if folder.symbol is None:
                    tally.symbols.add(name.rpartition(".")[0])
    if folder.symbol is not None and (zips or folder.kind.stage is not Stage.RAW):
        tally.symbols.add(folder.symbol)
    if zips:
        tally.bounds += _days_of(folder, [min(zips), max(zips)])


def _days_of(folder: Folder, names: Iterable[str]) -> list[dt.datetime]:
    """Return the first and the last day of zips, which sort as their periods do."""
    kind, days = folder.kind, []
    if kind.frequency is None or folder.symbol is None:
        return []
    start = f"{folder.symbol}-{kind.interval or kind.data_type}-"
    for name in names:
        period = name.removeprefix(start).removesuffix(_ZIP)
        try:
            file = ArchiveFile(
                kind.trade_type,
                kind.frequency,
                kind.data_type,
                folder.symbol,
                kind.interval,
                period,
            )
        except BhdsError:
            continue  # no file of the archive: counted, but of no known time
        days += [file.first_day, file.last_day]
    return [dt.datetime.combine(day, dt.time(), dt.UTC) for day in days]


def _read_tables(
    kind: FolderKind,
    tally: _Tally,
    *,
    data_dir: Path,
    on_progress: Callable[[int], None],
) -> None:
    time = _time_column(kind)
    footers = read_footers(tally.tables, time=time, on_progress=on_progress)
    for path, footer in zip(tally.tables, footers, strict=True):
        if footer.rows is None:
            tally.unreadable.append(Path(path).relative_to(data_dir).as_posix())
            continue
        tally.rows += footer.rows
        tally.bounds += [at for at in (footer.first, footer.last) if at is not None]


def _time_column(kind: FolderKind) -> str:
    describe = datatypes.data_type(kind.data_type).table
    return "" if describe is None else describe(kind.trade_type).time


def _holding(
    kind: FolderKind, tally: _Tally, *, condition: dict[str, int] | None
) -> Holding:
    is_raw = kind.stage is Stage.RAW
    return Holding(
        trade_type=kind.trade_type.value,
        data_type=kind.data_type,
        interval=kind.interval,
        stage=kind.stage,
        frequency=kind.frequency and kind.frequency.value,
        symbols=len(tally.symbols),
        files=tally.files,
        size_bytes=tally.size_bytes,
        rows=None if is_raw else tally.rows,
        first=min(tally.bounds, default=None),
        last=max(tally.bounds, default=None),
        updated=dt.datetime.fromtimestamp(tally.updated, dt.UTC),
        unreadable=tuple(sorted(tally.unreadable)),
        condition=condition,
    )


def _judged_stage(kind: FolderKind, kinds: Container[FolderKind]) -> Stage:
    """Return the stage by whose files the days of a series are judged.

    That is results for klines, partitions for other data, or backfills if there are
    no partitions.
    """
    if kind.data_type == "klines":
        return Stage.RESULTS
    partitions = kind._replace(stage=Stage.PARSED, frequency=None)
    return Stage.PARSED if partitions in kinds else Stage.API


def _conditions(kind: FolderKind, *, data_dir: Path) -> dict[str, int] | None:
    """Count the days of each condition; None where the series is not judged."""
    series = "-".join(filter(None, (kind.data_type, kind.interval)))
    path = data_dir / layout.quality_table(kind.trade_type, "condition", series)
    if not path.is_file():
        return None
    try:
        counted = (
            pl.scan_parquet(path, glob=False)
            .group_by("condition")
            .len()
            .sort("condition")
            .collect()
        )
    except (OSError, pl.exceptions.PolarsError):
        return None
    return {str(name): number for name, number in counted.iter_rows()}


def _order(kind: FolderKind) -> tuple[str, ...]:
    stage = f"{list(Stage).index(kind.stage)}"
    words = (kind.trade_type, kind.data_type, kind.interval or "", stage)
    return (*words, kind.frequency or "")
