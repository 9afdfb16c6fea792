"""The SQLite file that the request budgets of this machine are kept in.

What it holds is of the last minutes, but for pauses that the server ordered: a file
that is damaged is set aside, and another one begun.
"""

import contextlib
import fcntl
import logging
import os
import shutil
import sqlite3
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bhds.api.limits import LONGEST_PAUSE_S, MOST_WEIGHT
from bhds.core.errors import ApiError, cut

logger = logging.getLogger(__name__)

_FILE = "api-budget-2.sqlite"
"""The number is that of the tables' form."""
_LOCK_TIMEOUT_S = 30.0
_MOST_BYTES = 16 * 1024**2  # some hundred rows have 0.1 MB

# An unanswered request may free its weight a window after it was made (frees_at), and
# does so when its time to be answered is over as well (expires_at).
_WEIGHT = f"weight INTEGER NOT NULL CHECK (weight BETWEEN 0 AND {MOST_WEIGHT})"
_TABLES = f"""
CREATE TABLE IF NOT EXISTS occupied (
    id INTEGER PRIMARY KEY AUTOINCREMENT, pool TEXT NOT NULL, {_WEIGHT},
    frees_at REAL NOT NULL,
    expires_at REAL NOT NULL CHECK (expires_at - frees_at BETWEEN -1 AND 86400)
) STRICT;
CREATE INDEX IF NOT EXISTS expiring ON occupied (pool, expires_at);
CREATE INDEX IF NOT EXISTS freeing ON occupied (pool, frees_at, weight);
CREATE TABLE IF NOT EXISTS waiting (
    ticket INTEGER PRIMARY KEY AUTOINCREMENT, pool TEXT NOT NULL, {_WEIGHT},
    gone_at REAL NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS closed (
    pool TEXT PRIMARY KEY, until REAL NOT NULL,
    seconds REAL NOT NULL CHECK (seconds BETWEEN 0 AND {LONGEST_PAUSE_S})
) STRICT;
"""
_SCHEMA = "SELECT type, name, sql FROM sqlite_schema ORDER BY name"
_NUMBERS = (
    "SELECT seq FROM sqlite_sequence UNION ALL SELECT max(id) FROM occupied "
    "UNION ALL SELECT max(ticket) FROM waiting"
)
_LAST_NUMBER = 2**62
"""Far from the number that SQLite gives no row after, 2**63 - 1."""
_SIDE_FILES = ("-journal", "-wal", "-shm")
"""What SQLite keeps next to a file, and applies to it."""

_DAMAGED = frozenset(
    {
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_ERROR,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_READONLY,
    }
)
"""Errors that are of the file; others, as of a full disk, are not."""


class _DamagedError(Exception):
    """A file that is no budget, or not a whole one."""


class RateLimiterFile:
    """The file, opened when it is first needed; use it within one thread.

    Parameters
    ----------
    directory
        Where the file is; None: `default_directory`.
    clock
        Seconds since a moment that is the same in all processes of this machine.
    """

    def __init__(self, directory: Path | None, *, clock: Callable[[], float]) -> None:
        self._directory = directory or default_directory()
        self._path = self._directory / _FILE
        self._clock = clock
        self._opened: sqlite3.Connection | None = None

    def close(self) -> None:
        """Close the file; it is opened again when it is needed."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    @contextlib.contextmanager
    def transaction(self) -> Iterator[tuple[sqlite3.Connection, float]]:
        """Yield the file, locked for this process, and the time since then.

        Raises
        ------
        ApiError
            If the file cannot be used.
        """
        try:
            if self._opened is None:
                self._opened = self._open()
            connection = self._opened
            connection.execute("BEGIN IMMEDIATE")
            try:
                # Only now: while the lock was waited for, others went on.
                yield connection, self._clock()
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")
        except (sqlite3.Error, OSError, _DamagedError) as error:
            self.close()  # it is looked at again, and set aside, when it is opened
            msg = (
                f"{self._path}: {error}, expected to share the request budget in it; "
                "remove the file while no job runs"
            )
            raise ApiError(msg) from error

    def _open(self) -> sqlite3.Connection:
        """Open the file; set one that is damaged aside, and begin another."""
        _own(self._directory)
        with contextlib.suppress(_DamagedError):
            return self._checked()
        # One process at a time: the next finds what this one made.
        lock = os.open(self._directory, os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                return self._checked()
            except _DamagedError as error:
                self._set_aside(error)
            return self._checked()
        finally:
            os.close(lock)

    def _set_aside(self, error: _DamagedError) -> None:
        """Rename the file, and remove what was set aside before."""
        for earlier in self._directory.glob(f"{_FILE}.damaged-*"):
            if earlier.is_dir():
                shutil.rmtree(earlier)
            else:
                earlier.unlink()
        aside = f"{_FILE}.damaged-{time.time_ns()}"
        for end in ("", *_SIDE_FILES):
            with contextlib.suppress(FileNotFoundError):
                (self._directory / f"{_FILE}{end}").rename(
                    self._directory / f"{aside}{end}"
                )
        logger.warning(
            "%s: %s; set aside as %s, and the budget begun again",
            *(self._path, error, aside),
        )

    def _checked(self) -> sqlite3.Connection:
        """Open the file, and check that it is a whole budget.

        Raises
        ------
        _DamagedError
            If it is not.
        """
        for end in ("", *_SIDE_FILES):
            with contextlib.suppress(FileNotFoundError):
                found = (self._directory / f"{_FILE}{end}").lstat()
                subject = f"its {end}" if end else "it"
                if not stat.S_ISREG(found.st_mode):
                    msg = f"{subject} is no regular file"
                    raise _DamagedError(msg)
                if found.st_size > _MOST_BYTES:
                    msg = f"{subject} has {found.st_size:,} bytes"
                    raise _DamagedError(msg)
        connection = None
        try:
            connection = _connect(self._path)
            _check(connection)
        except (sqlite3.Error, _DamagedError) as error:
            if connection is not None:
                connection.close()
            if isinstance(error, sqlite3.Error) and not _is_damage(error):
                raise
            raise _DamagedError(str(error)) from error
        return connection


def default_directory() -> Path:
    """Return the folder in which this user's processes share their budget."""
    return Path(tempfile.gettempdir()) / f"bhds-{os.getuid()}"


def _connect(path: Path | str) -> sqlite3.Connection:
    opened = sqlite3.connect(path, timeout=_LOCK_TIMEOUT_S, isolation_level=None)
    try:
        # Counts of the last minutes are not worth waiting for the disk.
        opened.execute("PRAGMA synchronous = OFF")
        opened.execute("PRAGMA journal_mode = TRUNCATE")
        opened.executescript(_TABLES)
    except BaseException:
        opened.close()
        raise
    return opened


def _check(connection: sqlite3.Connection) -> None:
    """Check the pages, the tables, and the types and bounds of their values."""
    with contextlib.closing(_connect(":memory:")) as expected:
        schema = expected.execute(_SCHEMA).fetchall()
    if connection.execute(_SCHEMA).fetchall() != schema:
        msg = "its tables are not those of a budget"
        raise _DamagedError(msg)
    ((outcome, *_), *_) = connection.execute("PRAGMA quick_check(1)").fetchall()
    if outcome != "ok":
        msg = f"it is damaged: {cut(outcome)}"
        raise _DamagedError(msg)
    for (number,) in connection.execute(_NUMBERS):
        if number is not None and not (
            isinstance(number, int) and 0 <= number < _LAST_NUMBER
        ):
            msg = f"it numbers a row {cut(str(number))}"
            raise _DamagedError(msg)


def _is_damage(error: sqlite3.Error) -> bool:
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in _DAMAGED


def _own(directory: Path) -> None:
    """Make a folder that nobody else can write to, or check that it is one."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = directory.lstat()
    if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid():
        if found.st_mode & 0o077:
            directory.chmod(0o700)
        return
    msg = (
        f"{directory}: is a link or belongs to user {found.st_uid}, expected a folder "
        f"of user {os.getuid()}, to share the API's request budget in; remove it, or "
        "set TMPDIR to another folder"
    )
    raise ApiError(msg)
