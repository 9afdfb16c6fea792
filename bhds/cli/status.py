"""The command `bhds status`: print the data on disk."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import polars as pl
import typer
from rich.filesize import decimal
from rich.progress import Progress
from rich.table import Table

from bhds.backfill import api_use
from bhds.cli.options import AsJson, command, examples
from bhds.cli.settings import SettingsOptions
from bhds.cli.terminal import console, print_whole, progress
from bhds.status import Holding, survey

EPILOG = examples("bhds status", "bhds status --data-dir binance_data --json")


@command
def status(
    *,
    options: SettingsOptions,
    as_json: AsJson = False,
) -> None:
    """Print the data on disk: symbols, range, rows, size, age, condition of the days.

    Includes data that the settings no longer select. Conditions are those of the last
    `quality_all`. No server is contacted.
    """
    root = options.read_data_dir()
    with _progress_bar() as on_progress:
        found = survey(root, on_progress=on_progress)
    numbers = ("requests", "weight", "refusals", "rows")
    used = api_use.read(root).select(pl.col(numbers).sum()).row(0, named=True)
    if as_json:
        document = _document(root, found) | {"api_use": used}
        typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        _show(root, found)
        if used["requests"]:
            console().print(
                f"REST API so far: {used['requests']:,} requests (weight "
                f"{used['weight']:,}, {used['refusals']:,} refused), "
                f"{used['rows']:,} rows received",
                soft_wrap=True,
            )


@contextmanager
def _progress_bar() -> Iterator[Any]:
    """Show a progress bar on a terminal, and remove it at the end."""
    with progress() as bars:
        yield _Bar(bars)


class _Bar:
    """One progress bar for several tasks, one after the other."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._task = bars.add_task("looking for folders", total=None)

    def __call__(self, what: str, *, done: int, total: int) -> None:
        self._bars.update(self._task, description=what, completed=done, total=total)


def _document(data_dir: Path, found: Sequence[Holding]) -> dict[str, Any]:
    return {
        "data_dir": str(data_dir.absolute()),
        "holdings": [_entry(holding) for holding in found],
        "total": {
            "files": sum(holding.files for holding in found),
            "size_bytes": sum(holding.size_bytes for holding in found),
        },
    }


def _entry(holding: Holding) -> dict[str, Any]:
    times = {
        name: time and time.isoformat()
        for name in ("first", "last", "updated")
        for time in [getattr(holding, name)]
    }
    stage = holding.stage.value
    return asdict(holding) | times | {"stage": stage}


def _show(data_dir: Path, found: Sequence[Holding]) -> None:
    out = console()
    if not found:
        out.print(f"Nothing is built below {data_dir.absolute()}.", soft_wrap=True)
        return
    print_whole(_table(data_dir, found), to=out)
    for holding in found:
        if holding.condition:
            out.print(_days(holding), soft_wrap=True)
    for holding in found:
        for path in holding.unreadable:
            what_to_do = "check its permissions, or delete it and run again"
            message = f"Cannot be read: {path}; {what_to_do}."
            out.print(message, soft_wrap=True)


def _table(data_dir: Path, found: Sequence[Holding]) -> Table:
    title = f"Below {data_dir.absolute()}"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for heading in ("what", "stage"):
        table.add_column(heading, no_wrap=True)
    table.add_column("symbols", justify="right", no_wrap=True)
    for heading in ("first", "last"):
        table.add_column(heading, no_wrap=True)
    for heading in ("rows", "files", "size"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("updated", no_wrap=True)
    for holding in found:
        table.add_row(*_cells(holding))
    table.add_section()
    files = sum(holding.files for holding in found)
    size = decimal(sum(holding.size_bytes for holding in found))
    table.add_row("total", "", "", "", "", "", f"{files:,}", size)
    return table


def _cells(holding: Holding) -> tuple[str, ...]:
    stage = " ".join(filter(None, (holding.stage.value, holding.frequency)))
    return (
        _name(holding),
        stage,
        f"{holding.symbols:,}",
        *(f"{at:%Y-%m-%d}" if at else "-" for at in (holding.first, holding.last)),
        "-" if holding.rows is None else f"{holding.rows:,}",
        f"{holding.files:,}",
        decimal(holding.size_bytes),
        f"{holding.updated:%Y-%m-%d}" if holding.updated else "-",
    )


def _days(holding: Holding) -> str:
    counts = (holding.condition or {}).items()
    days = ", ".join(f"{number:,} {name}" for name, number in counts)
    return f"Days of {_name(holding)}: {days}"


def _name(holding: Holding) -> str:
    words = (holding.trade_type, holding.data_type, holding.interval)
    return " ".join(filter(None, words))
