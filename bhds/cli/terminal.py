"""Print to a terminal, or to a pipe of unknown width."""

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
"""Width for one line per row if the terminal's size is unknown."""

_ANY_WIDTH = 10_000


def console(file: TextIO | None = None) -> Console:
    """Return a console that prints tables to `file`, by default standard output."""
    target = sys.stdout if file is None else file
    is_known = target.isatty() or "COLUMNS" in os.environ
    return Console(
        file=target, highlight=False, width=None if is_known else _PIPE_WIDTH
    )


def print_whole(table: Table, *, to: Console) -> None:
    """Print a table without truncating its cells.

    A narrower terminal wraps the lines, which is better than truncated dates and names.
    """
    anything = to.options.update(max_width=_ANY_WIDTH)
    before = to.width
    to.width = max(before, Measurement.get(to, anything, table).maximum)
    to.print(table)
    to.width = before


def progress() -> Progress:
    """Return progress bars on standard error, if it is a terminal; they vanish."""
    return Progress(
        *Progress.get_default_columns(),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )


@contextmanager
def working(what: str) -> Iterator[None]:
    """Show a message on standard error while working, if it is a terminal."""
    if not sys.stderr.isatty():
        yield
        return
    with Console(stderr=True).status(f"{what} ..."):
        yield
