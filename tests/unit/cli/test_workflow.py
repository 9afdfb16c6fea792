"""Snakemake, run by a command."""

import importlib.metadata
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from contextlib import suppress

import psutil
import pytest
import yaml

from bhds import config
from bhds.cli import workflow
from bhds.cli.options import RunOptions
from bhds.core.errors import ConfigError

SETTINGS = config.load(
    {
        "data_dir": "some/data",
        "datasets": [{"trade_type": "spot", "symbols": ["龙虾USDT"]}],
    },
    environment={},
)

PYTHON = sys.executable


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Put a program in the place of Python, which keeps what it is called with."""
    program = tmp_path / "python"
    kept = tmp_path / "kept"
    program.write_text(
        "#!/bin/sh\n"
        f'echo "$@" > {kept}\n'
        'while [ "$1" != --configfile ]; do shift; done\n'
        f'cp "$2" {kept}.yaml\n'
        "exit 7\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(sys, "executable", str(program))
    return kept


def test_snakemake_gets_the_settings_and_its_exit_code_is_returned(
    fake, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)

    status = workflow.run_snakemake(SETTINGS, ["api_all"], cores=3, dry_run=True)

    assert status == 7
    called = fake.read_text()
    assert "SIG_IGN)\n api_all --snakefile" in called
    assert "profiles/quiet " in called
    assert "--cores 3 --dry-run" in called
    given = yaml.safe_load(fake.with_suffix(".yaml").read_text(encoding="utf-8"))
    assert given["data_dir"] == str(tmp_path / "some/data")
    expected = SETTINGS.model_copy(update={"data_dir": tmp_path / "some/data"})
    assert config.load(given, environment={}) == expected


def test_without_a_snakefile_there_are_no_rules(tmp_path):
    with pytest.raises(ConfigError, match=r"Snakefile: no such file.*install it again"):
        workflow.run_snakemake(SETTINGS, ["api_all"], checkout=tmp_path)


def test_a_command_may_build_other_datasets_than_the_settings(fake):
    other = config.Dataset(trade_type="um_futures", symbols=["AUSDT"])

    status = workflow.build(SETTINGS, [other], ["raw_all"], run=RunOptions())

    assert status == 7
    given = yaml.safe_load(fake.with_suffix(".yaml").read_text(encoding="utf-8"))
    assert [d["symbols"] for d in given["datasets"]] == [["AUSDT"]]
    assert f"--cores {os.cpu_count()}" in fake.read_text()
    assert "--dry-run" not in fake.read_text()


def test_what_snakemake_prints_can_leave_standard_output_free(fake, capfd):
    program = fake.with_name("python")
    program.write_text("#!/bin/sh\necho told\n")

    workflow.run_snakemake(SETTINGS, ["all"], stdout_to_stderr=True)

    assert capfd.readouterr() == ("", "told\n")


@pytest.mark.parametrize("version", ["8.30.0", "9.9", "9.26.1"])
def test_an_old_snakemake_is_refused(fake, monkeypatch, version):
    monkeypatch.setattr(importlib.metadata, "version", lambda _: version)

    with pytest.raises(ConfigError, match=rf"snakemake {version}: too old.*make setup"):
        workflow.run_snakemake(SETTINGS, ["all"])
    assert not fake.exists()


def test_a_missing_snakemake_is_refused(monkeypatch):
    def none(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", none)

    with pytest.raises(ConfigError, match=r"snakemake: not installed.*make setup"):
        workflow.run_snakemake(SETTINGS, ["all"])


def test_the_oldest_snakemake_is_that_of_the_snakefile():
    snakefile = (workflow.CHECKOUT / "Snakefile").read_text()

    assert f'min_version("{workflow.OLDEST_SNAKEMAKE}")' in snakefile


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
)
def test_a_signal_ends_the_run_with_its_exit_code(fake, number, code):
    program = fake.with_name("python")
    program.write_text(
        f"#!/bin/sh\ntrap 'exit 1' INT TERM\n: > {fake}\nwhile :; do sleep 0.05; done\n"
    )
    before = signal.getsignal(signal.SIGTERM)

    def end():
        while not fake.exists():
            time.sleep(0.01)
        os.kill(os.getpid(), number)

    thread = threading.Thread(target=end)
    thread.start()
    status = workflow.run_snakemake(SETTINGS, ["all"])
    thread.join()

    assert status == code
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_stopped_command_stops_snakemake_and_continues_with_it(fake):
    program = fake.with_name("python")
    program.write_text(
        f"#!/bin/sh\ntrap 'exit 1' TERM\necho $$ > {fake}.new\nmv {fake}.new {fake}\n"
        "while :; do sleep 0.05; done\n"
    )
    script = "import sys; from bhds.cli import snakemake_process as process; "
    script += f"sys.executable = {str(program)!r}; "
    script += "sys.exit(process.run([], stdout_to_stderr=False))"
    command = subprocess.Popen([PYTHON, "-c", script])
    both = [psutil.Process(command.pid)]
    try:
        until(fake.exists)
        both.append(psutil.Process(int(fake.read_text())))
        for number in (signal.SIGTSTP, signal.SIGCONT):
            is_stopping = number == signal.SIGTSTP
            command.send_signal(number)
            for each in both:
                until(lambda: (each.status() == "stopped") == is_stopping)  # noqa: B023
        command.terminate()
        assert command.wait(timeout=60) == 143
    finally:
        for each in both:
            with suppress(psutil.NoSuchProcess):
                each.kill()


def until(is_so):
    """Wait until something is so, a minute at most."""
    end = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
)
@pytest.mark.usefixtures("fake")
def test_a_signal_that_comes_as_snakemake_starts_leaves_no_orphan(
    monkeypatch, number, code
):
    started = []

    class Interrupted(subprocess.Popen):
        def __init__(self, *arguments, **options):
            os.kill(os.getpid(), number)
            super().__init__(*arguments, **options)
            started.append(self)

    monkeypatch.setattr(subprocess, "Popen", Interrupted)

    assert workflow.run_snakemake(SETTINGS, ["all"]) == code
    assert all(process.returncode is not None for process in started)
    assert len(started) == 1


def test_only_files_of_parts_of_a_history_can_have_fewer_days(bhds_in):
    result = bhds_in("run", "results_all", "--end", "2024-01-31")

    assert result.exit_code == 1
    assert "--start, --end: results_all has the days of the settings" in str(
        result.exception
    )
