"""The workflow on a sandbox exchange of its own, as a user runs it."""

import fcntl
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pytest
import yaml
from xdist.scheduler import LoadScopeScheduling

from bhds.sandbox.exchange import Exchange
from bhds.sandbox.server import serving
from bhds.sandbox.universe import Universe

from . import forked

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 900

TOGETHER = {
    "test_docs.py": "docs",
    "test_scenarios.py": "scenarios",
    "test_genuine.py": "genuine",
    "test_report.py": "report",
    "test_archive.py::test_every_type_of_data": "full archive",
    "test_archive.py::test_trades_of_the_archive": "full archive",
}
"""Tests that share a fixture of their module, by how their names begin: one process
runs them, in order."""


class _Scheduling(LoadScopeScheduling):
    """Gives each test to the next free worker, but for those that share a fixture.

    (The option `--dist loadgroup` does nothing of its own with pytest 9.2.)
    """

    def _split_scope(self, nodeid):
        name = nodeid.removeprefix("tests/workflow/")
        found = (scope for start, scope in TOGETHER.items() if name.startswith(start))
        return next(found, nodeid)


def pytest_xdist_make_scheduler(config, log):
    return _Scheduling(config, log)


_COMMON = {
    "price": 100,
    "price_decimals": 2,
    "tick": "0.01",
    "quantity_decimals": 3,
    "quantity_per_trade": 2,
    "trades_per_minute": 20,
}
UNIVERSE = Universe.model_validate(
    {
        "seed": 7,
        "symbols": [
            {
                **_COMMON,
                "market": "um_futures",
                "name": name,
                "base_asset": name.removesuffix("USDT"),
                "contract_type": "PERPETUAL",
                "listed": listed,
                **more,
            }
            for name, listed, more in [
                ("OLDUSDT", "2024-12-27T08:00:00Z", {"quiet_share": 0.2}),
                ("NEWUSDT", "2025-03-06T08:00:00Z", {}),
                (
                    "龙虾USDT",
                    "2025-02-27T00:00:00Z",
                    {
                        "halts": [
                            {
                                "start": "2025-03-02T03:00:00Z",
                                "end": "2025-03-05T10:30:00Z",
                                "price_change": -0.4,
                            }
                        ]
                    },
                ),
            ]
        ],
    }
)
"""Months and days, two years, days alone, a halt, and a name that is not ASCII."""


@dataclass
class Outcome:
    """What one call of Snakemake said and did."""

    status: int
    text: str

    @property
    def jobs(self):
        """How many jobs of each rule were planned or run; what is generated is one."""
        found = {}
        table = self.text.partition("Job stats:")[2].partition("\ntotal ")[0]
        for name, count in re.findall(r"^(\w+) +(\d+)$", table, re.MULTILINE):
            if not name.endswith("_all"):
                rule = re.sub(r"^(fetch_archives|resample_klines)_.*", r"\1", name)
                found[rule] = found.get(rule, 0) + int(count)
        return found

    @property
    def is_idle(self):
        return self.status == 0 and "Nothing to be done" in self.text

    @property
    def error_lines(self):
        return [line for line in self.text.splitlines() if "error:" in line]


def called(command, folder, *, environment=None):
    """Run a command to its end."""
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    return Outcome(done.returncode, done.stdout)


@dataclass
class Workspace:
    """A data directory with settings, and the command line on it."""

    folder: Path
    settings: dict = field(default_factory=dict)
    cores: int = 2

    @property
    def data(self):
        return self.folder / "data"

    def path(self, relative):
        return self.data / relative

    def command(self, *arguments, settings=None, executor="bhds"):
        """Write the settings, and return the command line that takes them."""
        config = self.folder / "config.yaml"
        values = {"data_dir": str(self.data), **self.settings, **(settings or {})}
        # YAML would name what stands twice, which BHDS does not read.
        config.write_text(yaml.safe_dump(json.loads(json.dumps(values, default=str))))
        return [
            *(sys.executable, "-m", "snakemake"),
            *("--snakefile", str(ROOT / "Snakefile"), *arguments),
            *("--workflow-profile", str(ROOT / "profiles" / "default")),
            *("--executor", executor),  # `local` takes four times as long
            *("--configfile", str(config), "--cores", str(self.cores)),
        ]

    def snakemake(self, *arguments, environment=None, settings=None):
        """Run Snakemake; with variables of its own, as a process started anew."""
        command = self.command(*arguments, settings=settings)
        if environment is None:
            return self.run(command)
        return called(command, self.folder, environment=environment)

    def run(self, command):
        """Run a command line of Snakemake that was returned by `command`."""
        _, _, _, *arguments = command
        return Outcome(*forked.run(arguments, folder=self.folder, timeout_s=TIMEOUT_S))

    def start(self, *arguments):
        """Start Snakemake in a process group of its own, and return its process."""
        return subprocess.Popen(
            self.command(*arguments),
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def build(self, *targets, **options):
        outcome = self.snakemake(*(targets or ["results_all"]), **options)
        assert outcome.status == 0, outcome.text
        return outcome

    def plan(self, *targets, **options):
        return self.snakemake(*(targets or ["results_all"]), "--dry-run", **options)

    def times(self):
        """The time of every file below the data directory, by its path."""
        return {
            str(path.relative_to(self.data)): path.stat().st_mtime_ns
            for path in self.data.rglob("*")
            if path.is_file() and not {".snakemake", "logs"} & set(path.parts)
        }

    def changed(self, before):
        """The data files that are new or newer than `before`; not listings or logs."""
        return {
            path
            for path, time in self.times().items()
            if before.get(path) != time
            and not re.search(
                r"listing|symbols\.parquet|ledger|revisions|supplements|unusable"
                r"|\.before|\.staging",
                path,
            )
        }


class Silent:
    """A server that nobody ever hears from."""

    def __init__(self, listening):
        self.address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        self._listening = listening
        self._connection = None

    def wait_until_asked(self):
        """Wait for the first connection, and leave it open without a word."""
        self._listening.settimeout(120)
        self._connection, _ = self._listening.accept()

    def close(self):
        if self._connection is not None:
            self._connection.close()


@pytest.fixture
def silent():
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        closing(Silent(listening)) as server,
    ):
        yield server


def settings_for(endpoints, *, with_api=False, **dataset):
    """Settings for one dataset of the sandbox, whose listings are never believed.

    The archive does alone unless told otherwise, without funding.
    """
    resample = [{"interval": "1h"}, {"interval": "1d"}]
    return {
        "endpoints": asdict(endpoints),
        "listing": {"max_age_hours": 0, "full_refresh_days": 0},
        "api": {"enabled": with_api},
        "datasets": [
            {
                "trade_type": "um_futures",
                "results": {"resample": resample, "funding": with_api},
                **dataset,
            }
        ],
    }


@pytest.fixture(scope="session")
def new_workspace():
    return Workspace


@pytest.fixture
def exchange():
    with Exchange(UNIVERSE) as running_exchange, serving(running_exchange) as running:
        yield running


@pytest.fixture
def workspace(tmp_path, exchange):
    return Workspace(tmp_path, settings_for(exchange.endpoints))


YOUNG = "NEWUSDT"
"""A symbol of four days, from 2025-03-06 to 2025-03-09."""


def young_key(day):
    """Return the key of a day of March 2025 of the young symbol."""
    name = f"{YOUNG}-1m-2025-03-{day:02}.zip"
    return f"data/futures/um/daily/klines/{YOUNG}/1m/{name}"


def built_once(tmp_path_factory, name, build, **dataset):
    """Return the data of a build that the first worker in need of it makes."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    whole, part = folder / name, folder / f"{name}.part"
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not whole.exists():
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir()
            with Exchange(UNIVERSE) as exchange, serving(exchange) as running:
                settings = settings_for(running.endpoints, **dataset)
                build(Workspace(part, settings), exchange)
            part.rename(whole)
    return whole / "data"


@pytest.fixture(scope="session")
def young_data(tmp_path_factory):
    """Return the data of a build of the young symbol, whose last zip came alone."""

    def build(workspace, exchange):
        exchange.withhold(young_key(9))
        workspace.build()
        exchange.release(young_key(9))
        workspace.build()

    return built_once(tmp_path_factory, "young", build, symbols=[YOUNG])


@pytest.fixture
def young(workspace, young_data):
    """Return a workspace in which the results of the young symbol are built."""
    workspace.settings["datasets"][0]["symbols"] = [YOUNG]
    shutil.copytree(young_data, workspace.data)
    return workspace


@pytest.fixture(scope="session")
def whole_data(tmp_path_factory):
    """Return the data of a build of all symbols."""
    return built_once(tmp_path_factory, "whole", lambda workspace, _: workspace.build())


@pytest.fixture
def whole(workspace, whole_data):
    """Return a workspace in which the results of all symbols are built."""
    shutil.copytree(whole_data, workspace.data)
    return workspace
