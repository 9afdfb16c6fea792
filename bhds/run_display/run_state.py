"""What is known of a run from the records that Snakemake logs of it."""

import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from logging import WARNING, LogRecord
from pathlib import Path
from typing import Any

from snakemake_interface_logger_plugins.common import LogEvent

from bhds.run_display.stages import DOWNLOAD, Stage, is_target, stage_of
from bhds.status.failures import INTERRUPTION, shown_path

MOST_LINES = 20
"""Failures, and warnings, that are shown one by one; logs hold all."""

_NOTHING = "Nothing to be done"
_LOG_LEVEL = re.compile(r"^\S+ \S+ (WARNING|ERROR) \S+: (.*)$", re.MULTILINE)
_LONGEST_LINE = 400


@dataclass
class _Job:
    stage: Stage | None
    words: str
    log: Path | None
    started: float
    """Monotonic seconds."""


@dataclass
class StageCount:
    """Jobs of one stage."""

    stage: Stage
    total: int = 0
    running: int = 0
    done: int = 0
    failed: int = 0
    seconds: float = 0.0
    """Wall seconds that those done took together."""

    @property
    def left(self) -> int:
        """How many have not ended."""
        return self.total - self.done - self.failed


@dataclass
class RunState:
    """One run. `take` follows Snakemake's records, and returns the lines to show."""

    clock: Callable[[], float] = time.monotonic
    folder: Path = field(default_factory=Path.cwd)
    """Where the command was given: paths are shown as they are seen from there."""
    started: float = 0.0
    cores: int = 1
    total: int = 0
    """Jobs of the run, but for targets."""
    done: int = 0
    failed: int = 0
    warnings: int = 0
    is_interrupted: bool = False
    is_up_to_date: bool = False
    """Whether there was nothing to do."""
    stages: dict[str, StageCount] = field(default_factory=dict)
    """By the names of stages, those of the run only."""
    missing_zips: list[str] = field(default_factory=list)
    """Paths that the jobs announced so far download."""
    log: str | None = None
    """The path of Snakemake's own log."""
    _targets: int = 0
    _jobs: dict[int, _Job] = field(default_factory=dict)
    _ended: set[int] = field(default_factory=set)
    _reasons: set[str] = field(default_factory=set)
    """Of failures that were shown."""

    def __post_init__(self) -> None:
        self.started = self.clock()

    def take(self, record: LogRecord) -> list[str]:
        """Follow one record; return the lines that it is worth, mostly none."""
        values = vars(record)
        match values.get("event"):
            case LogEvent.RUN_INFO:
                self._expect(values["stats"])
            case LogEvent.RESOURCES_INFO:
                self.cores = values.get("cores") or self.cores
            case LogEvent.JOB_INFO:
                self._begin(values)
            case LogEvent.JOB_FINISHED:
                return list(self._finish(values["job_id"]))
            case LogEvent.JOB_ERROR:
                return list(self._fail(values["jobid"]))
            case LogEvent.PROGRESS:
                self.total = values["total"] - self._targets
                self.done = min(values["done"], self.total)
            case None | LogEvent.ERROR:
                return list(self._message(record))
        return []

    def seconds_left(self, *, download_s: float) -> float | None:
        """Estimate the time that is left; None before any job has ended.

        Parameters
        ----------
        download_s
            What downloads will take (s), during which other jobs go on too.
        """
        if not self.done:
            return None
        work = 0.0
        for count in self.stages.values():
            mean = count.seconds / count.done if count.done else count.stage.usual_s
            work += mean * count.left
        return max(work / self.cores, download_s)

    # --- records

    def _expect(self, jobs_by_rule: Mapping[str, int]) -> None:
        self.stages.clear()  # Snakemake counts them twice in a dry run
        for rule, number in jobs_by_rule.items():
            stage = stage_of(rule)
            if stage is not None:
                self._count(stage).total += number
        self._targets = sum(n for rule, n in jobs_by_rule.items() if is_target(rule))
        self.total = jobs_by_rule.get("total", 0) - self._targets

    def _begin(self, record: Mapping[str, Any]) -> None:
        rule, logs = record["rule_name"], record["log"]
        job = _Job(
            stage_of(rule),
            record["rule_msg"] or rule,
            Path(shown_path(logs[0])) if logs else None,
            self.clock(),
        )
        self._jobs[record["jobid"]] = job
        if job.stage is None:
            return
        self._count(job.stage).running += 1
        if job.stage is DOWNLOAD:
            outputs = map(shown_path, record["output"])
            self.missing_zips += [path for path in outputs if path.endswith(".zip")]

    def _finish(self, number: int) -> Iterator[str]:
        job = self._end(number)
        if job is None:
            return
        if job.stage is not None:
            count = self._count(job.stage)
            count.done += 1
            count.seconds += self.clock() - job.started
        yield from self._warnings_of(job)

    def _fail(self, number: int) -> Iterator[str]:
        job = self._end(number)
        if job is None:
            return
        self.failed += 1
        if job.stage is not None:
            self._count(job.stage).failed += 1
        if self.failed > MOST_LINES:
            return
        reasons = [text for level, text in _logged(job.log) if level == "ERROR"]
        if reasons and reasons[-1] in self._reasons:
            return  # as when no server can be reached: one line is enough
        self._reasons.update(reasons)
        why = f": {reasons[-1]}" if reasons else ""
        yield _cut(f"bhds: failed: {job.words}{why}") + self._where(job)
        if self.failed == MOST_LINES:
            yield "bhds: further failures are in the logs only"

    def _message(self, record: LogRecord) -> Iterator[str]:
        text = record.getMessage()
        if text.startswith(INTERRUPTION):
            self.is_interrupted = True
        elif text.startswith(_NOTHING):
            self.is_up_to_date = True
        elif text.startswith("Complete log"):
            self.log = text.partition(": ")[2]
        elif record.levelno >= WARNING and not (
            self.failed or self.is_interrupted or self._is_of_job(record)
        ):
            yield from (f"bhds: {_cut(line)}" for line in text.splitlines() if line)

    def _is_of_job(self, record: LogRecord) -> bool:
        """Check whether a record precedes that of the failed job, which says more."""
        is_rules = getattr(record, "exception", None) == "RuleException"
        return is_rules and bool(self._jobs)

    # --- jobs

    def _count(self, stage: Stage) -> StageCount:
        return self.stages.setdefault(stage.name, StageCount(stage))

    def _end(self, number: int) -> _Job | None:
        """Return a job that ends now; None if it is unknown or has ended before."""
        job = self._jobs.get(number)
        if job is None or number in self._ended:
            return None
        self._ended.add(number)
        if job.stage is not None:
            self._count(job.stage).running -= 1
        return job

    def _where(self, job: _Job) -> str:
        """Show where the log of a job is."""
        if job.log is None:
            return ""
        path = job.log.absolute()
        is_below = path.is_relative_to(self.folder)
        return f" ({path.relative_to(self.folder) if is_below else path})"

    def _warnings_of(self, job: _Job) -> Iterator[str]:
        for level, text in _logged(job.log):
            if level == "WARNING":
                self.warnings += 1
                if self.warnings <= MOST_LINES:
                    yield _cut(f"bhds: warning: {text}") + self._where(job)
                if self.warnings == MOST_LINES:
                    yield "bhds: further warnings are in the logs only"


def _logged(log: Path | None) -> list[tuple[str, str]]:
    """Return the warnings and errors of a job's log; none if it cannot be read."""
    if log is None:
        return []
    try:
        text = log.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return [(found[1], found[2]) for found in _LOG_LEVEL.finditer(text)]


def _cut(line: str) -> str:
    return line if len(line) <= _LONGEST_LINE else f"{line[:_LONGEST_LINE]} ..."
