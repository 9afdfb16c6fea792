"""Where commands print to: a terminal, or a pipe of which nothing is known."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console
from rich.measure import Measurement
from rich.progress import Progress
from rich.table import Table

_PIPE_WIDTH = 160
"""Room for one line per row, where the terminal's size is unknown."""

_ANY_WIDTH = 10_000


def console(file: TextIO | None = None) -> Console:
    """Return a console that prints tables to `file`, by default standard output."""
    target = sys.stdout if file is None else file
    is_told = target.isatty() or "COLUMNS" in os.environ
    return Console(file=target, highlight=False, width=None if is_told else _PIPE_WIDTH)


def print_whole(table: Table, *, to: Console) -> None:
    """Print a table with all that its cells hold.

    Where the terminal is narrower, it puts the rest of a line into the next one: better
    than a date or a name of which the end is missing.
    """
    anything = to.options.update(max_width=_ANY_WIDTH)
    before = to.width
    to.width = max(before, Measurement.get(to, anything, table).maximum)
    to.print(table)
    to.width = before


def progress() -> Progress:
    """Return bars on standard error that vanish; none where that is no terminal."""
    return Progress(
        *Progress.get_default_columns(),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )


@contextmanager
def working(what: str) -> Iterator[None]:
    """Show on standard error what takes a while; nothing where that is no terminal."""
    if not sys.stderr.isatty():
        yield
        return
    with Console(stderr=True).status(f"{what} ..."):
        yield
