"""Run the scripts of jobs one after another in one process: each starts at once.

A new process imports Polars and BHDS for a quarter of a second of processor time, which
is more than most jobs take (docs/performance.md).
"""

import runpy
import subprocess
import sys
import traceback
from contextlib import suppress
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any

import psutil

_MOST_BYTES = 400_000_000
"""A process that holds more memory after a script is not used again."""
_GRACE_S = 15.0
"""A download stops aria2c, for which it waits up to 10 s."""
_SIGNALLED = 128
"""Exit codes from here on stand for signals."""


class ScriptWorker:
    """A process that runs scripts, seen from the one that has started it.

    It has the working folder, environment and output of its parent at that time, and
    ends when the parent does.
    """

    def __init__(self) -> None:
        self._connection, theirs = Pipe()
        number = theirs.fileno()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 -- this module
                [sys.executable, "-m", __name__, str(number)],
                stdin=subprocess.DEVNULL,
                pass_fds=[number],
            )
        self.is_reusable = True
        """Whether it can run another script."""

    def run(self, script: Path, job: object) -> int:
        """Run a script to its end, with a global variable `snakemake`.

        Parameters
        ----------
        script
            The file.
        job
            The variable's value; it is pickled.

        Returns
        -------
        int
            The exit code, as a process of its own would have it: 0 if all went well,
            negative for a signal.
        """
        try:
            self._connection.send((str(script), job))
            code: int
            code, self.is_reusable = self._connection.recv()
        except (EOFError, ConnectionError):
            self.is_reusable = False
            return self._process.wait() or 1
        return code

    def end(self) -> None:
        """End the process, and the script that it runs."""
        self.is_reusable = False
        self._process.terminate()
        try:
            self._process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _serve(connection: Connection) -> None:
    """Run scripts until the other end is closed, or the parent has gone."""
    goes_on = True
    while goes_on:
        script, job = connection.recv()
        code = _run(script, job)
        held_bytes = psutil.Process().memory_info().rss
        # A script may turn a signal that was to end the process into its own end.
        goes_on = held_bytes <= _MOST_BYTES and code < _SIGNALLED
        connection.send((code, goes_on))


def _run(script: str, job: Any) -> int:
    _name_process(Path(script).stem)
    try:
        runpy.run_path(script, init_globals={"snakemake": job}, run_name="__main__")
    except SystemExit as ended:
        if isinstance(ended.code, str):
            sys.stderr.write(f"{ended.code}\n")
            return 1
        return ended.code or 0
    except BaseException:  # noqa: BLE001 -- as a process of its own ends with it
        traceback.print_exc()
        return 1
    finally:
        _name_process("bhds: no job")
    return 0


def _name_process(name: str) -> None:
    """Show in `top` and the like what runs; 15 characters, on Linux."""
    with suppress(OSError):
        Path("/proc/self/comm").write_text(name, encoding="utf-8")


if __name__ == "__main__":
    # The parent ends without a word, by Ctrl-C or by a kill.
    with suppress(EOFError, ConnectionError, KeyboardInterrupt):
        _serve(Connection(int(sys.argv[1])))
