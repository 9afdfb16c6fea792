"""The zips that cover a bar, and what stands in them, line by line."""

import datetime as dt
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from bhds import layout
from bhds.archive.integrity.bounds import bounds_of_file
from bhds.archive.integrity.zip_reader import find_csv
from bhds.archive.keys import ArchiveFile
from bhds.core.errors import ParseError
from bhds.explanation import revisions
from bhds.explanation.place import SymbolFiles
from bhds.explanation.values import ArchiveZip, PublishedRow
from bhds.io import storage
from bhds.parse.csv_reader import CsvBody
from bhds.parse.csv_stream import csv_pieces
from bhds.parse.parse_table import table_of
from bhds.schemas import datatypes
from bhds.schemas.csv_table import Form, Table

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)
_UNITS_US = {"ms": 1_000, "us": 1}
_LF = 10


def covering_zips(place: SymbolFiles) -> list[dict[str, Any]]:
    """Return the entries of the partitions' sources whose zip covers the bar."""
    first, last = place.open_time.date(), (place.end - _MICROSECOND).date()
    found = []
    for name in place.partitions:
        path = place.partition(name)
        if not Path(layout.sources_of(path)).is_file():
            continue
        for entry in storage.read_sources(path)["inputs"]:
            file = ArchiveFile.from_key(entry["key"])
            if file.first_day <= last and first <= file.last_day:
                found.append(entry)
    return found


def described(
    entries: Sequence[Mapping[str, Any]], *, data_dir: Path
) -> tuple[ArchiveZip, ...]:
    """Describe of zips what came, what is on disk now, and what the server lists."""
    keys = [entry["key"] for entry in entries]
    used = [entry["sha256"] for entry in entries]
    fetched = revisions.fetched(keys, data_dir=data_dir, used=used)
    zips = []
    for entry in entries:
        path = ArchiveFile.from_key(entry["key"]).path
        etag, at = revisions.listed(entry["key"], data_dir=data_dir)
        zips.append(
            ArchiveZip(
                key=entry["key"],
                path=path,
                size=entry["size"],
                etag=entry["etag"],
                sha256=entry["sha256"],
                published_sha256=entry["published_sha256"],
                integrity_status=entry["integrity_status"],
                reason=entry["reason"],
                sha256_on_disk=_sha256(data_dir / path),
                revisions=fetched.get(entry["key"], ()),
                listed_etag=etag,
                listed_at=at,
            )
        )
    return tuple(zips)


def lines_of(
    place: SymbolFiles, *, archive: ArchiveZip, time_unit: str | None
) -> list[PublishedRow]:
    """Return the lines of a zip on disk whose bar lies in the bar explained.

    None of a zip that cannot be read: its integrity status says why.
    """
    file = ArchiveFile.from_path(archive.path)
    table = table_of(
        datatypes.data_type(file.data_type),
        place.trade_type,
        interval=place.interval,
    )
    found = []
    try:
        with (place.data_dir / archive.path).open("rb") as opened:
            stem = file.name.removesuffix(".zip")
            entry = find_csv(opened, stem=stem, bounds=bounds_of_file(file))
            for body in csv_pieces(opened, entry=entry, table=table):
                found += [
                    PublishedRow(
                        source=file.frequency.value,
                        key=archive.key,
                        open_time=open_time,
                        values=_values(text, body=body, table=table),
                        read_from="zip",
                        text=text,
                        line=number,
                        fields=body.layout,
                    )
                    for number, open_time, text in _lines(
                        body, place=place, time_unit=time_unit
                    )
                ]
    except (OSError, ParseError):
        return []
    return found


def rows_of_partition(place: SymbolFiles) -> list[PublishedRow]:
    """Return the rows of the partitions that lie in the bar, where zips are gone."""
    found = []
    for name in place.partitions:
        path = place.partition(name)
        if path.is_file():
            found += [
                PublishedRow(
                    source=row["source"],
                    key=None,
                    open_time=row["open_time"],
                    values=_plain_values(row),
                    read_from="partition",
                )
                for row in rows_within(path, place=place).iter_rows(named=True)
            ]
    return found


def rows_within(path: Path, *, place: SymbolFiles) -> pl.DataFrame:
    """Return the rows of a Parquet file whose `open_time` lies in the bar."""
    time = pl.col("open_time")
    inside = (time >= place.open_time) & (time < place.end)
    return storage.scan_rows(path).filter(inside).collect()


def _plain_values(row: Mapping[str, Any]) -> dict[str, float | int | None]:
    left_out = {"open_time", "close_time", "source"}
    return {name: value for name, value in row.items() if name not in left_out}


def _lines(
    body: CsvBody, *, place: SymbolFiles, time_unit: str | None
) -> Iterator[tuple[int, dt.datetime, str]]:
    """Yield number, time and text of the lines that open within a bar.

    Lines are found by the digits that all times of the bar share, which is faster than
    to read the times of a whole month.
    """
    unit_us = _UNITS_US.get(time_unit or "")
    if unit_us is None or not body.layout or body.layout[0] != "open_time":
        return
    begin = (place.open_time - _EPOCH) // _MICROSECOND // unit_us
    end = (place.end - _EPOCH) // _MICROSECOND // unit_us
    shared = _shared_digits(begin, last=end - 1)
    at = body.data.find(shared)
    while at != -1:
        if at == 0 or body.data[at - 1] == _LF:
            line_end = body.data.index(b"\n", at)
            text = body.data[at:line_end].decode("utf-8", "replace")
            time = text.partition(",")[0]
            if time.isdigit() and begin <= int(time) < end:
                number = body.line(body.data.count(b"\n", 0, at))
                yield number, _EPOCH + int(time) * unit_us * _MICROSECOND, text
        at = body.data.find(shared, at + 1)


def _shared_digits(first: int, *, last: int) -> bytes:
    one, other = str(first), str(last)
    count = 0
    while count < len(one) and one[count] == other[count]:
        count += 1
    return one[:count].encode()


def _values(text: str, *, body: CsvBody, table: Table) -> dict[str, float | int | None]:
    """Read the numbers of a line, by the names of the partition's columns."""
    kinds = {field.name: field.kind for field in table.fields}
    found: dict[str, float | int | None] = {}
    for name, value in zip(body.layout, text.split(","), strict=False):
        if name not in table.schema or name in {"open_time", "close_time"}:
            continue
        found[name] = _number(value, whole=kinds.get(name) is Form.WHOLE)
    return found


def _number(text: str, *, whole: bool) -> float | int | None:
    try:
        return int(text) if whole else float(text)
    except ValueError:
        return None


def _sha256(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None
