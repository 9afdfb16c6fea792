"""When a symbol was listed: the first and last day that the bucket has of it."""

import datetime as dt
from typing import NamedTuple

STAYS_OPEN = dt.timedelta(days=62)
"""How long after its last archived day a symbol may have bars that are not archived.
Later it has ended: no file comes after the middle of the month after next. So the
requests for a delisted symbol do not change from day to day."""


class ListingPeriod(NamedTuple):
    """When a symbol was traded, as far as files show: UTC days, both included."""

    first_day: dt.date
    last_day: dt.date
