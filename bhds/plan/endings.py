"""Which symbols are known to have ended, and when contracts were not listed."""

import datetime as dt

from bhds import instruments
from bhds.core.listing_period import STAYS_OPEN, ListingPeriod
from bhds.core.markets import TradeType
from bhds.core.unlisted import Unlisted
from bhds.instruments import Known

_OVER = frozenset({"DELIVERING", "DELIVERED", "SETTLING", "CLOSE", "NOT_LISTED"})
"""Statuses of what is not traded any more; the last is that of recorded symbols which
the exchange lists no more. `BREAK` of spot and `PRE_SETTLE` also stand for a halt."""

_DELIVERY = dt.time(8, tzinfo=dt.UTC)
"""When a contract whose name has a date is delivered on that date."""
_DAY = dt.timedelta(days=1)


def unlisted(
    symbol: str, *, trade_type: TradeType, as_of: dt.date, known: Known | None
) -> Unlisted:
    """Return when a symbol is known on `as_of` not to be listed, by start.

    That is after its delivery or settlement: as its name says, or a recorded
    exchangeInfo, or the table of settlements. The table knows when a contract was
    listed again, and of the others that they were not until its own day. Of symbols
    renamed `SETTLED` the time is not known.

    Parameters
    ----------
    symbol, trade_type, as_of, known
        As in `has_ended`.
    """
    entry = {} if known is None else known.get(symbol, {})
    delivered = [entry.get("delivery_time")]
    found = instruments.classify(symbol, trade_type=trade_type, known=known)
    if found.delivery_date is not None:
        delivered.append(dt.datetime.combine(found.delivery_date, _DELIVERY))
    end_of_table = _midnight(instruments.settlements_day() + _DAY)
    periods: list[tuple[dt.datetime, dt.datetime | None]] = [
        (row.settled_at, row.listed_again or end_of_table)
        for row in instruments.settlements().get((trade_type, symbol), ())
    ]
    periods += [(time, None) for time in delivered if time is not None]
    begun = {period for period in periods if period[0].date() <= as_of}
    return tuple(sorted(begun, key=lambda period: period[0]))


def has_ended(
    symbol: str,
    *,
    trade_type: TradeType,
    listing_period: ListingPeriod | None,
    as_of: dt.date,
    known: Known | None,
    known_on: dt.date | None = None,
) -> bool:
    """Return whether it is known on `as_of` that a symbol has ended.

    It has ended if it is not listed then (`unlisted`). It has also ended if the archive
    has no file after `as_of`, and one of these is true: its name is `SETTLED`, a
    recorded exchangeInfo shows that it is settled, or its last file is more than
    `STAYS_OPEN` old. The same is true if exchangeInfo of a futures market, which has
    only present contracts, misses it, and its last file is of an earlier day.

    Parameters
    ----------
    symbol, trade_type
        A name as in the bucket, and its market.
    listing_period
        The first and the last day of all its files; None without any.
    as_of
        The last UTC day wanted.
    known
        Entries of a recorded exchangeInfo of that market by symbol.
    known_on
        The UTC day on which it was recorded; None: not known.
    """
    periods = unlisted(symbol, trade_type=trade_type, as_of=as_of, known=known)
    if any(end is None or as_of < end.date() for _, end in periods):
        return True
    if listing_period is not None and listing_period.last_day > as_of:
        return False
    if listing_period is not None and listing_period.last_day + STAYS_OPEN < as_of:
        return True
    entry = {} if known is None else known.get(symbol, {})
    found = instruments.classify(symbol, trade_type=trade_type, known=known)
    is_listed = known is None or trade_type is TradeType.SPOT or symbol in known
    is_older = (
        listing_period is not None
        and known_on is not None
        and listing_period.last_day < known_on
    )
    is_gone = is_older and not is_listed
    return is_gone or found.settled or entry.get("status") in _OVER


def _midnight(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(), dt.UTC)
