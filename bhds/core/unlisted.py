"""Times in which a symbol is known not to be listed: nothing in them is of its market.

The archive goes on to publish bars without trades, and funding, of contracts that are
settled, for months or until the name is given to another contract.
"""

import datetime as dt
from functools import reduce
from operator import or_

import polars as pl

Unlisted = tuple[tuple[dt.datetime, dt.datetime | None], ...]
"""Periods in which a symbol is known not to be listed, UTC, sorted by start: start, and
end (exclusive) or None if none is known."""


def is_unlisted(
    time: pl.Expr, periods: Unlisted, *, until: pl.Expr | None = None
) -> pl.Expr:
    """Return whether a time, or a moment from it to `until`, lies in a period."""
    last = time if until is None else until
    within = (
        (last >= start) & (True if end is None else time < end)
        for start, end in periods
    )
    return reduce(or_, within, pl.lit(value=False))
