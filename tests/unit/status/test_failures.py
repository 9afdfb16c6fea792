"""What a run could not make is told, and never mistaken for made."""

import logging
import os
from pathlib import Path

import pytest
from snakemake_interface_logger_plugins.common import LogEvent

from bhds.io import finished_jobs
from bhds.io.job_log import job_log
from bhds.status.failures import INTERRUPTION, Job, RunRecords, message, unmade

LOG = Path("logs/parse_klines/x.log")


@pytest.fixture
def job(tmp_path, monkeypatch):
    """Make a job elsewhere whose outputs are there, or not."""
    monkeypatch.chdir(tmp_path)
    for variable, value in finished_jobs.environment(tmp_path).items():
        monkeypatch.setenv(variable, value)

    def make(name, *, made, is_local=False):
        paths = [Path(f"{name}-{output}") for output in made]
        for path in paths:
            if made[path.name.removeprefix(f"{name}-")]:
                path.touch()
        return Job(name, tuple(paths), Path(f"logs/{name}.log"), is_local)

    return make


def finish(job):
    with job_log(job.log):
        pass


def there(job):
    return [path.exists() for path in job.outputs]


def failed_of(*jobs):
    return unmade(jobs, data_dir=Path())


@pytest.mark.parametrize("age_s", [0, 86_400, -86_400], ids=["now", "past", "future"])
def test_a_member_that_finished_did_not_fail_whatever_the_times_of_its_files(
    job, age_s
):
    made = job("made", made={"result": True, "gaps": True})
    finish(made)
    for path in made.outputs:
        os.utime(path, (path.stat().st_mtime - age_s,) * 2)

    assert failed_of(made) == []
    assert there(made) == [True, True]


def test_a_member_that_ended_with_an_error_failed_and_leaves_no_file(job):
    failed = job("failed", made={"result": True, "gaps": False})
    with pytest.raises(ZeroDivisionError), job_log(failed.log):
        1 / 0  # noqa: B018

    assert failed_of(failed) == [failed]
    assert there(failed) == [False, False]


def test_a_member_without_a_file_failed_though_an_earlier_attempt_finished(job):
    failed = job("failed", made={"result": True, "gaps": False})
    finish(failed)

    assert failed_of(failed) == [failed]
    assert there(failed) == [True, False]


def test_files_of_an_earlier_run_are_not_left_to_be_taken_for_new(job):
    never_begun = job("old", made={"result": True, "gaps": True})
    finish(never_begun)
    finished_jobs.forget(Path())

    assert failed_of(never_begun) == [never_begun]
    assert there(never_begun) == [False, False]


def test_files_of_a_local_job_that_failed_are_left_to_snakemake(job):
    replaced = job("batch", made={"zip": True}, is_local=True)

    assert failed_of(replaced) == [replaced]
    assert there(replaced) == [True]


# --- what Snakemake logs


@pytest.fixture
def run():
    """The records of a run, which follows Snakemake's logger."""
    followed = RunRecords()
    followed.follow()
    yield followed
    logging.getLogger("snakemake.logging").removeHandler(followed)


def tell(event=None, text="", **values):
    logger = logging.getLogger("snakemake.logging")
    logger.error(text, extra=values | ({} if event is None else {"event": event}))


def begin(number, *, local=False):
    tell(
        LogEvent.JOB_INFO,
        jobid=number,
        rule_name="parse_klines",
        rule_msg=f"Parse {number}",
        log=[str(LOG)],
        output=["a.parquet (update)"],
        local=local,
    )


def test_jobs_that_failed_are_known_with_their_files(run):
    begin(1)
    begin(2, local=True)
    begin(3)
    tell(LogEvent.JOB_FINISHED, job_id=1)
    tell(LogEvent.JOB_ERROR, jobid=2)

    assert run.failed == [Job("Parse 2", (Path("a.parquet"),), LOG, is_local=True)]


def test_a_job_that_succeeds_when_it_is_tried_again_did_not_fail(run):
    begin(1)
    tell(LogEvent.JOB_ERROR, jobid=1)
    begin(1)
    tell(LogEvent.JOB_FINISHED, job_id=1)

    assert run.failed == []


def test_the_rules_that_are_due_and_an_interruption_are_known(run):
    assert not run.is_interrupted

    tell(LogEvent.RUN_INFO, stats={"parse_klines": 2, "total": 2})
    tell(text=f"{INTERRUPTION}, this might take some time.")

    assert "parse_klines" in run.rules
    assert run.is_interrupted


# --- what is printed


def test_failures_are_listed_by_name_with_their_logs():
    jobs = [Job("Build B", (), LOG), Job("Build A", (), LOG)]

    assert message(jobs).splitlines() == [
        "bhds: 2 jobs failed; what does not need them is made:",
        f"bhds:   Build A ({LOG})",
        f"bhds:   Build B ({LOG})",
    ]


def test_of_many_failures_the_first_are_listed_and_all_counted():
    text = message([Job(f"Build {n:03}", (), LOG) for n in range(1, 24)])

    assert text.startswith("bhds: 23 jobs failed")
    assert "Build 020" in text
    assert "Build 021" not in text
    assert text.endswith("and 3 more")
