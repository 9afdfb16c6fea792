"""Which partitions are filled from the API, and which days each may hold."""

import datetime as dt
from collections.abc import Collection, Mapping
from typing import NamedTuple

from bhds.core.listing_period import STAYS_OPEN, ListingPeriod
from bhds.schemas.datatypes import PartitionSize


class Backfill(NamedTuple):
    """What a backfill may hold; the days are UTC days, both included."""

    has_archive: bool
    """Whether the archive has files of the partition."""
    first_day: dt.date
    last_day: dt.date
    is_first: bool
    """Whether the archive has nothing earlier: the symbol may begin within."""
    is_last: bool
    """Whether the archive has nothing later."""
    since: dt.date | None = None
    """Of the first backfill: the first requested day, if not all. The API may have rows
    before `first_day`, and before the period of the partition; the backfill holds
    them."""


def backfills_of(
    archived: Mapping[str, Collection[str]],
    *,
    size: PartitionSize,
    listing_periods: Mapping[str, ListingPeriod],
    start: dt.date | None,
    last_day: dt.date,
    is_whole: bool = True,
) -> dict[str, dict[str, Backfill]]:
    """Return the backfills of each symbol by name, in time order.

    There is one for each wanted period within a symbol's listing period, whether
    the archive has files of that period or not. The listing period goes on after its
    last file for `STAYS_OPEN`.

    Parameters
    ----------
    archived
        The names of the partitions that the archive has, by symbol.
    size
        How much time one covers.
    listing_periods
        The listing period of each symbol, as the archive or another series of the
        symbol shows, whether wanted or not. Symbols without one are left out.
    start, last_day
        The first UTC day wanted, if not all are, and the last.
    is_whole
        Whether the archive's first files are those of the symbol. If not, rows before
        the first archived day are not searched: another kind of file has them.
    """
    return {
        symbol: _of_symbol(
            archived.get(symbol, ()),
            size=size,
            listing_period=listing_period,
            start=start or dt.date.min,
            last_wanted=last_day,
            is_whole=is_whole,
        )
        for symbol, listing_period in listing_periods.items()
    }


def _of_symbol(
    archived: Collection[str],
    *,
    size: PartitionSize,
    listing_period: ListingPeriod,
    start: dt.date,
    last_wanted: dt.date,
    is_whole: bool,
) -> dict[str, Backfill]:
    first_listed = listing_period.first_day
    last = min(last_wanted, listing_period.last_day + STAYS_OPEN)
    last_archived = max(archived, default="")
    backfills: dict[str, Backfill] = {}
    begin = max(first_listed, start)
    since = max(start, dt.date.min if is_whole else first_listed)
    while begin <= last:
        last_of_partition = size.last_day(begin)
        name = begin.strftime(size.value)
        backfills[name] = Backfill(
            has_archive=name in archived,
            first_day=begin,
            last_day=min(last, last_of_partition),
            is_first=begin == first_listed > start,
            is_last=name >= last_archived and listing_period.last_day <= last_wanted,
            since=since
            if begin == first_listed > start and since > dt.date.min
            else None,
        )
        begin = last_of_partition + dt.timedelta(days=1)
    return backfills
