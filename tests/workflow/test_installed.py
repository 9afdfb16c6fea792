"""BHDS as `pip install` leaves it, far from any checkout."""

import re
import subprocess
import sys
import zipfile

import pytest
import yaml

from .conftest import ROOT, TIMEOUT_S, called, settings_for

pytestmark = pytest.mark.workflow


@pytest.fixture
def installed(tmp_path):
    """Return a folder that holds what a wheel installs."""
    command = [
        *(
            sys.executable,
            "-m",
            "pip",
            "wheel",
            str(ROOT),
            "--wheel-dir",
            str(tmp_path),
        ),
        *("--no-build-isolation", "--no-deps", "--no-index", "--quiet"),
        "--disable-pip-version-check",
    ]
    subprocess.run(command, check=True, timeout=TIMEOUT_S)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    return tmp_path / "site"


def test_an_installed_command_has_snakemake_build_by_the_rules_of_the_wheel(
    installed, tmp_path, exchange
):
    here = tmp_path / "elsewhere"
    here.mkdir()
    settings = settings_for(exchange.endpoints, with_api=True, symbols=["NEWUSDT"])
    config = yaml.safe_dump({**settings, "as_of": "2025-03-09"})
    (here / "mine.yaml").write_text(config)
    command = "api-data missing-kline um_futures 1m --dry-run --configfile mine.yaml"

    outcome = called(
        [sys.executable, "-c", "from bhds.cli.app import app; app()", *command.split()],
        here,
        environment={"PYTHONPATH": str(installed)},
    )

    assert outcome.status == 0, outcome.text
    assert f"{installed}/bhds/workflow/profiles/quiet" in outcome.text
    jobs = dict(re.findall(r"^  (\w+) +(\d+)$", outcome.text, re.MULTILINE))
    assert jobs == {"download": "1", "parse": "1", "backfill": "1", "NEWUSDT": "4"}
