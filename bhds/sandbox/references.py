"""The bars of prices that nobody trades at: index, mark price and premium index.

They hang together and with the trades: at every minute the index is the price path of
the symbol, the premium index is drawn, and the mark price is the index and as much
more as the premium says.

Prices are in units of 1e-8; the columns of volumes are 0, and `trade_count` is how
often the value was computed. There are bars where the symbol has bars (ASSUME: none
while it is halted).
"""

from collections.abc import Callable
from enum import StrEnum

import polars as pl

from bhds.sandbox.bars import PRICES, SUMMED, BarSource, is_trading
from bhds.sandbox.draws import bit_field, draw, stream_key
from bhds.sandbox.pricepath import PricePath
from bhds.sandbox.timegrid import MINUTE_MS
from bhds.sandbox.universe import Symbol, Universe

REVISION = 2
"""Raise by one when the same universe must yield other bars."""

REFERENCE_DECIMALS = 8

_PREMIUM_BITS = 17
_PREMIUM_MEAN = -20_000
"""In units of 1e-8, as the premium: 2 of 10,000 below the index."""


class Reference(StrEnum):
    """A price that is computed and not traded."""

    MARK = "mark"
    INDEX = "index"
    PREMIUM = "premium"


_COUNTS = {Reference.MARK: 60, Reference.INDEX: 60, Reference.PREMIUM: 12}
"""How often each is computed in a minute, as genuine files count."""


class ReferenceSource(BarSource):
    """The bars of one kind of reference price, of all futures of a universe."""

    def __init__(
        self,
        universe: Universe,
        kind: Reference,
        path: Callable[[Symbol], PricePath],
    ) -> None:
        super().__init__(universe)
        self._kind = kind
        self._path = path

    def finest_bars(
        self, symbol: Symbol, *, start_ms: int, end_ms: int
    ) -> pl.DataFrame:
        """Make the bars of a minute that open in a range."""
        start_ms, end_ms = symbol.listed_part(start_ms, end_ms)
        first, last = start_ms // MINUTE_MS, end_ms // MINUTE_MS
        value = self._values(symbol, first, last)
        number = pl.int_range(first, last, dtype=pl.Int64, eager=True)
        key = stream_key(
            self.universe.seed, symbol.market, symbol.name, "reference", self._kind
        )
        drawn = draw(number, key)
        begin, end = pl.col("open"), pl.col("close")
        reach = (begin - end).abs() + 1_000
        above, below = (bit_field(drawn, offset=at, width=8) for at in (0, 8))
        return (
            pl.DataFrame(
                {
                    "open_time": number * MINUTE_MS,
                    "open": value[:-1],
                    "close": value[1:],
                }
            )
            .with_columns(
                high=pl.max_horizontal(begin, end) + reach * above // 512,
                low=pl.min_horizontal(begin, end) - reach * below // 512,
                **dict.fromkeys(SUMMED, pl.lit(0, pl.Int64)),
            )
            .with_columns(trade_count=pl.lit(_COUNTS[self._kind], pl.Int64))
            .filter(
                is_trading(
                    self.universe,
                    symbol,
                    pl.col("open_time"),
                    start_ms=start_ms,
                    end_ms=end_ms,
                )
            )
            .select("open_time", *PRICES, *SUMMED)
        )

    def _values(self, symbol: Symbol, first: int, last: int) -> pl.Series:
        """Return the values at the minutes `first` to `last`, both included."""
        premium = self._premium(symbol, first, last)
        if self._kind is Reference.PREMIUM:
            return premium
        path = self._path(symbol).ticks(first, last)
        unit = symbol.tick_units * 10 ** (REFERENCE_DECIMALS - symbol.price_decimals)
        index: pl.Series = path * unit
        if self._kind is Reference.INDEX:
            return index
        # In two steps, because the product of both does not fit into 64 bits.
        mark: pl.Series = index + index // 10_000 * premium // 10_000
        return mark

    def _premium(self, symbol: Symbol, first: int, last: int) -> pl.Series:
        number = pl.int_range(first, last + 1, dtype=pl.Int64, eager=True)
        key = stream_key(self.universe.seed, symbol.market, symbol.name, "premium")
        drawn = bit_field(draw(number, key), offset=0, width=_PREMIUM_BITS)
        return drawn - (1 << _PREMIUM_BITS - 1) + _PREMIUM_MEAN
