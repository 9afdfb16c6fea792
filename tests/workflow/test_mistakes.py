"""A mistake gets one clear line and exit code 1, and nothing is lost."""

import importlib.util
import json
import os
import signal
import socket
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from .conftest import ROOT, TIMEOUT_S, Outcome

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


def test_unknown_configuration_key(workspace):
    outcome = workspace.plan(settings={"ofline": True})

    refused(outcome, "ofline", "unknown key", "did you mean 'offline'?")


@pytest.mark.parametrize(
    ("addition", "place"),
    [
        pytest.param("datasets: []\n", "'datasets' is set twice", id="duplicate key"),
        pytest.param("offline: NO\n", "'NO' is read as a truth", id="a truth"),
    ],
)
def test_a_file_that_snakemake_accepts_is_read_strictly(workspace, addition, place):
    command = workspace.command("results_all", "--dry-run")
    path = workspace.folder / "config.yaml"
    lines = path.read_text().count("\n")
    path.write_text(path.read_text() + addition)

    refused(called(command, workspace.folder), f"config.yaml:{lines + 1}:", place)


def called(command, folder):
    done = subprocess.run(
        command,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    return Outcome(done.returncode, done.stdout)


@pytest.mark.parametrize("content", [b"as_of: \xe9\n", b"as_of: 2025-02-31\n"])
def test_commands_refuse_a_file_that_snakemake_cannot_read(workspace, content):
    (workspace.folder / "mine.yaml").write_bytes(content)

    outcome = called(
        [
            *(sys.executable, "-m", "bhds", "generate", "kline", "spot", "1m"),
            *("BTCUSDT", "--configfile", "mine.yaml"),
        ],
        workspace.folder,
    )

    refused(outcome, "mine.yaml:1:8: ")


def test_the_shipped_file_is_checked_before_snakemake_reads_it(workspace, tmp_path):
    """Of a workflow whose own file is wrong, such as one in another encoding."""
    for name in ("Snakefile", "rules", "scripts", "envs"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.yaml").write_bytes(b"as_of: \xe9\n")
    command = workspace.command("results_all", "--dry-run")
    command[command.index("--snakefile") + 1] = str(tmp_path / "Snakefile")

    refused(called(command, tmp_path), "config/config.yaml:1:8: the byte 0xe9")


def test_unknown_symbol(workspace):
    workspace.settings["datasets"][0]["symbols"] = ["NEWUSTD"]

    refused(workspace.plan(), "'NEWUSTD'", "um_futures klines", "'NEWUSDT'?")


def test_unknown_symbol_in_a_target(workspace):
    outcome = workspace.plan("results_data/um_futures/klines/1m/NEWUSTD.pqt")

    refused(outcome, "'NEWUSTD'", "'NEWUSDT'?")


def test_empty_selection(workspace):
    workspace.settings["datasets"][0]["symbols"] = {"quote": ["TRY"]}

    refused(workspace.plan(), "selects 0 symbols", "widen")


def test_unreachable_archive_without_a_listing(workspace, closed_address):
    workspace.settings["endpoints"]["archive_listing"] = f"{closed_address}/b"

    outcome = workspace.plan()

    refused(outcome, f"{closed_address}/b", "no listing")
    assert "retry" not in outcome.text


def test_unreachable_archive_with_a_listing_goes_on(workspace, closed_address):
    workspace.build("listings")
    workspace.settings["endpoints"]["archive_listing"] = f"{closed_address}/b"

    outcome = workspace.plan()

    assert outcome.status == 0
    assert outcome.jobs["build_results"] == 3
    assert outcome.text.count("going on with") == 1


def test_offline_asks_nothing(workspace, exchange):
    workspace.build("listings")
    exchange.exchange.requests.clear()

    outcome = workspace.plan(settings={"offline": True})

    assert outcome.jobs["build_results"] == 3
    assert not exchange.exchange.requests


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


def test_a_proxy_that_is_not_there(workspace, closed_address):
    endpoints = workspace.settings["endpoints"]
    endpoints["archive_listing"] = "http://bucket.invalid/b"

    outcome = workspace.plan(settings={"http": {"proxy": closed_address}})

    refused(outcome, "http://bucket.invalid/b", closed_address.removeprefix("http://"))
    assert "check the connection, http.proxy" in outcome.text


def test_a_wrong_clock(workspace, exchange, monkeypatch):
    """Of the server here, which is the same to who is told of the difference."""
    monkeypatch.setattr(
        "aiohttp.web_response.rfc822_formatted_time",
        lambda: "Mon, 10 Mar 2025 12:00:00 GMT",
    )

    outcome = workspace.plan()

    (line,) = [line for line in outcome.text.splitlines() if "clock:" in line]
    assert line.startswith(exchange.endpoints.archive_listing)
    assert "the server 2025-03-10 12:00; set the clock" in line
    assert outcome.status == 0


def test_a_wrong_interval(workspace):
    workspace.settings["datasets"][0]["interval"] = "7m"

    refused(workspace.plan(), "datasets[0].interval", "'7m'", "1m, 3m, 5m")


OLD_SNAKEMAKE = """
import snakemake, snakemake.common, sys
snakemake.__version__ = snakemake.common.__version__ = "8.30.0"
from snakemake.cli import main
main()
"""


def test_an_old_snakemake(workspace):
    command = workspace.command("results_all", "--dry-run")
    start = command.index("results_all")

    done = subprocess.run(
        [sys.executable, "-c", OLD_SNAKEMAKE, *command[start:], *command[3:start]],
        cwd=workspace.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 1
    assert "Expecting Snakemake version 9.27 or higher" in done.stdout
    assert "(you are currently using 8.30.0)" in done.stdout


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
    workspace.settings["datasets"][0]["symbols"] = ["NEWUSDT"]
    endpoints = workspace.settings["endpoints"]
    right = endpoints["archive_download"]
    endpoints["archive_download"] = closed_address

    failed = workspace.snakemake("results_all")

    assert failed.status == 1
    assert len([line for line in failed.error_lines if "bhds: error:" in line]) == 1
    assert not list(workspace.path("aws_data").rglob("*.zip"))
    endpoints["archive_download"] = right
    workspace.build()
    assert workspace.plan().is_idle


def test_a_replaced_zip_outlives_a_download_that_fails(
    workspace, exchange, closed_address
):
    workspace.settings["datasets"][0]["symbols"] = ["NEWUSDT"]
    workspace.build()
    name = "NEWUSDT-1m-2025-03-07.zip"
    archive = workspace.path(f"aws_data/um_futures/daily/klines/NEWUSDT/1m/{name}")
    old = archive.read_bytes()
    exchange.exchange.republish(f"data/futures/um/daily/klines/NEWUSDT/1m/{name}")
    endpoints = workspace.settings["endpoints"]
    right = endpoints["archive_download"]
    endpoints["archive_download"] = closed_address

    failed = workspace.snakemake("results_all")

    assert failed.status == 1
    assert archive.read_bytes() == old
    workspace.settings["listing"]["max_age_hours"] = 6
    assert workspace.plan().jobs["fetch_archives"] == 1
    endpoints["archive_download"] = right
    workspace.build()
    assert archive.read_bytes() != old
    assert workspace.plan().is_idle


def test_a_wrong_download_address_makes_nothing_empty(workspace):
    workspace.settings["datasets"][0]["symbols"] = ["NEWUSDT"]
    endpoints = workspace.settings["endpoints"]
    right = endpoints["archive_download"]
    endpoints["archive_download"] = f"{right}/data"

    outcome = workspace.snakemake("results_all")

    assert outcome.status == 1
    (line,) = [line for line in outcome.error_lines if "bhds: error:" in line]
    assert "none of 4 listed zips" in line
    assert "endpoints.archive_download" in line
    assert not list(workspace.path("aws_data").rglob("*.zip"))
    endpoints["archive_download"] = right
    workspace.build()
    assert workspace.plan().is_idle


def test_a_revision_that_the_server_does_not_have_leaves_the_old_one(
    workspace, exchange
):
    workspace.settings["datasets"][0]["symbols"] = ["NEWUSDT"]
    workspace.build()
    key = "data/futures/um/daily/klines/NEWUSDT/1m/NEWUSDT-1m-2025-03-07.zip"
    archive = workspace.path(f"aws_data/um_futures/{key[16:]}")
    old = archive.read_bytes()
    result = workspace.path("results_data/um_futures/klines/1m/NEWUSDT.pqt")
    bars = pl.read_parquet(result)
    exchange.exchange.republish(key)
    workspace.settings["listing"]["max_age_hours"] = 6
    workspace.build("listings", settings={"listing": {"max_age_hours": 0}})
    exchange.exchange.withhold(key)

    outcome = workspace.build()

    assert "what is here stays" in outcome.text
    assert archive.read_bytes() == old
    assert pl.read_parquet(result).equals(bars)
    exchange.exchange.release(key)
    workspace.build(settings={"listing": {"max_age_hours": 0}})
    assert archive.read_bytes() != old
    assert workspace.plan().is_idle


def test_a_zip_damaged_on_disk_is_fetched_again(workspace, exchange):
    """Also if it came in a batch of its own, and the listing is still believed."""
    workspace.settings["datasets"][0]["symbols"] = ["NEWUSDT"]
    key = "data/futures/um/daily/klines/NEWUSDT/1m/NEWUSDT-1m-2025-03-09.zip"
    exchange.exchange.withhold(key)
    workspace.build()
    exchange.exchange.release(key)
    workspace.build()
    archive = workspace.path(f"aws_data/um_futures/{key[16:]}")
    good = archive.read_bytes()
    workspace.settings["listing"]["max_age_hours"] = 6

    for size in (len(good) // 2, 0):
        archive.write_bytes(good[:size])
        workspace.build()

        assert archive.read_bytes() == good
        assert workspace.plan().is_idle


def test_a_symbol_that_left_the_bucket_is_built_from_what_is_here(workspace, exchange):
    workspace.settings["datasets"][0]["symbols"] = ["NEWUSDT"]
    workspace.build()
    for day in range(6, 10):
        folder = "data/futures/um/daily/klines/NEWUSDT/1m"
        exchange.exchange.withhold(f"{folder}/NEWUSDT-1m-2025-03-{day:02}.zip")
    for path in workspace.path("results_data").rglob("NEWUSDT.pqt"):
        path.unlink()

    outcome = workspace.build()

    assert outcome.jobs == {"build_results": 1, "resample_klines": 1}


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_was_ended_goes_on_without_being_asked_to(
    workspace, exchange, silent, how
):
    workspace.settings["datasets"][0]["symbols"] = ["NEWUSDT"]
    workspace.build()
    name = "NEWUSDT-1m-2025-03-07.zip"
    archive = workspace.path(f"aws_data/um_futures/daily/klines/NEWUSDT/1m/{name}")
    old = archive.read_bytes()
    exchange.exchange.republish(f"data/futures/um/daily/klines/NEWUSDT/1m/{name}")
    endpoints = workspace.settings["endpoints"]
    right = endpoints["archive_download"]
    endpoints["archive_download"] = silent.address
    with workspace.start("results_all") as process:
        silent.wait_until_asked()
        os.killpg(process.pid, how)
        process.stdout.read()
    assert process.returncode != 0
    assert archive.read_bytes() == old

    endpoints["archive_download"] = right
    if how is signal.SIGKILL:
        workspace.snakemake("--unlock")
    workspace.build()

    assert archive.read_bytes() != old
    assert workspace.plan().is_idle


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
    assert f"(process {process.pid}) is cleared" in outcome.text
    assert not list(workspace.path(".snakemake/bhds-runs").iterdir())
    assert not list(workspace.path(".snakemake/scripts").glob("tmp*"))
    assert workspace.path("results_data/um_futures/klines/1m/NEWUSDT.pqt").exists()


def test_a_partition_that_the_archive_lacks_is_refused_in_one_line(workspace):
    outcome = workspace.plan("parsed_data/um_futures/klines/NEWUSDT/1m/2019.parquet")

    refused(outcome, "NEWUSDT 1m", "partitions: 2025")


def test_a_target_outside_the_settings_is_built(workspace):
    workspace.settings["datasets"][0]["symbols"] = ["OLDUSDT"]
    target = "results_data/um_futures/resampled_klines/4h/NEWUSDT.pqt"

    outcome = workspace.build(target)

    assert outcome.jobs == {
        "fetch_archives": 1,
        "parse_klines": 1,
        "build_results": 1,
        "resample_klines": 1,
    }
    bars = pl.read_parquet(workspace.path(target))
    assert (bars["open_time"].dt.hour() % 4 == 0).all()
    assert not list(workspace.data.rglob("OLDUSDT*"))


@pytest.mark.parametrize("folder", ["klines/1m", "resampled_klines/1h"])
def test_one_file_brings_no_other_symbols(workspace, folder):
    workspace.build(f"results_data/um_futures/{folder}/NEWUSDT.pqt")

    assert not list(workspace.data.rglob("OLDUSDT*.zip"))


def test_the_plan_is_told_before_the_jobs(workspace):
    text = workspace.plan().text

    row = next(
        line for line in text.splitlines() if line.startswith("um_futures klines")
    )
    assert row.split()[:4] == ["um_futures", "klines", "1m", "3"]
    assert text.index("missing") < text.index("Job stats")


def test_rules_pass_snakemakes_lint(workspace):
    outcome = workspace.snakemake("--lint")

    assert outcome.status == 0, outcome.text
    assert "good condition" in outcome.text


def test_files_are_readable_by_others(workspace):
    workspace.build("results_data/um_futures/klines/1m/NEWUSDT.pqt")

    mode = (
        workspace.path("results_data/um_futures/klines/1m/NEWUSDT.pqt").stat().st_mode
    )
    assert mode & stat.S_IRGRP
