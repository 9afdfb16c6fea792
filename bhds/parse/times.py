"""Check that the times of a file are times, in one unit, and of its own period.

Archive values are milliseconds, and microseconds for spot from 2025-01-01
(binance/binance-public-data, README); the magnitude shows which. Some data types
have text at a resolution of seconds instead (#381 there).
"""

import datetime as dt
from typing import Any

import polars as pl

from bhds.archive.integrity.zip_input import FilePeriod, day_us, utc_time
from bhds.core.errors import ParseError
from bhds.core.markets import Interval
from bhds.parse.csv_reader import CsvBody
from bhds.parse.expected_rows import duration_us, earliest_open_us
from bhds.schemas.csv_table import Form, Table

_FACTORS = {"ms": 1_000, "us": 1, "s": 1}  # text has been read as µs
_UNITS = {
    "ms": range(10**12, 10**14),  # 2001-09-09 to 5138-11-16
    "us": range(10**15, 10**17),
}


def microseconds(time: pl.Expr) -> pl.Expr:
    """Bring checked times, each in ms or µs by its magnitude, to microseconds."""
    scaled = pl.when(time < _UNITS["us"].start).then(time * _FACTORS["ms"])
    return scaled.otherwise(time)


def check_times(
    rows: pl.DataFrame,
    *,
    body: CsvBody,
    period: FilePeriod,
    table: Table,
    interval: Interval | None,
) -> str | None:
    """Return the unit of a file's times.

    Parameters
    ----------
    rows
        n >= 0 rows in the file's order: the table's times as `read_bodies` returns
        them, Int64 as published (`EPOCH`) or `TIME` (`CLOCK`).
    body
        The CSV, for line numbers.
    period
        What the file's name says it covers.
    table
        What the CSV holds.
    interval
        Spacing of the bars; None if the rows are no bars.

    Returns
    -------
    str or None
        `"ms"` or `"us"`; `"s"` for text; None if there are no rows.

    Raises
    ------
    ParseError
        If a value is no time in either unit, the units are mixed, or
        `table.published_time` is outside the period by more than `table.slack`. Of
        bars: if one opens outside the period, or closes more than a bar's length
        after it; a bar longer than a day may have opened before the period that it
        reaches into.
    """
    if rows.is_empty():
        return None
    times = {field.name: rows[field.name] for field in table.fields if field.is_time}
    is_text = table.published_time.kind is Form.CLOCK
    if is_text:
        times = {name: time.to_physical() for name, time in times.items()}
    extremes: dict[str, tuple[Any, Any]] = {
        name: (time.min(), time.max()) for name, time in times.items()
    }
    unit = "s" if is_text else _common_unit(times, extremes=extremes, body=body)
    factor = _FACTORS[unit]
    limits = _limits(table, period=period, interval=interval)
    for name, (begin, end) in limits.items():
        low, high = extremes[name]
        if low * factor >= begin and high * factor < end:
            continue
        time_us = times[name] * factor
        row = ((time_us < begin) | (time_us >= end)).arg_max() or 0
        published = "" if is_text else f"{times[name][row]} is "
        give_or_take = f", give or take {table.slack}" if table.slack else ""
        msg = (
            f"line {body.line(row)}: {name} {published}{utc_time(time_us[row])}: "
            f"expected a time of {period}{give_or_take}"
        )
        raise ParseError(msg)
    return unit


def check_unit(unit: str | None, before: str | None, *, line: int) -> None:
    """Check that rows from a line on have the unit of those before; None: no rows.

    Raises
    ------
    ParseError
        If they have not.
    """
    if unit is not None and before not in {None, unit}:
        msg = f"line {line}: times in {unit}: expected {before}, as in the lines before"
        raise ParseError(msg)


def _limits(
    table: Table, *, period: FilePeriod, interval: Interval | None
) -> dict[str, tuple[int, int]]:
    """Return from when (included) to when the fields' times may be, in µs."""
    begin, end = day_us(period.begin), day_us(period.end)
    if interval is None:
        slack = table.slack // dt.timedelta(microseconds=1)
        return {table.published_time.name: (begin - slack, end + slack)}
    earliest = earliest_open_us(period.begin, interval)
    latest_close = end + duration_us(interval)
    return {
        field.name: (earliest, end if field is table.published_time else latest_close)
        for field in table.fields
        if field.is_time
    }


def _common_unit(
    times: dict[str, pl.Series],
    *,
    extremes: dict[str, tuple[int, int]],
    body: CsvBody,
) -> str:
    """Return the unit that all times of a file share, or name the first that errs.

    The extremes decide it: values between two of one magnitude are of that too.
    """
    units = {_unit(time) for pair in extremes.values() for time in pair}
    if len(units) == 1 and (unit := units.pop()) is not None:
        return unit
    first = _unit(next(iter(times.values()))[0])
    row, name, time = next(
        (row, name, time)
        for row, values in enumerate(zip(*times.values(), strict=True))
        for name, time in zip(times, values, strict=True)
        if first is None or _unit(time) != first
    )
    expected = "a time in ms or µs since 1970"
    if first is not None and _unit(time) is not None:
        expected = f"{first}, as in the lines before"
    msg = f"line {body.line(row)}: {name} {time}: expected {expected}"
    raise ParseError(msg)


def _unit(time: int) -> str | None:
    """Return the unit of a time by its magnitude; None if it is no time at all."""
    for unit, values in _UNITS.items():
        if time in values:
            return unit
    return None
