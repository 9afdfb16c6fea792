"""The price of a symbol as a function of time, to be had at any place.

It is drawn between fixed knots: the coarsest are half a year apart, and each finer
scale is interpolated between the knots of the one above and then displaced at random,
down to the single bar. So it is continuous, wanders like a market, and can be had
without what came before. Everything is whole numbers: the same on every machine.
"""

from dataclasses import dataclass

import polars as pl

from bhds.sandbox.draws import bit_field, draw, stream_key
from bhds.sandbox.timegrid import DAY_MS, to_ms
from bhds.sandbox.universe import Symbol, Universe

PART = 1_000_000_000
"""Amplitudes are in parts per billion."""

_BITS = 24
_HALF = 1 << (_BITS - 1)
_LONGEST_SCALE_MS = 180 * DAY_MS
_SCALE_RATIO = 4


@dataclass(frozen=True)
class _Scale:
    """The random displacement of the knots of one time scale."""

    amplitude: int
    """Furthest displacement, in parts per billion of the price level."""
    key: int


class PricePath:
    """The price of one symbol as a function of the number of the bar.

    Bars of the symbol's finest interval are numbered from 1970 on.
    """

    def __init__(self, universe: Universe, symbol: Symbol) -> None:
        count = 1
        while symbol.step_ms * _SCALE_RATIO**count <= _LONGEST_SCALE_MS:
            count += 1
        # An amplitude of twice as much at four times the scale: a random walk.
        share = symbol.volatility * PART / (2**count - 1)
        name = (universe.seed, symbol.market, symbol.name, "price")
        self._scales = [
            _Scale(int(share * 2**order), stream_key(*name, order))
            for order in range(count)
        ]
        level = int(symbol.price / symbol.tick)
        self._levels = [(0, level)]
        for halt in universe.halts(symbol):
            if halt.price_change:
                level = level * round((1 + halt.price_change) * 1_000_000) // 1_000_000
                self._levels.append((to_ms(halt.end) // symbol.step_ms, level))

    @property
    def bar_amplitude(self) -> int:
        """How far the price may move within a bar, in parts per billion."""
        return 2 * self._scales[0].amplitude

    def ticks(self, first: int, last: int) -> pl.Series:
        """Return the prices, in ticks, at which the bars `first` to `last` open."""
        level = pl.lit(self._levels[0][1])
        for start, ticks in self._levels[1:]:
            level = pl.when(pl.col("number") >= start).then(ticks).otherwise(level)
        price = level * (pl.col("distance") + PART) // PART
        frame = pl.DataFrame(
            {
                "number": pl.int_range(first, last + 1, eager=True),
                "distance": self._distances(0, first, last),
            }
        )
        return frame.select(price.clip(lower_bound=1).alias("ticks"))["ticks"]

    def _distances(self, order: int, first: int, last: int) -> pl.Series:
        """Return how far the knots `first` to `last` are off the price level.

        Knots of a scale are numbered from 1970 on; those of order 0 are bars, and
        each scale's are 4 times as far apart as those of the one below. The values
        (Int64) are in parts per billion.
        """
        scale = self._scales[order]
        knot = pl.int_range(first, last + 1, dtype=pl.Int64, eager=True)
        drawn = bit_field(draw(knot, scale.key), offset=64 - _BITS, width=_BITS)
        # From -1 to 1 in units of 2 ** -(_BITS - 1).
        own = (drawn - _HALF) * scale.amplitude // _HALF
        if order + 1 == len(self._scales):
            return own
        start = first // _SCALE_RATIO
        coarse = self._distances(order + 1, start, last // _SCALE_RATIO + 1)
        before = knot // _SCALE_RATIO - start
        gone = knot % _SCALE_RATIO
        left, right = coarse.gather(before), coarse.gather(before + 1)
        return own + (left * (_SCALE_RATIO - gone) + right * gone) // _SCALE_RATIO
