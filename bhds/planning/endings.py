"""Which symbols are known to have ended: they will not be traded again as they were."""

import datetime as dt

from bhds import instruments
from bhds.markets import TradeType
from bhds.planning.fills import STAYS_OPEN, Life

_OVER = frozenset({"DELIVERING", "DELIVERED", "SETTLING", "CLOSE", "NOT_LISTED"})
"""Statuses of what is not traded any more; the last is that of recorded symbols which
the exchange lists no more. `BREAK` of spot and `PRE_SETTLE` also stand for a halt."""


def has_ended(
    symbol: str,
    *,
    trade_type: TradeType,
    life: Life | None,
    as_of: dt.date,
    known: instruments.Known | None,
    known_on: dt.date | None = None,
) -> bool:
    """Return whether it is known on `as_of` that a symbol has ended.

    It is once its delivery date has come; or, if the archive has no file of a day after
    `as_of`, when its name says `SETTLED`, a recorded exchangeInfo says that it is
    settled, or its last file is more than `STAYS_OPEN` old. So it is if exchangeInfo of
    a futures market, which shows only present contracts, lacks it, though its last file
    is of an earlier day.

    Parameters
    ----------
    symbol, trade_type
        A name as in the bucket, and its market.
    life
        The first and the last day of its files, whether wanted or not; None without
        any.
    as_of
        The last UTC day wanted.
    known
        Entries of a recorded exchangeInfo of that market by symbol.
    known_on
        The UTC day on which it was recorded; None: not known.
    """
    found = instruments.classify(symbol, trade_type=trade_type, known=known)
    entry = {} if known is None else known.get(symbol, {})
    dates = [found.delivery_date, entry.get("delivery_date")]
    if any(date is not None and date <= as_of for date in dates):
        return True
    if life is not None and life.last_day > as_of:
        return False
    if life is not None and life.last_day + STAYS_OPEN < as_of:
        return True
    is_listed = known is None or trade_type is TradeType.SPOT or symbol in known
    is_older = life is not None and known_on is not None and life.last_day < known_on
    is_gone = is_older and not is_listed
    return is_gone or found.settled or entry.get("status") in _OVER
