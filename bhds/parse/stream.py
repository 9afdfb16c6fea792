"""Read a zip that may be larger than memory: judge it, and cut its CSV into pieces."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

from bhds.datatypes import Table
from bhds.errors import ParseError
from bhds.parse.csv_bodies import CsvBody, split_header
from bhds.parse.inputs import ArchiveInput
from bhds.parse.members import CHUNK_BYTES, CsvEntry, find_csv, inflated
from bhds.parse.verdict import Archive, Verdict, judge_by_etag, read_sidecar

PIECE_BYTES = 32 << 20
"""How much CSV is read at once: some 450,000 trades."""

MAX_LINE_BYTES = 1 << 16
"""A longer line is not of a table; the longest known is shorter than 200 bytes."""


def judge_archive(
    archive: BufferedReader, *, source: ArchiveInput
) -> tuple[Archive, CsvEntry | None]:
    """Judge a zip by its CHECKSUM and its structure, without inflating it.

    Parameters
    ----------
    archive
        The zip, opened.
    source
        What is known of it.

    Returns
    -------
    archive
        Without `content`. A verdict that lets the zip be used stands only if its
        CSV turns out whole.
    entry
        Its CSV; None if the zip is `corrupt` or `vanished`.
    """
    sha256 = hashlib.file_digest(archive, "sha256").hexdigest()
    size = archive.tell()
    name = source.path.name
    sidecar = read_sidecar(Path(f"{source.path}.CHECKSUM"), archive_name=name)
    found = Archive(size, sha256, sidecar.sha256, Verdict.OK, None)
    if not size:
        reason = "the file is empty: the server no longer had it"
        return replace(found, verdict=Verdict.VANISHED, reason=reason), None
    try:
        entry = find_csv(archive, stem=name.removesuffix(".zip"))
    except ParseError as error:
        return replace(found, verdict=Verdict.CORRUPT, reason=str(error)), None
    found = replace(found, warnings=entry.warnings)
    if sidecar.sha256 != sha256:
        archive.seek(0)
        md5 = hashlib.file_digest(archive, partial(hashlib.md5, usedforsecurity=False))
        found = judge_by_etag(
            found, md5=md5.hexdigest(), etag=source.etag, sidecar=sidecar
        )
    return found, None if found.verdict is Verdict.CORRUPT else entry


def csv_pieces(
    archive: BinaryIO,
    *,
    entry: CsvEntry,
    table: Table,
    piece_bytes: int = PIECE_BYTES,
) -> Iterator[CsvBody]:
    """Yield a CSV in pieces of whole lines, the first without the header.

    The blank lines at the end of the file are dropped, as by `split_header`.

    Parameters
    ----------
    archive
        The zip, opened; nobody else may move its position meanwhile.
    entry
        Its CSV.
    table
        What the CSV holds.
    piece_bytes
        The length of a piece, but for what is left of a line, and for the last.

    Yields
    ------
    CsvBody
        At least one, all of one layout; `has_header` and `warnings` are those of
        the file in the first, False and none in the others.

    Raises
    ------
    ParseError
        If the CSV is damaged, which may show only at the end, if its header is not
        that of `table`, or if there are `MAX_LINE_BYTES` without a line, be it
        that there is no line end or nothing but line ends.
    """
    first: CsvBody | None = None
    line = 1
    chunks = inflated(archive, entry=entry, chunk_bytes=min(piece_bytes, CHUNK_BYTES))
    for lines in _whole_lines(chunks, piece_bytes, entry.name):
        if first is None:
            body = first = split_header(lines, table=table)
        else:
            rows = lines.count(b"\n")
            body = replace(
                first,
                has_header=False,
                rows=rows,
                data=lines,
                warnings=(),
                first_line=line,
            )
        line = body.first_line + body.rows
        yield body
    if first is None:
        yield split_header(b"", table=table)


def _whole_lines(
    chunks: Iterator[bytes], piece_bytes: int, name: str
) -> Iterator[bytes]:
    """Cut bytes at line ends, which become line feeds, without a blank last line."""
    held = [b""]
    size = 0
    for chunk in chunks:
        held.append(chunk)
        size += len(chunk)
        if size < piece_bytes:
            continue
        lines, rest = _cut(held)
        if len(rest) > MAX_LINE_BYTES:
            msg = (
                f"{name}: {len(rest)} bytes without a line: expected lines of at most "
                f"{MAX_LINE_BYTES} bytes"
            )
            raise ParseError(msg)
        held, size = [rest], len(rest)
        if lines:
            yield lines
    lines, rest = _cut(held)
    if rest := rest.rstrip(b"\n"):
        lines += rest + b"\n"
    if lines:
        yield lines


def _cut(chunks: list[bytes]) -> tuple[bytes, bytes]:
    """Part whole lines from what follows the last of them that is not blank."""
    *whole, last = chunks
    if b"\n" not in last:
        whole, last = [], b"".join(chunks)
    cut = last.rfind(b"\n") + 1
    lines, rest = b"".join([*whole, last[:cut]]), last[cut:]
    if b"\r" in lines:
        lines = lines.replace(b"\r\n", b"\n")
    if lines == b"\n" or lines.endswith(b"\n\n"):
        filled = lines.rstrip(b"\n")
        kept = len(filled) + 1 if filled else 0
        lines, rest = lines[:kept], lines[kept:] + rest
    return lines, rest
