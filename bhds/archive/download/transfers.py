"""Judge what came of a download by its size, its MD5, and what proves it sound.

A body that differs from its listing is a failed transfer: a portal, a proxy or a broken
line made it. It is sound all the same if its CHECKSUM names it, or, where no CHECKSUM
can be read, if all CRCs of the zip are right: then the listing is older than the file.
"""

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from bhds.archive.download.staging import RequestedFile, StagedFile
from bhds.archive.integrity.status import ChecksumFile, read_checksum_file, zip_fault
from bhds.archive.keys import CHECKSUM_SUFFIX

_HASH_THREADS = min(8, os.cpu_count() or 1)
_HASH_TASK = 16  # files
_CHUNK_BYTES = 1 << 16  # larger ones are slower: the allocator maps them anew
_END_OF_ZIP, _END_BYTES = b"PK\x05\x06", 22


class Proof(StrEnum):
    """What proves a body sound that is not as listed."""

    CHECKSUM = "CHECKSUM"
    """The zip is the one that its CHECKSUM names; this goes for both of them."""
    CRC = "CRC"
    """All CRCs of the zip are right, and there is no CHECKSUM to read."""


@dataclass(frozen=True)
class Digests:
    """What the bytes of a file are."""

    size: int
    md5: str
    sha256: str


@dataclass(frozen=True)
class Hashed:
    """What a file was found to be, and when it had been written last."""

    digests: Digests
    mtime_ns: int


@dataclass(frozen=True)
class Body:
    """A file that came to its end."""

    wanted: RequestedFile
    place: Path
    digests: Digests

    @property
    def is_as_listed(self) -> bool:
        """Whether size and MD5 are the listed ones, the MD5 where there is one."""
        return agrees(self.digests, wanted=self.wanted)

    @property
    def is_proven(self) -> bool:
        """Whether it is as listed, by its MD5."""
        return self.is_as_listed and self.wanted.md5 is not None


def agrees(digests: Digests, *, wanted: RequestedFile) -> bool:
    """Compare with the listing; an ETag of several parts (`md5-N`) proves nothing."""
    if digests.size != wanted.size:
        return False
    return wanted.md5 is None or digests.md5 == wanted.md5


def digest(path: str) -> Digests:
    """Hash a file's bytes in one pass; other threads run meanwhile."""
    size, md5, sha256 = 0, hashlib.md5(usedforsecurity=False), hashlib.sha256()
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - two calls fewer
        while chunk := file.read(_CHUNK_BYTES):
            size += len(chunk)
            md5.update(chunk)
            sha256.update(chunk)
    return Digests(size, md5.hexdigest(), sha256.hexdigest())


def digest_all(
    files: Sequence[StagedFile], *, early: Mapping[str, Hashed | None]
) -> list[Digests]:
    """Hash files, but for those that have not been written since they were.

    In threads; a task has several files, or it would cost as much as a small one.
    """

    def digest_one(staged: StagedFile) -> Digests:
        hashed = early.get(staged.wanted.key)
        if hashed is not None and staged.entry.stat().st_mtime_ns == hashed.mtime_ns:
            return hashed.digests
        return digest(staged.entry.path)

    tasks = [files[i : i + _HASH_TASK] for i in range(0, len(files), _HASH_TASK)]
    with ThreadPoolExecutor(_HASH_THREADS) as pool:
        done = pool.map(lambda task: list(map(digest_one, task)), tasks)
        return [digests for task in done for digests in task]


def proofs(
    doubtful: Iterable[Body], *, bodies: Mapping[str, Body], pending: Iterable[str]
) -> dict[str, Proof]:
    """Find what proves bodies sound that no MD5 of the listing does.

    Parameters
    ----------
    doubtful
        The bodies to be proven.
    bodies
        All that came of the batch, by key.
    pending
        Keys of files that may still come.

    Returns
    -------
    dict
        The proof of each that has one, by key. Several with the same bytes have none,
        whatever they are: one page was served for all of them.
    """
    doubtful, pending = list(doubtful), set(pending)
    times = Counter(body.digests.sha256 for body in doubtful)
    found = {}
    for body in doubtful:
        if times[body.digests.sha256] == 1:
            proof = _proof(body, bodies=bodies, pending=pending)
            if proof is not None:
                found[body.wanted.key] = proof
    return found


def _proof(
    body: Body, *, bodies: Mapping[str, Body], pending: set[str]
) -> Proof | None:
    key = body.wanted.key
    zip_key = key.removesuffix(CHECKSUM_SUFFIX)
    archive = bodies.get(zip_key)
    checksum = bodies.get(zip_key + CHECKSUM_SUFFIX)
    checksum_file = _checksum(checksum)
    if checksum_file.sha256 is not None:
        is_named = (
            archive is not None and archive.digests.sha256 == checksum_file.sha256
        )
        return Proof.CHECKSUM if is_named else None
    if key != zip_key or (checksum is None and zip_key + CHECKSUM_SUFFIX in pending):
        return None
    if not _ends_as_zip(body.place):
        return None
    # One of another name is sound, too, but may be another file.
    is_sound = zip_fault(body.place, key=key, has_name=True) is None
    return Proof.CRC if is_sound else None


def is_disproved(body: Body, *, bodies: Mapping[str, Body]) -> bool:
    """Return whether a zip cannot be right though it comes the same each time.

    Others of the batch have the same bytes, or it is neither sound nor what its
    CHECKSUM names: either alone may be, as some were published so.
    """
    sha256 = body.digests.sha256
    if sum(other.digests.sha256 == sha256 for other in bodies.values()) > 1:
        return True
    named = _checksum(bodies.get(body.wanted.key + CHECKSUM_SUFFIX)).sha256
    if named in {None, sha256}:
        return False
    return zip_fault(body.place, key=body.wanted.key) is not None


def _checksum(checksum: Body | None) -> ChecksumFile:
    """Return what a CHECKSUM says, nothing if it did not come."""
    if checksum is None:
        return ChecksumFile(None, None)
    name = checksum.wanted.path.name.removesuffix(CHECKSUM_SUFFIX)
    return read_checksum_file(checksum.place, archive_name=name)


def _ends_as_zip(path: Path) -> bool:
    """Check that nothing follows a zip's directory: no CRC covers it."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _END_BYTES))
        return file.read(len(_END_OF_ZIP)) == _END_OF_ZIP


def difference(body: Body) -> str:
    """Return how a body differs from its listing."""
    wanted, digests = body.wanted, body.digests
    text = (
        f"received {digests.size:,} bytes with MD5 {digests.md5}, listed are "
        f"{wanted.size:,} bytes with ETag {wanted.etag}"
    )
    with body.place.open("rb") as file:
        is_page = file.read(64).lstrip().startswith(b"<")
    return f"{text}; it looks like a page of HTML or XML" if is_page else text
