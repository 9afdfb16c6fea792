"""Take the one CSV out of a zip, and prove that it is whole."""

import io
import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, NoReturn

from isal import igzip_lib, isal_zlib

from bhds.errors import ParseError

MAX_CSV_BYTES = 2 << 30
"""The largest CSV that is unpacked in memory: five times a month of 1s klines."""

CHUNK_BYTES = 1 << 20
"""How much of a larger CSV is inflated at once."""

_LOCAL_HEADER = struct.Struct("<4s22xHH")
_LOCAL_MAGIC = b"PK\x03\x04"
_ENCRYPTED = 0x1
_STORED_CHUNK_BYTES = 1 << 18


@dataclass(frozen=True)
class Member:
    """The CSV of a zip."""

    content: bytes
    warnings: tuple[str, ...]
    """What was odd about the zip, though its CSV is sound."""


@dataclass(frozen=True)
class CsvEntry:
    """Where the CSV of a zip is, and what the zip declares of it."""

    name: str
    begin: int
    """The position in the zip of its first byte."""
    stored_size: int
    """Its bytes in the zip."""
    size: int
    """Its bytes once inflated."""
    crc: int
    is_deflated: bool
    warnings: tuple[str, ...]
    """What is odd about the zip."""


def read_csv_member(
    archive: bytes, *, stem: str, max_bytes: int = MAX_CSV_BYTES
) -> Member:
    """Return the only CSV of a zip, inflated and checked against its CRC-32.

    Parameters
    ----------
    archive
        The bytes of the zip.
    stem
        The zip's name without `.zip`; its CSV should be `<stem>.csv`.
    max_bytes
        A CSV that is, or declares itself to be, larger is refused.

    Raises
    ------
    ParseError
        If the zip cannot be opened, holds no CSV or several, or the CSV is
        encrypted, too large, cut off, damaged or compressed in an unknown way.
    """
    entry = find_csv(io.BytesIO(archive), stem=stem)
    if entry.size > max_bytes:
        msg = f"{entry.name} declares {entry.size} bytes: expected at most {max_bytes}"
        raise ParseError(msg)
    stored = memoryview(archive)[entry.begin : entry.begin + entry.stored_size]
    content = _inflate(stored, entry=entry) if entry.is_deflated else bytes(stored)
    _check_whole(entry, size=len(content), crc=isal_zlib.crc32(content))
    return Member(content, entry.warnings)


def find_csv(archive: BinaryIO, *, stem: str) -> CsvEntry:
    """Find the only CSV of a zip, which may be larger than memory.

    Parameters
    ----------
    archive
        The zip, opened; of up to 2^64 bytes (ZIP64).
    stem
        The zip's name without `.zip`; its CSV should be `<stem>.csv`.

    Raises
    ------
    ParseError
        If the zip cannot be opened, holds no CSV or several, or the CSV is
        encrypted, cut off or compressed in an unknown way.
    """
    entries = _entries(archive)
    tables = [entry for entry in entries if entry.filename.lower().endswith(".csv")]
    if len(tables) != 1:
        names = ", ".join(repr(entry.filename) for entry in entries[:5]) or "nothing"
        msg = f"members: {len(tables)} CSVs in {names}: expected one, {stem}.csv"
        raise ParseError(msg)
    entry = tables[0]
    warnings = []
    if entry.filename != f"{stem}.csv":
        warnings.append(f"the CSV is named {entry.filename!r}, not {stem}.csv")
    if len(entries) > 1:
        others = [other.filename for other in entries if other is not entry]
        warnings.append(f"other members are ignored: {', '.join(others[:5])}")
    if entry.flag_bits & _ENCRYPTED:
        msg = f"{entry.filename} is encrypted: expected a plain member"
        raise ParseError(msg)
    if entry.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        compression = f"compression {entry.compress_type}"
        msg = f"{entry.filename}: {compression}: expected stored or deflate"
        raise ParseError(msg)
    return CsvEntry(
        name=entry.filename,
        begin=_begin(archive, entry),
        stored_size=entry.compress_size,
        size=entry.file_size,
        crc=entry.CRC,
        is_deflated=entry.compress_type == zipfile.ZIP_DEFLATED,
        warnings=tuple(warnings),
    )


def inflated(
    archive: BinaryIO, *, entry: CsvEntry, chunk_bytes: int = CHUNK_BYTES
) -> Iterator[bytes]:
    """Yield a CSV in chunks, and check at the end that it was whole.

    Until then nothing is known of what was yielded: drop it on an error.

    Parameters
    ----------
    archive
        The zip, opened; nobody else may move its position meanwhile.
    entry
        Its CSV.
    chunk_bytes
        The most that a chunk may have.

    Raises
    ------
    ParseError
        If the CSV is damaged, or not what the zip declares; as soon as it is
        larger.
    """
    if entry.is_deflated:
        stored = _stored_chunks(archive, entry, _STORED_CHUNK_BYTES)
        chunks = _inflated_chunks(stored, entry, chunk_bytes)
    else:
        chunks = _stored_chunks(archive, entry, chunk_bytes)
    size, crc = 0, 0
    for chunk in chunks:
        size += len(chunk)
        if size > entry.size:
            _refuse_excess(entry)
        crc = isal_zlib.crc32(chunk, crc)
        yield chunk
    _check_whole(entry, size=size, crc=crc)


def _entries(archive: BinaryIO) -> list[zipfile.ZipInfo]:
    """Read a zip's central directory."""
    try:
        with zipfile.ZipFile(archive) as opened:
            return opened.infolist()
    except (
        zipfile.BadZipFile,
        NotImplementedError,  # a version of the format that is not known
        ValueError,  # also an undecodable name
        EOFError,
        struct.error,
    ) as error:
        size = archive.seek(0, io.SEEK_END)
        msg = f"zip of {size} bytes cannot be opened: {error}"
        raise ParseError(msg) from error


def _begin(archive: BinaryIO, entry: zipfile.ZipInfo) -> int:
    """Return where a member's stored bytes begin, behind its local header."""
    begin, size = entry.header_offset, archive.seek(0, io.SEEK_END)
    if not 0 <= begin <= size - _LOCAL_HEADER.size:
        msg = f"{entry.filename}: local header at {begin} is outside the zip"
        raise ParseError(msg)
    archive.seek(begin)
    magic, name_len, extra_len = _LOCAL_HEADER.unpack(archive.read(_LOCAL_HEADER.size))
    if magic != _LOCAL_MAGIC:
        msg = f"{entry.filename}: no local header at {begin}, but {magic!r}"
        raise ParseError(msg)
    data: int = begin + _LOCAL_HEADER.size + name_len + extra_len
    if data + entry.compress_size > size:
        msg = f"{entry.filename}: its {entry.compress_size} bytes are cut off"
        raise ParseError(msg)
    return data


def _inflate(stored: memoryview, *, entry: CsvEntry) -> bytes:
    """Inflate a raw deflate stream that must yield what is declared and end there.

    One byte more than declared is asked for, so that a stream that goes on is
    noticed before it fills the memory.
    """
    inflater = isal_zlib.decompressobj(wbits=-isal_zlib.MAX_WBITS)
    try:
        content: bytes = inflater.decompress(stored, entry.size + 1)
    except isal_zlib.IsalError as error:  # type: ignore[misc]  # a class, not as stubbed
        msg = f"{entry.name} cannot be inflated: {error}"
        raise ParseError(msg) from error
    if len(content) > entry.size:
        _refuse_excess(entry)
    if not inflater.eof or inflater.unused_data:
        _refuse_end(entry)
    return content


def _stored_chunks(
    archive: BinaryIO, entry: CsvEntry, chunk_bytes: int
) -> Iterator[bytes]:
    """Yield the bytes of a CSV as they are in the zip."""
    archive.seek(entry.begin)
    left = entry.stored_size
    while left:
        chunk = archive.read(min(left, chunk_bytes))
        if not chunk:
            msg = f"{entry.name}: its last {left} bytes vanished while it was read"
            raise ParseError(msg)
        left -= len(chunk)
        yield chunk


def _inflated_chunks(
    stored: Iterator[bytes], entry: CsvEntry, chunk_bytes: int
) -> Iterator[bytes]:
    """Inflate a raw deflate stream, however much it yields."""
    inflater = igzip_lib.IgzipDecompressor(
        flag=igzip_lib.DECOMP_DEFLATE, hist_bits=isal_zlib.MAX_WBITS
    )
    while not inflater.eof:
        data = next(stored, None) if inflater.needs_input else b""
        if data is None:
            break
        try:
            yield inflater.decompress(data, chunk_bytes)
        except igzip_lib.IsalError as error:  # type: ignore[misc]  # a class, not as stubbed
            msg = f"{entry.name} cannot be inflated: {error}"
            raise ParseError(msg) from error
    if not inflater.eof or inflater.unused_data or next(stored, None) is not None:
        _refuse_end(entry)


def _check_whole(entry: CsvEntry, *, size: int, crc: int) -> None:
    if size != entry.size:
        msg = f"{entry.name} has {size} bytes: its zip declares {entry.size}"
        raise ParseError(msg)
    if crc != entry.crc:
        msg = f"{entry.name}: CRC-32 is {crc:08x}: its zip declares {entry.crc:08x}"
        raise ParseError(msg)


def _refuse_excess(entry: CsvEntry) -> NoReturn:
    msg = f"{entry.name} inflates to more than the {entry.size} bytes its zip declares"
    raise ParseError(msg)


def _refuse_end(entry: CsvEntry) -> NoReturn:
    msg = f"{entry.name}: its compressed stream does not end with the member"
    raise ParseError(msg)
