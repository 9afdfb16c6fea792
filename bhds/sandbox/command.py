"""The command `bhds sandbox`."""

import datetime as dt
import sys
from pathlib import Path
from typing import Annotated

import typer

from bhds.core.errors import BhdsError, ConfigError
from bhds.sandbox import admin, scenarios
from bhds.sandbox.exchange import PRESENT, Exchange
from bhds.sandbox.keylist import KeyList
from bhds.sandbox.server import LOOPBACK, run
from bhds.sandbox.universe import Universe, load_universe

EPILOG = (
    "[bold]Examples[/bold]\n\n"
    "bhds sandbox --endpoints-file endpoints.yaml\n\n"
    "bhds sandbox --scenario all --port 8000"
)

_DEFAULT_NOW = PRESENT.isoformat()
_UniverseFile = Annotated[
    Path | None,
    typer.Option(
        help="YAML file of the symbols; default: the universe shipped with BHDS."
    ),
]
_SymbolCount = Annotated[
    int, typer.Option(min=0, help="Add this many synthetic um perpetuals.")
]
_Present = Annotated[
    str,
    typer.Option(
        help="The present, from which follows what is published: an ISO 8601 time; "
        "without a zone it is UTC."
    ),
]
_Scenarios = Annotated[
    list[str] | None,
    typer.Option(
        "--scenario",
        help="Add the scenario of a defect, by its number in docs/known-limitations.md "
        "(D06), with symbols of its own. May be given several times; `all` adds every "
        "scenario that --now allows.",
    ),
]
_ServeDir = Annotated[
    Path | None,
    typer.Option(
        help="Serve the real files of this folder, laid out as in the bucket "
        "(DIR/data/...), in place of synthetic ones; the API then knows only the "
        "symbols of --universe."
    ),
]
_ServeKeys = Annotated[
    list[Path] | None,
    typer.Option(
        help="Serve the keys of this zip of one text file of URLs of zips of the "
        "archive, each with its CHECKSUM, in place of synthetic files: they can be "
        "listed only. May be given several times.",
    ),
]
_CacheDir = Annotated[
    Path | None,
    typer.Option(help="Keep built files here; default: a temporary folder."),
]
_Host = Annotated[str, typer.Option(help="Address to listen at.")]
_Port = Annotated[
    int, typer.Option(min=0, max=65_535, help="Port; 0 takes any that is free.")
]
_EndpointsFile = Annotated[
    Path | None,
    typer.Option(
        help="Write the endpoints, as YAML for config.yaml, to this file once "
        "requests are answered."
    ),
]


def sandbox(
    *,
    universe: _UniverseFile = None,
    symbols: _SymbolCount = 0,
    now: _Present = _DEFAULT_NOW,
    scenario: _Scenarios = None,
    serve_dir: _ServeDir = None,
    serve_keys: _ServeKeys = None,
    cache_dir: _CacheDir = None,
    host: _Host = LOOPBACK,
    port: _Port = 0,
    endpoints_file: _EndpointsFile = None,
) -> None:
    """Serve the sandbox exchange: a deterministic stand-in for Binance on loopback.

    One line on standard output has its endpoints. SIGINT or SIGTERM ends it.
    """
    try:
        if serve_dir is not None and serve_keys:
            msg = f"--serve-dir {serve_dir}: expected no --serve-keys beside it"
            raise ConfigError(msg)
        listed = KeyList(serve_keys) if serve_keys else None
        has_files = serve_dir is not None or listed is not None
        with Exchange(
            _universe(universe, symbols=symbols, has_files=has_files),
            now=_moment(now),
            serve_dir=serve_dir,
            cache_dir=cache_dir,
        ) as exchange:
            if listed is not None:
                exchange.store = listed
            numbers = scenario or []
            if "all" in numbers:
                numbers = scenarios.available_at(exchange.now)
            for number in dict.fromkeys(numbers):
                admin.add_scenario(exchange, number)
            run(exchange, host=host, port=port, endpoints_file=endpoints_file)
    except (BhdsError, OSError) as error:
        sys.exit(f"bhds: error: {error}")


def _universe(path: Path | None, *, symbols: int, has_files: bool) -> Universe:
    shipped = Universe() if has_files and path is None else load_universe(path)
    return shipped.with_synthetic_symbols(symbols)


def _moment(text: str) -> dt.datetime:
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError as error:
        msg = f"--now {text!r}: expected an ISO 8601 time, as 2025-03-10T12:00:00Z"
        raise ConfigError(msg) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
