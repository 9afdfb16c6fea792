"""Show the progress of a run's downloads over all of its batches.

The batches of a run are processes that know nothing of each other. The main process
says once what the run is about to download (`begin_run`); each batch keeps a small
file of its own with its counts, and whichever finds that nobody has spoken for five
seconds adds all of them up and prints one line. Nothing is locked: the worst that a
race can do is a line too many.
"""

import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from rich.filesize import decimal, pick_unit_and_suffix

from bhds import layout
from bhds.io.job_log import is_quiet
from bhds.io.storage import replacing

PERIOD_S = 5.0
"""Shortest time between two lines, over all processes."""

_RUN = "run.json"
_SPOKEN = "spoken.json"
_UNITS = ["bytes", "kB", "MB", "GB", "TB", "PB"]
_MINUTES_FROM_S = 90
_HOURS_FROM_S = 90 * 60


@dataclass(frozen=True)
class FileCounts:
    """How far one batch is, or all batches together."""

    started: float
    """Seconds since the epoch."""
    files: int
    """Files that are whole."""
    size_bytes: int
    """Bytes that are there, those of files in part included."""
    kept_bytes: int
    """Of these, bytes that were there before the start: they say nothing of speed."""


def begin_run(
    data_dir: Path | str,
    *,
    files: int,
    size_bytes: int,
    clock: Callable[[], float] = time.time,
) -> None:
    """Announce what the run is about to download, and forget any run before.

    To be called once by the main process, before the first batch.

    Parameters
    ----------
    data_dir
        The data directory.
    files
        How many files all batches together will fetch, checksums included.
    size_bytes
        Their sizes together, as listed.
    clock
        Seconds since the epoch.
    """
    folder = folder_of(data_dir)
    for old in folder.glob("*.json"):
        old.unlink(missing_ok=True)
    run = {"files": files, "bytes": size_bytes, "started": clock()}
    _write(run, folder / _RUN)


class BatchProgress:
    """The progress of one batch, shared with the other batches of the run.

    Parameters
    ----------
    data_dir
        The data directory.
    keys
        The keys of the batch's files: a batch that is begun again takes the place
        of its first attempt.
    size_bytes
        Their sizes together, as listed.
    stream
        Where lines go; default: standard error.
    clock
        Seconds since the epoch.
    """

    def __init__(
        self,
        data_dir: Path | str,
        *,
        keys: Iterable[str],
        size_bytes: int,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        names = sorted(keys)
        digest = hashlib.sha256("\n".join(names).encode()).hexdigest()
        self._folder = folder_of(data_dir)
        self._path = self._folder / f"batch-{digest[:16]}.json"
        self._own_total = (len(names), size_bytes)
        self._stream = stream
        self._clock = clock
        self._began: tuple[float, int] | None = None

    def update(self, *, files: int, size_bytes: int) -> None:
        """Record how far the batch is, and print a line if it is time for one.

        The first call shows what existed before the batch began.

        Parameters
        ----------
        files
            How many of the batch's files are whole.
        size_bytes
            Bytes of the batch that are there, those of files in part included.
        """
        now = self._clock()
        if self._began is None:
            self._began = (now, size_bytes)
        started, kept_bytes = self._began
        counts = FileCounts(started, files, size_bytes, kept_bytes)
        _write(asdict(counts), self._path)
        if is_quiet():
            return
        due = now - self._last_spoken() >= PERIOD_S
        if not due and files < self._own_total[0]:
            return  # adding up reads one file a batch: not at every call
        done, total = self._all_batches(counts)
        if due or done.files >= total[0]:
            _write({"at": now}, self._folder / _SPOKEN)
            stream = sys.stderr if self._stream is None else self._stream
            stream.write(describe(done, total=total, now=now) + "\n")
            stream.flush()

    def _last_spoken(self) -> float:
        spoken = _read(self._folder / _SPOKEN)
        return 0.0 if spoken is None else float(spoken["at"])

    def _all_batches(self, own: FileCounts) -> tuple[FileCounts, tuple[int, int]]:
        """Return what exists, and how many files and bytes there will be."""
        run = _read(self._folder / _RUN)
        if run is None:  # a batch by itself, outside a run
            return own, self._own_total
        return _sum(self._folder, run)


class Downloads(NamedTuple):
    """The downloads of a run that goes on."""

    described: str
    """As `describe`, without the time that is left."""
    size_bytes: int
    """What came in this run."""
    seconds_left: float
    """At the rate so far; 0 while nothing has come yet."""


def of_run(data_dir: Path | str, *, now: float) -> Downloads | None:
    """Return how far the downloads of a run are; None if it has none.

    Parameters
    ----------
    data_dir
        The data directory.
    now
        Seconds since the epoch.
    """
    folder = folder_of(data_dir)
    run = _read(folder / _RUN)
    if run is None or not run["files"]:
        return None
    done, total = _sum(folder, run)
    rate = _rate(done, now=now)
    left_s = max(total[1] - done.size_bytes, 0) / rate if rate > 0 else 0.0
    described = describe(done, total=total, now=now, with_time=False)
    return Downloads(described, done.size_bytes - done.kept_bytes, left_s)


def describe(
    done: FileCounts, *, total: tuple[int, int], now: float, with_time: bool = True
) -> str:
    """Put the state of the downloads into one line.

    Parameters
    ----------
    done
        What exists.
    total
        Files and bytes that there will be.
    now
        Seconds since the epoch.
    with_time
        Whether to estimate the time that is left.

    Returns
    -------
    str
        Such as `downloads: 1,200 of 16,956 files, 1.2 of 14.1 GB, 23.4 MB/s, about
        9 min left`; rate and time are left out while nothing has come yet, and the
        time when nothing is to come.
    """
    total_files, total_bytes = total
    unit, suffix = pick_unit_and_suffix(max(total_bytes, 1), _UNITS, 1000)
    digits = 0 if unit == 1 else 1
    line = (
        f"downloads: {done.files:,} of {total_files:,} files, "
        f"{done.size_bytes / unit:,.{digits}f} of {total_bytes / unit:,.{digits}f} "
        f"{suffix}"
    )
    rate = _rate(done, now=now)
    if rate <= 0:
        return line
    line += f", {decimal(int(rate))}/s"
    left_s = (total_bytes - done.size_bytes) / rate
    has_end = with_time and left_s > 0
    return f"{line}, about {duration(left_s)} left" if has_end else line


def duration(seconds: float) -> str:
    """Write how long something takes, such as `45 s`, `12 min` or `3.5 h`."""
    if seconds < _MINUTES_FROM_S:
        return f"{seconds:.0f} s"
    if seconds < _HOURS_FROM_S:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def _rate(done: FileCounts, *, now: float) -> float:
    """Return bytes per second; 0 while nothing has come yet."""
    elapsed_s = now - done.started
    return (done.size_bytes - done.kept_bytes) / elapsed_s if elapsed_s > 0 else 0.0


def _sum(folder: Path, run: Mapping[str, Any]) -> tuple[FileCounts, tuple[int, int]]:
    """Add up the batches of a run; the first one's start is the start of all."""
    contents = map(_read, folder.glob("batch-*.json"))
    found = [FileCounts(**content) for content in contents if content is not None]
    done = FileCounts(
        started=min((batch.started for batch in found), default=run["started"]),
        files=sum(batch.files for batch in found),
        size_bytes=sum(batch.size_bytes for batch in found),
        kept_bytes=sum(batch.kept_bytes for batch in found),
    )
    # Jobs that come up only while the run goes on were not announced.
    return done, (max(run["files"], done.files), max(run["bytes"], done.size_bytes))


def folder_of(data_dir: Path | str) -> Path:
    """Locate the records that the batches of a run share; a run begins with none."""
    return Path(data_dir) / layout.STAGING / "progress"


def _write(value: dict[str, Any], path: Path) -> None:
    # Not `storage.write_json`: this is written every two seconds and not logged.
    with replacing(path) as partial:
        partial.write_text(json.dumps(value), encoding="utf-8")


def _read(path: Path) -> dict[str, Any] | None:
    """Read a file of this module; None if it is gone, or a crash left it broken."""
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return content
