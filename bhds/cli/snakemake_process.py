"""The process of Snakemake: its start, its pause by Ctrl-Z, its end by a signal."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType

import psutil
import typer

from bhds.io import runs
from bhds.io.job_log import INTERRUPTED
from bhds.status import failures

_TERMINATED = 128 + signal.SIGTERM
_STDERR = 2
_POLL_S = 0.3
# Ctrl-C while Snakemake is imported or plans would end in a traceback: it ends without
# a word. SIGINT is blocked until this is in force. At the end it comes too late.
_PROGRAM = f"""
import runpy, signal, sys
signal.signal(signal.SIGINT, lambda *_: sys.exit({INTERRUPTED}))
signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
try:
    runpy.run_module("snakemake", run_name="__main__", alter_sys=True)
finally:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
"""


def run(arguments: Sequence[str], *, stdout_to_stderr: bool) -> int:
    """Run Snakemake to its end.

    Parameters
    ----------
    arguments
        Of Snakemake's command line.
    stdout_to_stderr
        Whether what it prints to standard output goes to standard error.

    Returns
    -------
    int
        Its exit code; 130 after Ctrl-C, 143 after SIGTERM.
    """
    process: subprocess.Popen[bytes] | None = None
    came: set[int] = set()

    def note(number: int, _: FrameType | None) -> None:
        came.add(number)
        if process is not None:
            process.send_signal(number)

    def pause(_: int, __: FrameType | None) -> None:
        """Stop with Snakemake and its jobs, and after SIGCONT continue with them."""
        signal_group(signal.SIGSTOP)
        os.kill(os.getpid(), signal.SIGSTOP)
        signal_group(signal.SIGCONT)

    def signal_group(number: int) -> None:
        if process is not None:
            with suppress(ProcessLookupError):  # it has ended
                os.killpg(process.pid, number)

    # Before there is a process: a signal between the two would leave it an orphan.
    with (
        _handling((signal.SIGINT, signal.SIGTERM), note),
        _handling((signal.SIGTSTP,), pause),
    ):
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        try:
            # In a group of its own, which the terminal's keys do not reach: after
            # Ctrl-C, jobs that are just starting would leave a traceback each.
            process = subprocess.Popen(  # noqa: S603 -- made by the caller
                [sys.executable, "-c", _PROGRAM, *arguments],
                stdout=_STDERR if stdout_to_stderr else None,
                env=runs.with_parent(os.environ),
                process_group=0,
            )
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
        for number in came:
            process.send_signal(number)
        status = _wait(process, came)
    if (status and signal.SIGINT in came) or status == -signal.SIGINT:
        typer.echo(failures.CONTINUE, err=True)
        return INTERRUPTED
    is_terminated = signal.SIGTERM in came or status == -signal.SIGTERM
    return _TERMINATED if is_terminated else status


def _wait(process: subprocess.Popen[bytes], came: set[int]) -> int:
    """Wait for Snakemake; after Ctrl-C, end its jobs, for which it would wait."""
    while True:
        with suppress(subprocess.TimeoutExpired):
            return process.wait(timeout=_POLL_S)
        if signal.SIGINT in came:
            with suppress(psutil.NoSuchProcess):
                for job in psutil.Process(process.pid).children(recursive=True):
                    job.terminate()


@contextmanager
def _handling(
    numbers: Iterable[signal.Signals], handler: Callable[[int, FrameType | None], None]
) -> Iterator[None]:
    """Handle some signals by a function."""
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, handled in before.items():
            signal.signal(number, handled)
