"""The commands `bhds aws-kline`, `aws-funding`, `aws-liquidation`: the archive's files.

`list` shows what the bucket has; the others ask Snakemake for `raw_all`, `verify_all`
or `parsed_all` of the symbols that were named or that the filter selects.
"""

import datetime as dt
import sys
from typing import Annotated, Any

import typer

from bhds.cli import datasets, listed
from bhds.cli.datasets import Asked, given, symbol_filter
from bhds.cli.options import (
    AsJson,
    ContractTypes,
    DataDir,
    FirstDay,
    FrequencyName,
    IntervalNames,
    Leveraged,
    Market,
    Quote,
    StablePairs,
    Symbols,
    examples,
)
from bhds.cli.settings import ConfigFiles, ConfigValues, read_settings
from bhds.cli.workflow import Cores, DryRun, build
from bhds.io.job_log import one_line_errors
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


def build_bars(
    context: typer.Context,
    trade_type: Market,
    interval: IntervalNames,
    symbols: Symbols = None,
    *,
    data_type: _BarType = datasets.KLINES,
    quote: Quote = None,
    contract_type: ContractTypes = None,
    stable_pairs: StablePairs = None,
    leveraged: Leveraged = None,
    frequency: FrequencyName = None,
    start: FirstDay = None,
    cores: Cores = None,
    dry_run: DryRun = False,
    configfiles: ConfigFiles = None,
    config: ConfigValues = None,
    data_dir: DataDir = None,
) -> None:
    """Build a target of bars: which, the name of the command says."""
    asked = Asked(
        trade_type,
        data_type,
        interval=interval,
        symbols=symbols,
        filter=symbol_filter(
            quote=quote,
            contract_type=contract_type,
            stable_pairs=stable_pairs,
            leveraged=leveraged,
        ),
        more=_more(frequency=frequency, start=start),
        results={"funding": False},  # nothing beyond these files is wanted
    )
    with one_line_errors():
        settings = read_settings(configfiles, values=config or (), data_dir=data_dir)
        wanted = datasets.datasets_of(asked, settings=settings)
        targets = [_TARGETS[context.info_name or ""]]
        status = build(settings, wanted, targets, cores=cores, dry_run=dry_run)
    raise typer.Exit(status)


def build_records(
    context: typer.Context,
    trade_type: Market,
    symbols: Symbols = None,
    *,
    quote: Quote = None,
    contract_type: ContractTypes = None,
    frequency: FrequencyName = None,
    start: FirstDay = None,
    cores: Cores = None,
    dry_run: DryRun = False,
    configfiles: ConfigFiles = None,
    config: ConfigValues = None,
    data_dir: DataDir = None,
) -> None:
    """Build a target of data that is no bars: which, the names of both commands say."""
    asked = Asked(
        trade_type,
        _data_type_of(context),
        symbols=symbols,
        filter=symbol_filter(quote=quote, contract_type=contract_type),
        more=_more(frequency=frequency, start=start),
    )
    with one_line_errors():
        settings = read_settings(configfiles, values=config or (), data_dir=data_dir)
        wanted = [datasets.dataset_of(asked, settings=settings)]
        targets = [_TARGETS[context.info_name or ""]]
        status = build(settings, wanted, targets, cores=cores, dry_run=dry_run)
    raise typer.Exit(status)


def list_bars(
    trade_type: Market,
    interval: IntervalNames,
    symbols: Symbols = None,
    *,
    data_type: _BarType = datasets.KLINES,
    quote: Quote = None,
    contract_type: ContractTypes = None,
    stable_pairs: StablePairs = None,
    leveraged: Leveraged = None,
    frequency: FrequencyName = None,
    start: FirstDay = None,
    configfiles: ConfigFiles = None,
    config: ConfigValues = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List the symbols of the bucket: class, first and last file, zips, size.

    Of the zips that would be taken (--frequency); without CHECKSUMs. Listings that are
    too old are fetched again.
    """
    asked = Asked(
        trade_type,
        data_type,
        interval=interval,
        symbols=symbols,
        filter=symbol_filter(
            quote=quote,
            contract_type=contract_type,
            stable_pairs=stable_pairs,
            leveraged=leveraged,
        ),
        more=_more(frequency=frequency, start=start),
        results={"funding": False},
    )
    with one_line_errors():
        settings = read_settings(configfiles, values=config or (), data_dir=data_dir)
        wanted = datasets.datasets_of(asked, settings=settings)
        found = listed.list_datasets(wanted, settings=settings)
    listed.show(found, as_json=as_json, file=sys.stdout)


def list_records(
    context: typer.Context,
    trade_type: Market,
    symbols: Symbols = None,
    *,
    quote: Quote = None,
    contract_type: ContractTypes = None,
    frequency: FrequencyName = None,
    start: FirstDay = None,
    configfiles: ConfigFiles = None,
    config: ConfigValues = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List the symbols of the bucket: class, first and last file, zips, size.

    Without CHECKSUMs. Listings that are too old are fetched again.
    """
    asked = Asked(
        trade_type,
        _data_type_of(context),
        symbols=symbols,
        filter=symbol_filter(quote=quote, contract_type=contract_type),
        more=_more(frequency=frequency, start=start),
    )
    with one_line_errors():
        settings = read_settings(configfiles, values=config or (), data_dir=data_dir)
        wanted = [datasets.dataset_of(asked, settings=settings)]
        found = listed.list_datasets(wanted, settings=settings)
    listed.show(found, as_json=as_json, file=sys.stdout)


def _more(*, frequency: str | None, start: dt.datetime | None) -> dict[str, Any]:
    return given(frequency=frequency, start=start and start.date())


def _data_type_of(context: typer.Context) -> str:
    group = context.parent.info_name if context.parent is not None else None
    return _GROUPS[group or ""]


def _bars_app() -> typer.Typer:
    app = typer.Typer(no_args_is_help=True, rich_markup_mode="rich")
    app.command(
        "list",
        epilog=examples(
            "bhds aws-kline list um_futures 1m",
            "bhds aws-kline list spot 1d --quote USDC --json",
        ),
    )(list_bars)
    for name, text in _HELP.items():
        app.command(
            name,
            help=text,
            epilog=examples(
                f"bhds aws-kline {name} um_futures 1m BTCUSDT ETHUSDT",
                f"bhds aws-kline {name} spot 1m,1h --quote USDT --no-stable-pairs",
            ),
        )(build_bars)
    return app


def _records_app(group: str, *, market: str, symbol: str) -> typer.Typer:
    app = typer.Typer(no_args_is_help=True, rich_markup_mode="rich")
    app.command("list", epilog=examples(f"bhds {group} list {market}"))(list_records)
    for name, text in _HELP.items():
        app.command(
            name,
            help=text,
            epilog=examples(
                f"bhds {group} {name} {market} {symbol}",
                f"bhds {group} {name} {market} --dry-run",
            ),
        )(build_records)
    return app


klines = _bars_app()
funding = _records_app("aws-funding", market="um_futures", symbol="BTCUSDT")
liquidation = _records_app("aws-liquidation", market="cm_futures", symbol="BTCUSD_PERP")
