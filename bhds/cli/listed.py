"""List the symbols of the bucket for some datasets, in figures."""

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TextIO

import polars as pl
import typer
from rich.filesize import decimal
from rich.table import Table

from bhds import instruments
from bhds.cli.terminal import console, print_whole, working
from bhds.config import Dataset, Settings
from bhds.plan import prepare
from bhds.plan.dataset import PlannedDataset


@dataclass(frozen=True)
class ListedSymbol:
    """The zips of one symbol in the bucket, in the requested period."""

    symbol: str
    contract_type: str
    """The class, as `instruments.ContractType`."""
    settled: bool
    first_day: dt.date | None
    """The first UTC day that a zip covers; None without any."""
    last_day: dt.date | None
    zips: int
    size_bytes: int
    """Size of the zips, without CHECKSUMs."""


@dataclass(frozen=True)
class ListedDataset:
    """One dataset, and its symbols in the bucket."""

    dataset: Dataset
    symbols: list[ListedSymbol]


def list_datasets(
    datasets: Sequence[Dataset], *, settings: Settings
) -> list[ListedDataset]:
    """List the symbols of some datasets, after refreshing old listings.

    Raises
    ------
    SelectionError
        If a named symbol does not exist, or a dataset selects nothing.
    ListingError
        If neither the server nor the disk has a listing.
    """
    only = settings.model_copy(update={"datasets": list(datasets)})
    data_dir = settings.data_dir or Path()
    with working("listing the bucket"):
        plan = prepare.plan(
            only,
            targets=[],
            data_dir=data_dir,
            now=dt.datetime.now(dt.UTC),
            online=True,
        )
    of_datasets = zip(datasets, plan.datasets, strict=False)  # funding may follow
    return [
        ListedDataset(dataset, _symbols(planned, data_dir=data_dir))
        for dataset, planned in of_datasets
    ]


def show(found: Sequence[ListedDataset], *, as_json: bool, file: TextIO) -> None:
    """Print the listed datasets: tables, or one JSON document."""
    if as_json:
        document = {"datasets": [_document(each) for each in found]}
        typer.echo(json.dumps(document, indent=2, ensure_ascii=False), file=file)
        return
    for each in found:
        print_whole(_table(each), to=console(file))


def _symbols(planned: PlannedDataset, *, data_dir: Path) -> list[ListedSymbol]:
    market = planned.dataset.trade_type
    recorded = instruments.exchange_info_path(data_dir, market)
    known = instruments.read_exchange_info(recorded) if recorded.exists() else None
    counted = (
        planned.files.filter(~pl.col("is_checksum"), pl.col("etag").is_not_null())
        .group_by("symbol")
        .agg(
            pl.col("first_day").min(),
            pl.col("last_day").max(),
            pl.len(),
            pl.col("size").sum(),
        )
    )
    rows = {symbol: figures for symbol, *figures in counted.iter_rows()}
    found = []
    for symbol in planned.symbols:
        class_ = instruments.classify(symbol, trade_type=market, known=known)
        figures = rows.get(symbol, (None, None, 0, 0))
        found.append(
            ListedSymbol(symbol, class_.contract_type.value, class_.settled, *figures)
        )
    return found


def _document(found: ListedDataset) -> dict[str, Any]:
    dataset = found.dataset
    symbols = [
        asdict(each)
        | {
            "first_day": each.first_day and each.first_day.isoformat(),
            "last_day": each.last_day and each.last_day.isoformat(),
        }
        for each in found.symbols
    ]
    return {
        "trade_type": dataset.trade_type.value,
        "data_type": dataset.data_type,
        "interval": dataset.interval,
        "frequency": dataset.frequency,
        "symbols": symbols,
        "total": {
            "symbols": len(symbols),
            "zips": sum(each.zips for each in found.symbols),
            "size_bytes": sum(each.size_bytes for each in found.symbols),
        },
    }


def _table(found: ListedDataset) -> Table:
    dataset = found.dataset
    name = " ".join(
        filter(None, (dataset.trade_type, dataset.data_type, dataset.interval))
    )
    table = Table(title=name, title_justify="left", box=None, pad_edge=False)
    for heading in ("symbol", "class", "first day", "last day"):
        table.add_column(heading, no_wrap=True)
    for heading in ("zips", "size"):
        table.add_column(heading, justify="right", no_wrap=True)
    for each in found.symbols:
        days = (str(day or "-") for day in (each.first_day, each.last_day))
        kind = each.contract_type + (", settled" if each.settled else "")
        zips, size = f"{each.zips:,}", decimal(each.size_bytes)
        table.add_row(each.symbol, kind, *days, zips, size)
    table.add_section()
    all_zips = sum(each.zips for each in found.symbols)
    size_bytes = sum(each.size_bytes for each in found.symbols)
    total = f"{len(found.symbols):,} symbols"
    table.add_row(total, "", "", "", f"{all_zips:,}", decimal(size_bytes))
    return table
