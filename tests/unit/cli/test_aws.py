"""The commands of the archive: what they list, and what they ask Snakemake for."""

import json

import pytest

from bhds.cli import aws
from bhds.cli.options import RunOptions
from bhds.cli.workflow import CHECKOUT


@pytest.fixture
def asked(monkeypatch):
    """Return what Snakemake would be asked for: one (datasets, targets) a call."""
    calls = []

    def keep(settings, datasets, targets, **options):
        assert settings.offline
        calls.append((datasets, targets, options))
        return 0

    monkeypatch.setattr(aws, "build", keep)
    return calls


@pytest.mark.parametrize(
    ("command", "target"),
    [("download", "raw_all"), ("verify", "verify_all"), ("parse", "parsed_all")],
)
def test_a_command_asks_for_its_target(bhds_in, asked, command, target):
    result = bhds_in("aws-kline", command, "um_futures", "1h", "AUSDT", "--cores", "3")

    assert result.exit_code == 0, result.output
    (((dataset,), targets, options),) = asked
    assert targets == [target]
    assert options == {"run": RunOptions(cores=3, dry_run=False)}
    assert (dataset.data_type, dataset.interval) == ("klines", "1h")
    assert dataset.symbols == ["AUSDT"]
    assert not dataset.results.funding


@pytest.mark.parametrize(
    ("group", "market", "data_type"),
    [
        ("aws-funding", "um_futures", "fundingRate"),
        ("aws-liquidation", "cm_futures", "liquidationSnapshot"),
    ],
)
def test_a_group_is_for_its_type_of_data(bhds_in, asked, group, market, data_type):
    bhds_in(
        group, "download", market, "--quote", "any", "--start", "30d", "--end", "7d"
    )

    ((dataset,), targets, _) = asked[0]
    assert (dataset.trade_type, dataset.data_type) == (market, data_type)
    assert dataset.symbols.quote is None
    assert (dataset.start, dataset.end) == ("30d", "7d")
    assert targets == ["raw_all"]


def test_other_bars_and_a_frequency_can_be_asked_for(bhds_in, asked):
    bhds_in(
        *("aws-kline", "download", "um_futures", "1m,1h"),
        *("--data-type", "markPriceKlines", "--frequency", "daily"),
        "--no-stable-pairs",
    )

    (datasets, _, _) = asked[0]
    assert [(d.data_type, d.interval) for d in datasets] == [
        ("markPriceKlines", "1m"),
        ("markPriceKlines", "1h"),
    ]
    assert {d.frequency for d in datasets} == {"daily"}
    assert not datasets[0].symbols.stable_pairs


def test_the_exit_code_is_that_of_snakemake(bhds_in, monkeypatch):
    monkeypatch.setattr(aws, "build", lambda *_, **__: 130)

    assert bhds_in("aws-funding", "parse", "um_futures").exit_code == 130


def test_the_symbols_of_the_bucket_are_listed(bhds_in, archive):
    archive.publish("AUSDT", "2025-01", "2025-02", "2025-03-01", "2025-03-02")
    archive.publish("BUSDTSETTLED", "2025-01")

    result = bhds_in("aws-kline", "list", "um_futures", "1h", "--json")

    ((dataset),) = json.loads(result.stdout)["datasets"]
    sizes = {
        key: len(content)
        for key, content in archive.contents.items()
        if key.endswith(".zip")
    }
    assert dataset["symbols"] == [
        {
            "symbol": "AUSDT",
            "contract_type": "PERPETUAL",
            "settled": False,
            "first_day": "2025-01-01",
            "last_day": "2025-03-02",
            "zips": 4,
            "size_bytes": sum(n for key, n in sizes.items() if "/AUSDT/" in key),
        },
        {
            "symbol": "BUSDTSETTLED",
            "contract_type": "PERPETUAL",
            "settled": True,
            "first_day": "2025-01-01",
            "last_day": "2025-01-31",
            "zips": 1,
            "size_bytes": sum(n for key, n in sizes.items() if "/BUSDT" in key),
        },
    ]
    assert dataset["total"] == {
        "symbols": 2,
        "zips": 5,
        "size_bytes": sum(sizes.values()),
    }


def test_the_list_is_a_table_for_people(bhds_in, archive):
    archive.publish("AUSDT", "2025-01")

    lines = bhds_in("aws-kline", "list", "um_futures", "1h", "AUSDT").stdout.split("\n")

    assert lines[0].strip() == "um_futures klines 1h"
    row = next(line for line in lines if line.startswith("AUSDT"))
    assert row.split()[:5] == ["AUSDT", "PERPETUAL", "2025-01-01", "2025-01-31", "1"]


def test_the_targets_are_those_of_the_rules():
    rules = (CHECKOUT / "rules" / "targets.smk").read_text()

    assert all(f"rule {target}:" in rules for target in aws._TARGETS.values())
