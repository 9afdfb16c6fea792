"""Generate the bars of trading, in whole units, at any time of a symbol.

Everything is whole numbers: sums of bars are exact, and the same on every machine.

Prices are in units of the price's last decimal; `volume` and `taker_volume` in units
of the quantity's last decimal; `amount` and `taker_amount` in quote currency, in units
of the price's and the quantity's last decimals together (cm: base coin in units of
1e-8).
"""

from functools import cache

import polars as pl

from bhds.sandbox.bars import PRICES, SUMMED, BarSource, is_trading
from bhds.sandbox.draws import bit_field, draw, stream_key
from bhds.sandbox.pricepath import PART, PricePath
from bhds.sandbox.references import Reference, ReferenceSource
from bhds.sandbox.tape import Tape, amount_of, expand, traded_bars
from bhds.sandbox.timegrid import DAY_MS
from bhds.sandbox.universe import SATURDAY, Symbol, Universe

REVISION = 1
"""Raise by one when the same universe must yield other bars."""

_ANCHOR_STEPS = 32
"""Every bar whose number is a multiple of this has trades, so that the last close
before any bar is found by looking back no further. Days begin with such bars. Only
the week-ends of `quiet_weekends` are longer."""
_WEEKEND_MS = 2 * DAY_MS


class KlineSource(BarSource):
    """The bars of all symbols of a universe, and what else follows from its prices.

    Safe for use by several threads.
    """

    def __init__(self, universe: Universe) -> None:
        super().__init__(universe)
        self._path = cache(lambda *name: PricePath(universe, universe.symbol(*name)))
        self.tape = Tape(universe, self._drafts)
        """The trades, of the symbols that publish them."""
        self.references = {
            kind: ReferenceSource(universe, kind, self.path) for kind in Reference
        }
        """The bars of the prices that are not traded."""

    def path(self, symbol: Symbol) -> PricePath:
        """Return the price path of `symbol`."""
        return self._path(symbol.market, symbol.name)

    def finest_bars(
        self, symbol: Symbol, *, start_ms: int, end_ms: int
    ) -> pl.DataFrame:
        """Make the bars of the symbol's finest interval that open in a range."""
        drafts = self._drafts(symbol, start_ms, end_ms)
        if not symbol.trades_published:
            return drafts
        return traded_bars(drafts, expand(drafts, symbol, seed=self.universe.seed))

    def _drafts(self, symbol: Symbol, start_ms: int, end_ms: int) -> pl.DataFrame:
        """Draw the finest bars; they stand unless the symbol has a tape."""
        step, path = symbol.step_ms, self.path(symbol)
        start_ms, end_ms = symbol.listed_part(start_ms, end_ms)
        # As far back as to know the close before the first bar.
        weekend = _WEEKEND_MS // step if symbol.quiet_weekends else 0
        first = ((start_ms // step - weekend) // _ANCHOR_STEPS - 1) * _ANCHOR_STEPS
        last = end_ms // step
        time = pl.col("number") * step
        trading = is_trading(
            self.universe, symbol, time, start_ms=first * step, end_ms=end_ms
        )
        ticks = path.ticks(first, last)
        number = pl.int_range(first, last, dtype=pl.Int64, eager=True)
        key = stream_key(self.universe.seed, symbol.market, symbol.name, "bar")
        bars = (
            pl.DataFrame({"number": number, "start": ticks[:-1], "close": ticks[1:]})
            .with_columns(_random_fields(draw(number, key)))
            .filter(trading)
            .pipe(_with_prices, symbol, path)
            .pipe(_with_volumes, symbol)
            .pipe(_quieten, symbol)
        )
        if symbol.trades_published:
            bars = _with_joined_opens(bars)
        return bars.filter(pl.col("number") >= start_ms // step).select(
            time.alias("open_time"), pl.col(*PRICES) * symbol.tick_units, *SUMMED
        )


_FIELD_WIDTHS = {
    "bounce": 2,
    "above": 8,
    "below": 8,
    "middle": 8,
    "busy": 10,
    "large": 10,
    "taken": 8,
    "quiet": 10,
}
"""How the 64 random bits of a bar are shared out."""


def _random_fields(drawn: pl.Series) -> list[pl.Series]:
    """Return one column (Int64, from 0 on) for each use of a bar's random bits."""
    fields, offset = [], 0
    for name, width in _FIELD_WIDTHS.items():
        fields.append(bit_field(drawn, offset=offset, width=width).alias(name))
        offset += width
    return fields


def _with_prices(bars: pl.DataFrame, symbol: Symbol, path: PricePath) -> pl.DataFrame:
    """Add open, high, low and average price, in ticks."""
    # Up to a tick off the last close, as where bid and ask take turns.
    bounced = pl.col("start") + pl.col("bounce") % 3 - 1
    reach = pl.col("start") * (path.bar_amplitude if symbol.volatility else 0)
    return (
        bars.with_columns(open=bounced.clip(lower_bound=1), reach=reach // PART + 2)
        .with_columns(
            high=pl.max_horizontal("open", "close")
            + pl.col("reach") * pl.col("above") // 256,
            low=(
                pl.min_horizontal("open", "close")
                - pl.col("reach") * pl.col("below") // 256
            ).clip(lower_bound=1),
        )
        .with_columns(
            average=pl.col("low")
            + (pl.col("high") - pl.col("low")) * pl.col("middle") // 256
        )
    )


def _with_volumes(bars: pl.DataFrame, symbol: Symbol) -> pl.DataFrame:
    """Add trades, volumes and what these were worth at the average price.

    Each trade has at least the smallest quantity.
    """
    trades = max(1, symbol.trades_per_minute * symbol.step_ms // 60_000)
    size = symbol.units_per_trade
    # One that is at the open, where they are published, and another at the close.
    fewest = 2 if symbol.trades_published else 1
    count = pl.col("trade_count")
    bars = (
        bars.with_columns(trade_count=1 + (2 * trades - 1) * pl.col("busy") // 1024)
        .with_columns(count.clip(lower_bound=fewest))
        .with_columns(volume=count + 2 * (size - 1) * count * pl.col("large") // 1024)
        .with_columns(taker_volume=pl.col("volume") * pl.col("taken") // 255)
    )
    price = pl.col("average") * symbol.tick_units
    return bars.with_columns(
        amount=amount_of(symbol, pl.col("volume"), price=price),
        taker_amount=amount_of(symbol, pl.col("taker_volume"), price=price),
    )


def _quieten(bars: pl.DataFrame, symbol: Symbol) -> pl.DataFrame:
    """Remove the trades of some bars: flat at the previous close."""
    number = pl.col("number")
    quiet = (
        (pl.col("quiet") < round(symbol.quiet_share * 1024))
        & (number % _ANCHOR_STEPS != 0)
        & (number.diff() == 1)
    ).fill_null(value=False)
    if symbol.quiet_weekends:
        day = (number * symbol.step_ms).cast(pl.Datetime("ms")).dt.weekday()
        quiet |= day > SATURDAY  # Polars counts from 1 on
    bars = bars.with_columns(quiet=quiet)
    last_close = pl.when(~pl.col("quiet")).then("close").forward_fill()
    return bars.with_columns(
        *(
            pl.when("quiet").then(last_close).otherwise(name).alias(name)
            for name in PRICES
        ),
        *(pl.when("quiet").then(0).otherwise(name).alias(name) for name in SUMMED),
    )


def _with_joined_opens(bars: pl.DataFrame) -> pl.DataFrame:
    """Set the open of bars after one without trades to its price.

    A resampled bar that begins with one without trades then has the same prices from
    bars (that one is flat at the last close) and from trades.
    """
    is_after_quiet = pl.col("quiet").shift(1) & (pl.col("number").diff() == 1)
    opened = pl.when(is_after_quiet).then(pl.col("close").shift(1)).otherwise("open")
    return bars.with_columns(open=opened)
