"""What the archive lacks, filled from the API, as a user runs it."""

import datetime as dt
import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from bhds.backfill import api_use
from bhds.core.markets import TradeType
from bhds.sandbox.defects import Defect
from bhds.sandbox.exchange import Exchange
from bhds.sandbox.server import serving

from .conftest import (
    UNIVERSE,
    YOUNG,
    Workspace,
    built_once,
    called,
    settings_for,
    young_key,
)

pytestmark = pytest.mark.workflow

UM = TradeType.UM_FUTURES
KLINES = "um_futures/klines"
EXCHANGE_INFO = "um_futures/exchangeInfo"


def day(number):
    return dt.datetime(2025, 3, number, tzinfo=dt.UTC)


FILL = "api_data/um_futures/klines/NEWUSDT/1m/all.parquet"


@pytest.fixture
def filled(tmp_path, exchange):
    """Return a workspace of one young symbol, whose results the API completes."""
    settings = settings_for(exchange.endpoints, with_api=True, symbols=["NEWUSDT"])
    return Workspace(tmp_path, {**settings, "as_of": "2025-03-09"})


@pytest.fixture(scope="session")
def filled_data(tmp_path_factory):
    """Return the data of a build of the young symbol, whose last day the API has."""

    def build(workspace, exchange):
        exchange.withhold(young_key(9))
        workspace.settings["as_of"] = "2025-03-09"
        workspace.build()

    return built_once(tmp_path_factory, "filled", build, with_api=True, symbols=[YOUNG])


@pytest.fixture
def built(filled, filled_data):
    """Return a workspace that was built when the archive did not have the last day."""
    shutil.copytree(filled_data, filled.data)
    return filled


@pytest.fixture
def parsed(built, exchange):
    """Return that workspace as it was before the API was requested."""
    exchange.exchange.withhold(young_key(9))
    shutil.rmtree(built.path("api_data"))
    shutil.rmtree(built.path("results_data"))
    return built


def result(workspace, symbol="NEWUSDT"):
    return pl.read_parquet(
        workspace.path(f"results_data/um_futures/klines/1m/{symbol}.pqt")
    )


def holes(workspace, symbol="NEWUSDT", data_type="klines/{}/1m"):
    folder = workspace.path("api_data/um_futures") / data_type.format(symbol)
    sources = json.loads((folder / "all.sources.json").read_text())
    return [
        (hole["start"][5:16], hole["reason"], hole["found"], hole["status"])
        for hole in sources["missing_ranges"]
    ]


def prices(frame):
    """Return what depends neither on where a bar comes from nor on funding."""
    return frame.drop("source", "funding_rate")


def test_what_the_archive_lacks_comes_from_the_api_as_if_it_had_been_there(
    young_data, filled, exchange
):
    whole = pl.read_parquet(
        young_data / f"results_data/um_futures/klines/1m/{YOUNG}.pqt"
    )
    assert set(whole["source"]) == {"daily"}
    exchange.exchange.withhold(young_key(9))
    exchange.exchange.spoil(young_key(7), Defect.TRUNCATED)
    exchange.exchange.spoil(young_key(8), Defect.CORRUPT)
    exchange.exchange.spoil(young_key(6), Defect.NO_VOLUME)

    filled.build()

    assert prices(result(filled)).equals(prices(whole))
    number = 13 + 960 + 1440 + 1440
    assert dict(result(filled).group_by("source").len().rows())["api"] == number
    assert [hole[1:] for hole in holes(filled)] == [
        ("untraded", 13, "filled"),
        ("truncated", 960, "filled"),
        ("corrupt", 1440, "filled"),
        ("tail", 1440, "filled"),
    ]
    requests = exchange.exchange.requests.copy()
    record = api_use.read(filled.data)
    klines = record.filter(pl.col("path").str.contains("klines"))
    assert klines["rows"].to_list() == [number]
    assert record["requests"].sum() == sum(
        count
        for name, count in requests.items()
        if name.startswith("um_futures/") and name != EXCHANGE_INFO
    )
    assert record["refusals"].sum() == exchange.exchange.limiter.refused == 0
    assert filled.plan().is_idle
    filled.build()
    assert exchange.exchange.requests[KLINES] == requests[KLINES]


def test_the_archive_wins_when_its_file_appears(built):
    before = result(built)
    assert set(before.filter(pl.col("open_time") >= day(9))["source"]) == {"api"}

    built.build()

    after = result(built)
    assert set(after["source"]) == {"daily"}
    assert prices(after).equals(prices(before))
    assert holes(built) == []
    assert pl.read_parquet(built.path(FILL)).is_empty()


def test_a_fill_changes_only_when_its_partition_or_the_last_day_does(
    tmp_path, exchange
):
    settings = settings_for(exchange.endpoints, with_api=True, symbols=["OLDUSDT"])
    workspace = Workspace(tmp_path, settings)
    workspace.build("api_all", settings={"as_of": "2025-03-08"})
    before = workspace.times()

    workspace.build("api_all", settings={"as_of": "2025-03-09"})

    changed = {
        path for path in workspace.changed(before) if path.startswith("api_data")
    }
    assert "api_data/um_futures/klines/OLDUSDT/1m/all.parquet" in changed
    assert not {path for path in changed if "2024" in path}


def test_a_refused_place_goes_on_with_the_archive_alone_and_is_told_once(
    filled, exchange
):
    filled.settings["datasets"][0]["symbols"] = [YOUNG, "龙虾USDT"]
    for symbol in (YOUNG, "龙虾USDT"):
        exchange.exchange.withhold(young_key(9).replace(YOUNG, symbol))
    exchange.exchange.api_faults.add("refuse", status=451, times=None)

    outcome = filled.build()

    told = [line for line in outcome.text.splitlines() if "451" in line]
    assert len(told) == 1, outcome.text
    assert "api.enabled" in told[0]
    assert "not answered in full" in outcome.text
    assert result(filled)["open_time"].max() == day(9) - dt.timedelta(minutes=1)
    assert {hole[3] for hole in holes(filled)} == {"unanswered"}
    assert exchange.exchange.requests[KLINES] <= 2

    exchange.exchange.api_faults.clear()
    outcome = filled.build()

    assert "451" not in outcome.text
    assert "not answered in full" not in outcome.text
    assert result(filled)["open_time"].max() == day(10) - dt.timedelta(minutes=1)
    assert filled.plan().is_idle


def test_offline_nothing_is_asked_and_a_later_run_makes_up_for_it(parsed, exchange):
    parsed.build(settings={"offline": True})
    assert exchange.exchange.requests.total() == 0
    assert holes(parsed) == [("03-09T00:00", "tail", 0, "unanswered")]

    parsed.build()
    assert holes(parsed) == [("03-09T00:00", "tail", 1440, "filled")]
    assert parsed.plan().is_idle


def test_an_api_that_cannot_be_reached_fails_its_fills_in_one_line(parsed):
    parsed.settings["endpoints"]["api_um"] = "http://127.0.0.1:9"

    outcome = parsed.snakemake("results_all")

    assert outcome.status == 1
    of_funding, of_bars = sorted(set(outcome.error_lines))
    assert "http://127.0.0.1:9/fapi/v1/klines" in of_bars
    assert "http://127.0.0.1:9/fapi/v1/fundingRate" in of_funding
    assert not parsed.path(FILL).exists()


def killed_in_the_middle(workspace, path, pages):
    """Start a run, and kill it as soon as some pages have been written down."""
    with workspace.start("api_all") as process:
        deadline = time.monotonic() + 120
        while not (path.exists() and path.read_bytes().count(b"\n") >= pages):
            assert process.poll() is None, process.stdout.read()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)
        process.stdout.read()
    workspace.snakemake("--unlock")


def test_a_run_that_was_killed_in_a_fill_asks_for_nothing_twice(tmp_path_factory):
    """All of the archive's days are missing: 52 pages for the symbol's 18 days."""
    asked = {}
    for name, is_killed in (("whole", False), ("killed", True)):
        with Exchange(UNIVERSE) as exchange, serving(exchange) as running:
            for number in range(7, 10):
                exchange.withhold(young_key(number))
            exchange.api_faults.latency_s = 0.25
            settings = settings_for(
                running.endpoints, with_api=True, symbols=["NEWUSDT"]
            )
            settings |= {"as_of": "2025-03-09", "http": {"connections": 1}}
            settings["datasets"][0]["results"]["funding"] = False
            workspace = Workspace(tmp_path_factory.mktemp(name), settings)
            folder = workspace.path("api_data/um_futures/klines/NEWUSDT/1m")
            if is_killed:
                killed_in_the_middle(workspace, folder / "all.answers.jsonl", 3)
                assert not (folder / "all.parquet").exists()
            workspace.build("api_all")
            asked[name] = exchange.requests[KLINES]
            fill = (folder / "all.parquet").read_bytes()
            asked[f"{name} fill"] = fill

    assert asked["killed fill"] == asked["whole fill"]
    # The page that was under way is asked for again; each run begins with one page.
    assert asked["whole"] <= asked["killed"] <= asked["whole"] + 2


# --- funding


def funding(workspace, symbol="NEWUSDT"):
    return pl.read_parquet(
        workspace.path(f"results_data/um_futures/fundingRate/{symbol}.pqt")
    )


@pytest.fixture(scope="module")
def funded_data(tmp_path_factory):
    """Return the data of a build with funding of archive and API."""

    def build(workspace, _):
        workspace.settings["as_of"] = "2025-03-09"
        workspace.build()

    symbols = [YOUNG, "OLDUSDT"]
    return built_once(tmp_path_factory, "funded", build, with_api=True, symbols=symbols)


def test_funding_of_archive_and_api_is_joined_into_results(funded_data):
    built = Workspace(funded_data.parent)

    old, new = funding(built, "OLDUSDT"), funding(built)
    assert set(old["source"]) == {"monthly", "api"}
    assert set(new["source"]) == {"api"}
    assert old["funding_time"].is_sorted()
    assert old["funding_time"].is_unique().all()
    # Nothing is missing from the first event to the last.
    hours = old["funding_time"].diff().drop_nulls().dt.total_hours()
    assert set(hours) == {8}
    for symbol, events in (("OLDUSDT", old), (YOUNG, new)):
        bars = result(built, symbol)
        joined = bars.drop_nulls("funding_rate")
        assert joined["open_time"].to_list() == events["funding_time"].to_list()
        assert joined["funding_rate"].to_list() == events["funding_rate"].to_list()
        assert joined["funding_rate"].null_count() == 0
        daily = pl.read_parquet(
            built.path(f"results_data/um_futures/resampled_klines/1d/{symbol}.pqt")
        )
        assert set(daily["funding_count"]) <= {2, 3}


def test_a_month_of_funding_that_the_archive_lacks_comes_from_the_api(
    funded_data, filled, exchange
):
    whole = funding(Workspace(funded_data.parent), "OLDUSDT")
    filled.settings["datasets"][0]["symbols"] = ["OLDUSDT"]
    monthly = "data/futures/um/monthly/fundingRate/OLDUSDT/OLDUSDT-fundingRate"
    exchange.exchange.withhold(f"{monthly}-2025-01.zip")

    filled.build("results_data/um_futures/fundingRate/OLDUSDT.pqt")

    found = funding(filled, "OLDUSDT")
    january = found.filter(pl.col("funding_time") < day(1) - dt.timedelta(days=28))
    assert "api" in set(january["source"])
    times = ["funding_time", "funding_rate"]
    assert found.select(times).equals(whole.select(times))


def test_columns_are_the_same_with_and_without_funding(built):
    with_funding = result(built)

    built.settings["datasets"][0]["results"]["funding"] = False
    built.build()

    assert with_funding["funding_rate"].count() > 0
    assert result(built)["funding_rate"].count() == 0
    assert result(built).schema == with_funding.schema


def test_what_begins_after_the_last_file_comes_from_the_api_alone(filled, exchange):
    for symbol in ("NEWUSDT", "OLDUSDT"):
        exchange.exchange.withhold(young_key(9).replace(YOUNG, symbol))
    bars = filled.settings["datasets"][0]
    bars |= {"symbols": ["NEWUSDT"], "start": "2025-03-09"}
    funding_ = {"trade_type": "um_futures", "data_type": "fundingRate"}
    funding_ |= {"symbols": ["OLDUSDT"], "start": "2025-03-09"}
    filled.settings["datasets"].append(funding_)

    filled.build("results_all", "quality_all", "write_report")

    found = result(filled)
    assert found.group_by("source").len().rows() == [("api", 1440)]
    assert found["open_time"].min() == day(9)
    assert set(funding(filled, "OLDUSDT")["funding_time"].dt.date()) == {day(9).date()}
    assert found["funding_rate"].count() == 3
    (condition,) = pl.read_parquet(
        filled.path("results_data/um_futures/quality/condition-klines-1m.parquet")
    ).to_dicts()
    assert (condition["day"], condition["api"]) == (day(9).date(), 1440)


# --- by market and type


def test_prices_that_are_no_trades_are_filled_too(tmp_path, exchange):
    settings = settings_for(exchange.endpoints, with_api=True)
    settings["as_of"] = "2025-03-09"
    settings["datasets"] = [
        {
            "trade_type": "um_futures",
            "data_type": data_type,
            "interval": "15m",
            "symbols": ["NEWUSDT"],
        }
        for data_type in ("markPriceKlines", "indexPriceKlines", "premiumIndexKlines")
    ]
    workspace = Workspace(tmp_path, settings)
    for dataset in settings["datasets"]:
        name = dataset["data_type"]
        folder = f"data/futures/um/daily/{name}/NEWUSDT/15m"
        exchange.exchange.withhold(f"{folder}/NEWUSDT-15m-2025-03-08.zip")

    workspace.build()

    for dataset in settings["datasets"]:
        found = holes(workspace, data_type=f"{dataset['data_type']}/{{}}/15m")
        assert found == [("03-08T00:00", "missing_file", 96, "filled")]


# --- by hand


def by_hand(workspace, *arguments):
    """Run `bhds api-data` with the settings of a workspace."""
    workspace.command()  # writes the settings
    command = [
        *(str(Path(sys.executable).with_name("bhds")), "api-data", *arguments),
        *("--configfile", str(workspace.folder / "config.yaml"), "--cores", "2"),
    ]
    return called(command, workspace.folder)


def test_fills_of_named_symbols_are_built_by_a_command(filled, exchange):
    exchange.exchange.withhold(young_key(9).replace(YOUNG, "龙虾USDT"))
    for command, data_type in [
        (("missing-kline", "um_futures", "1m", "龙虾USDT"), "klines/{}/1m"),
        (("recent-funding", "um_futures", "龙虾USDT"), "fundingRate/{}"),
    ]:
        done = by_hand(filled, *command)

        assert done.status == 0, done.text
        statuses = [
            hole[3]
            for hole in holes(filled, "龙虾USDT", data_type=data_type)
            if hole[1] == "tail"
        ]
        assert statuses == ["filled"]
    assert not filled.path("results_data").exists()
    assert not list(filled.data.rglob("NEWUSDT*"))
    assert by_hand(filled, *command, "--dry-run").is_idle
