"""Read the rows that a partition's zips publish, leaving bad zips out."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from bhds.columns import SOURCES, TIME
from bhds.datatypes import Kind, Table
from bhds.errors import ParseError
from bhds.markets import Interval, TradeType
from bhds.parse.csv_bodies import CsvBody, read_bodies, split_header
from bhds.parse.inputs import ArchiveInput, Period
from bhds.parse.sources import SourceRecord
from bhds.parse.times import check_times, microseconds
from bhds.parse.verdict import Verdict, read_archive

logger = logging.getLogger(__name__)


@dataclass
class OpenedArchive:
    """A zip on its way into a partition."""

    source: ArchiveInput
    period: Period
    record: SourceRecord
    body: CsvBody | None
    """None if the zip is, or has turned out to be, of no use."""

    def refuse(self, reason: str) -> None:
        """Leave the zip out of the partition because of its content."""
        self.body = None
        self.record.verdict = Verdict.CORRUPT
        self.record.reason = reason


def open_archive(
    source: ArchiveInput, period: Period, *, table: Table
) -> OpenedArchive:
    """Read a zip from disk, judge it, and take its CSV's header off.

    Raises
    ------
    ParseError
        If the zip does not exist.
    """
    archive = read_archive(source)
    file = OpenedArchive(source, period, SourceRecord.of(source, archive), None)
    if archive.content is None:
        return file
    try:
        file.body = split_header(archive.content, table=table)
    except ParseError as error:
        file.refuse(str(error))
        return file
    file.record.header = file.body.has_header
    file.record.warnings += file.body.warnings
    if not file.body.rows:
        file.record.warnings.append("the CSV has no rows")
    return file


def published_rows(
    files: Sequence[OpenedArchive],
    *,
    table: Table,
    symbol: str,
    interval: Interval | None,
    trade_type: TradeType,
) -> pl.DataFrame:
    """Read all rows of the zips that can be used, refusing those that cannot.

    Parameters
    ----------
    files
        n >= 0 zips; those that are refused here change their verdict.
    table
        What their CSVs hold.
    symbol, interval, trade_type
        What they are of; the interval is None if their rows are no bars.

    Returns
    -------
    polars.DataFrame
        In the order of `files` and of their lines: at least the columns of
        `table.schema`, in its dtypes; and as UInt32 `file`, the position in
        `files`, and `row`, the position in the frame.
    """
    usable = [(file, body) for file in files if (body := file.body) is not None]
    bodies = [body for _, body in usable]
    rows, faults = read_bodies(bodies, table=table, symbol=symbol)
    for position, reason in faults.items():
        usable[position][0].refuse(reason)
    rows = _without_bad_values(rows, files, table=table, interval=interval)
    _log_verdicts(files)
    numbers = _file_numbers(files)
    epochs = [field.name for field in table.fields if field.kind is Kind.EPOCH]
    rows = rows.with_columns(
        microseconds(pl.col(epochs)).cast(TIME),
        file=numbers,
        row=pl.int_range(pl.len(), dtype=pl.UInt32),
    ).cast(pl.Schema(_narrowed(table)))
    if table.derive is not None:
        days = pl.Series([file.period.begin for file in files], dtype=pl.Date)
        rows = table.derive(
            rows.with_columns(file_day=days.gather(numbers)), trade_type
        )
    if "source" in table.schema:
        frequencies = [file.source.frequency for file in files]
        sources = pl.Series(frequencies, dtype=SOURCES)
        rows = rows.with_columns(source=sources.gather(numbers))
    return rows


def _log_verdicts(files: Sequence[OpenedArchive]) -> None:
    """Tell of each zip that is not beyond doubt."""
    for file in files:
        record = file.record
        if record.verdict in {Verdict.CORRUPT, Verdict.VANISHED}:
            logger.warning(
                "%s: %s, its rows are left out: %s",
                *(record.key, record.verdict, record.reason),
            )
        elif record.verdict is not Verdict.OK:
            logger.info("%s: %s: %s", record.key, record.verdict, record.reason)


def _without_bad_values(
    rows: pl.DataFrame,
    files: Sequence[OpenedArchive],
    *,
    table: Table,
    interval: Interval | None,
) -> pl.DataFrame:
    """Drop the rows of files with a value that cannot be right, refusing these."""
    offset = 0
    parts = [rows.clear()]
    for file in files:
        if file.body is None:
            continue
        part = rows.slice(offset, file.body.rows)
        offset += part.height
        try:
            unit = check_times(
                part,
                body=file.body,
                period=file.period,
                table=table,
                interval=interval,
            )
            _check_ranges(part, body=file.body, table=table)
        except ParseError as error:
            file.refuse(str(error))
        else:
            file.record.time_unit = unit
            parts.append(part)
    if sum(part.height for part in parts) == rows.height:
        return rows
    return pl.concat(parts)


def _narrowed(table: Table) -> dict[str, pl.DataType]:
    """Return the whole numbers that partitions hold in less than 64 bits."""
    return {
        field.name: dtype
        for field in table.fields
        if field.kind is Kind.WHOLE
        and (dtype := table.schema.get(field.name, field.dtype)) != field.dtype
    }


def _check_ranges(rows: pl.DataFrame, *, body: CsvBody, table: Table) -> None:
    """Check that whole numbers fit into the dtypes of the partition.

    Raises
    ------
    ParseError
        If one does not.
    """
    for name, dtype in _narrowed(table).items():
        too_large = rows[name].cast(dtype, strict=False).is_null()
        if too_large.any():
            row = too_large.arg_max() or 0
            msg = (
                f"line {body.line(row)}: {name} {rows[name][row]}: expected a whole "
                f"number of type {dtype}"
            )
            raise ParseError(msg)


def _file_numbers(files: Sequence[OpenedArchive]) -> pl.Series:
    """Repeat the position of each usable file for each of its rows (UInt32)."""
    lengths = {
        number: file.body.rows
        for number, file in enumerate(files)
        if file.body is not None and file.body.rows
    }
    return (
        pl.DataFrame(
            {"file": list(lengths), "rows": list(lengths.values())},
            schema={"file": pl.UInt32, "rows": pl.UInt32},
        )
        .select(pl.col("file").repeat_by("rows").explode())
        .to_series()
    )
