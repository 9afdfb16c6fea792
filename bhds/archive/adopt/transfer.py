"""Verify the zips of another folder, and put them into `aws_data`.

A file is verified in its place, under a temporary name, so that nothing changes between
check and use.
"""

import datetime as dt
import errno
import os
import stat
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from enum import StrEnum
from functools import partial
from io import FileIO
from pathlib import Path

import polars as pl

from bhds.archive.adopt.scan import Flat, FoundFile, Group, Outcome, RefusedError, scan
from bhds.archive.download import ledger
from bhds.archive.download.transfers import Digests, digest
from bhds.archive.integrity.bounds import (
    MAX_CHECKSUM_BYTES,
    MAX_DIRECTORY_BYTES,
    bounds_of_file,
)
from bhds.archive.integrity.status import read_checksum_file, zip_fault
from bhds.archive.keys import CHECKSUM_SUFFIX, ArchiveFile, path_of_key
from bhds.core.errors import PlaceError
from bhds.io.storage import replacing
from bhds.schemas.archive_tables import LEDGER

_CHUNK_BYTES = 1 << 20
_SHARED_BYTES = 1 << 30
_THREADS = min(8, os.cpu_count() or 1)
_NO_LINKS = frozenset(
    {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOSYS}
)


class Transfer(StrEnum):
    """How a file gets into its place."""

    COPY = "copy"
    LINK = "link"
    """A hard link: one file with two names."""
    MOVE = "move"
    """The source is removed when the file is in its place."""


def adopt(
    folders: Iterable[Path],
    *,
    data_dir: Path,
    transfer: Transfer,
    flat: Flat,
    dry_run: bool = False,
) -> list[FoundFile]:
    """Take the sound zips and CHECKSUMs of folders, and record them in the ledger.

    A file in place is never replaced. Links to folders are not followed.

    Parameters
    ----------
    folders
        Where to look, at any depth.
    data_dir
        The data directory.
    transfer
        How the files get there.
    flat
        What is known of files outside the known folders.
    dry_run
        Whether to verify files where they are, and take none.

    Returns
    -------
    list of FoundFile
        Every file found, sorted by path.

    Raises
    ------
    FetchError
        If a folder cannot be read; nothing is taken then.
    PlaceError
        If the place may not be written to, is full, or cannot have hard links; what
        was taken before stays.
    """
    found: list[FoundFile] = []
    groups: dict[str, Group] = {}
    for folder in folders:
        found += scan(folder, groups=groups, flat=flat)
    adopter = _Adopter(data_dir, transfer, dry_run=dry_run)
    try:
        with ThreadPoolExecutor(_THREADS) as pool:
            deque(pool.map(adopter.take, groups.values()), maxlen=0)
    finally:
        if not dry_run:
            adopter.record()
    return sorted([*found, *adopter.found], key=lambda file: file.path)


class _Adopter:
    """Takes files, from several threads."""

    def __init__(self, data_dir: Path, transfer: Transfer, *, dry_run: bool) -> None:
        self.found: list[FoundFile] = []
        self._data_dir = data_dir
        self._transfer = transfer
        self._is_dry_run = dry_run
        self._would_be_taken: dict[str, Path] = {}
        self._rows: list[tuple[str, Digests, Outcome]] = []

    def take(self, group: Group) -> None:
        """Take the first sound zip of a place, and its CHECKSUM.

        Others of the same place are compared with it.
        """
        file, checksums = group.file, dict(group.checksums)
        most_bytes = bounds_of_file(file).size + MAX_DIRECTORY_BYTES
        for path, size in sorted(group.zips.items()):
            check = partial(_zip_digests, source=path, file=file)
            digests = self._take(path, size, file.key, most_bytes, check)
            if digests is not None and path in checksums:
                check = partial(_checksum_digests, file=file, sha256=digests.sha256)
                self._take(
                    path + CHECKSUM_SUFFIX,
                    checksums.pop(path),
                    file.key + CHECKSUM_SUFFIX,
                    MAX_CHECKSUM_BYTES,
                    check,
                )
        for path, size in checksums.items():
            lone = FoundFile(path + CHECKSUM_SUFFIX, size, Outcome.LONE_CHECKSUM)
            self.found.append(lone)

    def record(self) -> None:
        """Enter the files into the ledger; their ETags are not known.

        Of files that were in place before, those that it does not know.
        """
        now = dt.datetime.now(dt.UTC)
        rows = [
            {
                "key": key,
                "size": digests.size,
                "md5": digests.md5,
                "sha256": digests.sha256,
                "first_seen": now,
                "served_size": digests.size,
                "is_taken": outcome is Outcome.TAKEN,
            }
            for key, digests, outcome in self._rows
        ]
        schema = {**LEDGER, "is_taken": pl.Boolean()}
        found = pl.DataFrame(rows, schema=schema)
        taken = found.filter("is_taken")
        known = ledger.read(self._data_dir, columns=["key"])
        present = (
            found.filter(~pl.col("is_taken"))
            .unique("key")
            .join(pl.concat([known, taken.select("key")]), on="key", how="anti")
        )
        added = pl.concat([taken, present]).drop("is_taken")
        ledger.append(self._data_dir, rows=added)

    def _take(
        self,
        path: str,
        size: int,
        key: str,
        most_bytes: int,
        check: Callable[[Path], Digests],
    ) -> Digests | None:
        """Take a file; return its digests if it is in place then."""
        place_of_key = self._data_dir / path_of_key(key)
        target = self._would_be_taken.get(key, place_of_key)
        try:
            with _opened(path) as source:
                if target.exists():
                    outcome, digests = Outcome.PRESENT, _same(path, target)
                    is_removable = not os.path.samefile(path, target)  # noqa: PTH121
                elif self._is_dry_run:
                    _check_size(size, most_bytes)
                    outcome, digests = Outcome.TAKEN, check(Path(path))
                    self._would_be_taken[key] = Path(path)
                else:
                    _check_size(size, most_bytes)
                    with replacing(target) as place:
                        self._bring(source, path, place)
                        digests = check(place)
                    outcome, is_removable = Outcome.TAKEN, True
        except RefusedError as refused:
            self.found.append(FoundFile(path, size, refused.outcome, refused.detail))
            return None
        self._rows.append((key, digests, outcome))
        self.found.append(FoundFile(path, size, outcome))
        if self._is_dry_run:
            return digests
        if self._transfer is Transfer.MOVE and is_removable:
            try:
                os.unlink(path)  # noqa: PTH108 - no object for each
            except OSError as error:
                msg = (
                    f"{path}: is in place now, but cannot be removed "
                    f"({error.strerror}); change the rights of its folder, or use "
                    "--copy"
                )
                raise PlaceError(msg) from error
        return digests

    def _bring(self, source: FileIO, path: str, place: Path) -> None:
        """Copy a file to a place, or link it there."""
        if self._transfer is not Transfer.COPY:
            place.unlink(missing_ok=True)
            try:
                os.link(path, place, follow_symlinks=False)
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
                if self._transfer is Transfer.LINK:
                    msg = (
                        f"{path}: cannot be hard-linked into {self._data_dir} "
                        f"({error.strerror}); use --copy or --move"
                    )
                    raise PlaceError(msg) from error
            else:
                if not os.path.samestat(place.lstat(), os.fstat(source.fileno())):
                    raise RefusedError(Outcome.IRREGULAR, "it was replaced meanwhile")
                if self._transfer is Transfer.MOVE:
                    os.utime(place)  # newer than what was built without it
                return
        with place.open("wb") as copy:
            # File systems that can share the bytes do. What fails is left to the loop.
            with suppress(OSError):
                while os.copy_file_range(source.fileno(), copy.fileno(), _SHARED_BYTES):
                    pass
            while chunk := _read(source):
                copy.write(chunk)


def _opened(path: str) -> FileIO:
    """Open a regular file; wait for no pipe."""
    try:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        source = FileIO(os.open(path, flags))
    except OSError as error:
        raise RefusedError(Outcome.UNREADABLE, error.strerror) from error
    if not stat.S_ISREG(os.fstat(source.fileno()).st_mode):
        source.close()
        raise RefusedError(Outcome.IRREGULAR)
    return source


def _read(source: FileIO) -> bytes:
    """Read the next bytes: an error is that of the source, not of its copy."""
    try:
        return source.read(_CHUNK_BYTES)
    except OSError as error:
        raise RefusedError(Outcome.UNREADABLE, error.strerror) from error


def _same(path: str, target: Path) -> Digests:
    """Return the digests of a file that is in place with the same bytes."""
    digests = digest(path)
    if digest(os.fspath(target)) != digests:
        raise RefusedError(Outcome.DIFFERENT)
    return digests


def _check_size(size: int, most_bytes: int) -> None:
    if size > most_bytes:
        detail = f"{size} bytes: expected at most {most_bytes}"
        raise RefusedError(Outcome.DAMAGED, detail)


def _zip_digests(place: Path, *, source: str, file: ArchiveFile) -> Digests:
    """Return the digests of a zip that is sound, and what its CHECKSUM names."""
    digests = digest(os.fspath(place))
    published = _published_sha256(source, file=file)
    if published not in {None, digests.sha256}:
        raise RefusedError(Outcome.UNLIKE_CHECKSUM)
    # One of another name may be another file, unless a CHECKSUM confirms it.
    fault = zip_fault(place, key=file.key, has_name=published is None)
    if fault is not None:
        raise RefusedError(Outcome.DAMAGED, fault)
    return digests


def _published_sha256(path: str, *, file: ArchiveFile) -> str | None:
    """Return the hash in the CHECKSUM next to a zip; None without a readable one."""
    checksum = Path(path + CHECKSUM_SUFFIX)
    try:
        _opened(os.fspath(checksum)).close()
    except RefusedError:
        return None
    return read_checksum_file(checksum, archive_name=file.name).sha256


def _checksum_digests(place: Path, *, file: ArchiveFile, sha256: str) -> Digests:
    """Return the digests of a CHECKSUM that names its zip."""
    found = read_checksum_file(place, archive_name=file.name)
    if found.sha256 != sha256:
        detail = found.reason or "it names another hash"
        raise RefusedError(Outcome.BAD_CHECKSUM, detail)
    return digest(os.fspath(place))
