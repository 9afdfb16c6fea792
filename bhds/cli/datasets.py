"""The dataset of a command: the settings, overridden by its options."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bhds.config import Dataset, Settings, validated
from bhds.core.errors import SelectionError
from bhds.core.markets import TradeType

KLINES = "klines"
"""The data type with results."""

_USUAL: dict[TradeType, dict[str, Any]] = {
    TradeType.SPOT: {"quote": ["USDT"], "stable_pairs": False, "leveraged": False},
    TradeType.UM_FUTURES: {
        "quote": ["USDT"],
        "contract_type": ["PERPETUAL"],
        "stable_pairs": False,
    },
    TradeType.CM_FUTURES: {"contract_type": ["PERPETUAL"]},
    TradeType.OPTION: {},
}
"""The default filter of a market without a dataset in the settings."""


@dataclass(frozen=True)
class DatasetRequest:
    """The request of a command line; the settings supply the rest."""

    trade_type: TradeType
    data_type: str = KLINES
    interval: str | None = None
    symbols: Sequence[str] | None = None
    """Names; None: those that the filter selects."""
    filter: Mapping[str, Any] = field(default_factory=dict)
    """Fields of `config.SymbolFilter` that override those of the settings."""
    more: Mapping[str, Any] = field(default_factory=dict)
    """Fields of `config.Dataset` that override them, such as `frequency`."""
    results: Mapping[str, Any] = field(default_factory=dict)
    """Fields of `config.Results` that override them, with those of `split`."""


def dataset_of(request: DatasetRequest, *, settings: Settings) -> Dataset:
    """Return the dataset of a command.

    Parameters
    ----------
    request
        The request of the command line.
    settings
        The source of all other values: the first dataset of the same market, data type
        and interval; else days and symbols of the first dataset of the same
        market; else all history of perpetuals against USDT (spot: pairs with USDT),
        without stable pairs and leveraged tokens.

    Raises
    ------
    SelectionError
        If the request has both names and a filter.
    ConfigError
        If there is no such dataset.
    """
    raw = _from_settings(request, settings=settings)
    raw |= {
        "trade_type": request.trade_type,
        "data_type": request.data_type,
        "interval": request.interval,
        **request.more,
    }
    raw["symbols"] = _symbols(request, of_settings=raw.get("symbols"))
    if request.data_type == KLINES:
        raw["results"] = _updated(raw.get("results", {}), request.results)
    where = " ".join(
        filter(None, (request.trade_type, request.data_type, request.interval))
    )
    return validated(Dataset, raw, where=where)


def datasets_of(request: DatasetRequest, *, settings: Settings) -> list[Dataset]:
    """Return the datasets of one or several intervals, separated by commas.

    Raises
    ------
    SelectionError, ConfigError
        As `dataset_of`.
    """
    names = dict.fromkeys((request.interval or "").split(","))
    return [
        dataset_of(
            DatasetRequest(**vars(request) | {"interval": name or None}),
            settings=settings,
        )
        for name in names
    ]


def narrowed(
    settings: Settings, days: Mapping[str, Any], *, with_whole_partitions: bool = False
) -> Settings:
    """Return settings whose datasets have fewer days, without those that have none.

    Parameters
    ----------
    settings
        The settings.
    days
        `start` and `end`, if they are given, as of `config.Dataset`.
    with_whole_partitions
        Whether partitions that hold one of the days keep all days of the settings.

    Raises
    ------
    ConfigError
        If a day is none.
    SelectionError
        If no dataset has any of the days.
    """
    if not days:
        return settings
    as_of = settings.last_day(dt.datetime.now(dt.UTC))
    any_market = {"trade_type": TradeType.SPOT}
    asked = validated(Dataset, any_market | dict(days), where="option")
    datasets = []
    for dataset in settings.datasets:
        first, last = asked.first_day(as_of), asked.last_day(as_of)
        if with_whole_partitions:
            size = dataset.entry.partition_size(dataset.interval)
            first = size.first_day(first) if first else dt.date.min
            last = size.last_day(last)
        first = max(first or dt.date.min, dataset.first_day(as_of) or dt.date.min)
        last = min(last, dataset.last_day(as_of))
        if first <= last:
            start = None if first == dt.date.min else first
            bounds = {"start": start, "end": last}
            datasets.append(dataset.model_copy(update=bounds))
    if not datasets:
        given = ", ".join(f"--{name} {value}" for name, value in days.items())
        msg = f"{given}: no dataset of the settings has such days; request others"
        raise SelectionError(msg)
    return settings.model_copy(update={"datasets": datasets})


def _from_settings(request: DatasetRequest, *, settings: Settings) -> dict[str, Any]:
    like = [d for d in settings.datasets if d.trade_type is request.trade_type]
    series = (request.data_type, request.interval)
    for dataset in like:
        if (dataset.data_type, dataset.interval) == series:
            raw = dataset.model_dump()
            if not dataset.has_results:
                del raw["results"]
            return raw
    return like[0].model_dump(include={"start", "end", "symbols"}) if like else {}


def _symbols(request: DatasetRequest, *, of_settings: Any) -> Any:
    if request.symbols and request.filter:
        msg = (
            f"symbols {', '.join(request.symbols)}: named, and filtered by "
            f"{', '.join(request.filter)}; use either names or a filter"
        )
        raise SelectionError(msg)
    if request.symbols:
        return list(dict.fromkeys(request.symbols))
    if of_settings is None:
        return _USUAL[request.trade_type] | dict(request.filter)
    if not request.filter:
        return of_settings
    base = of_settings if isinstance(of_settings, dict) else _USUAL[request.trade_type]
    return base | dict(request.filter)


def _updated(settings: Mapping[str, Any], newer: Mapping[str, Any]) -> dict[str, Any]:
    """Override values: merge groups, replace everything else."""
    merged = dict(settings)
    for name, value in newer.items():
        held = merged.get(name)
        is_group = isinstance(held, Mapping) and isinstance(value, Mapping)
        merged[name] = {**held, **value} if is_group else value  # type: ignore[dict-item]
    return merged
