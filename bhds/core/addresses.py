"""Which addresses of servers and proxies may stand in settings."""

import re
from urllib.parse import SplitResult, urlsplit

_CHARACTERS = re.compile(r"[A-Za-z0-9\-._~:/\[\]@!$&'()*+,;=%]*")
_HOST = re.compile(
    r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*"
)
_EXPECTED = "expected an address such as https://host or http://host:port/path"


def address_fault(text: str, *, with_user: bool = False) -> str | None:
    """Return what is wrong with the address of a server; None if nothing is.

    Keys and paths are appended to it, and it becomes a line of aria2's input file: so
    it has a scheme, a host, a port and a path alone.

    Parameters
    ----------
    text
        The address.
    with_user
        Whether it may have a user and a password, as those of proxies have.
    """
    if "?" in text or "#" in text:
        return "an address with a query or a fragment; expected it to end before ? or #"
    if _CHARACTERS.fullmatch(text) is None:
        return (
            "blanks, control characters or others that no address has; write them in "
            "percent-encoding, and hosts in punycode"
        )
    try:
        parts = urlsplit(text)
    except ValueError as error:
        return f"{error}; {_EXPECTED}"
    if parts.scheme not in {"http", "https"}:
        return _EXPECTED
    return _authority_fault(parts, with_user=with_user)


def _authority_fault(parts: SplitResult, *, with_user: bool) -> str | None:
    """Return what is wrong with user, host and port."""
    if _HOST.fullmatch(parts.hostname or "") is None:
        return _EXPECTED
    if "@" in parts.netloc and not with_user:
        return "a user or password; expected none: all requests are anonymous"
    try:
        is_port = parts.port != 0
    except ValueError:
        is_port = False
    return None if is_port else "its port is none; expected one from 1 to 65535"
