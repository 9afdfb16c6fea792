"""The command line of BHDS."""

from typing import Annotated

import typer

from bhds import __version__
from bhds.commands import api_data
from bhds.commands.clean import clean
from bhds.commands.plan import plan
from bhds.sandbox.command import sandbox

app = typer.Typer(
    name="bhds",
    help="Clean, complete, verified market data from Binance's public archive.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command("plan")(plan)
app.command("clean")(clean)
app.command("sandbox")(sandbox)
app.add_typer(api_data.app)


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
