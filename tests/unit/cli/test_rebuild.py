"""What `bhds rebuild` has Snakemake force."""

import re

import pytest
from typer.testing import CliRunner

from bhds.cli import rebuild
from bhds.cli.app import app

DATASETS = (
    "datasets=[{trade_type: um_futures, interval: 1h, "
    "results: {funding: false, resample: [{interval: 4h}]}}]"
)
NO_API = "api={enabled: false}"


@pytest.fixture
def forced(archive, configfile, monkeypatch):
    """Return a function that returns what a command line forces, or its error."""
    archive.publish("AUSDT", "2025-02", "2025-03-01")
    archive.publish("BUSDT", "2025-02", "2025-03-01")
    calls = []

    def run(_, targets, *, forced, **__):
        assert targets == ["all"]
        calls.append(forced)
        return 0

    monkeypatch.setattr(rebuild, "run_snakemake", run)

    def ask(*arguments):
        options = (
            "--configfile",
            str(configfile),
            "--config",
            DATASETS,
            "--config",
            NO_API,
        )
        result = CliRunner().invoke(app, ["rebuild", *arguments, *options])
        return calls.pop() if result.exit_code == 0 else result.output

    return ask


@pytest.mark.parametrize(
    ("stage", "rules"),
    [
        ("parse", ["parse_klines", "parse_records"]),
        ("resample", ["resample_klines_um_futures_1h"]),
        ("split", ["collect_segments", "split_klines", "split_resampled_klines"]),
        ("report", ["write_report"]),
    ],
)
def test_a_stage_is_forced_by_its_rules(forced, stage, rules):
    assert forced(stage) == rules


@pytest.mark.parametrize(
    ("stage", "files"),
    [
        (
            "parse",
            [
                "parsed_data/um_futures/klines/BUSDT/1h/all.parquet",
                "parsed_data/um_futures/klines/BUSDT/1h/all.sources.json",
            ],
        ),
        (
            "results",
            [
                "results_data/um_futures/klines/1h/BUSDT.pqt",
                "results_data/um_futures/klines/1h/gaps/BUSDT.parquet",
            ],
        ),
        ("resample", ["results_data/um_futures/resampled_klines/4h/BUSDT.pqt"]),
    ],
)
def test_of_symbols_only_their_files_are_forced(forced, stage, files):
    assert forced(stage, "BUSDT") == files


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["resampel"], "stage 'resampel': expected one of .*did you mean 'resample'"),
        (["download"], "stage 'download': expected one of parse, "),
        (["parse", "BUSTD"], "'BUSTD' is not in .*did you mean 'BUSDT'"),
        (["report", "BUSDT"], "'report': its files are of all symbols; leave out"),
        (["backfill", "BUSDT"], "BUSDT: the settings request no file of .*'backfill'"),
    ],
)
def test_what_cannot_be_rebuilt_is_one_line(forced, arguments, message):
    told = forced(*arguments)

    (line,) = told.splitlines()
    assert line.startswith("bhds: error: ")
    assert re.search(message, line)
