"""Which partitions the API is asked to fill, and which days each may hold."""

import datetime as dt
from collections.abc import Mapping
from typing import NamedTuple

from bhds.datatypes import PartitionSize

STAYS_OPEN = dt.timedelta(days=62)
"""How long after its last archived day a symbol may have bars that are not archived.
Later it has ended: no file comes after the middle of the month after next. So what is
asked of a delisted symbol does not change from day to day."""


class Fill(NamedTuple):
    """What a fill may hold; the days are UTC days, both included."""

    has_archive: bool
    """Whether the archive has files of the partition."""
    first_day: dt.date
    last_day: dt.date
    is_first: bool
    """Whether the archive has nothing earlier: the symbol may begin within."""
    is_last: bool
    """Whether the archive has nothing later."""


def fills_of(
    last_days: Mapping[str, Mapping[str, dt.date]],
    *,
    size: PartitionSize,
    first_days: Mapping[str, dt.date],
    start: dt.date | None,
    last_day: dt.date,
) -> dict[str, dict[str, Fill]]:
    """Return the fills of each symbol by name, in time order.

    There is one for each period from a symbol's first day on, until the last wanted or
    until the symbol has ended, whether the archive has files of that period or not.

    Parameters
    ----------
    last_days
        The last UTC day of each partition that the archive has, by symbol and name.
    size
        How much time one covers.
    first_days
        The first UTC day of each symbol that the archive, or another series of the
        symbol, has. Symbols without one are left out.
    start, last_day
        The first UTC day wanted, if not all are, and the last.
    """
    return {
        symbol: _of_symbol(
            last_days.get(symbol, {}),
            size=size,
            born=born,
            start=start or dt.date.min,
            last_wanted=last_day,
        )
        for symbol, born in first_days.items()
    }


def _of_symbol(
    archived: Mapping[str, dt.date],
    *,
    size: PartitionSize,
    born: dt.date,
    start: dt.date,
    last_wanted: dt.date,
) -> dict[str, Fill]:
    covered = max(archived.values(), default=last_wanted)
    last = min(last_wanted, covered + STAYS_OPEN)
    last_archived = max(archived, default="")
    fills: dict[str, Fill] = {}
    begin = max(born, start)
    while begin <= last:
        following = _following(begin, size)
        name = begin.strftime(size.value)
        fills[name] = Fill(
            has_archive=name in archived,
            first_day=begin,
            last_day=min(last, following - dt.timedelta(days=1)),
            is_first=begin == born > start,
            is_last=name >= last_archived,
        )
        begin = following
    return fills


def _following(day: dt.date, size: PartitionSize) -> dt.date:
    """Return the first day of the next period."""
    if size is PartitionSize.YEAR:
        return dt.date(day.year + 1, 1, 1)
    return (day.replace(day=1) + dt.timedelta(days=32)).replace(day=1)
