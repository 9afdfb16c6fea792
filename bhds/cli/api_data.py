"""The commands `bhds api-data ...`: query the REST API by hand."""

import asyncio
import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer

from bhds import instruments, layout
from bhds.api.client import ApiClient
from bhds.archive.keys import symbol_fault
from bhds.backfill import by_hand
from bhds.backfill.klines import Bars
from bhds.backfill.requests import open_client
from bhds.cli import completion
from bhds.cli.datasets import DatasetRequest, dataset_of
from bhds.cli.options import (
    AsJson,
    IntervalName,
    Market,
    RunOptions,
    Symbols,
    command,
    examples,
)
from bhds.cli.settings import SettingsOptions
from bhds.cli.terminal import progress
from bhds.cli.workflow import build
from bhds.config import Settings
from bhds.core.errors import BhdsError, ConfigError, RefusedError, SelectionError
from bhds.core.markets import Interval, TradeType
from bhds.core.timegrid import Span
from bhds.schemas import datatypes
from bhds.schemas.datatypes import FUNDING

app = typer.Typer(
    help="Query the REST API by hand, within the budget that all jobs share.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

_Symbols = Annotated[
    list[str],
    typer.Argument(help="Names of symbols.", autocompletion=completion.symbols),
]
_Markets = Annotated[
    list[TradeType] | None,
    typer.Argument(help="Markets; default: those of the settings."),
]
_Start = Annotated[
    dt.datetime, typer.Option("--start", formats=["%Y-%m-%d"], help="First UTC day.")
]
_End = Annotated[
    dt.datetime,
    typer.Option("--end", formats=["%Y-%m-%d"], help="Last UTC day, included."),
]
_DataType = Annotated[
    str,
    typer.Option(
        "--data-type",
        help="klines, markPriceKlines, indexPriceKlines or premiumIndexKlines.",
    ),
]
_Output = Annotated[
    Path | None,
    typer.Option(
        "--output", help=f"Folder; default: {layout.BY_HAND}/... in the data directory."
    ),
]


@dataclass(frozen=True)
class _Written:
    """The file of one symbol."""

    symbol: str
    rows: int
    first_open_time: str | None
    last_open_time: str | None
    path: str


@dataclass(frozen=True)
class _Range:
    """The range requested for every symbol, and the folder of its file."""

    trade_type: TradeType
    data_type: str
    interval: Interval
    span: Span
    days: str
    folder: Path

    def path(self, symbol: str) -> Path:
        return Path(layout.table(str(self.folder), f"{symbol}-{self.days}"))


@app.command(
    "kline",
    epilog=examples(
        "bhds api-data kline um_futures 1m BTCUSDT --start 2025-03-01 --end 2025-03-02"
    ),
)
@command
def kline(
    trade_type: Market,
    interval: IntervalName,
    symbols: _Symbols,
    *,
    start: _Start,
    end: _End,
    data_type: _DataType = "klines",
    output: _Output = None,
    options: SettingsOptions,
    as_json: AsJson = False,
) -> int:
    """Fetch the closed bars of some days, one Parquet file per symbol."""
    settings = options.read()
    wanted = _range(
        trade_type,
        data_type,
        interval,
        days=(start.date(), end.date()),
        folder=output or (settings.data_dir or Path()) / layout.BY_HAND,
        is_own_folder=output is not None,
    )
    _may_ask(settings)
    written, faults, usage = asyncio.run(_ask(symbols, wanted, settings=settings))
    if as_json:
        document = {"files": [asdict(file) for file in written], "faults": faults}
        typer.echo(json.dumps(document | usage, indent=2, ensure_ascii=False))
    else:
        for file in written:
            bounds = f"{file.first_open_time} to {file.last_open_time}"
            summary = f"{file.rows:,} bars, {bounds}" if file.rows else "no bars"
            typer.echo(f"{file.symbol}: {summary}: {file.path}")
        typer.echo(f"{usage['requests']:,} requests, weight {usage['weight']:,}")
    for fault in faults:
        typer.echo(f"bhds: error: {fault}", err=True)
    return 1 if faults else 0


@app.command(
    "missing-kline",
    epilog=examples("bhds api-data missing-kline um_futures 1m BTCUSDT ETHUSDT"),
)
@command
def missing_kline(
    trade_type: Market,
    interval: IntervalName,
    symbols: Symbols = None,
    *,
    run: RunOptions,
    options: SettingsOptions,
) -> int:
    """Build the backfills of klines (target api_all)."""
    settings = options.read()
    request = DatasetRequest(
        trade_type,
        interval=interval,
        symbols=symbols,
        results={"funding": False},  # build the backfills only
    )
    return _build_fills(request, settings=settings, run=run)


@app.command(
    "recent-funding",
    epilog=examples("bhds api-data recent-funding um_futures BTCUSDT"),
)
@command
def recent_funding(
    trade_type: Market,
    symbols: Symbols = None,
    *,
    run: RunOptions,
    options: SettingsOptions,
) -> int:
    """Build the backfills of funding (target api_all)."""
    settings = options.read()
    request = DatasetRequest(trade_type, FUNDING, symbols=symbols)
    return _build_fills(request, settings=settings, run=run)


@app.command(
    "exchange-info",
    epilog=examples("bhds api-data exchange-info um_futures cm_futures"),
)
@command
def exchange_info(
    trade_types: _Markets = None,
    *,
    options: SettingsOptions,
) -> None:
    """Record the exchange's list of symbols: quote, contract type and size.

    Runs do this once a day if api.enabled is true. In plans,
    api_data/<trade_type>/exchangeInfo.json takes precedence over names.
    """
    settings = options.read()
    _may_ask(settings)
    for trade_type in _markets(trade_types, settings=settings):
        path = instruments.exchange_info_path(settings.data_dir or Path(), trade_type)
        content = asyncio.run(_exchange_info(trade_type, settings=settings))
        known = instruments.record_exchange_info(path, content)
        typer.echo(f"{trade_type}: {len(known):,} symbols: {path}")


def _markets(
    named: Sequence[TradeType] | None, *, settings: Settings
) -> list[TradeType]:
    """Return the named markets, or those of the settings, that have a REST API."""
    if named and TradeType.OPTION in named:
        known = ", ".join(market for market in TradeType if market != TradeType.OPTION)
        msg = f"option: BHDS uses no API of this market; name some of {known}"
        raise ConfigError(msg)
    found = named or [dataset.trade_type for dataset in settings.datasets]
    return [market for market in dict.fromkeys(found) if market != TradeType.OPTION]


async def _exchange_info(trade_type: TradeType, *, settings: Settings) -> bytes:
    async with open_client(trade_type, settings) as client:
        return await client.exchange_info()


def _range(
    trade_type: TradeType,
    data_type: str,
    interval: str,
    *,
    days: tuple[dt.date, dt.date],
    folder: Path,
    is_own_folder: bool,
) -> _Range:
    """Check the request before contacting a server."""
    entry = datatypes.data_type(data_type)
    if not (entry.has_api and entry.has_intervals):
        known = [n for n, e in datatypes.DATA_TYPES.items() if e.has_api]
        msg = (
            f"data type {data_type!r}: the API has no bars of it; use one of "
            f"{', '.join(name for name in known if name != FUNDING)}"
        )
        raise ConfigError(msg)
    spacing = Interval.parse(interval)
    _ = Bars(
        trade_type, data_type, "", spacing
    ).schema  # raises for a market without them
    if not is_own_folder:
        folder = folder / trade_type / data_type / interval
    span = by_hand.days_span(*days)
    return _Range(trade_type, data_type, spacing, span, f"{days[0]}-{days[1]}", folder)


def _may_ask(settings: Settings) -> None:
    for forbidden, name in (
        (settings.offline, "offline: true"),
        (not settings.api.enabled, "api.enabled: false"),
    ):
        if forbidden:
            msg = f"{name}: forbids requests to the API; change it, or pass --config"
            raise ConfigError(msg)


async def _ask(
    symbols: Sequence[str], wanted: _Range, *, settings: Settings
) -> tuple[list[_Written], list[str], dict[str, Any]]:
    """Request one symbol after the other, and collect the errors of each."""
    written: list[_Written] = []
    faults: list[str] = []
    each = list(dict.fromkeys(symbols))
    async with open_client(wanted.trade_type, settings) as client:
        with progress() as bars:
            for symbol in bars.track(each, description="querying the API"):
                try:
                    written.append(await _ask_one(symbol, wanted, client=client))
                except BhdsError as error:
                    faults.append(str(error))
                    if isinstance(error, RefusedError):
                        break  # the API refuses every symbol
    for field in sorted(client.unknown_fields):
        typer.echo(f"bhds: warning: new field, left out: {field}", err=True)
    usage = {"requests": client.usage.requests, "weight": client.usage.weight}
    return written, faults, usage


async def _ask_one(symbol: str, wanted: _Range, *, client: ApiClient) -> _Written:
    if (fault := symbol_fault(symbol)) is not None:
        raise SelectionError(fault)
    bars = Bars(wanted.trade_type, wanted.data_type, symbol, wanted.interval)
    frame = await by_hand.request_bars(bars, wanted.span, client)
    path = wanted.path(symbol)
    by_hand.write_bars(frame, path, bars=bars, span=wanted.span)
    time = pl.col("open_time").dt.to_string("iso:strict")
    bounds = (
        frame.select(first=time.first(), last=time.last()) if frame.height else None
    )
    first, last = (None, None) if bounds is None else bounds.row(0)
    return _Written(symbol, frame.height, first, last, str(path))


def _build_fills(
    request: DatasetRequest,
    *,
    settings: Settings,
    run: RunOptions,
) -> int:
    _may_ask(settings)
    dataset = dataset_of(request, settings=settings)
    return build(settings, [dataset], ["api_all"], run=run)
