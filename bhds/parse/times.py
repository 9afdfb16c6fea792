"""Check that the times of a file are times, in one unit, and of its own period.

Archive values are milliseconds, and microseconds for spot from 2025-01-01
(binance/binance-public-data, README); the magnitude tells which.
"""

from typing import Any

import polars as pl

from bhds.errors import ParseError
from bhds.markets import Interval
from bhds.parse.csv_bodies import CsvBody
from bhds.parse.grid import duration_us, earliest_open_us
from bhds.parse.inputs import Period, day_us, utc_time

_TIMES = ("open_time", "close_time")
_FACTORS = {"ms": 1_000, "us": 1}
_UNITS = {
    "ms": range(10**12, 10**14),  # 2001-09-09 to 5138-11-16
    "us": range(10**15, 10**17),
}


def microseconds(time: pl.Expr) -> pl.Expr:
    """Bring checked times, each in ms or µs by its magnitude, to microseconds."""
    scaled = pl.when(time < _UNITS["us"].start).then(time * _FACTORS["ms"])
    return scaled.otherwise(time)


def check_times(
    rows: pl.DataFrame, *, body: CsvBody, period: Period, interval: Interval
) -> str | None:
    """Return the unit of a file's times.

    Parameters
    ----------
    rows
        The file's n >= 0 rows in its order; `open_time`, `close_time` (Int64, as
        published).
    body
        The CSV, for line numbers.
    period
        What the file's name says it covers.
    interval
        Spacing of the bars.

    Returns
    -------
    str or None
        `"ms"` or `"us"`; None if there are no rows.

    Raises
    ------
    ParseError
        If a value is no time in either unit, the units are mixed, a bar opens
        outside the period, or closes more than a bar's length after it. A bar
        longer than a day may have opened before the period that it reaches into.
    """
    if rows.is_empty():
        return None
    extremes: dict[str, tuple[Any, Any]] = {
        name: (rows[name].min(), rows[name].max()) for name in _TIMES
    }
    unit = _common_unit(rows, extremes=extremes, body=body)
    factor = _FACTORS[unit]
    begin, end = earliest_open_us(period.begin, interval), day_us(period.end)
    limits = {"open_time": end, "close_time": end + duration_us(interval)}
    for name, (low, high) in extremes.items():
        if low * factor >= begin and high * factor < limits[name]:
            continue
        time_us = rows[name] * factor
        row = ((time_us < begin) | (time_us >= limits[name])).arg_max() or 0
        msg = (
            f"line {body.line(row)}: {name} {rows[name][row]} is "
            f"{utc_time(time_us[row])}: expected a time of {period}"
        )
        raise ParseError(msg)
    return unit


def _common_unit(
    rows: pl.DataFrame, *, extremes: dict[str, tuple[int, int]], body: CsvBody
) -> str:
    """Return the unit that all times of a file share, or name the first that errs.

    The extremes decide it: values between two of one magnitude are of that too.
    """
    units = {_unit(time) for pair in extremes.values() for time in pair}
    if len(units) == 1 and (unit := units.pop()) is not None:
        return unit
    first = _unit(rows[_TIMES[0]][0])
    row, name, time = next(
        (row, name, time)
        for row, times in enumerate(rows.select(_TIMES).iter_rows())
        for name, time in zip(_TIMES, times, strict=True)
        if first is None or _unit(time) != first
    )
    expected = "a time in ms or µs since 1970"
    if first is not None and _unit(time) is not None:
        expected = f"{first}, as in the lines before"
    msg = f"line {body.line(row)}: {name} {time}: expected {expected}"
    raise ParseError(msg)


def _unit(time: int) -> str | None:
    """Tell the unit of a time by its magnitude; None if it is no time at all."""
    for unit, values in _UNITS.items():
        if time in values:
            return unit
    return None
