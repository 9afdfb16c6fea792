"""Runs that were killed: what they leave is known to be theirs, or left alone."""

import os
import signal
import subprocess
import sys
import tempfile
import time

import pytest

from bhds.io import runs
from bhds.io.runs import Process

pytestmark = pytest.mark.skipif(
    runs.current() is None, reason="this system does not tell when a process began"
)

LOCKED = "aws_data/spot/daily/klines/AUSDT/1m/AUSDT-1m-2025-01-01.zip"


@pytest.fixture
def gone():
    """A process of this machine that has ended."""
    return runs.current()._replace(pid=2**30)


def record(data_dir, process):
    path = data_dir / ".snakemake" / "bhds-runs" / process.name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("")
    return path


def lock(data_dir, *paths):
    folder = data_dir / ".snakemake" / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "0.output.lock").write_text("".join(f"{path}\n" for path in paths))


def test_a_process_is_known_by_its_name():
    own = runs.current()

    assert runs.named(own.name) == own
    assert own.is_alive
    assert not own.is_gone


@pytest.mark.parametrize("name", ["", "123", "x-1-2", "../a-1-2", "0123456789ab-1"])
def test_other_names_are_of_no_process(name):
    assert runs.named(name) is None


@pytest.mark.parametrize(
    ("change", "is_gone"),
    [
        pytest.param({"pid": 2**30}, True, id="ended"),
        pytest.param({"started": 1}, True, id="another of the same number"),
        pytest.param({"machine": "0" * 12}, False, id="of another machine"),
    ],
)
def test_a_process_is_gone_only_if_that_is_certain(change, is_gone):
    process = runs.current()._replace(**change)

    assert process.is_gone is is_gone
    assert not process.is_alive


def test_a_process_that_nobody_waited_for_is_gone():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    own = runs.current()
    process = Process(own.machine, child.pid, runs._started(child.pid))
    assert process.is_alive

    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)

    assert process.is_gone
    child.communicate()


def test_the_lock_of_a_killed_run_is_known(tmp_path, gone):
    record(tmp_path, gone)
    lock(tmp_path, LOCKED)

    assert runs.owner_of_stale_lock(tmp_path) == gone
    assert "snakemake --unlock" in runs.explain_lock(tmp_path)


@pytest.mark.parametrize(
    ("others", "locked", "words"),
    [
        pytest.param([], [LOCKED], "another machine", id="nobody known"),
        pytest.param([{}], [LOCKED], "another run is going on", id="one goes on"),
        pytest.param(
            [{"machine": "0" * 12}], [LOCKED], "another machine", id="elsewhere"
        ),
        pytest.param(
            [{"pid": 2**30}, {"machine": "0" * 12}],
            [LOCKED],
            "another machine",
            id="one here, one elsewhere",
        ),
        pytest.param(
            [{"pid": 2**30}],
            [LOCKED, "plots/a.png"],
            "another workflow",
            id="files of another workflow",
        ),
    ],
)
def test_the_lock_of_anybody_else_is_left_alone(tmp_path, others, locked, words):
    for change in others:
        record(tmp_path, runs.current()._replace(**change))
    lock(tmp_path, *locked)

    assert runs.owner_of_stale_lock(tmp_path) is None
    assert words in runs.explain_lock(tmp_path)


def test_without_a_lock_there_is_nothing_to_explain(tmp_path, gone):
    record(tmp_path, gone)

    assert runs.explain_lock(tmp_path) is None
    assert runs.owner_of_stale_lock(tmp_path) is None


def test_a_run_is_recorded_until_it_ends(tmp_path):
    end = runs.begin(tmp_path, scratch="/tmp/snakemake1")
    lock(tmp_path, LOCKED)
    assert "another run" in runs.explain_lock(tmp_path)

    end()

    assert "another machine" in runs.explain_lock(tmp_path)
    assert runs.killed(tmp_path) == []


def make_folder(root, name):
    (root / name).mkdir()
    (root / name / "file").touch()
    return root / name


def test_what_killed_runs_left_is_removed(tmp_path, monkeypatch, gone):
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(temporary))
    own = runs.current()
    elsewhere = own._replace(machine="0" * 12)
    scratch = make_folder(temporary, "snakemakeabc")
    record(tmp_path, gone).write_text(str(scratch))
    ours = make_folder(temporary, f"bhds-aria2-{gone.name}-a1b2")
    kept = [
        make_folder(temporary, f"bhds-aria2-{own.name}-a1b2"),
        make_folder(temporary, f"bhds-aria2-{elsewhere.name}-a1b2"),
        make_folder(temporary, "bhds-mine"),
        make_folder(temporary, "snakemakeother"),
    ]
    (temporary / f"bhds-aria2-{gone.name}-link").symlink_to(kept[-1])
    script = tmp_path / ".snakemake" / "scripts" / "tmpabc.parse_klines.py"
    script.parent.mkdir()
    script.touch()
    os.utime(script, (0, 0))

    runs.sweep(tmp_path)

    assert not scratch.exists()
    assert not ours.exists()
    assert not script.exists()
    assert all((folder / "file").exists() for folder in kept)
    assert runs.killed(tmp_path) == []


def test_a_record_names_no_folder_of_others(tmp_path, gone):
    """Whoever may write into the data directory may not have others' files removed."""
    mine = make_folder(tmp_path, "snakemake-mine")
    record(tmp_path, gone).write_text(str(mine))

    runs.sweep(tmp_path)

    assert mine.exists()


def test_scripts_stay_while_another_run_may_use_them(tmp_path, gone):
    record(tmp_path, gone)
    record(tmp_path, runs.current()._replace(machine="0" * 12))
    script = tmp_path / ".snakemake" / "scripts" / "tmpabc.parse_klines.py"
    script.parent.mkdir()
    script.touch()
    os.utime(script, (0, 0))

    runs.sweep(tmp_path)

    assert script.exists()


def test_a_temporary_folder_has_the_name_of_its_process():
    with runs.scratch("test") as folder:
        assert folder.is_dir()
        assert runs.current().name in folder.name

    assert not folder.exists()


CHILD = """
import os, time
from bhds.io import runs
runs.end_with_parent(os.environ)
print("began", flush=True)
time.sleep(60)
"""


def test_a_process_ends_with_its_parent_without_a_traceback():
    parent = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    name = Process(runs.current().machine, parent.pid, runs._started(parent.pid)).name
    with subprocess.Popen(
        [sys.executable, "-c", CHILD],
        env={**os.environ, runs.PARENT: name},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as child:
        assert child.stdout.readline() == "began\n"
        assert child.poll() is None
        parent.kill()
        parent.communicate()
        began = time.monotonic()

        assert child.stdout.read() == ""
        assert child.wait(timeout=60) == -signal.SIGTERM
        assert time.monotonic() - began < 30


def test_a_process_does_not_wait_for_a_parent_elsewhere(monkeypatch):
    elsewhere = runs.current()._replace(machine="0" * 12)
    monkeypatch.setattr("threading.Thread.start", pytest.fail)

    for name in ("", "nonsense", elsewhere.name):
        runs.end_with_parent({runs.PARENT: name})
