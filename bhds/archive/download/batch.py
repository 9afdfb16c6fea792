"""Download a batch of archive files, so that nothing fetched is lost.

1. Files are fetched into the staging folder (`staging`); there they stay, to be
   resumed, whatever happens.
2. Each is judged by its size and its MD5 (`transfers`). Most are hashed while others
   are still on their way. One that is not as listed, and that nothing proves sound, is
   a failed transfer: it is requested again, and never kept.
3. When no more comes, what is right is published (`publication`), and the files that
   failed are named.

Batches that run at the same time must not share files.
"""

import datetime as dt
import errno
import logging
import signal
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from bhds.archive.download import aria2, publication, transfers, unreachable
from bhds.archive.download.aria2_console import (
    CANNOT_RESUME,
    NO_SPACE,
    REDIRECTED,
    Outcome,
)
from bhds.archive.download.progress import BatchProgress
from bhds.archive.download.publication import Fetched
from bhds.archive.download.staging import RequestedFile, Staging
from bhds.archive.download.transfers import Body, Digests, Hashed, Proof
from bhds.archive.keys import CHECKSUM_SUFFIX, url_of_key
from bhds.core.errors import FetchError

logger = logging.getLogger(__name__)

REVISION = 1
"""Raise by one when the same keys must be downloaded to a different result."""

_ATTEMPTS = 3
_TELL_S = 2.0
_GONE = frozenset({404, 410})  # a 403 may as well be a firewall
_NAMED_FILES = 3
_CRASHES = frozenset({signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE})


@dataclass(frozen=True)
class BatchReport:
    """What became of a batch."""

    files: int
    """Files put into place, empty ones included."""
    kept: int
    """Of these, files that were whole, in place or in the staging folder, already."""
    size_bytes: int
    """Bytes put into place."""
    vanished: tuple[str, ...]
    """Keys that were listed, but that the server has no more: empty files, unless
    there was an earlier revision."""
    unlike_listing: tuple[str, ...]
    """Keys whose size or MD5 is not the listed one, but that are proven sound."""


@dataclass(frozen=True)
class _Source:
    """Where a batch comes from, and how it is fetched."""

    base_url: str
    executable: Path
    proxy: str | None
    timeout_s: int
    connections: int

    def url(self, wanted: RequestedFile) -> str:
        return url_of_key(self.base_url, key=wanted.key)


@dataclass
class _Batch:
    """A batch on its way: the files, and what is known of each by its key."""

    wanted: Sequence[RequestedFile]
    staging: Staging
    digests: dict[str, Digests] = field(default_factory=dict)
    """Of files that are right."""
    proofs: dict[str, Proof] = field(default_factory=dict)
    """Of those among them that are not as listed."""
    hashed_early: dict[str, Hashed | None] = field(default_factory=dict)
    """Keys of files that were hashed while aria2 fetched others; None: unusable."""
    gone: set[str] = field(default_factory=set)
    seen: dict[str, str] = field(default_factory=dict)
    """The SHA-256 that a file of listed size, but without a listed MD5, came with."""
    failures: dict[str, str] = field(default_factory=dict)
    requested_at: dt.datetime | None = None
    """When the download began."""
    begun: set[str] = field(default_factory=set)
    """Keys of files that were staged by then, in whole or in part."""
    is_unreached: bool = False
    """Whether no server answered when files did not come."""

    @property
    def missing(self) -> list[RequestedFile]:
        done = self.digests.keys() | self.gone
        return [wanted for wanted in self.wanted if wanted.key not in done]

    @property
    def fetched(self) -> list[Fetched]:
        """The files that are done, a zip and its CHECKSUM both or neither."""
        halves = {file.key.removesuffix(CHECKSUM_SUFFIX) for file in self.missing}
        return [
            Fetched(
                file,
                self.staging.place(file),
                self.digests.get(file.key),
                self.proofs.get(file.key),
                None if file.key in self.begun else self.requested_at,
            )
            for file in self.wanted
            if file.key.removesuffix(CHECKSUM_SUFFIX) not in halves
        ]


def fetch_batch(
    wanted: Sequence[RequestedFile],
    *,
    data_dir: Path | str,
    base_url: str,
    aria2c: Path | str | None = None,
    proxy: str | None = None,
    timeout_s: int = 15,
    connections: int = 16,
    progress: BatchProgress | None = None,
    may_all_be_gone: bool = False,
    is_removed_on_failure: bool = False,
) -> BatchReport:
    """Download files and put into place those that are right.

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
        Where progress is reported; default: that of a batch of these files.
    may_all_be_gone
        Whether the server may have none of several zips; if not, that is an error.
    is_removed_on_failure
        Whether the caller's failure removes files in place, as that of a Snakemake job
        does: they then stay staged, for `publication.publish_noted`.

    Returns
    -------
    BatchReport
        All n files are in place, their modification times are now, and the
        ledger has a row for each. A file that the server does not have is empty.

    Raises
    ------
    FetchError
        If a file could not be had; the others are put into place, but for the other
        half of a zip and its CHECKSUM, which stays in the staging folder, as parts do.
        Also if aria2c is missing, or a file cannot be put into place.
    """
    if not wanted:
        return BatchReport(0, 0, 0, (), ())
    executable = aria2.find_executable() if aria2c is None else Path(aria2c)
    source = _Source(base_url, executable, proxy, timeout_s, connections)
    began = time.monotonic()
    folder = Path(data_dir)
    unreachable.refuse(folder, base_url=base_url)
    try:
        batch = _Batch(wanted, Staging(wanted, data_dir=folder))
        batch.staging.clear()
        for file in wanted:
            has_size = file.md5 and publication.size_of(file.path) == file.size
            if has_size and is_as_listed(file):  # the other file of its pair is not
                batch.staging.copy(file)
        _check(batch, batch.wanted)
        kept = len(batch.digests)
        _fetch(batch, source=source, progress=progress or _progress(batch, data_dir))
        unreachable.note(folder, cause=_why_unreached(batch))
        if batch.gone and not may_all_be_gone:
            _refuse_nothing(batch, source=source)
        if batch.missing and is_removed_on_failure:
            publication.leave_note(batch.fetched, data_dir=folder)
        else:
            publication.publish(batch.fetched, data_dir=folder)
    except OSError as error:
        raise _no_storage(error, data_dir=data_dir) from error
    if batch.missing:
        raise _failure(batch)
    report = _report(batch, kept=kept)
    elapsed_s = time.monotonic() - began
    logger.info(
        "%d files, %d bytes in %.1f s; %d had been fetched before",
        *(report.files, report.size_bytes, elapsed_s, report.kept),
    )
    return report


def is_as_listed(wanted: RequestedFile) -> bool:
    """Check whether a file is in place with the size and the MD5 that are listed."""
    try:
        return transfers.agrees(transfers.digest(str(wanted.path)), wanted=wanted)
    except FileNotFoundError:
        return False


def _check(batch: _Batch, wanted: Iterable[RequestedFile]) -> None:
    """Judge the files that are staged to their end; what is not right is discarded."""
    staging = batch.staging
    found = {staged.wanted.key: staged for staged in staging.look() if staged.is_ended}
    ended = [file for file in wanted if file.key in found]
    hashed = transfers.digest_all(
        [found[file.key] for file in ended], early=batch.hashed_early
    )
    known = {**batch.digests}
    known |= {file.key: each for file, each in zip(ended, hashed, strict=True)}
    bodies = {
        file.key: Body(file, Path(staging.place(file)), known[file.key])
        for file in batch.wanted
        if file.key in known
    }
    doubtful = [bodies[file.key] for file in ended if not bodies[file.key].is_proven]
    pending = {f.key for f in batch.missing} - bodies.keys()
    proofs = transfers.proofs(doubtful, bodies=bodies, pending=pending)
    for file in ended:
        body = bodies[file.key]
        if (
            body.is_proven
            or file.key in proofs
            or (
                _came_so_before(batch, body)
                and not transfers.is_disproved(body, bodies=bodies)
            )
        ):
            batch.digests[file.key] = body.digests
            if not body.is_as_listed:
                batch.proofs[file.key] = proofs[file.key]
                logger.warning(
                    "%s: %s; kept, because it is proven sound by its %s",
                    *(file.path, transfers.difference(body), proofs[file.key].value),
                )
        else:
            batch.failures[file.key] = transfers.difference(body)
            batch.seen[file.key] = body.digests.sha256
            staging.discard(file)


def _came_so_before(batch: _Batch, body: Body) -> bool:
    """Check that a file comes the same each time, where no MD5 is listed for it."""
    return body.is_as_listed and batch.seen.get(body.wanted.key) == body.digests.sha256


def _hash_early(batch: _Batch) -> None:
    """Hash files that seem whole while aria2 runs, so that less is left for the end.

    Those that agree with their ETag's MD5 are done with, if they are the same when
    aria2 has ended; the others are judged then.
    """
    for staged in batch.staging.look(but=batch.hashed_early):
        file = staged.wanted
        if not staged.is_ended or file.md5 is None:
            continue
        try:
            found = staged.entry.stat()
            if found.st_size != file.size:
                continue
            hashed = Hashed(transfers.digest(staged.entry.path), found.st_mtime_ns)
        except FileNotFoundError:  # begun again
            continue
        is_sound = transfers.agrees(hashed.digests, wanted=file)
        batch.hashed_early[file.key] = hashed if is_sound else None


def _fetch(batch: _Batch, *, source: _Source, progress: BatchProgress) -> None:
    """Fetch missing files, and failed ones again, in `_ATTEMPTS` attempts."""
    _tell(progress, batch)
    batch.seen.clear()  # what was staged before proves nothing about the server
    batch.begun = {staged.wanted.key for staged in batch.staging.look()}
    batch.requested_at = dt.datetime.now(dt.UTC)
    for _ in range(_ATTEMPTS):
        missing = batch.missing
        if not missing:
            break
        batch.staging.clear(but=batch.digests)
        outcome = _run_aria2(batch, missing, source=source, progress=progress)
        batch.failures.clear()
        _check(batch, missing)
        unserved = [file for file in batch.missing if file.key not in batch.failures]
        if unserved and not _settle(batch, unserved, outcome=outcome, source=source):
            break
    _tell(progress, batch)


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


def _is_placeholder(path: Path) -> bool:
    """Check whether a file stands for one that the server did not have."""
    return path.exists() and publication.size_of(path) == 0


def _run_aria2(
    batch: _Batch,
    missing: Iterable[RequestedFile],
    *,
    source: _Source,
    progress: BatchProgress,
) -> Outcome:
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
        aria2.Download(source.url(file), batch.staging.name(file), file.size)
        for file in ordered
    ]
    return aria2.run(
        downloads,
        directory=batch.staging.folder,
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
    for staged in batch.staging.look(but=batch.digests) if batch.missing else ():
        with suppress(FileNotFoundError):  # begun again
            size_bytes += min(staged.entry.stat().st_size, staged.wanted.size)
            files += staged.is_ended
    progress.update(files=files, size_bytes=size_bytes)


def _settle(
    batch: _Batch,
    unserved: Sequence[RequestedFile],
    *,
    outcome: Outcome,
    source: _Source,
) -> bool:
    """Find out why files did not come; return whether to try those left again.

    Files that the server says it does not have are done. Requested by a second
    program, so that a vanished file is never the word of one error message.
    """
    reasons = [outcome.failures.get(source.url(f), outcome.failure) for f in unserved]
    batch.failures |= {
        file.key: reason.text for file, reason in zip(unserved, reasons, strict=True)
    }
    if any(reason.code == NO_SPACE for reason in reasons):
        return False
    for file, reason in zip(unserved, reasons, strict=True):
        # aria2 begins such a file again by itself, but not always. What made it crash
        # is not known.
        if reason.code == CANNOT_RESUME or -reason.code in _CRASHES:
            batch.staging.discard(file)
    asked = [
        file
        for file, reason in zip(unserved, reasons, strict=True)
        if reason.code != REDIRECTED
    ]
    if not asked:
        return len(unserved) < len(batch.missing)
    # Here for its aiohttp: a third of the start of all other jobs.
    from bhds.archive.download import presence  # noqa: PLC0415

    statuses = presence.ask(
        [source.url(file) for file in asked],
        proxy=source.proxy,
        timeout_s=source.timeout_s,
        connections=source.connections,
    )
    for file, status in zip(asked, statuses, strict=True):
        if status in _GONE:
            batch.staging.discard(file)
            batch.gone.add(file.key)
    batch.is_unreached = not any(statuses)
    return any(statuses)


def _why_unreached(batch: _Batch) -> str | None:
    """Return why a batch reached no server; None if it did."""
    is_unreached = batch.is_unreached and bool(batch.missing)
    return batch.failures[batch.missing[0].key] if is_unreached else None


def _failure(batch: _Batch) -> FetchError:
    missing = batch.missing
    for number, file in enumerate(missing):
        level = logging.WARNING if number < _NAMED_FILES else logging.INFO
        logger.log(level, "%s: failed: %s", file.path, batch.failures[file.key])
    names = ", ".join(file.path.name for file in missing[:_NAMED_FILES])
    more = ", ..." if len(missing) > _NAMED_FILES else ""
    msg = (
        f"download: {len(missing)} of {len(batch.wanted)} files failed ({names}{more}) "
        f"- {batch.failures[missing[0].key]} - check endpoints.archive_download, "
        "http.proxy and the disk, and run again: what was fetched is kept, and the "
        "rest continued"
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


def _report(batch: _Batch, *, kept: int) -> BatchReport:
    return BatchReport(
        files=len(batch.wanted),
        kept=kept,
        size_bytes=sum(digests.size for digests in batch.digests.values()),
        vanished=tuple(f.key for f in batch.wanted if f.key in batch.gone),
        unlike_listing=tuple(sorted(batch.proofs)),
    )


def _progress(batch: _Batch, data_dir: Path | str) -> BatchProgress:
    return BatchProgress(
        data_dir,
        keys=[file.key for file in batch.wanted],
        size_bytes=sum(file.size for file in batch.wanted),
    )
