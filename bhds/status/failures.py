"""Report the files that a run could not build, and remove outdated ones.

Jobs that run elsewhere run in groups, and a scheduler shows only that a group failed.
Which of its members did is seen from their files.
"""

import datetime as dt
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

INTERRUPTION = "Terminating processes on user request"
"""How Snakemake begins to say in its log that Ctrl-C was pressed."""

CONTINUE = "bhds: interrupted; run the same command to continue"

_SHOWN = 20


class Job(NamedTuple):
    """One job of a run."""

    name: str
    """What it was to make, in words."""
    outputs: tuple[Path, ...]
    log: Path


def unmade(jobs: Iterable[Job], *, since: dt.datetime) -> list[Job]:
    """Return those of some jobs elsewhere whose files were not all made in this run.

    Removes their files of an earlier run: they may be out of date, and the next run
    takes existing files for up to date. (For jobs that ran here, Snakemake has removed
    all files, or restored those that were to be replaced.)

    Parameters
    ----------
    jobs
        Jobs that failed, themselves or as members of a group that did.
    since
        When the run began, UTC. Machines whose clocks differ by less than it takes to
        start a job do no harm.
    """
    failed = []
    for job in jobs:
        times = {path: _modified(path) for path in job.outputs}
        old = [path for path, time in times.items() if time and time < since]
        for path in old:
            path.unlink(missing_ok=True)
        if old or None in times.values():
            failed.append(job)
    return failed


def is_interrupted(logs: Sequence[str]) -> bool:
    """Return whether a run was ended by Ctrl-C, by Snakemake's own logs of it."""
    return any(INTERRUPTION in Path(log).read_text(encoding="utf-8") for log in logs)


def message(failed: Sequence[Job]) -> str:
    """List jobs, a line each, in the order of their names; the first 20 of many."""
    number, it = (
        ("1 job", "it") if len(failed) == 1 else (f"{len(failed):,} jobs", "them")
    )
    ordered = sorted(failed, key=lambda job: job.name)
    lines = [f"bhds: {number} failed; what does not need {it} is made:"]
    lines += [f"bhds:   {job.name} ({job.log})" for job in ordered[:_SHOWN]]
    if len(failed) > _SHOWN:
        lines.append(f"bhds:   and {len(failed) - _SHOWN:,} more")
    return "\n".join(lines)


def _modified(path: Path) -> dt.datetime | None:
    """Return when a file was made, UTC; None if it is not there."""
    try:
        return dt.datetime.fromtimestamp(path.stat().st_mtime, dt.UTC)
    except FileNotFoundError:
        return None
