"""Bars of every interval, in whole units, at any place of a symbol's life.

The price is drawn between fixed knots: the coarsest are half a year apart, and each
finer scale is interpolated between the knots of the one above and then displaced at
random, down to the single bar. So it is continuous, wanders like a market, and can be
had at any place without what came before. Everything is whole numbers: sums of bars
are exact, and the same on every machine.

A frame of bars is sorted by unique `open_time` and holds Int64 columns only:
`open_time` (ms), `open`, `high`, `low`, `close` (units of the price's last decimal),
`volume`, `taker_volume` (units of the quantity's last decimal), `amount`,
`taker_amount` (quote currency in units of the price's and the quantity's last
decimals together; cm: base coin in units of 1e-8), `trade_count`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import polars as pl

from bhds.markets import Frequency, Interval, TradeType
from bhds.sandbox.draws import bit_field, draw, stream_key
from bhds.sandbox.timegrid import (
    DAY_MS,
    HOUR_MS,
    anchor_ms,
    bar_end,
    bar_open,
    periods,
    to_ms,
    width_ms,
)
from bhds.sandbox.universe import Symbol, Universe

REVISION = 1
"""Raise by one when the same universe must yield other bars."""

SUMMED = ("volume", "amount", "trade_count", "taker_volume", "taker_amount")
"""The columns that add up when bars are aggregated."""

_PART = 1_000_000_000
_BITS = 24
_HALF = 1 << (_BITS - 1)
_LONGEST_SCALE_MS = 180 * DAY_MS
_SCALE_RATIO = 4
_ANCHOR_STEPS = 32
"""Every bar whose number is a multiple of this has trades, so that the last close
before any bar is found by looking back no further."""


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
        share = symbol.volatility * _PART / (2**count - 1)
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
        price = level * (pl.col("distance") + _PART) // _PART
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


class KlineSource:
    """The bars of all symbols of a universe; safe for use by several threads."""

    def __init__(self, universe: Universe) -> None:
        self.universe = universe
        self._path = lru_cache(maxsize=None)(self._new_path)
        self._finest = lru_cache(maxsize=16)(self._new_finest)
        # A month of minutes is 3.5 MB; of hours, 60 KB.
        self._minutes = lru_cache(maxsize=16)(self._new_coarser)
        self._hours = lru_cache(maxsize=1024)(self._new_coarser)

    def path(self, symbol: Symbol) -> PricePath:
        """Return the price path of `symbol`."""
        return self._path(symbol.market, symbol.name)

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
            frames = [
                self._block(symbol, interval, block)
                for block in _blocks(symbol, start_ms=start_ms, end_ms=end_ms)
            ]
            frame = pl.concat(frames)
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

    def _new_path(self, market: TradeType, name: str) -> PricePath:
        return PricePath(self.universe, self.universe.symbol(market, name))

    def _new_coarser(
        self, market: TradeType, name: str, interval: Interval, block: tuple[int, int]
    ) -> pl.DataFrame:
        return aggregate(self._finest(market, name, block), interval)

    def _new_finest(
        self, market: TradeType, name: str, block: tuple[int, int]
    ) -> pl.DataFrame:
        symbol = self.universe.symbol(market, name)
        return _finest_bars(
            self.universe, symbol, self.path(symbol), start_ms=block[0], end_ms=block[1]
        )


def no_bars() -> pl.DataFrame:
    """Return a frame of bars without rows."""
    names = ("open_time", "open", "high", "low", "close", *SUMMED)
    return pl.DataFrame(schema=dict.fromkeys(names, pl.Int64))


def aggregate(bars: pl.DataFrame, interval: Interval) -> pl.DataFrame:
    """Return the bars of a coarser `interval` that `bars` add up to."""
    time = pl.col("open_time")
    width = width_ms(interval)
    if width is None:
        label = time.cast(pl.Datetime("ms")).dt.truncate("1mo").cast(pl.Int64)
    else:
        anchor = anchor_ms(interval)
        label = (time - anchor) // width * width + anchor
    return bars.group_by(label.alias("open_time"), maintain_order=True).agg(
        pl.col("open").first(),
        pl.col("high").max(),
        pl.col("low").min(),
        pl.col("close").last(),
        *(pl.col(name).sum() for name in SUMMED),
    )


def _blocks(symbol: Symbol, *, start_ms: int, end_ms: int) -> Iterator[tuple[int, int]]:
    """Yield the ranges, a month or (with 1s bars) a day each, that are kept whole."""
    frequency = Frequency.DAILY if symbol.seconds else Frequency.MONTHLY
    for period in periods(frequency, start_ms=start_ms, end_ms=end_ms):
        yield period.start_ms, period.end_ms


def _finest_bars(
    universe: Universe, symbol: Symbol, path: PricePath, *, start_ms: int, end_ms: int
) -> pl.DataFrame:
    """Return the bars of the symbol's finest interval that open in a range."""
    step = symbol.step_ms
    first = start_ms // step // _ANCHOR_STEPS * _ANCHOR_STEPS
    last = end_ms // step
    spans = universe.trading_spans(symbol, start_ms=first * step, end_ms=end_ms)
    trading = pl.any_horizontal(
        pl.lit(value=False),
        *(pl.col("number").is_between(a // step, b // step - 1) for a, b in spans),
    )
    ticks = path.ticks(first, last)
    number = pl.int_range(first, last, dtype=pl.Int64, eager=True)
    key = stream_key(universe.seed, symbol.market, symbol.name, "bar")
    drawn = draw(number, key)
    return (
        pl.DataFrame({"number": number, "start": ticks[:-1], "close": ticks[1:]})
        .with_columns(_random_fields(drawn))
        .filter(trading)
        .pipe(_with_prices, symbol, path)
        .pipe(_with_volumes, symbol)
        .pipe(_quieten, symbol)
        .filter(pl.col("number") >= start_ms // step)
        .select(
            (pl.col("number") * step).alias("open_time"),
            pl.col("open", "high", "low", "close") * symbol.tick_units,
            *SUMMED,
        )
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
        bars.with_columns(open=bounced.clip(lower_bound=1), reach=reach // _PART + 2)
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
    size = max(1, int(symbol.quantity_per_trade.scaleb(symbol.quantity_decimals)))
    count = pl.col("trade_count")
    bars = (
        bars.with_columns(trade_count=1 + (2 * trades - 1) * pl.col("busy") // 1024)
        .with_columns(volume=count + 2 * (size - 1) * count * pl.col("large") // 1024)
        .with_columns(taker_volume=pl.col("volume") * pl.col("taken") // 255)
    )
    price = pl.col("average") * symbol.tick_units
    volumes = pl.col("volume", "taker_volume")
    if symbol.market is TradeType.CM_FUTURES:
        unit = symbol.contract_size * 10 ** (8 + symbol.price_decimals)
        amounts = volumes * unit // price
    else:
        amounts = volumes * price
    return bars.with_columns(amounts.name.replace("volume", "amount"))


def _quieten(bars: pl.DataFrame, symbol: Symbol) -> pl.DataFrame:
    """Let some bars be without trades: flat at the close before them."""
    number = pl.col("number")
    quiet = (
        (pl.col("quiet") < round(symbol.quiet_share * 1024))
        & (number % _ANCHOR_STEPS != 0)
        & (number.diff() == 1)
    ).fill_null(value=False)
    bars = bars.with_columns(quiet=quiet)
    last_close = pl.when(~pl.col("quiet")).then("close").forward_fill()
    return bars.with_columns(
        *(
            pl.when("quiet").then(last_close).otherwise(name).alias(name)
            for name in ("open", "high", "low", "close")
        ),
        *(pl.when("quiet").then(0).otherwise(name).alias(name) for name in SUMMED),
    )


def _so_far(bar: pl.DataFrame, elapsed_ms: int, step_ms: int) -> pl.DataFrame:
    """Return one bar of the finest interval as it stands before its end.

    Its close is still its open, and its volumes are what they will be in
    proportion to the time, rounded up.
    """
    traded = (pl.col(*SUMMED) * elapsed_ms + step_ms - 1) // step_ms
    return bar.with_columns(traded, close=pl.col("open"))
