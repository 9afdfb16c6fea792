"""What is built, and what is built again when something changes."""

import datetime as dt
import json
import re
import shutil
import stat
from pathlib import Path

import polars as pl
import pytest

from bhds.io import storage

pytestmark = pytest.mark.workflow

ROOT = Path(__file__).parents[2]


def key(symbol, day):
    return f"data/futures/um/daily/klines/{symbol}/1m/{symbol}-1m-{day}.zip"


def result(symbol):
    return f"results_data/um_futures/klines/1m/{symbol}.pqt"


def descendants(symbol, period="2025"):
    parsed = f"parsed_data/um_futures/klines/{symbol}/1m/{period}"
    results = "results_data/um_futures"
    return {
        f"{parsed}.parquet",
        f"{parsed}.sources.json",
        f"{results}/klines/1m/{symbol}.pqt",
        *(
            f"{results}/klines/1m/{kept}/{symbol}.parquet"
            for kept in ("gaps", "days", "conflicts")
        ),
        f"{results}/resampled_klines/1h/{symbol}.pqt",
        f"{results}/resampled_klines/1d/{symbol}.pqt",
    }


def zip_and_checksum(symbol, day):
    path = f"aws_data/um_futures/daily/klines/{symbol}/1m/{symbol}-1m-{day}.zip"
    return {path, f"{path}.CHECKSUM"}


def test_one_history_of_changes(workspace, exchange):
    """Build, then change one thing after the other: only what follows is rebuilt."""
    withheld = key("NEWUSDT", "2025-03-09")
    exchange.exchange.withhold(withheld)
    planned = workspace.plan()
    rows = [line.split() for line in planned.text.splitlines()]
    assert ["um_futures", "klines", "1m", "3"] in [row[:4] for row in rows]
    assert planned.text.index("missing") < planned.text.index("Job stats")
    assert planned.jobs["parse_klines"] == 4
    assert not workspace.path("parsed_data").exists()
    assert not list(workspace.data.rglob("*.zip"))

    workspace.build()
    assert workspace.plan().is_idle

    before = workspace.times()
    exchange.exchange.release(withheld)
    planned = workspace.plan()
    assert planned.jobs == {
        "fetch_archives": 1,
        "parse_klines": 1,
        "build_results": 1,
        "resample_klines": 1,
    }
    workspace.build()
    assert workspace.changed(before) == (
        descendants("NEWUSDT") | zip_and_checksum("NEWUSDT", "2025-03-09")
    )
    assert workspace.plan().is_idle

    before = workspace.times()
    old = pl.read_parquet(workspace.path(result("NEWUSDT")))
    exchange.exchange.republish(key("NEWUSDT", "2025-03-07"))
    workspace.build()
    assert workspace.changed(before) == (
        descendants("NEWUSDT") | zip_and_checksum("NEWUSDT", "2025-03-07")
    )
    new = pl.read_parquet(workspace.path(result("NEWUSDT")))
    differing = old.filter(
        pl.any_horizontal(old[c].ne_missing(new[c]) for c in old.columns)
    )
    assert set(differing["open_time"].dt.date()) == {dt.date(2025, 3, 7)}
    assert workspace.plan().is_idle

    before = workspace.times()
    workspace.path(result("OLDUSDT")).unlink()
    workspace.build()
    assert workspace.changed(before) == {
        path for path in descendants("OLDUSDT") if path.startswith("results_data")
    }
    before = workspace.times()
    assert workspace.build().is_idle
    assert workspace.changed(before) == set()


def test_a_lost_checksum_is_fetched_again_with_its_zip(young):
    path, checksum = sorted(zip_and_checksum("NEWUSDT", "2025-03-07"))
    young.path(checksum).unlink()
    before = young.times()

    young.build("raw_all")

    assert young.changed(before) == {path, checksum}


def test_settings_rebuild_what_they_shape_and_no_more(workspace):
    target = result("NEWUSDT")
    workspace.build(target)
    assert not list(workspace.data.rglob("OLDUSDT*.zip"))
    assert workspace.path(target).stat().st_mode & stat.S_IRGRP
    workspace.settings["datasets"][0]["results"]["vwap"] = False

    outcome = workspace.build(target)

    assert outcome.jobs == {"build_results": 1}
    assert pl.read_parquet(workspace.path(target))["vwap"].null_count() > 0
    assert workspace.plan(target).is_idle


def test_a_resample_rule_that_is_added_is_built_alone(young):
    results = young.settings["datasets"][0]["results"]
    results["resample"] = [{"interval": each} for each in ("4h", "1d", "1h")]
    before = young.times()

    assert young.build().jobs == {"resample_klines": 1}

    added = "results_data/um_futures/resampled_klines/4h/NEWUSDT.pqt"
    assert young.changed(before) == {added}
    results["resample"].reverse()
    assert young.plan().is_idle
    young.path(result("NEWUSDT")).unlink()
    assert young.plan().jobs == {"build_results": 1, "resample_klines": 1}


def test_a_later_as_of_rebuilds_only_what_has_more_days(workspace):
    early, late = {"as_of": "2024-12-29"}, {"as_of": "2024-12-30"}
    workspace.settings["datasets"][0]["symbols"] = ["OLDUSDT"]
    workspace.build(settings=early)
    frame = pl.read_parquet(workspace.path(result("OLDUSDT")))
    assert frame["open_time"].max().date() == dt.date(2024, 12, 29)

    assert workspace.build(settings=late).jobs == {
        "parse_klines": 1,
        "build_results": 1,
        "resample_klines": 1,
    }
    assert workspace.plan(settings={"as_of": "2025-04-01"}).jobs["parse_klines"] == 2
    workspace.build(settings={"as_of": "2025-04-01"})
    assert workspace.plan(settings={"as_of": "2025-04-02"}).is_idle


def test_outputs_name_what_they_were_made_from(young):
    parsed = young.path("parsed_data/um_futures/klines/NEWUSDT/1m/2025.parquet")

    assert storage.read_parquet_metadata(parsed)["as_of"] == "2025-03-09"
    built = storage.read_parquet_metadata(young.path(result("NEWUSDT")))
    assert built["stage"] == "results"
    hashes = storage.read_parquet_metadata(parsed)["inputs"].split()
    sources = json.loads(parsed.with_name("2025.sources.json").read_text())
    assert hashes == [source["sha256"] for source in sources["inputs"]]
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in hashes)
    assert {source["integrity_status"] for source in sources["inputs"]} == {"ok"}


def test_no_target_means_everything(whole):
    whole.path(result("NEWUSDT")).unlink()

    outcome = whole.snakemake("--dry-run")

    quality = ("classify_gaps", "collect_conflicts", "classify_days", "write_report")
    assert outcome.jobs == dict.fromkeys(
        ("all", "build_results", "resample_klines", *quality), 1
    )


@pytest.mark.parametrize("stage", ["fetch_archives", "resample_klines"])
def test_a_run_can_end_after_a_stage_of_generated_rules(workspace, stage):
    planned = workspace.plan("all", "--until", stage)

    assert list(planned.jobs)[-1] == stage
    assert "classify_gaps" not in planned.jobs


def test_a_script_with_a_new_time_rebuilds_nothing(workspace, tmp_path):
    """A checkout gives every file a new time; what stages make has REVISIONs."""
    checkout = tmp_path / "checkout"
    for name in ("Snakefile", "rules", "scripts", "config", "envs"):
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copyfile
        checkout.mkdir(exist_ok=True)
        copy(source, checkout / name)
    snakefile = ("--snakefile", str(checkout / "Snakefile"))
    target = result("NEWUSDT")
    workspace.build(target, *snakefile)
    for script in (checkout / "scripts").iterdir():
        script.touch()

    assert workspace.plan(target, *snakefile).is_idle
