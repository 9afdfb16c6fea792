"""Price and volume of the symbols with the most time in gaps."""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from bhds import layout
from bhds.core.timegrid import TIME
from bhds.io import storage
from bhds.report.inputs import of_first_series

_SYMBOLS = 6
_POINTS = 800
"""Maximum number of windows into which the bars of a picture are aggregated."""
_MARKED = 200
"""Maximum number of gaps marked in a picture, the longest."""

BARS = ("open_time", "high", "low", "close", "volume", "source")
"""Columns read from a result."""


@dataclass(frozen=True)
class Picture:
    """Data of the picture of one symbol."""

    market: str
    series: str
    symbol: str
    windows: pl.DataFrame
    """See `windows_of`."""
    gaps: pl.DataFrame
    """The gaps that are marked: `begin`, `end` (UTC) and `class`, in time order."""
    gaps_in_all: int


def richest(gaps: pl.DataFrame) -> list[tuple[str, str, str]]:
    """Return the symbols with most time in gaps.

    Parameters
    ----------
    gaps
        n >= 0 rows of `quality_tables.CLASSIFIED_GAPS`, with `market` and `series`.

    Returns
    -------
    list of tuple
        Market, series (`klines 1m`) and symbol, at most six, of the first series of
        each market. The time after the last trade does not count.
    """
    found = (
        of_first_series(gaps)
        .filter(pl.col("class") != "delisted_tail")
        .group_by("market", "series", "symbol")
        .agg(pl.col("duration").sum())
        .sort("duration", "market", "symbol", descending=[True, False, False])
        .head(_SYMBOLS)
    )
    return found.select("market", "series", "symbol").rows()


def windows_of(bars: pl.DataFrame) -> pl.DataFrame:
    """Aggregate bars into windows of equal length.

    Parameters
    ----------
    bars
        n >= 1 bars of a result, sorted by `open_time`, with the columns `BARS`.

    Returns
    -------
    polars.DataFrame
        At most 800 windows: `open_time` (UTC), the start; `close`, `low`, `high` of the
        bars that were published, null where none was; `volume`, the sum. Windows
        without bars, as between segments, are rows of nulls, so that lines break.
    """
    first, last = bars["open_time"][0], bars["open_time"][-1]
    length = _window(bars["open_time"])
    place = (pl.col("open_time") - first).dt.total_microseconds() // (
        length // dt.timedelta(microseconds=1)
    )
    published = pl.col("source") != "filled"
    windows = (
        bars.lazy()
        .group_by(place=place)
        .agg(
            pl.col("close").filter(published).last(),
            pl.col("low").filter(published).min(),
            pl.col("high").filter(published).max(),
            pl.col("volume").sum(),
        )
        .collect()
    )
    starts = pl.select(
        open_time=pl.datetime_range(first, last, interval=length, eager=False)
    )
    return (
        starts.with_row_index("place")
        .cast({"place": pl.Int64, "open_time": TIME})
        .join(windows, on="place", how="left", maintain_order="left")
        .drop("place")
    )


def picture(
    gaps: pl.DataFrame, *, market: str, series: str, symbol: str, data_dir: Path
) -> Picture | None:
    """Read the result of a symbol, and choose the gaps that are marked.

    Parameters
    ----------
    gaps
        The gaps of all symbols, as `richest` takes them.
    market, series, symbol
        The symbol that is drawn: one of `richest`.
    data_dir
        The data directory.

    Returns
    -------
    Picture or None
        None for a symbol whose result has no bars.

    Raises
    ------
    ResultError
        If its result cannot be read.
    """
    interval = series.rsplit(" ", maxsplit=1)[-1]
    path = data_dir / layout.result(market, interval, symbol)
    bars = storage.read_rows(path, columns=BARS)
    if bars.is_empty():
        return None
    of_symbol = gaps.filter(
        pl.col("market") == market,
        pl.col("series") == series,
        pl.col("symbol") == symbol,
        pl.col("class") != "delisted_tail",
    )
    marked = (
        of_symbol.top_k(_MARKED, by="duration")
        .select(
            "class",
            begin="prev_open_time",
            end=pl.col("prev_open_time") + pl.col("duration"),
        )
        .sort("begin")
    )
    return Picture(market, series, symbol, windows_of(bars), marked, of_symbol.height)


def _window(times: pl.Series) -> dt.timedelta:
    """Return the shortest multiple of the interval with at most `_POINTS` windows."""
    spacing = times.diff().min()
    if not isinstance(spacing, dt.timedelta):  # a single bar
        return dt.timedelta(days=1)
    whole: dt.timedelta = times[-1] - times[0] + spacing
    bars_in_one = -(-whole // (spacing * _POINTS))
    return spacing * bars_in_one
