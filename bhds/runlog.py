"""The log of one job: what it wrote, and why it failed, in one line each."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bhds.errors import BhdsError

INTERRUPTED = 130
"""The exit code after Ctrl-C, as a shell tells it."""
_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


@contextmanager
def one_line_errors() -> Iterator[None]:
    """End the process with exit code 1 and one line when a `BhdsError` is raised.

    So does a file or folder that this user may not look at.
    """
    try:
        yield
    except BhdsError as error:
        sys.exit(f"bhds: error: {error}")
    except PermissionError as error:
        what = f"{error.filename}: {error.strerror}"
        sys.exit(f"bhds: error: {what}; expected a place to look at: change its rights")


@contextmanager
def job_log(path: Path | str) -> Iterator[None]:
    """Send the log records of the enclosed block to the file `path`.

    Warnings go to standard error as well, one line each. A `BhdsError` ends the
    process with exit code 1 and its message in one line on standard error, an
    interruption with 130; any other exception goes on with its traceback, which is
    also kept in the file.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(target, mode="w", encoding="utf-8")
    handler.setFormatter(logging.Formatter(_FORMAT))
    console = logging.StreamHandler()
    console.setLevel(logging.WARNING)
    console.setFormatter(logging.Formatter("bhds: warning: %(message)s"))
    console.addFilter(lambda record: record.levelno < logging.ERROR)
    root = logging.getLogger()
    root.addHandler(handler)
    root.addHandler(console)
    root.setLevel(logging.INFO)
    try:
        yield
    except BhdsError as error:
        root.error("%s", error)
        sys.exit(f"bhds: error: {error}")
    except KeyboardInterrupt:
        root.info("interrupted")
        sys.exit(INTERRUPTED)
    except Exception:
        root.exception("the job failed")
        raise
    finally:
        root.removeHandler(handler)
        root.removeHandler(console)
        handler.close()
