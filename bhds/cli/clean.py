"""The command `bhds clean`: show and remove unneeded files."""

import datetime as dt
import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table

from bhds.cleanup import stale_files
from bhds.cleanup.superseded import Standing, superseded
from bhds.cleanup.unselected import unselected_files
from bhds.cli.options import command, examples
from bhds.cli.settings import MoreConfigValues, SettingsOptions
from bhds.cli.terminal import working
from bhds.config import Settings
from bhds.plan import prepare

EPILOG = examples(
    "bhds clean", "bhds clean --yes --quarantine", "bhds clean --unselected"
)

_Yes = Annotated[bool, typer.Option("--yes", help="Remove without asking.")]
_AsJson = Annotated[
    bool,
    typer.Option(
        "--json", help="Print one JSON document; removes nothing without --yes."
    ),
]
_Quarantine = Annotated[
    bool,
    typer.Option(
        "--quarantine", help="Also remove the damaged files in the quarantine."
    ),
]
_Unselected = Annotated[
    bool,
    typer.Option(
        "--unselected",
        help="Also remove zips and built files of symbols and datasets that the "
        "settings do not select.",
    ),
]


@dataclass(frozen=True)
class _FileGroup:
    """Files of one kind, to be removed or not."""

    name: str
    """As in the JSON document."""
    description: str
    sizes: dict[str, int]
    """Bytes by path below the data directory."""

    @property
    def size_bytes(self) -> int:
        return sum(self.sizes.values())


@dataclass(frozen=True)
class _Findings:
    """The removable files, and those that stay for a reason."""

    data_dir: Path
    removable: list[_FileGroup]
    kept: list[_FileGroup]

    @property
    def total(self) -> _FileGroup:
        sizes = {path: n for kind in self.removable for path, n in kind.sizes.items()}
        return _FileGroup("total", "total", sizes)


@command
def clean(
    *,
    options: SettingsOptions,
    more: MoreConfigValues = None,
    yes: _Yes = False,
    as_json: _AsJson = False,
    quarantine: _Quarantine = False,
    unselected: _Unselected = False,
) -> None:
    """Remove unneeded files: superseded daily zips and stale temporary files.

    The files are shown first. Plans with the existing listings.
    """
    settings = options.read(more)
    now = dt.datetime.now(dt.UTC)
    with working("looking for unneeded files"):
        found = _find(
            settings,
            now=now,
            with_quarantine=quarantine,
            with_unselected=unselected,
        )
    if not as_json:
        _show(found)
    removes = bool(found.total.sizes) and (
        yes or (not as_json and _is_confirmed(found))
    )
    if removes:
        stale_files.remove(found.total.sizes, data_dir=found.data_dir)
    if as_json:
        document = _document(found, removed=removes)
        typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        typer.echo(_outcome(found, removed=removes))


def _find(
    settings: Settings,
    *,
    now: dt.datetime,
    with_quarantine: bool,
    with_unselected: bool,
) -> _Findings:
    data_dir = settings.data_dir or Path()
    planned = prepare.plan(
        settings, targets=[], data_dir=data_dir, now=now, online=False, keep=False
    ).datasets
    days = superseded(planned, data_dir=data_dir)

    def kind(name: str, description: str, paths: Iterable[str]) -> _FileGroup:
        return _FileGroup(
            name, description, stale_files.sizes(paths, data_dir=data_dir)
        )

    def of_standing(standing: Standing) -> Iterable[str]:
        return days.filter(pl.col("standing") == standing)["path"]

    removable = [
        kind(
            "superseded",
            "daily files that a monthly zip replaces",
            of_standing(Standing.REPLACED),
        ),
        kind(
            "killed_writes",
            "temporary files of killed runs",
            stale_files.killed_writes(data_dir, now=now),
        ),
        kind(
            "staged",
            "staged downloads of files in place",
            stale_files.staged_in_place(planned, data_dir=data_dir),
        ),
    ]
    kept = [
        kind(
            "unparsed",
            "daily files whose monthly zip is not parsed yet, or unusable",
            of_standing(Standing.UNPARSED),
        ),
        kind(
            "lacking",
            "daily files with rows that the monthly zip misses",
            of_standing(Standing.LACKING),
        ),
    ]
    damaged = kind(
        "quarantined",
        "damaged files in the quarantine",
        stale_files.quarantined(data_dir),
    )
    (removable if with_quarantine else kept).append(damaged)
    if with_unselected:
        removable += [
            kind(f"unselected_{stage}", f"{stage} files that no dataset selects", paths)
            for stage, paths in unselected_files(planned, data_dir=data_dir).items()
        ]
    return _Findings(data_dir, removable, kept)


def _is_confirmed(found: _Findings) -> bool:
    """Prompt for confirmation on a terminal; refuse elsewhere."""
    if not _is_terminal():
        return False
    files = len(found.total.sizes)
    return typer.confirm(f"Remove these {files:,} files?", err=True)


def _is_terminal() -> bool:
    return sys.stdin.isatty()


def _show(found: _Findings) -> None:
    table = Table(
        title=f"Not needed below {found.data_dir.absolute()}",
        title_justify="left",
        box=None,
        pad_edge=False,
    )
    table.add_column("what", overflow="fold")
    table.add_column("files", justify="right", no_wrap=True)
    table.add_column("size", justify="right", no_wrap=True)
    for kind in found.removable:
        table.add_row(*_cells(kind))
    table.add_section()
    table.add_row(*_cells(found.total))
    console = Console(highlight=False)
    console.print(table)
    for kind in found.kept:
        if kind.sizes:
            what, files, size = _cells(kind)
            console.print(f"Kept: {what}: {files}, {size}", soft_wrap=True)


def _cells(kind: _FileGroup) -> tuple[str, str, str]:
    return kind.description, f"{len(kind.sizes):,}", decimal(kind.size_bytes)


def _outcome(found: _Findings, *, removed: bool) -> str:
    files = len(found.total.sizes)
    if not files:
        return "Nothing to remove."
    if removed:
        return f"Removed {files:,} files, {decimal(found.total.size_bytes)}."
    return "Removed nothing; --yes removes these files without asking."


def _document(found: _Findings, *, removed: bool) -> dict[str, Any]:
    return {
        "data_dir": str(found.data_dir.absolute()),
        "removed": removed,
        "removable": {kind.name: _entry(kind) for kind in found.removable},
        "kept": {kind.name: _entry(kind) for kind in found.kept},
        "total": {
            "files": len(found.total.sizes),
            "size_bytes": found.total.size_bytes,
        },
    }


def _entry(kind: _FileGroup) -> dict[str, Any]:
    return {
        "files": len(kind.sizes),
        "size_bytes": kind.size_bytes,
        "paths": list(kind.sizes),
    }
