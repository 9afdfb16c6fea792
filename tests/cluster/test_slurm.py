"""The workflow on a real Slurm: the same bytes, whatever the scheduler does to jobs.

The tests build on each other, in this order, in one data directory.
"""

import os
import signal
import time

import pytest

from tests.built import differing

from .conftest import wait_for

GROUPS = ("--group-components", "parse=7", "symbols=3")
FILL = "api_data/um_futures/klines/{}/1m/all.parquet"
RESULT = "results_data/um_futures/klines/1m/{}.pqt"


def memory_mb(job):
    """Read how much memory a job that has ended had asked for."""
    tres = dict(part.partition("=")[::2] for part in job["Tres"].split(","))
    return int(tres["mem"].removesuffix("M"))


def test_a_build_survives_jobs_that_are_cancelled_and_overdue(
    cluster, workspace, local
):
    cluster.set_open(False)
    build = workspace.start(*GROUPS)

    def queue_of_two():
        assert build.poll() is None, workspace.said
        jobs = cluster.queued()
        return jobs if len(jobs) >= 2 else None

    def running_one():
        assert build.poll() is None, workspace.said
        return next(
            (
                job
                for job, found in cluster.queued().items()
                if found.state == "RUNNING" and job in jobs
            ),
            None,
        )

    jobs = wait_for(queue_of_two)
    cancelled = min(jobs)
    cluster.cancel(cancelled)
    cluster.set_open(True)
    overdue = wait_for(running_one)
    limit_min = jobs[overdue].limit_min
    cluster.make_overdue(overdue)
    status = workspace.finish(build)

    assert status == 0, workspace.said
    assert differing(workspace.files(), local) == set()
    by_id = {job["JobId"]: job for job in cluster.ended()}
    first = by_id[cancelled]
    assert first["JobState"] == "CANCELLED"
    assert by_id[overdue]["JobState"] == "TIMEOUT"
    done = [job for job in by_id.values() if job["JobState"] == "COMPLETED"]
    memory = memory_mb(first)
    for limit in (2 * int(first["TimeLimit"]), 2 * limit_min):
        assert any(
            int(job["TimeLimit"]) == limit and memory_mb(job) == 2 * memory
            for job in done
        ), by_id
    assert workspace.said.count("Trying to restart job") == 2


def test_a_second_run_does_nothing(cluster, workspace):
    before = len(cluster.ended())

    assert workspace.run(*GROUPS) == 0, workspace.said
    assert "Nothing to be done" in workspace.said
    assert len(cluster.ended()) == before


@pytest.mark.usefixtures("cluster")
def test_a_failing_symbol_stops_no_other_of_its_group(workspace, local):
    damaged = workspace.data / FILL.format("CVCUSDT")
    damaged.write_bytes(b"not a table")
    os.utime(workspace.data / FILL.format("ETHUSDT"))
    begin = time.time()

    status = workspace.run(*GROUPS, "--retries", "0")

    assert status == 1
    failed = [
        line for line in workspace.said.splitlines() if line.startswith("bhds:  ")
    ]
    # The funding ends with the contract, as the result's job finds.
    assert sorted(line.partition(" (")[0].split()[1:4] for line in failed) == [
        ["Build", "the", "funding"],
        ["Build", "the", "result"],
        ["Resample", "um_futures", "CVCUSDT:"],
    ]
    assert all("CVCUSDT" in line for line in failed)
    others = (workspace.data / RESULT.format("ETHUSDT")).stat()
    assert others.st_mtime > begin
    assert not (workspace.data / RESULT.format("CVCUSDT")).exists()

    damaged.unlink()
    assert workspace.run(*GROUPS) == 0, workspace.said
    assert differing(workspace.files(), local) == set()
    assert (
        workspace.data / RESULT.format("ETHUSDT")
    ).stat().st_mtime == others.st_mtime


def test_cancelling_leaves_no_half_written_target(cluster, workspace, local):
    os.utime(workspace.data / FILL.format("ETHUSDT"))
    build = workspace.start(*GROUPS)

    def running_job():
        assert build.poll() is None, workspace.said
        return any(found.state == "RUNNING" for found in cluster.queued().values())

    wait_for(running_job)
    time.sleep(3)
    build.send_signal(signal.SIGINT)

    assert workspace.finish(build) == 1
    wait_for(lambda: not cluster.queued())
    left = {path: found for path, found in workspace.files().items() if path in local}
    assert {path for path, found in left.items() if found != local[path]} == set()
    assert workspace.run(*GROUPS) == 0, workspace.said
    assert differing(workspace.files(), local) == set()


def test_the_generic_profile_builds_the_same(cluster, workspace, local):
    os.utime(workspace.data / FILL.format("币安人生USDT"))
    before = len(cluster.ended())

    assert workspace.run("--jobs", "4", profile="cluster-generic") == 0, workspace.said
    assert len(cluster.ended()) == before + 1
    assert differing(workspace.files(), local) == set()
