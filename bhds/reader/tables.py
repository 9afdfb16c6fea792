"""Tables about the symbols and days of a market: segments, gaps and condition."""

from collections.abc import Iterable
from pathlib import Path

import polars as pl

from bhds import layout
from bhds.bars.split import segments_table
from bhds.reader.availability import CheckedSeries
from bhds.reader.files import BuiltMarket, Symbols, chosen, interval_of, of_results
from bhds.reader.frames import scan_files
from bhds.reader.period import Moment, TimeRange
from bhds.schemas import klines


def segments(
    trade_type: str,
    interval: str = "1m",
    *,
    symbols: Symbols = None,
    data_dir: Path | str | None = None,
) -> pl.DataFrame:
    """List the stretches between splitting gaps of each symbol.

    Parameters
    ----------
    trade_type, symbols, data_dir
        See `bhds.reader`.
    interval
        Of the results.

    Returns
    -------
    polars.DataFrame
        One row per segment, by symbol and number: `symbol`, `segment` (Int16, from 0),
        `first_open_time` and `last_open_time`, of its first and last bar.

    Raises
    ------
    ConfigError, ResultError, SelectionError
        As of `bhds.scan_klines`.
    """
    market = BuiltMarket.of(trade_type, data_dir)
    files = of_results(market.bars(interval), symbols, suffix=layout.RESULT_SUFFIX)
    schema = klines.result_klines(market.trade_type)
    bars = {file.symbol: scan_files([file], schema) for file in files}
    return segments_table(bars).drop("name")


def gaps(
    trade_type: str,
    interval: str = "1m",
    *,
    symbols: Symbols = None,
    start: Moment | None = None,
    end: Moment | None = None,
    data_dir: Path | str | None = None,
) -> pl.LazyFrame:
    """Scan the stretches without trades, and why they are there.

    Parameters
    ----------
    trade_type, symbols, data_dir
        See `bhds.reader`.
    interval
        Of the results.
    start, end
        Only gaps that overlap this time.

    Returns
    -------
    polars.LazyFrame
        `quality_tables.CLASSIFIED_GAPS`, one row per gap, by symbol and time.

    Raises
    ------
    ConfigError, ResultError, SelectionError
        As of `bhds.scan_klines`; ResultError too if quality was not built.
    """
    market, period = BuiltMarket.of(trade_type, data_dir), TimeRange.of(start, end)
    path = market.quality_table(f"gaps-{interval}")
    overlaps = []
    if period.end is not None:
        overlaps.append(pl.col("prev_open_time") < period.end)
    if period.start is not None:
        ends = pl.col("next_open_time")
        overlaps.append(ends.is_null() | (ends > period.start))
    table = pl.scan_parquet(path, glob=False)
    if symbols is None:
        return table.filter(*overlaps)
    # A symbol without gaps is not in the table, but each that was judged has days.
    judged = market.quality_table(CheckedSeries("klines", interval).condition)
    return table.filter(_named(symbols, where=judged), *overlaps)


def condition(
    trade_type: str,
    data_type: str = "klines",
    interval: str | None = None,
    *,
    symbols: Symbols = None,
    start: Moment | None = None,
    end: Moment | None = None,
    data_dir: Path | str | None = None,
) -> pl.LazyFrame:
    """Scan the condition of each UTC day of each symbol.

    Parameters
    ----------
    trade_type, symbols, start, end, data_dir
        See `bhds.reader`; days that the period touches.
    data_type
        As in the bucket.
    interval
        Of bars, 1m if None; None of what are no bars.

    Returns
    -------
    polars.LazyFrame
        `quality_tables.CONDITION`, one row per day, by symbol and day: `available` (all
        rows), `degraded`, `missing`, `pending` or `not_listed`, why, and the rows by
        source.

    Raises
    ------
    ConfigError, ResultError, SelectionError
        As of `bhds.scan_klines`; ResultError too if quality was not built.
    """
    market, period = BuiltMarket.of(trade_type, data_dir), TimeRange.of(start, end)
    interval = interval_of(data_type, interval)
    path = market.quality_table(CheckedSeries(data_type, interval).condition)
    table = pl.scan_parquet(path, glob=False).filter(*period.of_days("day"))
    return table if symbols is None else table.filter(_named(symbols, where=path))


def _named(symbols: str | Iterable[str], *, where: Path) -> pl.Expr:
    """Return the condition on symbols, which a table of days has to have."""
    table = pl.scan_parquet(where, glob=False)
    known = table.select(pl.col("symbol").unique()).collect()["symbol"]
    return pl.col("symbol").is_in(chosen(symbols, known, where=where))
