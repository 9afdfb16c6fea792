"""The archive in full: every data type, damage on disk, revisions, known defects."""

import datetime as dt
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from bhds.archive.keys import ArchiveFile
from bhds.core.markets import TradeType
from bhds.parse import revisions
from bhds.sandbox import admin
from bhds.sandbox.exchange import Exchange
from bhds.sandbox.server import serving
from bhds.sandbox.universe import Universe
from bhds.schemas.datatypes import DATA_TYPES
from bhds.schemas.klines import with_symbol

from .conftest import UNIVERSE, YOUNG, Workspace, settings_for, young_key

pytestmark = pytest.mark.workflow

COMMON = {
    "price": 100,
    "price_decimals": 2,
    "tick": "0.01",
    "quantity_decimals": 3,
    "quantity_per_trade": 2,
    "trades_per_minute": 2,
    "trades_published": True,
}
PERPETUAL = {**COMMON, "base_asset": "BTC", "contract_type": "PERPETUAL"}
SYMBOLS = {
    "spot": {**COMMON, "name": "BTCUSDT", "base_asset": "BTC"},
    "um_futures": {**PERPETUAL, "name": "BTCUSDT"},
    "cm_futures": {
        **PERPETUAL,
        "name": "BTCUSD_PERP",
        "quote_asset": "USD",
        "contract_size": 100,
        "quantity_decimals": 0,
    },
}


ERA = dt.datetime(2023, 9, 4, 12, tzinfo=dt.UTC)
"""When no feed had ended yet, but um liquidations had been withdrawn."""
DAYS = ["2023-08-30", "2023-08-31", "2023-09-01", "2023-09-02", "2023-09-03"]
ONE_OF_EACH = Universe.model_validate(
    {
        "seed": 3,
        "symbols": [
            {"market": market, "listed": "2023-08-30T00:00:00Z", **symbol}
            for market, symbol in (
                *SYMBOLS.items(),
                (
                    "option",
                    {**COMMON, "base_asset": "BTCBVOL", "name": "BTCBVOLUSDT"}
                    | {"contract_type": "VOLATILITY_INDEX"},
                ),
                (
                    "option",
                    {**COMMON, "base_asset": "BTC", "name": "BTCUSDT"}
                    | {"contract_type": "UNDERLYING"},
                ),
            )
        ],
    }
)


@pytest.fixture(scope="module")
def full_archive(tmp_path_factory):
    """Everything, built: a dataset of every market and data type."""
    folder = tmp_path_factory.mktemp("full")
    with Exchange(ONE_OF_EACH, now=ERA) as exchange, serving(exchange) as running:
        settings = settings_for(running.endpoints)
        settings["datasets"] = [
            {"trade_type": str(trade_type), "data_type": entry.name}
            | ({"interval": "1h"} if entry.has_intervals else {})
            for entry in DATA_TYPES.values()
            for trade_type in entry.trade_types
        ]
        workspace = Workspace(folder, settings)
        workspace.build()
        yield workspace


def partitions(workspace):
    """The rows of each data type, from its partitions, by market and type."""
    found = {}
    for path in sorted(workspace.path("parsed_data").rglob("*.parquet")):
        trade_type, data_type = path.relative_to(workspace.path("parsed_data")).parts[
            :2
        ]
        found.setdefault((trade_type, data_type), []).append(pl.read_parquet(path))
    return {series: pl.concat(frames) for series, frames in found.items()}


def test_every_type_of_data_is_built_and_then_up_to_date(full_archive):
    assert full_archive.plan().is_idle
    found = partitions(full_archive)
    expected = {
        (d["trade_type"], d["data_type"])
        for d in full_archive.settings["datasets"]
        if DATA_TYPES[d["data_type"]].table is not None
    }
    expected.remove(("um_futures", "liquidationSnapshot"))
    assert set(found) == expected
    for (trade_type, data_type), frame in found.items():
        table = DATA_TYPES[data_type].table(TradeType(trade_type))
        assert frame.schema == with_symbol(table.schema)
        assert frame.height > 0
        assert not table.key or frame.select(table.key).is_unique().all()
    for path in full_archive.path("parsed_data").rglob("*.sources.json"):
        sources = json.loads(path.read_text())
        assert {source["integrity_status"] for source in sources["inputs"]} == {"ok"}
    for data_type in ("BVOLIndex", "EOHSummary"):
        folder = full_archive.path(f"aws_data/option/daily/{data_type}")
        assert len(list(folder.rglob("*.zip"))) == len(DAYS)


def test_trades_of_the_archive_add_up_to_its_bars(full_archive):
    found = partitions(full_archive)
    for market in ("spot", "um_futures", "cm_futures"):
        bars = found[market, "klines"]
        trades = found[market, "trades"]
        aggregated = found[market, "aggTrades"]
        assert bars["trade_count"].sum() == trades.height
        assert trades["quantity"].sum() == pytest.approx(bars["volume"].sum())
        assert aggregated["quantity"].sum() == pytest.approx(bars["volume"].sum())
        assert trades["price"].max() == bars["high"].max()
        ids = aggregated.select("first_trade_id", "last_trade_id")
        assert (ids["last_trade_id"] - ids["first_trade_id"] + 1).sum() == trades.height


def test_a_feed_that_was_withdrawn_is_no_error(workspace):
    workspace.settings["datasets"].append(
        {"trade_type": "um_futures", "data_type": "liquidationSnapshot"}
    )

    outcome = workspace.plan()

    assert outcome.status == 0
    assert (
        "um_futures liquidationSnapshot: the feed ended on 2024-03-31" in outcome.text
    )


@pytest.fixture
def newest(workspace):
    """Return the workspace, with the young symbol alone."""
    workspace.settings["datasets"][0]["symbols"] = [YOUNG]
    return workspace


def test_damage_on_disk_is_found_put_aside_and_fetched_again(young):
    folder = young.path("aws_data/um_futures/daily/klines/NEWUSDT/1m")
    rotten, cut, *_ = sorted(folder.glob("*.zip"))
    sound = {path: path.read_bytes() for path in (rotten, cut)}
    rotten.write_bytes(sound[rotten][:-9] + b"?" + sound[rotten][-8:])
    cut.write_bytes(sound[cut][:100])

    outcome = young.build("verify_all")

    assert "bit rot" in outcome.text
    table = pl.read_parquet(
        young.path("aws_data/um_futures/daily/klines/verification-1m.parquet")
    )
    damaged = table.drop_nulls("damage").sort("path")
    assert damaged["damage"].to_list() == ["bit rot", "truncated"]
    for path in damaged["quarantined_to"]:
        assert young.path(path).exists()
    assert young.plan().jobs["fetch_archives"] == 1
    young.build()
    assert {path: path.read_bytes() for path in sound} == sound
    assert young.plan().is_idle
    again = young.build("verify_all")
    assert "bit rot" not in again.text
    assert young.plan().is_idle


def test_what_the_server_serves_damaged_is_reported_and_left(newest, exchange):
    """It is no damage of this disk, and fetching it for ever would not mend it."""
    bucket, damaged = exchange.exchange.store, young_key(7)
    build, checksum = bucket._build, bucket._checksum

    def build_damaged(file):
        return build(file)[:-40] if file.key == damaged else build(file)

    def checksum_of_the_sound_one(file):
        text = checksum(file)
        return b"0" * 64 + text[64:] if file.key == damaged else text

    bucket._build, bucket._checksum = build_damaged, checksum_of_the_sound_one
    newest.build()
    before = newest.times()

    newest.build("verify_all")

    assert all("verification" in path for path in newest.changed(before))
    table = pl.read_parquet(
        newest.path("aws_data/um_futures/daily/klines/verification-1m.parquet")
    )
    assert table.filter(integrity_status="corrupt")["key"].to_list() == [damaged]
    assert table["damage"].null_count() == table.height
    assert newest.plan().is_idle
    folder = newest.path("parsed_data/um_futures/klines/NEWUSDT/1m")
    sources = json.loads((folder / "2025.sources.json").read_text())
    statuses = {
        source["key"]: source["integrity_status"] for source in sources["inputs"]
    }
    assert statuses.pop(damaged) == "corrupt"
    assert set(statuses.values()) == {"ok"}


def test_the_rows_that_a_revision_changed_are_kept(young, exchange):
    assert revisions.read(young.data).is_empty()  # though the last day came later

    exchange.exchange.republish(young_key(7))
    young.build()

    changes = revisions.read(young.data)
    assert set(changes["key"]) == {young_key(7)}
    assert set(changes["column"]) == {"high", "trade_count"}
    assert changes["rows_changed"].unique().to_list() == [1440 // 60]
    assert changes["rows_added"].sum() == changes["rows_removed"].sum() == 0
    assert (changes["old_sha256"] != changes["new_sha256"]).all()


def test_what_is_new_is_noticed_between_full_listings(newest, exchange):
    seldom = {"listing": {"max_age_hours": 0, "full_refresh_days": 7}}
    exchange.exchange.withhold(young_key(9))
    newest.build("raw_all", settings=seldom)

    exchange.exchange.release(young_key(9))

    assert newest.plan("raw_all", settings=seldom).jobs["fetch_archives"] == 1


KNOWN_BAD = Universe.model_validate(
    {
        "seed": 5,
        "symbols": [
            {**PERPETUAL, "name": "AUSDT", "market": "um_futures", "base_asset": "A"}
            | {"listed": "2022-03-25T00:00:00Z", "delisted": "2022-05-03T00:00:00Z"}
        ],
    }
)


def test_months_known_to_be_bad_come_from_days(tmp_path):
    with Exchange(KNOWN_BAD) as exchange, serving(exchange) as running:
        workspace = Workspace(tmp_path, settings_for(running.endpoints))
        workspace.build("parsed_all")

    folder = workspace.path("parsed_data/um_futures/klines/AUSDT/1m")
    sources = json.loads((folder / "2022.sources.json").read_text())
    inputs = [Path(source["key"]).stem for source in sources["inputs"]]
    days = [f"AUSDT-1m-2022-04-{day:02}" for day in range(1, 31)]
    # Of the month that it did not live to see the end of, the listing cannot tell
    # whether the days are all that the month's zip has.
    days += ["AUSDT-1m-2022-05", "AUSDT-1m-2022-05-01", "AUSDT-1m-2022-05-02"]
    assert inputs == ["AUSDT-1m-2022-03", *days]


def bhds(workspace, *arguments):
    """Run the command line of BHDS with the settings of a workspace."""
    workspace.command()  # writes the settings
    done = subprocess.run(
        [
            *(str(Path(sys.executable).with_name("bhds")), *arguments),
            *("--configfile", str(workspace.folder / "config.yaml")),
        ],
        cwd=workspace.folder,
        env={**os.environ, "COLUMNS": "120"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_bhds_plan_tells_what_is_missing_and_changes_nothing(workspace, whole_data):
    told = json.loads(bhds(workspace, "plan", "--json", "--files"))

    assert not workspace.data.exists()
    (dataset,) = told["datasets"]
    assert dataset["symbols"] == 3
    assert dataset["missing_files"] == dataset["server_files"] == len(told["files"])
    shutil.copytree(whole_data, workspace.data)
    before = workspace.times()
    told = json.loads(bhds(workspace, "plan", "--json"))
    assert told["total"]["missing_files"] == 0
    assert workspace.times() == before
    assert "um_futures klines 1m" in bhds(workspace, "plan")


def test_the_zips_of_another_data_directory_are_adopted_and_none_is_downloaded(
    workspace, whole_data
):
    old = workspace.folder / "old"
    shutil.copytree(whole_data / "aws_data", old)

    adopted = json.loads(bhds(workspace, "adopt", str(old), "--move", "--json"))

    n_files = adopted["outcomes"]["taken"]["files"]
    planned = json.loads(bhds(workspace, "plan", "--json"))["total"]
    assert planned["missing_files"] == 0
    assert n_files >= planned["server_files"] > 0
    assert not [path for path in old.rglob("*.zip*") if path.is_file()]
    outcome = workspace.plan()
    assert outcome.status == 0, outcome.text
    assert "fetch_archives" not in outcome.jobs
    assert "parse_klines" in outcome.jobs


def test_bhds_clean_removes_superseded_days_and_nothing_is_to_be_done(
    tmp_path,
):
    """In March only days of February are there; its monthly zip appears later."""
    early = dt.datetime(2025, 3, 1, 12, tzinfo=dt.UTC)
    with Exchange(UNIVERSE, now=early) as exchange, serving(exchange) as running:
        settings = settings_for(running.endpoints, symbols=["龙虾USDT"])
        workspace = Workspace(tmp_path, settings)
        workspace.build(settings={"as_of": "2025-02-28"})
        exchange.set_now(dt.datetime(2025, 3, 10, 12, tzinfo=dt.UTC))
        workspace.build(settings={"as_of": "2025-02-28"})
        days = list(workspace.path("aws_data").rglob("*-1m-2025-02-*.zip"))
        assert days

        bhds(workspace, "clean")
        assert all(path.exists() for path in days)
        bhds(workspace, "clean", "--yes")

        assert not any(path.exists() for path in days)
        assert list(workspace.path("aws_data").rglob("*-1m-2025-02.zip"))
        assert workspace.plan(settings={"as_of": "2025-02-28"}).is_idle
        changes = revisions.read(workspace.data)
        assert set(changes["rows_changed"]) <= {0}


D01B_SOURCES = "parsed_data/um_futures/klines/D01BUSDT/1h/all.sources.json"


@pytest.fixture
def short_month(tmp_path):
    """A monthly zip of klines lacks a day that a daily zip has; the API is not used."""
    with Exchange(Universe(seed=1)) as exchange, serving(exchange) as running:
        admin.add_scenario(exchange, "D01")
        settings = settings_for(
            running.endpoints, symbols=["D01BUSDT"], interval="1h", frequency="auto"
        )
        yield Workspace(tmp_path, settings)


def test_one_run_takes_the_days_that_a_month_lacks_from_daily_zips(short_month):
    first = short_month.build()

    assert first.jobs["fetch_archives"] == 1
    sources = json.loads(short_month.path(D01B_SOURCES).read_text())
    assert {"2025-02", "2025-02-27"} <= {
        ArchiveFile.from_key(entry["key"]).period for entry in sources["inputs"]
    }
    assert {day["day"]: day["present"] for day in sources["days"]}["2025-02-27"] == 24
    assert short_month.plan().is_idle
    assert short_month.build("verify_all").status == 0
    verified = short_month.path("aws_data/um_futures/daily/klines")
    table = pl.read_parquet(verified / "verification-1h.parquet")
    assert any("2025-02-27" in key for key in table["key"])


def test_daily_zips_that_a_parse_job_cannot_fetch_come_with_the_next_run(short_month):
    short_month.build("raw_all")

    cut_off = short_month.build(settings={"offline": True})

    assert "1 daily zip(s) of days that monthly zips lack could not be" in cut_off.text
    assert short_month.plan(settings={"offline": True}).is_idle
    second = short_month.build()
    assert (second.jobs["fetch_archives"], second.jobs["parse_klines"]) == (1, 1)
    sources = json.loads(short_month.path(D01B_SOURCES).read_text())
    assert {day["day"]: day["present"] for day in sources["days"]}["2025-02-27"] == 24
    assert short_month.plan().is_idle
    assert short_month.plan(settings={"offline": True}).is_idle
