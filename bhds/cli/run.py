"""The command `bhds run`: build what the settings request, or any target or file."""

from collections.abc import Sequence
from typing import Annotated

import typer

from bhds.cli import datasets
from bhds.cli.options import Days, RunOptions, command, examples
from bhds.cli.settings import SettingsOptions
from bhds.cli.workflow import run_snakemake
from bhds.core.errors import ConfigError

EPILOG = examples(
    "bhds run",
    "bhds run results_all -j 8",
    "bhds run raw_all --start 2025-03-01 --end 2025-03-07",
    "bhds run --dry-run --config offline=true",
)

_NARROWED = ("raw_all", "parsed_all")

_Targets = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="TARGET",
        help="Targets, such as results_all or report, and paths of files below the "
        "data directory; default: all.",
    ),
]
_Verbose = Annotated[
    bool, typer.Option("--verbose", help="Show what Snakemake itself prints.")
]


@command
def run(
    *,
    targets: _Targets = None,
    days: Days,
    options: SettingsOptions,
    running: RunOptions,
    verbose: _Verbose = False,
) -> int:
    """Build every file that the settings request, or the targets that are named.

    Files that are up to date are not built again. The same command continues a run that
    was interrupted or that failed.

    --start and --end limit raw_all and parsed_all to the zips, and to the partitions,
    that have such a day. A partition keeps all days that the settings request, as
    other targets do.
    """
    names = targets or ["all"]
    if days.given():
        _check_narrowed(names)
    settings = datasets.narrowed(
        options.read(), days.given(), with_whole_partitions="parsed_all" in names
    )
    return run_snakemake(
        settings,
        names,
        cores=running.cores,
        dry_run=running.dry_run,
        is_verbose=verbose,
    )


def _check_narrowed(targets: Sequence[str]) -> None:
    """Raise a `ConfigError` for a target whose files have all days of the settings."""
    for target in targets:
        if target not in _NARROWED:
            msg = (
                f"--start, --end: {target} has the days of the settings, expected "
                f"{' or '.join(_NARROWED)}; request these, or set `start` and `end` of "
                "the datasets, which cuts results"
            )
            raise ConfigError(msg)
