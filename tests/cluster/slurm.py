"""A Slurm of one node on loopback, for tests: start, stop, idempotent.

    python tests/cluster/slurm.py start | stop

Everything lies in one folder (`FOLDER`), except the configuration, which Slurm's own
clients look for in /etc/slurm. One that is not ours is refused; ours is removed at the
stop. Daemons are stopped by the process ids that they wrote down themselves.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

CONFIGURATION = Path("/etc/slurm/slurm.conf")
FOLDER = Path("/run/bhds-test-cluster")
MARK = "# Made for the tests of BHDS (tests/cluster/slurm.py), which remove it again."
DAEMONS = ("slurmctld", "slurmd", "munged")
DECLARED_CPUS = 8
PATIENCE_S = 60

TEMPLATE = """\
{mark}
ClusterName=bhds
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SlurmdParameters=config_overrides
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc={folder}/completed
SchedulerParameters=sched_min_interval=100000,batch_sched_delay=1,bf_interval=5
MinJobAge=600
OverTimeLimit=0
KillWait=1
MpiDefault=none
ReturnToService=2
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory_mb} State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


class Job(NamedTuple):
    """A job in the queue."""

    state: str
    limit_min: int


class ClusterError(Exception):
    """A cluster that cannot be, and why, in one line."""


def why_not():
    """Say why there can be no cluster here; None where there can be."""
    if os.geteuid() != 0:
        return "not root: the daemons of Slurm are started as root"
    missing = [name for name in (*DAEMONS, "sbatch") if shutil.which(name) is None]
    if missing:
        return f"{', '.join(missing)}: not installed; run: make test-cluster"
    host = _host()
    try:
        address = socket.gethostbyname(host)
    except OSError as error:
        return f"the host's name {host} does not resolve ({error})"
    if not address.startswith("127."):
        return f"the host's name {host} resolves to {address}, expected loopback"
    if CONFIGURATION.exists() and not _is_ours():
        return f"{CONFIGURATION}: a Slurm that is not ours is configured here"
    return None


def start():
    """Start the daemons, after stopping what a run that was killed left behind."""
    if reason := why_not():
        raise ClusterError(reason)
    stop()
    for name in ("state", "spool"):
        (FOLDER / name).mkdir(parents=True)
    FOLDER.chmod(0o755)
    key = FOLDER / "munge.key"
    key.touch(mode=0o600)
    key.write_bytes(os.urandom(128))
    CONFIGURATION.parent.mkdir(exist_ok=True)
    CONFIGURATION.write_text(
        TEMPLATE.format(
            mark=MARK,
            host=_host(),
            folder=FOLDER,
            cpus=DECLARED_CPUS,
            memory_mb=_memory_mb(),
            controller_port=_free_port(),
            node_port=_free_port(),
        )
    )
    _run(
        *("munged", f"--key-file={key}", f"--socket={FOLDER}/munge.socket"),
        *(f"--pid-file={FOLDER}/munged.pid", f"--log-file={FOLDER}/munged.log"),
        f"--seed-file={FOLDER}/munged.seed",
    )
    _run("slurmctld")
    _run("slurmd")
    _await_idle()


def stop():
    """Stop our daemons and their jobs, and remove all that was ours."""
    if not _is_ours():
        return
    if _process_of("slurmctld"):
        _try("scancel", "--user=root", "--signal=KILL", "--full")
        _try("scancel", "--user=root")
    for name in DAEMONS:
        if process := _process_of(name):
            _end(process)
    CONFIGURATION.unlink()
    shutil.rmtree(FOLDER, ignore_errors=True)


@contextmanager
def running():
    """Yield while the cluster runs; it is stopped whatever happens."""
    try:
        start()
        yield
    finally:
        stop()


def queued():
    """Return what is known of the jobs that have not ended, by their ids."""
    lines = _run("squeue", "--noheader", "--format=%i %T %l").splitlines()
    jobs = (line.split() for line in lines)
    return {job: Job(state, _minutes(limit)) for job, state, limit in jobs}


def ended():
    """Return what Slurm wrote of each job that has ended, in order, as fields."""
    record = FOLDER / "completed"
    lines = record.read_text().splitlines() if record.exists() else []
    return [
        dict(field.partition("=")[::2] for field in line.split() if "=" in field)
        for line in lines
    ]


def set_open(is_open):
    """Have queued jobs started, or not."""
    state = "up" if is_open else "down"
    _run("scontrol", "update", "PartitionName=main", f"State={state}")


def cancel(job):
    """Cancel a job, as an administrator or a scheduler may."""
    _run("scancel", job)


def make_overdue(job):
    """Have a running job do nothing more, and its time be over, as Slurm soon sees."""
    _run("scancel", "--full", "--signal=STOP", job)
    _run("scontrol", "update", f"JobId={job}", "EndTime=now")


def _minutes(limit):
    """Read a time limit, as squeue writes it: minutes:seconds, or with hours."""
    *hours, minutes, _ = map(int, limit.split(":"))
    return sum(hours) * 60 + minutes


def _host():
    return socket.gethostname().partition(".")[0]


def _is_ours():
    return CONFIGURATION.exists() and CONFIGURATION.read_text().startswith(MARK)


def _memory_mb():
    """Declare most of the machine's memory."""
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return int(pages * size * 0.9) >> 20


def _free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def _process_of(name):
    """Return the id of a daemon of ours that runs, by what it wrote down."""
    path = FOLDER / f"{name}.pid"
    try:
        process = int(path.read_text())
        alive = Path(f"/proc/{process}/comm").read_text().strip()
    except (OSError, ValueError):
        return None
    return process if alive == name else None


def _end(process):
    """End a process by its id: asked first, then not."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + 2
        with suppress(ProcessLookupError):
            os.kill(process, number)
        while time.monotonic() < deadline:
            if _is_gone(process):
                return
            time.sleep(0.05)


def _is_gone(process):
    """Tell whether a process has ended, waited for by its parent or not."""
    try:
        status = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return True
    return status.rpartition(")")[2].split()[0] in "ZX"


def _await_idle():
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        states = _try("sinfo", "--noheader", "--format=%T")
        if states.split() == ["idle"]:
            return
        time.sleep(0.2)
    log = (FOLDER / "slurmctld.log").read_text()[-2000:]
    msg = f"the node is not idle after {PATIENCE_S} s, but {states.strip()!r}:\n{log}"
    raise ClusterError(msg)


def _run(*command):
    done = _call(command)
    if done.returncode:
        msg = f"{' '.join(command)}: {done.stderr.strip() or done.returncode}"
        raise ClusterError(msg)
    return done.stdout


def _try(*command):
    return _call(command).stdout


def _call(command):
    return subprocess.run(
        command, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )


if __name__ == "__main__":
    try:
        {"start": start, "stop": stop}[sys.argv[1]]()
    except ClusterError as error:
        sys.exit(f"test cluster: error: {error}")
