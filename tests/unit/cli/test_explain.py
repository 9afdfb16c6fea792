"""The command that tells where a bar came from."""

import datetime as dt
import json

import polars as pl
import pytest
from typer.testing import CliRunner

from bhds.cli.app import app
from bhds.core.markets import TradeType
from bhds.io import storage
from bhds.schemas.klines import result_klines
from bhds.schemas.quality_tables import GAP_EVIDENCE

OPEN_TIME = dt.datetime(2025, 3, 1, 13, tzinfo=dt.UTC)


def put_result(data_dir, symbol, *, market="um_futures", interval="1h"):
    schema = result_klines(TradeType(market))
    row = dict.fromkeys(schema, 1.0) | {
        "open_time": OPEN_TIME,
        "trade_count": 3,
        "funding_rate": None,
        "segment": 0,
        "source": "daily",
    }
    folder = data_dir / f"results_data/{market}/klines/{interval}"
    storage.write_parquet(
        pl.DataFrame([row], schema=schema),
        folder / f"{symbol}.pqt",
        metadata={"as_of": "2025-03-09"},
        symbol=symbol,
    )
    storage.write_parquet(
        GAP_EVIDENCE.to_frame(), folder / "gaps" / f"{symbol}.parquet", metadata={}
    )


@pytest.fixture
def data_dir(tmp_path):
    put_result(tmp_path, "BTCUSDT")
    put_result(tmp_path, "BTCUSDT", interval="1d")
    put_result(tmp_path, "ETHUSDT", market="spot")
    return tmp_path


@pytest.fixture
def explain(data_dir):
    def run(*arguments):
        return CliRunner().invoke(
            app, ["explain", *arguments, "--data-dir", str(data_dir)]
        )

    return run


@pytest.mark.parametrize(
    "time",
    [
        "2025-03-01T13:05",
        "2025-03-01 13:05",
        "2025-03-01T13:05:00Z",
        "2025-03-01T14:05+01:00",
        "1740834300",
        "1740834300000",
        "1740834300000000",
    ],
)
def test_a_moment_is_read_in_many_forms(explain, time):
    document = json.loads(explain("BTCUSDT", time, "--json").stdout)

    assert document["time"] == "2025-03-01T13:05:00+00:00"
    assert document["open_time"] == "2025-03-01T13:00:00+00:00"


def test_market_and_interval_are_found_where_they_are_not_named(explain):
    document = json.loads(explain("BTCUSDT", "2025-03-01T13:05", "--json").stdout)

    assert (document["trade_type"], document["interval"]) == ("um_futures", "1h")
    assert document["state"] == "bar"


def test_an_interval_can_be_named(explain):
    result = explain("BTCUSDT", "2025-03-01T13:05", "--interval", "1d", "--json")

    assert json.loads(result.stdout)["interval"] == "1d"


def test_what_people_read_names_the_bar_and_its_faults(explain):
    told = explain("BTCUSDT", "2025-03-01T13:05").stdout

    assert told.startswith("um_futures BTCUSDT 1h  2025-03-01 13:00 UTC\n")
    assert "published; taken from daily" in told
    assert "WARNING: nothing on disk publishes this bar any more" in told
    assert "open=1.0" in told


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["BTCUSDT", "noon"], ["time 'noon'", "ISO 8601"]),
        (["BTCUSDT", "17"], ["time '17'", "ISO 8601"]),
        (["BTCUSTD", "2025-03-01"], ["'BTCUSTD'", "did you mean 'BTCUSDT'?"]),
        (
            ["BTCUSTD", "2025-03-01", *("--trade-type", "um_futures")],
            ["did you mean 'BTCUSDT'?"],
        ),
        (["BTCUSDT", "2025-03-01", "--interval", "5x"], ["interval '5x'"]),
        (["BTCUSDT", "2025-03-01", "--interval", "5m"], ["none exist", "generate"]),
        (["BTCUSDT", "2025-03-01", "--rule", "4h"], ["resampled bars", "'BTCUSDT'"]),
    ],
)
def test_a_mistake_is_one_line(explain, arguments, words):
    result = explain(*arguments)

    assert result.exit_code == 1
    message = str(result.exception)
    assert message.startswith("bhds: error: ")
    assert "\n" not in message
    assert all(word in message for word in words)


def test_of_several_markets_one_must_be_named(explain, data_dir):
    put_result(data_dir, "BTCUSDT", market="spot")

    result = explain("BTCUSDT", "2025-03-01T13:05")
    named = explain("BTCUSDT", "2025-03-01T13:05", *("--trade-type", "spot"), "--json")

    assert "spot and um_futures have results" in str(result.exception)
    assert json.loads(named.stdout)["trade_type"] == "spot"
