"""The files of the quality stage: read inputs, call the pure functions, write."""

import datetime as dt
import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import polars as pl

from bhds import layout
from bhds.archive.listing.directory import Directory
from bhds.backfill.missing_ranges import MissingReason
from bhds.bars.merge import merge
from bhds.core.errors import ResultError
from bhds.core.markets import Frequency, Interval, TradeType
from bhds.core.timegrid import TIME
from bhds.io import storage
from bhds.quality import (
    conflicts,
    gap_classes,
    judged_until,
    reconciliation,
    record_days,
    volumes,
)
from bhds.quality.day_condition import changes_in, going_on, judge
from bhds.quality.outages import outages_of
from bhds.schemas import quality_tables
from bhds.schemas.archive_tables import LISTING_SCHEMA
from bhds.schemas.csv_table import Table
from bhds.schemas.datatypes import data_type as entry_of
from bhds.schemas.quality_tables import (
    CLASSIFIED_GAPS,
    CONDITION,
    DAYS,
    GAP_EVIDENCE,
    NOT_RECONCILED,
    RECONCILIATION,
)

logger = logging.getLogger(__name__)

REVISION = 5
"""Raise by one when the same inputs must yield other tables of a market."""

_REPLACING = (MissingReason.IMPOSSIBLE, MissingReason.UNTRADED)
"""Why bars are requested that the archive has: those of the API replace them."""


def classify_gaps(
    gaps: Sequence[str],
    *,
    output: str,
    trade_type: str,
    interval: str,
    as_of: dt.date,
) -> None:
    """Class the gaps of all symbols of a market: `quality_tables.CLASSIFIED_GAPS`.

    Parameters
    ----------
    gaps
        Paths of what `stages.results.write_results` found, one a symbol.
    output
        Where the table goes.
    trade_type, interval
        What the bars are of.
    as_of
        The last UTC day wanted.

    Raises
    ------
    ResultError
        If a file cannot be read.
    """
    found = _read_all(gaps, schema=GAP_EVIDENCE)
    trading_periods = []
    for path in gaps:
        metadata = storage.read_parquet_metadata(path)
        trading_period = (metadata["first_traded"], metadata["last_traded"])
        trading_periods.append((Path(path).stem, *trading_period))
    classified = gap_classes.classify(
        found,
        trading_periods=gap_classes.trading_periods_of(trading_periods),
        outages=outages_of(TradeType(trade_type)),
        interval=Interval.parse(interval),
        last_day=as_of,
    )
    _write(classified, output, inputs=gaps, as_of=as_of)


def collect_conflicts(tables: Sequence[str], *, output: str, trade_type: str) -> None:
    """Put the conflicts of all symbols of a market together: `conflicts`.

    Raises
    ------
    ResultError
        If a file cannot be read.
    """
    market = TradeType(trade_type)
    schema = quality_tables.conflicts(market)
    found = [storage.read_parquet(path, schema=schema) for path in tables]
    everything = conflicts.of_market(found, trade_type=market)
    _write(everything, output, inputs=tables)


def classify_days(
    days: Sequence[str],
    *,
    gaps: str,
    output: str,
    trade_type: str,
    interval: str,
    as_of: dt.date,
    ends: Mapping[str, dt.date] | None = None,
    not_reconciled: Sequence[str] = (),
) -> None:
    """Judge each day of all symbols of a market's results: `CONDITION`.

    Parameters
    ----------
    days
        Paths of what `stages.results.write_results` counted, one a symbol.
    gaps
        Path of what `classify_gaps` wrote.
    output
        Where the table goes.
    trade_type, interval
        What the bars are of. The listings of the series are read for when its zips
        were changed.
    as_of
        The last UTC day wanted.
    ends
        Of symbols of which fewer days are wanted: the last.
    not_reconciled
        Paths of the days that `reconcile_klines` found to differ, one a symbol of
        which bars of longer intervals are configured.

    Raises
    ------
    ResultError
        If a file cannot be read.
    """
    condition = judge(
        _read_all(days, schema=DAYS),
        gaps=storage.read_parquet(gaps, schema=CLASSIFIED_GAPS),
        changes=_changes(trade_type, "klines", interval),
        interval=Interval.parse(interval),
        as_of=as_of,
        ends=ends,
        not_reconciled=_read_all(not_reconciled, schema=NOT_RECONCILED),
        ended={Path(path).stem for path in days if _has_ended(path)},
    )
    inputs = [*days, gaps, *not_reconciled]
    _write(condition, output, inputs=inputs, as_of=as_of, ends=ends)


def classify_record_days(
    partitions: Sequence[str],
    *,
    output: str,
    trade_type: str,
    series: str,
    as_of: dt.date,
    ends: Mapping[str, dt.date] | None = None,
    ended: Collection[str] = (),
) -> None:
    """Judge each day of all symbols of data without results: `CONDITION`.

    Parameters
    ----------
    partitions
        Paths of partitions and backfills; those of a symbol stand together. Their
        sources are next to them.
    output
        Where the table goes.
    trade_type, series
        What the rows are of: the data type and, of bars, their interval, as in
        `markPriceKlines-1m`.
    as_of
        The last UTC day wanted.
    ends
        As in `classify_days`.
    ended
        Symbols that are known to have ended.

    Raises
    ------
    ResultError
        If a file cannot be read.
    """
    data_type, _, interval = series.partition("-")
    entry = entry_of(data_type)
    if entry.table is None:
        msg = f"{data_type}: its files are not parsed, expected a type that is"
        raise ResultError(msg)
    table = entry.table(TradeType(trade_type))
    bars_of = Interval.parse(interval) if interval else None
    sources = {path: storage.read_sources(path) for path in partitions}
    of_api = {
        path: storage.read_parquet(path)[table.time]
        for path, each in sources.items()
        if "missing_ranges" in each and each["rows"]
    }
    newest = record_days.newest_day(sources.values(), of_api.values())
    changes = _changes(trade_type, data_type, interval or None)
    of_ends = ends or {}
    newest_of = {symbol: min(newest, end) for symbol, end in of_ends.items()}
    newest_of |= dict.fromkeys(going_on(changes, of_ends), dt.date.min)
    tables = [
        record_days.account(
            [sources[path] for path in paths],
            fill_times=pl.concat(
                [pl.Series([], dtype=TIME), *(of_api[p] for p in paths if p in of_api)]
            ),
            symbol=symbol,
            interval=bars_of,
            last_day=max(
                dt.date.fromisoformat(_last_day(sources[path])) for path in paths
            ),
            newest=newest_of.get(symbol, newest),
            has_ended=symbol in ended,
            is_steady=table.is_steady,
            events=_events(paths, table),
            replaced_rows=[
                record_days.replaced(
                    *map(storage.read_parquet, (partition, backfill)),
                    table=table,
                    data_type=data_type,
                    trade_type=TradeType(trade_type),
                )
                for partition, backfill in _replacing(paths, sources)
            ],
        )
        for symbol, paths in (
            (symbol, list(found))
            for symbol, found in groupby(partitions, lambda path: Path(path).parts[3])
        )
    ]
    condition = judge(
        pl.concat([DAYS.to_frame(), *tables]),
        gaps=CLASSIFIED_GAPS.to_frame(),
        changes=changes,
        interval=bars_of,
        as_of=as_of,
        ends=ends,
        ended=ended,
    )
    _write(condition, output, inputs=partitions, as_of=as_of, ends=ends)


def reconcile_klines(
    result: str,
    published: Sequence[str],
    *,
    days: str,
    intervals: Mapping[str, int],
    outputs: Mapping[str, str],
    trade_type: str,
    interval: str,
    symbol: str,
) -> None:
    """Compare one symbol's result with longer published bars.

    A comparison of bars that have none in common is warned of: it proves nothing.

    Parameters
    ----------
    result, days
        Paths of the result, and of the account of its days.
    published
        Paths of parsed partitions.
    intervals
        Their intervals, and how many in a row are of each.
    outputs
        Where the `reconciliation` (`quality_tables.RECONCILIATION`) and the days that
        are `not_reconciled` (`quality_tables.NOT_RECONCILED`) go.
    trade_type, interval, symbol
        What the result's bars are of.

    Raises
    ------
    ResultError
        If a file cannot be read.
    """
    bars = storage.read_rows(result)
    of_days = storage.read_parquet(days, schema=DAYS)
    off_grid_days = of_days.filter(pl.col("off_grid") > 0)["day"]
    base = Interval.parse(interval)
    paths = iter(published)
    found = {}
    for name, number in intervals.items():
        longer = Interval.parse(name)
        theirs = merge(
            [storage.read_rows(path) for path in islice(paths, number)],
            trade_type=TradeType(trade_type),
            interval=longer,
        )
        found[longer] = reconciliation.compare(
            bars,
            theirs.bars,
            trade_type=TradeType(trade_type),
            symbol=symbol,
            base=base,
            interval=longer,
            off_grid_days=off_grid_days,
        )
        counts = found[longer].table.select(pl.col("n_compared", "off_grid").max())
        if counts.row(0) == (0, 0) and not theirs.bars.is_empty():
            logger.warning(
                "%s: none of %d published %s bars has a whole one of the result to be "
                "compared with",
                *(outputs["reconciliation"], theirs.bars.height, longer),
            )
    tables = {
        "reconciliation": pl.concat(each.table for each in found.values()),
        "not_reconciled": reconciliation.not_reconciled(
            found, bars, symbol=symbol, base=base
        ),
    }
    inputs = [result, days, *published]
    metadata = storage.provenance("reconciliation", reconciliation.REVISION, inputs)
    for name, table in tables.items():
        storage.write_parquet(table, outputs[name], metadata=metadata)


def collect_reconciliation(tables: Sequence[str], *, output: str) -> None:
    """Put the reconciliation of all symbols of a market together.

    Raises
    ------
    ResultError
        If a file cannot be read.
    """
    _write(_read_all(tables, schema=RECONCILIATION), output, inputs=tables)


def reconcile_volumes(
    trades: Sequence[str], bars: Sequence[str], *, output: str
) -> None:
    """Compare the trades of a market with its bars: `quality_tables.VOLUME_CHECKS`.

    Days that do not agree are named in one warning, and so is that no day has both.

    Parameters
    ----------
    trades
        Paths of what `classify_record_days` wrote of trades and of aggTrades.
    bars
        Paths of what `classify_days` wrote, of the shortest bars first.
    output
        Where the table goes.

    Raises
    ------
    ResultError
        If a file cannot be read.
    """
    checked = volumes.check(
        {
            Path(path).stem.removeprefix("condition-"): storage.read_parquet(
                path, schema=CONDITION
            )
            for path in trades
        },
        [storage.read_parquet(path, schema=CONDITION) for path in bars],
    )
    if checked.is_empty():
        logger.warning("%s: no day has both trades and bars to be compared", output)
    if (wrong := checked.filter(~pl.col("agrees"))).height:
        logger.warning(
            "%s: on %d day(s) the quantities of trades do not add up to the volume of "
            "the bars, the first: %s of %s %s",
            *(output, wrong.height, wrong["compared_with"][0], wrong["symbol"][0]),
            wrong["day"][0],
        )
    _write(checked, output, inputs=[*trades, *bars])


def _has_ended(path: str) -> bool:
    """Return whether it is known that the symbol of a result's table has ended."""
    return bool(storage.read_parquet_metadata(path).get("ended_at"))


def _read_all(paths: Sequence[str], *, schema: pl.Schema) -> pl.DataFrame:
    """Read the tables of some symbols, none or more, as one."""
    tables = (storage.read_parquet(path, schema=schema) for path in paths)
    return pl.concat([schema.to_frame(), *tables])


def _events(paths: Sequence[str], table: Table) -> pl.DataFrame | None:
    """Read when events were due, and the hours that they name; None of other data."""
    if table.hours is None:
        return None
    columns = [table.time, table.hours]
    found = [storage.read_parquet(path, columns=columns) for path in paths]
    return pl.concat(found).select(time=table.time, hours=table.hours)


def _replacing(
    paths: Sequence[str], sources: Mapping[str, Mapping[str, Any]]
) -> Iterator[tuple[str, str]]:
    """Yield each partition whose backfill replaces rows, and the backfill."""
    for path in paths:
        ranges = sources[path].get("missing_ranges", ())
        if any(each.get("found") and each["reason"] in _REPLACING for each in ranges):
            yield path.replace(layout.API, layout.PARSED, 1), path


def _last_day(sources: Mapping[str, Any]) -> str:
    """Return the last UTC day of a partition or backfill."""
    days = [day["day"] for day in sources.get("days", ())]
    return max([sources["last_day"] or "", *days]) or dt.date.min.isoformat()


def _changes(trade_type: str, data_type: str, interval: str | None) -> pl.DataFrame:
    """Read when the zips of a series were last modified, as last listed."""
    tables = []
    for frequency in Frequency:
        directory = Directory(TradeType(trade_type), frequency, data_type, interval)
        path = Path(directory.listing_path)
        listing = (
            storage.read_parquet(str(path))
            if path.exists()
            else pl.DataFrame(schema=LISTING_SCHEMA)
        )
        tables.append(changes_in(listing, directory=directory))
    return pl.concat(tables)


def _write(
    frame: pl.DataFrame,
    output: str,
    *,
    inputs: Sequence[str],
    as_of: dt.date | None = None,
    ends: Mapping[str, dt.date] | None = None,
) -> None:
    dated = judged_until.to_metadata(as_of, ends or {}) if as_of else {}
    metadata = storage.provenance("quality", REVISION, inputs) | dated
    storage.write_parquet(frame, output, metadata=metadata)
