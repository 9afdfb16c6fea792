"""A folder of archive files, and what all data types have in common."""

import datetime as dt
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import polars as pl

from bhds.core.markets import Frequency, Interval, TradeType
from bhds.sandbox.prices import KlineSource
from bhds.sandbox.timegrid import (
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    Period,
    bar_open,
    from_ms,
    periods,
    to_ms,
)
from bhds.sandbox.universe import Symbol, Universe
from bhds.schemas import datatypes

_ALTERED_EVERY = 60
_MONDAY = 0
_SPOT_AT = dt.time(0, 13, 42)
_FUTURES_AT = dt.time(6, 13, 22)


class PublishedType(ABC):
    """One data type: which symbols have it, and what its files hold."""

    name: str
    """The name of its folder."""
    content_revision: tuple[int, ...]
    """Changes whenever the same universe yields other files of this type."""
    altered: tuple[str, ...]
    """The columns that a republished file has other values in."""
    every_ms: int = MINUTE_MS
    """How far apart rows are at most, while the symbol trades."""

    def publishes(self, symbol: Symbol) -> bool:  # noqa: ARG002
        """Check whether a symbol of one of the type's markets has such files."""
        return True

    def subjects(
        self, universe: Universe, market: TradeType
    ) -> Iterator[tuple[str, Symbol]]:
        """Yield the name of every folder of a market, and its symbol."""
        for symbol in universe.of_market(market):
            if self.publishes(symbol):
                yield symbol.name, symbol

    def feeds(
        self, universe: Universe, market: TradeType, frequency: Frequency
    ) -> Iterator["FolderFeed"]:
        """Yield the folders that the archive has of a market at one frequency."""
        for entry in datatypes.DATA_TYPES[self.name].feeds:
            if (entry.trade_type, entry.frequency) != (market, frequency):
                continue
            intervals: Sequence[Interval | None] = (
                [None]
                if entry.intervals is None
                else [Interval.parse(name) for name in entry.intervals]
            )
            for name, symbol in self.subjects(universe, market):
                for interval in intervals:
                    if interval is None or symbol.has_bars_of(interval):
                        own = interval and symbol.phased(interval)
                        yield FolderFeed(
                            self, symbol, name, frequency, own, entry.last_day
                        )

    def window(self, feed: "FolderFeed", period: Period) -> tuple[int, int]:
        """Return the range (ms, its end is outside) that a period's rows are from."""
        return period.start_ms, feed.cut(period.end_ms)

    def published_ms(self, feed: "FolderFeed", period: Period) -> int:
        """Return when the file appears, between 08:05 and 08:30 UTC.

        A day's on the next day; a month's on the first Monday after it, or, with
        bars that end later, on the first day that all have ended.
        """
        day_ms = period.end_ms
        if feed.frequency is Frequency.MONTHLY:
            while from_ms(day_ms).weekday() != _MONDAY:
                day_ms += DAY_MS
        day_ms = max(day_ms, self.window(feed, period)[1])
        return day_ms + 8 * HOUR_MS + 5 * MINUTE_MS + spread_ms(feed.key(period))

    def is_empty(self, source: KlineSource, feed: "FolderFeed", period: Period) -> bool:
        """Check whether a period has no rows, and so no file."""
        start_ms, end_ms = self.window(feed, period)
        spans = source.universe.trading_spans(
            feed.symbol, start_ms=start_ms, end_ms=end_ms
        )
        return not any(-(-a // self.every_ms) * self.every_ms < b for a, b in spans)

    @abstractmethod
    def rows(
        self, source: KlineSource, feed: "FolderFeed", period: Period
    ) -> pl.DataFrame:
        """Return the rows of a period's file."""

    @abstractmethod
    def csv(self, rows: pl.DataFrame, feed: "FolderFeed", period: Period) -> bytes:
        """Return the CSV of a period's file."""

    def revised(self, rows: pl.DataFrame, number: int) -> pl.DataFrame:
        """Return `rows` with every 60th changed, otherwise for every `number` > 0."""
        is_altered = pl.int_range(pl.len()) % _ALTERED_EVERY == 0
        return rows.with_columns(
            pl.when(is_altered).then(pl.col(name) + number).otherwise(name).alias(name)
            for name in self.altered
        )


@dataclass(frozen=True)
class FolderFeed:
    """One folder of files: data of one type, name, frequency and interval."""

    data_type: PublishedType
    symbol: Symbol
    """The symbol that the data are built from."""
    name: str
    """What the folder and its files are named after: as a rule the symbol."""
    frequency: Frequency
    interval: Interval | None = None
    """None where the data type has no intervals."""
    last_day: dt.date | None = None
    """The last day that is in any file; None: the feed goes on."""

    @cached_property
    def path(self) -> str:
        """The folder's key prefix, with a slash at its end."""
        market = self.symbol.market.bucket_path
        layer = f"{self.interval}/" if self.interval else ""
        return (
            f"data/{market}/{self.frequency}/{self.data_type.name}/{self.name}/{layer}"
        )

    @cached_property
    def stem(self) -> str:
        """What the names of its files begin with."""
        return f"{self.name}-{self.interval or self.data_type.name}-"

    def key(self, period: Period) -> str:
        """Return the key of a period's zip."""
        return f"{self.path}{self.stem}{period.label}.zip"

    @cached_property
    def _end_ms(self) -> int | None:
        if self.last_day is None:
            return None
        midnight = dt.datetime.combine(self.last_day, dt.time(), tzinfo=dt.UTC)
        return to_ms(midnight) + DAY_MS

    def cut(self, end_ms: int) -> int:
        """Return `end_ms`, or the end of the feed if that is earlier."""
        return end_ms if self._end_ms is None else min(end_ms, self._end_ms)

    def periods(self, source: KlineSource, *, now_ms: int) -> Iterator[Period]:
        """Yield, in order, the periods whose files are published at `now_ms`."""
        symbol, data_type = self.symbol, self.data_type
        start_ms = to_ms(symbol.listed)
        if self.interval:
            start_ms = bar_open(self.interval, start_ms)
        end_ms = now_ms if symbol.delisted is None else to_ms(symbol.delisted)
        for period in periods(
            self.frequency, start_ms=start_ms, end_ms=self.cut(end_ms)
        ):
            if (
                not data_type.is_empty(source, self, period)
                and data_type.published_ms(self, period) <= now_ms
            ):
                yield period


def member_time(feed: FolderFeed, period: Period) -> dt.datetime:
    """Return the time that a zip states for its member: the day after the period."""
    at = _SPOT_AT if feed.symbol.market is TradeType.SPOT else _FUTURES_AT
    return dt.datetime.combine(period.next_day, at, tzinfo=dt.UTC)


def spread_ms(key: str) -> int:
    """Return a delay of up to 25 minutes, in whole seconds, that is the key's own."""
    return zlib.crc32(key.encode()) % 1_500 * 1_000
