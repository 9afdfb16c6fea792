"""`bhds plan`: what it tells, and that it changes nothing."""

import datetime as dt
import json
import shutil
from dataclasses import asdict
from types import SimpleNamespace

import polars as pl
import pytest

from bhds.archive.download import ledger
from bhds.cli import plan
from bhds.cli.settings import read_settings
from bhds.plan import prepare
from bhds.plan.estimate import DEFAULT_RATE

NOW = dt.datetime(2025, 3, 10, 12, tzinfo=dt.UTC)


@pytest.fixture
def published(archive):
    """A month that is here, a day that is missing, a day not published yet."""
    archive.publish("AUSDT", "2025-02", "2025-03-01", "2025-03-02")
    archive.publish("BUSDT", "2025-02", "2025-03-01", "2025-03-02", "2025-03-03")
    archive.fetch("AUSDT", "2025-02")
    return archive


def bytes_of(archive, *periods):
    """Bytes of the zips of AUSDT, with their CHECKSUMs."""
    keys = [archive.file("AUSDT", period).key for period in periods]
    return sum(
        len(archive.contents[key + suffix])
        for key in keys
        for suffix in ("", ".CHECKSUM")
    )


def documented(bhds, *arguments):
    result = bhds("plan", "--json", *arguments)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_one_document_has_all_figures(published, bhds):
    told = documented(
        bhds,
        "datasets=[{trade_type: um_futures, interval: 1h, symbols: [AUSDT], "
        "results: {funding: false}}]",
        "--config",
        "as_of=2025-03-03",
        "-j4",
    )

    (dataset,) = told["datasets"]
    size = bytes_of(published, "2025-02", "2025-03-01", "2025-03-02")
    due = bytes_of(published, "2025-03-01", "2025-03-02")
    zips = sum(
        len(published.contents[published.file("AUSDT", period).key])
        for period in ("2025-02", "2025-03-01", "2025-03-02")
    )
    assert dataset == {
        "dataset": "um_futures klines 1h",
        "trade_type": "um_futures",
        "data_type": "klines",
        "interval": "1h",
        "frequency": "auto",
        "symbols": 1,
        "server_files": 6,
        "server_bytes": size,
        "disk_files": 2,
        "disk_bytes": bytes_of(published, "2025-02"),
        "missing_files": 4,
        "missing_bytes": due,
        "replaced_files": 0,
        "replaced_bytes": 0,
        "api_requests": 2,
        "api_seconds": 0.1,
        "jobs": 3,
        "cpu_seconds": pytest.approx(3 * 0.8, abs=0.01),
        "partition_bytes": zips + 5000,
        "result_bytes": int(zips * 1.1) + 5000,
        "overhead_bytes": dataset["overhead_bytes"],
        "download_seconds": 4 / 50,
        "seconds": 4 / 50 + 0.1 + dataset["cpu_seconds"] / 4,
        "needed_bytes": due
        + zips
        + int(zips * 1.1)
        + 10_000
        + dataset["overhead_bytes"],
        "needed_bytes_raw_kept": dataset["needed_bytes"],
        "needed_bytes_raw_discarded": dataset["needed_bytes"] - due,
    }
    assert dataset["overhead_bytes"] > 0
    assert told["data_dir"] == str(published.data_dir)
    assert told["last_day"] == "2025-03-03"
    assert told["fits"] is True
    assert told["free_bytes"] > 0
    assert told["rate"] == {**asdict(DEFAULT_RATE), "is_measured": False}
    assert told["cores"] == 4
    assert "files" not in told


@pytest.mark.usefixtures("published")
def test_the_total_adds_up_all_datasets(bhds):
    datasets = ", ".join(
        f"{{trade_type: um_futures, interval: 1h, symbols: [{symbol}], "
        "results: {funding: false}}"
        for symbol in ("AUSDT", "BUSDT")
    )
    told = documented(bhds, f"datasets=[{datasets}]")

    first, second = told["datasets"]
    assert told["total"]["missing_files"] == 4 + 8
    for name, value in told["total"].items():
        if value is not None:
            assert value == pytest.approx(first[name] + second[name])
    assert told["total"].keys() == first.keys() - {
        "dataset",
        "trade_type",
        "data_type",
        "interval",
        "frequency",
    }


def test_the_files_are_those_that_snakemake_would_fetch(published, bhds):
    published.fetch("BUSDT", "2025-02")
    published.path("BUSDT", "2025-02").write_bytes(b"damaged")

    files = documented(bhds, "--files")["files"]

    settings = read_settings(
        [published.data_dir.parent / "settings.yaml"],
        values=["offline=false"],
        environment={},
    )
    batches = prepare.plan(
        settings, targets=[], data_dir=published.data_dir, now=NOW, online=False
    ).batches
    kept = published.file("BUSDT", "2025-02").path + ".CHECKSUM"
    assert sorted([*(file["path"] for file in files), kept]) == sorted(
        path for batch in batches for path in (*batch.zips, *batch.checksums)
    )
    assert {file["path"]: file["state"] for file in files}[
        published.file("BUSDT", "2025-02").path
    ] == "replaced"
    lines = bhds("plan", "--files").stdout.splitlines()
    assert [line.split("\t") for line in lines] == [
        [file["state"], str(file["size_bytes"]), file["path"]] for file in files
    ]


def test_time_follows_from_the_rate_that_was_measured(published, bhds):
    begin = NOW - dt.timedelta(seconds=10)
    rows = {"key": ["a", "b"], "size": [5, 5], "md5": ["m", "m"]}
    times = {"first_seen": [NOW] * 2, "requested_at": [begin] * 2}
    ledger.append(published.data_dir, rows=pl.DataFrame(rows | times))

    told = documented(bhds)

    rate = {"bytes_per_s": 1.0, "files_per_s": 0.2, "is_measured": True}
    assert told["rate"] == rate
    total = told["total"]
    assert total["download_seconds"] == max(
        total["missing_bytes"], total["missing_files"] / 0.2
    )
    text = bhds("plan").stdout
    assert "1 byte/s and 0.2 files/s: the rate of the last downloads" in text


@pytest.mark.usefixtures("published")
def test_without_the_api_there_are_no_requests(bhds):
    assert documented(bhds)["total"]["api_requests"] > 0
    assert (
        documented(bhds, "--config", "api.enabled=false")["total"]["api_requests"] == 0
    )


@pytest.mark.usefixtures("published")
@pytest.mark.parametrize("columns", ["80", "120"])
def test_tables_hold_every_figure_at_usual_widths(bhds, columns):
    text = bhds("plan", columns=columns).stdout

    table = text.partition("Disk:")[0]
    assert all(len(line) <= int(columns) for line in table.splitlines())
    assert text.count("um_futures klines 1h") == 2
    assert "an assumed rate" in text
    assert "needed below" in text
    assert "does not fit" not in text
    assert "…" not in text


@pytest.mark.usefixtures("published")
def test_it_is_said_when_the_disk_is_too_small(bhds, monkeypatch):
    usage = SimpleNamespace(free=10)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)

    assert "Not enough space: free some" in bhds("plan").stdout
    assert documented(bhds)["fits"] is False


@pytest.mark.usefixtures("published")
@pytest.mark.parametrize(
    "arguments", [[], ["--json"], ["--files"], ["--json", "--files"]]
)
def test_nothing_is_changed(bhds, tree, arguments):
    before = tree()

    assert bhds("plan", *arguments).exit_code == 0

    assert tree() == before


@pytest.mark.usefixtures("published")
def test_listings_are_refreshed_and_not_kept(bhds, monkeypatch):
    asked = {}

    def planned(*arguments, **options):
        asked.update(options)
        return original(*arguments, **(options | {"online": False}))

    original = prepare.plan
    monkeypatch.setattr(prepare, "plan", planned)

    assert bhds("plan").exit_code == 0
    assert (asked["online"], asked["keep"]) == (True, False)


def test_an_error_is_one_line_and_makes_no_folder(tmp_path, bhds):
    result = bhds("plan")

    message = str(result.exception)
    assert message.startswith("bhds: error: ")
    assert "there is no listing on disk" in message
    assert "\n" not in message
    assert not (tmp_path / "data").exists()


def test_a_wrong_setting_is_one_line(bhds):
    result = bhds("plan", "--config", "data_dirs=x")

    assert str(result.exception).startswith("bhds: error: --config: data_dirs: unknown")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (89, "89 s"),
        (91, "1.5 min"),
        (5399, "90 min"),
        (5401, "1.5 h"),
        (36_000, "10 h"),
        (3 * 86_400, "3.0 d"),
    ],
)
def test_times_are_written_with_two_figures(seconds, text):
    assert plan._time(seconds) == text
