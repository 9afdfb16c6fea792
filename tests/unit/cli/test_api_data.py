"""Bars that are asked for by hand."""

import json
from dataclasses import asdict
from pathlib import Path

import polars as pl
import pytest
import yaml
from typer.testing import CliRunner

from bhds.cli.app import app
from bhds.core.markets import TradeType
from bhds.instruments import read_exchange_info
from bhds.io import storage
from bhds.sandbox.exchange import Exchange
from bhds.sandbox.server import serving
from bhds.sandbox.universe import Universe
from bhds.schemas.klines import parsed_klines, with_symbol

UM = TradeType.UM_FUTURES
UNIVERSE = Universe.model_validate(
    {
        "seed": 3,
        "symbols": [
            {
                "market": "um_futures",
                "name": name,
                "base_asset": name[:-4],
                "contract_type": "PERPETUAL",
                "listed": "2025-03-05T00:00:00Z",
                "price": 100,
                "price_decimals": 2,
                "tick": "0.01",
                "quantity_decimals": 3,
                "quantity_per_trade": 2,
                "trades_per_minute": 200,
            }
            for name in ("AUSDT", "龙虾USDT")
        ],
    }
)


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    exchange = Exchange(UNIVERSE, cache_dir=tmp_path_factory.mktemp("cache"))
    with exchange, serving(exchange) as served:
        yield served


@pytest.fixture
def kline(tmp_path, running):
    """Return a function that asks for hourly bars by hand."""
    config = tmp_path / "config.yaml"
    settings = {
        "data_dir": str(tmp_path / "data"),
        "endpoints": asdict(running.endpoints),
        "datasets": [{"trade_type": "um_futures"}],
    }
    config.write_text(yaml.safe_dump(settings))

    def run(*arguments, start="2025-03-06", end="2025-03-07", interval="1h"):
        return CliRunner().invoke(
            app,
            [
                *("api-data", "kline", "um_futures", interval, *arguments),
                *("--start", start, "--end", end, "--configfile", str(config)),
            ],
        )

    return run


def test_each_symbol_becomes_a_file_of_the_days_asked_for(kline, tmp_path):
    outcome = kline("AUSDT", "龙虾USDT")

    assert outcome.exit_code == 0, outcome.output
    folder = tmp_path / "data/api_data/by_hand/um_futures/klines/1h"
    for symbol in ("AUSDT", "龙虾USDT"):
        path = folder / f"{symbol}-2025-03-06-2025-03-07.parquet"
        frame = pl.read_parquet(path)
        assert frame.schema == with_symbol(parsed_klines(UM))
        assert frame["symbol"].unique().to_list() == [symbol]
        assert frame.height == 48
        assert str(frame["open_time"][0]) == "2025-03-06 00:00:00+00:00"
        metadata = storage.read_parquet_metadata(path)
        assert (metadata["first_day"], metadata["as_of"]) == (
            "2025-03-06",
            "2025-03-07",
        )
        assert f"{symbol}: 48 bars, 2025-03-06T00:00" in outcome.output
    assert "4 requests, weight 4" in outcome.output


def test_bars_that_are_not_closed_are_left_out(kline, tmp_path):
    """The sandbox's clock stands at noon of March 10."""
    outcome = kline("AUSDT", "--output", str(tmp_path / "out"), end="2025-03-12")

    assert outcome.exit_code == 0, outcome.output
    frame = pl.read_parquet(tmp_path / "out/AUSDT-2025-03-06-2025-03-12.parquet")
    assert str(frame["open_time"][-1]) == "2025-03-10 11:00:00+00:00"


def test_other_prices_can_be_asked_for(kline, tmp_path):
    outcome = kline(
        "AUSDT", "--data-type", "markPriceKlines", "--output", str(tmp_path)
    )

    assert outcome.exit_code == 0, outcome.output
    frame = pl.read_parquet(tmp_path / "AUSDT-2025-03-06-2025-03-07.parquet")
    assert "volume" not in frame.columns
    assert frame.height == 48


def test_machines_get_one_document(kline):
    outcome = kline("AUSDT", "--json")

    told = json.loads(outcome.stdout)
    (file,) = told["files"]
    assert (file["symbol"], file["rows"]) == ("AUSDT", 48)
    assert Path(file["path"]).exists()
    assert told["faults"] == []
    assert told["requests"] == told["weight"] == 2


@pytest.mark.parametrize("name", ["NOUSDT", "../NOUSDT"])
def test_a_wrong_symbol_is_told_and_leaves_the_others(kline, tmp_path, name):
    outcome = kline(name, "AUSDT", "--output", str(tmp_path / "out"))

    assert outcome.exit_code == 1
    (line,) = [line for line in outcome.stderr.splitlines() if "error" in line]
    assert "NOUSDT" in line
    assert [path.name for path in (tmp_path / "out").iterdir()] == [
        "AUSDT-2025-03-06-2025-03-07.parquet"
    ]
    assert not list(tmp_path.glob("*.parquet"))


@pytest.mark.parametrize(
    ("changes", "arguments", "said"),
    [
        ({"start": "2025-03-08"}, [], "start 2025-03-08 is later than end 2025-03-07"),
        ({"interval": "7x"}, [], "interval '7x'"),
        ({"interval": "1s"}, [], "interval 1s"),
        ({}, ["--data-type", "trades"], "data type 'trades'"),
        ({}, ["--config", "offline=true"], "offline: true"),
        ({}, ["--config", "api.enabled=false"], "api.enabled: false"),
    ],
)
def test_what_cannot_be_asked_is_one_line_before_any_request(
    kline, running, changes, arguments, said
):
    before = running.exchange.requests.total()

    outcome = kline("AUSDT", *arguments, **changes)

    assert outcome.exit_code == 1
    told = str(outcome.exception)  # which the interpreter prints
    assert told.startswith("bhds: error: ")
    assert said in told
    assert len(told.splitlines()) == 1
    assert running.exchange.requests.total() == before


def test_a_refused_place_is_told_once(kline, running):
    running.exchange.api_faults.add("refuse", status=451, times=None)
    try:
        outcome = kline("AUSDT", "龙虾USDT")
    finally:
        running.exchange.api_faults.clear()

    assert outcome.exit_code == 1
    (line,) = outcome.stderr.strip().splitlines()
    assert "451" in line


@pytest.fixture
def exchange_info(tmp_path, running):
    """Return a function that records what the exchange says of its symbols."""
    config = tmp_path / "config.yaml"
    settings = {
        "data_dir": str(tmp_path / "data"),
        "endpoints": asdict(running.endpoints),
        "datasets": [{"trade_type": "um_futures"}, {"trade_type": "option"}],
    }
    settings["datasets"][1]["data_type"] = "BVOLIndex"
    config.write_text(yaml.safe_dump(settings))

    def call(*arguments):
        command = ["api-data", "exchange-info", *arguments]
        return CliRunner().invoke(app, [*command, "--configfile", str(config)])

    return call


def test_what_the_exchange_says_of_symbols_is_recorded(exchange_info, tmp_path):
    outcome = exchange_info()

    assert outcome.exit_code == 0, outcome.output
    path = tmp_path / "data/api_data/um_futures/exchangeInfo.json"
    assert outcome.stdout.splitlines() == [f"um_futures: 2 symbols: {path}"]
    known = read_exchange_info(path)
    assert known["AUSDT"]["contractType"] == "PERPETUAL"
    assert list(path.parent.iterdir()) == [path]


def test_a_market_without_symbols_leaves_what_was_recorded(exchange_info, tmp_path):
    path = tmp_path / "data/api_data/spot/exchangeInfo.json"
    path.parent.mkdir(parents=True)
    path.write_text("before")

    outcome = exchange_info("spot")

    assert outcome.exit_code == 1
    assert "bhds: error: " in str(outcome.exception)
    assert path.read_text() == "before"


def test_a_market_that_is_not_asked_is_refused(exchange_info):
    outcome = exchange_info("option")

    assert outcome.exit_code == 1
    assert "name some of spot, um_futures, cm_futures" in str(outcome.exception)
