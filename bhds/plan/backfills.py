"""Which symbols are backfilled from the API, and which days each may hold."""

import datetime as dt
from collections.abc import Mapping
from typing import NamedTuple

from bhds.core.listing_period import STAYS_OPEN, ListingPeriod


class Backfill(NamedTuple):
    """What the backfill of a symbol may hold; the days are UTC days, both included."""

    first_day: dt.date
    last_day: dt.date
    is_first: bool
    """Whether nothing is archived before: the symbol may begin within."""
    is_last: bool = True
    """Whether the archive has no files of later days."""
    since: dt.date | None = None
    """The first requested day, if not all. The API may have rows before `first_day`;
    the backfill holds them."""


def backfills_of(
    listing_periods: Mapping[str, ListingPeriod],
    *,
    start: dt.date | None,
    last_day: dt.date,
    is_whole: bool = True,
) -> dict[str, Backfill]:
    """Return the backfill of each symbol that is listed in the time wanted.

    It is of the whole time, whether the archive has files of all of it or not. The
    listing period goes on after its last file for `STAYS_OPEN`.

    Parameters
    ----------
    listing_periods
        The listing period of each symbol, as the archive or another series of the
        symbol shows, whether wanted or not. Symbols without one are left out.
    start, last_day
        The first UTC day wanted, if not all are, and the last.
    is_whole
        Whether the archive's first files are those of the symbol. If not, rows before
        the first archived day are not searched: another kind of file has them.
    """
    found = {}
    for symbol, (first_listed, last_listed) in listing_periods.items():
        is_first = start is None or start < first_listed
        first_day = first_listed if start is None else max(first_listed, start)
        last = min(last_day, last_listed + STAYS_OPEN)
        if first_day <= last:
            since = start if is_whole else first_listed
            found[symbol] = Backfill(
                first_day,
                last,
                is_first,
                is_last=last_listed <= last_day,
                since=since if is_first else None,
            )
    return found
