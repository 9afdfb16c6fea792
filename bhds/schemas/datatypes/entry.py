"""What the registry knows of each data type."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from bhds import layout
from bhds.core.errors import ConfigError
from bhds.core.markets import ARCHIVE_INTERVALS, Frequency, Interval, TradeType
from bhds.schemas.csv_table import Table

FUNDING = "fundingRate"
"""The data type whose events are joined into results."""

SPOT, UM, CM = TradeType.SPOT, TradeType.UM_FUTURES, TradeType.CM_FUTURES
DAILY, MONTHLY = Frequency.DAILY, Frequency.MONTHLY


@dataclass(frozen=True)
class Feed:
    """The files that a market publishes of a data type at one frequency."""

    trade_type: TradeType
    frequency: Frequency
    intervals: tuple[str, ...] | None = None
    """The intervals, each in a folder of its own; None: there are no such folders."""
    last_day: dt.date | None = None
    """The last UTC day that was ever published; None: the feed goes on."""


class PartitionSize(Enum):
    """How much time a partition covers; the value formats a day as its name."""

    ALL = layout.WHOLE_HISTORY
    YEAR = "%Y"
    MONTH = "%Y-%m"

    def first_day(self, day: dt.date) -> dt.date:
        """Return the first day of the partition that a day belongs to."""
        if self is self.ALL:
            return dt.date.min
        return day.replace(day=1, month=1 if self is self.YEAR else day.month)

    def last_day(self, day: dt.date) -> dt.date:
        """Return the last day of the partition that a day belongs to."""
        if self is self.ALL:
            return dt.date.max
        following = self.first_day(day) + dt.timedelta(
            days=366 if self is self.YEAR else 31
        )
        return self.first_day(following) - dt.timedelta(days=1)


@dataclass(frozen=True)
class DataType:
    """One data type."""

    name: str
    """The name of its folder in the bucket."""
    feeds: tuple[Feed, ...]
    """Of each market, the monthly feed before the daily one."""
    table: Callable[[TradeType], Table] | None = None
    """What a market's files hold; None: they are downloaded and verified only."""
    row: str = ""
    """What a row is, for the documentation; empty without `table`."""
    partition: PartitionSize = PartitionSize.YEAR
    """How much time a partition covers, where `partition_size` has no other."""
    has_api: bool = False
    """Whether the REST API has its history too, and may be queried for missing
    ranges. Only of bars and of funding: the requests of others are not written."""
    revision: int = 4
    """Raise by one when the same zips must yield a different partition."""

    def __post_init__(self) -> None:
        """Raise ConfigError if rows are to come from an API that is not requested."""
        if self.has_api and not self.has_intervals and self.name != FUNDING:
            msg = (
                f"data type {self.name!r}: has_api is true, but backfill requests only "
                f"bars and {FUNDING}; remove it, or write the requests "
                "(CONTRIBUTING.md, 'Adding a data type')"
            )
            raise ConfigError(msg)

    @property
    def has_intervals(self) -> bool:
        """Whether the rows are bars, of one interval in each folder."""
        return self.feeds[0].intervals is not None

    @property
    def trade_types(self) -> tuple[TradeType, ...]:
        """The markets that have or had files of this type."""
        return tuple(dict.fromkeys(feed.trade_type for feed in self.feeds))

    def feeds_of(self, trade_type: TradeType, interval: str | None) -> tuple[Feed, ...]:
        """Return the feeds of one market and interval (None: of no interval)."""
        return tuple(
            feed
            for feed in self.feeds
            if feed.trade_type == trade_type
            and (
                interval is None
                if feed.intervals is None
                else interval in feed.intervals
            )
        )

    def intervals_of(self, trade_type: TradeType) -> tuple[str, ...]:
        """Return the intervals of one market at any frequency, the shortest first."""
        found = {
            interval
            for feed in self.feeds
            if feed.trade_type == trade_type
            for interval in feed.intervals or ()
        }
        return tuple(name for name in ARCHIVE_INTERVALS if name in found)

    def partition_size(self, interval: str | None) -> PartitionSize:
        """Return how much time a partition covers.

        Bars of 1h have 8,760 rows in a year: as little as is all history of longer
        ones. A month of 1s bars has 2.7 million.
        """
        if interval is None:
            return self.partition
        duration = Interval.parse(interval).duration
        if duration is None or duration >= dt.timedelta(hours=1):
            return PartitionSize.ALL
        return PartitionSize.MONTH if interval == "1s" else PartitionSize.YEAR


def both(*trade_types: TradeType) -> tuple[Feed, ...]:
    """Return the monthly and the daily feed of each of some markets."""
    return tuple(
        Feed(trade_type, frequency)
        for trade_type in trade_types
        for frequency in (MONTHLY, DAILY)
    )
