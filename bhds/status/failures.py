"""Report the files that a run could not build, and remove outdated ones.

Jobs that run elsewhere run in groups, and a scheduler shows only that a group failed.
Which of its members did is seen from the notes of those that finished.
"""

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from snakemake_interface_logger_plugins.common import LogEvent

from bhds.io import finished_jobs

INTERRUPTION = "Terminating processes on user request"
"""How Snakemake begins to say in its log that Ctrl-C was pressed."""

CONTINUE = "bhds: interrupted; run the same command to continue"

_LOGGER = "snakemake.logging"
_FLAG = re.compile(r" \([a-z ,]+\)$")
_SHOWN = 20


class Job(NamedTuple):
    """One job of a run."""

    name: str
    """What it was to make, in words."""
    outputs: tuple[Path, ...]
    log: Path | None
    is_local: bool = True
    """Whether it runs on the machine of the main process."""


class RunRecords(logging.Handler):
    """What Snakemake logs of a run, by the records that its logger plugins get."""

    def __init__(self) -> None:
        super().__init__()
        self.rules: frozenset[str] = frozenset()
        """Names of the rules that have jobs to do."""
        self.is_interrupted = False
        """Whether Ctrl-C was pressed."""
        self._jobs: dict[int, Job] = {}
        self._failed: set[int] = set()

    def follow(self) -> None:
        """Begin to take the records of Snakemake, which ends that with the run."""
        logging.getLogger(_LOGGER).addHandler(self)

    @property
    def failed(self) -> list[Job]:
        """Jobs that failed, and members of groups that did."""
        return [self._jobs[number] for number in self._failed]

    def emit(self, record: logging.LogRecord) -> None:
        """Follow one record."""
        values = vars(record)
        match values.get("event"):
            case LogEvent.RUN_INFO:
                self.rules = frozenset(values["stats"])
            case LogEvent.JOB_INFO:
                self._jobs[values["jobid"]] = _job(values)
                self._failed.discard(values["jobid"])  # tried again
            case LogEvent.JOB_FINISHED:
                self._jobs.pop(values["job_id"], None)
            case LogEvent.JOB_ERROR if values["jobid"] in self._jobs:
                self._failed.add(values["jobid"])
            case None if record.getMessage().startswith(INTERRUPTION):
                self.is_interrupted = True


def shown_path(shown: str) -> str:
    """Return a path of a record without the flags that Snakemake shows behind it."""
    return _FLAG.sub("", shown)


def unmade(jobs: Iterable[Job], *, data_dir: Path) -> list[Job]:
    """Return those of some jobs whose files were not all made in this run.

    Local ones are: Snakemake has removed their files, or restored those that were to be
    replaced. Jobs elsewhere are those without a note, or without a file. Files of an
    earlier run are removed: the next run takes existing files for up to date.

    Parameters
    ----------
    jobs
        Jobs that failed, themselves or as members of a group that did.
    data_dir
        The data directory, which their paths are relative to.
    """
    failed = []
    for job in jobs:
        paths = [data_dir / path for path in job.outputs]
        has_finished = job.log and finished_jobs.is_noted(job.log, data_dir=data_dir)
        if not (job.is_local or has_finished):
            for path in paths:
                path.unlink(missing_ok=True)
        if job.is_local or not all(path.exists() for path in paths):
            failed.append(job)
    return failed


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


def _job(record: Mapping[str, Any]) -> Job:
    logs = [Path(shown_path(log)) for log in record["log"]]
    return Job(
        record["rule_msg"] or record["rule_name"],
        tuple(Path(shown_path(path)) for path in record["output"]),
        logs[0] if logs else None,
        is_local=record["local"],
    )
