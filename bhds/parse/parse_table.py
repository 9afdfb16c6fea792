"""Parse the zips of one symbol into one typed, sorted, unique partition."""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import polars as pl

from bhds.archive.integrity.zip_input import (
    DAY_US,
    ArchiveInput,
    FilePeriod,
    day_us,
    in_order,
)
from bhds.core.errors import ConfigError
from bhds.core.markets import Frequency, Interval, TradeType
from bhds.parse.dedupe import Collapsed, collapse, collapse_events, collapse_pairs
from bhds.parse.expected_rows import (
    earliest_open_us,
    events_due,
    expected_per_day,
    rows_per_day,
)
from bhds.parse.impossible_rows import FaultTally
from bhds.parse.kept_rows import KeptZip
from bhds.parse.precedence import choose_bars, rank
from bhds.parse.provenance import (
    CONFLICTS_LISTED,
    SCHEMA_VERSION,
    SourceRecord,
    count_rows,
    list_conflicts,
)
from bhds.parse.published import (
    OpenedArchive,
    open_archive,
    published_rows,
    refuse_surplus,
)
from bhds.schemas import datatypes
from bhds.schemas.csv_table import Table
from bhds.schemas.datatypes import DataType
from bhds.schemas.impossible_values import has_impossible_values
from bhds.schemas.klines import SOURCES

_DAY = dt.timedelta(days=1)
_COMPARED_ROWS = 1 << 16
"""About so many rows are compared at once where some may be the same."""


@dataclass(frozen=True)
class ParsedPartition:
    """One symbol's rows of a year or a month, and where they come from."""

    frame: pl.DataFrame
    """`Table.schema`, sorted by and unique on `Table.key`; without a key, sorted by
    `Table.time` and then as published."""
    sources: dict[str, Any]
    """The content of the partition's `.sources.json`; see `parse_table`."""


def parse_table(
    inputs: Sequence[ArchiveInput],
    *,
    trade_type: TradeType,
    data_type: str,
    symbol: str,
    interval: Interval | None,
    partition: str,
    first_day: dt.date | None = None,
    last_day: dt.date | None = None,
    kept: Mapping[str, KeptZip] | None = None,
) -> ParsedPartition:
    """Parse the zips that make up one partition.

    Parameters
    ----------
    inputs
        n >= 0 zips of this series, in any order; each period within the partition.
    trade_type, data_type, symbol, interval
        The series; the interval is None if the data type has none.
    partition
        `all`, `YYYY` or `YYYY-MM`.
    first_day, last_day
        UTC days, both included. Bars that open outside are dropped and counted; a
        bar longer than a day may open before `first_day` if it reaches into it.
        Rows that are no bars are dropped only from zips that reach outside: all
        that a zip of a wanted day holds is wanted, though a few times may be of
        the day before or after.
    kept
        By key the zips that are not read, as their rows are kept.

    Returns
    -------
    ParsedPartition
        `frame` holds one row for each bar or key published by a zip that can be used,
        chosen by `bhds.parse.precedence`. Rows without a key
        are all kept, but of identical ones each second. `sources` holds `inputs`
        (one `SourceRecord` for each zip, sorted by period), `conflicts` (`count`,
        and up to `CONFLICTS_LISTED` `listed`, each with the `kept` and the
        `dropped` row) and `days` (see `expected_per_day`).

    Raises
    ------
    ConfigError
        If the archive does not publish such a series, or its files are not parsed.
    KeyGrammarError
        If a zip is not of this series and partition, or is passed twice, or the
        partition is not named as above.
    ParseError
        If a zip does not exist. Bad content makes an integrity status instead.
    KeptRowsError
        If the rows of kept zips are not those of the zips.
    """
    entry = datatypes.data_type(data_type)
    table = table_of(entry, trade_type, interval=interval)
    span = FilePeriod.parse(partition)
    series = f"{symbol}-{interval or data_type}"
    files = [
        open_archive(
            source,
            period,
            bounds=period.bounds(data_type, interval=interval),
            kept=(kept or {}).get(source.key),
        )
        for source, period in in_order(inputs, series=series, span=span)
    ]
    refuse_surplus(files, table=table)
    published = published_rows(
        files, table=table, symbol=symbol, interval=interval, trade_type=trade_type
    )
    days = span.clamp(first_day, last_day)
    if interval is None:
        wanted = _of_days(published, files, days=days, time=table.time)
    else:
        wanted = _opening_within(published, span=span, days=days, interval=interval)
    unique, conflicts = _unique(
        wanted,
        files,
        entry=entry,
        table=table,
        trade_type=trade_type,
        interval=interval,
    )
    account = _account(
        files,
        published=published,
        wanted=wanted,
        unique=unique,
        conflicts=conflicts,
        faults=FaultTally(data_type, trade_type, time=table.time),
        table=table,
        interval=interval,
        days=days,
    )
    sources = {
        "schema": SCHEMA_VERSION,
        "revision": entry.revision,
        "trade_type": trade_type.value,
        "data_type": data_type,
        "symbol": symbol,
        "interval": interval and interval.name,
        "partition": partition,
        "first_day": first_day and first_day.isoformat(),
        "last_day": last_day and last_day.isoformat(),
    }
    frame = unique.kept.select(table.schema.names()).rechunk()
    return ParsedPartition(frame, sources | account)


def table_of(
    entry: DataType, trade_type: TradeType, *, interval: Interval | None
) -> Table:
    """Return what the CSVs of a series hold.

    Raises
    ------
    ConfigError
        If the archive does not publish such a series, or its files are not parsed.
    """
    if entry.table is None:
        msg = (
            f"{entry.name} is only downloaded and verified: expected a data type "
            "that is parsed; take the zips as they are"
        )
        raise ConfigError(msg)
    if trade_type not in entry.trade_types:
        known = ", ".join(entry.trade_types)
        msg = f"{entry.name} of {trade_type}: the archive has none; use one of {known}"
        raise ConfigError(msg)
    name = None if interval is None else interval.name
    if not entry.feeds_of(trade_type, name):
        known = ", ".join(entry.intervals_of(trade_type)) or "none"
        msg = (
            f"interval {name}: the archive has none such of {trade_type} "
            f"{entry.name}; expected {known}"
        )
        raise ConfigError(msg)
    return entry.table(trade_type)


def _opening_within(
    rows: pl.DataFrame, *, span: FilePeriod, days: FilePeriod, interval: Interval
) -> pl.DataFrame:
    """Keep the bars that open within a partition and reach into some days of it."""
    begin = max(day_us(span.begin), earliest_open_us(days.begin, interval))
    open_us = rows["open_time"].to_physical()
    wanted = (open_us >= begin) & (open_us < day_us(days.end))
    return rows if wanted.all() else rows.filter(wanted)


def _of_days(
    rows: pl.DataFrame, files: Sequence[OpenedArchive], *, days: FilePeriod, time: str
) -> pl.DataFrame:
    """Keep the rows of files that lie within some days, and of others those of them."""
    whole = pl.Series([days.covers(file.period) for file in files], dtype=pl.Boolean)
    if whole.all():
        return rows
    time_us = rows[time].to_physical()
    in_time = (time_us >= day_us(days.begin)) & (time_us < day_us(days.end))
    return rows.filter(whole.gather(rows["file"]) | in_time)


def _of_daily(rows: pl.DataFrame, records: Sequence[SourceRecord]) -> pl.DataFrame:
    """Keep the rows of daily zips."""
    is_daily = [record.frequency == Frequency.DAILY for record in records]
    if all(is_daily):
        return rows
    return rows.filter(pl.Series(is_daily, dtype=pl.Boolean).gather(rows["file"]))


def _values(table: Table) -> list[str]:
    """Return the columns in which two rows of a key can differ."""
    return [name for name in table.schema if name not in {*table.key, "source"}]


def _unique(
    rows: pl.DataFrame,
    files: Sequence[OpenedArchive],
    *,
    entry: DataType,
    table: Table,
    trade_type: TradeType,
    interval: Interval | None,
) -> tuple[Collapsed, pl.DataFrame]:
    """Keep one row of each bar, key or event, by `bhds.parse.precedence`.

    Returns
    -------
    Collapsed
        Its `duplicates` and `conflicts` show `file` and time alone.
    conflicts
        At least the first `CONFLICTS_LISTED` conflicts, with all that `Collapsed` has.
    """
    recorded = ["file", table.time]
    kept, duplicates, conflicts = [], [], []
    listed: list[pl.DataFrame] = []
    for part in _independent_parts(rows, table=table, interval=interval):
        unique = _unique_part(
            part,
            files,
            entry=entry,
            table=table,
            trade_type=trade_type,
            interval=interval,
        )
        kept.append(unique.kept)
        duplicates.append(unique.duplicates.select(recorded))
        if sum(each.height for each in listed) < CONFLICTS_LISTED:
            # What is sliced off would keep all of a part in memory.
            listed.append(unique.conflicts.head(CONFLICTS_LISTED))
        conflicts.append(unique.conflicts.select(recorded))
    narrow = Collapsed(pl.concat(kept), pl.concat(duplicates), pl.concat(conflicts))
    return narrow, pl.concat(listed)


def _independent_parts(
    rows: pl.DataFrame, *, table: Table, interval: Interval | None
) -> Iterator[pl.DataFrame]:
    """Part rows, of which some may be the same, by days: few are compared at once.

    Rows in order are not parted, and neither are those that may be the same as one of
    another day.
    """
    time = rows[table.time]
    length = None if interval is None else interval.duration
    is_of_day = not table.key if length is None else length <= _DAY
    if (
        rows.height <= _COMPARED_ROWS
        or not is_of_day
        or (length is not None and (time.diff().slice(1) >= length).all())
    ):
        yield rows
        return
    counts = sorted(rows_per_day(time).items())
    bounds = [counts[0][0]]
    size = 0
    for day, count in counts:
        if size and size + count > _COMPARED_ROWS:
            bounds.append(day)
            size = 0
        size += count
    time_us = pl.col(table.time).to_physical()
    for begin, end in pairwise([*bounds, counts[-1][0] + 1]):
        yield rows.filter(time_us >= begin * DAY_US, time_us < end * DAY_US)


def _unique_part(
    rows: pl.DataFrame,
    files: Sequence[OpenedArchive],
    *,
    entry: DataType,
    table: Table,
    trade_type: TradeType,
    interval: Interval | None,
) -> Collapsed:
    """Keep one row of each bar, key or event, by `bhds.parse.precedence`."""
    if interval is not None:
        return choose_bars(
            rows, data_type=entry.name, trade_type=trade_type, interval=interval
        )
    values = _values(table)
    if not table.key:
        return collapse_pairs(rows, time=table.time, order=["row"], values=values)
    if table.events is not None:
        daily = [file.source.frequency is Frequency.DAILY for file in files]
        return collapse_events(
            rows.with_columns(
                rank=rank_files(daily).gather(rows["file"]),
                is_possible=~has_impossible_values(entry.name, trade_type),
            ),
            key=table.key,
            rank="rank",
            values=values,
            rule=table.events,
            precedence=["is_possible"],
        )
    frequencies = pl.Series(
        [file.source.frequency.value for file in files], dtype=SOURCES
    )
    order = rank(table.schema, data_type=entry.name, trade_type=trade_type)
    sources = rows.with_columns(source=frequencies.gather(rows["file"]))
    return collapse(
        rows.with_columns(sources.select(order.alias("rank"))),
        key=table.key,
        precedence=["rank", "row"],
        values=values,
    )


def rank_files(daily: Sequence[bool]) -> pl.Series:
    """Rank zips that are sorted by period: daily above monthly, then by period."""
    return pl.Series(daily, dtype=pl.UInt32) * len(daily) + pl.Series(
        range(len(daily)), dtype=pl.UInt32
    )


def _account(
    files: Sequence[OpenedArchive],
    *,
    published: pl.DataFrame,
    wanted: pl.DataFrame,
    unique: Collapsed,
    conflicts: pl.DataFrame,
    faults: FaultTally,
    table: Table,
    interval: Interval | None,
    days: FilePeriod,
) -> dict[str, Any]:
    """Return the part of the sources that shows what became of zips and rows.

    Parameters
    ----------
    files
        The zips; their records are completed.
    published, wanted, unique, table, interval
        As for `count_rows`.
    conflicts
        At least the first `CONFLICTS_LISTED` conflicts, the kept rows beside them.
    faults
        An empty tally.
    days
        Those that the partition may hold.
    """
    records = [file.record for file in files]
    last_day = days.end - dt.timedelta(days=1)
    count_rows(
        records,
        published=published,
        wanted=wanted,
        unique=unique,
        table=table,
        interval=interval,
    )
    faults.add(unique.kept)
    for number, record in enumerate(records):
        record.count_impossible(faults.files[number])
    daily = rows_per_day(_of_daily(unique.kept, records)[table.time])
    return {
        "rows": unique.kept.height,
        "inputs": [record.to_json() for record in records],
        "conflicts": list_conflicts(
            conflicts,
            records,
            count=unique.conflicts.height,
            key=table.key,
            columns=_values(table),
        ),
        "days": expected_per_day(
            rows_per_day(unique.kept[table.time]),
            interval=interval,
            spacing=table.spacing,
            due=None
            if table.hours is None
            else events_due(unique.kept[table.time], unique.kept[table.hours]),
            covered=[file.period.clamp(days.begin, last_day) for file in files],
            conflicts=rows_per_day(unique.conflicts[table.time]),
            counts={"daily": daily, **faults.counts()},
        ),
    }
