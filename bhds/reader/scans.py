"""Scan bars, funding and records: see `bhds.reader` for what all share."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl

from bhds import layout
from bhds.bars.phase import from_metadata
from bhds.core.errors import ConfigError, ResultError
from bhds.core.markets import TradeType
from bhds.core.resample_rule import ResampleRule
from bhds.core.timegrid import Grid
from bhds.io.storage import read_parquet_metadata
from bhds.reader import frames
from bhds.reader.availability import CheckedSeries, refuse_unavailable
from bhds.reader.files import (
    BuiltMarket,
    SymbolFile,
    Symbols,
    interval_of,
    of_records,
    of_results,
)
from bhds.reader.frames import scan_files
from bhds.reader.period import Moment, TimeRange
from bhds.schemas import datatypes, klines
from bhds.schemas.csv_table import Table
from bhds.schemas.datatypes import FUNDING

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MILLISECOND = dt.timedelta(milliseconds=1)


def scan_klines(
    trade_type: str,
    interval: str,
    *,
    symbols: Symbols = None,
    start: Moment | None = None,
    end: Moment | None = None,
    strict: bool = False,
    data_dir: Path | str | None = None,
) -> pl.LazyFrame:
    """Scan results: complete bars, merged, filled and split.

    Parameters
    ----------
    trade_type, symbols, start, end, strict, data_dir
        See `bhds.reader`; the time is `open_time`.
    interval
        Of the bars, as in the archive: `1m`.

    Returns
    -------
    polars.LazyFrame
        `symbol` and `klines.result_klines`, one row per bar. A bar is known at the end
        of its interval, not at `open_time`. `source` is `filled` for bars that were
        never published; there are no rows between two segments.

    Raises
    ------
    ConfigError
        If the market or a bound is none.
    ResultError
        If nothing was built, or `strict` and a day is not available.
    SelectionError
        If a symbol was not built.

    Examples
    --------
    >>> import bhds
    >>> bars = bhds.scan_klines("spot", "1m", symbols="BTCUSDT", start="2025-01-01")
    >>> bars.group_by("symbol").agg(pl.col("volume").sum()).collect()
    """
    market, period = BuiltMarket.of(trade_type, data_dir), TimeRange.of(start, end)
    files = of_results(market.bars(interval), symbols, suffix=layout.RESULT_SUFFIX)
    if strict:
        series = CheckedSeries("klines", interval)
        refuse_unavailable(files, market=market, series=series, period=period)
    return scan_files(files, klines.result_klines(market.trade_type)).filter(
        *period.of_times("open_time")
    )


def scan_resampled(
    trade_type: str,
    rule: str,
    *,
    symbols: Symbols = None,
    start: Moment | None = None,
    end: Moment | None = None,
    strict: bool = False,
    data_dir: Path | str | None = None,
) -> pl.LazyFrame:
    """Scan resampled bars.

    Parameters
    ----------
    trade_type, symbols, start, end, data_dir
        See `bhds.reader`; the time is `open_time`.
    rule
        `1h`, or `1h_5m` for bars that begin five minutes past the hour.
    strict
        Refuse days whose base bars are not all available.

    Returns
    -------
    polars.LazyFrame
        `symbol` and `klines.resampled_klines`, one row per bar that a segment covers
        whole. A bar is known at its end; `first_vwap` at the end of its first base
        bar.

    Raises
    ------
    ConfigError, ResultError, SelectionError
        As of `scan_klines`.
    """
    market, period = BuiltMarket.of(trade_type, data_dir), TimeRange.of(start, end)
    parsed = ResampleRule.parse(rule)
    folder = market.data_dir / layout.resampled_folder(trade_type, parsed.name)
    files = of_results(folder, symbols, suffix=layout.RESULT_SUFFIX)
    if strict:
        for (base, phased), of_base in _by_base(files, parsed).items():
            refuse_unavailable(
                of_base,
                market=market,
                series=CheckedSeries("klines", base),
                period=_covered_by(phased, period),
                asked=period,
            )
    return scan_files(files, klines.resampled_klines(market.trade_type)).filter(
        *period.of_times("open_time")
    )


def scan_funding(
    trade_type: str,
    *,
    symbols: Symbols = None,
    start: Moment | None = None,
    end: Moment | None = None,
    strict: bool = False,
    data_dir: Path | str | None = None,
) -> pl.LazyFrame:
    """Scan funding events, of archive and API together.

    Parameters
    ----------
    trade_type
        `um_futures` or `cm_futures`.
    symbols, start, end, strict, data_dir
        See `bhds.reader`; the time is `funding_time`.

    Returns
    -------
    polars.LazyFrame
        `symbol` and `datatypes.FUNDING`, one row per event. A rate of 0.0001 is 0.01 %
        of a position, known at `funding_time`.

    Raises
    ------
    ConfigError, ResultError, SelectionError
        As of `scan_klines`.
    """
    market, period = BuiltMarket.of(trade_type, data_dir), TimeRange.of(start, end)
    files = of_results(market.results / FUNDING, symbols, suffix=layout.RESULT_SUFFIX)
    if strict:
        series = CheckedSeries(FUNDING, None)
        refuse_unavailable(files, market=market, series=series, period=period)
    return scan_files(files, klines.FUNDING).filter(*period.of_times("funding_time"))


def scan_records(
    trade_type: str,
    data_type: str,
    *,
    interval: str | None = None,
    symbols: Symbols = None,
    start: Moment | None = None,
    end: Moment | None = None,
    strict: bool = False,
    data_dir: Path | str | None = None,
) -> pl.LazyFrame:
    """Scan any data type as published: the archive's rows, and the API's beside.

    Parameters
    ----------
    trade_type, symbols, start, end, strict, data_dir
        See `bhds.reader`; the time is the one that shows the day of a row.
    data_type
        As in the bucket: `metrics`, `aggTrades`, `bookDepth`, `markPriceKlines`, ...
    interval
        Of bars, 1m if None; None of what are no bars.

    Returns
    -------
    polars.LazyFrame
        `symbol` and the columns of the data type, one row per record. Of bars and
        fundingRate, with the rows of backfills (`source` is `api`), which the archive
        misses or has with impossible values: in place of the archive's row of the same
        symbol and time, each bar once. Results have more: `scan_klines` and
        `scan_funding`.

    Raises
    ------
    ConfigError
        If the market or a bound is none, or the market has no such data.
    ResultError, SelectionError
        As of `scan_klines`.
    """
    market, period = BuiltMarket.of(trade_type, data_dir), TimeRange.of(start, end)
    interval = interval_of(data_type, interval)
    table = _table(market.trade_type, data_type, interval=interval)
    records = of_records(market, data_type, symbols, interval=interval, period=period)
    if strict:
        refuse_unavailable(
            records.all,
            market=market,
            series=CheckedSeries(data_type, interval),
            period=period,
            symbols=records.symbols,
        )
    return frames.scan_records(records, table).filter(*period.of_times(table.time))


def scan_agg_trades(
    trade_type: str,
    *,
    symbols: Symbols = None,
    start: Moment | None = None,
    end: Moment | None = None,
    strict: bool = False,
    data_dir: Path | str | None = None,
) -> pl.LazyFrame:
    """Scan aggregate trades: `scan_records` of `aggTrades`, one row per trade."""
    return scan_records(
        trade_type,
        "aggTrades",
        symbols=symbols,
        start=start,
        end=end,
        strict=strict,
        data_dir=data_dir,
    )


def scan_trades(
    trade_type: str,
    *,
    symbols: Symbols = None,
    start: Moment | None = None,
    end: Moment | None = None,
    strict: bool = False,
    data_dir: Path | str | None = None,
) -> pl.LazyFrame:
    """Scan single trades: `scan_records` of `trades`, one row per trade."""
    return scan_records(
        trade_type,
        "trades",
        symbols=symbols,
        start=start,
        end=end,
        strict=strict,
        data_dir=data_dir,
    )


def _table(trade_type: TradeType, data_type: str, *, interval: str | None) -> Table:
    """Describe a data type in one market, which has to have it."""
    entry = datatypes.data_type(data_type)
    if entry.table is None:
        msg = f"data type {data_type!r}: its zips are not parsed; read them yourself"
        raise ConfigError(msg)
    if trade_type not in entry.trade_types:
        msg = (
            f"data type {data_type!r}: {trade_type} has none; expected one of "
            f"{', '.join(entry.trade_types)}"
        )
        raise ConfigError(msg)
    if not entry.feeds_of(trade_type, interval):
        known = ", ".join(entry.intervals_of(trade_type)) or "none: leave it out"
        msg = f"{trade_type} {data_type}: interval {interval!r}; expected {known}"
        raise ConfigError(msg)
    return entry.table(trade_type)


def _covered_by(rule: ResampleRule, period: TimeRange) -> TimeRange:
    """Return the time of all bars that open in a period: the last may reach past it."""
    grid = Grid(rule.interval)

    def next_open(moment: dt.datetime | None) -> dt.datetime | None:
        if moment is None:
            return None
        since = -((_EPOCH + rule.offset - moment) // _MILLISECOND)
        return _EPOCH + rule.offset + grid.ceil(since) * _MILLISECOND

    return TimeRange(next_open(period.start), next_open(period.end))


def _by_base(
    files: Sequence[SymbolFile], rule: ResampleRule
) -> dict[tuple[str, ResampleRule], list[SymbolFile]]:
    """Group files by their base interval, and by the rule with their phase."""
    found: dict[tuple[str, ResampleRule], list[SymbolFile]] = {}
    for file in files:
        metadata = read_parquet_metadata(file.path)
        if "base_interval" not in metadata:
            msg = (
                f"{file.path}: has no interval of its base bars in its metadata; it "
                "was built by another version of BHDS; build it again"
            )
            raise ResultError(msg)
        phased = replace(rule, interval=from_metadata(rule.interval, metadata))
        found.setdefault((metadata["base_interval"], phased), []).append(file)
    return found
