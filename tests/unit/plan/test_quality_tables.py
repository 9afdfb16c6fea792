"""Which quality tables are made, and of what."""

import datetime as dt
from dataclasses import replace

import polars as pl
import pytest

from bhds.config import Dataset
from bhds.core.errors import SelectionError
from bhds.plan.dataset import PlannedDataset
from bhds.plan.plan import Plan
from bhds.plan.quality_tables import QualityTables
from bhds.plan.series import Series

FOLDER = "results_data/um_futures/quality"
KLINES = "results_data/um_futures/klines"


def planned(*symbols, trade_type="um_futures", years=(2024,), **settings):
    """Return a dataset with one zip a symbol and year."""
    raw = {"trade_type": trade_type, "symbols": list(symbols), **settings}
    dataset = Dataset.model_validate(raw)
    rows = [
        (
            symbol,
            str(year),
            dt.date(year, 3, 1),
            dt.date(year, 3, 31),
            f"{symbol}{year}",
        )
        for symbol in symbols
        for year in years
    ]
    names = ["symbol", "partition", "first_day", "last_day", "path"]
    files = pl.DataFrame(rows, schema=names, orient="row").with_columns(
        is_checksum=pl.lit(value=False), state=pl.lit("present")
    )
    return PlannedDataset(dataset, tuple(sorted(symbols)), files)


def tables(*datasets):
    return QualityTables(Plan(list(datasets)))


def test_results_of_a_market_have_tables_of_gaps_conflicts_and_days():
    assert tables(planned("AUSDT"), planned("BUSDT")).paths == [
        f"{FOLDER}/condition-klines-1m.parquet",
        f"{FOLDER}/conflicts-1m.parquet",
        f"{FOLDER}/gaps-1m.parquet",
    ]


def test_a_table_is_made_of_all_symbols_of_its_market_and_interval():
    quality = tables(
        planned("AUSDT", "CUSDT"),
        planned("BUSDT"),
        planned("AUSDT", interval="1h"),
        planned("AUSDT", trade_type="spot"),
    )

    assert sorted(quality.of_symbols("days", "um_futures", "1m")) == [
        f"{KLINES}/1m/days/{symbol}.parquet" for symbol in ("AUSDT", "BUSDT", "CUSDT")
    ]
    assert quality.of_symbols("gaps", "um_futures", "1h") == [
        f"{KLINES}/1h/gaps/AUSDT.parquet"
    ]


def test_results_are_held_against_all_longer_bars_they_divide():
    quality = tables(
        planned("AUSDT", "BUSDT"),
        planned("AUSDT", interval="1h", years=(2023, 2024)),
        planned("AUSDT", interval="1d"),
        planned("AUSDT", interval="1d", trade_type="spot"),
    )
    minutes, hours = (
        Series("um_futures", "klines", "AUSDT", interval) for interval in ("1m", "1h")
    )

    parsed = "parsed_data/um_futures/klines/AUSDT"
    assert quality.published(minutes) == {
        "1h": [f"{parsed}/1h/2023.parquet", f"{parsed}/1h/2024.parquet"],
        "1d": [f"{parsed}/1d/2024.parquet"],
    }
    assert list(quality.published(hours)) == ["1d"]
    assert quality.of_symbols("reconciliation", "um_futures", "1m") == [
        f"{KLINES}/1m/reconciliation/AUSDT.parquet"
    ]
    assert quality.not_reconciled("um_futures", "1m") == [
        f"{KLINES}/1m/not_reconciled/AUSDT.parquet"
    ]
    assert quality.not_reconciled("um_futures", "1d") == []
    assert [path for path in quality.paths if "reconciliation" in path] == [
        f"{FOLDER}/reconciliation-1h.parquet",
        f"{FOLDER}/reconciliation-1m.parquet",
    ]


def test_without_longer_bars_there_is_nothing_to_compare():
    quality = tables(planned("AUSDT"), planned("BUSDT", interval="1h"))

    with pytest.raises(
        SelectionError, match="no bars of a longer interval are configured"
    ):
        quality.published(Series("um_futures", "klines", "AUSDT", "1m"))
    with pytest.raises(SelectionError, match="and one of longer ones"):
        quality.of_symbols("reconciliation", "um_futures", "1m")


def test_records_of_a_symbol_end_with_it():
    marks = planned("AUSDT", "BUSDT", data_type="markPriceKlines", interval="5m")
    quality = tables(
        replace(marks, ended=frozenset({"BUSDT"})),
        replace(planned("AUSDT", data_type="metrics"), ended=frozenset({"AUSDT"})),
    )

    assert quality.records_ended("um_futures", "markPriceKlines-5m") == ["BUSDT"]
    assert quality.records_ended("um_futures", "metrics") == ["AUSDT"]


def test_records_have_a_table_of_days_made_of_their_partitions():
    quality = tables(
        planned("AUSDT", "BUSDT", data_type="metrics", years=(2023, 2024)),
        planned("AUSDT", data_type="markPriceKlines", interval="5m"),
        planned("AUSDT", data_type="BVOLIndex", trade_type="option"),
    )

    assert quality.paths == [
        f"{FOLDER}/condition-markPriceKlines-5m.parquet",
        f"{FOLDER}/condition-metrics.parquet",
    ]
    assert quality.record_partitions("um_futures", "metrics") == [
        f"parsed_data/um_futures/metrics/{symbol}/{year}.parquet"
        for symbol in ("AUSDT", "BUSDT")
        for year in (2023, 2024)
    ]
    assert quality.record_partitions("um_futures", "markPriceKlines-5m") == [
        "parsed_data/um_futures/markPriceKlines/AUSDT/5m/2024.parquet"
    ]


@pytest.mark.parametrize("series", ["metrics", "markPriceKlines-1m"])
def test_tables_of_what_is_not_configured_are_refused(series):
    quality = tables(planned("AUSDT"))

    with pytest.raises(SelectionError, match="configure one"):
        quality.record_partitions("um_futures", series)
    with pytest.raises(SelectionError, match="configure one"):
        quality.of_symbols("gaps", "um_futures", "1h")


def test_nothing_configured_has_no_tables():
    assert tables().paths == []


def test_trades_are_held_against_the_shortest_bars_of_the_same_symbol():
    quality = tables(
        planned("AUSDT", "BUSDT", "CUSDT", data_type="aggTrades", years=(2023, 2024)),
        planned("AUSDT", interval="1h"),
        planned("AUSDT", "BUSDT", interval="1m"),
        planned("CUSDT", interval="1w"),
        planned("DUSDT", interval="1m"),
        planned("AUSDT", data_type="aggTrades", trade_type="spot"),
    )

    assert f"{FOLDER}/volume_checks.parquet" in quality.paths
    assert sum("volume_checks" in path for path in quality.paths) == 1
    assert quality.conditions_of_bars("um_futures") == [
        f"{FOLDER}/condition-klines-{interval}.parquet" for interval in ("1m", "1h")
    ]
    trades = f"{FOLDER}/condition-aggTrades.parquet"
    assert quality.conditions_of_trades("um_futures") == [trades]
    assert trades in quality.paths
    with pytest.raises(
        SelectionError, match="no symbol has both trades or aggTrades and"
    ):
        quality.conditions_of_bars("spot")


def test_bars_of_hours_and_days_will_do_to_hold_trades_against():
    trades = planned("AUSDT", data_type="aggTrades")
    for interval in ("1h", "1d"):
        quality = tables(trades, planned("AUSDT", interval=interval))
        assert quality.conditions_of_bars("um_futures") == [
            f"{FOLDER}/condition-klines-{interval}.parquet"
        ]
    for interval in ("3d", "1w", "1mo"):
        quality = tables(trades, planned("AUSDT", interval=interval))
        assert not [path for path in quality.paths if "volume_checks" in path]


def test_single_trades_are_preferred_to_aggregates():
    both = [planned("AUSDT", data_type=name) for name in ("aggTrades", "trades")]

    quality = tables(planned("AUSDT"), *both)

    assert quality.conditions_of_trades("um_futures") == [
        f"{FOLDER}/condition-{name}.parquet" for name in ("trades", "aggTrades")
    ]
