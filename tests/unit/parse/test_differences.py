"""Differences between two partitions: what is counted, on which days, in what steps."""

import datetime as dt

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bhds.archive.integrity.zip_input import FilePeriod
from bhds.core.errors import ParseError
from bhds.core.markets import TradeType
from bhds.parse import differences
from bhds.parse.differences import ColumnDifference, RowDifference, row_differences
from bhds.schemas.datatypes import data_type

KLINES = data_type("klines").table(TradeType.SPOT)
TRADES = data_type("trades").table(TradeType.SPOT)
LIQUIDATIONS = data_type("liquidationSnapshot").table(TradeType.UM_FUTURES)
MARCH = FilePeriod.parse("2024-03")
BEGIN = dt.datetime(2024, 3, 1, tzinfo=dt.UTC)


def minute(number):
    return BEGIN + dt.timedelta(minutes=number)


def klines(minutes, *, source="daily", **values):
    """Bars of some minutes of March, with columns replaced."""
    times = [minute(number) for number in minutes]
    rows = {
        name: [1 if dtype.is_integer() else 1.0] * len(times)
        for name, dtype in KLINES.schema.items()
    }
    rows |= {"open_time": times, "close_time": times, "source": [source] * len(times)}
    return pl.DataFrame(rows | values, schema=KLINES.schema)


def trades(**changes):
    """Five trades with ids 1 to 5, a minute apart, with columns replaced."""
    rows = {
        "id": [1, 2, 3, 4, 5],
        "price": [10.0] * 5,
        "quantity": [1.0] * 5,
        "quote_quantity": [10.0] * 5,
        "time": [minute(number) for number in range(5)],
        "is_buyer_maker": [True] * 5,
        "is_best_match": [True] * 5,
    }
    return pl.DataFrame(rows | changes, schema=TRADES.schema)


def liquidations(*prices):
    """One liquidation at the same time for each price."""
    rows = {
        name: ["BUY"] * len(prices) if not dtype.is_numeric() else list(prices)
        for name, dtype in LIQUIDATIONS.schema.items()
    }
    rows["time"] = [BEGIN] * len(prices)
    return pl.DataFrame(rows, schema=LIQUIDATIONS.schema)


@pytest.fixture
def compare(tmp_path):
    """Return a function that writes two partitions and compares them."""

    def compare(old, new, *, table, periods=(MARCH,)):
        paths = [tmp_path / "old.parquet", tmp_path / "new.parquet"]
        for frame, path in zip((old, new), paths, strict=True):
            named = frame.select(pl.lit("AUSDT").alias("symbol"), pl.all())
            named.write_parquet(path, row_group_size=3)
        return row_differences(*paths, table=table, periods=periods)

    return compare


def test_equal_rows_do_not_differ_whatever_their_source(compare):
    old, new = klines(range(3)), klines(range(3), source="monthly")

    assert compare(old, new, table=KLINES) == [RowDifference(3, 3)]


def test_bars_are_added_removed_and_changed(compare):
    old = klines([0, 1, 2, 3], close=[1.0, 2.0, 4.0, 8.0], trade_count=[1, 2, 3, 4])
    new = klines([1, 2, 3, 4, 5], close=[2.5, 4, 7, 1, 1], trade_count=[2, 3, 9, 1, 1])

    assert compare(old, new, table=KLINES) == [
        RowDifference(
            rows_before=4,
            rows_after=5,
            rows_added=2,
            rows_removed=1,
            rows_changed=2,
            columns={
                "close": ColumnDifference(2, max_abs_change=1, max_rel_change=0.25),
                "trade_count": ColumnDifference(
                    1, max_abs_change=5, max_rel_change=1.25
                ),
            },
        )
    ]


@pytest.mark.parametrize(
    ("old", "new", "difference"),
    [
        pytest.param(
            {"volume": [0.0]},
            {"volume": [2.0]},
            ColumnDifference(1, 2, None),
            id="from zero",
        ),
        pytest.param(
            {"volume": [-4.0]},
            {"volume": [-5.0]},
            ColumnDifference(1, 1, 0.25),
            id="negative",
        ),
        pytest.param(
            {"volume": [None]},
            {"volume": [2.0]},
            ColumnDifference(1, None, None),
            id="from nothing",
        ),
        pytest.param(
            {"volume": [2.0]},
            {"volume": [None]},
            ColumnDifference(1, None, None),
            id="to nothing",
        ),
        pytest.param(
            {"close_time": [minute(1)]},
            {"close_time": [minute(2)]},
            ColumnDifference(1, None, None),
            id="a time",
        ),
    ],
)
def test_a_change_is_measured_where_it_is_one_of_numbers(compare, old, new, difference):
    (found,) = compare(klines([0], **old), klines([0], **new), table=KLINES)

    assert found.rows_changed == 1
    assert list(found.columns.values()) == [difference]


def test_nothing_on_both_sides_is_no_change(compare):
    old, new = (klines([0], volume=[None], high=[value]) for value in (1.0, 2.0))

    (found,) = compare(old, new, table=KLINES)

    assert list(found.columns) == ["high"]


def test_only_the_days_of_each_period_are_compared(compare):
    day = 24 * 60
    old = klines([day - 1, day, 2 * day - 1, 2 * day])
    new = old.with_columns(high=pl.lit(2.0))

    found = compare(
        *(old, new),
        table=KLINES,
        periods=[FilePeriod.parse("2024-03-02"), FilePeriod.parse("2024-03-09")],
    )

    assert [difference.rows_changed for difference in found] == [2, 0]
    assert [difference.rows_before for difference in found] == [2, 0]


# --- trades: sorted by id, not by time ------------------------------------------------


def test_events_that_share_a_key_are_compared_one_with_one(compare):
    old = trades(id=[1, 1, 2, 3, 4], price=[1.0, 2.0, 3.0, 4.0, 5.0])
    new = trades(id=[1, 1, 2, 2, 4], price=[1.0, 2.0, 3.5, 3.0, 5.0])

    (difference,) = compare(old, new, table=TRADES)

    counts = ("rows_added", "rows_removed", "rows_changed")
    assert [getattr(difference, name) for name in counts] == [1, 1, 1]


def some_trades(ids):
    """Trades of unique ids whose prices and times are a draw's, not in time order."""
    return st.fixed_dictionaries(
        {i: st.tuples(st.sampled_from([1.0, 2.0, 4.0]), st.integers(0, 9)) for i in ids}
    ).map(
        lambda drawn: pl.DataFrame(
            [
                (i, price, 1.0, 1.0, minute(at), True, True)
                for i, (price, at) in sorted(drawn.items())
            ],
            schema=TRADES.schema,
            orient="row",
        )
    )


partitions = st.sets(st.integers(1, 30), max_size=15).flatmap(some_trades)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(old=partitions, new=partitions, chunk=st.integers(1, 6))
def test_rows_compared_in_steps_are_those_compared_one_by_one(
    compare, monkeypatch, old, new, chunk
):
    monkeypatch.setattr(differences, "_CHUNK_ROWS", chunk)

    (found,) = compare(old, new, table=TRADES)

    before, after = ({row[0]: row for row in frame.rows()} for frame in (old, new))
    both = before.keys() & after.keys()
    prices = [(before[i][1], after[i][1]) for i in both if before[i][1] != after[i][1]]
    price = found.columns.get("price", ColumnDifference(0, None, None))
    assert found.rows_before == len(before)
    assert found.rows_after == len(after)
    assert found.rows_added == len(after.keys() - both)
    assert found.rows_removed == len(before.keys() - both)
    assert found.rows_changed == sum(before[i] != after[i] for i in both)
    assert price == ColumnDifference(
        len(prices),
        max((abs(new - old) for old, new in prices), default=None),
        max((abs(new - old) / old for old, new in prices), default=None),
    )


def test_no_more_than_a_step_is_read_at_once(compare, monkeypatch):
    monkeypatch.setattr(differences, "_CHUNK_ROWS", 10)
    heights = []
    difference = differences._difference

    def watch(old, new, **options):
        heights.extend((old.height, new.height))
        return difference(old, new, **options)

    monkeypatch.setattr(differences, "_difference", watch)
    old = klines(range(0, 300, 3))
    new = klines(range(100))

    (found,) = compare(old, new, table=KLINES)

    assert max(heights) <= 10
    assert (found.rows_added, found.rows_removed) == (66, 66)


# --- rows without a key ---------------------------------------------------------------


def test_rows_without_a_key_are_added_and_removed_as_often_as_they_are_there(compare):
    old, new = liquidations(1.0, 1.0, 2.0, 3.0), liquidations(1.0, 2.0, 2.0, 4.0)

    assert compare(old, new, table=LIQUIDATIONS) == [RowDifference(4, 4, 2, 2)]


def test_rows_without_a_key_are_equal_in_any_order(compare):
    old = liquidations(1.0, 2.0, 3.0)

    assert compare(old, old.reverse(), table=LIQUIDATIONS) == [RowDifference(3, 3)]


def test_rows_without_a_key_are_equal_where_both_have_no_value(compare):
    old, new = liquidations(None, 2.0), liquidations(None, 3.0)

    assert compare(old, new, table=LIQUIDATIONS) == [RowDifference(2, 2, 1, 1)]


# --- what cannot be compared ----------------------------------------------------------


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(klines([0]).drop("source"), id="fewer columns"),
        pytest.param(klines([0]).cast({"volume": pl.Float32}), id="other dtype"),
    ],
)
def test_partitions_of_other_columns_are_not_compared(compare, other):
    with pytest.raises(
        ParseError, match=r"old\.parquet: has symbol String, open_time.*same"
    ):
        compare(other, klines([0]), table=KLINES)
    with pytest.raises(ParseError, match=r"new\.parquet: has "):
        compare(klines([0]), other, table=KLINES)
