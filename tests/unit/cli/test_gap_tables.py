"""The gaps of results, read and shown."""

import datetime as dt
import io

import polars as pl
import pytest

from bhds.cli import gap_tables
from bhds.core.errors import ResultError
from bhds.core.markets import TradeType
from bhds.io import storage
from bhds.schemas.quality_tables import CLASSIFIED_GAPS, GAP_EVIDENCE

BEGIN = dt.datetime(2025, 3, 1, 5, tzinfo=dt.UTC)
UM = TradeType.UM_FUTURES


def gap(symbol, hours, *, is_tail=False):
    return dict.fromkeys(CLASSIFIED_GAPS) | {
        "symbol": symbol,
        "prev_open_time": BEGIN,
        "next_open_time": None if is_tail else BEGIN + dt.timedelta(hours=hours),
        "missing_bars": hours - 1,
        "untraded_bars": 0,
        "duration": dt.timedelta(hours=hours),
        "price_change": None if is_tail else -0.25,
        "split": False,
        "class": "halt",
    }


@pytest.fixture
def data_dir(tmp_path):
    classified = [gap("AUSDT", 4), gap("龙虾USDT", 30)]
    own = [gap("AUSDT", 4), gap("AUSDT", 9, is_tail=True)]
    storage.write_parquet(
        pl.DataFrame(classified, schema=CLASSIFIED_GAPS),
        tmp_path / gap_tables.classified_path(UM, "1h"),
        metadata={},
    )
    rows = [{name: row[name] for name in GAP_EVIDENCE} for row in own]
    storage.write_parquet(
        pl.DataFrame(rows, schema=GAP_EVIDENCE),
        tmp_path / "results_data/um_futures/klines/1h/gaps/AUSDT.parquet",
        metadata={},
    )
    return tmp_path


def read(data_dir, *symbols):
    return gap_tables.read_gaps(
        data_dir, trade_type=UM, interval="1h", symbols=symbols or None
    )


def test_of_all_symbols_the_table_of_the_market_is_read(data_dir):
    assert read(data_dir)["symbol"].to_list() == ["AUSDT", "龙虾USDT"]


def test_a_gap_of_a_symbol_has_the_class_that_was_found_of_this_very_gap(data_dir):
    found = read(data_dir, "AUSDT")

    assert found["class"].to_list() == ["halt", None]


def test_without_the_table_of_the_market_no_class_is_known(data_dir):
    (data_dir / gap_tables.classified_path(UM, "1h")).unlink()

    assert read(data_dir, "AUSDT")["class"].to_list() == [None, None]
    assert read(data_dir).is_empty()


def test_a_symbol_without_a_result_is_named(data_dir):
    with pytest.raises(ResultError, match=r"BUSDT\.parquet"):
        read(data_dir, "BUSDT")


def test_documents_hold_times_and_seconds(data_dir):
    first, tail = gap_tables.documents(read(data_dir, "AUSDT"))

    assert first["prev_open_time"] == "2025-03-01T05:00:00.000000+00:00"
    assert first["duration_s"] == 4 * 3600
    assert (tail["next_open_time"], tail["price_change"]) == (None, None)


@pytest.mark.parametrize("columns", ["160", "80"])
def test_people_see_when_how_long_and_why(data_dir, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    out = io.StringIO()

    gap_tables.show(read(data_dir), file=out)

    lines = out.getvalue().splitlines()
    row = next(line for line in lines if line.startswith("龙虾USDT"))
    assert "2025-03-01 05:00" in row
    assert "1 day, 6:00:00" in row
    assert "-25.00%" in row
    assert row.rstrip().endswith("halt")
    assert lines[-1] == "2 gaps"
