"""Take the one CSV out of a zip, and prove that it is whole."""

import io
import struct
import zipfile
from dataclasses import dataclass

from isal import isal_zlib

from bhds.errors import ParseError

MAX_CSV_BYTES = 2 << 30
"""The largest CSV that is unpacked: five times a month of 1s klines."""

_LOCAL_HEADER = struct.Struct("<4s22xHH")
_LOCAL_MAGIC = b"PK\x03\x04"
_ENCRYPTED = 0x1


@dataclass(frozen=True)
class Member:
    """The CSV of a zip."""

    content: bytes
    warnings: tuple[str, ...]
    """What was odd about the zip, though its CSV is sound."""


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
    return Member(_inflate(archive, entry, max_bytes=max_bytes), tuple(warnings))


def _entries(archive: bytes) -> list[zipfile.ZipInfo]:
    """Read a zip's central directory."""
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            return opened.infolist()
    except (
        zipfile.BadZipFile,
        NotImplementedError,  # a version of the format that is not known
        ValueError,  # also an undecodable name
        EOFError,
        struct.error,
    ) as error:
        msg = f"zip of {len(archive)} bytes cannot be opened: {error}"
        raise ParseError(msg) from error


def _compressed(archive: bytes, entry: zipfile.ZipInfo) -> memoryview:
    """Return a member's bytes as stored, from behind its local header."""
    begin = entry.header_offset
    try:
        magic, name_len, extra_len = _LOCAL_HEADER.unpack_from(archive, begin)
    except struct.error as error:
        msg = f"{entry.filename}: local header at {begin} is outside the zip"
        raise ParseError(msg) from error
    if magic != _LOCAL_MAGIC:
        msg = f"{entry.filename}: no local header at {begin}, but {magic!r}"
        raise ParseError(msg)
    data = begin + _LOCAL_HEADER.size + name_len + extra_len
    if data + entry.compress_size > len(archive):
        msg = f"{entry.filename}: its {entry.compress_size} bytes are cut off"
        raise ParseError(msg)
    return memoryview(archive)[data : data + entry.compress_size]


def _inflate(archive: bytes, entry: zipfile.ZipInfo, *, max_bytes: int) -> bytes:
    """Return a member's content; see `read_csv_member`."""
    name, size = entry.filename, entry.file_size
    if entry.flag_bits & _ENCRYPTED:
        msg = f"{name} is encrypted: expected a plain member"
        raise ParseError(msg)
    if size > max_bytes:
        msg = f"{name} declares {size} bytes: expected at most {max_bytes}"
        raise ParseError(msg)
    stored = _compressed(archive, entry)
    if entry.compress_type == zipfile.ZIP_DEFLATED:
        content = _inflate_raw(stored, name=name, size=size)
    elif entry.compress_type == zipfile.ZIP_STORED:
        content = bytes(stored)
    else:
        msg = f"{name}: compression {entry.compress_type}: expected stored or deflate"
        raise ParseError(msg)
    if len(content) != size:
        msg = f"{name} has {len(content)} bytes: its zip declares {size}"
        raise ParseError(msg)
    if (crc := isal_zlib.crc32(content)) != entry.CRC:
        msg = f"{name}: CRC-32 is {crc:08x}: its zip declares {entry.CRC:08x}"
        raise ParseError(msg)
    return content


def _inflate_raw(stored: memoryview, *, name: str, size: int) -> bytes:
    """Inflate a raw deflate stream that must yield `size` bytes and end there.

    One byte more than declared is asked for, so that a stream that goes on is
    noticed before it fills the memory.
    """
    inflater = isal_zlib.decompressobj(wbits=-isal_zlib.MAX_WBITS)
    try:
        content: bytes = inflater.decompress(stored, size + 1)
    except isal_zlib.IsalError as error:  # type: ignore[misc]  # a class, not as stubbed
        msg = f"{name} cannot be inflated: {error}"
        raise ParseError(msg) from error
    if len(content) > size:
        msg = f"{name} inflates to more than the {size} bytes its zip declares"
        raise ParseError(msg)
    if not inflater.eof or inflater.unused_data:
        msg = f"{name}: its compressed stream does not end with the member"
        raise ParseError(msg)
    return content
