"""A network that spoils downloads, as a portal or a proxy does, then a sound one."""

import json
import re

import polars as pl
import pytest

from bhds.archive.download import ledger

from .conftest import young_key

pytestmark = pytest.mark.workflow

ZIPS = "aws_data/um_futures/daily/klines/NEWUSDT/1m"


@pytest.fixture
def strict(workspace):
    """The workspace, with one symbol, and settings that complain."""
    workspace.settings["datasets"][0]["symbols"] = ["NEWUSDT"]
    workspace.settings["fail_on_incomplete"] = True
    workspace.settings["api"] = {"enabled": False}
    return workspace


def names(workspace):
    return sorted(path.name for path in workspace.path(ZIPS).glob("*.zip*"))


def test_a_bad_network_fails_by_name_and_a_sound_one_makes_it_right(strict, exchange):
    faults = exchange.exchange.download_faults
    faults.add("page", times=None, target=young_key(7))
    faults.add("pad", times=None, target=young_key(8))
    faults.add("flip", times=2, target=young_key(9))

    outcome = strict.snakemake("results_all")

    assert outcome.status == 1
    assert "download: 2 of 8 files failed (NEWUSDT-1m-2025-03-0" in outcome.text
    assert re.search(
        r"-07.zip: failed: received \d+ bytes with MD5 \w+, ", outcome.text
    )
    assert "it looks like a page of HTML" in outcome.text
    assert "Traceback" not in outcome.text
    pairs = [
        [f"NEWUSDT-1m-2025-03-{day}.zip{end}" for end in ("", ".CHECKSUM")]
        for day in ("06", "09")
    ]
    assert names(strict) == [name for pair in pairs for name in pair]
    before = strict.times()

    faults.clear()
    again = strict.build()

    assert again.jobs["fetch_archives"] == 1
    assert len(names(strict)) == 8
    kept = [f"{ZIPS}/{name}" for pair in pairs for name in pair]
    assert not strict.changed(before) & set(kept)
    assert strict.plan().is_idle
    assert strict.build().is_idle


def test_what_an_earlier_version_kept_is_fetched_again(young):
    path = young.path(f"{ZIPS}/NEWUSDT-1m-2025-03-07.zip")
    sound = path.read_bytes()
    path.write_bytes(b"<html>" + bytes(len(sound) - 6))
    rows = ledger.read(young.data).with_columns(
        md5=pl.when(pl.col("key") == young_key(7))
        .then(pl.lit("0" * 32))
        .otherwise("md5")
    )
    (young.path("aws_data/ledger.parquet")).unlink(missing_ok=True)
    for part in young.path("aws_data/ledger.d").glob("*"):
        part.unlink()
    ledger.append(young.data, rows=rows)

    young.build()

    assert path.read_bytes() == sound


def test_what_the_exchange_published_corrupt_ends_each_run_with_its_number(
    strict, exchange
):
    """Fetched again it would be the same: it stays, with a word and exit code 1."""
    bucket, build = exchange.exchange.store, exchange.exchange.store._build

    def build_damaged(file):
        return build(file)[:-40] if file.key == young_key(7) else build(file)

    bucket._build = build_damaged
    lenient = strict.build(settings={"fail_on_incomplete": False})

    outcomes = [strict.snakemake("results_all") for _ in range(2)]

    assert [outcome.status for outcome in outcomes] == [1, 1]
    assert all("check_completeness" in outcome.jobs for outcome in outcomes)
    last = "bhds: error: not complete, see above; fail_on_incomplete is true"
    assert all(outcome.text.splitlines()[-1] == last for outcome in outcomes)
    for outcome in (lenient, *outcomes):
        assert "bhds: warning: zips that cannot be used: 1 corrupt; " in outcome.text
    folder = strict.path("parsed_data/um_futures/klines/NEWUSDT/1m")
    inputs = json.loads((folder / "2025.sources.json").read_text())["inputs"]
    assert {entry["key"]: entry["integrity_status"] for entry in inputs}[
        young_key(7)
    ] == "corrupt"
    assert strict.plan().is_idle
