"""The command `bhds adopt`: take the zips of another folder."""

import json
import os
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.filesize import decimal
from rich.table import Table

from bhds.archive.adopt import transfer
from bhds.archive.adopt.scan import Flat, FoundFile, Outcome
from bhds.archive.adopt.transfer import Transfer
from bhds.cli.options import AsJson, DryRun, command, examples
from bhds.cli.settings import SettingsOptions
from bhds.cli.terminal import console, print_whole, working
from bhds.core.errors import ConfigError, cut
from bhds.core.markets import TradeType
from bhds.schemas.datatypes import BAR_TYPES

EPILOG = examples(
    "bhds adopt ../binance-public-data/data --dry-run",
    "bhds adopt ../zips --link --trade-type um_futures --data-type klines",
)

_SHOWN = 3
_NOTE = (
    "The next run compares these files with the listing, and downloads those again of "
    "which size or MD5 differ."
)

_Folders = Annotated[
    list[Path],
    typer.Argument(metavar="DIR", help="Folder with zips, at any depth."),
]
_Link = Annotated[
    bool,
    typer.Option("--link", help="Make hard links, on the same file system."),
]
_Copy = Annotated[bool, typer.Option("--copy", help="Copy files; this is the default.")]
_Move = Annotated[
    bool,
    typer.Option("--move", help="Remove each source once its file is in place."),
]
_TradeType = Annotated[
    TradeType | None,
    typer.Option(
        "--trade-type",
        metavar="TRADE_TYPE",
        help="Market of zips whose folders do not show it; default: these stay.",
    ),
]
_DataType = Annotated[
    str | None,
    typer.Option(
        "--data-type",
        metavar="DATA_TYPE",
        help="Data type of such zips of bars, such as klines; default: these stay.",
    ),
]


@command
def adopt(
    folders: _Folders,
    *,
    options: SettingsOptions,
    link: _Link = False,
    copy: _Copy = False,
    move: _Move = False,
    trade_type: _TradeType = None,
    data_type: _DataType = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Verify the zips of another folder, and take them into the data directory.

    Takes the folders of the bucket, of the original BHDS and of other data directories.
    Files in place are never replaced.
    """
    chosen = [
        way
        for way, is_chosen in (
            (Transfer.LINK, link),
            (Transfer.COPY, copy),
            (Transfer.MOVE, move),
        )
        if is_chosen
    ]
    if len(chosen) > 1:
        names = " and ".join(f"--{way}" for way in chosen)
        msg = f"{names}: exclude each other; name one"
        raise ConfigError(msg)
    if data_type not in {None, *BAR_TYPES}:
        msg = f"--data-type {cut(str(data_type))!r}: use one of {', '.join(BAR_TYPES)}"
        raise ConfigError(msg)
    data_dir = options.read().data_dir or Path()
    with working("verifying zips"):
        found = transfer.adopt(
            folders,
            data_dir=data_dir,
            transfer=chosen[0] if chosen else Transfer.COPY,
            flat=Flat(trade_type, data_type),
            dry_run=dry_run,
        )
    by_outcome: dict[Outcome, list[FoundFile]] = defaultdict(list)
    for file in found:
        by_outcome[file.outcome].append(file)
    groups = {each: by_outcome[each] for each in Outcome if each in by_outcome}
    if as_json:
        typer.echo(
            json.dumps(
                _document(data_dir, groups, dry_run=dry_run),
                indent=2,
                ensure_ascii=False,
            )
        )
    else:
        _show(data_dir, groups, dry_run=dry_run)


def _show(
    data_dir: Path, groups: dict[Outcome, list[FoundFile]], *, dry_run: bool
) -> None:
    out = console()
    if not groups:
        out.print("No files found.")
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("outcome")
    table.add_column("files", justify="right")
    table.add_column("size", justify="right")
    for outcome, files in groups.items():
        size = decimal(_bytes(files))
        table.add_row(outcome.description, f"{len(files):,}", size)
    title = "Dry run, nothing was taken into" if dry_run else "Adopted into"
    typer.echo(f"{title} {data_dir.absolute()}")
    print_whole(table, to=out)
    for outcome, files in groups.items():
        more = len(files) - _SHOWN
        typer.echo(f"{outcome.description}:")
        for file in files[:_SHOWN]:
            detail = f": {cut(file.detail)}" if file.detail else ""
            typer.echo(f"  {_shown(file)}{detail}")
        if more > 0:
            typer.echo(f"  and {more:,} more")
    typer.echo(_NOTE)


def _document(
    data_dir: Path, groups: dict[Outcome, list[FoundFile]], *, dry_run: bool
) -> dict[str, Any]:
    return {
        "dry_run": dry_run,
        "data_dir": str(data_dir.absolute()),
        "outcomes": {
            outcome: {
                "description": outcome.description,
                "files": len(files),
                "size_bytes": _bytes(files),
                "first": [
                    {"path": _shown(file), "detail": file.detail}
                    for file in files[:_SHOWN]
                ],
            }
            for outcome, files in groups.items()
        },
        "note": _NOTE,
    }


def _bytes(files: Iterable[FoundFile]) -> int:
    return sum(file.size for file in files)


def _shown(file: FoundFile) -> str:
    """Return a path in one line of valid text, whatever bytes its name has."""
    return cut(os.fsencode(file.path).decode(errors="replace"), most=4096)
