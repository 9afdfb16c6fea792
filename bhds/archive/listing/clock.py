"""Hold this machine's clock against that of a server that answered."""

import datetime as dt
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

TOLERATED = dt.timedelta(hours=1)
"""A difference that changes nothing but which day is yesterday, around midnight."""


def fault(headers: Mapping[str, str], *, now: dt.datetime) -> str | None:
    """Return what is wrong if the two clocks differ by more than an hour.

    Parameters
    ----------
    headers
        Of an answer: `Date`, to which `Age` is added, the seconds that the answer lay
        in a cache.
    now
        What this machine says, with a time zone, as the answer came.

    Returns
    -------
    str or None
        None also where the server does not send its time.
    """
    server = _server_time(headers)
    if server is None or abs(now - server) <= TOLERATED:
        return None
    return (
        f"clock: this machine says {now:%Y-%m-%d %H:%M} UTC, the server "
        f"{server:%Y-%m-%d %H:%M}; set the clock: `as_of: yesterday`, the age of "
        "listings and which symbols have ended are counted from it"
    )


def _server_time(headers: Mapping[str, str]) -> dt.datetime | None:
    try:
        dated = parsedate_to_datetime(headers["Date"])
        age = dt.timedelta(seconds=int(headers.get("Age", "0")))
        # `-0000` stands for a time in UTC whose zone is unknown.
        return (dated if dated.tzinfo else dated.replace(tzinfo=dt.UTC)) + age
    except (KeyError, ValueError, OverflowError):
        return None
