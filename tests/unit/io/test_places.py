"""Errors of files: told by the place that is why, with what to do."""

import errno
import os
import sqlite3
import subprocess
import sys
from contextlib import closing

import polars as pl
import pytest

from bhds.core.errors import PlaceError
from bhds.io import places


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (PermissionError(errno.EACCES, "Permission denied"), "change its rights"),
        (OSError("Permission denied (os error 13): a.pqt"), "change its rights"),
        (OSError(errno.EIO, "Input/output error"), "check the disk"),
        (pl.exceptions.ComputeError("no Parquet"), "delete it and run again"),
        (FileNotFoundError(errno.ENOENT, "No such file"), "delete it and run again"),
    ],
)
def test_what_may_not_be_read_is_not_to_be_deleted(error, remedy):
    assert places.remedy(error) == remedy


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "x", "/data/a"), "/data/a: No space left"),
        (OSError(errno.EDQUOT, "x", "/data/a"), "/data/a: Disk quota exceeded"),
        (OSError("Read-only file system (os error 30)"), "Read-only file system"),
    ],
)
def test_an_error_of_a_place_is_explained(error, words):
    explained = places.explained(error)

    assert explained is not None
    assert words in explained
    assert "choose another data_dir, and run again: nothing is lost" in explained


def test_an_error_without_a_file_names_the_current_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    explained = places.explained(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))

    assert explained is not None
    assert explained.startswith(f"{tmp_path}: No space left on device; free some")


def test_other_errors_are_not_explained():
    assert places.explained(FileNotFoundError(errno.ENOENT, "No such file")) is None
    assert places.explained(ValueError("28")) is None


def test_a_database_on_a_full_disk_is_explained():
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute("CREATE TABLE a (b)")
        database.execute("PRAGMA max_page_count = 3")
        with pytest.raises(sqlite3.OperationalError) as caught:
            database.execute("INSERT INTO a VALUES (?)", ("x" * 100_000,))

    assert "No space left" in (places.explained(caught.value) or "")


JOURNAL = """
import datetime as dt
import resource
import sys
from pathlib import Path

from bhds.backfill.response_journal import Answer, Journal
from bhds.core.timegrid import Span
from bhds.io.job_log import job_log

resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, 1_000))
with job_log("job.log"):
    journal = Journal(Path("a.answers.jsonl"))
    answer = Answer(Span(0, 1), dt.datetime.now(dt.UTC), ((0, "x" * 300),))
    for _ in range(10):
        journal.append(answer)
"""


def test_a_journal_that_does_not_fit_ends_its_job_in_one_line(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", JOURNAL],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("bhds: error: a.answers.jsonl: cannot be written, files may")
    assert "nothing is lost" in line


@pytest.mark.parametrize("place", ["/proc/x", "/dev/null/x"])
def test_a_data_directory_that_cannot_be_is_an_error_of_one_line(place):
    with pytest.raises(PlaceError, match=f"^data_dir: {place}: cannot be a folder: "):
        places.make_data_dir(place)
