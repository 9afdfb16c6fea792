import datetime as dt

import polars as pl
import pytest

from bhds.core.errors import ResultError, SelectionError
from bhds.io import storage
from bhds.reader import tables
from bhds.schemas import quality_tables

from .conftest import START, make_rows


def minute(count):
    return START + dt.timedelta(minutes=count)


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
        quality_tables.CLASSIFIED_GAPS,
        symbol=["AUSDT", "AUSDT"],
        prev_open_time=[minute(10), minute(100)],
        next_open_time=[minute(20), None],
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
    assert found.collect()["prev_open_time"].to_list() == [
        minute(count) for count in last_open_minutes
    ]


def test_a_symbol_without_gaps_has_none_and_one_that_was_not_judged_is_refused(gaps):
    gaps.condition(
        ["AUSDT 2025-03-01 degraded", "BUSDT 2025-03-01 available"], as_of="2025-03-03"
    )
    folder = {"data_dir": gaps.folder}
    assert tables.gaps("um_futures", symbols="BUSDT", **folder).collect().is_empty()
    both = tables.gaps("um_futures", symbols=["AUSDT", "BUSDT"], **folder).collect()
    assert both["symbol"].to_list() == ["AUSDT", "AUSDT"]
    with pytest.raises(SelectionError, match="did you mean 'BUSDT'"):
        tables.gaps("um_futures", symbols="BUSD", **folder)


@pytest.mark.parametrize("data_type", ["klines", "markPriceKlines"])
def test_condition_of_bars_is_of_minutes_unless_said_otherwise(data, data_type):
    data.condition(
        ["AUSDT 2025-03-01 available"], as_of="2025-03-03", series=f"{data_type}-1m"
    )
    found = tables.condition("um_futures", data_type, data_dir=data.folder)
    assert found.collect().height == 1


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
    assert found.schema == quality_tables.CONDITION
    assert found["day"].to_list() == [dt.date(2025, 3, 1), dt.date(2025, 3, 2)]
    with pytest.raises(SelectionError, match="did you mean 'AUSDT'"):
        tables.condition("um_futures", symbols=["AUSD"], data_dir=data.folder)


@pytest.mark.parametrize("table", [tables.gaps, tables.condition])
def test_tables_that_were_not_built_say_how_to(data, table):
    with pytest.raises(ResultError, match=r"not built.*snakemake quality_all"):
        table("um_futures", data_dir=data.folder)
