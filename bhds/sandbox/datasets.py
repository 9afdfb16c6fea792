"""What the archive publishes: one entry for every type of data.

A further type of data is a further `DataType` in `DATA_TYPES`.
"""

import datetime as dt
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from bhds.markets import ARCHIVE_INTERVALS, Frequency, Interval, TradeType
from bhds.sandbox import formats, prices
from bhds.sandbox.funding import funding_events
from bhds.sandbox.prices import KlineSource
from bhds.sandbox.timegrid import (
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    Period,
    bar_open,
    first_open,
    from_ms,
    periods,
    to_ms,
    width_ms,
)
from bhds.sandbox.universe import Symbol, Universe

REVISION = 1
"""Raise by one when the same bars must yield other files."""

_ALTERED_EVERY = 60
_MONDAY = 0


class DataType(ABC):
    """One type of data: which feeds a symbol has, and what their files hold."""

    name: str
    """The name of its folder."""

    @abstractmethod
    def feeds(self, symbol: Symbol) -> Iterator["Feed"]:
        """Yield the folders that the archive has for `symbol`."""

    @abstractmethod
    def window(self, feed: "Feed", period: Period) -> tuple[int, int]:
        """Return the range (ms, its end is outside) that a period's rows are from."""

    @abstractmethod
    def published_ms(self, feed: "Feed", period: Period) -> int:
        """Return when the period's file appears."""

    @abstractmethod
    def is_empty(self, universe: Universe, feed: "Feed", period: Period) -> bool:
        """Tell whether a period has no rows, and so no file."""

    @abstractmethod
    def rows(self, source: KlineSource, feed: "Feed", period: Period) -> pl.DataFrame:
        """Return the rows of a period's file."""

    @abstractmethod
    def revised(self, rows: pl.DataFrame, number: int) -> pl.DataFrame:
        """Return `rows` with every 60th changed, otherwise for every `number` > 0."""

    @abstractmethod
    def csv(self, rows: pl.DataFrame, feed: "Feed", period: Period) -> bytes:
        """Return the CSV of a period's file."""


@dataclass(frozen=True)
class Feed:
    """One folder of files: a symbol's data of one type, frequency and interval."""

    data_type: DataType
    symbol: Symbol
    frequency: Frequency
    interval: Interval | None = None
    """None where the type of data has no intervals."""

    @property
    def path(self) -> str:
        """The folder's key prefix, with a slash at its end."""
        market = self.symbol.market.bucket_path
        layer = f"{self.interval}/" if self.interval else ""
        return (
            f"data/{market}/{self.frequency}/{self.data_type.name}/"
            f"{self.symbol.name}/{layer}"
        )

    @property
    def stem(self) -> str:
        """What the names of its files begin with."""
        return f"{self.symbol.name}-{self.interval or self.data_type.name}-"

    def key(self, period: Period) -> str:
        """Return the key of a period's zip."""
        return f"{self.path}{self.stem}{period.label}.zip"

    def periods(self, universe: Universe, *, now_ms: int) -> Iterator[Period]:
        """Yield, in order, the periods whose files are published at `now_ms`."""
        symbol, data_type = self.symbol, self.data_type
        start_ms = to_ms(symbol.listed)
        if self.interval:
            start_ms = bar_open(self.interval, start_ms)
        end_ms = now_ms if symbol.delisted is None else to_ms(symbol.delisted)
        for period in periods(self.frequency, start_ms=start_ms, end_ms=end_ms):
            if data_type.published_ms(self, period) > now_ms:
                continue
            if not data_type.is_empty(universe, self, period):
                yield period


class Klines(DataType):
    """Bars of every interval.

    ASSUME: the intervals that are longer than a day have monthly files only, of
    spot and of futures.
    """

    name = "klines"

    def feeds(self, symbol: Symbol) -> Iterator[Feed]:
        """Yield a daily and a monthly folder for every interval."""
        for interval in map(Interval.parse, ARCHIVE_INTERVALS):
            width = width_ms(interval)
            if width is not None and width < symbol.step_ms:
                continue
            if width is not None and width <= DAY_MS:
                yield Feed(self, symbol, Frequency.DAILY, interval)
            yield Feed(self, symbol, Frequency.MONTHLY, interval)

    def window(self, feed: Feed, period: Period) -> tuple[int, int]:
        """Return when the bars that open in the period begin and end."""
        interval = _interval_of(feed)
        return (
            first_open(interval, period.start_ms),
            first_open(interval, period.end_ms),
        )

    def published_ms(self, feed: Feed, period: Period) -> int:
        """Return when the file appears, between 08:05 and 08:30 UTC.

        A day's on the next day; a month's on the first Monday after it, or, with
        bars that end later, on the first day that all have ended.
        """
        day_ms = period.end_ms
        if feed.frequency is Frequency.MONTHLY:
            while from_ms(day_ms).weekday() != _MONDAY:
                day_ms += DAY_MS
            day_ms = max(day_ms, self.window(feed, period)[1])
        return day_ms + 8 * HOUR_MS + 5 * MINUTE_MS + _spread_ms(feed.key(period))

    def is_empty(self, universe: Universe, feed: Feed, period: Period) -> bool:
        """Tell whether the symbol stood still for the whole window."""
        start_ms, end_ms = self.window(feed, period)
        spans = universe.trading_spans(feed.symbol, start_ms=start_ms, end_ms=end_ms)
        return next(spans, None) is None

    def rows(self, source: KlineSource, feed: Feed, period: Period) -> pl.DataFrame:
        """Return the bars that open in the period."""
        return source.bars(
            feed.symbol,
            _interval_of(feed),
            start_ms=period.start_ms,
            end_ms=period.end_ms,
        )

    def revised(self, rows: pl.DataFrame, number: int) -> pl.DataFrame:
        """Return bars of which every 60th has a higher high and more trades."""
        altered = pl.int_range(pl.len()) % _ALTERED_EVERY == 0
        return rows.with_columns(
            pl.when(altered).then(pl.col(name) + number).otherwise(name).alias(name)
            for name in ("high", "trade_count")
        )

    def csv(self, rows: pl.DataFrame, feed: Feed, period: Period) -> bytes:
        """Return the bars in the format of their market and era."""
        return formats.kline_csv(
            rows, symbol=feed.symbol, interval=_interval_of(feed), day=period.start
        )


class FundingRate(DataType):
    """Funding events of perpetuals; monthly files only."""

    name = "fundingRate"

    def feeds(self, symbol: Symbol) -> Iterator[Feed]:
        """Yield the monthly folder of a perpetual."""
        if symbol.is_perpetual and symbol.market is not TradeType.SPOT:
            yield Feed(self, symbol, Frequency.MONTHLY)

    def window(self, feed: Feed, period: Period) -> tuple[int, int]:  # noqa: ARG002
        """Return the month."""
        return period.start_ms, period.end_ms

    def published_ms(self, feed: Feed, period: Period) -> int:
        """Return when the file appears: on the 1st, from 07:26 to 07:51 UTC."""
        return period.end_ms + 446 * MINUTE_MS + _spread_ms(feed.key(period))

    def is_empty(self, universe: Universe, feed: Feed, period: Period) -> bool:
        """Tell whether no event was due."""
        start_ms, end_ms = self.window(feed, period)
        return funding_events(
            universe, feed.symbol, start_ms=start_ms, end_ms=end_ms
        ).is_empty()

    def rows(self, source: KlineSource, feed: Feed, period: Period) -> pl.DataFrame:
        """Return the events that were due in the month."""
        return funding_events(
            source.universe,
            feed.symbol,
            start_ms=period.start_ms,
            end_ms=period.end_ms,
        )

    def revised(self, rows: pl.DataFrame, number: int) -> pl.DataFrame:
        """Return events of which every 60th has a higher rate."""
        altered = pl.int_range(pl.len()) % _ALTERED_EVERY == 0
        rate = pl.when(altered).then(pl.col("rate") + number).otherwise("rate")
        return rows.with_columns(rate.alias("rate"))

    def csv(self, rows: pl.DataFrame, feed: Feed, period: Period) -> bytes:  # noqa: ARG002
        """Return the events as text."""
        return formats.funding_csv(rows)


DATA_TYPES: tuple[DataType, ...] = (Klines(), FundingRate())
"""All that the sandbox's archive publishes."""

CONTENT_REVISION = (prices.REVISION, formats.REVISION, REVISION)
"""Changes whenever the same universe yields other files."""


def member_time(feed: Feed, period: Period) -> dt.datetime:
    """Return the time that a zip states for its member: the day after the period."""
    at = dt.time(0, 13, 42) if feed.symbol.market is TradeType.SPOT else _FUTURES_AT
    return dt.datetime.combine(period.next_day, at, tzinfo=dt.UTC)


_FUTURES_AT = dt.time(6, 13, 22)


def _interval_of(feed: Feed) -> Interval:
    if feed.interval is None:
        msg = f"feed {feed.path!r}: expected one with an interval"
        raise TypeError(msg)
    return feed.interval


def _spread_ms(key: str) -> int:
    """Return a delay of up to 25 minutes, in whole seconds, that is the key's own."""
    return zlib.crc32(key.encode()) % 1_500 * 1_000
