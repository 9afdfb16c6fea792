"""Read the numbers that the API's headers hold: bounded, whatever they say."""

import datetime as dt
import logging
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from bhds.api.limits import LONGEST_PAUSE_S, MOST_WEIGHT
from bhds.core.errors import cut

logger = logging.getLogger(__name__)

_RETRY_AFTER = "Retry-After"
_USED_WEIGHT = "X-MBX-USED-WEIGHT-1M"
_SHOWN = 40


def pause_s(headers: Mapping[str, str], *, default_s: float) -> float:
    """Return for how many seconds a refusal orders to send nothing.

    Parameters
    ----------
    headers
        Of the refusal: `Retry-After` is a number of seconds, or a time, which is
        compared with that of the server (`Date`).
    default_s
        What is returned where the header is absent or is neither.

    Returns
    -------
    float
        From 0 to `LONGEST_PAUSE_S`; a line in the log names the header where that
        changes what it says.
    """
    text = headers.get(_RETRY_AFTER, "").strip()
    if not text:
        return default_s
    if text.isascii() and text.isdecimal():
        ordered_s = float(text)  # inf, where it has more digits than a float
    else:
        until, now = _time(text), _time(headers.get("Date", ""))
        if until is None:
            _warn(_RETRY_AFTER, text, f"{default_s:g} s are taken")
            return default_s
        now = now or dt.datetime.now(dt.UTC)
        ordered_s = max((until - now).total_seconds(), 0.0)
    if ordered_s > LONGEST_PAUSE_S:
        _warn(_RETRY_AFTER, text, f"{LONGEST_PAUSE_S:g} s, the longest ban, are taken")
        return LONGEST_PAUSE_S
    return ordered_s


def used_weight(headers: Mapping[str, str]) -> int | None:
    """Return the server's own count of its present window.

    None if it sent none, or one that no server counts to, which the log names.
    """
    text = headers.get(_USED_WEIGHT, "").strip()
    if not text:
        return None
    is_number = text.isascii() and text.isdecimal()
    if is_number and float(text) <= MOST_WEIGHT:
        return int(float(text))  # `int` refuses thousands of zeros before it
    _warn(_USED_WEIGHT, text, "it is ignored")
    return None


def _time(text: str) -> dt.datetime | None:
    try:
        time = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    # `-0000` stands for a time in UTC whose zone is unknown.
    return time if time.tzinfo else time.replace(tzinfo=dt.UTC)


def _warn(name: str, value: str, outcome: str) -> None:
    logger.warning(
        "API: the header %s is '%s': %s", name, cut(value, most=_SHOWN), outcome
    )
