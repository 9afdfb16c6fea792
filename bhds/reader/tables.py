"""What is known of symbols and days: universe, segments, gaps and condition."""

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from bhds import columns, instruments
from bhds.columns import TIME
from bhds.errors import ConfigError
from bhds.reader.availability import Series
from bhds.reader.files import Market, Symbols, chosen, of_results
from bhds.reader.frames import scan_files
from bhds.reader.period import Moment, Period
from bhds.results.split import segments_table
from bhds.storage import read_parquet_metadata

UNIVERSE = pl.Schema(
    {
        "symbol": pl.String(),
        "base": pl.String(),
        "quote": pl.String(),
        "contract_type": pl.String(),
        "settled": pl.Boolean(),
        "delivery_date": pl.Date(),
        "leveraged": pl.Boolean(),
        "stable_pair": pl.Boolean(),
        "first_traded": TIME,
        "last_traded": TIME,
        "built_until": pl.Date(),
    }
)
"""The symbols of a market that have results. `base` and `quote` are null where a name
cannot be read; `first_traded` and `last_traded` are the open times of the first and
the last bar with trades, `built_until` the last UTC day that the result may hold."""


def universe(
    trade_type: str,
    *,
    as_of: str | dt.date | None = None,
    interval: str = "1m",
    data_dir: Path | str | None = None,
) -> pl.DataFrame:
    """List the symbols that have results, those that were delisted included.

    Parameters
    ----------
    trade_type, data_dir
        See `bhds.reader`.
    as_of
        Only the symbols of this UTC day: their first trade is not after it, and their
        last one not before it. None: all that ever were.
    interval
        Of the results.

    Returns
    -------
    polars.DataFrame
        `UNIVERSE`, one row a symbol, by name. With `as_of`, a `last_traded` that was
        still to come is null: nobody knew it then.

    Raises
    ------
    ConfigError
        If the market or the day is none, or no result reaches to that day.
    ResultError
        If nothing was built.
    """
    market = Market.of(trade_type, data_dir)
    folder = market.results / "klines" / interval / "gaps"
    path = instruments.exchange_info_path(market.data_dir, market.trade_type)
    known = instruments.read_exchange_info(path) if path.exists() else None
    rows = []
    for file in of_results(folder, None, suffix=".parquet"):
        symbol = instruments.classify(
            file.symbol, trade_type=market.trade_type, known=known
        )
        rows.append(vars(symbol) | _life(file.path))
    table = pl.DataFrame(rows, schema=UNIVERSE)
    return table if as_of is None else _of_day(table, _day(as_of))


def _life(gaps: Path) -> dict[str, object]:
    """Return when a symbol was traded, which its gaps have in their metadata."""
    found = read_parquet_metadata(gaps)
    life = {
        name: dt.datetime.fromisoformat(found[name]) if found[name] else None
        for name in ("first_traded", "last_traded")
    }
    return life | {"built_until": dt.date.fromisoformat(found["as_of"])}


def _of_day(table: pl.DataFrame, day: dt.date) -> pl.DataFrame:
    """Return the symbols of a UTC day, as it was known at its end."""
    built_until = table.select(pl.max("built_until")).item()
    if day > built_until:
        msg = (
            f"as_of {day}: the results reach to {built_until}, expected no later day; "
            "build newer ones"
        )
        raise ConfigError(msg)
    first, last = pl.col("first_traded").dt.date(), pl.col("last_traded").dt.date()
    return table.filter(first <= day, last >= day).with_columns(
        last_traded=pl.when(last <= day).then("last_traded")
    )


def _day(value: str | dt.date) -> dt.date:
    try:
        found = dt.date.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        found = None
    if found is None or isinstance(found, dt.datetime):
        msg = f"as_of {value!r}: expected a UTC day such as 2025-01-31"
        raise ConfigError(msg)
    return found


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
        One row a segment, by symbol and number: `symbol`, `segment` (Int16, from 0),
        `first_open_time` and `last_open_time`, of its first and last bar.

    Raises
    ------
    ConfigError, ResultError, SelectionError
        As of `bhds.scan_klines`.
    """
    market = Market.of(trade_type, data_dir)
    folder = market.results / "klines" / interval
    files = of_results(folder, symbols, suffix=".pqt")
    schema = columns.result_klines(market.trade_type)
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
        `columns.CLASSIFIED_GAPS`, one row a gap, by symbol and time.

    Raises
    ------
    ConfigError, ResultError, SelectionError
        As of `bhds.scan_klines`; ResultError too if quality was not built.
    """
    market, period = Market.of(trade_type, data_dir), Period.of(start, end)
    path = market.quality_table(f"gaps-{interval}")
    overlaps = []
    if period.end is not None:
        overlaps.append(pl.col("last_open_time") < period.end)
    if period.start is not None:
        ends = pl.col("first_open_time")
        overlaps.append(ends.is_null() | (ends > period.start))
    table = pl.scan_parquet(path, glob=False)
    names = _named(symbols, table, where=path)
    return table.filter(*names, *overlaps)


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
        Of bars; None: 1m of klines, and none of what are no bars.

    Returns
    -------
    polars.LazyFrame
        `columns.CONDITION`, one row a day, by symbol and day: `available` (all rows),
        `degraded`, `missing`, `pending` or `not_listed`, why, and the rows by source.

    Raises
    ------
    ConfigError, ResultError, SelectionError
        As of `bhds.scan_klines`; ResultError too if quality was not built.
    """
    market, period = Market.of(trade_type, data_dir), Period.of(start, end)
    if interval is None and data_type == "klines":
        interval = "1m"
    path = market.quality_table(Series(data_type, interval).condition)
    table = pl.scan_parquet(path, glob=False)
    names = _named(symbols, table, where=path)
    return table.filter(*names, *period.of_days("day"))


def _named(symbols: Symbols, table: pl.LazyFrame, *, where: Path) -> Sequence[pl.Expr]:
    """Return the condition on the symbols of a table, which has to have them."""
    if symbols is None:
        return []
    known = table.select(pl.col("symbol").unique()).collect()["symbol"]
    return [pl.col("symbol").is_in(chosen(symbols, known, where=where))]
