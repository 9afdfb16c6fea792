"""What can be wrong with the place that files are written to, and what to do."""

import errno
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bhds.core.errors import PlaceError

_RIGHTS = "it may not be; change the rights or choose another data_dir"
_FAULTS = {
    errno.ENOSPC: "there is no space left on the disk; free some or choose another "
    "data_dir",
    errno.EDQUOT: "the quota is used up; free some space or choose another data_dir",
    errno.EFBIG: "files may not be that large here; raise the limit or choose another "
    "data_dir",
    errno.EROFS: "the disk is read-only; mount it otherwise or choose another data_dir",
    errno.EIO: "the disk does not answer as it should; check it or choose another "
    "data_dir",
    errno.EACCES: _RIGHTS,
    errno.EPERM: _RIGHTS,
}
_OS_ERROR = re.compile(r"\(os error (\d+)\)")
_SQLITE = {
    "SQLITE_FULL": errno.ENOSPC,
    "SQLITE_READONLY": errno.EROFS,
    "SQLITE_IOERR": errno.EIO,
    "SQLITE_CANTOPEN": errno.EACCES,
}


@contextmanager
def writing(path: Path | str) -> Iterator[None]:
    """Explain in one line why `path` cannot be written, where the place is why.

    Raises
    ------
    PlaceError
        If the disk is full, read-only or broken, or the place may not be written to.
    """
    try:
        yield
    except Exception as error:
        reason = _FAULTS.get(number_of(error))
        if reason is None:
            raise
        msg = f"{path}: cannot be written, {reason}, and run again: nothing is lost"
        raise PlaceError(msg) from error


def make_data_dir(path: str) -> None:
    """Create the data directory if it is not there.

    Raises
    ------
    PlaceError
        If no folder can be there.
    """
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = f"data_dir: {path}: cannot be a folder: {error.strerror}; choose another"
        raise PlaceError(msg) from error


def explained(error: Exception) -> str | None:
    """Return one line about an error of a file, if its place is why; None if not."""
    number = number_of(error)
    reason = _FAULTS.get(number)
    if reason is None:
        return None
    subject = getattr(error, "filename", None) or Path.cwd()
    remedy = reason.partition("; ")[2]
    return f"{subject}: {os.strerror(number)}; {remedy}, and run again: nothing is lost"


def remedy(error: Exception, *, else_: str = "delete it and run again") -> str:
    """Return what to do about a file that cannot be read: none goes for its rights."""
    number = number_of(error)
    if number in {errno.EACCES, errno.EPERM}:
        return "change its rights"
    return "check the disk" if number == errno.EIO else else_


def number_of(error: Exception) -> int:
    """Return the system's number of an error, 0 if it has none.

    Polars has it in its text; SQLite has names of its own.
    """
    if isinstance(error, sqlite3.Error):
        name = str(getattr(error, "sqlite_errorname", ""))
        return next((n for prefix, n in _SQLITE.items() if name.startswith(prefix)), 0)
    number = getattr(error, "errno", None)
    if isinstance(number, int):
        return number
    found = _OS_ERROR.search(str(error))
    return 0 if found is None else int(found[1])
