"""The command line of BHDS.

A command is imported when it is called: help, completion and `--version` need only
its name and the line below.
"""

import sys
from importlib import import_module
from typing import Annotated, Any, NamedTuple

import typer
from typer.core import TyperGroup

from bhds.core.version import __version__
from bhds.io.job_log import one_line_errors


class _Entry(NamedTuple):
    """The place of a command, and its line in the list of commands."""

    module: str
    name: str
    """Of a function, or of a group."""
    help: str
    panel: str


_BUILD = "Build files"
_LOOK = "Inspect"
_OTHER = "More"
COMMANDS = {
    "run": _Entry("run", "run", "Build what the settings request.", _BUILD),
    "rebuild": _Entry("rebuild", "rebuild", "Build one stage again.", _BUILD),
    "plan": _Entry(
        "plan", "plan", "Print what a run would download, and its cost.", _LOOK
    ),
    "status": _Entry(
        "status", "status", "Print the data on disk: symbols, range, rows, size.", _LOOK
    ),
    "explain": _Entry("explain", "explain", "Print the origin of a bar.", _LOOK),
    "aws-kline": _Entry(
        "aws", "klines", "List, download, verify and parse the archive's bars.", _BUILD
    ),
    "aws-funding": _Entry(
        "aws", "funding", "List, download, verify and parse funding rates.", _BUILD
    ),
    "aws-liquidation": _Entry(
        "aws", "liquidation", "List, download, verify and parse liquidations.", _BUILD
    ),
    "api-data": _Entry(
        "api_data", "app", "Fetch rows that the archive misses from the API.", _BUILD
    ),
    "generate": _Entry(
        "generate",
        "app",
        "Build results, resampled bars, and the gaps in them.",
        _BUILD,
    ),
    "adopt": _Entry(
        "adopt", "adopt", "Take zips that another tool downloaded.", _BUILD
    ),
    "clean": _Entry("clean", "clean", "Remove unneeded files.", _OTHER),
    "sandbox": _Entry(
        "sandbox", "sandbox", "Serve a deterministic exchange on loopback.", _OTHER
    ),
    "version": _Entry(
        "version", "version", "Print the versions of BHDS and its dependencies.", _OTHER
    ),
}
"""The commands by name, as the help lists them."""

_ELSEWHERE = {"sandbox": "bhds.sandbox.command"}

EXIT_CODES = {
    0: "done",
    1: "an error; one line on standard error describes it",
    2: "the command line is wrong",
    130: "ended by Ctrl-C; the next run continues where this one stopped",
}
"""The meaning of each exit code, for every command."""


def load(name: str) -> Any:
    """Import a command by its name."""
    entry = COMMANDS[name]
    module = import_module(_ELSEWHERE.get(name, f"bhds.cli.{entry.module}"))
    found = getattr(module, entry.name)
    if isinstance(found, typer.Typer):
        command: Any = typer.main.get_group(found)
    else:
        app = typer.Typer(add_completion=False, rich_markup_mode="rich")
        app.command(name, epilog=getattr(module, "EPILOG", None))(found)
        command = typer.main.get_command(app)
    command.name = name
    return command


class Commands(TyperGroup):
    """The commands by name; each is imported when it is called.

    Contexts and commands are `Any`, because their classes are private to Typer.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.commands = {name: _announced(name) for name in COMMANDS}

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, Any]:
        """Import and return the called command."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, command and load(name or ""), rest


def _announced(name: str) -> typer.core.TyperCommand:
    """Return a stand-in for help and completion, without importing the command."""
    entry = COMMANDS[name]
    return typer.core.TyperCommand(
        name, short_help=entry.help, help=entry.help, rich_help_panel=entry.panel
    )


def _epilog() -> str:
    codes = "\n\n".join(f"{code:>3}  {text}" for code, text in EXIT_CODES.items())
    return (
        "[bold]Examples[/bold]\n\n"
        "bhds plan\n\n"
        "bhds run\n\n"
        "bhds generate kline um_futures 1m BTCUSDT --start 2025-01-01\n\n"
        "bhds explain BTCUSDT 2025-03-01T13:05 --trade-type um_futures\n\n"
        f"[bold]Exit codes[/bold]\n\n{codes}"
    )


app = typer.Typer(
    name="bhds",
    cls=Commands,
    help="Clean, complete, verified market data from Binance's public archive.",
    epilog=_epilog(),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _show_version(wanted: bool) -> None:  # noqa: FBT001 -- Typer's callback form
    if wanted:
        typer.echo(f"bhds {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    *,
    _version: Annotated[
        bool,
        typer.Option(
            "--version",
            help="Print the version and exit.",
            callback=_show_version,
            is_eager=True,
        ),
    ] = False,
) -> None:
    """Clean, complete, verified market data from Binance's public archive."""


def main() -> None:
    """Run the command line; report a broken output stream in one line too."""
    with one_line_errors():
        try:
            app(prog_name="bhds")
        finally:
            sys.stdout.flush()
