"""The API's documented error codes: what each says of a request.

Notes
-----
Binance API documentation, "Error Codes" of spot and of USD-M futures
(developers.binance.com), read 2026-11; the table is `bhds/data/api_errors.csv`. Codes
of orders and accounts are left out: no request of BHDS can cause them.
"""

import csv
from enum import StrEnum
from functools import cache
from importlib import resources
from typing import Any, NamedTuple

from bhds.core.errors import cut


class CodeKind(StrEnum):
    """What an error code is about."""

    SYMBOL = "symbol"
    """The one symbol requested: others are answered."""
    REQUEST = "request"
    """The request itself: a fault of BHDS or of a setting."""
    TEMPORARY = "temporary"
    """The server at that moment: the same request may be answered later."""


class ApiRefusal(NamedTuple):
    """An error in the API's own form: `{"code": -1121, "msg": "Invalid symbol."}`."""

    code: int
    message: str

    @property
    def is_documented(self) -> bool:
        """Whether the table has the code."""
        return kind_of(self.code) is not None

    def __str__(self) -> str:
        """Return both, as messages show them."""
        return f"code {self.code} ({self.message})"


_LARGEST_CODE = 10**6


def refusal_of(content: Any) -> ApiRefusal | None:
    """Return the error that a JSON value is; None if it has another form."""
    if not isinstance(content, dict):
        return None
    code, message = content.get("code"), content.get("msg")
    if type(code) is not int or not isinstance(message, str):  # a bool is an int
        return None
    if abs(code) > _LARGEST_CODE:
        return None
    return ApiRefusal(code, cut(message))


def kind_of(code: int) -> CodeKind | None:
    """Return what a code is about; None if it is not documented."""
    return _kinds().get(code)


@cache
def _kinds() -> dict[int, CodeKind]:
    table = resources.files("bhds").joinpath("data", "api_errors.csv")
    rows = csv.DictReader(table.read_text(encoding="utf-8").splitlines())
    return {int(row["code"]): CodeKind(row["kind"]) for row in rows}
