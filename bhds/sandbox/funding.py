"""Funding events of the perpetuals."""

import polars as pl

from bhds.sandbox.bars import is_trading
from bhds.sandbox.draws import bit_field, draw, stream_key
from bhds.sandbox.timegrid import HOUR_MS, to_ms
from bhds.sandbox.universe import Symbol, Universe

_RATE_MEAN = 6_000
_RATE_REACH = 16_000
_DIVIDEND = -250_000
"""What longs get of a dividend, in units of 1e-8."""


def funding_events(
    universe: Universe, symbol: Symbol, *, start_ms: int, end_ms: int
) -> pl.DataFrame:
    """Return the funding events that are due in a range (its end is outside).

    Returns
    -------
    polars.DataFrame
        Sorted by `due_time` and then `rate_type`: `due_time` (ms, on the hour),
        `calc_time` (ms, 0 to 15 ms later, half of them on the hour), `hours` (since
        the event before), `rate` (units of 1e-8), all Int64, and `rate_type`:
        `Regular`, or `Special` for a dividend. None while the symbol is halted, and
        none for what is not a perpetual.
    """
    if not symbol.is_perpetual:
        start_ms = end_ms
    trading = is_trading(
        universe, symbol, pl.col("due_time"), start_ms=start_ms, end_ms=end_ms
    )
    now, before = symbol.funding_interval_hours, symbol.funding_interval_before
    if before is None:
        due = _due(symbol, now, start_ms, end_ms)
    else:
        # The one that is due at the change is due after the hours of before.
        change_ms = to_ms(before.until) + 1
        early = _due(symbol, before.hours, start_ms, min(end_ms, change_ms))
        late = _due(symbol, now, max(start_ms, change_ms), end_ms)
        due = pl.concat([early, late])
    key = stream_key(universe.seed, symbol.market, symbol.name, "funding")
    drawn = draw(due["due_time"] // HOUR_MS, key)
    is_late = bit_field(drawn, offset=0, width=1)
    jitter = bit_field(drawn, offset=1, width=4)
    share = bit_field(drawn, offset=8, width=16)
    regular = due.select(
        "due_time",
        calc_time=pl.col("due_time") + is_late * jitter,
        hours="hours",
        rate=_RATE_MEAN + (2 * share - 65_536) * _RATE_REACH // 65_536,
        rate_type=pl.lit("Regular"),
    ).filter(trading)
    dividends = [to_ms(moment) for moment in symbol.dividends]
    special = regular.filter(pl.col("due_time").is_in(dividends)).with_columns(
        rate=pl.lit(_DIVIDEND, pl.Int64), rate_type=pl.lit("Special")
    )
    return pl.concat([regular, special]).sort("due_time", "rate_type")


def _due(symbol: Symbol, hours: int, start_ms: int, end_ms: int) -> pl.DataFrame:
    """Return when funding is due in a range, every so many hours."""
    every = hours * HOUR_MS
    # The first event is due a whole interval after the listing at the earliest.
    start_ms = max(start_ms, to_ms(symbol.listed) + every)
    first = -(-start_ms // every) * every
    due = pl.int_range(first, max(first, end_ms), every, dtype=pl.Int64, eager=True)
    return pl.DataFrame({"due_time": due}).with_columns(hours=pl.lit(hours, pl.Int64))
