"""The command `bhds explain`: print the origin of a bar."""

import datetime as dt
import json
from pathlib import Path
from typing import Annotated

import typer

from bhds import instruments, layout
from bhds.cli import completion
from bhds.cli.explained import show, show_longer
from bhds.cli.options import AsJson, command, examples
from bhds.cli.settings import SettingsOptions
from bhds.core.errors import ConfigError, SelectionError
from bhds.core.markets import Interval, TradeType
from bhds.explanation import explain as trace
from bhds.explanation import explain_longer

EPILOG = examples(
    "bhds explain BTCUSDT 2025-03-01T13:05",
    "bhds explain BTCUSDT 1740834300000 --trade-type um_futures --json",
    "bhds explain BTCUSDT 2025-03-01T13:05 --rule 1h_5m",
)

_DIGITS_PER_UNIT = {10: 1, 13: 1_000, 16: 1_000_000}
"""Number of digits of a present time in s, ms and µs, and its units per second."""

_Symbol = Annotated[
    str,
    typer.Argument(
        metavar="SYMBOL", help="Name of the symbol.", autocompletion=completion.symbols
    ),
]
_Time = Annotated[
    str,
    typer.Argument(
        metavar="TIME",
        help="A time within the bar: ISO 8601, in UTC if it has no zone; or s, ms or "
        "µs since 1970.",
    ),
]
_TradeType = Annotated[
    TradeType | None,
    typer.Option(
        "--trade-type",
        metavar="TRADE_TYPE",
        help="The market; default: the only one with results of the symbol.",
    ),
]
_Interval = Annotated[
    str | None,
    typer.Option(
        "--interval",
        metavar="INTERVAL",
        help="Interval of the result; default: the shortest built one.",
        autocompletion=completion.intervals,
    ),
]
_Rule = Annotated[
    str | None,
    typer.Option(
        "--rule",
        metavar="RULE",
        help="Explain a resampled bar of this rule, such as 1h_5m: its base bars.",
    ),
]


@command
def explain(
    symbol: _Symbol,
    time: _Time,
    *,
    trade_type: _TradeType = None,
    interval: _Interval = None,
    rule: _Rule = None,
    options: SettingsOptions,
    as_json: AsJson = False,
) -> None:
    """Print the origin of a bar: source, zip, SHA-256, revision, the published row.

    Also prints every other publication of the bar and its outcome, requests to the API
    and their responses, the gap of a filled bar, and the joined funding. If there is no
    bar, prints the reason. No server is contacted.
    """
    moment = _moment(time)
    root = options.read_data_dir()
    if interval is not None:
        Interval.parse(interval)
    market, base = _series(
        root, symbol=symbol, trade_type=trade_type, interval=interval
    )
    if rule is None:
        found = trace(
            root, trade_type=market, interval=base, symbol=symbol, time=moment
        )
        document = found.to_dict()
    else:
        longer = explain_longer(
            root, trade_type=market, rule=rule, symbol=symbol, time=moment
        )
        document = longer.to_dict()
    if as_json:
        typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
    elif rule is None:
        show(found)
    else:
        show_longer(longer)


def _moment(text: str) -> dt.datetime:
    """Parse a time: ISO 8601, or s, ms or µs since 1970."""
    per_second = _DIGITS_PER_UNIT.get(len(text)) if text.isdecimal() else None
    if per_second is not None:
        seconds, rest = divmod(int(text), per_second)
        fraction = dt.timedelta(microseconds=rest * 1_000_000 // per_second)
        return dt.datetime.fromtimestamp(seconds, dt.UTC) + fraction
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        msg = (
            f"time {text!r}: expected ISO 8601, such as 2025-03-01T13:05, or s, ms or "
            "µs since 1970"
        )
        raise ConfigError(msg) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def _series(
    data_dir: Path, *, symbol: str, trade_type: TradeType | None, interval: str | None
) -> tuple[str, str]:
    """Return market and interval of the result, with defaults for those not named.

    Raises
    ------
    SelectionError
        If there is none, with the nearest name; or if several markets have one.
    """
    pattern = layout.result(trade_type or "*", interval or "*", "*")
    paths = list(data_dir.glob(pattern))
    where = f"the results below {data_dir / pattern}"
    if not paths:
        msg = f"{where}: none exist; build some first: bhds generate kline"
        raise SelectionError(msg)
    names = {path.stem for path in paths}
    if trade_type is not None and interval is not None:
        return trade_type.value, interval  # a missing result is explained there
    instruments.select_named([symbol], names, where=where)
    found = [path for path in paths if path.stem == symbol]
    markets = sorted({path.parts[-4] for path in found})
    if len(markets) > 1:
        msg = (
            f"symbol {symbol!r}: {' and '.join(markets)} have results of it; name one: "
            f"--trade-type {markets[0]}"
        )
        raise SelectionError(msg)
    return markets[0], min((path.parent.name for path in found), key=_length)


def _length(interval: str) -> dt.timedelta:
    return Interval.parse(interval).duration or dt.timedelta.max
