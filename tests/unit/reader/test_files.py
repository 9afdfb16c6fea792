from pathlib import Path

import pytest

from bhds.core.errors import ConfigError, ResultError, SelectionError
from bhds.io import storage
from bhds.reader.files import BuiltMarket, of_records, of_results
from bhds.reader.period import TimeRange


def test_data_are_where_the_environment_says(monkeypatch):
    monkeypatch.setenv("CRYPTO_BASE_DIR", "/base")
    assert BuiltMarket.of("spot", None).results == Path(
        "/base/binance_data/results_data/spot"
    )
    monkeypatch.delenv("CRYPTO_BASE_DIR")
    assert BuiltMarket.of("spot", None).data_dir == Path("binance_data")
    assert BuiltMarket.of("spot", "elsewhere").data_dir == Path("elsewhere")
    monkeypatch.setenv("HOME", "/house")
    assert BuiltMarket.of("spot", "~/data").data_dir == Path("/house/data")
    monkeypatch.setenv("CRYPTO_BASE_DIR", "~")
    assert BuiltMarket.of("spot", None).data_dir == Path("/house/binance_data")


def test_a_market_that_is_none_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'um_futures'"):
        BuiltMarket.of("um_future", None)


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


def touch(folder, *names):
    for name in names:
        path = folder / f"{name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        path.with_suffix(".sources.json").touch()


def named(files):
    return [f"{file.symbol}/{file.path.stem}" for file in files]


def test_partitions_are_by_symbol_and_time_and_only_those_of_the_period(tmp_path):
    market = BuiltMarket.of("um_futures", tmp_path)
    touch(market.parsed / "trades", "B/2024-12", "B/2025-03", "A/2025-02", "A/2025-01")
    period = TimeRange.of("2025-01-15", None)
    found = of_records(market, "trades", None, interval=None, period=period)
    assert named(found.partitions) == ["A/2025-01", "A/2025-02", "B/2025-03"]
    assert found.backfills == []
    period = TimeRange.of("2025-04-15", None)
    found = of_records(market, "trades", None, interval=None, period=period)
    assert (found.symbols, found.all) == (["A", "B"], [])


def test_partitions_of_bars_lie_in_a_folder_an_interval(tmp_path):
    market = BuiltMarket.of("um_futures", tmp_path)
    touch(market.parsed / "markPriceKlines", "A/1m/2025", "B/5m/2025")

    def find(interval):
        return of_records(
            market, "markPriceKlines", None, interval=interval, period=TimeRange()
        )

    assert named(find("1m").partitions) == ["A/2025"]
    with pytest.raises(ResultError, match="nothing was built here of 1h"):
        find("1h")


@pytest.mark.parametrize(
    ("start", "end", "backfills"),
    [
        (None, None, ["A/all", "C/all"]),
        ("2025-03-10", "2025-04-01", ["C/all"]),
        ("2025-06-01", "2025-07-01", []),
        ("2023-10-01", "2023-10-20", ["A/all"]),
        ("2023-09-01", "2023-09-02", []),
        ("2026-01-15", None, []),
    ],
)
def test_backfills_with_rows_of_the_period_belong_to_records(
    tmp_path, start, end, backfills
):
    market = BuiltMarket.of("um_futures", tmp_path)
    touch(market.parsed / "markPriceKlines", "A/1m/2024", "B/1m/2025")
    written = {
        "A/1m/all": ("2023-10-11", "2023-10-13", 5),
        "B/1m/all": ("2025-01-01", "2025-12-31", 0),
        "C/1m/all": ("2025-03-01", "2025-03-31", 2),
        "C/5m/all": ("2025-03-01", "2025-03-31", 2),
    }
    for name, (start_day, end_day, found) in written.items():
        touch(market.backfills / "markPriceKlines", name)
        hole = {"start": start_day, "end": end_day, "found": found}
        sources = {"missing_ranges": [hole]}
        storage.write_json(
            sources, market.backfills / "markPriceKlines" / f"{name}.sources.json"
        )
    found = of_records(
        market,
        "markPriceKlines",
        None,
        interval="1m",
        period=TimeRange.of(start, end),
    )
    assert found.symbols == ["A", "B", "C"]
    assert named(found.backfills) == backfills


def test_a_backfill_without_its_sources_is_named(tmp_path):
    market = BuiltMarket.of("um_futures", tmp_path)
    touch(market.backfills / "fundingRate", "A/all")
    with pytest.raises(ResultError, match=r"A/all\.sources\.json: cannot be read"):
        of_records(market, "fundingRate", "A", interval=None, period=TimeRange())
