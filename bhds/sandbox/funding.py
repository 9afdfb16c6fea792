"""Funding events of the perpetuals."""

import polars as pl

from bhds.sandbox.bars import is_trading
from bhds.sandbox.draws import bit_field, draw, stream_key
from bhds.sandbox.timegrid import HOUR_MS, to_ms
from bhds.sandbox.universe import Symbol, Universe

_RATE_MEAN = 6_000
_RATE_REACH = 16_000


def funding_events(
    universe: Universe, symbol: Symbol, *, start_ms: int, end_ms: int
) -> pl.DataFrame:
    """Return the funding events that are due in a range (its end is outside).

    Returns
    -------
    polars.DataFrame
        Sorted by unique `due_time`, all Int64: `due_time` (ms, on the hour),
        `calc_time` (ms, 0 to 15 ms later, half of them on the hour), `hours` (since
        the event before), `rate` (units of 1e-8). None while the symbol is halted,
        and none for what is not a perpetual.
    """
    if not symbol.is_perpetual:
        start_ms = end_ms
    every = symbol.funding_interval_hours * HOUR_MS
    # The first event is due a whole interval after the listing at the earliest.
    start_ms = max(start_ms, to_ms(symbol.listed) + every)
    trading = is_trading(
        universe, symbol, pl.col("due_time"), start_ms=start_ms, end_ms=end_ms
    )
    first = -(-start_ms // every) * every
    due = pl.int_range(first, max(first, end_ms), every, eager=True)
    key = stream_key(universe.seed, symbol.market, symbol.name, "funding")
    drawn = draw(due // HOUR_MS, key)
    is_late = bit_field(drawn, offset=0, width=1)
    jitter = bit_field(drawn, offset=1, width=4)
    share = bit_field(drawn, offset=8, width=16)
    hours = pl.lit(symbol.funding_interval_hours, dtype=pl.Int64)
    return (
        pl.DataFrame({"due_time": due, "calc_time": due + is_late * jitter})
        .with_columns(
            hours=hours, rate=_RATE_MEAN + (2 * share - 65_536) * _RATE_REACH // 65_536
        )
        .filter(trading)
    )
