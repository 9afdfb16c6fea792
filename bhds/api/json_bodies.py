"""Read JSON that others wrote, as strictly as it is specified.

Python's own reader takes `NaN`, lets the last of several equal names win, and takes
as much memory and recursion as the text needs.
"""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from bhds.core.errors import cut

_MOST_VALUES = 3_000_000
"""Of one body; the longest genuine one, exchangeInfo of spot, has about 1.3 million."""
_LONGEST_NUMBER = 100


class JsonError(ValueError):
    """A body that is no JSON, or that nobody should read."""


def read_json(body: bytes) -> Any:
    """Return the value of a JSON text in UTF-8.

    Raises
    ------
    JsonError
        If it is no JSON (RFC 8259), has a name twice in an object, a number of more
        than 100 characters, more than three million values, or is nested too deeply.
    """
    if sum(map(body.count, (b",", b"[", b"{"))) > _MOST_VALUES:
        msg = f"it has more than {_MOST_VALUES:,} values"
        raise JsonError(msg)
    try:
        return json.loads(
            body.decode("utf-8"),
            object_pairs_hook=_object,
            parse_constant=_no_constant,
            parse_int=_integer,
            parse_float=_fraction,
        )
    except RecursionError:
        msg = "it is nested too deeply"
        raise JsonError(msg) from None
    except JsonError:
        raise
    except ValueError as error:
        raise JsonError(cut(str(error))) from error


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        ((twice, _),) = Counter(name for name, _ in pairs).most_common(1)
        msg = f"the name '{cut(twice)}' is there more than once"
        raise JsonError(msg)
    return found


def _no_constant(name: str) -> Any:
    msg = f"{name} is no JSON"
    raise JsonError(msg)


def _integer(text: str) -> int:
    return int(_short(text))


def _fraction(text: str) -> float:
    return float(_short(text))


def _short(text: str) -> str:
    if len(text) > _LONGEST_NUMBER:
        msg = f"the number {cut(text, most=20)} has {len(text):,} characters"
        raise JsonError(msg)
    return text
