"""Arguments and options of several commands, with one name and meaning."""

import dataclasses
import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from pydantic import BaseModel

from bhds.cli import completion
from bhds.core.markets import TradeType
from bhds.io.job_log import one_line_errors

ANY = "any"
"""What stands for no restriction among the values of an option."""

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
        help="Length of a bar, such as 1m; or several, such as 1m,1h.",
        autocompletion=completion.intervals,
    ),
]
Symbols = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="SYMBOLS",
        help="Names of symbols; default: all that the filter selects.",
        autocompletion=completion.symbols,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]

Quote = Annotated[
    list[str] | None,
    typer.Option(
        "--quote",
        metavar="ASSET",
        help="Keep symbols with this quote asset, such as USDT; repeatable; `any` "
        "keeps all; default: the settings' filter.",
    ),
]
ContractTypes = Annotated[
    list[str] | None,
    typer.Option(
        "--contract-type",
        metavar="TYPE",
        help="Keep futures of this type: PERPETUAL, DELIVERY, TRADIFI_PERPETUAL or "
        "SETTLED; repeatable; `any` keeps all; default: the settings' filter.",
        autocompletion=completion.contract_types,
    ),
]
StablePairs = Annotated[
    bool | None,
    typer.Option(
        "--stable-pairs/--no-stable-pairs",
        help="Keep pairs of two stable assets, such as USDCUSDT; default: the "
        "settings' filter.",
    ),
]
Leveraged = Annotated[
    bool | None,
    typer.Option(
        "--leveraged/--no-leveraged",
        help="Keep leveraged tokens, such as BTCUPUSDT; default: the settings' filter.",
    ),
]
FrequencyName = Annotated[
    str | None,
    typer.Option(
        "--frequency",
        metavar="FREQUENCY",
        help="auto (monthly zips of closed months, daily ones of other days), monthly "
        "or daily; default: the settings' value.",
        autocompletion=completion.frequencies,
    ),
]
FirstDay = Annotated[
    str | None,
    typer.Option(
        "--start",
        metavar="DAY",
        help="First UTC day; or 30d: the first day of the month that was 30 days "
        "before as_of; default: the settings' value.",
    ),
]
LastDay = Annotated[
    str | None,
    typer.Option(
        "--end",
        metavar="DAY",
        help="Last UTC day; or 30d: 30 days before as_of; default: the settings' "
        "value.",
    ),
]

Cores = Annotated[
    int | None,
    typer.Option("--cores", "-j", min=1, help="Jobs at once; default: all processors."),
]
DryRun = Annotated[
    bool,
    typer.Option("--dry-run", "-n", help="Show what would be done, and do nothing."),
]


@dataclass(frozen=True)
class RecordFilter:
    """The options that select the symbols of records."""

    quote: Quote = None
    contract_type: ContractTypes = None

    def given(self) -> dict[str, Any]:
        """Return the fields of `config.SymbolFilter`; `any` is no restriction."""
        return {
            name: None if isinstance(value, list) and ANY in value else value
            for name, value in given(**vars(self)).items()
        }


@dataclass(frozen=True)
class BarFilter(RecordFilter):
    """The options that select the symbols of bars."""

    stable_pairs: StablePairs = None
    leveraged: Leveraged = None


@dataclass(frozen=True)
class Days:
    """The options that select days."""

    start: FirstDay = None
    end: LastDay = None

    def given(self) -> dict[str, Any]:
        """Return the fields of `config.Dataset`."""
        return given(**vars(self))


@dataclass(frozen=True)
class RunOptions:
    """The options of a run of Snakemake."""

    cores: Cores = None
    dry_run: DryRun = False


def given(**values: Any) -> dict[str, Any]:
    """Return the options that were given: not None, and no empty list."""
    return {name: value for name, value in values.items() if value not in (None, [])}


def command(function: Callable[..., int | None]) -> Callable[..., None]:
    """Return a function as a command for Typer.

    A parameter whose type is a dataclass becomes the options of its fields. One whose
    type is a group of settings becomes an option for each of its numbers and flags, and
    has the values that were given. A `BhdsError` ends the process in one line; a number
    returned is the exit code.
    """

    @functools.wraps(function)
    def run(**values: Any) -> None:
        with one_line_errors():
            status = _called(function, values)
        if status is not None:
            raise typer.Exit(status)

    parameters = list({p.name: p for p in _options_of(function)}.values())
    # Typer reads both.
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    return run


def _options_of(function: Callable[..., Any]) -> Iterator[inspect.Parameter]:
    for parameter in inspect.signature(function, eval_str=True).parameters.values():
        if _is_settings(parameter.annotation):
            yield from _setting_options(parameter).values()
        elif _is_group(parameter.annotation):
            yield from _options_of(parameter.annotation)
        else:
            yield parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)


def _called(function: Callable[..., Any], values: Mapping[str, Any]) -> Any:
    """Call a function, or make a dataclass, with the values of its options."""
    arguments: dict[str, Any] = {}
    signature = inspect.signature(function, eval_str=True)
    for name, parameter in signature.parameters.items():
        kind = parameter.annotation
        if _is_settings(kind):
            options = _setting_options(parameter).items()
            found = given(**{key: values[option.name] for key, option in options})
            # Checked where it is merged into the settings.
            arguments[name] = kind.model_construct({*found}, **found)
        else:
            arguments[name] = _called(kind, values) if _is_group(kind) else values[name]
    return function(**arguments)


def _setting_options(group: inspect.Parameter) -> dict[str, inspect.Parameter]:
    """Return options by keys of settings; `enabled` is named after its group."""
    options = {}
    for key, field in group.annotation.model_fields.items():
        if field.annotation in {bool, float}:
            name = group.name if key == "enabled" else key
            flag = name.replace("_", "-")
            text = f"{field.description[:1].upper()}{field.description[1:]}"
            option = typer.Option(
                f"--{flag}/--no-{flag}" if field.annotation is bool else f"--{flag}",
                help=f"{text}; default: the settings' value.",
            )
            options[key] = inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=None,
                annotation=Annotated[field.annotation | None, option],
            )
    return options


def _is_settings(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _is_group(annotation: Any) -> bool:
    return dataclasses.is_dataclass(annotation)


def examples(*lines: str) -> str:
    """Return the end of a command's help: examples of calls, one per line."""
    return "\n\n".join(["[bold]Examples[/bold]", *lines])
