"""Snakemake, run by a command."""

import stat
import sys

import pytest
import yaml

from bhds import config
from bhds.commands import workflow
from bhds.errors import ConfigError

SETTINGS = config.load(
    {
        "data_dir": "some/data",
        "datasets": [{"trade_type": "spot", "symbols": ["龙虾USDT"]}],
    },
    environment={},
)


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
    assert called.startswith("-m snakemake api_all --snakefile")
    assert "--cores 3 --dry-run" in called
    given = yaml.safe_load(fake.with_suffix(".yaml").read_text(encoding="utf-8"))
    assert given["data_dir"] == str(tmp_path / "some/data")
    expected = SETTINGS.model_copy(update={"data_dir": tmp_path / "some/data"})
    assert config.load(given, environment={}) == expected


def test_without_a_snakefile_there_are_no_rules(tmp_path):
    with pytest.raises(ConfigError, match=r"Snakefile: no such file.*install it anew"):
        workflow.run_snakemake(SETTINGS, ["api_all"], checkout=tmp_path)
