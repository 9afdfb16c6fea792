"""The commands that build: each asks Snakemake for files, and goes on after Ctrl-C."""

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import zipfile

import polars as pl
import pytest

pytestmark = pytest.mark.workflow

TIMEOUT_S = 300


def command(workspace, *arguments):
    workspace.command()  # writes the settings
    config = workspace.folder / "config.yaml"
    return [sys.executable, "-m", "bhds", *arguments, "--configfile", str(config)]


def bhds(workspace, *arguments):
    return subprocess.run(
        command(workspace, *arguments),
        cwd=workspace.folder,
        env={**os.environ, "COLUMNS": "160"},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def done(workspace, *arguments):
    outcome = bhds(workspace, *arguments)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    return outcome.stdout


def files(workspace, pattern):
    return {str(p.relative_to(workspace.data)) for p in workspace.data.glob(pattern)}


def test_the_stages_of_one_symbol_touch_no_other(workspace):
    asked = ("um_futures", "1m", "NEWUSDT")

    told = done(workspace, "aws-kline", "download", *asked, "--dry-run")

    assert "download         1" in told
    assert not files(workspace, "aws_data/**/*.zip")

    done(workspace, "aws-kline", "download", *asked)

    zips = files(workspace, "aws_data/**/*.zip")
    assert len(zips) == 4
    assert all("/NEWUSDT-1m-2025-03-" in name for name in zips)
    assert not files(workspace, "parsed_data/**/*.parquet")

    done(workspace, "aws-kline", "parse", *asked)

    partition = "parsed_data/um_futures/klines/NEWUSDT/1m/2025.parquet"
    assert files(workspace, "parsed_data/**/*.parquet") == {partition}

    done(workspace, "aws-kline", "verify", *asked)

    table = pl.read_parquet(
        workspace.path("aws_data/um_futures/daily/klines/verification-1m.parquet")
    )
    assert table.height
    assert not files(workspace, "results_data/**/*.pqt")

    done(workspace, "generate", "kline", *asked)

    result = "results_data/um_futures/klines/1m/NEWUSDT.pqt"
    assert files(workspace, "results_data/**/*.pqt") == {result}

    done(workspace, "generate", "resample", "um_futures", "1h", "NEWUSDT")

    workspace.settings["datasets"][0]["symbols"] = ["NEWUSDT"]
    assert workspace.plan().is_idle


def test_every_multiple_of_an_offset_is_resampled(young):
    done(
        young,
        *("generate", "resample", "um_futures", "1h", "NEWUSDT"),
        *("--base-offset", "20m"),
    )

    made = files(young, "results_data/um_futures/resampled_klines/*/NEWUSDT.pqt")
    rules = {name.split("/")[3] for name in made}
    assert rules == {"1h", "1d", "1h_20m", "1h_40m"}
    bars = pl.read_parquet(
        young.path("results_data/um_futures/resampled_klines/1h_40m/NEWUSDT.pqt")
    )
    assert bars["open_time"].dt.minute().unique().to_list() == [40]


def test_gaps_are_built_and_printed(whole):
    document = json.loads(
        done(
            whole,
            *("generate", "gaps", "um_futures", "1m", "--shortest", "1d", "--json"),
        )
    )

    (gap,) = document["gaps"]
    assert gap["symbol"] == "龙虾USDT"
    assert gap["next_open_time"] == "2025-03-05T10:30:00.000000+00:00"
    assert gap["split"] is True
    assert gap["class"] == "missing_file"  # the API is not asked here
    assert gap["duration_s"] > 3 * 86_400

    told = done(whole, "generate", "gaps", "um_futures", "1m", "龙虾USDT")
    assert "missing_file" in told


def test_a_stage_is_built_again_for_one_symbol(whole):
    before = whole.times()

    done(whole, "rebuild", "resample", "NEWUSDT")

    changed = [p for p in whole.changed(before) if p.endswith(".pqt")]
    folder = "results_data/um_futures/resampled_klines"
    assert sorted(changed) == [f"{folder}/{rule}/NEWUSDT.pqt" for rule in ("1d", "1h")]


def test_a_mistake_is_one_line(workspace):
    outcome = bhds(workspace, "aws-kline", "parse", "um_futures", "7m")

    (line,) = [line for line in outcome.stderr.splitlines() if "error:" in line]
    assert outcome.returncode == 1
    assert line.startswith("bhds: error: ")
    assert "'7m'" in line
    assert "Traceback" not in outcome.stderr


def test_a_run_shows_few_lines(workspace):
    target = "parsed_data/um_futures/klines/NEWUSDT/1m/2025.parquet"

    mistyped = bhds(workspace, "run", "result_all")
    planned = bhds(workspace, "run", "--dry-run", target)
    ran = bhds(workspace, "run", target)
    again = bhds(workspace, "run", target)

    assert mistyped.returncode == 1
    assert ", as results_all (" in mistyped.stderr
    assert "Zips to download: " in planned.stdout
    assert len(planned.stdout.splitlines() + planned.stderr.splitlines()) <= 60
    assert ran.stdout == ""
    lines = ran.stderr.splitlines()
    assert lines[-1].startswith("bhds: done: ")
    assert "parse 1" in lines[-1]
    assert len(lines) <= 40
    assert again.stderr.splitlines()[-1].startswith("bhds: nothing to be done")


def start_download(workspace):
    """Start a download in a process group of its own."""
    return subprocess.Popen(
        command(workspace, "aws-kline", "download", "um_futures", "1m", "NEWUSDT"),
        cwd=workspace.folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.mark.parametrize(("how", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_command_that_was_ended_goes_on_when_it_is_repeated(
    workspace, silent, how, code
):
    endpoints = workspace.settings["endpoints"]
    right = endpoints["archive_download"]
    endpoints["archive_download"] = silent.address
    workspace.settings["http"] = {
        "timeout_s": 5
    }  # SIGTERM lets the job come to its end
    process = start_download(workspace)
    silent.wait_until_asked()
    if how is signal.SIGINT:
        os.killpg(process.pid, how)  # as the terminal does
    else:
        process.send_signal(how)
    _, shown = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == code
    assert "Traceback" not in shown
    if how is signal.SIGINT:
        end = "bhds: interrupted; run the same command to continue\n"
        assert shown.endswith(end)
        assert shown.count(end) == 1
    assert not files(workspace, "aws_data/**/*.zip")

    endpoints["archive_download"] = right
    del workspace.settings["http"]
    done(workspace, "aws-kline", "download", "um_futures", "1m", "NEWUSDT")

    assert len(files(workspace, "aws_data/**/*.zip")) == 4


def test_a_built_bar_is_explained_as_the_exchange_published_it(workspace, exchange):
    workspace.settings["api"]["enabled"] = True
    folder = "data/futures/um/daily/klines/NEWUSDT/1m"
    late = f"{folder}/NEWUSDT-1m-2025-03-08.zip"
    exchange.exchange.withhold(late)
    asked = ("um_futures", "1m", "NEWUSDT")
    done(workspace, "generate", "kline", *asked)
    data = ("--data-dir", str(workspace.data), "--json")

    archived = json.loads(
        done(workspace, "explain", "NEWUSDT", "2025-03-07T13:05:30", *data)
    )
    filled = json.loads(
        done(workspace, "explain", "NEWUSDT", "2025-03-08T13:05:30", *data)
    )

    assert archived["bar"]["source"] == "daily"
    (row,) = archived["publications"]
    key = f"{folder}/NEWUSDT-1m-2025-03-07.zip"
    _, content = exchange.exchange.store.read(key)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        lines = archive.read("NEWUSDT-1m-2025-03-07.csv").decode().splitlines()
    assert row["key"] == key
    assert row["text"] == lines[row["line"] - 1]
    assert row["text"].startswith("1741352700000,")
    (zip_,) = archived["zips"]
    assert zip_["sha256"] == hashlib.sha256(content).hexdigest()
    assert zip_["integrity_status"] == "ok"
    assert [each["is_used"] for each in zip_["revisions"]] == [True]
    assert archived["warnings"] == filled["warnings"] == []
    assert filled["bar"]["source"] == "api"
    (answer,) = filled["publications"]
    assert (answer["source"], answer["outcome"]) == ("api", "kept")
    assert answer["answered_at"]
    assert answer["values"]["close"] == filled["bar"]["close"]
    (requested,) = filled["missing_ranges"]
    assert (requested["reason"], requested["status"]) == ("missing_file", "filled")

    status = json.loads(done(workspace, "status", *data))

    stages = {each["stage"]: each for each in status["holdings"]}
    assert stages["raw"]["files"] == 6
    assert stages["results"]["rows"] == stages["parsed"]["rows"] + stages["api"]["rows"]
    # The API has bars up to the present of the sandbox, noon of March 10.
    assert stages["results"]["last"] == "2025-03-10T11:59:00+00:00"
