"""The command `bhds rebuild`: build the files of one stage again."""

import datetime as dt
import difflib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated

import typer

from bhds.cli import completion
from bhds.cli.options import RunOptions, command, examples
from bhds.cli.settings import SettingsOptions
from bhds.cli.workflow import run_snakemake, target_names
from bhds.config import Settings
from bhds.core.errors import ConfigError
from bhds.instruments.selection import select_named
from bhds.plan import prepare
from bhds.plan.plan import Plan
from bhds.run_display.stages import stage_of

EPILOG = examples("bhds rebuild resample", "bhds rebuild parse BTCUSDT -n")

_BY_SYMBOL = ("parse", "backfill", "results", "resample")
_OF_MARKETS = ("split", "quality", "report")

_Stage = Annotated[
    str,
    typer.Argument(
        metavar="STAGE", help=f"One of {', '.join((*_BY_SYMBOL, *_OF_MARKETS))}."
    ),
]
_Symbols = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="SYMBOL",
        help="Force only the files of these symbols; default: all that the settings "
        f"select. Only with {', '.join(_BY_SYMBOL)}.",
        autocompletion=completion.symbols,
    ),
]
_Verbose = Annotated[
    bool, typer.Option("--verbose", help="Show what Snakemake itself prints.")
]


@command
def rebuild(
    *,
    stage: _Stage,
    symbols: _Symbols = None,
    options: SettingsOptions,
    running: RunOptions,
    verbose: _Verbose = False,
) -> int:
    """Build the files of one stage again, and all files that depend on them.

    Missing files are built too, as by `bhds run`.
    """
    _check(stage, symbols or ())
    settings = options.read()
    if symbols or stage == "resample":
        forced = _forced(_plan(settings), stage=stage, symbols=symbols or ())
    else:
        forced = [name for name in target_names() if _is_of(stage, name)]
    return run_snakemake(
        settings,
        ["all"],
        forced=forced,
        cores=running.cores,
        dry_run=running.dry_run,
        is_verbose=verbose,
    )


def _check(stage: str, symbols: Sequence[str]) -> None:
    """Raise a `ConfigError` if there is no such stage, or not per symbol."""
    stages = (*_BY_SYMBOL, *_OF_MARKETS)
    if stage not in stages:
        near = difflib.get_close_matches(stage, stages, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        msg = f"stage {stage!r}: expected one of {', '.join(stages)}{hint}"
        raise ConfigError(msg)
    if symbols and stage in _OF_MARKETS:
        msg = f"stage {stage!r}: its files are of all symbols; leave out the symbols"
        raise ConfigError(msg)


def _plan(settings: Settings) -> Plan:
    """Plan by the existing listings: what they lack has no file to build again."""
    return prepare.plan(
        settings,
        targets=[],
        data_dir=settings.data_dir or Path(),
        now=dt.datetime.now(dt.UTC),
        online=False,
        keep=False,
    )


def _forced(plan: Plan, *, stage: str, symbols: Sequence[str]) -> list[str]:
    """Return what Snakemake is to force: the rules of a stage, or files of symbols.

    Raises
    ------
    SelectionError
        If the settings do not select a symbol.
    ConfigError
        If the symbols have no file of the stage.
    """
    if not symbols:
        return [f"resample_klines_{group.name}" for group in plan.resample_groups]
    selected = {symbol for planned in plan.datasets for symbol in planned.symbols}
    wanted = set(select_named(symbols, selected, where="the settings' datasets"))
    files = {
        "parse": plan.parsed,
        "backfill": plan.api,
        "results": plan.results + plan.funding,
        "resample": plan.resampled,
    }[stage]
    found = [path for path in files if _is_of_symbol(PurePosixPath(path), wanted)]
    if not found:
        msg = f"{', '.join(symbols)}: the settings request no file of stage {stage!r}; "
        msg += "choose another stage or symbol"
        raise ConfigError(msg)
    return found


def _is_of(stage: str, rule: str) -> bool:
    found = stage_of(rule)
    return found is not None and found.name == stage


def _is_of_symbol(path: PurePosixPath, symbols: set[str]) -> bool:
    """Check whether a path has a symbol as its folder or as the name of its file."""
    return not symbols.isdisjoint((*path.parent.parts, path.stem))
