"""The commands `bhds aws-kline`, `aws-funding`, `aws-liquidation`: the archive's files.

`list` shows the symbols of the bucket. The others have Snakemake build `raw_all`,
`verify_all` or `parsed_all` for the named symbols or those that the filter selects.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from bhds.cli import datasets, listed
from bhds.cli.datasets import DatasetRequest
from bhds.cli.options import (
    AsJson,
    BarFilter,
    Days,
    FrequencyName,
    IntervalNames,
    Market,
    RecordFilter,
    RunOptions,
    Symbols,
    command,
    examples,
    given,
)
from bhds.cli.settings import SettingsOptions
from bhds.cli.workflow import build
from bhds.config import Dataset, Settings
from bhds.schemas.datatypes import BAR_TYPES, FUNDING

_TARGETS = {"download": "raw_all", "verify": "verify_all", "parse": "parsed_all"}
_HELP = {
    "download": "Download the zips and CHECKSUMs that are missing or were replaced.",
    "verify": "Hash every zip on disk again, and quarantine damaged ones.\n\n"
    "The next download fetches them again. Parsing compares each zip with its CHECKSUM "
    "too; this command finds files that were damaged later.",
    "parse": "Parse the zips to typed partitions, and download missing files.\n\n"
    "With --start or --end, a partition that reaches beyond these days is cut.",
}
_GROUPS = {"aws-funding": FUNDING, "aws-liquidation": "liquidationSnapshot"}


def _bar_types(incomplete: str) -> list[str]:
    """Complete a data type that has bars."""
    return [name for name in BAR_TYPES if name.startswith(incomplete)]


_BarType = Annotated[
    str,
    typer.Option(
        "--data-type",
        metavar="TYPE",
        help=f"Data type of the bars: {', '.join(BAR_TYPES)}.",
        autocompletion=_bar_types,
    ),
]


@dataclass(frozen=True, kw_only=True)
class _Files:
    """Which zips are taken."""

    frequency: FrequencyName = None
    days: Days

    def given(self) -> dict[str, Any]:
        return given(frequency=self.frequency) | self.days.given()


@dataclass(frozen=True, kw_only=True)
class _Bars:
    """Files of bars."""

    trade_type: Market
    interval: IntervalNames
    symbols: Symbols = None
    data_type: _BarType = datasets.KLINES
    selection: BarFilter
    files: _Files

    def datasets(self, settings: Settings) -> list[Dataset]:
        request = DatasetRequest(
            self.trade_type,
            self.data_type,
            interval=self.interval,
            symbols=self.symbols,
            filter=self.selection.given(),
            more=self.files.given(),
            results={"funding": False},  # build these files only
        )
        return datasets.datasets_of(request, settings=settings)


@dataclass(frozen=True, kw_only=True)
class _Records:
    """Files of a data type without intervals: which, the name of the group says."""

    context: typer.Context
    trade_type: Market
    symbols: Symbols = None
    selection: RecordFilter
    files: _Files

    def datasets(self, settings: Settings) -> list[Dataset]:
        group = self.context.parent.info_name if self.context.parent else None
        request = DatasetRequest(
            self.trade_type,
            _GROUPS[group or ""],
            symbols=self.symbols,
            filter=self.selection.given(),
            more=self.files.given(),
        )
        return [datasets.dataset_of(request, settings=settings)]


@command
def list_bars(
    wanted: _Bars, options: SettingsOptions, *, as_json: AsJson = False
) -> None:
    """List the symbols of the bucket: class, first and last day, zips, size.

    Counts the zips that a run would use (--frequency), without CHECKSUMs. Old listings
    are fetched again.
    """
    _list(wanted, options, as_json=as_json)


@command
def list_records(
    wanted: _Records, options: SettingsOptions, *, as_json: AsJson = False
) -> None:
    """List the symbols of the bucket: class, first and last day, zips, size.

    Counts zips without CHECKSUMs. Old listings are fetched again.
    """
    _list(wanted, options, as_json=as_json)


@command
def build_bars(
    context: typer.Context, wanted: _Bars, run: RunOptions, options: SettingsOptions
) -> int:
    """Build the target of bars that the name of the command selects."""
    return _build(context, wanted, run, options)


@command
def build_records(
    context: typer.Context, wanted: _Records, run: RunOptions, options: SettingsOptions
) -> int:
    """Build a target of records: which, the name of the command says."""
    return _build(context, wanted, run, options)


def _list(wanted: _Bars | _Records, options: SettingsOptions, *, as_json: bool) -> None:
    settings = options.read()
    found = listed.list_datasets(wanted.datasets(settings), settings=settings)
    listed.show(found, as_json=as_json, file=sys.stdout)


def _build(
    context: typer.Context,
    wanted: _Bars | _Records,
    run: RunOptions,
    options: SettingsOptions,
) -> int:
    settings = options.read()
    targets = [_TARGETS[context.info_name or ""]]
    return build(settings, wanted.datasets(settings), targets, run=run)


def _group(
    name: str,
    *,
    lister: Callable[..., None],
    builder: Callable[..., None],
    list_examples: Sequence[str],
    build_examples: Sequence[str],
) -> typer.Typer:
    """Return the commands of one group; examples are what follows a command's name."""
    app = typer.Typer(no_args_is_help=True, rich_markup_mode="rich")

    def lines(command_name: str, arguments: Sequence[str]) -> str:
        return examples(*(f"bhds {name} {command_name} {each}" for each in arguments))

    app.command("list", epilog=lines("list", list_examples))(lister)
    for each, text in _HELP.items():
        epilog = lines(each, build_examples)
        app.command(each, help=text, epilog=epilog)(builder)
    return app


def _records_group(name: str, market: str, symbol: str) -> typer.Typer:
    return _group(
        name,
        lister=list_records,
        builder=build_records,
        list_examples=[market],
        build_examples=[f"{market} {symbol}", f"{market} --dry-run"],
    )


klines = _group(
    "aws-kline",
    lister=list_bars,
    builder=build_bars,
    list_examples=["um_futures 1m", "spot 1d --quote USDC --json"],
    build_examples=[
        "um_futures 1m BTCUSDT ETHUSDT",
        "spot 1m,1h --quote USDT --no-stable-pairs",
    ],
)
funding = _records_group("aws-funding", "um_futures", "BTCUSDT")
liquidation = _records_group("aws-liquidation", "cm_futures", "BTCUSD_PERP")
