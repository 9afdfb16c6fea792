"""The command `bhds version`: print the versions of programs and libraries."""

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
    """The versions for a bug report; None: not installed."""

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
    for name, number in found.items():
        typer.echo(f"{name:<10} {number or 'not found'}")


def versions() -> Versions:
    """Return the installed versions; for aria2c, that of the program for downloads."""
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
        printed = subprocess.run(  # noqa: S603 -- the program that downloads run
            command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=True
        ).stdout
    except (FetchError, OSError, subprocess.SubprocessError):
        return None
    return printed.split("\n", 1)[0].removeprefix("aria2 version ").strip() or None
