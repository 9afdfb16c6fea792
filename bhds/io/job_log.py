"""The log of one job: what it wrote, and why it failed, in one line each."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bhds.core.errors import BhdsError
from bhds.io import finished_jobs, places, runs

LOG_ONLY = "BHDS_LOG_ONLY"
"""The variable that keeps jobs from repeating on standard error what their logs say.

Who sets it shows warnings and errors from the logs."""
INTERRUPTED = 130
"""The exit code after Ctrl-C, as a shell shows it."""
_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


@contextmanager
def one_line_errors() -> Iterator[None]:
    """End the process with exit code 1 and one line when a `BhdsError` is raised.

    So does a disk that is full or broken, and a file that this user may not use.
    """
    try:
        yield
    except Exception as error:
        message = _message(error)
        if message is None:
            raise
        sys.exit(f"bhds: error: {message}")


def _message(error: Exception) -> str | None:
    """Return what explains an error in one line; None if nothing does."""
    return str(error) if isinstance(error, BhdsError) else places.explained(error)


def is_quiet() -> bool:
    """Return whether jobs are to write to their logs only."""
    return LOG_ONLY in os.environ


@contextmanager
def job_log(path: Path | str) -> Iterator[None]:
    """Send the log records of the enclosed block to the file `path`.

    Warnings go to standard error as well, one line each. A `BhdsError`, and a place
    that cannot be written to, ends the process with exit code 1 and one line on
    standard error, an interruption with 130; any other exception goes on with its
    traceback, which is also kept in the file. Where `LOG_ONLY` is set, nothing of this
    goes to standard error.
    """
    target = Path(path)
    with one_line_errors(), places.writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        handler = _LogFile(target, mode="w", encoding="utf-8")
    handler.setFormatter(logging.Formatter(_FORMAT))
    console = logging.StreamHandler()
    console.setLevel(logging.WARNING)
    console.setFormatter(logging.Formatter("bhds: warning: %(message)s"))
    console.addFilter(lambda record: record.levelno < logging.ERROR)
    root = logging.getLogger()
    root.addHandler(handler)
    if not is_quiet():
        root.addHandler(console)
    root.setLevel(logging.INFO)
    try:
        runs.end_with_parent(os.environ)
        yield
        finished_jobs.note(target)
    except KeyboardInterrupt:
        root.info("interrupted")
        sys.exit(INTERRUPTED)
    except Exception as error:
        message = _message(error)
        if message is None:
            root.exception("the job failed: %s: %s", type(error).__name__, error)
            if is_quiet():
                sys.exit(1)
            raise
        root.error("%s", message)
        sys.exit(1 if is_quiet() else f"bhds: error: {message}")
    finally:
        root.removeHandler(handler)
        root.removeHandler(console)
        handler.close()


class _LogFile(logging.FileHandler):
    """A log whose disk may be full: the job goes on, and says so once."""

    _has_failed = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 -- logging's
        """Warn once, in one line, that records are lost."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
        elif not self._has_failed:
            self._has_failed = True
            message = f"{self.baseFilename}: {error.strerror}; the log is not complete"
            sys.stderr.write(f"bhds: warning: {message}\n")

    def close(self) -> None:
        """Close the file, though what it still holds may not fit."""
        with suppress(OSError):
            super().close()
