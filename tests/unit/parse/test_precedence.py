"""Which of several publications of one bar is kept, whoever has to choose."""

import datetime as dt
import itertools

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhds.bars.merge import merge
from bhds.core.markets import Interval, TradeType
from bhds.parse.precedence import choose_bars
from bhds.schemas.datatypes import data_type
from bhds.schemas.klines import parsed_klines

SPOT, UM, CM = TradeType.SPOT, TradeType.UM_FUTURES, TradeType.CM_FUTURES
START = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
SOURCES = ("monthly", "api", "daily")


def bar(
    second, *, source="daily", file=0, trades=1, value=1.0, wrong=False, start=START
):
    """Return a bar that opens some seconds after `start`; `value` tells it apart."""
    open_time = start + dt.timedelta(seconds=second)
    prices = dict.fromkeys(("open", "high", "low", "close"), 10.0)
    amounts = ("volume", "quote_volume", "base_volume")
    volumes = dict.fromkeys(amounts, value * trades)
    taken = {f"taker_buy_{name}": 0.0 for name in amounts}
    return {
        **(prices | volumes | taken),
        "high": 9.0 if wrong else 10.0,
        "taker_buy_volume": 0.0,
        "trade_count": trades,
        "open_time": open_time,
        "close_time": open_time + dt.timedelta(milliseconds=999),
        "source": source,
        "file": file,
    }


def chosen(*bars, trade_type=SPOT, interval="1h", name="klines"):
    schema = data_type(name).table(trade_type).schema | {"file": pl.UInt32()}
    rows = [{column: row[column] for column in schema} for row in bars]
    return choose_bars(
        pl.DataFrame(rows, schema=schema),
        data_type=name,
        trade_type=trade_type,
        interval=Interval.parse(interval),
    )


def seconds(frame):
    return (frame["open_time"] - START).dt.total_seconds().to_list()


BETTER = [
    pytest.param(
        bar(0, source="monthly", trades=1), bar(0, trades=0), id="with trades"
    ),
    pytest.param(
        bar(0, source="monthly", wrong=True), bar(0, trades=0), id="trades before all"
    ),
    pytest.param(bar(0, source="monthly"), bar(0, wrong=True), id="possible"),
    pytest.param(
        bar(0, source="monthly", trades=0),
        bar(0, source="api", trades=0, wrong=True),
        id="possible without trades",
    ),
    pytest.param(bar(0), bar(0, source="api", file=1), id="daily before api"),
    pytest.param(
        bar(0, source="api"), bar(0, source="monthly", file=1), id="api before monthly"
    ),
    pytest.param(bar(0), bar(0, source="monthly", file=1), id="daily before monthly"),
    pytest.param(bar(0, file=1, value=2.0), bar(0), id="later file"),
]


@pytest.mark.parametrize(("better", "worse"), BETTER)
@pytest.mark.parametrize("trade_type", [SPOT, UM, CM])
@pytest.mark.parametrize("shift_s", [0, 14])
def test_the_better_bar_is_kept_on_the_grid_and_off_it(
    better, worse, trade_type, shift_s
):
    moved = better | {"open_time": START + dt.timedelta(seconds=shift_s)}

    for rows in itertools.permutations([moved, worse]):
        kept = chosen(*rows, trade_type=trade_type).kept

        assert kept.select("source", "trade_count", "open_time").rows() == [
            (better["source"], better["trade_count"], moved["open_time"])
        ]


@pytest.mark.parametrize("wrong", [False, True])
def test_of_one_file_the_later_row_is_kept_after_trades_and_possible_values(wrong):
    rows = [bar(0, value=1.0), bar(0, value=2.0, wrong=wrong), bar(0, trades=0)]

    found = chosen(*rows)

    assert found.kept["volume"].to_list() == [1.0 if wrong else 2.0]
    assert found.conflicts.height == 2


@pytest.mark.parametrize(
    ("interval", "other_s", "is_same"),
    [
        ("1s", 0.4, True),
        ("1s", 1, False),
        ("1m", 59, True),
        ("1m", 60, False),
        ("1d", 14, True),
        ("1d", 86_400, False),
        ("3d", 14, True),
        ("3d", 86_400, False),
        ("3d", 3 * 86_400, False),
        ("1w", 14, True),
        ("1w", 6 * 86_400, True),
        ("1w", 7 * 86_400, False),
        ("1mo", 14, True),
        ("1mo", 30 * 86_400, True),
        ("1mo", 31 * 86_400, False),
    ],
)
def test_bars_of_one_grid_point_and_of_other_files_are_the_same(
    interval, other_s, is_same
):
    rows = bar(0, source="monthly"), bar(other_s, source="api", file=1)

    found = chosen(*rows, interval=interval)

    assert found.kept["source"].to_list() == (
        ["api"] if is_same else ["monthly", "api"]
    )
    # Nothing but the moment differs.
    assert (found.duplicates.height, found.conflicts.height) == (is_same, 0)


def test_two_bars_that_one_file_has_of_a_grid_point_both_stay():
    daily = [bar(0, value=1.0), bar(14, value=2.0)]
    monthly = [row | {"source": "monthly", "file": 1} for row in daily]

    assert seconds(chosen(*daily).kept) == [0, 14]
    found = chosen(*monthly, *daily)
    assert seconds(found.kept) == [0, 14]
    assert set(found.kept["source"]) == {"daily"}
    assert seconds(found.duplicates) == [0, 14]


def test_two_bars_of_a_grid_point_give_way_together():
    monthly = [bar(n, source="monthly", value=2.0) for n in (0, 14)]

    found = chosen(*monthly, bar(0, file=1), bar(7, source="api", file=2, value=2.0))

    assert seconds(found.kept) == [0]
    # Of the two that equal each other, one is a duplicate of the other.
    assert found.conflicts.height + found.duplicates.height == 3
    assert (
        found.conflicts["kept_open_time"].to_list() == [START] * found.conflicts.height
    )


def test_an_impossible_bar_spoils_both_of_its_file():
    daily = [bar(0), bar(14, wrong=True)]

    found = chosen(*daily, bar(0, source="monthly", file=1, value=3.0))

    assert found.kept["volume"].to_list() == [3.0]


def test_an_impossible_row_that_its_own_file_corrects_spoils_nothing():
    daily = [bar(0, wrong=True), bar(0, value=2.0)]

    found = chosen(*daily, bar(0, source="monthly", file=1, value=3.0))

    assert found.kept["volume"].to_list() == [2.0]


@pytest.mark.parametrize("name", ["markPriceKlines", "premiumIndexKlines"])
def test_bars_without_trades_are_chosen_by_values_and_source(name):
    rows = [bar(0, wrong=True), bar(0, source="monthly", file=1)]

    assert chosen(*rows, name=name, trade_type=UM).kept["source"].to_list() == [
        "monthly"
    ]


publications = st.lists(
    st.builds(
        bar,
        # Several on a grid point, on it and off it, and at its very end.
        st.sampled_from([0, 14, 3599, 3600, 3614, 7200]),
        file=st.integers(0, 3),
        trades=st.integers(0, 2),
        value=st.sampled_from([1.0, 2.0]),
        wrong=st.booleans(),
    ),
    max_size=20,
)
"""Rows of four files, of which the first two are daily."""
FILES = {0: "daily", 1: "daily", 2: "monthly", 3: "api"}


def in_files(rows):
    return [row | {"source": FILES[row["file"]]} for row in rows]


def reference(rows):
    """Choose point by point, row by row: the rows that are kept."""

    def own(row):
        return (row["trade_count"] > 0, row["high"] >= row["low"])

    points = {}
    for row in rows:
        hour = (row["open_time"] - START) // dt.timedelta(hours=1)
        times = points.setdefault(hour, {}).setdefault(row["file"], {})
        time = row["open_time"]
        if time not in times or own(row) >= own(times[time]):
            times[time] = row

    def of_file(file, times):
        ranks = [own(row) for row in times.values()]
        is_traded, is_possible = max(r[0] for r in ranks), min(r[1] for r in ranks)
        return (is_traded, is_possible, SOURCES.index(FILES[file]), file)

    kept = [
        row
        for files in points.values()
        for row in max(files.items(), key=lambda item: of_file(*item))[1].values()
    ]
    return sorted(kept, key=lambda row: row["open_time"])


@given(publications)
def test_what_is_kept_equals_the_row_by_row_reference(rows):
    rows = in_files(rows)

    found = chosen(*rows)

    names = found.kept.columns
    assert found.kept.rows() == [
        tuple(row[name] for name in names) for row in reference(rows)
    ]
    parts = (found.kept, found.duplicates, found.conflicts)
    assert sum(part.height for part in parts) == len(rows)


@given(publications, st.data())
def test_the_order_of_files_decides_nothing(rows, data):
    rows = in_files(rows)
    files = [[row for row in rows if row["file"] == file] for file in FILES]
    shuffled = data.draw(st.permutations(files))

    found, again = chosen(*itertools.chain(*files)), chosen(*itertools.chain(*shuffled))

    assert again.kept.equals(found.kept)
    by = ["open_time", "file", "volume", "trade_count", "high"]
    assert again.conflicts.sort(by).equals(found.conflicts.sort(by))


@given(publications)
def test_dropped_rows_are_duplicates_unless_their_values_are_new(rows):
    found = chosen(*in_files(rows))

    values = ["volume", "trade_count", "high"]
    differ = pl.any_horizontal(
        pl.col(n).ne_missing(pl.col(f"kept_{n}")) for n in values
    )
    assert found.conflicts.filter(~differ).is_empty()
    assert found.conflicts.select("open_time", *values).is_unique().all()
    for row in found.duplicates.iter_rows(named=True):
        others = pl.concat([found.kept, found.conflicts.select(found.kept.columns)])
        same = (pl.col(name) == row[name] for name in values)
        assert not others.filter(*same).is_empty()


@given(publications)
def test_parsing_before_merging_keeps_what_choosing_at_once_does(rows):
    rows = in_files(rows)
    at_once = chosen(*rows).kept.drop("file")
    archive = chosen(*(row for row in rows if row["source"] != "api")).kept
    api = chosen(*(row for row in rows if row["source"] == "api")).kept

    schema = parsed_klines(SPOT).names()
    parts = [archive.select(schema), api.select(schema)]
    for frames in (parts, parts[::-1]):
        merged = merge(frames, trade_type=SPOT, interval=Interval.parse("1h")).bars
        assert merged.equals(at_once.select(schema))
