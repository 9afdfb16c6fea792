from pathlib import Path

import pytest

from bhds.errors import ConfigError, ResultError, SelectionError
from bhds.reader.files import Market, of_partitions, of_results
from bhds.reader.period import Period


def test_data_are_where_the_environment_says(monkeypatch):
    monkeypatch.setenv("CRYPTO_BASE_DIR", "/base")
    assert Market.of("spot", None).results == Path(
        "/base/binance_data/results_data/spot"
    )
    monkeypatch.delenv("CRYPTO_BASE_DIR")
    assert Market.of("spot", None).data_dir == Path("binance_data")
    assert Market.of("spot", "elsewhere").data_dir == Path("elsewhere")
    monkeypatch.setenv("HOME", "/home/me")
    assert Market.of("spot", "~/data").data_dir == Path("/home/me/data")
    monkeypatch.setenv("CRYPTO_BASE_DIR", "~")
    assert Market.of("spot", None).data_dir == Path("/home/me/binance_data")


def test_a_market_that_is_none_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'um_futures'"):
        Market.of("um_future", None)


def test_results_are_by_symbol(data):
    folder = data.path("klines/1m")
    assert [f.symbol for f in of_results(folder, None, suffix=".pqt")] == [
        "AUSDT",
        "BUSDT",
        "币安人生USDT",
    ]
    chosen = of_results(folder, ["BUSDT", "AUSDT", "BUSDT"], suffix=".pqt")
    assert [f.symbol for f in chosen] == ["AUSDT", "BUSDT"]
    assert [f.path.name for f in of_results(folder, "BUSDT", suffix=".pqt")] == [
        "BUSDT.pqt"
    ]


def test_what_a_job_is_still_writing_is_no_result(data):
    (data.path("klines/1m") / ".CUSDT.pqt.77.partial").touch()
    (data.path("klines/1m") / ".CUSDT.pqt").touch()
    files = of_results(data.path("klines/1m"), None, suffix=".pqt")
    assert len(files) == 3


def test_a_typing_error_is_told_with_the_nearest_name(data):
    with pytest.raises(SelectionError, match="did you mean 'AUSDT'"):
        of_results(data.path("klines/1m"), "AUSD", suffix=".pqt")


def test_what_was_not_built_is_told_with_what_was(data):
    with pytest.raises(ResultError, match="nothing was built here; beside it: 1m"):
        of_results(data.path("klines/5m"), None, suffix=".pqt")


def test_partitions_are_by_symbol_and_time_and_only_those_of_the_period(tmp_path):
    for name in ("B/2024-12", "B/2025-03", "A/2025-02", "A/2025-01"):
        path = tmp_path / f"{name}.parquet"
        path.parent.mkdir(exist_ok=True)
        path.touch()
        path.with_suffix(".sources.json").touch()
    found = of_partitions(
        tmp_path, None, interval=None, period=Period.of("2025-01-15", None)
    )
    assert [f"{f.symbol}/{f.path.stem}" for f in found] == [
        "A/2025-01",
        "A/2025-02",
        "B/2025-03",
    ]


def test_partitions_of_bars_lie_in_a_folder_an_interval(tmp_path):
    (tmp_path / "A" / "1m").mkdir(parents=True)
    (tmp_path / "A" / "1m" / "2025.parquet").touch()
    (tmp_path / "B" / "5m").mkdir(parents=True)
    found = of_partitions(tmp_path, None, interval="1m", period=Period())
    assert [f.symbol for f in found] == ["A"]
    with pytest.raises(ResultError, match="nothing was built here of 1h"):
        of_partitions(tmp_path, None, interval="1h", period=Period())
