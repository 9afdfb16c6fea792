"""Which processes build here, and what those that were killed left behind.

A run of Snakemake leaves a record below `.snakemake` while it is going on, named by its
machine, its process and when that began: so a later process of the same number is not
taken for it, nor one of another machine. What cannot be known is left alone.
"""

import hashlib
import os
import re
import shutil
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

from bhds import layout

PARENT = "BHDS_PARENT"
"""The variable of the environment that names the process without which to end."""

_RECORDS = Path(".snakemake", "bhds-runs")
_LOCKS = Path(".snakemake", "locks")
_SCRIPTS = Path(".snakemake", "scripts")
_STAGES = tuple(f"{folder}/" for folder in layout.STAGES)
_NAME = re.compile(r"([0-9a-f]{12})-([0-9]+)-([0-9]+)")
_SCRATCH = re.compile(rf"bhds-[a-z0-9]+-({_NAME.pattern})-\w+")
_POLL_S = 0.5
_GRACE_S = 5.0
_HIDDEN = -1
_STARTED_FIELD = 19
"""Of /proc/PID/stat, counted from the first field after the program's name."""


class Process(NamedTuple):
    """One process of one machine."""

    machine: str
    pid: int
    started: int
    """When it began, in ticks since the machine did: no clock can move that."""

    @property
    def name(self) -> str:
        """What stands for it in names of files."""
        return f"{self.machine}-{self.pid}-{self.started}"

    @property
    def is_gone(self) -> bool:
        """Whether it was of this machine, and is known to have ended."""
        return self.machine == _machine() and _started(self.pid) not in {
            self.started,
            _HIDDEN,
        }

    @property
    def is_alive(self) -> bool:
        """Whether it is known to go on."""
        return self.machine == _machine() and _started(self.pid) == self.started


def current() -> Process | None:
    """Return this process; None where the system does not report when it began."""
    pid = os.getpid()
    started = _started(pid)
    known = started is not None and started != _HIDDEN
    return Process(_machine(), pid, started or 0) if known else None


def named(name: str) -> Process | None:
    """Return the process that a name stands for; None if it is none."""
    found = _NAME.fullmatch(name)
    return found and Process(found[1], int(found[2]), int(found[3]))


@cache
def _machine() -> str:
    """Return an identity of this machine since its start, unlike any container's."""
    parts = [socket.gethostname()]
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def _started(pid: int) -> int | None:
    """Return when a process began; None if there is none, or if it is unknown."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return _HIDDEN if _exists(pid) else None
    fields = stat.rpartition(b")")[2].split()
    return None if fields[0] in {b"Z", b"X"} else int(fields[_STARTED_FIELD])


def _exists(pid: int) -> bool:
    """Return whether a process is there, though it may be hidden as another user's."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


# --- runs of Snakemake


def begin(data_dir: Path, *, scratch: str) -> Callable[[], None]:
    """Record that this process builds here; return what ends the record.

    `scratch` is Snakemake's folder of temporary files, which goes with the run.
    """
    process = current()
    if process is None:
        return lambda: None
    record = (data_dir / _RECORDS / process.name).absolute()
    record.parent.mkdir(parents=True, exist_ok=True)
    record.write_text(scratch, encoding="utf-8")
    return lambda: record.unlink(missing_ok=True)


def killed(data_dir: Path) -> list[Process]:
    """Return the runs that ended without ending their record."""
    return [process for process in _recorded(data_dir) if process.is_gone]


def owner_of_stale_lock(data_dir: Path) -> Process | None:
    """Return the killed run that left Snakemake's lock; None unless that is certain.

    It is if runs were recorded here, each of them is gone, and the lock is on nothing
    but what BHDS makes.
    """
    recorded = _recorded(data_dir)
    locked = list(_locked(data_dir))
    is_certain = all(process.is_gone for process in recorded) and all(
        path.startswith(_STAGES) for path in locked
    )
    return recorded[-1] if recorded and locked and is_certain else None


def explain_lock(data_dir: Path) -> str | None:
    """Return one line about a lock that is here already; None if there is none."""
    if next(_locked(data_dir), None) is None:
        return None
    owner = owner_of_stale_lock(data_dir)
    if owner is not None:
        return (
            f"the lock here is of a run that was killed (process {owner.pid}); remove "
            "it with `snakemake --unlock`, or use a `bhds` command, which does"
        )
    alive = [process for process in _recorded(data_dir) if process.is_alive]
    if alive:
        return f"another run is going on here (process {alive[0].pid}); wait for it"
    return (
        "the lock here is of a run on another machine, before this one was started, or "
        "of another workflow; if none is going on, `snakemake --unlock` removes it"
    )


def sweep(data_dir: Path) -> None:
    """Remove the records and temporary folders of runs and commands that were killed.

    Scripts that Snakemake prepared for their jobs go only if no other run, here or
    elsewhere, may be using them.
    """
    began = time.time()
    own = current()
    temporary = Path(tempfile.gettempdir())
    others = [process for process in _recorded(data_dir) if process != own]
    for process in others:
        record = data_dir / _RECORDS / process.name
        if process.is_gone:
            folder = Path(record.read_text(encoding="utf-8"))
            is_snakemakes = folder.name.startswith("snakemake")
            if is_snakemakes and folder.parent == temporary and _is_ours(folder):
                shutil.rmtree(folder, ignore_errors=True)
            record.unlink(missing_ok=True)
    if others and all(process.is_gone for process in others):
        _remove_scripts(data_dir / _SCRIPTS, before=began)
    for folder in temporary.glob("bhds-*"):
        found = _SCRATCH.fullmatch(folder.name)
        maker = None if found is None else named(found[1])
        if maker is not None and maker.is_gone and _is_ours(folder):
            shutil.rmtree(folder, ignore_errors=True)


def _remove_scripts(folder: Path, *, before: float) -> None:
    for script in folder.glob("tmp*"):
        with suppress(FileNotFoundError):
            if script.lstat().st_mtime < before - _GRACE_S:
                script.unlink()


def _is_ours(folder: Path) -> bool:
    """Return whether it is a folder, no link, and of this user."""
    return (
        folder.is_dir()
        and not folder.is_symlink()
        and folder.lstat().st_uid == os.getuid()
    )


def _recorded(data_dir: Path) -> list[Process]:
    """Return the processes that have a record, the last one to begin last."""
    names = [path.name for path in (data_dir / _RECORDS).glob("*-*-*")]
    found = [process for name in names if (process := named(name)) is not None]
    return sorted(found, key=lambda process: process.started)


def _locked(data_dir: Path) -> Iterator[str]:
    """Yield the paths that Snakemake has locked."""
    for lock in (data_dir / _LOCKS).glob("*.lock"):
        with suppress(FileNotFoundError):
            yield from lock.read_text(encoding="utf-8").splitlines()


# --- processes that end with another


def with_parent(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment whose processes end when this one does."""
    process = current()
    return {**environment, **({} if process is None else {PARENT: process.name})}


def end_with_parent(environment: Mapping[str, str]) -> None:
    """End this process soon after the one that the environment names, if that is here.

    By SIGTERM, and outright if it has not ended 5 s later. Not by SIGINT: Python raises
    that anywhere, in an import or a callback of Polars too, and it ends in a traceback.
    """
    parent = named(environment.get(PARENT, ""))
    if parent is None or not (parent.is_alive or parent.is_gone):
        return
    name = f"watch {parent.name}"
    if name not in {thread.name for thread in threading.enumerate()}:
        threading.Thread(target=_watch, args=(parent,), name=name, daemon=True).start()


def _watch(parent: Process) -> None:
    while not parent.is_gone:
        time.sleep(_POLL_S)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_GRACE_S)
    os._exit(128 + signal.SIGTERM)


@contextmanager
def scratch(kind: str) -> Iterator[Path]:
    """Yield a temporary folder; if this process is killed, a later run removes it."""
    process = current()
    maker = "" if process is None else f"{process.name}-"
    with tempfile.TemporaryDirectory(prefix=f"bhds-{kind}-{maker}") as folder:
        yield Path(folder)
