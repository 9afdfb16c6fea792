"""Explain what is wrong with settings, in the words of who writes them."""

import difflib
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from bhds.config.documents import KeyPath, plain_value

_UNION_PARTS = {"names", "filter", "date", "literal['yesterday']", "constrained-str"}
_EXPECTED = {
    "bool": "expected true or false",
    "int": "expected a whole number",
    "float": "expected a number",
    "finite": "expected a number",
    "string": "expected text",
    "too": "expected at least one",
}
"""By the first word of the type of a problem: none of these names a value."""

_PLAINER = {
    "Input should be": "expected",
    "greater than or equal to": "at least",
    "less than or equal to": "at most",
    "greater than": "more than",
}
"""Words of Pydantic, and those of settings."""

_SHOWN = 60
_BEFORE_USER = re.compile(r"([\w.]+=)?(\w+://)?")


class ConflictError(ValueError):
    """A value that contradicts another one.

    Parameters
    ----------
    at
        Where it is, seen from the group whose check found it.
    message
        What is wrong, and what to do.
    """

    def __init__(self, at: KeyPath, message: str) -> None:
        super().__init__(message)
        self.at = at


class Problem(NamedTuple):
    """What is wrong with one setting."""

    path: KeyPath
    words: str
    at: KeyPath = ()
    """The value within the group at `path` that contradicts another one."""
    is_of_key: bool = False
    """Whether the key is wrong, not its value."""


def explain(error: ValidationError, model: type[BaseModel]) -> Iterator[Problem]:
    """Yield what is wrong, in the order of the settings."""
    for detail in error.errors():
        yield _explain(detail, model)


def shown_path(path: KeyPath) -> str:
    """Return a path as settings are written: `.datasets[0].interval`."""
    return "".join(f"[{p}]" if isinstance(p, int) else f".{_key(p)}" for p in path)


def _key(name: str) -> str:
    """Return a key as it is; in quotes one that is long, or that no editor shows."""
    is_plain = name.isprintable() and len(name) <= _SHOWN
    return name if is_plain else shown_value(name)


def _explain(detail: ErrorDetails, model: type[BaseModel]) -> Problem:
    kind, location = detail["type"], detail["loc"]
    if kind == "extra_forbidden":  # a key may be named as a part of a union is
        parent = _without_unions(location[:-1])
        known = list(_model_at(parent, model).model_fields)
        words = _explain_unknown(location[-1], known)
        return Problem((*parent, location[-1]), words, is_of_key=True)
    path = _without_unions(location)
    cause = detail.get("ctx", {}).get("error")
    if isinstance(cause, ConflictError):
        return Problem(path, str(cause), at=cause.at)
    if kind == "missing":
        return Problem(path, "missing; expected a value")
    is_group = isinstance(detail["input"], dict)
    value = "" if is_group else f"{shown_value(detail['input'])}: "
    return Problem(path, value + _expected(detail, path, model))


def _without_unions(location: Sequence[str | int]) -> KeyPath:
    return tuple(part for part in location if part not in _UNION_PARTS)


def shown_value(value: object) -> str:
    """Return a value as YAML has it, cut where it is long, without passwords."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    text = repr(_without_user(value)) if isinstance(value, str) else str(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def _without_user(text: str) -> str:
    """Leave user and password out of an address: messages end up in logs."""
    user, at, rest = text.rpartition("@")
    before = _BEFORE_USER.match(user)
    return f"{before[0]}...{at}{rest}" if before and ":" in user else text


def _expected(detail: ErrorDetails, location: KeyPath, model: type[BaseModel]) -> str:
    """Return what would have been right."""
    kind = detail["type"]
    value = detail["input"]
    if kind == "list_type":
        return "expected a list" + (
            f": [{shown_value(value)[1:-1]}]" if isinstance(value, str) else ""
        )
    if kind == "model_type":
        of_names = "a list of names, or " if location[-1:] == ("symbols",) else ""
        known = ", ".join(_model_at(location, model).model_fields)
        return f"expected {of_names}a group of keys (known here: {known})"
    expected = _EXPECTED.get(kind.partition("_")[0])
    if expected is not None:
        is_quoted = isinstance(value, str) and plain_value(value) != value
        return f"{expected} without quotes" if is_quoted else expected
    message = detail["msg"].removeprefix("Value error, ")
    for words, plainer in _PLAINER.items():
        message = message.replace(words, plainer)
    return message


def _explain_unknown(name: str | int, known: list[str]) -> str:
    nearest = difflib.get_close_matches(str(name), known, n=1)
    hint = f"did you mean {nearest[0]!r}?" if nearest else "remove it"
    return f"unknown key; {hint} (known here: {', '.join(known)})"


def _model_at(location: KeyPath, model: type[BaseModel]) -> type[BaseModel]:
    for part in location:
        if isinstance(part, str):
            model = next(_models_in(model.model_fields[part].annotation))
    return model


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)
