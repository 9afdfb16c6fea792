"""Download a batch of archive files, so that nothing fetched is lost.

1. Files are fetched into a staging folder, `aws_data/.staging`, that mirrors the
   paths below `aws_data`; there they stay, to be resumed, whatever happens.
2. Each is checked for its size and, where the ETag is one, its MD5. Most are hashed
   while others are still on their way.
3. When all are there they are renamed into place, and the ledger is told.

A staged file carries its revision's ETag in its name, so a file in part is never
continued with bytes of another revision. Batches that run at the same time must not
share files.
"""

import datetime as dt
import errno
import hashlib
import logging
import os
import re
import shutil
import time
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import polars as pl

from bhds.archive import aria2, ledger
from bhds.archive.keys import CHECKSUM_SUFFIX, url_of_key
from bhds.archive.progress import BatchProgress
from bhds.errors import FetchError
from bhds.storage import replacing

logger = logging.getLogger(__name__)

REVISION = 1
"""Raise by one when the same keys must be downloaded to a different result."""

_ATTEMPTS = 3  # one may fail, and two tell whether a file is unlike its listing
_HASH_THREADS = min(8, os.cpu_count() or 1)
_HASH_TASK = 16  # files
_TELL_S = 2.0
_CHUNK_BYTES = 1 << 16  # larger ones are slower: the allocator maps them anew
_GONE = frozenset({404, 410})  # a 403 may as well be a firewall
_NAMED_FILES = 3
_PLAIN_MD5 = re.compile(r"[0-9a-f]{32}")
_UNSAFE_IN_NAME = re.compile(r"[^0-9A-Za-z-]")


@dataclass(frozen=True)
class Wanted:
    """One file to download: a zip or a CHECKSUM."""

    key: str
    path: Path
    """Its final place, below `aws_data` in the data directory."""
    size: int
    """Bytes, as listed."""
    etag: str | None
    """As listed, without quotes; None where the listing has none."""
    last_modified: dt.datetime | None = None
    """As listed, UTC."""


@dataclass(frozen=True)
class BatchReport:
    """What became of a batch."""

    files: int
    """Files put into place, empty ones included."""
    kept: int
    """Of these, files that were whole in the staging folder already."""
    size_bytes: int
    """Bytes put into place."""
    vanished: tuple[str, ...]
    """Keys that were listed, but that the server has no more: empty files, unless
    there was an earlier revision."""
    unlike_listing: tuple[str, ...]
    """Keys whose size or MD5 is not the listed one, twice over: kept as served."""


@dataclass(frozen=True)
class _Digests:
    """What the bytes of a file are."""

    size: int
    md5: str
    sha256: str


@dataclass(frozen=True)
class _Hashed:
    """What a file was found to be, and when it had been written last."""

    digests: _Digests
    mtime_ns: int


@dataclass(frozen=True)
class _Staged:
    """A file that is staged, in whole or in part."""

    wanted: Wanted
    entry: "os.DirEntry[str]"
    is_ended: bool
    """Whether aria2 has fetched it to what it took for the end."""


@dataclass(frozen=True)
class _Source:
    """Where a batch comes from, and how it is fetched."""

    base_url: str
    executable: Path
    proxy: str | None
    timeout_s: int
    connections: int

    def url(self, wanted: Wanted) -> str:
        return url_of_key(self.base_url, key=wanted.key)


@dataclass
class _Batch:
    """A batch on its way: the files, and what is known of each by its key."""

    wanted: Sequence[Wanted]
    staging: Path
    staged: dict[str, str]
    """Where each is staged."""
    digests: dict[str, _Digests] = field(default_factory=dict)
    hashed_early: dict[str, _Hashed | None] = field(default_factory=dict)
    """Keys of files that were hashed while aria2 fetched others; None: to no use."""
    gone: set[str] = field(default_factory=set)
    kept: set[str] = field(default_factory=set)
    doubted: set[str] = field(default_factory=set)
    """Keys that came once in a form unlike the listing."""
    unlike_listing: set[str] = field(default_factory=set)
    failures: dict[str, str] = field(default_factory=dict)
    requested_at: dt.datetime | None = None
    """When the download began."""
    begun: set[str] = field(default_factory=set)
    """Keys of files that were staged by then, in whole or in part."""

    @property
    def missing(self) -> list[Wanted]:
        done = self.digests.keys() | self.gone
        return [wanted for wanted in self.wanted if wanted.key not in done]

    @cached_property
    def by_folder(self) -> dict[str, dict[str, Wanted]]:
        """The files by the folder and the name under which they are staged."""
        found: dict[str, dict[str, Wanted]] = defaultdict(dict)
        for file in self.wanted:
            folder, _, name = self.staged[file.key].rpartition("/")
            found[folder][name] = file
        return found


def fetch_batch(
    wanted: Sequence[Wanted],
    *,
    data_dir: Path | str,
    base_url: str,
    aria2c: Path | str | None = None,
    proxy: str | None = None,
    timeout_s: int = 15,
    connections: int = 16,
    progress: BatchProgress | None = None,
    may_all_be_gone: bool = False,
) -> BatchReport:
    """Download files and put all of them into place, or none.

    Parameters
    ----------
    wanted
        The files, of unique keys; n >= 0.
    data_dir
        The data directory.
    base_url
        URL below which the keys are.
    aria2c
        The executable, or None to look for it.
    proxy
        `[http://][user:password@]host[:port]`; None: no proxy, whatever the
        environment says.
    timeout_s
        Seconds to wait for a connection, and for the next bytes: 1 to 600.
    connections
        Most connections open at once, at least 1.
    progress
        Where progress is told; default: that of a batch of these files.
    may_all_be_gone
        Whether the server may have none of several zips; if not, that is an error.

    Returns
    -------
    BatchReport
        All n files are in place, their modification times are now, and the
        ledger has a row for each. A file that the server does not have is empty.

    Raises
    ------
    FetchError
        If a file could not be had, none is put into place; those that were
        fetched stay in the staging folder, and the next call continues there.
        Also if aria2c is missing, or a file cannot be put into place.
    """
    if not wanted:
        return BatchReport(0, 0, 0, (), ())
    executable = aria2.find_executable() if aria2c is None else Path(aria2c)
    source = _Source(base_url, executable, proxy, timeout_s, connections)
    began = time.monotonic()
    try:
        batch = _stage(wanted, data_dir=Path(data_dir))
        _check(batch, batch.wanted)
        kept = len(batch.digests)
        _fetch(batch, source=source, progress=progress or _progress(batch, data_dir))
        if batch.gone and not may_all_be_gone:
            _refuse_nothing(batch, source=source)
        _publish(batch)
        ledger.append(data_dir, rows=_ledger_rows(batch))
    except OSError as error:
        raise _no_storage(error, data_dir=data_dir) from error
    report = _report(batch, kept=kept)
    elapsed_s = time.monotonic() - began
    logger.info(
        "%d files, %d bytes in %.1f s; %d had been fetched before",
        *(report.files, report.size_bytes, elapsed_s, report.kept),
    )
    return report


def is_as_listed(wanted: Wanted) -> bool:
    """Check whether a file is in place with the size and the MD5 that are listed."""
    try:
        return _agrees(_digest(str(wanted.path)), wanted=wanted)
    except FileNotFoundError:
        return False


def _stage(wanted: Sequence[Wanted], *, data_dir: Path) -> _Batch:
    """Give each file its place in the staging folder, and clear what cannot serve.

    That is: other revisions of the file, more bytes than there should be, and
    anything of a file whose revision is not known.
    """
    root = data_dir.absolute() / "aws_data"
    staging = root / ".staging"
    folders: dict[Path, Path] = {}
    staged = {}
    for file in wanted:
        folder = file.path.parent
        if folder not in folders:
            folders[folder] = staging / folder.absolute().relative_to(root)
        staged[file.key] = f"{folders[folder]}/{file.path.name}.{_tag(file)}"
    batch = _Batch(wanted, staging, staged)
    _clear(batch)
    return batch


def _tag(wanted: Wanted) -> str:
    """Return the part of a staged file's name that tells its revision."""
    return _UNSAFE_IN_NAME.sub("_", wanted.etag or "unlisted")


def _clear(batch: _Batch) -> None:
    """Delete what is staged of the batch's files, but cannot be continued.

    Also aria2's record of such a file, be it there without the file.
    """
    for folder, files in batch.by_folder.items():
        untagged = {name.rpartition(".")[0] for name in files}
        for name, entry in _entries(folder).items():
            place = name.removesuffix(aria2.CONTROL_SUFFIX)
            if place not in files:
                if place.rpartition(".")[0] in untagged:
                    Path(entry).unlink()
            elif files[place].etag is None or (
                name == place and entry.stat().st_size > files[place].size
            ):
                _discard(f"{folder}/{place}")


def _entries(folder: str) -> dict[str, "os.DirEntry[str]"]:
    """Return what is in a folder by its name; nothing if there is no folder."""
    try:
        with os.scandir(folder) as found:
            return {entry.name: entry for entry in found}
    except FileNotFoundError:
        return {}


def _look(batch: _Batch, *, but: Container[str] = ()) -> Iterator[_Staged]:
    """Find the files of a batch that are staged, in whole or in part.

    By folder: to ask for each file by itself costs as much as to hash a small one.
    Left out are files with the keys `but`.
    """
    for folder, files in batch.by_folder.items():
        entries = _entries(folder)
        for name in files.keys() & entries.keys():
            if files[name].key in but:
                continue
            is_ended = name + aria2.CONTROL_SUFFIX not in entries
            yield _Staged(files[name], entries[name], is_ended)


def _size(path: Path) -> int:
    """Return the size of a file in bytes, 0 if it is not there."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _is_placeholder(path: Path) -> bool:
    """Tell whether a file stands for one that the server did not have."""
    return path.exists() and _size(path) == 0


def _discard(place: str) -> None:
    for path in (place, place + aria2.CONTROL_SUFFIX):
        with suppress(FileNotFoundError):
            Path(path).unlink()


def _check(batch: _Batch, wanted: Iterable[Wanted]) -> None:
    """Hash the files that are staged to their end, and judge them by the listing.

    Those that agree are done. The others are discarded, to be fetched anew; the
    second time they are what the server has, and done.
    """
    found = {staged.wanted.key: staged for staged in _look(batch) if staged.is_ended}
    ended = [file for file in wanted if file.key in found]
    hashed = _digest_all([found[f.key] for f in ended], early=batch.hashed_early)
    for file, digests in zip(ended, hashed, strict=True):
        if _agrees(digests, wanted=file):
            batch.digests[file.key] = digests
        elif file.key in batch.doubted:
            batch.digests[file.key] = digests
            batch.unlike_listing.add(file.key)
            _warn_unlike(file, digests)
        else:
            _discard(batch.staged[file.key])
            batch.doubted.add(file.key)
            batch.failures[file.key] = "came with another size or MD5 than listed"


def _digest_all(
    files: Sequence[_Staged], *, early: Mapping[str, _Hashed | None]
) -> list[_Digests]:
    """Hash files, but for those that have not been written since they were.

    In threads; a task has several files, or it would cost as much as a small one.
    """

    def digest(staged: _Staged) -> _Digests:
        hashed = early.get(staged.wanted.key)
        if hashed is not None and staged.entry.stat().st_mtime_ns == hashed.mtime_ns:
            return hashed.digests
        return _digest(staged.entry.path)

    tasks = [files[i : i + _HASH_TASK] for i in range(0, len(files), _HASH_TASK)]
    with ThreadPoolExecutor(_HASH_THREADS) as pool:
        done = pool.map(lambda task: list(map(digest, task)), tasks)
        return [digests for task in done for digests in task]


def _hash_early(batch: _Batch) -> None:
    """Hash files that seem whole while aria2 runs, so that less is left for the end.

    Those that agree with their ETag's MD5 are done with, if they are the same when
    aria2 has ended; the others are judged then.
    """
    for staged in _look(batch, but=batch.hashed_early):
        file = staged.wanted
        if not staged.is_ended or not _has_md5(file):
            continue
        try:
            found = staged.entry.stat()
            if found.st_size != file.size:
                continue
            hashed = _Hashed(_digest(staged.entry.path), found.st_mtime_ns)
        except FileNotFoundError:  # begun again
            continue
        is_sound = _agrees(hashed.digests, wanted=file)
        batch.hashed_early[file.key] = hashed if is_sound else None


def _digest(path: str) -> _Digests:
    """Hash a file's bytes in one pass; other threads run meanwhile."""
    size, md5, sha256 = 0, hashlib.md5(usedforsecurity=False), hashlib.sha256()
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - two calls fewer
        while chunk := file.read(_CHUNK_BYTES):
            size += len(chunk)
            md5.update(chunk)
            sha256.update(chunk)
    return _Digests(size, md5.hexdigest(), sha256.hexdigest())


def _agrees(digests: _Digests, *, wanted: Wanted) -> bool:
    """Compare with the listing; an ETag of several parts (`md5-N`) proves nothing."""
    if digests.size != wanted.size:
        return False
    return not _has_md5(wanted) or digests.md5 == wanted.etag


def _has_md5(wanted: Wanted) -> bool:
    return wanted.etag is not None and _PLAIN_MD5.fullmatch(wanted.etag) is not None


def _warn_unlike(wanted: Wanted, digests: _Digests) -> None:
    logger.warning(
        "%s: served twice with %d bytes and MD5 %s, listed with %d bytes and ETag %s; "
        "kept as served, the content decides",
        *(wanted.key, digests.size, digests.md5, wanted.size, wanted.etag),
    )


def _fetch(batch: _Batch, *, source: _Source, progress: BatchProgress) -> None:
    """Fetch what is missing, and once more what failed or is unlike the listing.

    Raises
    ------
    FetchError
        If files are missing at the end.
    """
    _tell(progress, batch)
    batch.doubted.clear()  # what was staged before tells nothing of the server
    batch.begun = {staged.wanted.key for staged in _look(batch)}
    batch.requested_at = dt.datetime.now(dt.UTC)
    for _ in range(_ATTEMPTS):
        missing = batch.missing
        if not missing:
            break
        outcome = _run_aria2(batch, missing, source=source, progress=progress)
        batch.failures.clear()
        _check(batch, missing)
        unserved = [file for file in batch.missing if file.key not in batch.failures]
        if unserved and not _settle(batch, unserved, outcome=outcome, source=source):
            break
    _tell(progress, batch)
    if batch.missing:
        raise _failure(batch)


def _refuse_nothing(batch: _Batch, *, source: _Source) -> None:
    """Raise a FetchError if the server has none of several zips."""
    # Those that were gone before may well be gone again.
    zips = [
        file
        for file in batch.wanted
        if not file.key.endswith(CHECKSUM_SUFFIX) and not _is_placeholder(file.path)
    ]
    if len(zips) > 1 and all(file.key in batch.gone for file in zips):
        msg = (
            f"{source.base_url}: has none of {len(zips)} listed zips, expected most of "
            f"them, {zips[0].key} first; check endpoints.archive_download"
        )
        raise FetchError(msg)


def _run_aria2(
    batch: _Batch,
    missing: Iterable[Wanted],
    *,
    source: _Source,
    progress: BatchProgress,
) -> aria2.Outcome:
    """Fetch files into staging, large ones first, so that none is left for last."""
    told_at = time.monotonic()

    def on_tick() -> None:
        nonlocal told_at
        _hash_early(batch)
        if time.monotonic() - told_at >= _TELL_S:
            _tell(progress, batch)
            told_at = time.monotonic()

    ordered = sorted(missing, key=lambda file: file.size, reverse=True)
    downloads = [
        aria2.Download(
            url=source.url(file),
            name=batch.staged[file.key].removeprefix(f"{batch.staging}/"),
            size=file.size,
        )
        for file in ordered
    ]
    return aria2.run(
        downloads,
        directory=batch.staging,
        executable=source.executable,
        proxy=source.proxy,
        timeout_s=source.timeout_s,
        connections=source.connections,
        on_tick=on_tick,
    )


def _tell(progress: BatchProgress, batch: _Batch) -> None:
    whole = [file for file in batch.wanted if file.key in batch.digests]
    files = len(batch.gone) + len(whole)
    size_bytes = sum(file.size for file in whole)
    for staged in _look(batch, but=batch.digests) if batch.missing else ():
        with suppress(FileNotFoundError):  # begun again
            size_bytes += min(staged.entry.stat().st_size, staged.wanted.size)
            files += staged.is_ended
    progress.update(files=files, size_bytes=size_bytes)


def _settle(
    batch: _Batch,
    unserved: Sequence[Wanted],
    *,
    outcome: aria2.Outcome,
    source: _Source,
) -> bool:
    """Find out why files did not come; return whether to try those left again.

    Files that the server says it does not have are done. Asked for by a second
    program, so that a vanished file is never the word of one error message.
    """
    reasons = [outcome.failures.get(source.url(f), outcome.failure) for f in unserved]
    batch.failures |= {
        file.key: reason.text for file, reason in zip(unserved, reasons, strict=True)
    }
    if any(reason.code == aria2.NO_SPACE for reason in reasons):
        return False
    for file, reason in zip(unserved, reasons, strict=True):
        # aria2 begins such a file again by itself, but not always.
        if reason.code == aria2.CANNOT_RESUME:
            _discard(batch.staged[file.key])
    # Here for its aiohttp: a third of the start of all other jobs.
    from bhds.archive import presence  # noqa: PLC0415

    statuses = presence.ask(
        [source.url(file) for file in unserved],
        proxy=source.proxy,
        timeout_s=source.timeout_s,
        connections=source.connections,
    )
    for file, status in zip(unserved, statuses, strict=False):
        if status in _GONE:
            _discard(batch.staged[file.key])
            batch.gone.add(file.key)
    return bool(statuses)


def _failure(batch: _Batch) -> FetchError:
    missing = batch.missing
    names = ", ".join(file.path.name for file in missing[:_NAMED_FILES])
    more = ", ..." if len(missing) > _NAMED_FILES else ""
    msg = (
        f"download: {len(missing)} of {len(batch.wanted)} files failed ({names}{more}) "
        f"- {batch.failures[missing[0].key]} - check endpoints.archive_download, "
        "http.proxy and the disk, and run again: what was fetched is kept in "
        f"{batch.staging} and continued there"
    )
    return FetchError(msg)


def _no_storage(error: OSError, *, data_dir: Path | str) -> FetchError:
    full = error.errno in {errno.ENOSPC, errno.EDQUOT}
    advice = "free some space" if full else "make the data directory writable"
    msg = (
        f"download: {error.filename or data_dir}: {error.strerror or error}; expected "
        f"a writable place with free space, {advice} and run again: what was fetched "
        "is kept and continued"
    )
    return FetchError(msg)


def _publish(batch: _Batch) -> None:
    """Put every file into its final place, empty where the server has none.

    A revision that is at hand is not given up for one that the server does not
    have: a zip stays then, and with it the CHECKSUM that belongs to it.
    """
    zips = {f.key for f in batch.wanted if f.key in batch.gone and _size(f.path) > 0}
    batch.kept = zips | {f"{key}{CHECKSUM_SUFFIX}" for key in zips}
    for folder in {os.path.dirname(file.path) for file in batch.wanted}:  # noqa: PTH120
        Path(folder).mkdir(parents=True, exist_ok=True)
    for file in batch.wanted:
        if file.key in batch.kept:
            logger.warning("%s: gone on the server; what is here stays", file.path)
            continue
        if file.key in batch.gone:
            logger.warning("%s: gone on the server; left empty", file.path)
            with replacing(file.path) as partial:
                partial.touch()
            size = 0
        else:
            if file.key in batch.begun:
                os.utime(batch.staged[file.key])  # fetched by a run long ago
            _move(batch.staged[file.key], file.path)
            size = batch.digests[file.key].size
        logger.info("%s: %d bytes", file.path, size)


def _move(staged: str, target: Path) -> None:
    """Rename a file, or copy it where the target is on another file system."""
    try:
        os.replace(staged, target)  # noqa: PTH105 - no object for each
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        with replacing(target) as partial:
            shutil.copyfile(staged, partial)
        Path(staged).unlink()


def _ledger_rows(batch: _Batch) -> pl.DataFrame:
    """Describe the batch for the ledger: one row a file, with `ledger.SCHEMA`."""
    files = batch.wanted
    came = {k: v for k, v in batch.digests.items() if k not in batch.kept}
    found = [came.get(file.key) for file in files]
    columns = {
        "key": [file.key for file in files],
        "etag": [file.etag for file in files],
        "size": [file.size for file in files],
        "last_modified": [file.last_modified for file in files],
        "md5": [None if digests is None else digests.md5 for digests in found],
        "sha256": [None if digests is None else digests.sha256 for digests in found],
        "first_seen": [dt.datetime.now(dt.UTC)] * len(files),
        "requested_at": [
            None if file.key in batch.begun else batch.requested_at for file in files
        ],
        "served_size": [None if digests is None else digests.size for digests in found],
    }
    return pl.DataFrame(columns, schema=ledger.SCHEMA)


def _report(batch: _Batch, *, kept: int) -> BatchReport:
    return BatchReport(
        files=len(batch.wanted),
        kept=kept,
        size_bytes=sum(digests.size for digests in batch.digests.values()),
        vanished=tuple(f.key for f in batch.wanted if f.key in batch.gone),
        unlike_listing=tuple(sorted(batch.unlike_listing)),
    )


def _progress(batch: _Batch, data_dir: Path | str) -> BatchProgress:
    return BatchProgress(
        data_dir,
        keys=[file.key for file in batch.wanted],
        size_bytes=sum(file.size for file in batch.wanted),
    )
