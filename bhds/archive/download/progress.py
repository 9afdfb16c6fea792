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
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TextIO

from rich.filesize import decimal, pick_unit_and_suffix

from bhds import layout
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
    folder = _folder(data_dir)
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
        self._folder = _folder(data_dir)
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
        due = now - self._last_spoken() >= PERIOD_S
        if not due and files < self._own_total[0]:
            return  # adding up reads one file a batch: not at every call
        done, total = self._all_batches()
        if due or done.files >= total[0]:
            _write({"at": now}, self._folder / _SPOKEN)
            stream = sys.stderr if self._stream is None else self._stream
            stream.write(describe(done, total=total, now=now) + "\n")
            stream.flush()

    def _last_spoken(self) -> float:
        spoken = _read(self._folder / _SPOKEN)
        return 0.0 if spoken is None else float(spoken["at"])

    def _all_batches(self) -> tuple[FileCounts, tuple[int, int]]:
        """Return what exists, and how many files and bytes there will be."""
        run = _read(self._folder / _RUN)
        if run is None:  # a batch by itself, outside a run
            total, paths = self._own_total, [self._path]
        else:
            total = (int(run["files"]), int(run["bytes"]))
            paths = list(self._folder.glob("batch-*.json"))
        found = [counts for counts in map(_read, paths) if counts is not None]
        done = _sum(FileCounts(**counts) for counts in found)
        # Jobs that come up only while the run goes on were not announced.
        return done, (max(total[0], done.files), max(total[1], done.size_bytes))


def describe(done: FileCounts, *, total: tuple[int, int], now: float) -> str:
    """Put the state of the downloads into one line.

    Parameters
    ----------
    done
        What exists.
    total
        Files and bytes that there will be.
    now
        Seconds since the epoch.

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
    elapsed_s = now - done.started
    rate = (done.size_bytes - done.kept_bytes) / elapsed_s if elapsed_s > 0 else 0.0
    if rate <= 0:
        return line
    line += f", {decimal(int(rate))}/s"
    left_s = (total_bytes - done.size_bytes) / rate
    return line if left_s <= 0 else f"{line}, about {_duration(left_s)} left"


def _duration(seconds: float) -> str:
    if seconds < _MINUTES_FROM_S:
        return f"{seconds:.0f} s"
    if seconds < _HOURS_FROM_S:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def _sum(batches: Iterable[FileCounts]) -> FileCounts:
    """Add up the batches; the first one's start is the start of all."""
    found = list(batches)
    return FileCounts(
        started=min(batch.started for batch in found),
        files=sum(batch.files for batch in found),
        size_bytes=sum(batch.size_bytes for batch in found),
        kept_bytes=sum(batch.kept_bytes for batch in found),
    )


def _folder(data_dir: Path | str) -> Path:
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
