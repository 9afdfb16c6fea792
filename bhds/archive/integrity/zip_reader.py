"""Take the one CSV out of a zip, and prove that it is whole."""

import io
import struct
import zipfile
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, NoReturn

from isal import igzip_lib, isal_zlib

from bhds.archive.integrity.bounds import MAX_DIRECTORY_BYTES, Bounds, cut
from bhds.core.errors import ParseError

CHUNK_BYTES = 1 << 20
"""How much of a CSV is inflated at once."""

_LOCAL_HEADER = struct.Struct("<4s22xHH")
_LOCAL_MAGIC = b"PK\x03\x04"
_ENCRYPTED = 0x1
_STORED_CHUNK_BYTES = 1 << 18


@dataclass(frozen=True)
class CsvEntry:
    """Where the CSV of a zip is, and what the zip declares of it."""

    name: str
    """As far as it can be shown."""
    begin: int
    """The position in the zip of its first byte."""
    stored_size: int
    """Its bytes in the zip."""
    size: int
    """Its bytes once inflated."""
    crc: int
    is_deflated: bool
    max_rows: int
    """The most lines that it may have."""
    warnings: tuple[str, ...]
    """What is odd about the zip, though its CSV may be sound."""


def find_csv(archive: BinaryIO, *, stem: str, bounds: Bounds) -> CsvEntry:
    """Find the only CSV of a zip, which may be larger than memory.

    What a zip declares is no promise: `inflated` refuses a CSV that has more.

    Parameters
    ----------
    archive
        The zip, opened; of up to 2^64 bytes (ZIP64).
    stem
        The zip's name without `.zip`; its CSV should be `<stem>.csv`.
    bounds
        The most that the CSV may have.

    Raises
    ------
    ParseError
        If the zip cannot be opened, holds no CSV or several, or the CSV is
        encrypted, too large, cut off or compressed in an unknown way.
    """
    entries = _entries(archive)
    tables = [entry for entry in entries if entry.filename.lower().endswith(".csv")]
    if len(tables) != 1:
        names = ", ".join(repr(_shown(entry)) for entry in entries[:5]) or "nothing"
        msg = f"members: {len(tables)} CSVs in {names}: expected one, {stem}.csv"
        raise ParseError(msg)
    entry = tables[0]
    name = _shown(entry)
    warnings = []
    if entry.filename != f"{stem}.csv":
        warnings.append(f"the CSV is named {name!r}, not {stem}.csv")
    if len(entries) > 1:
        others = [_shown(other) for other in entries if other is not entry]
        warnings.append(f"other members are ignored: {', '.join(others[:5])}")
    if entry.flag_bits & _ENCRYPTED:
        msg = f"{name} is encrypted: expected a plain member"
        raise ParseError(msg)
    if entry.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        compression = f"compression {entry.compress_type}"
        msg = f"{name}: {compression}: expected stored or deflate"
        raise ParseError(msg)
    if entry.file_size > bounds.size:
        most = f"expected at most {bounds.size}, by what it is of"
        msg = f"{name} declares {entry.file_size} bytes: {most}"
        raise ParseError(msg)
    return CsvEntry(
        name=name,
        begin=_begin(archive, entry),
        stored_size=entry.compress_size,
        size=entry.file_size,
        crc=entry.CRC,
        is_deflated=entry.compress_type == zipfile.ZIP_DEFLATED,
        max_rows=bounds.rows,
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


def check_csv(archive: BinaryIO, *, entry: CsvEntry) -> None:
    """Check that a CSV can be inflated, and is whole.

    Raises
    ------
    ParseError
        As of `inflated`.
    """
    deque(inflated(archive, entry=entry), maxlen=0)


class _Sparing:
    """A zip of which no more is read at once than a central directory may have."""

    def __init__(self, archive: BinaryIO) -> None:
        self._archive = archive
        self.seek, self.tell = archive.seek, archive.tell

    def read(self, size: int = -1, /) -> bytes:
        """Read bytes as any file does, but not more than `MAX_DIRECTORY_BYTES`."""
        most = MAX_DIRECTORY_BYTES + 1
        content = self._archive.read(most if size < 0 else min(size, most))
        if len(content) == most:
            msg = f"its directory has more than {MAX_DIRECTORY_BYTES} bytes"
            raise zipfile.BadZipFile(msg)
        return content


def _entries(archive: BinaryIO) -> list[zipfile.ZipInfo]:
    """Read a zip's central directory."""
    try:
        with zipfile.ZipFile(_Sparing(archive)) as opened:
            return opened.infolist()
    except (
        zipfile.BadZipFile,
        OverflowError,  # a position beyond 2^63
        NotImplementedError,  # a version of the format that is not known
        ValueError,  # also an undecodable name
        EOFError,
        struct.error,
    ) as error:
        size = archive.seek(0, io.SEEK_END)
        msg = f"zip of {size} bytes cannot be opened: {cut(str(error))}"
        raise ParseError(msg) from error


def _shown(entry: zipfile.ZipInfo) -> str:
    """Return the name of a member as it can be shown."""
    return cut(entry.filename, length=100)


def _begin(archive: BinaryIO, entry: zipfile.ZipInfo) -> int:
    """Return where a member's stored bytes begin, behind its local header."""
    begin, size = entry.header_offset, archive.seek(0, io.SEEK_END)
    if not 0 <= begin <= size - _LOCAL_HEADER.size:
        msg = f"{_shown(entry)}: local header at {begin} is outside the zip"
        raise ParseError(msg)
    archive.seek(begin)
    magic, name_len, extra_len = _LOCAL_HEADER.unpack(archive.read(_LOCAL_HEADER.size))
    if magic != _LOCAL_MAGIC:
        msg = f"{_shown(entry)}: no local header at {begin}, but {magic!r}"
        raise ParseError(msg)
    data: int = begin + _LOCAL_HEADER.size + name_len + extra_len
    if data + entry.compress_size > size:
        msg = f"{_shown(entry)}: its {entry.compress_size} bytes are cut off"
        raise ParseError(msg)
    return data


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
