"""Where commands print to."""

import io
import sys

import pytest
from rich.table import Table

from bhds.cli import terminal


class Screen(io.StringIO):
    """A terminal, as programs see it."""

    def isatty(self):
        return True


@pytest.fixture
def show_on_screen(monkeypatch):
    """Return a function that puts a terminal in the place of standard error."""

    def show():
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setattr(sys, "stderr", Screen())
        return sys.stderr

    return show


def test_a_pipe_has_room_for_a_line_a_row(monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)

    assert terminal.console(io.StringIO()).width == 160


def test_a_width_that_is_told_is_taken(monkeypatch):
    monkeypatch.setenv("COLUMNS", "70")

    assert terminal.console(io.StringIO()).width == 70


def test_a_narrow_terminal_takes_nothing_from_a_table(monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    out = io.StringIO()
    table = Table("market", "symbol", "first bar", box=None, pad_edge=False)
    table.add_row("um_futures", "1000SHIBUSDT", "2025-03-01 00:00")

    terminal.print_whole(table, to=terminal.console(out))

    row = out.getvalue().splitlines()[-1]
    assert row.split() == ["um_futures", "1000SHIBUSDT", "2025-03-01", "00:00"]


def test_on_a_terminal_it_is_shown_what_takes_a_while_and_it_vanishes(show_on_screen):
    screen = show_on_screen()
    with terminal.working("listing"):
        pass

    assert "listing ..." in screen.getvalue()
    assert screen.getvalue().endswith("\x1b[2K")


def test_bars_are_shown_on_a_terminal_and_vanish(show_on_screen):
    screen = show_on_screen()
    with terminal.progress() as bars:
        list(bars.track(range(3), description="asking"))

    assert "asking" in screen.getvalue()
    assert screen.getvalue().endswith("\x1b[2K")


def test_elsewhere_nothing_is_shown(monkeypatch):
    pipe = io.StringIO()
    monkeypatch.setattr(sys, "stderr", pipe)

    with terminal.working("listing"), terminal.progress() as bars:
        list(bars.track(range(3)))

    assert pipe.getvalue() == ""
