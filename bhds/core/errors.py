"""The errors BHDS raises: one tree, one message form.

A message names its subject (file, symbol, key), the offending value, what was
expected, and what to do.
"""

_SHOWN = 200


def cut(text: str, *, most: int = _SHOWN) -> str:
    """Return a text of unknown origin as messages show it: short, and one line."""
    line = text[: most + 1].translate(_CONTROLS)
    return line if len(text) <= most else f"{line[:most]}..."


_CONTROLS = {
    number: repr(chr(number))[1:-1]
    for number in (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029)
}


class BhdsError(Exception):
    """Any failure that BHDS explains in one line."""


class ConfigError(BhdsError):
    """A setting that is unknown, malformed or contradicts another."""


class SelectionError(BhdsError):
    """A selection of symbols or files that names something that is not there."""


class PlanError(BhdsError):
    """A plan that another process made, and that cannot be followed."""


class KeyGrammarError(BhdsError):
    """A bucket key or a local path that does not follow the archive's grammar."""


class PlaceError(BhdsError):
    """A disk that is full, or a place that may not be written to."""


class ListingError(BhdsError):
    """A bucket listing that could not be had whole."""


class FetchError(BhdsError):
    """Files that could not be downloaded."""


class ParseError(BhdsError):
    """An archive file whose content cannot be trusted."""


class ApiError(BhdsError):
    """A REST API that did not answer, or not as documented."""


class RefusedError(ApiError):
    """A REST API that does not answer this address at all, or not from this place."""


class SymbolRefusedError(ApiError):
    """A REST API that refuses one symbol, such as one that is delisted or settling.

    Parameters
    ----------
    message
        The whole message.
    code, reason
        `code` and `msg` of the API's answer.
    """

    def __init__(self, message: str, *, code: int, reason: str) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason


class ResultError(BhdsError):
    """Partitions that cannot be made into a result."""
