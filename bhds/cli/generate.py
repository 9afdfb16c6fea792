"""The commands `bhds generate ...`: results, resampled bars, and the gaps in them."""

import datetime as dt
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer

from bhds.cli import datasets, gap_tables
from bhds.cli.datasets import DatasetRequest
from bhds.cli.options import (
    AsJson,
    BarFilter,
    Days,
    IntervalName,
    IntervalNames,
    Market,
    RunOptions,
    Symbols,
    command,
    examples,
    given,
)
from bhds.cli.settings import SettingsOptions
from bhds.cli.workflow import build
from bhds.config import Dataset, ResultSettings, SplitRule
from bhds.core.errors import ConfigError
from bhds.core.markets import Interval
from bhds.core.resample_rule import ResampleRule

app = typer.Typer(no_args_is_help=True, rich_markup_mode="rich")

_Rules = Annotated[
    str,
    typer.Argument(
        metavar="RULE",
        help="Interval of the resampled bars, and their offset: 1h, 1h_5m; or "
        "several, such as 1h,1d.",
    ),
]
_BaseOffset = Annotated[
    str | None,
    typer.Option(
        "--base-offset",
        metavar="OFFSET",
        help="Also build every multiple of this offset: for 1h and 5m, the twelve "
        "rules 1h, 1h_5m ... 1h_55m.",
    ),
]
_From = Annotated[
    str, typer.Option("--from", metavar="INTERVAL", help="Interval of the base bars.")
]


@app.command(
    "kline",
    epilog=examples(
        "bhds generate kline um_futures 1m BTCUSDT ETHUSDT",
        "bhds generate kline spot 1h --quote USDT --no-vwap --dry-run",
    ),
)
@command
def kline(
    trade_type: Market,
    interval: IntervalNames,
    symbols: Symbols = None,
    *,
    split: SplitRule,
    results: ResultSettings,
    selection: BarFilter,
    days: Days,
    run: RunOptions,
    options: SettingsOptions,
) -> int:
    """Build results, with all their inputs: download, parse, backfill, forward-fill.

    The settings supply the options that are not given. With --start or --end, the
    results have these days only, in place of longer ones, until a run without them.
    """
    request = DatasetRequest(
        trade_type,
        interval=interval,
        symbols=symbols,
        filter=selection.given(),
        more=days.given(),
        results=given(**results.model_dump(exclude_unset=True))
        | given(split=split.model_dump(exclude_unset=True))
        | {"resample": []},
    )
    settings = options.read()
    wanted = datasets.datasets_of(request, settings=settings)
    return build(settings, wanted, ["results_all"], run=run)


@app.command(
    "resample",
    epilog=examples(
        "bhds generate resample um_futures 4h BTCUSDT",
        "bhds generate resample um_futures 1h --base-offset 5m",
    ),
)
@command
def resample(
    trade_type: Market,
    rules: _Rules,
    symbols: Symbols = None,
    *,
    base_offset: _BaseOffset = None,
    base: _From = "1m",
    selection: BarFilter,
    run: RunOptions,
    options: SettingsOptions,
) -> int:
    """Build resampled bars, and the results that they need.

    One job builds all rules of a symbol, so the rules of the settings are built too.
    Add a permanent rule to the settings.
    """
    request = DatasetRequest(
        trade_type, interval=base, symbols=symbols, filter=selection.given()
    )
    settings = options.read()
    names = _rule_names(rules, base_offset=base_offset)
    dataset = datasets.dataset_of(request, settings=settings)
    wanted = datasets.dataset_of(
        _with_rules(request, dataset, names), settings=settings
    )
    return build(settings, [wanted], ["resampled_all"], run=run)


@app.command(
    "gaps",
    epilog=examples(
        "bhds generate gaps um_futures 1m BTCUSDT --shortest 1h",
        "bhds generate gaps spot 1m --json",
    ),
)
@command
def gaps(
    trade_type: Market,
    interval: IntervalName,
    symbols: Symbols = None,
    *,
    shortest: Annotated[
        str,
        typer.Option("--shortest", help="Do not print shorter gaps."),
    ] = "1s",
    run: RunOptions,
    options: SettingsOptions,
    as_json: AsJson = False,
) -> int:
    """Build results, and print their gaps.

    The class of a gap needs all symbols of the settings. If you name symbols, the last
    known class is printed.
    """
    settings = options.read()
    request = DatasetRequest(
        trade_type, interval=interval, symbols=symbols, results={"resample": []}
    )
    least = Interval.parse(shortest).duration or dt.timedelta()
    wanted = datasets.dataset_of(request, settings=settings)
    table = gap_tables.classified_path(trade_type, interval)
    targets = ["results_all", *([] if symbols else [table])]
    status = build(settings, [wanted], targets, run=run, stdout_to_stderr=True)
    if status == 0 and not run.dry_run:
        found = gap_tables.read_gaps(
            settings.data_dir or Path(),
            trade_type=trade_type,
            interval=interval,
            symbols=symbols,
        ).filter(pl.col("duration") >= least)
        _print_gaps(found, as_json=as_json)
    return status


def _print_gaps(found: pl.DataFrame, *, as_json: bool) -> None:
    if as_json:
        document = {"gaps": gap_tables.documents(found)}
        typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        gap_tables.show(found, file=sys.stdout)


def _rule_names(rules: str, *, base_offset: str | None) -> list[str]:
    """Return the names of the rules; with an offset, those of its multiples."""
    names = [ResampleRule.parse(name).name for name in rules.split(",")]
    if base_offset is None:
        return names
    step = Interval.parse(base_offset).duration
    return [
        name
        for rule in names
        for name in _with_offsets(rule, step=step, of=base_offset)
    ]


def _with_offsets(rule: str, *, step: dt.timedelta | None, of: str) -> list[str]:
    interval = ResampleRule.parse(rule).interval
    length = interval.duration
    if "_" in rule or step is None or length is None or step >= length:
        msg = (
            f"--base-offset {of!r} of {rule}: expected a rule without an offset, and "
            "an offset shorter than its bars, such as 5m of 1h, neither in months"
        )
        raise ConfigError(msg)
    numbers = range(-(-length // step))
    return [ResampleRule(interval, number * step).name for number in numbers]


def _with_rules(
    request: DatasetRequest, dataset: Dataset, names: Sequence[str]
) -> DatasetRequest:
    """Add rules to those of a dataset, each once."""
    held = [rule.model_dump() for rule in dataset.results.resample]
    known = {resample.rule.name for resample in dataset.results.resample}
    added = [_rule_setting(name) for name in dict.fromkeys(names) if name not in known]
    results: dict[str, Any] = {"resample": [*held, *added]}
    return DatasetRequest(**vars(request) | {"results": results})


def _rule_setting(name: str) -> dict[str, str | None]:
    interval, _, offset = name.partition("_")
    return {"interval": interval, "offset": offset or None}
