"""Arguments and options that several commands have: one name and meaning in all."""

import datetime as dt
from pathlib import Path
from typing import Annotated

import typer

from bhds.cli import completion
from bhds.core.markets import TradeType

Market = Annotated[TradeType, typer.Argument(help="The market.", metavar="TRADE_TYPE")]
IntervalName = Annotated[
    str,
    typer.Argument(
        metavar="INTERVAL",
        help="Length of a bar, such as 1m or 1h.",
        autocompletion=completion.intervals,
    ),
]
IntervalNames = Annotated[
    str,
    typer.Argument(
        metavar="INTERVAL",
        help="Length of a bar, such as 1m; or several, as 1m,1h.",
        autocompletion=completion.intervals,
    ),
]
Symbols = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="SYMBOLS",
        help="Names of symbols; without any, all that the filter selects.",
        autocompletion=completion.symbols,
    ),
]
DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        metavar="DIR",
        help="The data directory; default: as the settings say.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]

Quote = Annotated[
    list[str] | None,
    typer.Option(
        "--quote",
        metavar="ASSET",
        help="Keep symbols with this quote asset, as USDT; may be repeated; `any` "
        "keeps all.",
    ),
]
ContractTypes = Annotated[
    list[str] | None,
    typer.Option(
        "--contract-type",
        metavar="TYPE",
        help="Of futures, keep contracts of this type: PERPETUAL, DELIVERY, "
        "TRADIFI_PERPETUAL or SETTLED; may be repeated; `any` keeps all.",
        autocompletion=completion.contract_types,
    ),
]
StablePairs = Annotated[
    bool | None,
    typer.Option(
        "--stable-pairs/--no-stable-pairs",
        help="Keep pairs of two stable assets, as USDCUSDT.",
    ),
]
Leveraged = Annotated[
    bool | None,
    typer.Option(
        "--leveraged/--no-leveraged",
        help="Keep leveraged tokens, as BTCUPUSDT.",
    ),
]
FrequencyName = Annotated[
    str | None,
    typer.Option(
        "--frequency",
        metavar="FREQUENCY",
        help="auto (monthly zips of closed months, daily ones of other days), monthly "
        "or daily.",
        autocompletion=completion.frequencies,
    ),
]
FirstDay = Annotated[
    dt.datetime | None,
    typer.Option("--start", formats=["%Y-%m-%d"], help="First UTC day."),
]


def examples(*lines: str) -> str:
    """Return what the help of a command ends with: how it is called, line by line."""
    return "\n\n".join(["[bold]Examples[/bold]", *lines])
