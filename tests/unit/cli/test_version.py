"""Which programs and libraries do the work."""

import importlib.metadata
import json
import platform
import shutil

import pytest
from typer.testing import CliRunner

from bhds import __version__
from bhds.archive.download import aria2
from bhds.cli.app import app
from bhds.core.errors import FetchError


def test_every_version_that_a_report_needs_is_told():
    document = json.loads(CliRunner().invoke(app, ["version", "--json"]).stdout)

    assert document["bhds"] == __version__
    assert document["python"] == platform.python_version()
    for name in ("polars", "snakemake"):
        assert document[name] == importlib.metadata.version(name)
    assert sorted(document) == [
        *("aria2c", "bhds", "platform", "polars", "python", "snakemake")
    ]


def test_without_json_a_line_each():
    lines = CliRunner().invoke(app, ["version"]).stdout.splitlines()

    assert f"bhds       {__version__}" in lines
    assert len(lines) == 6


@pytest.mark.skipif(shutil.which("aria2c") is None, reason="no aria2c on PATH")
def test_the_version_of_aria2c_is_that_of_the_program():
    told = json.loads(CliRunner().invoke(app, ["version", "--json"]).stdout)["aria2c"]

    assert told[0].isdigit()
    assert " " not in told


def test_what_is_not_installed_is_told_as_such(monkeypatch):
    def none():
        msg = "aria2c was not found"
        raise FetchError(msg)

    monkeypatch.setattr(aria2, "find_executable", none)

    result = CliRunner().invoke(app, ["version"])

    assert "aria2c     not found" in result.stdout
    assert result.exit_code == 0
