"""The command `bhds run`: build what the settings request, or any target or file."""

from typing import Annotated

import typer

from bhds.cli.options import RunOptions, command, examples
from bhds.cli.settings import SettingsOptions
from bhds.cli.workflow import run_snakemake

EPILOG = examples(
    "bhds run", "bhds run results_all -j 8", "bhds run --dry-run --config offline=true"
)

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
    options: SettingsOptions,
    running: RunOptions,
    verbose: _Verbose = False,
) -> int:
    """Build every file that the settings request, or the targets that are named.

    Files that are up to date are not built again. The same command continues a run that
    was interrupted or that failed.
    """
    return run_snakemake(
        options.read(),
        targets or ["all"],
        cores=running.cores,
        dry_run=running.dry_run,
        is_verbose=verbose,
    )
