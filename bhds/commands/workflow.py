"""Run Snakemake on BHDS's rules: commands that build files ask it for them."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
import yaml

from bhds.config import Settings
from bhds.errors import ConfigError
from bhds.installation import workflow_folder

CHECKOUT = workflow_folder()

Cores = Annotated[
    int | None,
    typer.Option("--cores", min=1, help="Jobs at once; default: all processors."),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Show what would be done, and do nothing.")
]


def run_snakemake(
    settings: Settings,
    targets: Sequence[str],
    *,
    cores: int | None = None,
    dry_run: bool = False,
    checkout: Path = CHECKOUT,
) -> int:
    """Run Snakemake with some settings, and return its exit code.

    Parameters
    ----------
    settings
        The settings, in place of those of any file.
    targets
        Rules or paths.
    cores
        Jobs at once; None: as many as there are processors.
    dry_run
        Whether only to show what would be done.
    checkout
        Where the Snakefile and the profiles are.

    Raises
    ------
    ConfigError
        If there is no Snakefile: BHDS was installed without its workflow.
    """
    snakefile = checkout / "Snakefile"
    if not snakefile.is_file():
        msg = (
            f"{snakefile}: no such file; expected the rules, which a checkout and a "
            "wheel of BHDS bring along; install it anew"
        )
        raise ConfigError(msg)
    with tempfile.TemporaryDirectory(prefix="bhds-") as folder:
        config = Path(folder, "config.yaml")
        values = settings.model_dump(mode="json")
        if settings.data_dir is not None:
            values["data_dir"] = str(settings.data_dir.absolute())
        config.write_text(yaml.safe_dump(values, allow_unicode=True), encoding="utf-8")
        command = [
            *(sys.executable, "-m", "snakemake", *targets),
            *("--snakefile", str(snakefile), "--configfile", str(config)),
            *("--workflow-profile", str(checkout / "profiles" / "default")),
            *("--cores", str(cores or os.cpu_count() or 1)),
            *(["--dry-run"] if dry_run else []),
        ]
        return _run(command)


def _run(command: Sequence[str]) -> int:
    """Run to the end; Ctrl-C reaches Snakemake by itself, which ends its jobs."""
    with subprocess.Popen(command) as process:  # noqa: S603 -- made above
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                continue
