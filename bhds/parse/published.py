"""Read the rows that a partition's zips publish, leaving bad zips out."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import polars as pl

from bhds.archive.integrity.bounds import MAX_PARTITION_ROWS, Bounds, cut
from bhds.archive.integrity.status import judge_archive
from bhds.archive.integrity.zip_input import ArchiveInput, FilePeriod
from bhds.archive.integrity.zip_reader import CsvEntry
from bhds.core.errors import ParseError
from bhds.core.markets import Interval, TradeType
from bhds.core.timegrid import TIME
from bhds.parse.csv_reader import CsvBody, read_bodies, word_warnings
from bhds.parse.csv_stream import PIECE_BYTES, count_rows, csv_pieces
from bhds.parse.kept_rows import KeptRowsError, KeptZip
from bhds.parse.provenance import SourceRecord
from bhds.parse.times import check_times, check_unit, microseconds
from bhds.schemas.archive_tables import IntegrityStatus
from bhds.schemas.csv_table import Form, Table
from bhds.schemas.klines import SOURCES

logger = logging.getLogger(__name__)


BATCH_BYTES = 16 << 20
"""Of small CSVs, about so much is read at once."""


@dataclass
class OpenedArchive:
    """A zip on its way into a partition."""

    source: ArchiveInput
    period: FilePeriod
    record: SourceRecord
    entry: CsvEntry | None
    """None if the zip is, or has turned out to be, unusable."""
    rows: int = 0
    """How many were read so far."""
    kept: KeptZip | None = None
    """Where its rows are, if it need not be read: `entry` is None then, too."""

    def refuse(self, reason: str) -> None:
        """Leave the zip out of the partition because of its content."""
        self.entry = None
        self.record.integrity_status = IntegrityStatus.CORRUPT
        self.record.reason = cut(reason)
        self.record.time_unit = None
        self.log_status()

    def log_status(self) -> None:
        """Warn of a zip that is left out, and record one that is not beyond doubt."""
        record = self.record
        if self.entry is None:
            left_out = f"{record.integrity_status}, its rows are left out"
            logger.warning("%s: %s: %s", record.key, left_out, record.reason)
        elif record.integrity_status is not IntegrityStatus.OK:
            logger.info(
                "%s: %s: %s", record.key, record.integrity_status, record.reason
            )


def open_archive(
    source: ArchiveInput,
    period: FilePeriod,
    *,
    bounds: Bounds,
    kept: KeptZip | None = None,
) -> OpenedArchive:
    """Judge a zip on disk; its CSV is not read yet.

    One that is kept is not looked at.

    Raises
    ------
    ParseError
        If the zip does not exist.
    """
    if kept is not None:
        record = SourceRecord.again(kept.entry)
        return OpenedArchive(source, period, record, None, kept=kept)
    try:
        with source.path.open("rb") as opened:
            archive, entry = judge_archive(opened, source=source, bounds=bounds)
    except FileNotFoundError as error:
        msg = f"{source.path}: no such file: expected the zip of {source.key}; fetch it"
        raise ParseError(msg) from error
    file = OpenedArchive(source, period, SourceRecord.of(source, archive), entry)
    file.log_status()
    return file


def refuse_surplus(files: Sequence[OpenedArchive], *, table: Table) -> None:
    """Refuse the fullest zips of a partition, as long as all have too many rows.

    A zip may have somewhat more rows than it should, but not all of a year: they are
    read into memory. The fullest has the most rows for its period: a genuine monthly
    zip has more than a daily one with too many. Rows are counted only where there is
    room for so many.
    """
    most = MAX_PARTITION_ROWS
    if any(field.is_any_word for field in table.fields):
        most //= 3
    shortest = sum(
        _FEWEST_BYTES.get(field.kind, 2)
        for field in table.fields
        if field.is_kept and not field.is_optional
    )
    usable = {number: file.entry for number, file in enumerate(files) if file.entry}
    most_kept = sum(file.record.rows_read for file in files if file.kept)
    most_read = sum(min(e.max_rows, e.size // shortest) for e in usable.values())
    if most_kept + most_read <= most:
        return
    if most_kept:
        msg = f"{files[0].source.key}: its partition may have more than {most} rows"
        raise KeptRowsError(msg)
    rows = {}
    for number, entry in usable.items():
        try:
            with files[number].source.path.open("rb") as opened:
                rows[number] = count_rows(opened, entry=entry, most=entry.max_rows)
        except ParseError as error:
            files[number].refuse(str(error))
    total = sum(rows.values())
    for number in sorted(rows, key=lambda n: -rows[n] / usable[n].max_rows):
        if total <= most:
            break
        files[number].refuse(
            f"{usable[number].name} has {rows[number]} rows, and all files of the "
            f"partition {total}: expected at most {most}; the fullest is left out"
        )
        total -= rows[number]


_FEWEST_BYTES = {Form.EPOCH: 14, Form.CLOCK: 20, Form.OPTIONAL_NUMBER: 1}
"""Of a field with what ends it; of all other kinds, two."""


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
        n >= 0 zips; those that are refused here change their integrity status.
    table
        What their CSVs hold.
    symbol, interval, trade_type
        What they are of; the interval is None if their rows are no bars.

    Returns
    -------
    polars.DataFrame
        In the order of `files` and of their lines: at least the columns of
        `table.schema`, in its dtypes; and as UInt32 `file`, the position in
        `files`, and `row`, which counts up. All columns lie in memory in the same
        pieces: else each filter would copy them.
    """
    nothing, _ = read_bodies([], table=table, symbol=symbol)
    frames = [_typed(nothing, [], files, table=table, first_row=0)]
    height = 0
    for batch in _batches(_pieces(files, table=table)):
        bodies = [body for _, body in batch]
        read, faults = read_bodies(bodies, table=table, symbol=symbol)
        for position, reason in faults.items():
            files[batch[position][0]].refuse(reason)
        sound = [piece for at, piece in enumerate(batch) if at not in faults]
        parts = _checked(read, sound, files, table=table, interval=interval)
        if sum(part.height for _, part in parts) < read.height:
            read = pl.concat([read.clear(), *(part for _, part in parts)])
        frames.append(_typed(read, parts, files, table=table, first_row=height))
        height += read.height
    rows = pl.concat(frames)
    refused = [n for n, file in enumerate(files) if file.entry is None and file.rows]
    if refused:
        rows = rows.filter(~pl.col("file").is_in(refused))
    if table.derive is not None:
        days = pl.Series([file.period.begin for file in files], dtype=pl.Date)
        rows = table.derive(
            rows.with_columns(file_day=days.gather(rows["file"])), trade_type
        )
    return _with_kept(rows, files, table=table)


def _with_kept(
    rows: pl.DataFrame, files: Sequence[OpenedArchive], *, table: Table
) -> pl.DataFrame:
    """Add the rows of kept zips in their places."""
    names = [*table.schema.names(), "file"]
    parts = [
        file.kept.rows(time=table.time)
        .with_columns(file=pl.lit(number, pl.UInt32))
        .select(names)
        for number, file in enumerate(files)
        if file.kept is not None
    ]
    if not parts:
        return rows
    return (
        pl.concat([rows.select(names), *parts])
        .sort("file", maintain_order=True)
        .with_columns(row=pl.int_range(pl.len(), dtype=pl.UInt32))
        .rechunk()
    )


def _pieces(
    files: Sequence[OpenedArchive], *, table: Table
) -> Iterator[tuple[int, CsvBody]]:
    """Yield the CSVs of zips in pieces, each with the position of its zip."""
    for number, file in enumerate(files):
        if file.entry is None:
            continue
        try:
            with file.source.path.open("rb") as opened:
                for body in csv_pieces(
                    opened, entry=file.entry, table=table, piece_bytes=PIECE_BYTES
                ):
                    if file.record.header is None:
                        file.record.header = body.has_header
                        file.record.warnings += body.warnings
                        if not body.rows:
                            file.record.warnings.append("the CSV has no rows")
                    yield number, body
                    if file.entry is None:
                        break
        except ParseError as error:
            file.refuse(str(error))


def _batches(
    pieces: Iterator[tuple[int, CsvBody]],
) -> Iterator[list[tuple[int, CsvBody]]]:
    """Part pieces into lists of about `BATCH_BYTES`."""
    batch: list[tuple[int, CsvBody]] = []
    size = 0
    for number, body in pieces:
        batch.append((number, body))
        size += len(body.data)
        if size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _checked(
    rows: pl.DataFrame,
    pieces: Sequence[tuple[int, CsvBody]],
    files: Sequence[OpenedArchive],
    *,
    table: Table,
    interval: Interval | None,
) -> list[tuple[int, pl.DataFrame]]:
    """Return the rows of each piece, refusing zips with a value that cannot be right.

    Parameters
    ----------
    rows
        Those of all pieces, in their order.
    pieces
        n >= 0 pieces, each with the position of its zip in `files`.
    files, table, interval
        As for `published_rows`.
    """
    offset = 0
    parts = []
    for number, body in pieces:
        part = rows.slice(offset, body.rows)
        offset += part.height
        file = files[number]
        if file.entry is None:
            continue
        try:
            unit = check_times(
                part, body=body, period=file.period, table=table, interval=interval
            )
            check_unit(unit, file.record.time_unit, line=body.line(0))
            _check_ranges(part, body=body, table=table)
        except ParseError as error:
            file.refuse(str(error))
        else:
            more = word_warnings(body, table=table)
            file.record.warnings += [w for w in more if w not in file.record.warnings]
            file.record.time_unit = unit or file.record.time_unit
            file.rows += part.height
            parts.append((number, part))
    return parts


def _typed(
    rows: pl.DataFrame,
    parts: Sequence[tuple[int, pl.DataFrame]],
    files: Sequence[OpenedArchive],
    *,
    table: Table,
    first_row: int,
) -> pl.DataFrame:
    """Bring rows to the dtypes of a partition, and number them and their zips."""
    epochs = [field.name for field in table.fields if field.kind is Form.EPOCH]
    lengths = [(number, part.height) for number, part in parts if part.height]
    numbers = (
        pl.DataFrame(
            lengths, schema={"file": pl.UInt32, "rows": pl.UInt32}, orient="row"
        )
        .select(pl.col("file").repeat_by("rows").explode(empty_as_null=False))
        .to_series()
    )
    typed = rows.with_columns(
        microseconds(pl.col(epochs)).cast(TIME),
        numbers,
        row=pl.int_range(pl.len(), dtype=pl.UInt32) + first_row,
    ).cast(pl.Schema(_narrowed(table)))
    if "source" in table.schema:
        frequencies = [file.source.frequency for file in files]
        sources = pl.Series(frequencies, dtype=SOURCES)
        typed = typed.with_columns(source=sources.gather(numbers))
    return typed.rechunk()


def _narrowed(table: Table) -> dict[str, pl.DataType]:
    """Return the whole numbers that partitions hold in less than 64 bits."""
    return {
        field.name: dtype
        for field in table.fields
        if field.kind is Form.WHOLE
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
