"""Cut the CSV of a zip, which may be larger than memory, into pieces."""

from collections.abc import Iterator
from dataclasses import replace
from typing import BinaryIO

from bhds.archive.integrity.bounds import MAX_LINE_BYTES
from bhds.archive.integrity.zip_reader import CHUNK_BYTES, CsvEntry, inflated
from bhds.core.errors import ParseError
from bhds.parse.csv_reader import CsvBody, split_header
from bhds.schemas.csv_table import Table

PIECE_BYTES = 32 << 20
"""How much CSV is read at once: some 450,000 trades."""


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
        that of `table`, if it has more lines than `CsvEntry.max_rows`, or if there
        are `MAX_LINE_BYTES` without a line, be it that there is no line end or
        nothing but line ends.
    """
    first: CsvBody | None = None
    line = 1
    most = entry.max_rows
    chunks = inflated(archive, entry=entry, chunk_bytes=min(piece_bytes, CHUNK_BYTES))
    for lines in _whole_lines(chunks, piece_bytes, entry.name):
        _check_lengths(lines, first_line=line)
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
        if line - first.first_line > most:
            found = f"{line - first.first_line} rows or more"
            msg = f"{entry.name} has {found}: expected at most {most}, by what it is of"
            raise ParseError(msg)
        yield body
    if first is None:
        yield split_header(b"", table=table)


def count_rows(archive: BinaryIO, *, entry: CsvEntry, most: int) -> int:
    """Count the lines of a CSV, without keeping them, until there are more than `most`.

    Raises
    ------
    ParseError
        As of `inflated`.
    """
    rows = 0
    for chunk in inflated(archive, entry=entry):
        rows += chunk.count(b"\n")
        if rows > most:
            break
    return rows


def _check_lengths(lines: bytes, *, first_line: int) -> None:
    """Check that no line is longer than `MAX_LINE_BYTES`, looking at few bytes."""
    begin = 0
    while len(lines) - begin > MAX_LINE_BYTES:
        end = lines.rfind(b"\n", begin, begin + MAX_LINE_BYTES + 1)
        if end < 0:
            number = first_line + lines.count(b"\n", 0, begin)
            length = lines.index(b"\n", begin) - begin
            most = f"expected at most {MAX_LINE_BYTES}"
            msg = f"line {number} has {length} bytes: {most}"
            raise ParseError(msg)
        begin = end + 1


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
