"""The demo's settings, and the table of what came out of it."""

import datetime as dt
import io

import polars as pl
import pytest
from rich.console import Console

import bhds
from bhds import config, demo
from bhds.config import documents
from bhds.core.markets import TradeType
from bhds.core.timegrid import TIME
from bhds.io import storage
from bhds.sandbox.endpoints import SandboxEndpoints
from bhds.schemas.klines import RESULT_SOURCES, result_klines

START = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
RESULT = {"open_time": TIME, "segment": pl.Int16, "source": RESULT_SOURCES}


@pytest.fixture
def settings(tmp_path):
    path = demo.write_config(
        tmp_path / "demo", SandboxEndpoints.at("http://127.0.0.1:8080")
    )
    return config.load(documents.read(path).values, environment={})


def test_the_settings_are_valid_and_keep_data_beside_them(settings, tmp_path):
    assert settings.data_dir == tmp_path / "demo"
    assert (tmp_path / "demo" / "config.yaml").exists()


def test_the_demo_asks_the_sandbox_alone(settings):
    addresses = settings.endpoints.model_dump().values()

    assert {address[:21] for address in addresses} == {"http://127.0.0.1:8080"}


def test_the_demo_ends_where_the_sandbox_does(settings):
    assert settings.as_of == dt.date(2025, 3, 9)


def test_the_demo_covers_every_market_of_klines_and_resamples_each(settings):
    markets = {dataset.trade_type for dataset in settings.datasets}
    assert markets == set(TradeType) - {TradeType.OPTION}
    of_minutes = [each for each in settings.datasets if each.interval == "1m"]
    assert {dataset.trade_type for dataset in of_minutes} == markets
    for dataset in of_minutes:
        rules = [each.rule.name for each in dataset.results.resample]
        assert rules == ["1h", "1h_5m", "1d"]


def write_result(data_dir, market, symbol, *, rows):
    path = data_dir / "results_data" / market / "klines" / "1m" / f"{symbol}.pqt"
    path.parent.mkdir(parents=True, exist_ok=True)
    pl.DataFrame(rows, schema=RESULT, orient="row").write_parquet(path)


def write_quality(data_dir, market, *, conditions, equal=7):
    folder = data_dir / "results_data" / market / "quality"
    folder.mkdir(parents=True, exist_ok=True)
    days = pl.DataFrame({"condition": conditions})
    days.write_parquet(folder / "condition-klines-1m.parquet")
    reconciliation = pl.DataFrame({"n_compared": [7, 7], "n_equal": [7, equal]})
    reconciliation.write_parquet(folder / "reconciliation-1m.parquet")


def shown(data_dir):
    if not (data_dir / "results_data/spot/quality").exists():
        write_quality(data_dir, "spot", conditions=["available"])
    text = io.StringIO()
    demo.show_results(data_dir, Console(file=text, width=120, force_terminal=False))
    return text.getvalue()


def test_a_result_is_one_line_with_its_counts_and_times(tmp_path):
    sources = {7: "filled", 50: "api", 51: "api"}
    bars = [
        (START + dt.timedelta(minutes=minute), int(minute > 1_000), source)
        for minute in range(1_500)
        for source in [sources.get(minute % 100, "daily")]
    ]
    write_result(tmp_path, "um_futures", "AUSDT", rows=bars)

    (line,) = [line for line in shown(tmp_path).splitlines() if "AUSDT" in line]

    fields = line.split()
    assert fields[:2] == ["um_futures", "AUSDT"]
    assert fields[2:6] == ["2025-01-01", "00:00", "2025-01-02", "00:59"]
    assert fields[6:10] == ["1,500", "30", "15", "2"]


def test_results_are_in_order_of_market_and_symbol(tmp_path):
    bar = [(START, 0, "daily")]
    for market, symbol in [("um_futures", "A"), ("spot", "ZUSDT"), ("spot", "BUSDT")]:
        write_result(tmp_path, market, symbol, rows=bar)

    rows = [line.split()[:2] for line in shown(tmp_path).splitlines()]

    found = [row for row in rows if row and row[0] in {"spot", "um_futures"}]
    assert found == [["spot", "BUSDT"], ["spot", "ZUSDT"], ["um_futures", "A"]]


def test_a_result_without_bars_is_shown_too(tmp_path):
    write_result(tmp_path, "spot", "AUSDT", rows=[])

    (line,) = [line for line in shown(tmp_path).splitlines() if "AUSDT" in line]

    assert line.split()[:5] == ["spot", "AUSDT", "0", "0", "0"]


def test_resampled_files_are_counted_and_their_rules_named(tmp_path):
    for rule, symbol in [("1h", "AUSDT"), ("1h", "BUSDT"), ("1h_5m", "AUSDT")]:
        root = tmp_path / "results_data/spot/resampled_klines"
        path = root / rule / f"{symbol}.pqt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

    assert "Resampled:  3 files, rules 1h, 1h_5m\n" in shown(tmp_path)
    assert f"Results:    {tmp_path / 'results_data'}\n" in shown(tmp_path)


def test_the_report_is_named_with_its_whole_path(tmp_path):
    path = tmp_path / "reports" / "quality.html"

    assert f"Report:     {path}\n" in shown(tmp_path)


def test_it_ends_with_a_line_of_python_that_reads_what_was_built(tmp_path):
    folder = tmp_path / "results_data/um_futures/klines/1m"
    folder.mkdir(parents=True)
    bars = pl.DataFrame({"open_time": [START]}).match_to_schema(
        result_klines(TradeType.UM_FUTURES),
        missing_columns="insert",
        float_cast="upcast",
    )
    storage.write_parquet(bars, folder / "AUSDT.pqt", metadata={}, symbol="AUSDT")

    (line,) = [line for line in shown(tmp_path).splitlines() if "import bhds" in line]

    program, _, read = line.removeprefix("Read:       ").partition("; ")
    assert program == "import bhds"
    found = eval(read, {"bhds": bhds})  # noqa: S307 -- our own words
    assert found["symbol"].to_list() == ["AUSDT"]


def test_days_are_counted_by_condition_and_reconciled_values_by_equality(tmp_path):
    write_quality(tmp_path, "spot", conditions=["available"] * 1_200 + ["missing"])
    write_quality(tmp_path, "um_futures", conditions=["missing"], equal=5)

    lines = shown(tmp_path).splitlines()

    assert "Days:       1,200 available, 2 missing" in lines
    reconciled = "26 of 28 published values equal those built from 1m bars"
    assert f"Reconciled: {reconciled}" in lines
