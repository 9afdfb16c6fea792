"""Parse the kline zips of one symbol into one typed, sorted, unique partition."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from bhds.columns import parsed_klines, turnover_columns
from bhds.errors import ConfigError, KeyGrammarError
from bhds.markets import ARCHIVE_INTERVALS, Frequency, Interval, TradeType
from bhds.parse.collapse import Collapsed, collapse
from bhds.parse.csv_bodies import CsvColumn, CsvFormat
from bhds.parse.grid import bars_per_day, earliest_open_us
from bhds.parse.inputs import ArchiveInput, Period, archive_period, day_us
from bhds.parse.published import open_archive, published_rows
from bhds.parse.sources import SCHEMA_VERSION, count_rows, list_conflicts

REVISION = 1
"""Raise by one when the same zips must yield a different partition."""


@dataclass(frozen=True)
class Partition:
    """One symbol's klines of a year or a month, and where they come from."""

    frame: pl.DataFrame
    """`bhds.columns.parsed_klines`, sorted by and unique on `open_time`."""
    sources: dict[str, Any]
    """The content of the partition's `.sources.json`; see `parse_klines`."""


def parse_klines(
    inputs: Sequence[ArchiveInput],
    *,
    trade_type: TradeType,
    symbol: str,
    interval: Interval,
    partition: str,
    first_day: dt.date | None = None,
    last_day: dt.date | None = None,
) -> Partition:
    """Parse the zips that make up one partition.

    Parameters
    ----------
    inputs
        n >= 0 zips of this series, in any order; each period within the partition.
    trade_type, symbol, interval
        The series.
    partition
        `YYYY` or `YYYY-MM`.
    first_day, last_day
        UTC days, both included; bars that open outside are dropped and counted. A
        bar longer than a day may open before `first_day` if it reaches into it.

    Returns
    -------
    Partition
        `frame` holds one row for each `open_time` published by a zip that can be
        used: of several, that of a daily zip before a monthly one, of the later
        period before the earlier, of the later line before the earlier. `sources`
        holds `inputs` (one `SourceRecord` for each zip, sorted by period),
        `conflicts` (`count`, and up to `CONFLICTS_LISTED` `listed`, each with the
        `kept` and the `dropped` row) and `days` (see `bars_per_day`).

    Raises
    ------
    ConfigError
        If the archive does not publish the interval.
    KeyGrammarError
        If a zip is not of this series and partition, or is passed twice, or the
        partition is not named as above.
    ParseError
        If a zip does not exist. Bad content makes a verdict instead.
    """
    span = Period.parse(partition)
    csv_format = _kline_format(trade_type)
    files = [
        open_archive(source, period, csv_format=csv_format)
        for source, period in _in_order(inputs, symbol, interval, span=span)
    ]
    records = [file.record for file in files]
    published = published_rows(files, csv_format=csv_format, interval=interval)
    days = span.clamp(first_day, last_day)
    wanted = _opening_within(published, span=span, days=days, interval=interval)
    columns = parsed_klines(trade_type).names()
    values = [name for name in columns if name not in {"open_time", "source"}]
    unique = _unique(wanted, values=values)
    count_rows(
        records, published=published, wanted=wanted, unique=unique, interval=interval
    )
    frame = unique.kept.select(columns).rechunk()
    sources = {
        "schema": SCHEMA_VERSION,
        "revision": REVISION,
        "trade_type": trade_type.value,
        "data_type": "klines",
        "symbol": symbol,
        "interval": interval.name,
        "partition": partition,
        "first_day": first_day and first_day.isoformat(),
        "last_day": last_day and last_day.isoformat(),
        "rows": frame.height,
        "inputs": [record.to_json() for record in records],
        "conflicts": list_conflicts(unique.conflicts, records, columns=values),
        "days": bars_per_day(
            frame["open_time"],
            interval=interval,
            covered=[file.period.clamp(first_day, last_day) for file in files],
        ),
    }
    return Partition(frame, sources)


def _kline_format(trade_type: TradeType) -> CsvFormat:
    """Return the columns of a market's kline CSVs.

    Notes
    -----
    The published order is that of the binance/binance-public-data README; headers
    use the first name or, in files that other projects kept, the second, which is
    the REST documentation's. COIN-M's "quote" volumes are base coin
    (binance/binance-public-data#168, #267). `ignore` is 0 in the archive, and a
    decimal number in the REST documentation's example.
    """
    turnover, taker_buy_turnover = turnover_columns(trade_type)
    whole, number = pl.Int64, pl.Float64
    return CsvFormat(
        (
            CsvColumn("open_time", whole),
            CsvColumn("open", number),
            CsvColumn("high", number),
            CsvColumn("low", number),
            CsvColumn("close", number),
            CsvColumn("volume", number),
            CsvColumn("close_time", whole),
            CsvColumn(turnover, number, ("quote_volume", "quote_asset_volume")),
            CsvColumn("trade_count", whole, ("count", "number_of_trades")),
            CsvColumn(
                "taker_buy_volume",
                number,
                ("taker_buy_volume", "taker_buy_base_asset_volume"),
            ),
            CsvColumn(
                taker_buy_turnover,
                number,
                ("taker_buy_quote_volume", "taker_buy_quote_asset_volume"),
            ),
            CsvColumn("ignore", number, required=False),
        )
    )


def _opening_within(
    rows: pl.DataFrame, *, span: Period, days: Period, interval: Interval
) -> pl.DataFrame:
    """Keep the bars that open within a partition and reach into some days of it."""
    begin = max(day_us(span.begin), earliest_open_us(days.begin, interval))
    open_us = rows["open_time"].to_physical()
    wanted = (open_us >= begin) & (open_us < day_us(days.end))
    return rows if wanted.all() else rows.filter(wanted)


def _unique(rows: pl.DataFrame, *, values: Sequence[str]) -> Collapsed:
    """Keep one row of each `open_time`: daily before monthly, later before earlier."""
    return collapse(
        rows.with_columns(is_daily=pl.col("source") == Frequency.DAILY),
        key="open_time",
        precedence=["is_daily", "row"],
        values=values,
    )


def _in_order(
    inputs: Sequence[ArchiveInput], symbol: str, interval: Interval, *, span: Period
) -> list[tuple[ArchiveInput, Period]]:
    """Sort zips by period, a month before its days, and check that they belong."""
    if interval.name not in ARCHIVE_INTERVALS:
        known = ", ".join(ARCHIVE_INTERVALS)
        msg = f"interval {interval}: the archive has none such; use one of {known}"
        raise ConfigError(msg)
    series = f"{symbol}-{interval}"
    dated = [(source, archive_period(source, series=series)) for source in inputs]
    dated.sort(key=lambda item: (item[1].begin, -item[1].end.toordinal(), item[0].key))
    seen = set()
    for source, period in dated:
        if not span.covers(period):
            msg = f"{source.key}: {period} is not within the partition, {span}"
            raise KeyGrammarError(msg)
        if source.key in seen:
            msg = f"{source.key} is passed twice: expected every zip once"
            raise KeyGrammarError(msg)
        seen.add(source.key)
    return dated
