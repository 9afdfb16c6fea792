"""What single settings may be: addresses, folders, days, names, truths and numbers."""

import datetime as dt
import os
import re
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationInfo,
    WithJsonSchema,
)

from bhds.archive.keys import symbol_fault
from bhds.config import documents
from bhds.config.problems import ConflictError
from bhds.core.addresses import address_fault
from bhds.core.errors import ConfigError
from bhds.core.markets import ARCHIVE_INTERVALS
from bhds.schemas import datatypes

FROM_FILES = "settings are read from files"
"""The context of a validation in which text in quotes stays text."""

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DAYS_AGO = re.compile(r"[1-9][0-9]{0,3}d")
_EARLIEST = dt.date(2000, 1, 1)
_MAX_NAME_BYTES = 64


class CommandLineText(str):
    """Text of a command line, on which nothing is quoted: it may mean a number."""

    __slots__ = ()


def _unquoted(value: object, info: ValidationInfo) -> object:
    """Read text as the truth or number it means, unless it stands in a file."""
    is_quoted = info.context == FROM_FILES and not isinstance(value, CommandLineText)
    if isinstance(value, str) and not is_quoted:
        return documents.plain_value(value)
    return value


def _url(value: str) -> str:
    if (fault := address_fault(value)) is not None:
        raise ValueError(fault)
    parts = urlsplit(value)
    # Hosts are compared as they are written, by aria2 also.
    return parts._replace(netloc=parts.netloc.lower()).geturl().rstrip("/")


def _proxy(value: str) -> str:
    if (fault := address_fault(value, with_user=True)) is not None:
        raise ValueError(fault)
    return value.rstrip("/")


def _archive_interval(value: str) -> str:
    if value not in ARCHIVE_INTERVALS:
        msg = f"expected one of {', '.join(ARCHIVE_INTERVALS)}"
        raise ValueError(msg)
    return value


def _data_type(value: str) -> str:
    try:
        return datatypes.data_type(value).name
    except ConfigError as error:
        raise ValueError(str(error).partition(": ")[2]) from error


def _folder(value: object) -> object:
    """Read the path of a folder that exists and can be written, or can be made."""
    if not isinstance(value, str | Path) or not str(value).strip():
        msg = "expected the path of a folder"
        raise ValueError(msg)
    if not str(value).isprintable():
        msg = "expected a path without control characters"
        raise ValueError(msg)
    try:
        path = Path(value).expanduser()
        nearest = next(part for part in (path, *path.absolute().parents) if _is(part))
    except RuntimeError:
        msg = "there is no such user; expected a path such as ~/data"
        raise ValueError(msg) from None
    except OSError as error:
        msg = f"{error.strerror}; expected the path of a folder"
        raise ValueError(msg) from None
    if not nearest.is_dir():
        found = "a file" if nearest.exists() else "a link to nothing"
        msg = f"expected a folder, but {nearest} is {found}; choose another data_dir"
        raise ValueError(msg)
    if not os.access(nearest, os.W_OK | os.X_OK):
        msg = f"{nearest} cannot be written to; change its rights or choose another"
        raise ValueError(msg)
    return path


def _is(path: Path) -> bool:
    """Return whether something is at a path; raise where it cannot be a path."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _day(value: object) -> object:
    """Read a UTC day; YAML hands over dates as dates, the command line as text."""
    if value is None:
        return None
    day = value if type(value) is dt.date else _day_of_text(str(value))
    today = dt.datetime.now(dt.UTC).date()
    if not _EARLIEST <= day <= today:
        msg = f"expected a day from {_EARLIEST} to today, {today} UTC"
        raise ValueError(msg)
    return day


def _day_of_text(text: str) -> dt.date:
    expected = "expected a date such as 2025-01-31"
    if _DAY.fullmatch(text) is None:
        raise ValueError(expected)
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        msg = f"no calendar has this day; {expected}"
        raise ValueError(msg) from None


def _as_of(value: object) -> object:
    try:
        return value if value == "yesterday" else _day(value or "")
    except ValueError as error:
        raise ValueError(
            str(error).replace("expected a date", "expected yesterday, or a date")
        ) from None


def _bound(value: object) -> object:
    """Read a UTC day, or a number of days before `as_of`, which stays text."""
    if isinstance(value, str) and _DAYS_AGO.fullmatch(value):
        return str(value)
    try:
        return _day(value)
    except ValueError as error:
        more = "or 1d to 9999d, days before as_of"
        msg = re.sub("(expected a date.*)", rf"\1, {more}", str(error))
        raise ValueError(msg) from None


def _symbol_pattern(value: str) -> str:
    if not value or not value.isprintable() or re.search(r"[\s/\\{}]", value):
        msg = "expected the name of a symbol, such as BTCUSDT"
        raise ValueError(msg)
    if len(value.encode()) > _MAX_NAME_BYTES:
        msg = f"expected a name of at most {_MAX_NAME_BYTES} bytes"
        raise ValueError(msg)
    return value


def _symbol(value: str) -> str:
    if any(character in value for character in "*?["):
        msg = "expected a name; patterns belong in include or exclude of a filter"
        raise ValueError(msg)
    name = _symbol_pattern(value)
    # One in small letters gets the advice of the listing: the name that it means.
    if (fault := symbol_fault(name.upper())) is not None:
        raise ValueError(fault)
    return name


def _once(names: list[str]) -> list[str]:
    seen: set[str] = set()
    for number, name in enumerate(names):
        if name in seen:
            raise ConflictError((number,), f"{name!r} is listed twice; remove one")
        seen.add(name)
    return names


Flag = Annotated[bool, BeforeValidator(_unquoted)]
Number = Annotated[float, Field(allow_inf_nan=False), BeforeValidator(_unquoted)]
Count = Annotated[int, Field(gt=0), BeforeValidator(_unquoted)]
Url = Annotated[str, AfterValidator(_url)]
ProxyUrl = Annotated[str, AfterValidator(_proxy)]
ArchiveInterval = Annotated[
    str,
    AfterValidator(_archive_interval),
    WithJsonSchema({"enum": list(ARCHIVE_INTERVALS)}),
]
DataTypeName = Annotated[
    str,
    AfterValidator(_data_type),
    WithJsonSchema({"enum": list(datatypes.DATA_TYPES)}),
]
Folder = Annotated[Path, BeforeValidator(_folder)]
Bound = Annotated[
    dt.date | str,
    BeforeValidator(_bound),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "format": "date"},
                {"type": "string", "format": "days"},
            ]
        }
    ),
]
LastDay = BeforeValidator(_as_of)
Symbol = Annotated[str, AfterValidator(_symbol)]
SymbolPattern = Annotated[str, AfterValidator(_symbol_pattern)]
ONCE = AfterValidator(_once)
"""Of a list: names no value twice."""


def marked(value: Any) -> Any:
    """Return values of a command line with all text marked as such."""
    if isinstance(value, dict):
        return {key: marked(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [marked(inner) for inner in value]
    return CommandLineText(value) if isinstance(value, str) else value
