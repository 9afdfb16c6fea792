"""Bars of every interval, added up from the finest ones.

A frame of bars is sorted by unique `open_time` and holds Int64 columns only:
`open_time` (ms), `open`, `high`, `low`, `close`, and the columns of `SUMMED`; their
units are those of the series.
"""

from abc import ABC, abstractmethod
from functools import lru_cache

import polars as pl

from bhds.core.markets import Frequency, Interval, TradeType
from bhds.sandbox.timegrid import (
    DAY_MS,
    HOUR_MS,
    bar_end,
    bar_open,
    periods,
    to_ms,
    width_ms,
)
from bhds.sandbox.universe import Symbol, Universe

PRICES = ("open", "high", "low", "close")
SUMMED = ("volume", "amount", "trade_count", "taker_volume", "taker_amount")
"""The columns that add up when bars are aggregated."""


class BarSource(ABC):
    """One series of bars of all symbols of a universe; safe for several threads."""

    def __init__(self, universe: Universe) -> None:
        self.universe = universe
        self._finest = lru_cache(maxsize=16)(self._new_finest)
        # A month of minutes is 3.5 MB; of hours, 60 KB.
        self._minutes = lru_cache(maxsize=16)(self._new_coarser)
        self._hours = lru_cache(maxsize=1024)(self._new_coarser)

    @abstractmethod
    def finest_bars(
        self, symbol: Symbol, *, start_ms: int, end_ms: int
    ) -> pl.DataFrame:
        """Make the bars of the symbol's finest interval that open in a range."""

    def bars(
        self, symbol: Symbol, interval: Interval, *, start_ms: int, end_ms: int
    ) -> pl.DataFrame:
        """Return the bars that open in a range (its end is outside), all closed.

        Bars without a single bar of the symbol's finest interval do not exist.
        """
        start_ms = max(start_ms, bar_open(interval, to_ms(symbol.listed)))
        if symbol.delisted is not None:
            end_ms = min(end_ms, to_ms(symbol.delisted))
        if end_ms <= start_ms:
            return no_bars()
        width = width_ms(interval)
        if width is not None and width <= DAY_MS:
            # What is kept whole: a month or, with 1s bars, a day.
            frequency = Frequency.DAILY if symbol.seconds else Frequency.MONTHLY
            blocks = periods(frequency, start_ms=start_ms, end_ms=end_ms)
            frame = pl.concat(
                self._block(symbol, interval, (each.start_ms, each.end_ms))
                for each in blocks
            )
        else:
            days = self.bars(
                symbol,
                Interval.parse("1d"),
                start_ms=bar_open(interval, start_ms),
                end_ms=bar_end(interval, bar_open(interval, end_ms - 1)),
            )
            frame = aggregate(days, interval)
        first = frame["open_time"].search_sorted(start_ms)
        return frame.slice(first, frame["open_time"].search_sorted(end_ms) - first)

    def bars_until(
        self,
        symbol: Symbol,
        interval: Interval,
        *,
        start_ms: int,
        end_ms: int,
        now_ms: int,
    ) -> pl.DataFrame:
        """Return the bars that open in a range, as they stand at `now_ms`.

        The last one may be running: it holds what has been traded so far.
        """
        running_ms = bar_open(interval, now_ms)
        closed = self.bars(
            symbol, interval, start_ms=start_ms, end_ms=min(end_ms, running_ms)
        )
        if not start_ms <= running_ms < end_ms:
            return closed
        return pl.concat(
            [closed, self._running(symbol, interval, running_ms, now_ms=now_ms)]
        )

    def _running(
        self, symbol: Symbol, interval: Interval, open_ms: int, *, now_ms: int
    ) -> pl.DataFrame:
        """Return the one bar (or none) that opens at `open_ms`, so far."""
        step = symbol.step_ms
        last_ms = now_ms // step * step
        finest = Interval.parse("1s" if symbol.seconds else "1m")
        parts = self.bars(symbol, finest, start_ms=open_ms, end_ms=last_ms)
        if now_ms > last_ms:
            begun = self.bars(symbol, finest, start_ms=last_ms, end_ms=last_ms + step)
            parts = pl.concat([parts, _so_far(begun, now_ms - last_ms, step)])
        return aggregate(parts, interval)

    def _block(
        self, symbol: Symbol, interval: Interval, block: tuple[int, int]
    ) -> pl.DataFrame:
        """Return the bars of a day or less that open in a range that is kept whole."""
        width = width_ms(interval)
        if width == symbol.step_ms:
            return self._finest(symbol.market, symbol.name, block)
        is_short = width is not None and width < HOUR_MS
        aggregated = self._minutes if is_short else self._hours
        return aggregated(symbol.market, symbol.name, interval, block)

    def _new_coarser(
        self, market: TradeType, name: str, interval: Interval, block: tuple[int, int]
    ) -> pl.DataFrame:
        return aggregate(self._finest(market, name, block), interval)

    def _new_finest(
        self, market: TradeType, name: str, block: tuple[int, int]
    ) -> pl.DataFrame:
        symbol = self.universe.symbol(market, name)
        return self.finest_bars(symbol, start_ms=block[0], end_ms=block[1])


def is_trading(
    universe: Universe, symbol: Symbol, time: pl.Expr, *, start_ms: int, end_ms: int
) -> pl.Expr:
    """Check for each `time` (ms) of a range whether the symbol has bars."""
    spans = universe.trading_spans(symbol, start_ms=start_ms, end_ms=end_ms)
    return pl.any_horizontal(
        pl.lit(value=False), *(time.is_between(a, b - 1) for a, b in spans)
    )


def no_bars() -> pl.DataFrame:
    """Return a frame of bars without rows."""
    return pl.DataFrame(schema=dict.fromkeys(("open_time", *PRICES, *SUMMED), pl.Int64))


def aggregate(bars: pl.DataFrame, interval: Interval) -> pl.DataFrame:
    """Return the bars of a coarser `interval` that `bars` add up to.

    As of the exchange, prices are those of bars with trades, where there are any.
    """
    time = pl.col("open_time")
    width = width_ms(interval)
    if width is None:
        label = time.cast(pl.Datetime("ms")).dt.truncate("1mo").cast(pl.Int64)
    else:
        anchor = bar_open(interval, 0)
        label = (time - anchor) // width * width + anchor
    traded = (pl.when(pl.col("trade_count") > 0).then(name) for name in PRICES)
    opens, highs, lows, closes = traded
    return bars.group_by(label.alias("open_time"), maintain_order=True).agg(
        pl.coalesce(opens.first(ignore_nulls=True), pl.col("open").first()),
        pl.coalesce(highs.max(), pl.col("high").max()),
        pl.coalesce(lows.min(), pl.col("low").min()),
        pl.coalesce(closes.last(ignore_nulls=True), pl.col("close").last()),
        *(pl.col(name).sum() for name in SUMMED),
    )


def _so_far(bar: pl.DataFrame, elapsed_ms: int, step_ms: int) -> pl.DataFrame:
    """Return one bar of the finest interval as it stands before its end.

    Its close is still its open, and its volumes are what they will be in
    proportion to the time, rounded up.
    """
    traded = (pl.col(*SUMMED) * elapsed_ms + step_ms - 1) // step_ms
    return bar.with_columns(traded, close=pl.col("open"))
