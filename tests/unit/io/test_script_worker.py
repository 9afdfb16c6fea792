"""Scripts that one process runs one after another."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import psutil
import pytest

from bhds.io import script_worker
from bhds.io.script_worker import ScriptWorker


@pytest.fixture
def worker(monkeypatch):
    monkeypatch.setattr(script_worker, "_GRACE_S", 0.5)
    made = ScriptWorker()
    yield made
    made.end()


@pytest.fixture
def run(worker, tmp_path):
    """Return a function that runs lines of code as a script."""

    def run(code, **values):
        script = tmp_path / "script.py"
        script.write_text(code)
        return worker.run(script, SimpleNamespace(path=tmp_path / "out", **values))

    return run


def test_scripts_run_in_one_process_and_get_their_job(run, tmp_path):
    code = "import os; snakemake.path.write_text(f'{snakemake.name} {os.getpid()}')"

    told = []
    for name in ("first", "second"):
        assert run(code, name=name) == 0
        told.append((tmp_path / "out").read_text().split())

    assert [name for name, _ in told] == ["first", "second"]
    assert told[0][1] == told[1][1] != str(os.getpid())


def test_the_process_has_the_name_of_its_script(run, worker, tmp_path):
    run(
        "import pathlib\n"
        "name = pathlib.Path('/proc/self/comm').read_text()\n"
        "snakemake.path.write_text(name.strip())"
    )

    assert (tmp_path / "out").read_text() == "script"
    assert psutil.Process(worker._process.pid).name() == "bhds: no job"


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("raise SystemExit", 0),
        ("raise SystemExit(3)", 3),
        ("raise SystemExit('bhds: error: why')", 1),
        ("1 / 0", 1),
        ("raise KeyboardInterrupt", 1),
    ],
)
def test_a_script_ends_as_a_process_of_its_own_would(run, worker, code, status):
    assert run(code) == status

    assert worker.is_reusable
    assert run("pass") == 0


def test_nothing_of_a_script_is_left_to_the_next(run):
    assert run("left = 1") == 0
    assert run("import sys; sys.exit('left' in globals())") == 0


def test_a_process_that_is_killed_is_not_used_again(run, worker):
    assert run("import os, signal; os.kill(os.getpid(), signal.SIGKILL)") == -9
    assert not worker.is_reusable
    assert run("pass") != 0


TURN_SIGTERM_INTO = """
import signal, sys, time
signal.signal(signal.SIGTERM, {handler})
snakemake.path.touch()
time.sleep(60)
"""


@pytest.mark.parametrize(
    ("handler", "status"),
    [
        pytest.param("lambda *_: sys.exit(143)", 143, id="its own end"),
        pytest.param("signal.SIG_IGN", -9, id="nothing"),
    ],
)
def test_it_ends_though_a_script_handles_the_signal(
    run, worker, tmp_path, handler, status
):
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run, TURN_SIGTERM_INTO.format(handler=handler))
        while not (tmp_path / "out").exists():
            time.sleep(0.02)
        worker.end()

        assert running.result(timeout=30) == status


def test_a_process_that_holds_much_memory_is_not_used_again(run, worker):
    assert run("import sys; sys.kept = b'x' * 500_000_000") == 0
    assert not worker.is_reusable


def parent(*lines):
    """Run lines of code in a process that has a worker `w`."""
    code = "\n".join(
        ["from bhds.io.script_worker import ScriptWorker", "w = ScriptWorker()", *lines]
    )
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )


def test_what_a_script_says_last_is_on_standard_error(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("raise SystemExit('bhds: error: why')")

    assert parent(f"w.run({str(script)!r}, None)").stderr == "bhds: error: why\n"


@pytest.mark.parametrize(
    "while_it_runs",
    [
        pytest.param("pass", id="nothing"),
        pytest.param("w._connection.send((script, None)); time.sleep(0.5)", id="one"),
    ],
)
def test_it_ends_with_its_parent_without_a_word(tmp_path, while_it_runs):
    script = tmp_path / "script.py"
    script.write_text("import time; time.sleep(1)")

    made = parent(
        "import os, signal, time",
        f"script = {str(script)!r}",
        "print(w._process.pid, flush=True)",
        while_it_runs,
        "os.kill(os.getpid(), signal.SIGKILL)",
    )
    number = int(made.stdout)
    assert made.stderr == ""

    for _ in range(200):
        if not psutil.pid_exists(number):
            return
        time.sleep(0.05)
    os.kill(number, signal.SIGKILL)
    pytest.fail("it goes on without its parent")
