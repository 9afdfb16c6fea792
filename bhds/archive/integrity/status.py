"""Decide whether a zip's bytes can be used, and say why not.

A zip may be larger than memory.
"""

import hashlib
import re
from dataclasses import dataclass, replace
from functools import partial
from io import BufferedReader
from pathlib import Path

from bhds.archive.integrity.bounds import (
    MAX_CHECKSUM_BYTES,
    Bounds,
    bounds_of_file,
    cut,
)
from bhds.archive.integrity.zip_input import ArchiveInput
from bhds.archive.integrity.zip_reader import CsvEntry, check_csv, find_csv
from bhds.archive.keys import ArchiveFile
from bhds.core.errors import ParseError
from bhds.schemas.archive_tables import IntegrityStatus


@dataclass(frozen=True)
class Archive:
    """A zip as read from disk."""

    size: int
    """Bytes on disk."""
    sha256: str
    published_sha256: str | None
    """The hash in the CHECKSUM; None without a readable one."""
    integrity_status: IntegrityStatus
    reason: str | None
    """Why the integrity status is not `ok`."""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class ChecksumFile:
    """What a CHECKSUM says."""

    sha256: str | None
    """The published hash in lower case; None if there is none to read."""
    reason: str | None
    """Why there is none."""


_CHECKSUM = re.compile(r"([0-9A-Fa-f]{64}) +(\S.*?)(?:\r?\n)?", re.ASCII)


def read_checksum_file(path: Path, *, archive_name: str) -> ChecksumFile:
    """Read a CHECKSUM: `<sha256><spaces><name>`, with or without a newline.

    Notes
    -----
    Spot's have no newline at the end, futures' have one; some zips never had a
    CHECKSUM (binance/binance-public-data#469).
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_CHECKSUM_BYTES + 1)
    except FileNotFoundError:
        return ChecksumFile(None, "there is no CHECKSUM file")
    if not content:
        return ChecksumFile(None, "the CHECKSUM file is empty: the server had none")
    if len(content) > MAX_CHECKSUM_BYTES:
        most = f"expected at most {MAX_CHECKSUM_BYTES}"
        return ChecksumFile(
            None, f"the CHECKSUM has {path.stat().st_size} bytes: {most}"
        )
    match = _CHECKSUM.fullmatch(content.decode("utf-8", errors="replace"))
    if match is None:
        form = "expected 64 hex digits, spaces and the name of the zip"
        return ChecksumFile(None, f"the CHECKSUM reads {content[:100]!r}: {form}")
    if match[2] != archive_name:
        found = cut(match[2], length=100)
        return ChecksumFile(None, f"the CHECKSUM is of {found!r}, not {archive_name!r}")
    return ChecksumFile(match[1].lower(), None)


def judge_archive(
    archive: BufferedReader, *, source: ArchiveInput, bounds: Bounds
) -> tuple[Archive, CsvEntry | None]:
    """Judge a zip by its CHECKSUM and its structure; inflate only what these doubt.

    Parameters
    ----------
    archive
        The zip, opened.
    source
        What is known of it.
    bounds
        The most that its CSV may have.

    Returns
    -------
    archive
        A status that lets the zip be used stands only if its CSV turns out whole.
    entry
        Its CSV; None if the zip is `corrupt` or `vanished`.
    """
    sha256 = hashlib.file_digest(archive, "sha256").hexdigest()
    size = archive.tell()
    name = source.path.name
    checksum = read_checksum_file(Path(f"{source.path}.CHECKSUM"), archive_name=name)
    found = Archive(size, sha256, checksum.sha256, IntegrityStatus.OK, None)
    if not size:
        reason = "the file is empty: the server no longer had it"
        return replace(
            found, integrity_status=IntegrityStatus.VANISHED, reason=reason
        ), None
    try:
        entry = find_csv(archive, stem=name.removesuffix(".zip"), bounds=bounds)
        found = replace(found, warnings=entry.warnings)
        if checksum.sha256 == sha256:
            return found, entry
        check_csv(archive, entry=entry)
    except ParseError as error:
        reason = str(error)
        return replace(
            found, integrity_status=IntegrityStatus.CORRUPT, reason=reason, warnings=()
        ), None
    archive.seek(0)
    md5 = hashlib.file_digest(archive, partial(hashlib.md5, usedforsecurity=False))
    found = judge_by_etag(
        found, md5=md5.hexdigest(), etag=source.etag, checksum=checksum
    )
    return found, None if found.integrity_status is IntegrityStatus.CORRUPT else entry


def judge_by_etag(
    sound: Archive, *, md5: str, etag: str | None, checksum: ChecksumFile
) -> Archive:
    """Judge a sound zip that no CHECKSUM confirms, by the ETag in the listing.

    Parameters
    ----------
    sound
        The zip; its integrity status so far does not count.
    md5
        The MD5 of its bytes, in hex.
    etag, checksum
        What the listing and the CHECKSUM say.
    """
    if checksum.sha256 is None:
        warnings = sound.warnings
        if etag is not None and "-" not in etag and etag.lower() != md5:
            warnings += (f"MD5 is {md5}, the listed ETag is {etag}",)
        return replace(
            sound,
            integrity_status=IntegrityStatus.CHECKSUM_MISSING,
            reason=checksum.reason,
            warnings=warnings,
        )
    mismatch = f"SHA-256 is {sound.sha256}, the CHECKSUM says {checksum.sha256}"
    if etag is not None and etag.lower() == md5:
        reason = f"{mismatch}; MD5 equals the listed ETag and the CRC-32 is right"
        return replace(
            sound, integrity_status=IntegrityStatus.CHECKSUM_STALE, reason=reason
        )
    reason = f"{mismatch}; MD5 {md5} is not the listed ETag {etag}"
    return replace(sound, integrity_status=IntegrityStatus.CORRUPT, reason=reason)


def zip_fault(path: Path, *, key: str, has_name: bool = False) -> str | None:
    """Return why a file is no sound zip of what its key names; None if it is.

    With `has_name`, its CSV has to be named after it.
    """
    named = ArchiveFile.from_key(key)
    stem = named.name.removesuffix(".zip")
    try:
        with path.open("rb") as file:
            entry = find_csv(file, stem=stem, bounds=bounds_of_file(named))
            if has_name and entry.name != f"{stem}.csv":
                return f"its CSV is named {entry.name!r}"
            check_csv(file, entry=entry)
    except ParseError as error:
        return str(error)
    return None
