"""Find the folders below a data directory that hold files of BHDS."""

import os
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from bhds import layout
from bhds.core.markets import Frequency, TradeType
from bhds.schemas.datatypes import BAR_TYPES, DATA_TYPES, FUNDING


class Stage(StrEnum):
    """What files are, in the order in which they are made."""

    RAW = "raw"
    PARSED = "parsed"
    API = "api"
    RESULTS = "results"
    RESAMPLED = "resampled"
    SPLIT = "split"


class FolderKind(NamedTuple):
    """What is counted together."""

    trade_type: TradeType
    data_type: str
    interval: str | None
    """Of resampled bars the rule, such as `1h_5m`; None where there is none."""
    stage: Stage
    frequency: Frequency | None
    """Of zips."""


class Folder(NamedTuple):
    """Files of one kind: of one symbol, or of all."""

    kind: FolderKind
    path: str
    symbol: str | None
    """None: each file is named after its symbol."""


_BY_SYMBOL = {Stage.PARSED: layout.PARSED, Stage.API: layout.API}
_OF_ALL_SYMBOLS = {
    "klines": ("klines", Stage.RESULTS),
    "resampled_klines": ("klines", Stage.RESAMPLED),
    "split_klines": ("klines", Stage.SPLIT),
    "split_resampled_klines": ("klines", Stage.SPLIT),
}


def folders(data_dir: Path) -> Iterator[Folder]:
    """Yield the folders that are there, in no particular order."""
    for market in TradeType:
        for frequency in Frequency:
            root = f"{data_dir}/{layout.AWS}/{market}/{frequency}"
            for data_type in DATA_TYPES:
                kind = FolderKind(market, data_type, None, Stage.RAW, frequency)
                yield from _of_symbols(f"{root}/{data_type}", kind)
        for stage, top in _BY_SYMBOL.items():
            for data_type in DATA_TYPES:
                kind = FolderKind(market, data_type, None, stage, None)
                yield from _of_symbols(f"{data_dir}/{top}/{market}/{data_type}", kind)
        yield from _results(f"{data_dir}/{layout.RESULTS}/{market}", market)


def _results(root: str, market: TradeType) -> Iterator[Folder]:
    funding = FolderKind(market, FUNDING, None, Stage.RESULTS, None)
    if Path(root, FUNDING).is_dir():
        yield Folder(funding, f"{root}/{FUNDING}", None)
    for name, (data_type, stage) in _OF_ALL_SYMBOLS.items():
        for interval in _subfolders(f"{root}/{name}"):
            kind = FolderKind(market, data_type, interval, stage, None)
            path = f"{root}/{name}/{interval}"
            yield Folder(kind, path, None)
            for beside in layout.SYMBOL_TABLES if stage is Stage.RESULTS else ():
                yield Folder(kind, f"{path}/{beside}", None)


def _of_symbols(root: str, kind: FolderKind) -> Iterator[Folder]:
    for symbol in _subfolders(root):
        path = f"{root}/{symbol}"
        if kind.data_type not in BAR_TYPES:
            yield Folder(kind, path, symbol)
            continue
        for interval in _subfolders(path):
            yield Folder(kind._replace(interval=interval), f"{path}/{interval}", symbol)


def _subfolders(path: str) -> list[str]:
    try:
        with os.scandir(path) as entries:
            return sorted(
                entry.name
                for entry in entries
                if entry.is_dir() and not entry.name.startswith(".")
            )
    except (FileNotFoundError, NotADirectoryError):
        return []
