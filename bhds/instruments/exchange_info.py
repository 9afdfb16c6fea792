"""Read a recorded exchangeInfo: what the exchange itself says of its symbols."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeAlias

from pydantic import (
    BaseModel,
    ConfigDict,
    PositiveFloat,
    StringConstraints,
    ValidationError,
)

from bhds.errors import SelectionError
from bhds.markets import TradeType

Known: TypeAlias = Mapping[str, Mapping[str, Any]]
"""Entries of a recorded exchangeInfo of one market, by symbol."""

_Name = Annotated[str, StringConstraints(min_length=1)]


class _Entry(BaseModel):
    """What is used of an entry; spot entries have no `contractType`."""

    model_config = ConfigDict(strict=True, extra="ignore")

    symbol: _Name
    baseAsset: _Name  # noqa: N815 -- the exchange's names
    quoteAsset: _Name  # noqa: N815
    contractType: str = ""  # noqa: N815
    contractSize: PositiveFloat | None = None  # noqa: N815
    permissions: list[str] = []
    permissionSets: list[str | list[str]] = []  # noqa: N815


class _ExchangeInfo(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")

    symbols: list[_Entry]


def exchange_info_path(data_dir: Path, trade_type: TradeType) -> Path:
    """Return where the exchangeInfo of a market is kept, if it was recorded."""
    return data_dir / "api_data" / trade_type / "exchangeInfo.json"


def read_exchange_info(path: Path) -> Known:
    """Read a file that holds an answer of `/api/v3/exchangeInfo` or its like.

    Parameters
    ----------
    path
        JSON as the REST API of spot, um or cm answers it.

    Returns
    -------
    Known
        At least one entry, each with `baseAsset`, `quoteAsset`, `contractType` (empty
        for spot), `permissions` and `permissionSets` (empty for futures), which are
        what `classify` uses, and `contractSize` (in USD; None but for cm).

    Raises
    ------
    SelectionError
        If the file cannot be read, is no such answer, lists no symbol, or lists one
        twice: half an answer would classify half of the market by other means.
    """
    try:
        info = _ExchangeInfo.model_validate_json(path.read_bytes())
    except OSError as error:
        raise _broken(path, reason=error.strerror or str(error)) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        reason = f"{where}: {first['msg']}" if where else first["msg"]
        raise _broken(path, reason=reason) from error
    if not info.symbols:
        raise _broken(path, reason="symbols: it lists none")
    counts = Counter(entry.symbol for entry in info.symbols)
    symbol, count = counts.most_common(1)[0]
    if count > 1:
        raise _broken(path, reason=f"symbols: {symbol!r} is listed {count} times")
    return {
        entry.symbol: entry.model_dump(exclude={"symbol"}) for entry in info.symbols
    }


def _broken(path: Path, *, reason: str) -> SelectionError:
    return SelectionError(
        f"{path}: {reason}; expected what the exchange's exchangeInfo answers, as "
        "JSON; record it again, or remove the file: names alone then decide"
    )
