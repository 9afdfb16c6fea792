import datetime as dt

import polars as pl
import pytest

from bhds import storage
from bhds.columns import TIME
from bhds.errors import ResultError
from bhds.reader.files import SymbolFile
from bhds.reader.sources import Source

SCHEMA = pl.Schema({"time": TIME, "price": pl.Float64()})
START = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
ROWS_OF_A_GROUP = 1 << 18


def rows(height, *, price=1.0):
    times = pl.datetime_range(
        START, START + dt.timedelta(seconds=height - 1), "1s", eager=True
    )
    return pl.DataFrame({"time": times, "price": [price] * height}, schema=SCHEMA)


@pytest.fixture
def scan(tmp_path):
    """Scan files of some symbols, of as many rows as said, at a price of 1, 2, ..."""

    def make(conditions=(), **heights):
        files = []
        for number, (symbol, height) in enumerate(heights.items(), start=1):
            path = tmp_path / f"{symbol}.pqt"
            storage.write_parquet(rows(height, price=number), path, metadata={})
            files.append(SymbolFile(symbol, path))
        return Source(files, SCHEMA, list(conditions), "prices").scan()

    return make


def spoil(path, *, from_byte=0, length=None):
    """Overwrite a file's bytes, so that whoever reads them fails."""
    content = bytearray(path.read_bytes())
    end = len(content) if length is None else from_byte + length
    content[from_byte:end] = b"\xff" * (end - from_byte)
    path.write_bytes(content)


def test_rows_are_by_symbol_and_then_as_in_the_files(scan):
    frame = scan(A=2, B=1).collect()
    assert frame.columns == ["symbol", "time", "price"]
    assert frame.rows() == [
        ("A", START, 1.0),
        ("A", START + dt.timedelta(seconds=1), 1.0),
        ("B", START, 2.0),
    ]
    assert frame.schema == scan(A=2).collect_schema()


@pytest.mark.parametrize(
    "condition",
    [
        pl.col("symbol") == "B",
        pl.col("symbol").is_in(["B"]) & (pl.col("price") > 0),
        (pl.col("time") >= START) & (pl.col("price") > 0) & (pl.col("symbol") != "A"),
        pl.col("symbol").str.starts_with("B"),
    ],
)
def test_files_of_other_symbols_are_not_opened(scan, tmp_path, condition):
    frame = scan(A=3, B=2)
    spoil(tmp_path / "A.pqt")
    assert frame.filter(condition).collect().height == 2
    with pytest.raises(ResultError, match=r"A\.pqt: cannot be read"):
        frame.collect()


def test_the_plan_shows_what_goes_down_to_the_files(scan):
    wanted = (pl.col("symbol") == "B") & (pl.col("time") >= START)
    plan = scan(A=1, B=1).filter(wanted).select("symbol", "time").explain()
    assert "PYTHON[BHDS prices, 2 files] SCAN" in plan
    assert "PROJECT 2/3 COLUMNS" in plan
    assert "SELECTION: " in plan
    assert 'col("symbol") == "B"' in plan.partition("SELECTION")[2]
    assert 'col("time") >= ' in plan.partition("SELECTION")[2]
    assert "FILTER" not in plan


@pytest.mark.parametrize("as_condition", [True, False])
def test_row_groups_that_cannot_hold_the_time_are_not_read(
    scan, tmp_path, as_condition
):
    later = START + dt.timedelta(seconds=ROWS_OF_A_GROUP)
    wanted = pl.col("time") >= later
    frame = scan([wanted] if as_condition else [], A=ROWS_OF_A_GROUP + 5)
    if not as_condition:
        frame = frame.filter(wanted)
    # The column chunks of the first group lie before those of the second.
    spoil(tmp_path / "A.pqt", from_byte=4, length=1000)
    assert frame.collect().height == 5
    with pytest.raises(pl.exceptions.PolarsError):
        pl.read_parquet(tmp_path / "A.pqt")


def test_a_part_of_an_or_is_no_reason_to_leave_a_file_out(scan):
    either = (pl.col("symbol") == "A") | (pl.col("price") == 2)
    assert scan(A=1, B=1, C=1).filter(either).collect()["symbol"].to_list() == [
        "A",
        "B",
    ]


@pytest.mark.parametrize(
    "condition",
    [
        pl.col("price") == pl.col("price").max(),
        pl.col("symbol") == pl.col("symbol").last(),
        pl.col("symbol").is_last_distinct(),
    ],
)
def test_conditions_on_all_rows_see_all_rows(scan, condition):
    found = scan(A=2, B=1, C=1).filter(condition).collect()
    assert "C" in found["symbol"].to_list()
    eager = scan(A=2, B=1, C=1).collect().filter(condition)
    assert found.equals(eager)


@pytest.mark.parametrize("engine", ["in-memory", "streaming"])
def test_the_first_rows_are_had_without_the_rest(scan, tmp_path, engine):
    frame = scan(A=3, B=2, C=1)
    spoil(tmp_path / "C.pqt")
    assert frame.head(4).collect(engine=engine)["symbol"].to_list() == [*"AAAB"]


def test_counting_and_single_columns(scan):
    assert scan(A=3, B=2).select(pl.len()).collect().item() == 5
    assert scan(A=3, B=2).select("symbol").unique().collect().height == 2
    assert scan(A=3, B=2).select("price").sum().collect().item() == 7


def test_no_rows_still_have_the_columns(scan):
    none = scan(A=3).filter(pl.col("symbol") == "Z").collect()
    assert none.schema == {"symbol": pl.String} | dict(SCHEMA)
    assert none.is_empty()


def test_a_file_with_other_columns_is_told(scan, tmp_path):
    frame = scan(A=1, B=1)
    other = rows(1).rename({"price": "cost"})
    storage.write_parquet(other, tmp_path / "B.pqt", metadata={})
    with pytest.raises(ResultError, match=r"B\.pqt: its columns.*cost"):
        frame.collect()
