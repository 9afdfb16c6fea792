"""Read the rows that a partition's kline zips publish, leaving bad zips out."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from bhds.columns import SOURCES, TIME
from bhds.errors import ParseError
from bhds.markets import Interval
from bhds.parse.csv_bodies import CsvBody, CsvFormat, read_bodies, split_header
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
    source: ArchiveInput, period: Period, *, csv_format: CsvFormat
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
        file.body = split_header(archive.content, csv_format=csv_format)
    except ParseError as error:
        file.refuse(str(error))
        return file
    file.record.header = file.body.has_header
    file.record.warnings += file.body.warnings
    if not file.body.rows:
        file.record.warnings.append("the CSV has no rows")
    return file


def published_rows(
    files: Sequence[OpenedArchive], *, csv_format: CsvFormat, interval: Interval
) -> pl.DataFrame:
    """Read all rows of the zips that can be used, refusing those that cannot.

    Parameters
    ----------
    files
        n >= 0 zips; those that are refused here change their verdict.
    csv_format
        The columns of their CSVs.
    interval
        Spacing of the bars.

    Returns
    -------
    polars.DataFrame
        In the order of `files` and of their lines: the required columns of the
        format, times as Datetime[us, UTC]; `source` (Enum); and as UInt32 `file`,
        the position in `files`, and `row`, the position in the frame.
    """
    usable = [(file, body) for file in files if (body := file.body) is not None]
    rows, faults = read_bodies([body for _, body in usable], csv_format=csv_format)
    for position, reason in faults.items():
        usable[position][0].refuse(reason)
    rows = _without_bad_times(rows, files, interval=interval)
    for file in files:
        record = file.record
        if record.verdict in {Verdict.CORRUPT, Verdict.VANISHED}:
            logger.warning(
                "%s: %s, its rows are left out: %s",
                *(record.key, record.verdict, record.reason),
            )
        elif record.verdict is not Verdict.OK:
            logger.info("%s: %s: %s", record.key, record.verdict, record.reason)
    frequencies = pl.Series([file.source.frequency for file in files], dtype=SOURCES)
    numbers = _file_numbers(files)
    return rows.with_columns(
        microseconds(pl.col("open_time", "close_time")).cast(TIME),
        source=frequencies.gather(numbers),
        file=numbers,
        row=pl.int_range(pl.len(), dtype=pl.UInt32),
    )


def _without_bad_times(
    rows: pl.DataFrame, files: Sequence[OpenedArchive], *, interval: Interval
) -> pl.DataFrame:
    """Drop the rows of files whose times cannot be right, refusing these files."""
    offset = 0
    parts = [rows.clear()]
    for file in files:
        if file.body is None:
            continue
        part = rows.slice(offset, file.body.rows)
        offset += part.height
        try:
            file.record.time_unit = check_times(
                part, body=file.body, period=file.period, interval=interval
            )
        except ParseError as error:
            file.refuse(str(error))
        else:
            parts.append(part)
    if sum(part.height for part in parts) == rows.height:
        return rows
    return pl.concat(parts)


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
