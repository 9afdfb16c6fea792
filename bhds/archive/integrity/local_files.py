"""Judge a zip and its CHECKSUM on disk by what is recorded of them.

What differs from the bytes that came is damage. What came corrupt is no damage if it
is what the bucket lists, which would come again; else it is a failed transfer.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

from bhds.archive.integrity.hashing import MEDIUM_ERRORS
from bhds.archive.integrity.status import ChecksumFile, read_checksum_file, zip_fault
from bhds.archive.keys import CHECKSUM_SUFFIX
from bhds.schemas.archive_tables import Damage, IntegrityStatus

_UNLISTED = "it is not what is listed, so its transfer failed"


@dataclass(frozen=True)
class DiskFile:
    """A zip or CHECKSUM on disk, and what is recorded of it."""

    key: str
    path: str
    """Below the data directory."""
    size: int
    """Bytes on disk."""
    mtime_ns: int
    inode: int
    sha256: str | None
    """Of the bytes on disk; None where they cannot be read."""
    fault: str | None
    """Why they cannot be read."""
    listed_size: int | None
    """In the last listing; None for a file that is not listed."""
    etag: str | None
    """In the last listing, without quotes."""
    fetched_size: int | None
    """Of the newest revision that ever came, as listed then; None if none did."""
    fetched_sha256: str | None
    """Of the bytes of that revision."""
    is_gone: bool
    """Whether the server did not have the file when it was last requested."""

    @property
    def is_listed(self) -> bool:
        """Whether the last listing has it."""
        return self.listed_size is not None


@dataclass(frozen=True)
class Finding:
    """What is thought of a zip, or of a damaged CHECKSUM."""

    file: DiskFile
    integrity_status: IntegrityStatus
    """`corrupt` if the file is damaged."""
    reason: str | None
    """Why the integrity status is not `ok`."""
    published_sha256: str | None = None
    damage: Damage | None = None
    quarantined_to: str | None = None
    """Where it was moved to, below the data directory."""


def judge_pair(
    archive: DiskFile | None, checksum: DiskFile | None, *, data_dir: Path
) -> list[Finding]:
    """Judge a zip with its CHECKSUM, or either where the other is missing.

    - A file is damaged if it differs from the ledger and from the listing, and the
      other file of the pair does not confirm it: a zip by its CHECKSUM, a CHECKSUM by
      its zip. A zip that is not in the ledger or no longer listed may also be sound;
      such a CHECKSUM is kept, because it could not be downloaded again.
    - An empty zip is `vanished` if no record shows that it had content.
    - Any other zip is checked as in parsing, but is not unpacked if it matches its
      CHECKSUM. A damaged CHECKSUM counts as missing.

    Parameters
    ----------
    archive, checksum
        The two files of a key; either may be None, not both.
    data_dir
        The data directory.

    Returns
    -------
    list of Finding
        One for the zip, and one before it for a damaged CHECKSUM; none if a file was
        removed meanwhile.

    Raises
    ------
    OSError
        If a file cannot be read for a reason other than `MEDIUM_ERRORS`.
    """
    findings: list[Finding] = []
    checksum_file = ChecksumFile(None, "there is no CHECKSUM file")
    try:
        if checksum is not None:
            sha256 = None if archive is None else archive.sha256
            checksum_file, finding = _judge_checksum(
                checksum, archive_sha256=sha256, data_dir=data_dir
            )
            findings += [] if finding is None else [finding]
        if archive is not None:
            findings.append(
                _judge_archive(archive, checksum_file=checksum_file, data_dir=data_dir)
            )
    except FileNotFoundError:  # removed meanwhile
        return []
    return findings


def _judge_checksum(
    file: DiskFile, *, archive_sha256: str | None, data_dir: Path
) -> tuple[ChecksumFile, Finding | None]:
    """Return what a CHECKSUM says, and a finding if it is damaged."""
    place = data_dir / file.path
    checksum_file = ChecksumFile(None, None)
    if file.fault is None:
        name = place.name.removesuffix(CHECKSUM_SUFFIX)
        checksum_file = read_checksum_file(place, archive_name=name)
    content = _Content(place, key=file.key)
    is_confirmed = (
        checksum_file.sha256 is not None and checksum_file.sha256 == archive_sha256
    )
    damage = _damage(
        file,
        content,
        is_confirmed=is_confirmed,
        is_acceptable=lambda: file.etag is None,
    )
    reason = f"the CHECKSUM is damaged on disk: {_mismatch(file)}"
    if damage is None:
        is_readable = checksum_file.sha256 is not None
        if is_readable or file.size == 0 or not _is_unlike_listing(file, content):
            return checksum_file, None
        damage, reason = Damage.FAILED_TRANSFER, f"{checksum_file.reason}; {_UNLISTED}"
    finding = Finding(file, IntegrityStatus.CORRUPT, reason, damage=damage)
    return ChecksumFile(None, reason), finding


def _judge_archive(
    file: DiskFile, *, checksum_file: ChecksumFile, data_dir: Path
) -> Finding:
    """Judge a zip; what cannot be read on the way is damage, too."""
    content = _Content(data_dir / file.path, key=file.key)
    try:
        damage = _damage(
            file,
            content,
            is_confirmed=file.sha256 == checksum_file.sha256,
            is_acceptable=lambda: content.fault is None,
        )
        if damage is None:
            integrity_status, reason = _status(
                file, content, checksum_file=checksum_file
            )
            if integrity_status is IntegrityStatus.CORRUPT and _is_unlike_listing(
                file, content
            ):
                damage, reason = Damage.FAILED_TRANSFER, f"{reason}; {_UNLISTED}"
        else:
            integrity_status = IntegrityStatus.CORRUPT
            reason = f"damaged on disk: {_mismatch(file)}"
    except OSError as error:
        if error.errno not in MEDIUM_ERRORS or file.fault is not None:
            raise
        unreadable = replace(file, sha256=None, fault=error.strerror)
        return _judge_archive(
            unreadable, checksum_file=checksum_file, data_dir=data_dir
        )
    return Finding(file, integrity_status, reason, checksum_file.sha256, damage)


class _Content:
    """What a closer look at a file shows; taken when it is requested, and once."""

    def __init__(self, path: Path, *, key: str) -> None:
        self._path, self._key = path, key

    @cached_property
    def md5(self) -> str:
        """The MD5 of the bytes, in hexadecimal."""
        with self._path.open("rb") as file:
            md5 = partial(hashlib.md5, usedforsecurity=False)
            return hashlib.file_digest(file, md5).hexdigest()

    @cached_property
    def fault(self) -> str | None:
        """Why the file is no sound zip of one CSV; None if it is."""
        return zip_fault(self._path, key=self._key)


def _damage(
    file: DiskFile,
    content: _Content,
    *,
    is_confirmed: bool,
    is_acceptable: Callable[[], bool],
) -> Damage | None:
    """Return how a file differs from what came; None if it does not.

    What is listed now, or confirmed by the other file of the pair, is right in any
    case: the ledger may have missed it. A file that the ledger does not know, or of
    which the server has none any more, is right too if it `is_acceptable`.
    """
    if file.fault is not None:
        return Damage.UNREADABLE
    is_known = file.fetched_sha256 is not None
    if file.size == 0 and (file.is_gone or not (is_known or file.is_listed)):
        return None
    if file.sha256 == file.fetched_sha256 or is_confirmed:
        return None
    if _is_as_listed(file, content):
        return None
    if not (is_known and file.is_listed) and is_acceptable():
        return None
    expected = file.fetched_size if is_known else file.listed_size
    is_shorter = expected is not None and file.size < expected
    return Damage.TRUNCATED if is_shorter else Damage.BIT_ROT


def _is_as_listed(file: DiskFile, content: _Content) -> bool:
    """Compare size and MD5; an ETag of several parts (`md5-N`) is no MD5."""
    if file.etag is None or file.size != file.listed_size:
        return False
    return content.md5 == file.etag.lower()


def _is_unlike_listing(file: DiskFile, content: _Content) -> bool:
    """Check that a file has another size or MD5 than listed; it needs a listed MD5."""
    has_md5 = file.etag is not None and "-" not in file.etag
    return file.is_listed and has_md5 and not _is_as_listed(file, content)


def _mismatch(file: DiskFile) -> str:
    if file.fault is not None:
        return f"it cannot be read ({file.fault})"
    found = f"{file.size} bytes with SHA-256 {file.sha256}"
    if file.fetched_sha256 is not None:
        return f"{found}, but {file.fetched_sha256} came"
    listed = f"{file.listed_size} bytes with ETag {file.etag}"
    return f"{found}, which nothing confirms; {listed} are listed"


def _status(
    file: DiskFile, content: _Content, *, checksum_file: ChecksumFile
) -> tuple[IntegrityStatus, str | None]:
    """Judge a zip that is what came, and say why it is not `ok`."""
    if file.size == 0:
        return (
            IntegrityStatus.VANISHED,
            "the file is empty: the server no longer had it",
        )
    if file.sha256 == checksum_file.sha256:
        return IntegrityStatus.OK, None
    origin = "; so it came" if file.sha256 == file.fetched_sha256 else ""
    if content.fault is not None:
        return IntegrityStatus.CORRUPT, f"{content.fault}{origin}"
    if checksum_file.sha256 is None:
        return IntegrityStatus.CHECKSUM_MISSING, checksum_file.reason
    mismatch = f"SHA-256 is {file.sha256}, the CHECKSUM says {checksum_file.sha256}"
    if _is_as_listed(file, content):
        reason = f"{mismatch}; MD5 equals the listed ETag and the CRC-32 is right"
        return IntegrityStatus.CHECKSUM_STALE, reason
    reason = f"{mismatch}; MD5 is not the listed ETag {file.etag}{origin}"
    return IntegrityStatus.CORRUPT, reason
