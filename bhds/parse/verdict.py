"""Decide whether a zip's bytes can be used, and say why not."""

import hashlib
import re
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from bhds.errors import ParseError
from bhds.parse.inputs import ArchiveInput
from bhds.parse.members import read_csv_member


class Verdict(StrEnum):
    """What is thought of a zip; the rows of the first three are used."""

    OK = "ok"
    """The zip matches its CHECKSUM and its content is sound."""
    SIDECAR_MISSING = "sidecar-missing"
    """There is no CHECKSUM, or an unreadable one; the content is sound."""
    SIDECAR_STALE = "sidecar-stale"
    """Differs from its CHECKSUM, but is what the bucket lists, and is sound."""
    CORRUPT = "corrupt"
    """The content cannot be trusted."""
    VANISHED = "vanished"
    """An empty file: the server no longer had what it had listed."""


@dataclass(frozen=True)
class Archive:
    """A zip as read from disk."""

    size: int
    """Bytes on disk."""
    sha256: str
    published_sha256: str | None
    """The hash in the CHECKSUM; None without a readable one."""
    verdict: Verdict
    reason: str | None
    """Why the verdict is not `ok`."""
    warnings: tuple[str, ...] = ()
    content: bytes | None = None
    """The CSV; None if the zip is `corrupt` or `vanished`."""


@dataclass(frozen=True)
class Sidecar:
    """What a CHECKSUM says."""

    sha256: str | None
    """The published hash in lower case; None if there is none to read."""
    reason: str | None
    """Why there is none."""


_SIDECAR = re.compile(r"([0-9A-Fa-f]{64}) +(\S.*?)(?:\r?\n)?", re.ASCII)


def read_sidecar(path: Path, *, archive_name: str) -> Sidecar:
    """Read a CHECKSUM: `<sha256><spaces><name>`, with or without a newline.

    Notes
    -----
    Spot's have no newline at the end, futures' have one; some zips never had a
    CHECKSUM (binance/binance-public-data#469).
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return Sidecar(None, "there is no CHECKSUM file")
    if not content:
        return Sidecar(None, "the CHECKSUM file is empty: the server had none")
    match = _SIDECAR.fullmatch(content.decode("utf-8", errors="replace"))
    if match is None:
        form = "expected 64 hex digits, spaces and the name of the zip"
        return Sidecar(None, f"the CHECKSUM reads {content[:100]!r}: {form}")
    if match[2] != archive_name:
        return Sidecar(None, f"the CHECKSUM is of {match[2]!r}, not {archive_name!r}")
    return Sidecar(match[1].lower(), None)


def read_archive(source: ArchiveInput) -> Archive:
    """Read a zip, and judge it by its CHECKSUM, its structure and its CRC-32.

    Raises
    ------
    ParseError
        If the zip does not exist. Bad content is a verdict, never an error.
    """
    try:
        data = source.path.read_bytes()
    except FileNotFoundError as error:
        msg = f"{source.path}: no such file: expected the zip of {source.key}; fetch it"
        raise ParseError(msg) from error
    name = source.path.name
    sidecar = read_sidecar(Path(f"{source.path}.CHECKSUM"), archive_name=name)
    sha256 = hashlib.sha256(data).hexdigest()
    archive = Archive(len(data), sha256, sidecar.sha256, Verdict.OK, None)
    if not data:
        reason = "the file is empty: the server no longer had it"
        return replace(archive, verdict=Verdict.VANISHED, reason=reason)
    try:
        member = read_csv_member(data, stem=name.removesuffix(".zip"))
    except ParseError as error:
        return replace(archive, verdict=Verdict.CORRUPT, reason=str(error))
    sound = replace(archive, content=member.content, warnings=member.warnings)
    if sidecar.sha256 == sha256:
        return sound
    md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
    return judge_by_etag(sound, md5=md5, etag=source.etag, sidecar=sidecar)


def judge_by_etag(
    sound: Archive, *, md5: str, etag: str | None, sidecar: Sidecar
) -> Archive:
    """Judge a sound zip that no CHECKSUM confirms, by the ETag in the listing.

    Parameters
    ----------
    sound
        The zip; its verdict so far does not count.
    md5
        The MD5 of its bytes, in hex.
    etag, sidecar
        What the listing and the CHECKSUM say.
    """
    if sidecar.sha256 is None:
        warnings = sound.warnings
        if etag is not None and "-" not in etag and etag.lower() != md5:
            warnings += (f"MD5 is {md5}, the listed ETag is {etag}",)
        return replace(
            sound,
            verdict=Verdict.SIDECAR_MISSING,
            reason=sidecar.reason,
            warnings=warnings,
        )
    mismatch = f"SHA-256 is {sound.sha256}, the CHECKSUM says {sidecar.sha256}"
    if etag is not None and etag.lower() == md5:
        reason = f"{mismatch}; MD5 equals the listed ETag and the CRC-32 is right"
        return replace(sound, verdict=Verdict.SIDECAR_STALE, reason=reason)
    reason = f"{mismatch}; MD5 {md5} is not the listed ETag {etag}"
    return replace(sound, verdict=Verdict.CORRUPT, reason=reason, content=None)
