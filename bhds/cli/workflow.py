"""Run Snakemake on the rules of BHDS, for the commands that build files."""

import importlib.metadata
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import typer
import yaml

from bhds.cli import snakemake_process
from bhds.cli.installation import workflow_folder
from bhds.cli.options import RunOptions
from bhds.config import Dataset, Settings
from bhds.core.errors import ConfigError
from bhds.io import runs

CHECKOUT = workflow_folder()

OLDEST_SNAKEMAKE = "9.27"
"""The version that the Snakefile requires."""


def build(
    settings: Settings,
    datasets: Sequence[Dataset],
    targets: Sequence[str],
    *,
    run: RunOptions,
    stdout_to_stderr: bool = False,
) -> int:
    """Build targets of some datasets, instead of those of the settings.

    `stdout_to_stderr` keeps standard output free for the command's own result.
    Returns, and raises, as `run_snakemake`.
    """
    sys.stdout.flush()
    only = settings.model_copy(update={"datasets": list(datasets)})
    return run_snakemake(
        only,
        targets,
        cores=run.cores,
        dry_run=run.dry_run,
        stdout_to_stderr=stdout_to_stderr,
    )


def run_snakemake(
    settings: Settings,
    targets: Sequence[str],
    *,
    forced: Sequence[str] = (),
    cores: int | None = None,
    dry_run: bool = False,
    stdout_to_stderr: bool = False,
    is_verbose: bool = False,
    checkout: Path = CHECKOUT,
) -> int:
    """Run Snakemake with some settings, and return its exit code.

    Parameters
    ----------
    settings
        The settings, instead of those of any file.
    targets
        Rules or paths.
    forced
        Rules and paths that are built again even if they are up to date.
    cores
        Jobs at once; None: as many as there are processors.
    dry_run
        Whether to only show the jobs that would run.
    stdout_to_stderr
        Whether Snakemake's standard output goes to standard error.
    is_verbose
        Whether Snakemake prints its own lines, instead of BHDS's display.
    checkout
        Where the Snakefile and the profiles are.

    Returns
    -------
    int
        0 if everything is built; 130 after Ctrl-C and 143 after SIGTERM (the next run
        continues where this one stopped); else Snakemake's exit code.

    Raises
    ------
    ConfigError
        If there is no Snakefile: BHDS was installed without its workflow; or if
        Snakemake is not installed, or too old.
    """
    snakefile = checkout / "Snakefile"
    if not snakefile.is_file():
        msg = (
            f"{snakefile}: no such file; BHDS lacks its rules; install it "
            "again, from a checkout or a wheel"
        )
        raise ConfigError(msg)
    _check_snakemake()
    profile = "default" if is_verbose else "quiet"
    with runs.scratch("settings") as folder:
        config = folder / "config.yaml"
        values = settings.model_dump(mode="json")
        if settings.data_dir is not None:
            values["data_dir"] = str(settings.data_dir.absolute())
        config.write_text(yaml.safe_dump(values, allow_unicode=True), encoding="utf-8")
        command = [
            *targets,
            *("--snakefile", str(snakefile), "--configfile", str(config)),
            *("--workflow-profile", str(checkout / "profiles" / profile)),
            *("--cores", str(cores or os.cpu_count() or 1)),
            *(["--dry-run"] if dry_run else []),
            *(["--forcerun", *forced] if forced else []),
        ]
        if not dry_run:
            _clear_stale_lock(Path(values["data_dir"] or "."), command)
        return snakemake_process.run(command, stdout_to_stderr=stdout_to_stderr)


def target_names(checkout: Path = CHECKOUT) -> list[str]:
    """Return the names of the targets and of other rules that can be requested."""
    files = [checkout / "Snakefile", *sorted(checkout.glob("rules/*.smk"))]
    text = "\n".join(path.read_text(encoding="utf-8") for path in files)
    return re.findall(r"^ *(?:rule|checkpoint) (\w+):", text, re.MULTILINE)


def _clear_stale_lock(data_dir: Path, command: Sequence[str]) -> None:
    """Remove, by Snakemake, the lock of a run that was killed on this machine."""
    owner = runs.owner_of_stale_lock(data_dir)
    if owner is None:
        return
    unlock = [sys.executable, "-m", "snakemake", *command, "--unlock"]
    done = subprocess.run(unlock, capture_output=True, check=False)  # noqa: S603
    if done.returncode == 0:
        typer.echo(
            f"bhds: cleared the lock of a killed run (process {owner.pid})",
            err=True,
        )


def _check_snakemake() -> None:
    """Raise a `ConfigError` if Snakemake is missing or too old for the rules."""
    expected = f"expected {OLDEST_SNAKEMAKE} or later; run `make setup`, or `pip "
    expected += f"install 'snakemake>={OLDEST_SNAKEMAKE}'` for {sys.executable}"
    try:
        found = importlib.metadata.version("snakemake")
    except importlib.metadata.PackageNotFoundError:
        msg = f"snakemake: not installed, {expected}"
        raise ConfigError(msg) from None
    if _numbers(found) < _numbers(OLDEST_SNAKEMAKE):
        msg = f"snakemake {found}: too old, {expected}"
        raise ConfigError(msg)


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)[:2]]
