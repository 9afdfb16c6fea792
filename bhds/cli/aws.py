"""The commands `bhds aws-kline`, `aws-funding`, `aws-liquidation`: the archive's files.

`list` shows what the bucket has; the others ask Snakemake for `raw_all`, `verify_all`
or `parsed_all` of the symbols that were named or that the filter selects.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from bhds.cli import datasets, listed
from bhds.cli.datasets import Asked
from bhds.cli.options import (
    AsJson,
    BarFilter,
    FirstDay,
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
    "verify": "Hash every zip on disk again, and put aside what was damaged here.\n\n"
    "The next download fetches it anew. Parsing holds each zip against its CHECKSUM by "
    "itself: this finds what went bad since.",
    "parse": "Make typed partitions of the zips, downloading missing files.",
}
_GROUPS = {"aws-funding": FUNDING, "aws-liquidation": "liquidationSnapshot"}


def _bar_types(incomplete: str) -> list[str]:
    """Complete a type of data that is of bars."""
    return [name for name in BAR_TYPES if name.startswith(incomplete)]


_BarType = Annotated[
    str,
    typer.Option(
        "--data-type",
        metavar="TYPE",
        help=f"What the bars are of: {', '.join(BAR_TYPES)}.",
        autocompletion=_bar_types,
    ),
]


@dataclass(frozen=True, kw_only=True)
class _Files:
    """Which zips are taken."""

    frequency: FrequencyName = None
    start: FirstDay = None

    def given(self) -> dict[str, Any]:
        return given(frequency=self.frequency, start=self.start and self.start.date())


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
        asked = Asked(
            self.trade_type,
            self.data_type,
            interval=self.interval,
            symbols=self.symbols,
            filter=self.selection.given(),
            more=self.files.given(),
            results={"funding": False},  # nothing beyond these files is wanted
        )
        return datasets.datasets_of(asked, settings=settings)


@dataclass(frozen=True, kw_only=True)
class _Records:
    """Files of a type of data without intervals: which, the name of the group says."""

    context: typer.Context
    trade_type: Market
    symbols: Symbols = None
    selection: RecordFilter
    files: _Files

    def datasets(self, settings: Settings) -> list[Dataset]:
        group = self.context.parent.info_name if self.context.parent else None
        asked = Asked(
            self.trade_type,
            _GROUPS[group or ""],
            symbols=self.symbols,
            filter=self.selection.given(),
            more=self.files.given(),
        )
        return [datasets.dataset_of(asked, settings=settings)]


@command
def list_bars(
    wanted: _Bars, options: SettingsOptions, *, as_json: AsJson = False
) -> None:
    """List the symbols of the bucket: class, first and last file, zips, size.

    Of the zips that would be taken (--frequency); without CHECKSUMs. Listings that are
    too old are fetched again.
    """
    _list(wanted, options, as_json=as_json)


@command
def list_records(
    wanted: _Records, options: SettingsOptions, *, as_json: AsJson = False
) -> None:
    """List the symbols of the bucket: class, first and last file, zips, size.

    Without CHECKSUMs. Listings that are too old are fetched again.
    """
    _list(wanted, options, as_json=as_json)


@command
def build_bars(
    context: typer.Context, wanted: _Bars, run: RunOptions, options: SettingsOptions
) -> int:
    """Build a target of bars: which, the name of the command says."""
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
