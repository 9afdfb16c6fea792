"""The dataset of a command: the settings, overridden by its options."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bhds.config import Dataset, Settings, validated
from bhds.core.errors import SelectionError
from bhds.core.markets import TradeType

KLINES = "klines"
"""The type of data that has results."""

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
"""The filter of a market that the settings do not mention."""


@dataclass(frozen=True)
class Asked:
    """What a command line requests; what it leaves open is as the settings say."""

    trade_type: TradeType
    data_type: str = KLINES
    interval: str | None = None
    symbols: Sequence[str] | None = None
    """Names; none: the filter's."""
    filter: Mapping[str, Any] = field(default_factory=dict)
    """Fields of `config.SymbolFilter` that override those of the settings."""
    more: Mapping[str, Any] = field(default_factory=dict)
    """Fields of `config.Dataset` that do, such as `frequency`."""
    results: Mapping[str, Any] = field(default_factory=dict)
    """Fields of `config.Results` that do, those of `split` among them."""


def dataset_of(asked: Asked, *, settings: Settings) -> Dataset:
    """Return the dataset that a command is for.

    Parameters
    ----------
    asked
        What the command line says.
    settings
        What goes for the rest: that of the first dataset of the same market, type of
        data and interval; of one of the same market at least its first day and its
        symbols; else all history, and of the symbols perpetuals against USDT (spot:
        pairs with USDT) that are no stable pairs and no leveraged tokens.

    Raises
    ------
    SelectionError
        If both names and a filter are requested.
    ConfigError
        If there is no such dataset.
    """
    raw = _from_settings(asked, settings=settings)
    raw |= {
        "trade_type": asked.trade_type,
        "data_type": asked.data_type,
        "interval": asked.interval,
        **asked.more,
    }
    raw["symbols"] = _symbols(asked, of_settings=raw.get("symbols"))
    if asked.data_type == KLINES:
        raw["results"] = _updated(raw.get("results", {}), asked.results)
    where = " ".join(filter(None, (asked.trade_type, asked.data_type, asked.interval)))
    return validated(Dataset, raw, where=where)


def datasets_of(asked: Asked, *, settings: Settings) -> list[Dataset]:
    """Return the datasets of one interval or several, parted by commas.

    Raises
    ------
    SelectionError, ConfigError
        As `dataset_of`.
    """
    names = dict.fromkeys((asked.interval or "").split(","))
    return [
        dataset_of(Asked(**vars(asked) | {"interval": name or None}), settings=settings)
        for name in names
    ]


def _from_settings(asked: Asked, *, settings: Settings) -> dict[str, Any]:
    like = [d for d in settings.datasets if d.trade_type is asked.trade_type]
    series = (asked.data_type, asked.interval)
    for dataset in like:
        if (dataset.data_type, dataset.interval) == series:
            raw = dataset.model_dump()
            if not dataset.has_results:
                del raw["results"]
            return raw
    return like[0].model_dump(include={"start", "symbols"}) if like else {}


def _symbols(asked: Asked, *, of_settings: Any) -> Any:
    if asked.symbols and asked.filter:
        msg = (
            f"symbols {', '.join(asked.symbols)}: named, and filtered by "
            f"{', '.join(asked.filter)}; expected names or a filter, leave out either"
        )
        raise SelectionError(msg)
    if asked.symbols:
        return list(dict.fromkeys(asked.symbols))
    if of_settings is None:
        return _USUAL[asked.trade_type] | dict(asked.filter)
    if not asked.filter:
        return of_settings
    base = of_settings if isinstance(of_settings, dict) else _USUAL[asked.trade_type]
    return base | dict(asked.filter)


def _updated(settings: Mapping[str, Any], newer: Mapping[str, Any]) -> dict[str, Any]:
    """Put newer values over others: groups are merged, all else is replaced."""
    merged = dict(settings)
    for name, value in newer.items():
        held = merged.get(name)
        is_group = isinstance(held, Mapping) and isinstance(value, Mapping)
        merged[name] = {**held, **value} if is_group else value  # type: ignore[dict-item]
    return merged
