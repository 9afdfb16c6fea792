"""Parse zips that may be larger than memory into one typed, sorted, unique partition.

There are two passes over each zip: one hashes it, the other inflates it and reads and
checks its CSV piece by piece. The rows go to disk at once (`bhds.parse.external_sort`).
"""

import datetime as dt
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from bhds.archive.integrity.zip_input import ArchiveInput, FilePeriod, day_us, in_order
from bhds.archive.integrity.zip_reader import CsvEntry
from bhds.core.errors import ParseError
from bhds.core.markets import Frequency, TradeType
from bhds.core.timegrid import TIME
from bhds.io import storage
from bhds.parse.csv_reader import read_bodies
from bhds.parse.csv_stream import PIECE_BYTES, csv_pieces
from bhds.parse.dedupe import collapse, collapse_events
from bhds.parse.external_sort import DEFAULT_SIZES, GroupWriter, Sizes, SortedRuns
from bhds.parse.impossible_rows import FaultTally
from bhds.parse.kept_rows import KeptRowsError, KeptZip
from bhds.parse.order import ascends
from bhds.parse.parse_table import rank_files, table_of
from bhds.parse.provenance import SCHEMA_VERSION
from bhds.parse.published import OpenedArchive, open_archive
from bhds.parse.tallies import FileTally, PartitionTally
from bhds.parse.times import check_times, microseconds
from bhds.schemas import datatypes
from bhds.schemas.csv_table import Form, Table
from bhds.schemas.impossible_values import has_impossible_values

logger = logging.getLogger(__name__)

Metadata = Callable[[dict[str, Any]], dict[str, str]]
"""Makes what a partition's file says of how it was made out of the sources."""


def parse_large(
    inputs: Sequence[ArchiveInput],
    *,
    target: Path,
    trade_type: TradeType,
    data_type: str,
    symbol: str,
    partition: str,
    first_day: dt.date | None = None,
    last_day: dt.date | None = None,
    metadata: Metadata,
    kept: Mapping[str, KeptZip] | None = None,
    sizes: Sizes = DEFAULT_SIZES,
    piece_bytes: int = PIECE_BYTES,
) -> dict[str, Any]:
    """Parse the zips that make up one partition, in bounded memory, and write it.

    What it holds, and which row of a key it keeps, is as `parse_table` has it.

    Parameters
    ----------
    inputs
        n >= 0 zips of this series, in any order; each period within the partition.
    target
        The Parquet file. On any error it stays as it was, with nothing beside it.
    trade_type, data_type, symbol, partition, first_day, last_day
        As for `parse_table`. The data type has a key, and no intervals.
    metadata
        See `Metadata`; the names are prefixed as by `storage.write_parquet`.
    kept
        By key the zips that are not read: those of one earlier partition, all of it
        (`kept_rows.is_extended`).
    sizes, piece_bytes
        How many rows, and bytes of CSV, are handled at once.

    Returns
    -------
    dict
        The sources, as those of `parse_table`, and of ids that count up also
        `missing_ids`, how many between the first and the last row no row has, and
        `missing_id_ranges`, how many ranges they form; `days` has
        `missing_ids`, and of aggTrades `missing_trade_ids`, where there are any.
        `out_of_order` of a zip counts the rows whose key is less than that of the row
        before.

    Raises
    ------
    ConfigError, KeyGrammarError, ParseError, KeptRowsError
        As `parse_table`.
    """
    entry = datatypes.data_type(data_type)
    span = FilePeriod.parse(partition)
    dated = in_order(inputs, series=f"{symbol}-{data_type}", span=span)
    work = _Work(
        table=table_of(entry, trade_type, interval=None),
        symbol=symbol,
        days=span.clamp(first_day, last_day),
        zips=[
            open_archive(
                source,
                period,
                bounds=period.bounds(data_type, interval=None),
                kept=(kept or {}).get(source.key),
            )
            for source, period in dated
        ],
        covered=[period.clamp(first_day, last_day) for _, period in dated],
        sizes=sizes,
        piece_bytes=piece_bytes,
        about={
            "schema": SCHEMA_VERSION,
            "revision": entry.revision,
            "trade_type": trade_type.value,
            "data_type": data_type,
            "symbol": symbol,
            "interval": None,
            "partition": partition,
            "first_day": first_day and first_day.isoformat(),
            "last_day": last_day and last_day.isoformat(),
        },
        metadata=metadata,
    )
    with storage.replacing(target) as partial:
        sources = _write(partial, work)
    logger.info("%s: %d rows", target, sources["rows"])
    return sources


@dataclass(frozen=True)
class _Work:
    """What is to be parsed."""

    table: Table
    symbol: str
    days: FilePeriod
    """Those that the partition may hold."""
    zips: Sequence[OpenedArchive]
    """Sorted by period."""
    covered: Sequence[FilePeriod]
    """The days that they should have rows of."""
    sizes: Sizes
    piece_bytes: int
    about: dict[str, Any]
    """What the sources begin with."""
    metadata: Metadata

    @property
    def kept(self) -> KeptZip | None:
        """One of the zips that are not read, if there are any."""
        return next((zipped.kept for zipped in self.zips if zipped.kept), None)

    def faults(self) -> FaultTally:
        """Return a tally of faults, without any so far."""
        return FaultTally(
            self.about["data_type"],
            TradeType(self.about["trade_type"]),
            time=self.table.time,
        )

    def sources(self, tally: PartitionTally) -> dict[str, Any]:
        """Return what `parse_large` does."""
        records = [zipped.record for zipped in self.zips]
        return self.about | tally.sources(records, covered=self.covered)


def _write(path: Path, work: _Work) -> dict[str, Any]:
    """Write a partition, and return its sources."""
    schema, sizes = work.table.schema, work.sizes
    runs_path = path.with_name(f".{path.name}.runs.{os.getpid()}.partial")
    try:
        with SortedRuns(
            runs_path,
            symbol=work.symbol,
            schema=schema,
            key=work.table.key,
            sizes=sizes,
        ) as runs:
            tally = _append_rows(runs, work)
            if runs.are_one:
                sources = work.sources(tally)
                runs.finish(work.metadata(sources))
                runs_path.replace(path)
                return sources
            if work.kept is not None:
                msg = f"{path}: rows that came since belong among those before"
                raise KeptRowsError(msg)
            runs.finish({})
        with GroupWriter(
            path, symbol=work.symbol, schema=schema, group_rows=sizes.group
        ) as writer:
            tally = _merge_rows(runs, writer, work)
            sources = work.sources(tally)
            writer.finish(work.metadata(sources))
    finally:
        runs_path.unlink(missing_ok=True)
    return sources


def _append_rows(runs: SortedRuns, work: _Work) -> PartitionTally:
    """Read all zips, from the least precedence to the highest.

    Returns
    -------
    PartitionTally
        That of the partition if the runs are one; else some rows will be dropped.
    """
    tally = PartitionTally(work.table, work.faults())
    if work.kept is not None:
        _append_kept(work.kept, runs, work, tally=tally)
    numbered = list(enumerate(work.zips))
    numbered.sort(key=lambda item: item[1].source.frequency is Frequency.DAILY)
    for number, zipped in numbered:
        if zipped.entry is None:
            continue
        file_tally = FileTally(work.table)
        try:
            for rows in _wanted_rows(zipped, zipped.entry, work, tally=file_tally):
                # The tally counts ranges between rows: it needs them in their order.
                ordered = _sorted(rows, key=work.table.key)
                runs.append(ordered, file=number)
                tally.add(ordered, file=number)
        except ParseError as error:
            runs.discard(number)
            zipped.refuse(str(error))
        else:
            file_tally.enter(zipped.record)
    return tally


def _append_kept(
    kept: KeptZip, runs: SortedRuns, work: _Work, *, tally: PartitionTally
) -> None:
    """Append the rows of an earlier partition, in the row groups that it has.

    Raises
    ------
    KeptRowsError
        If it has another number of rows than its zips, or cannot be read.
    """
    count = 0
    try:
        with pq.ParquetFile(kept.partition) as opened:
            for group in range(opened.num_row_groups):
                table = opened.read_row_group(group, columns=work.table.schema.names())
                rows = pl.DataFrame(table, schema_overrides=work.table.schema)
                runs.append_group(rows)
                for number, part in _by_zip(rows, work):
                    tally.add(part, file=number)
                count += rows.height
    except (OSError, pa.ArrowException, pl.exceptions.PolarsError) as error:
        msg = f"{kept.partition}: cannot be read ({error})"
        raise KeptRowsError(msg) from error
    # Sums depend on how the rows came in pieces.
    tally.quantities |= kept.quantities
    expected = sum(each.kept.entry["rows_kept"] for each in work.zips if each.kept)
    if count != expected:
        msg = f"{kept.partition}: {count} rows, expected {expected}"
        raise KeptRowsError(msg)


def _by_zip(rows: pl.DataFrame, work: _Work) -> Iterator[tuple[int, pl.DataFrame]]:
    """Part rows of an earlier partition, in their order, by the zips they are of."""
    for number, zipped in enumerate(work.zips):
        if zipped.kept is not None:
            part = rows.filter(zipped.kept.is_of_zip(work.table.time))
            if part.height:
                yield number, part


def _sorted(rows: pl.DataFrame, *, key: Sequence[str]) -> pl.DataFrame:
    if ascends(rows, key=key):
        return rows
    return rows.sort(key, maintain_order=True)


def _merge_rows(runs: SortedRuns, writer: GroupWriter, work: _Work) -> PartitionTally:
    """Write the rows in order, of each key, or event, the one that takes precedence."""
    table = work.table
    tally = PartitionTally(table, work.faults())
    ranks = rank_files(
        [zipped.source.frequency is Frequency.DAILY for zipped in work.zips]
    )
    is_possible = ~has_impossible_values(
        work.about["data_type"], TradeType(work.about["trade_type"])
    )
    columns = table.schema.names()
    values = [name for name in columns if name not in table.key]
    for rows in runs.ranges():
        if table.events is None:
            unique = collapse(
                rows.with_columns(is_possible=is_possible),
                key=table.key,
                precedence=["is_possible", "row"],
                values=values,
            )
        else:
            unique = collapse_events(
                rows.with_columns(
                    rank=ranks.gather(rows["file"]), is_possible=is_possible
                ),
                key=table.key,
                rank="rank",
                values=values,
                rule=table.events,
                precedence=["is_possible"],
            )
        tally.add_unique(unique)
        writer.append(unique.kept.select(columns))
    return tally


def _wanted_rows(
    zipped: OpenedArchive, entry: CsvEntry, work: _Work, *, tally: FileTally
) -> Iterator[pl.DataFrame]:
    """Read and check the rows of a zip, and keep those of the days that are wanted.

    Yields
    ------
    polars.DataFrame
        The columns of `table.schema`, in the order of the file.

    Raises
    ------
    ParseError
        If the content of the zip is bad, which may show only at the end.
    """
    table, record = work.table, zipped.record
    epochs = [field.name for field in table.fields if field.kind is Form.EPOCH]
    with zipped.source.path.open("rb") as opened:
        for body in csv_pieces(
            opened, entry=entry, table=table, piece_bytes=work.piece_bytes
        ):
            if record.header is None:
                record.header = body.has_header
                record.warnings += body.warnings
            published, faults = read_bodies([body], table=table, symbol=work.symbol)
            if faults:
                raise ParseError(faults[0])
            unit = check_times(
                published, body=body, period=zipped.period, table=table, interval=None
            )
            rows = published.with_columns(
                microseconds(pl.col(epochs)).cast(TIME)
            ).select(table.schema.names())
            wanted = _of_days(rows, zipped.period, days=work.days, time=table.time)
            outside = rows.height - wanted.height
            tally.add(rows, outside=outside, time_unit=unit, line=body.first_line)
            yield wanted


def _of_days(
    rows: pl.DataFrame, period: FilePeriod, *, days: FilePeriod, time: str
) -> pl.DataFrame:
    """Keep all rows of a zip whose period lies within some days, else those of them."""
    if days.covers(period):
        return rows
    time_us = pl.col(time).to_physical()
    return rows.filter(time_us >= day_us(days.begin), time_us < day_us(days.end))
