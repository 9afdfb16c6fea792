"""BHDS as a module of another workflow, from a checkout and from a repository."""

import os
import shutil
import subprocess
import sys

import polars as pl
import pytest
import yaml

from bhds.backfill import refusal

from .conftest import ROOT, called, settings_for

pytestmark = pytest.mark.workflow

SNAKEFILE = """
configfile: "config.yaml"


module bhds:
    snakefile:
        {snakefile}
    config:
        config["market_data"]


use rule * from bhds as bhds_*


onstart:
    print("the other workflow begins")
    bhds.onstart()


onsuccess:
    bhds.onsuccess()


onerror:
    bhds.onerror()


rule closes:
    default_target: True
    input:
        "results_data/um_futures/resampled_klines/1d/NEWUSDT.pqt",
    output:
        "closes.csv",
    script:
        "closes.py"
"""

SCRIPT = """
import polars as pl

bars = pl.read_parquet(snakemake.input[0])
bars.select("open_time", "close").write_csv(snakemake.output[0])
"""


@pytest.fixture
def settings(exchange):
    """Settings of one young symbol whose last days only the API has."""
    more = settings_for(exchange.endpoints, with_api=True, symbols=["NEWUSDT"])
    for day in (8, 9):
        name = f"NEWUSDT-1m-2025-03-0{day}.zip"
        exchange.exchange.withhold(f"data/futures/um/daily/klines/NEWUSDT/1m/{name}")
    return {**more, "data_dir": ".", "as_of": "2025-03-09"}


@pytest.fixture
def other(tmp_path, settings):
    """Return a function that runs another workflow, which uses BHDS from somewhere."""

    def run(*, snakefile):
        (tmp_path / "Snakefile").write_text(SNAKEFILE.format(snakefile=snakefile))
        (tmp_path / "closes.py").write_text(SCRIPT)
        config = yaml.safe_dump({"market_data": settings})
        (tmp_path / "config.yaml").write_text(config)
        profile = ROOT / "profiles" / "default"
        command = [
            *(sys.executable, "-m", "snakemake", "--cores", "2"),
            *("--workflow-profile", str(profile)),
        ]
        return called(command, tmp_path)

    return run


def test_another_workflow_uses_bhds_as_a_module_and_builds_on_its_results(
    tmp_path, other
):
    refusal.note(tmp_path, "um_futures", message="refused in an earlier run")
    checkout = repr(str(ROOT / "Snakefile"))

    outcome = other(snakefile=checkout)

    assert outcome.status == 0, outcome.text
    closes = pl.read_csv(tmp_path / "closes.csv", try_parse_dates=True)
    assert closes["open_time"].dt.day().to_list() == [7, 8, 9]
    result = tmp_path / "results_data/um_futures/klines/1m/NEWUSDT.pqt"
    assert set(pl.read_parquet(result)["source"]) == {"daily", "api"}
    # Handlers of both: ours tell the downloads, and ask for what was once refused.
    assert "the other workflow begins" in outcome.text
    assert "downloads: 4 of 4 files" in outcome.text
    assert other(snakefile=checkout).is_idle


# What `snakedeploy deploy-workflow` 0.17.1 writes.
DEPLOYED = """
from snakemake.utils import min_version


min_version("6.10.0")


configfile: "config/config.yaml"


# declare https://github.com/owner/bhds as a module
module bhds:
    snakefile:
        github("owner/bhds", path="workflow/Snakefile", tag="v1")
    config:
        config


# use all rules from https://github.com/owner/bhds
use rule * from bhds
"""


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_a_deployed_release_builds_everything_by_the_commands_of_the_catalogue(
    tmp_path, settings
):
    repository, home, here = (tmp_path / name for name in ("repository", "home", "x"))
    for folder in ("rules", "scripts", "envs", "workflow"):
        shutil.copytree(ROOT / folder, repository / folder)
    shutil.copy(ROOT / "Snakefile", repository)
    for folder in ("config", "profiles"):
        shutil.copytree(ROOT / folder, here / folder)
    (here / "config" / "config.yaml").write_text(yaml.safe_dump(settings))
    (here / "workflow").mkdir()
    (here / "workflow" / "Snakefile").write_text(DEPLOYED)
    author = {
        f"GIT_{who}_{what}": "nobody"
        for who in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }
    environment = {
        **author,
        "GIT_CONFIG_NOSYSTEM": "1",
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / "cache"),
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{repository}.insteadOf",
        "GIT_CONFIG_VALUE_0": "https://github.com/owner/bhds",
    }
    home.mkdir()
    for command in (
        ["init", "-q"],
        ["add", "."],
        ["commit", "-qm", "x"],
        ["tag", "v1"],
    ):
        subprocess.run(
            ["git", *command],
            cwd=repository,
            env={**os.environ, **environment},
            check=True,
        )

    def snakemake(*arguments):
        command = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments]
        return called(command, here, environment=environment)

    planned = snakemake("--dry-run")
    assert planned.status == 0, planned.text
    assert planned.jobs["write_report"] == 1
    refused = snakemake("raw_all", "--config", "offline=true")
    assert refused.status == 1
    assert "missing and offline: true" in refused.text
    built = snakemake("results_all")
    assert built.status == 0, built.text
    assert (here / "results_data/um_futures/klines/1m/NEWUSDT.pqt").is_file()
