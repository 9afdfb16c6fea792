import datetime as dt
import json

import polars as pl
import pytest

from bhds import columns, storage
from bhds.errors import ConfigError, ResultError, SelectionError
from bhds.reader import tables

from .conftest import START, make_rows


def minute(count):
    return START + dt.timedelta(minutes=count)


def test_universe_has_delisted_symbols_too(data):
    found = tables.universe("um_futures", data_dir=data.folder)
    assert found.schema == tables.UNIVERSE
    assert found["symbol"].to_list() == ["AUSDT", "BUSDT", "币安人生USDT"]
    busdt = found.row(1, named=True)
    assert (busdt["base"], busdt["quote"]) == ("B", "USDT")
    assert busdt["contract_type"] == "PERPETUAL"
    assert busdt["first_traded"] == minute(1440)
    assert busdt["last_traded"] == minute(2 * 1440 - 1)
    assert busdt["built_until"] == dt.date(2025, 3, 2)


@pytest.mark.parametrize(
    ("as_of", "symbols"),
    [
        ("2025-02-28", []),
        ("2025-03-01", ["AUSDT"]),
        (dt.date(2025, 3, 2), ["AUSDT", "BUSDT"]),
        ("2025-03-03", ["AUSDT", "币安人生USDT"]),
    ],
)
def test_universe_of_a_day_is_what_was_traded_then(data, as_of, symbols):
    found = tables.universe("um_futures", as_of=as_of, data_dir=data.folder)
    assert found["symbol"].to_list() == symbols


def test_universe_of_a_day_does_not_know_the_future(data):
    found = tables.universe("um_futures", as_of="2025-03-02", data_dir=data.folder)
    assert found["last_traded"].to_list() == [None, minute(2 * 1440 - 1)]


@pytest.mark.parametrize(
    ("as_of", "message"),
    [
        ("2025-03-04", "as_of 2025-03-04: the results reach to 2025-03-03"),
        ("March", "as_of 'March': expected a UTC day"),
        (START, "expected a UTC day"),
    ],
)
def test_universe_of_no_known_day_is_refused(data, as_of, message):
    with pytest.raises(ConfigError, match=message):
        tables.universe("um_futures", as_of=as_of, data_dir=data.folder)


def test_universe_believes_the_exchange_before_names(data):
    entry = {
        "symbol": "AUSDT",
        "baseAsset": "AUS",
        "quoteAsset": "DT",
        "contractType": "TRADIFI_PERPETUAL",
    }
    path = data.folder / "api_data/um_futures/exchangeInfo.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"symbols": [entry]}))
    first = tables.universe("um_futures", data_dir=data.folder).row(0, named=True)
    assert (first["base"], first["contract_type"]) == ("AUS", "TRADIFI_PERPETUAL")


def test_a_symbol_that_never_traded_has_no_life(data):
    storage.write_parquet(
        columns.GAPS.to_frame(),
        data.path("klines/1m/gaps/CUSDT.parquet"),
        metadata={"as_of": "2025-03-03", "first_traded": "", "last_traded": ""},
    )
    found = tables.universe("um_futures", data_dir=data.folder)
    assert found.filter(symbol="CUSDT")["first_traded"].to_list() == [None]
    of_day = tables.universe("um_futures", as_of="2025-03-03", data_dir=data.folder)
    assert "CUSDT" not in of_day["symbol"]


def test_segments_are_first_and_last_bars(data):
    path = data.path("klines/1m/AUSDT.pqt")
    bars = storage.read_rows(path)
    cut = pl.col("open_time") >= minute(2000)
    second = bars.filter(cut).with_columns(segment=pl.lit(1, pl.Int16))
    both = pl.concat([bars.filter(~cut)[:-10], second])
    storage.write_parquet(both, path, metadata={}, symbol="AUSDT")
    found = tables.segments("um_futures", symbols="AUSDT", data_dir=data.folder)
    assert found.rows() == [
        ("AUSDT", 0, START, minute(1989)),
        ("AUSDT", 1, minute(2000), minute(3 * 1440 - 1)),
    ]


@pytest.fixture
def gaps(data):
    """AUSDT: a gap from minute 10 to 20, and one without an end from 100 on."""
    rows = make_rows(
        columns.CLASSIFIED_GAPS,
        symbol=["AUSDT", "AUSDT"],
        last_open_time=[minute(10), minute(100)],
        first_open_time=[minute(20), None],
    )
    storage.write_parquet(
        rows,
        data.path("quality/gaps-1m.parquet"),
        metadata={},
    )
    return data


@pytest.mark.parametrize(
    ("start", "end", "last_open_minutes"),
    [
        (None, None, [10, 100]),
        (minute(15), minute(16), [10]),
        (minute(20), minute(100), []),
        (minute(19), None, [10, 100]),
        (minute(500), None, [100]),
        (None, minute(10), []),
    ],
)
def test_gaps_are_those_that_overlap(gaps, start, end, last_open_minutes):
    found = tables.gaps("um_futures", start=start, end=end, data_dir=gaps.folder)
    assert found.collect()["last_open_time"].to_list() == [
        minute(count) for count in last_open_minutes
    ]


def test_condition_is_of_days_and_symbols(data):
    data.condition(
        [f"AUSDT 2025-03-0{day} available" for day in (1, 2, 3)]
        + ["BUSDT 2025-03-02 degraded"],
        as_of="2025-03-03",
    )
    found = tables.condition(
        "um_futures",
        symbols="AUSDT",
        start="2025-03-01T12:00",
        end="2025-03-03",
        data_dir=data.folder,
    ).collect()
    assert found.schema == columns.CONDITION
    assert found["day"].to_list() == [dt.date(2025, 3, 1), dt.date(2025, 3, 2)]
    with pytest.raises(SelectionError, match="did you mean 'AUSDT'"):
        tables.condition("um_futures", symbols=["AUSD"], data_dir=data.folder)


@pytest.mark.parametrize("table", [tables.gaps, tables.condition])
def test_tables_that_were_not_built_say_how_to(data, table):
    with pytest.raises(ResultError, match=r"not built.*snakemake quality_all"):
        table("um_futures", data_dir=data.folder)
