"""One lazy frame over the files of many symbols: right rows, and only those read."""

import datetime as dt
import functools
from dataclasses import replace

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from bhds.core.errors import ResultError
from bhds.core.events import EventRule
from bhds.core.timegrid import TIME
from bhds.io import storage
from bhds.reader.files import Records, SymbolFile
from bhds.reader.frames import scan_files, scan_records
from bhds.schemas.csv_table import Table
from bhds.schemas.klines import with_symbol

SCHEMA = pl.Schema({"time": TIME, "price": pl.Float64()})
BARS = Table(fields=(), schema=SCHEMA, key=("time",), time="time")
EVENTS = replace(BARS, events=EventRule(()))
START = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
SECOND = dt.timedelta(seconds=1)
ROWS_OF_A_GROUP = 1 << 18


def rows(height, *, price=1.0):
    times = pl.datetime_range(
        START, START + dt.timedelta(seconds=height - 1), "1s", eager=True
    )
    return pl.DataFrame({"time": times, "price": [price] * height}, schema=SCHEMA)


def write(folder, **heights):
    """Write files of some symbols, of that many rows, at a price of 1, 2, ..."""
    files = []
    for number, (symbol, height) in enumerate(heights.items(), start=1):
        path = folder / f"{symbol}.pqt"
        frame = rows(height, price=number)
        storage.write_parquet(frame, path, metadata={}, symbol=symbol)
        files.append(SymbolFile(symbol, path))
    return files


@pytest.fixture
def scan(tmp_path):
    return lambda **heights: scan_files(write(tmp_path, **heights), SCHEMA)


def spoil(path, *, group):
    """Overwrite the pages of a row group, so that whoever reads them fails."""
    content = bytearray(path.read_bytes())
    footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    begin = 4 if group == 0 else 4 + footer // 2
    content[begin : min(begin + 1000, footer)] = b"\xff" * (min(1000, footer - begin))
    path.write_bytes(content)
    with pytest.raises(pl.exceptions.PolarsError):
        pl.read_parquet(path)


def test_rows_are_by_symbol_and_then_as_in_the_files(scan):
    frame = scan(A=2, B=1).collect()
    assert frame.columns == ["symbol", "time", "price"]
    assert frame.rows() == [
        ("A", START, 1.0),
        ("A", START + dt.timedelta(seconds=1), 1.0),
        ("B", START, 2.0),
    ]
    assert frame.schema == scan(A=2).collect_schema() == with_symbol(SCHEMA)


@pytest.mark.parametrize(
    "condition",
    [
        pl.col("symbol") == "B",
        pl.col("symbol").is_in(["B"]) & (pl.col("price") > 0),
        (pl.col("time") >= START) & (pl.col("price") > 0) & (pl.col("symbol") > "A"),
    ],
)
def test_rows_of_other_symbols_are_not_read(scan, tmp_path, condition):
    frame = scan(A=3, B=2)
    spoil(tmp_path / "A.pqt", group=0)
    assert frame.filter(condition).collect().height == 2


def test_row_groups_that_cannot_hold_the_time_are_not_read(scan, tmp_path):
    frame = scan(A=ROWS_OF_A_GROUP + 5)
    spoil(tmp_path / "A.pqt", group=0)
    later = START + dt.timedelta(seconds=ROWS_OF_A_GROUP)
    assert frame.filter(pl.col("time") >= later).collect().height == 5


def test_a_python_function_may_be_a_filter(scan):
    is_b = pl.col("symbol").map_elements({"B"}.__contains__, pl.Boolean)
    assert scan(A=3, B=2).filter(is_b).collect().height == 2


def test_no_files_and_no_rows_still_have_the_columns(scan):
    none = scan(A=3).filter(pl.col("symbol") == "Z").collect()
    for empty in (none, scan_files([], SCHEMA).collect()):
        assert empty.schema == with_symbol(SCHEMA)
        assert empty.is_empty()


@pytest.mark.parametrize(
    ("other", "named"),
    [
        (rows(1).rename({"price": "cost"}), "cost"),
        (rows(1).cast({"price": pl.Float32}), "price"),
        (rows(1).select("price", "time"), "price"),
    ],
)
def test_a_file_with_other_columns_is_named(tmp_path, other, named):
    files = write(tmp_path, A=1, B=1, C=1)
    storage.write_parquet(other, files[1].path, metadata={}, symbol="B")
    with pytest.raises(ResultError, match=rf"B\.pqt: its columns.*{named}.*another"):
        scan_files(files, SCHEMA)


def test_a_file_of_a_version_without_the_symbol_is_named(tmp_path):
    files = write(tmp_path, A=1, B=1)
    storage.write_parquet(rows(1), files[1].path, metadata={})
    with pytest.raises(ResultError, match=r"B\.pqt: its columns.*symbol.*build it"):
        scan_files(files, SCHEMA)


@pytest.mark.parametrize("content", [None, b"", b"PAR1", b"PAR1 and no more", b"xPAR1"])
def test_a_file_that_cannot_be_read_is_named(tmp_path, content):
    files = write(tmp_path, A=1, B=1)
    files[1].path.unlink()
    if content is not None:
        files[1].path.write_bytes(content)
    with pytest.raises(ResultError, match=r"B\.pqt: cannot be read as Parquet"):
        scan_files(files, SCHEMA)


# --- backfills ------------------------------------------------------------------------


def second(number):
    return START + number * SECOND


def stored(folder, *, partitions, backfills):
    """Write partitions and backfills, each given as `[(symbol, {second: price})]`."""
    files = []
    for stage, contents in {"parsed": partitions, "api": backfills}.items():
        files.append([])
        for number, (symbol, prices) in enumerate(contents):
            path = folder / stage / f"{symbol}-{number}.parquet"
            times = [second(each) for each in prices]
            frame = pl.DataFrame(
                {"time": times, "price": prices.values()}, schema=SCHEMA
            )
            storage.write_parquet(frame, path, metadata={}, symbol=symbol)
            files[-1].append(SymbolFile(symbol, path))
    return Records([], *files)


def test_rows_of_backfills_are_in_their_places(tmp_path):
    records = stored(
        tmp_path,
        partitions=[("A", {0: 1.0, 1: -9.0, 3: 4.0}), ("A", {6: 7.0}), ("C", {1: 1.0})],
        # The first has a row before its own period, and one that the second has too.
        backfills=[
            ("A", {-5: 0.5, 1: 2.0, 2: 9.9}),
            ("A", {2: 3.0, 7: 8.0}),
            ("B", {1: 5.0}),
        ],
    )
    found = scan_records(records, BARS)
    assert found.collect_schema() == with_symbol(SCHEMA)
    assert found.collect().rows() == [
        ("A", second(-5), 0.5),
        *(("A", second(n), n + 1.0) for n in (0, 1, 2, 3, 6, 7)),
        ("B", second(1), 5.0),
        ("C", second(1), 1.0),
    ]


def test_events_of_a_backfill_may_share_a_time(tmp_path):
    records = stored(tmp_path, partitions=[("A", {0: 1.0, 5: 6.0})], backfills=[])
    events = pl.DataFrame({"time": [second(2)] * 2, "price": [2.0, 3.0]}, schema=SCHEMA)
    for name in ("one", "again"):
        path = tmp_path / f"{name}.parquet"
        storage.write_parquet(events, path, metadata={}, symbol="A")
        records.backfills.append(SymbolFile("A", path))
    rows = scan_records(records, EVENTS).collect()
    assert rows["price"].to_list() == [1.0, 2.0, 3.0, 6.0]


def test_without_backfills_records_are_a_plain_scan(tmp_path):
    records = stored(tmp_path, partitions=[("A", {0: 1.0})], backfills=[])
    plain = scan_files(records.partitions, SCHEMA)
    assert scan_records(records, BARS).explain() == plain.explain()


@pytest.mark.parametrize(
    "condition", [pl.col("symbol") == "B", pl.col("time") > second(5)]
)
def test_filters_reach_the_files_below_backfills(tmp_path, condition):
    records = stored(
        tmp_path,
        partitions=[("A", {0: 1.0, 1: 2.0}), ("B", {6: 7.0})],
        backfills=[("B", {7: 8.0})],
    )
    spoil(records.partitions[0].path, group=0)
    found = scan_records(records, BARS).filter(condition).collect()
    assert found["price"].to_list() == [7.0, 8.0]


# --- a scan is the collected frame, whatever is done with it --------------------------

SYMBOLS = ("A", "B", "SOLUSDT")


@st.composite
def conditions(draw):
    symbol, time = (
        draw(st.sampled_from(SYMBOLS)),
        START + draw(st.integers(0, 9)) * SECOND,
    )
    one, other = (
        draw(
            st.sampled_from(
                [
                    pl.col("symbol") == symbol,
                    pl.col("symbol") != symbol,
                    pl.col("symbol").is_in([symbol, "Z"]),
                    pl.col("time") >= time,
                    pl.col("time") < time,
                    pl.col("price") > draw(st.integers(0, 3)),
                    pl.col("time") == pl.col("time").max(),
                ]
            )
        )
        for _ in range(2)
    )
    return draw(st.sampled_from([one, one & other, one | other, ~one]))


def _sql(frame, *, limit, symbol):
    query = (
        f"SELECT * FROM (SELECT * FROM self LIMIT {limit}) "  # noqa: S608
        f"WHERE symbol = '{symbol}'"
    )
    return frame.lazy().sql(query)


def _group(frame, *, by):
    """Add up by some columns; the columns stay."""
    return (
        frame.group_by(by, maintain_order=True)
        .agg(pl.col(name).max() for name in with_symbol(SCHEMA) if name not in by)
        .select(with_symbol(SCHEMA).names())
    )


def _join(frame, *, limit):
    """Keep the rows whose time the least rows have.

    Sorted before and after: Polars 2.1 may take other rows than the first of a join, of
    a collected frame too, where the order of what it takes does not matter.
    """
    order = list(with_symbol(SCHEMA))
    least = frame.sort(order).head(limit).select("time").unique()
    return frame.join(least, on="time", maintain_order="left").sort(order)


limits = st.integers(0, 12)
steps = st.one_of(
    st.builds(lambda c: lambda f: f.filter(c), conditions()),
    st.builds(lambda n: lambda f: f.head(n), limits),
    st.builds(lambda n: lambda f: f.tail(n), limits),
    st.builds(lambda a, n: lambda f: f.slice(a, n), st.integers(-8, 8), limits),
    st.builds(
        lambda by, down: lambda f: f.sort(by, descending=down, maintain_order=True),
        st.sampled_from([["time"], ["price", "time"], ["symbol"]]),
        st.booleans(),
    ),
    st.builds(
        lambda by: lambda f: _group(f, by=by),
        st.sampled_from([["symbol"], ["time"], ["symbol", "price"]]),
    ),
    st.builds(lambda n: lambda f: _join(f, limit=n), limits),
    st.builds(
        lambda n, s: lambda f: _sql(f, limit=n, symbol=s),
        limits,
        st.sampled_from(SYMBOLS),
    ),
)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Write three symbols, one of two files, and a backfill of each."""
    folder = tmp_path_factory.mktemp("symbols")
    written = write(folder, **dict(zip(SYMBOLS, (7, 5, 9), strict=True)))
    later = rows(20)[15:]
    storage.write_parquet(later, folder / "later.pqt", metadata={}, symbol="SOLUSDT")
    backfills = stored(
        folder,
        partitions=[],
        backfills=[
            ("A", {-3: 1.0, 2: 2.5, 9: 3.0}),
            ("B", {2: 0.5, 6: 2.0}),
            ("SOLUSDT", {12: 3.0, 13: 3.0}),
        ],
    ).backfills
    partitions = [*written, SymbolFile("SOLUSDT", folder / "later.pqt")]
    return Records([], partitions, backfills)


@given(
    chain=st.lists(steps, min_size=1, max_size=5),
    engine=st.sampled_from(["in-memory", "streaming"]),
    has_backfills=st.booleans(),
)
def test_a_chain_on_a_scan_is_the_chain_on_the_collected_frame(
    files, chain, engine, has_backfills
):
    records = files if has_backfills else replace(files, backfills=[])
    scanned = scan_records(records, BARS)
    collected = by_hand(records)

    def apply(frame):
        return functools.reduce(lambda found, step: step(found), chain, frame)

    assert_frame_equal(
        apply(scanned).collect(engine=engine), apply(collected).lazy().collect()
    )


def by_hand(records):
    """Read the files one row after the other, backfills last."""
    found = {
        row[:2]: row
        for file in records.all
        for row in pl.read_parquet(file.path).iter_rows()
    }
    return pl.DataFrame(
        [found[key] for key in sorted(found)],
        schema=with_symbol(SCHEMA),
        orient="row",
    )
