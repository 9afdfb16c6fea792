"""A mistake gets one clear line and exit code 1, and nothing is lost."""

import importlib.util
import json
import os
import signal
import socket
import sys
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from bhds import layout

from .conftest import ROOT, YOUNG, called, young_key

pytestmark = pytest.mark.workflow


def refused(outcome, *words):
    (line,) = outcome.error_lines
    assert outcome.status == 1
    assert line.startswith("bhds: error: ")
    for word in words:
        assert word in line
    assert "Traceback" not in outcome.text


@pytest.fixture
def closed_address():
    """The address of a port at which nobody listens, nor will as long as it is held."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


@pytest.mark.parametrize("option", ["--lint", "--dry-run", "--list-rules"])
def test_an_environment_without_bhds_gets_one_line_on_how_to_install_it(
    workspace, tmp_path, option
):
    (tmp_path / "isal.py").write_text("raise ModuleNotFoundError(name='isal')")

    outcome = workspace.snakemake(option, environment={"PYTHONPATH": str(tmp_path)})

    refused(outcome, "isal: not installed", "pip install", "make setup")


def test_unknown_configuration_key(workspace):
    outcome = workspace.plan(settings={"ofline": True})

    refused(outcome, "ofline", "unknown key", "did you mean 'offline'?")


def test_a_file_that_snakemake_accepts_is_read_strictly(workspace):
    command = workspace.command("results_all", "--dry-run")
    path = workspace.folder / "config.yaml"
    lines = path.read_text().count("\n")
    path.write_text(path.read_text() + "datasets: []\n")

    outcome = workspace.run(command)

    refused(outcome, f"config.yaml:{lines + 1}:", "'datasets' is set twice")


def test_the_shipped_file_is_checked_before_snakemake_reads_it(workspace, tmp_path):
    """Of a workflow whose own file is wrong, such as one in another encoding."""
    for name in ("Snakefile", "rules", "scripts", "envs"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.yaml").write_bytes(b"as_of: \xe9\n")
    command = workspace.command("results_all", "--dry-run")
    command[command.index("--snakefile") + 1] = str(tmp_path / "Snakefile")

    refused(workspace.run(command), "config/config.yaml:1:8: the byte 0xe9")


def test_without_a_number_of_jobs_the_command_is_named(workspace):
    command = workspace.command("results_all")
    at = command.index("--cores")

    refused(workspace.run([*command[:at], *command[at + 2 :]]), "`snakemake -j 4 ")


def test_unknown_symbol_in_a_target(workspace):
    outcome = workspace.plan("results_data/um_futures/klines/1m/NEWUSTD.pqt")

    refused(outcome, "'NEWUSTD'", "'NEWUSDT'?")


def test_a_mistyped_target_names_the_nearest(workspace):
    typed = f"{workspace.data.name}/results_data/um_futures/klines/1m/NEWUSDT.parquet"

    refused(workspace.plan(typed), "NEWUSDT.pqt (docs/reference/targets")


def test_plans_go_on_with_the_listing_of_an_earlier_run(
    workspace, exchange, closed_address
):
    workspace.build("listings")
    exchange.exchange.requests.clear()

    outcome = workspace.plan(settings={"offline": True})

    assert outcome.jobs["build_results"] == 3
    assert not exchange.exchange.requests

    workspace.settings["endpoints"]["archive_listing"] = f"{closed_address}/b"
    outcome = workspace.plan()

    assert outcome.status == 0
    assert outcome.jobs["build_results"] == 3
    assert outcome.text.count("going on with") == 1


@pytest.mark.skipif(
    Path(sys.executable).with_name("aria2c").exists()
    or importlib.util.find_spec("aria2c") is not None,
    reason="aria2c is part of this environment, and found whatever the search path is",
)
def test_aria2c_not_found(workspace, tmp_path):
    nowhere = tmp_path / "nowhere"
    nowhere.mkdir()

    outcome = workspace.snakemake("raw_all", environment={"PATH": str(nowhere)})

    refused(outcome, "aria2c", "apt-get install aria2")


class Huge:
    """A bucket whose zips have the largest size of S3, 5 TiB."""

    def __init__(self, store):
        self.store = store

    def __getattr__(self, name):
        return getattr(self.store, name)

    def describe(self, keys):
        return [replace(found, size=5 << 40) for found in self.store.describe(keys)]


def test_downloads_that_do_not_fit_onto_the_disk(workspace, exchange):
    exchange.exchange.store = Huge(exchange.exchange.store)

    outcome = workspace.snakemake("raw_all")

    refused(outcome, "are to be downloaded, but", "are free", "data_dir")
    assert not list(workspace.path("aws_data").rglob("*.zip"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_data_directory_that_may_not_be_written_to(workspace):
    workspace.data.mkdir()
    workspace.data.chmod(0o555)

    refused(workspace.plan(), "data_dir", "cannot be written to", "change its rights")


OLD_SNAKEMAKE = """
import snakemake, snakemake.common, sys
snakemake.__version__ = snakemake.common.__version__ = "8.30.0"
from snakemake.cli import main
main()
"""


def test_an_old_snakemake(workspace):
    command = workspace.command("results_all", "--dry-run")
    start = command.index("results_all")

    outcome = called(
        [sys.executable, "-c", OLD_SNAKEMAKE, *command[start:], *command[3:start]],
        workspace.folder,
    )

    assert outcome.status == 1
    assert "Expecting Snakemake version 9.27 or higher" in outcome.text
    assert "(you are currently using 8.30.0)" in outcome.text


def test_a_zip_that_vanished_does_not_stop_the_others(workspace, exchange):
    workspace.settings["datasets"][0]["symbols"] = ["NEWUSDT"]
    workspace.settings["listing"]["max_age_hours"] = 6
    workspace.build("listings")
    folder = "um_futures/daily/klines/NEWUSDT/1m/NEWUSDT-1m-2025-03-07.zip"
    exchange.exchange.withhold(
        "data/futures/um/daily/klines/NEWUSDT/1m/NEWUSDT-1m-2025-03-07.zip"
    )

    workspace.build()

    assert workspace.path(f"aws_data/{folder}").stat().st_size == 0
    sources = json.loads(
        workspace.path(
            "parsed_data/um_futures/klines/NEWUSDT/1m/2025.sources.json"
        ).read_text()
    )
    statuses = {
        source["key"][-14:-4]: source["integrity_status"]
        for source in sources["inputs"]
    }
    assert statuses == {
        "2025-03-06": "ok",
        "2025-03-07": "vanished",
        "2025-03-08": "ok",
        "2025-03-09": "ok",
    }
    assert workspace.plan().is_idle
    workspace.settings["listing"]["max_age_hours"] = 0
    assert workspace.plan().jobs["parse_klines"] == 1  # the next listing forgets it


def test_a_server_that_fails_loses_nothing(workspace, closed_address):
    """As one that is not there, or has the bucket at another address, does."""
    workspace.settings["datasets"][0]["symbols"] = [YOUNG]
    endpoints = workspace.settings["endpoints"]
    right = endpoints["archive_download"]
    told = []
    for wrong in (closed_address, f"{right}/data"):
        endpoints["archive_download"] = wrong

        failed = workspace.snakemake("results_all")

        assert failed.status == 1
        told += [line for line in failed.error_lines if "bhds: error:" in line]
        assert not list(workspace.path("aws_data").rglob("*.zip"))

    _, of_address = told
    assert "none of 4 listed zips" in of_address
    assert "endpoints.archive_download" in of_address
    endpoints["archive_download"] = right
    workspace.build()
    assert workspace.plan().is_idle


ARCHIVE = f"aws_data/um_futures/{young_key(7).removeprefix('data/futures/um/')}"


def test_a_replaced_zip_outlives_a_download_that_fails(young, exchange, closed_address):
    archive = young.path(ARCHIVE)
    old = archive.read_bytes()
    exchange.exchange.republish(young_key(7))
    endpoints = young.settings["endpoints"]
    right = endpoints["archive_download"]
    endpoints["archive_download"] = closed_address

    failed = young.snakemake("results_all")

    assert failed.status == 1
    assert archive.read_bytes() == old
    young.settings["listing"]["max_age_hours"] = 6
    assert young.plan().jobs["fetch_archives"] == 1
    endpoints["archive_download"] = right
    young.build()
    assert archive.read_bytes() != old
    assert young.plan().is_idle


def test_a_revision_that_the_server_does_not_have_leaves_the_old_one(young, exchange):
    archive = young.path(ARCHIVE)
    old = archive.read_bytes()
    result = young.path(f"results_data/um_futures/klines/1m/{YOUNG}.pqt")
    bars = pl.read_parquet(result)
    exchange.exchange.republish(young_key(7))
    young.build("listings")
    exchange.exchange.withhold(young_key(7))

    outcome = young.build(settings={"listing": {"max_age_hours": 6}})

    assert "what is here stays" in outcome.text
    assert archive.read_bytes() == old
    assert pl.read_parquet(result).equals(bars)
    exchange.exchange.release(young_key(7))
    young.build()
    assert archive.read_bytes() != old
    assert young.plan().is_idle


def test_zips_damaged_on_disk_are_fetched_again(young):
    """Also the one that came in a batch of its own; the listing is still believed."""
    zips = sorted(young.path(ARCHIVE).parent.glob("*.zip"))
    good = [path.read_bytes() for path in zips]
    young.settings["listing"]["max_age_hours"] = 6
    zips[2].write_bytes(b"")
    zips[3].write_bytes(good[3][: len(good[3]) // 2])

    young.build()

    assert [path.read_bytes() for path in zips] == good
    assert young.plan().is_idle


def test_a_zip_on_disk_can_be_requested_and_is_checked(young):
    path = young.path(ARCHIVE)
    good = path.read_bytes()
    assert young.build(ARCHIVE).is_idle

    path.write_bytes(good[:-1] + b"?")
    before = young.times()

    assert young.build(ARCHIVE).jobs == {"fetch_archives": 1}
    assert path.read_bytes() == good
    assert young.changed(before) == {ARCHIVE, f"{ARCHIVE}.CHECKSUM"}


def test_a_symbol_that_left_the_bucket_is_built_from_what_is_here(young, exchange):
    for day in range(6, 10):
        exchange.exchange.withhold(young_key(day))
    for path in young.path("results_data").rglob(f"{YOUNG}.pqt"):
        path.unlink()

    outcome = young.build()

    assert outcome.jobs == {"build_results": 1, "resample_klines": 1}


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_was_ended_goes_on_without_being_asked_to(
    young, exchange, silent, how
):
    archive = young.path(ARCHIVE)
    old = archive.read_bytes()
    exchange.exchange.republish(young_key(7))
    endpoints = young.settings["endpoints"]
    right = endpoints["archive_download"]
    endpoints["archive_download"] = silent.address
    with young.start("results_all") as process:
        silent.wait_until_asked()
        os.killpg(process.pid, how)
        process.stdout.read()
    assert process.returncode != 0
    assert archive.read_bytes() == old

    endpoints["archive_download"] = right
    if how is signal.SIGKILL:
        young.snakemake("--unlock")
    young.build()

    assert archive.read_bytes() != old
    assert young.plan().is_idle


def test_commands_clear_the_lock_of_a_killed_run_whose_jobs_ended_with_it(
    workspace, silent
):
    workspace.settings["datasets"][0]["symbols"] = ["NEWUSDT"]
    endpoints = workspace.settings["endpoints"]
    right = endpoints["archive_download"]
    endpoints["archive_download"] = silent.address
    with workspace.start("results_all") as process:
        silent.wait_until_asked()
        process.kill()
        process.stdout.read()  # until the last of its jobs has ended
    endpoints["archive_download"] = right

    locked = workspace.snakemake("results_all")

    assert locked.status == 1
    (line,) = [line for line in locked.text.splitlines() if line.startswith("bhds: ")]
    assert f"of a run that was killed (process {process.pid})" in line
    command = [
        *(sys.executable, "-m", "bhds", "generate", "kline", "um_futures", "1m"),
        *("NEWUSDT", "--configfile", str(workspace.folder / "config.yaml")),
    ]
    outcome = called(command, workspace.folder)
    assert outcome.status == 0, outcome.text
    assert f"cleared the lock of a killed run (process {process.pid})" in outcome.text
    assert not list(workspace.path(".snakemake/bhds-runs").iterdir())
    assert not list(workspace.path(".snakemake/scripts").glob("tmp*"))
    assert workspace.path("results_data/um_futures/klines/1m/NEWUSDT.pqt").exists()


def test_a_partition_that_the_archive_lacks_is_refused_in_one_line(workspace):
    outcome = workspace.plan("parsed_data/um_futures/klines/NEWUSDT/1m/2019.parquet")

    refused(outcome, "NEWUSDT 1m", "partitions: 2025")


def test_offline_the_rest_is_built_and_the_missing_zips_are_named(
    whole, closed_address
):
    """In one line, and no server is contacted."""
    endpoints = dict.fromkeys(whole.settings["endpoints"], closed_address)
    zips = sorted(whole.path("aws_data").rglob(f"{YOUNG}-1m-*.zip"))
    partitions = whole.path(layout.parsed_folder("um_futures", "klines", YOUNG, "1m"))
    for path in (*zips[:2], *partitions.glob("2025.*")):
        path.unlink()
    results = {
        symbol: whole.path(layout.result("um_futures", "1m", symbol))
        for symbol in ("OLDUSDT", YOUNG)
    }
    results["OLDUSDT"].unlink()
    kept = results[YOUNG].read_bytes()
    settings = {"offline": True, "endpoints": endpoints, "api": {"enabled": True}}

    outcome = whole.snakemake("results_all", settings=settings)

    refused(outcome, "2 zips are missing and offline: true: ", zips[0].name, "adopt")
    assert results["OLDUSDT"].exists()
    assert results[YOUNG].read_bytes() == kept
