"""A job's own process, as a cluster starts it, follows the plan of the main process."""

import datetime as dt
import shutil
import sys

import polars as pl
import pytest

from bhds import config
from bhds.plan import plan_snapshot, prepare

from .conftest import ROOT, built_once, called

pytestmark = pytest.mark.workflow

OUTSIDE = "results_data/um_futures/resampled_klines/4h/NEWUSDT.pqt"
NOW = dt.datetime(2025, 3, 10, 12, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def outside_data(tmp_path_factory):
    """Return the data of one file of a symbol that the settings do not have."""

    def build(workspace, _):
        outcome = workspace.build(OUTSIDE)
        stages = ("fetch_archives", "parse_klines", "build_results", "resample_klines")
        assert outcome.jobs == dict.fromkeys(stages, 1)
        bars = pl.read_parquet(workspace.path(OUTSIDE))
        assert (bars["open_time"].dt.hour() % 4 == 0).all()
        assert not list(workspace.data.rglob("龙虾USDT*"))

    return built_once(tmp_path_factory, "outside", build, symbols=["龙虾USDT"])


@pytest.fixture
def outside(workspace, outside_data):
    """Return a workspace in which that file is built."""
    workspace.settings["datasets"][0]["symbols"] = ["龙虾USDT"]
    workspace.settings["as_of"] = "2025-03-09"
    shutil.copytree(outside_data, workspace.data)
    return workspace


def leave_plan(workspace):
    """Freeze the plan, then take away all that it was made from."""
    raw = {"data_dir": str(workspace.data), **workspace.settings}
    plan = prepare.plan(
        config.load(raw, environment={}),
        targets=[OUTSIDE],
        data_dir=workspace.data,
        now=NOW,
        online=False,
    )
    plan_snapshot.dump(
        plan, workspace.path(".snakemake/bhds-plan.parquet"), made_at=NOW
    )
    for listing in workspace.path("aws_data").rglob("*.parquet"):
        listing.unlink()


def run_job(workspace, target):
    """Start Snakemake as an executor does in a job, on settings without a server."""
    nowhere = dict.fromkeys(workspace.settings["endpoints"], "http://127.0.0.1:9")
    workspace.command(settings={"endpoints": nowhere})
    rule = target.partition(":")[0]
    command = [
        *(sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")),
        *("--target-jobs", target, "--allowed-rules", rule),
        *("--cores", "1", "--force", "--target-files-omit-workdir-adjustment"),
        *("--no-hooks", "--nolock", "--ignore-incomplete", "--mode", "remote"),
        *("--configfiles", str(workspace.folder / "config.yaml")),
    ]
    return called(command, workspace.folder)


def test_a_job_makes_a_file_outside_the_settings_without_listing_or_server(
    outside,
):
    workspace = outside
    made = workspace.path(OUTSIDE).read_bytes()
    leave_plan(workspace)
    workspace.path(OUTSIDE).unlink()

    outcome = run_job(workspace, "resample_klines_um_futures_1m_2:symbol=NEWUSDT")

    assert outcome.status == 0, outcome.text
    assert workspace.path(OUTSIDE).read_bytes() == made


def test_a_job_without_a_plan_says_so_in_one_line(outside):
    workspace = outside
    shutil.rmtree(workspace.path(".snakemake"))

    outcome = run_job(workspace, "resample_klines_um_futures_1m_2:symbol=NEWUSDT")

    assert outcome.status == 1
    (line,) = outcome.error_lines
    assert "bhds-plan.parquet: cannot be read" in line
    assert line.endswith("start Snakemake without --no-hooks")


def test_a_run_that_fails_ends_with_what_failed(whole):
    whole.settings["datasets"][0]["symbols"] = ["龙虾USDT", "NEWUSDT"]
    for symbol in ("龙虾USDT", "NEWUSDT"):
        path = f"parsed_data/um_futures/klines/{symbol}/1m/2025.parquet"
        whole.path(path).write_bytes(b"not a table")

    outcome = whole.snakemake("results_all")

    assert outcome.status == 1
    lines = [line for line in outcome.text.splitlines() if line.startswith("bhds: ")]
    assert lines[-3:] == [
        "bhds: 2 jobs failed; what does not need them is made:",
        "bhds:   Build the result of um_futures NEWUSDT 1m"
        " (logs/build_results/um_futures/NEWUSDT-1m.log)",
        "bhds:   Build the result of um_futures 龙虾USDT 1m"
        " (logs/build_results/um_futures/龙虾USDT-1m.log)",
    ]
