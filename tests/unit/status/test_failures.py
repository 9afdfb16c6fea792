"""What a run could not make is told, and never mistaken for made."""

import datetime as dt
import os
from pathlib import Path

import pytest

from bhds.status.failures import Job, message, unmade

BEGIN = dt.datetime(2025, 3, 10, 12, tzinfo=dt.UTC)


@pytest.fixture
def job(tmp_path):
    """Make a job with outputs made so many seconds after `BEGIN`, or not."""

    def make(name, made):
        paths = []
        for output, seconds in made.items():
            path = tmp_path / f"{name}-{output}"
            if seconds is not None:
                path.touch()
                os.utime(path, (BEGIN.timestamp() + seconds,) * 2)
            paths.append(path)
        return Job(name, tuple(paths), Path("logs/x.log"))

    return make


def there(job):
    return [path.exists() for path in job.outputs]


def test_a_member_whose_files_were_made_in_the_run_did_not_fail(job):
    made = job("made", {"result": 1, "gaps": 5})

    assert unmade([made], since=BEGIN) == []
    assert there(made) == [True, True]


def test_a_member_without_a_file_failed_and_keeps_what_it_made(job):
    failed = job("failed", {"result": 1, "gaps": None})

    assert unmade([failed], since=BEGIN) == [failed]
    assert there(failed) == [True, False]


def test_files_of_an_earlier_run_are_not_left_to_be_taken_for_new(job):
    never_begun = job("old", {"result": -1, "gaps": -3600})

    assert unmade([never_begun], since=BEGIN) == [never_begun]
    assert there(never_begun) == [False, False]


def test_failures_are_listed_by_name_with_their_logs(job):
    jobs = [job("Build B", {}), job("Build A", {})]

    assert message(jobs).splitlines() == [
        "bhds: 2 jobs failed; what does not need them is made:",
        "bhds:   Build A (logs/x.log)",
        "bhds:   Build B (logs/x.log)",
    ]


def test_of_many_failures_the_first_are_listed_and_all_counted(job):
    text = message([job(f"Build {n:03}", {}) for n in range(1, 24)])

    assert text.startswith("bhds: 23 jobs failed")
    assert "Build 020" in text
    assert "Build 021" not in text
    assert text.endswith("and 3 more")
