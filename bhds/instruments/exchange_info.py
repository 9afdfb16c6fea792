"""Read and record exchangeInfo: what the exchange itself says of its symbols."""

import datetime as dt
import json
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeAlias

from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PositiveFloat,
    StringConstraints,
    ValidationError,
)

from bhds import layout
from bhds.core.errors import SelectionError
from bhds.core.markets import TradeType
from bhds.io import storage

Known: TypeAlias = Mapping[str, Mapping[str, Any]]
"""Entries of a recorded exchangeInfo of one market, by symbol."""

_NOT_LISTED = "NOT_LISTED"
_LATEST_MS = 253_370_764_800_000
_Name = Annotated[str, StringConstraints(min_length=1)]


def _time_of(milliseconds: object) -> object:
    """Return a time in ms since 1970 as one in UTC; None of 0, which is no time."""
    if not isinstance(milliseconds, int) or milliseconds == 0:
        return milliseconds or None
    if not 0 < milliseconds < _LATEST_MS:
        msg = f"expected ms since 1970, before {_LATEST_MS}"
        raise ValueError(msg)
    return _EPOCH + dt.timedelta(milliseconds=milliseconds)


_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_Time = Annotated[dt.datetime | None, BeforeValidator(_time_of)]


class _Entry(BaseModel):
    """What is used of an entry; spot entries have no `contractType`."""

    model_config = ConfigDict(strict=True, extra="ignore", allow_inf_nan=False)

    symbol: _Name
    baseAsset: _Name  # noqa: N815 -- the exchange's names
    quoteAsset: _Name  # noqa: N815
    contractType: str = ""  # noqa: N815
    contractSize: PositiveFloat | None = None  # noqa: N815
    status: str = Field(
        default="", validation_alias=AliasChoices("status", "contractStatus")
    )
    delivery_time: _Time = Field(default=None, validation_alias="deliveryDate")
    permissions: list[str] = []
    permissionSets: list[str | list[str]] = []  # noqa: N815


class _ExchangeInfo(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")

    symbols: list[_Entry]


def exchange_info_path(data_dir: Path, trade_type: TradeType) -> Path:
    """Return where the exchangeInfo of a market is kept, if it was recorded."""
    return data_dir / layout.exchange_info(trade_type)


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
        what `classify` uses, `contractSize` (in USD; None but for cm), `status` (of the
        contract; empty where nothing is said) and `delivery_time` (UTC; far in the
        future for perpetuals that go on, None for spot).

    Raises
    ------
    SelectionError
        If the file cannot be read, is no such answer, lists no symbol, or lists one
        twice: half an answer would classify half of the market by other means.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _broken(path, reason=error.strerror or str(error)) from error
    return parse_exchange_info(content, path=path)


def record_exchange_info(path: Path, content: bytes) -> Known:
    """Record an answer, and return what is recorded then.

    The exchange lists only the present symbols, so those recorded before stay, with the
    status `NOT_LISTED`. If nothing that is used of an entry has changed, the file stays
    as it is, but for its time.

    Raises
    ------
    SelectionError
        As `read_exchange_info`; what was recorded before stays.
    """
    answered = parse_exchange_info(content, path=path)
    try:
        before = path.read_bytes()
        recorded = parse_exchange_info(before, path=path)
    except (OSError, SelectionError):
        before, recorded = b"", {}
    if gone := recorded.keys() - answered.keys():
        document = json.loads(content)
        document["symbols"] += [
            entry | {"status": _NOT_LISTED}
            for entry in json.loads(before)["symbols"]
            if entry["symbol"] in gone
        ]
        content = json.dumps(document, ensure_ascii=False).encode()
        answered = parse_exchange_info(content, path=path)
    if answered == recorded:
        os.utime(path)
        return recorded
    with storage.replacing(path) as partial:
        partial.write_bytes(content)
    return answered


def parse_exchange_info(content: bytes, *, path: Path) -> Known:
    """Read an answer; parameters, value and errors are as of `read_exchange_info`.

    Parameters
    ----------
    content
        The JSON.
    path
        The file that it is of, or is to be, as errors name it.
    """
    try:
        info = _ExchangeInfo.model_validate_json(content)
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
