"""A part of the demo, with jobs that run on a Slurm of this machine's own.

All tests share the cluster, the exchange, and a local build to compare with. Where
there can be no cluster they are skipped, and say why.
"""

import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bhds import demo
from bhds.sandbox.exchange import Exchange
from bhds.sandbox.server import serving
from tests.built import built_files

from . import slurm

ROOT = Path(__file__).parents[2]
PLUGINS = (
    "snakemake_executor_plugin_slurm",
    "snakemake_executor_plugin_cluster_generic",
)
TIMEOUT_S = 600
_START = "2024-11-01"
DATASETS = [
    {
        **demo.DATASETS[0],
        "start": _START,
        "symbols": ["ETHUSDT", "CVCUSDT", "币安人生USDT"],
    },
    {**demo.DATASETS[1], "start": _START, "symbols": ["ETHUSDT"]},
    demo.DATASETS[3],
]


def pytest_collection_modifyitems(items):
    reason = slurm.why_not()
    missing = [name for name in PLUGINS if importlib.util.find_spec(name) is None]
    if missing and reason is None:
        reason = f"{', '.join(missing)}: not installed; run: make test-cluster"
    if reason is not None:
        for item in items:
            if item.path.is_relative_to(Path(__file__).parent):
                item.add_marker(pytest.mark.skip(reason=reason))


# The executor of Slurm asks for the state of jobs 10 s later each time that none ended.
SNAKEMAKE = """
import asyncio
from snakemake.cli import main
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor

RemoteExecutor.sleep = lambda _: asyncio.sleep(1)
main()
"""


class Workspace:
    """A data directory, and Snakemake on it by one of the profiles."""

    def __init__(self, data, endpoints):
        self.data = data
        self.config = demo.write_config(data, endpoints)

    def command(self, *arguments, profile):
        return [
            *(sys.executable, "-c", SNAKEMAKE, "results_all", *arguments),
            *("--snakefile", "Snakefile", "--configfile", str(self.config)),
            *("--workflow-profile", f"profiles/{profile}"),
        ]

    def start(self, *arguments, profile="slurm"):
        """Start Snakemake; its output goes to a file, lest it wait for a reader."""
        # Bytecode is to be kept: without it each start compiles 30 MB of Python.
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
        with self.said_at.open("w") as output:
            return subprocess.Popen(
                self.command(*arguments, profile=profile),
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def run(self, *arguments, profile="slurm"):
        """Run Snakemake to its end; return its exit code."""
        return self.finish(self.start(*arguments, profile=profile))

    def finish(self, process):
        try:
            return process.wait(TIMEOUT_S)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    @property
    def said_at(self):
        return self.data / "said.txt"

    @property
    def said(self):
        return self.said_at.read_text()

    def files(self):
        """Return the bytes of every file that was built, by its path."""
        return built_files(self.data)


def wait_for(condition, *, seconds=180):
    """Wait until a condition yields something, and return that."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.2)
    pytest.fail(f"waited {seconds} s for {condition.__name__}")


@pytest.fixture(scope="session")
def cluster():
    with slurm.running():
        yield slurm


@pytest.fixture(scope="session")
def exchange():
    datasets, demo.DATASETS[:] = list(demo.DATASETS), DATASETS
    with Exchange() as running_exchange, serving(running_exchange) as running:
        for key in demo._LATE:
            running_exchange.withhold(key)
        yield running
    demo.DATASETS[:] = datasets


@pytest.fixture(scope="session")
def workspace(tmp_path_factory, exchange):
    """The data directory that jobs of Slurm build in."""
    return Workspace(tmp_path_factory.mktemp("cluster"), exchange.endpoints)


@pytest.fixture(scope="session")
def local(tmp_path_factory, exchange):
    """What the same settings give on this machine alone."""
    workspace = Workspace(tmp_path_factory.mktemp("local"), exchange.endpoints)
    assert workspace.run("--cores", "2", profile="default") == 0, workspace.said
    return workspace.files()
