"""Where the workflow is, in a checkout and in a wheel, and what a wheel holds."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from bhds import __version__
from bhds.cli.installation import workflow_folder

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build the wheel of this checkout, without any network."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [
        *(sys.executable, "-m", "pip", "wheel", str(ROOT), "--wheel-dir", str(folder)),
        *("--no-build-isolation", "--no-deps", "--no-index", "--quiet"),
        "--disable-pip-version-check",
    ]
    subprocess.run(command, check=True, timeout=120)
    (path,) = folder.iterdir()
    return path


def test_a_checkout_has_its_own_workflow():
    assert workflow_folder() == ROOT


def test_a_package_outside_of_a_checkout_brings_its_workflow_along(tmp_path):
    package = tmp_path / "site-packages" / "bhds"

    assert workflow_folder(package) == package / "workflow"


def test_the_wheel_has_the_version_of_the_package(wheel):
    assert wheel.name == f"bhds-{__version__}-py3-none-any.whl"


def test_the_wheel_holds_all_of_the_package(wheel):
    expected = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "bhds").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }

    found = set(zipfile.ZipFile(wheel).namelist())

    assert "bhds/data/known_bad_months.csv" in expected
    assert expected - found == set()


def test_the_wheel_holds_the_workflow_as_it_is_in_the_checkout(wheel):
    folders = ("config", "envs", "profiles", "rules", "scripts")
    paths = [path for name in folders for path in (ROOT / name).rglob("*")]
    expected = {
        f"bhds/workflow/{path.relative_to(ROOT)}": path.read_bytes()
        for path in (ROOT / "Snakefile", *paths)
        if path.is_file() and path.suffix not in {".pyc", ".sh"}
    }

    with zipfile.ZipFile(wheel) as archive:
        found = {name: archive.read(name) for name in archive.namelist()}

    assert {name.split("/")[2] for name in expected} == {"Snakefile", *folders}
    assert {name: found.get(name) for name in expected} == expected
