"""The command `bhds version`: which programs and libraries do the work here."""

import importlib.metadata
import json
import platform
import subprocess
from dataclasses import asdict, dataclass

import typer

from bhds.archive.download import aria2
from bhds.cli.options import AsJson, examples
from bhds.core.errors import FetchError
from bhds.core.version import __version__

EPILOG = examples("bhds version --json")

_TIMEOUT_S = 10


@dataclass(frozen=True)
class Versions:
    """What a report of a fault should name; None: not installed."""

    bhds: str
    python: str
    polars: str | None
    snakemake: str | None
    aria2c: str | None
    platform: str


def version(*, as_json: AsJson = False) -> None:
    """Print the versions of BHDS, Python, Polars, Snakemake and aria2c."""
    found = asdict(versions())
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    for name, told in found.items():
        typer.echo(f"{name:<10} {told or 'not found'}")


def versions() -> Versions:
    """Return what is installed here; of aria2c, what a download would run."""
    return Versions(
        bhds=__version__,
        python=platform.python_version(),
        polars=_installed("polars"),
        snakemake=_installed("snakemake"),
        aria2c=_aria2c(),
        platform=platform.platform(),
    )


def _installed(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _aria2c() -> str | None:
    try:
        command = [str(aria2.find_executable()), "--version"]
        told = subprocess.run(  # noqa: S603 -- the program that downloads run
            command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=True
        ).stdout
    except (FetchError, OSError, subprocess.SubprocessError):
        return None
    return told.split("\n", 1)[0].removeprefix("aria2 version ").strip() or None
