"""Select the bars of an API response: its pages, without withheld bars."""

from dataclasses import dataclass

import polars as pl

from bhds.core.markets import Interval
from bhds.sandbox.bars import BarSource
from bhds.sandbox.publication import Hole, Publication
from bhds.sandbox.timegrid import DAY_MS, bar_open, first_open, to_ms, width_ms
from bhds.sandbox.universe import Symbol

_MONTH_MS = 31 * DAY_MS


@dataclass(frozen=True)
class PagedSeries:
    """The bars that a request is about."""

    data_type: str
    """As in the bucket: `klines`, `markPriceKlines`, ..."""
    name: str
    """The requested symbol, or pair for index prices."""
    source: BarSource
    symbol: Symbol
    """The source of the bars."""
    interval: Interval

    def has(self, hole: Hole) -> bool:
        """Check whether `hole` is a range of these bars."""
        return (
            hole.trade_type is self.symbol.market
            and hole.symbol == self.name
            and hole.data_type in (None, self.data_type)
            and hole.interval in (None, self.interval.name)
        )


class Pages:
    """Pages of any series, as the API has them at present; safe for several threads.

    Times are in ms; a range holds its start and its last moment, `end_ms`, which is
    the present where it is None or later. Frames are as in `bhds.sandbox.bars`; the
    last bar may be running.
    """

    def __init__(self, publication: Publication) -> None:
        self._publication = publication

    @property
    def now_ms(self) -> int:
        """The present."""
        return to_ms(self._publication.now)

    def oldest(
        self, series: PagedSeries, *, start_ms: int, end_ms: int | None, limit: int
    ) -> pl.DataFrame:
        """Return the first `limit` bars that open in a range."""
        interval = series.interval
        stop_ms = self.stop(end_ms)
        first_ms = bar_open(interval, to_ms(series.symbol.listed))
        at = first_open(interval, max(start_ms, first_ms))
        found = self._stand(series, at, at)
        while found.height < limit and at < stop_ms:
            until = min(stop_ms, at + limit * (width_ms(interval) or _MONTH_MS))
            until = first_open(interval, until)
            more = self._stand(series, at, min(until, stop_ms))
            found, at = pl.concat([found, more]), until
        return found.head(limit)

    def newest(
        self,
        series: PagedSeries,
        *,
        start_ms: int | None,
        end_ms: int | None,
        limit: int,
    ) -> pl.DataFrame:
        """Return the last `limit` bars that open in a range; None: from the listing."""
        interval = series.interval
        first_ms = max(start_ms or 0, bar_open(interval, to_ms(series.symbol.listed)))
        until = self.stop(end_ms)
        found = self._stand(series, until, until)
        while found.height < limit and until > first_ms:
            at = until - limit * (width_ms(interval) or _MONTH_MS)
            at = max(first_open(interval, max(at, 0)), first_ms)
            if at >= until:
                at = first_ms
            more = self._stand(series, at, until)
            found, until = pl.concat([more, found]), at
        return found.tail(limit)

    def stop(self, end_ms: int | None) -> int:
        """Return the first moment after a range whose last moment is `end_ms`."""
        return min(self.now_ms if end_ms is None else end_ms, self.now_ms) + 1

    def _stand(self, series: PagedSeries, start_ms: int, end_ms: int) -> pl.DataFrame:
        bars = series.source.bars_until(
            series.symbol,
            series.interval,
            start_ms=start_ms,
            end_ms=end_ms,
            now_ms=self.now_ms,
        )
        for hole in filter(series.has, [*self._publication.holes]):
            is_missing = pl.col("open_time").is_between(hole.start_ms, hole.end_ms - 1)
            bars = bars.filter(~is_missing)
        return bars
