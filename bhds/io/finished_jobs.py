"""Which jobs on other machines have finished in the present run: a note for each.

Of a group of such jobs, Snakemake learns only whether all of them succeeded. Notes do
not depend on the clocks of machines.
"""

import hashlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

_NOTES = Path(".snakemake", "bhds-finished")
_VARIABLE = "BHDS_FINISHED"
"""Of the environment of jobs that leave a note: the folder of the notes."""


def forget(data_dir: Path) -> None:
    """Remove the notes of an earlier run."""
    shutil.rmtree(data_dir / _NOTES, ignore_errors=True)


def environment(data_dir: Path) -> dict[str, str]:
    """Return the variables with which jobs leave a note when they finish."""
    return {_VARIABLE: str((data_dir / _NOTES).absolute())}


def note(log: Path, *, environment: Mapping[str, str] = os.environ) -> None:
    """Note that the job of a log has finished, if the environment says so."""
    if folder := environment.get(_VARIABLE):
        Path(folder).mkdir(parents=True, exist_ok=True)
        Path(folder, _name(log)).touch()


def is_noted(log: Path, *, data_dir: Path) -> bool:
    """Return whether the job of a log has finished."""
    return (data_dir / _NOTES / _name(log)).exists()


def _name(log: Path) -> str:
    return hashlib.sha256(str(log).encode()).hexdigest()[:32]
