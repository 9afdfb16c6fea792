"""Trades against bars, from frames and from files."""

import datetime as dt
import logging
import shutil

import polars as pl
import pytest

from bhds.core.errors import ResultError
from bhds.io import storage
from bhds.quality import volumes
from bhds.schemas.quality_tables import CONDITION, VOLUME_CHECKS
from bhds.stages import quality

FIRST = dt.date(2024, 1, 1)
DAY = dt.timedelta(days=1)
OUTPUT = "quality/volume_checks.parquet"
TRADES = "condition-aggTrades.parquet"


def days(*rows):
    """Return the volumes of days, given by symbol and number after 2024-01-01.

    A fourth value counts missing ids of trades.
    """
    data = [
        (symbol, FIRST + number * DAY, volume, sum(missing))
        for symbol, number, volume, *missing in rows
    ]
    names = ("symbol", "day", "volume", "missing_trade_ids")
    return pl.DataFrame(data, schema={n: CONDITION[n] for n in names}, orient="row")


def check(trades, bars):
    return volumes.check({"aggTrades": trades}, bars)


def test_days_that_both_have_are_compared():
    trades = days(("AUSDT", 0, 3.0), ("AUSDT", 1, 5.0), ("AUSDT", 2, 7.0))
    bars = days(("AUSDT", 1, 6.0), ("AUSDT", 0, 3.0), ("AUSDT", 3, 9.0))

    checked = check(trades, [bars])

    assert checked.schema == VOLUME_CHECKS
    assert checked.rows() == [
        ("AUSDT", FIRST, "aggTrades", 3.0, 3.0, 0.0, 0, True),
        ("AUSDT", FIRST + DAY, "aggTrades", 5.0, 6.0, -1.0, 0, False),
    ]


def test_single_trades_are_preferred_to_aggregates():
    aggregates = days(("AUSDT", 0, 2.0, 1), ("AUSDT", 1, 2.0), ("BUSDT", 0, 2.0))
    trades = days(("AUSDT", 0, 3.0), ("AUSDT", 1, None), ("CUSDT", 0, 3.0))
    bars = days(*((name, day, 3.0) for name in ("AUSDT", "BUSDT") for day in (0, 1)))

    checked = volumes.check({"aggTrades": aggregates, "trades": trades}, [bars])

    assert checked.select("symbol", "day", "compared_with", "agrees").rows() == [
        ("AUSDT", FIRST, "trades", True),
        ("AUSDT", FIRST + DAY, "aggTrades", False),
        ("BUSDT", FIRST, "aggTrades", False),
    ]


@pytest.mark.parametrize(
    ("quantity", "missing", "agrees"),
    [(9.0, 0, False), (9.0, 1, None), (10.0, 1, True), (11.0, 1, False)],
)
def test_missing_trades_explain_that_aggregates_have_less(quantity, missing, agrees):
    checked = check(days(("A", 0, quantity, missing)), [days(("A", 0, 10.0))])

    assert checked.select("missing_trade_ids", "agrees").rows() == [(missing, agrees)]


def test_each_symbol_is_held_against_the_first_bars_that_have_it():
    trades = days(("AUSDT", 0, 1.0), ("AUSDT", 1, 1.0), ("BUSDT", 0, 1.0))
    minutes = days(("AUSDT", 0, 1.0))
    hours = days(("AUSDT", 0, 9.0), ("AUSDT", 1, 9.0), ("BUSDT", 0, 8.0))

    checked = check(trades, [minutes, hours])

    assert checked.select("symbol", "bars_volume").rows() == [
        ("AUSDT", 1.0),
        ("BUSDT", 8.0),
    ]


@pytest.mark.parametrize(
    ("volume", "off", "agrees"),
    [
        (100.0, 9e-8, True),
        (100.0, 3e-7, False),
        (1e9, 0.9, True),
        (1e9, 1.1, False),
        (0.0, 1e-8, True),
    ],
)
def test_what_adding_up_may_cost_is_no_difference(volume, off, agrees):
    checked = check(days(("AUSDT", 0, volume + off)), [days(("AUSDT", 0, volume))])

    assert checked["agrees"].to_list() == [agrees]


@pytest.mark.parametrize(
    ("trades", "bars"),
    [
        ([], [("A", 0, 1.0)]),
        ([("A", 0, 1.0)], []),
        ([("A", 0, None)], [("A", 0, 1.0)]),
        ([("A", 0, 1.0)], [("A", 0, None)]),
    ],
)
def test_without_trades_or_bars_there_is_nothing_to_check(trades, bars):
    checked = check(days(*trades), [days(*bars)])

    assert checked.equals(VOLUME_CHECKS.to_frame())


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Work in a data directory of two symbols, one of which has lost a trade."""
    monkeypatch.chdir(tmp_path)
    tables = {
        "condition-aggTrades": days(
            ("AUSDT", 0, 2.0), ("BUSDT", 0, 2.5), ("BUSDT", 1, 4.0)
        ),
        "bars": days(("AUSDT", 0, 2.0), ("BUSDT", 0, 3.0), ("BUSDT", 1, 4.0)),
    }
    for name, table in tables.items():
        missing = [
            pl.lit(None, dtype).alias(column)
            for column, dtype in CONDITION.items()
            if column not in table.columns
        ]
        whole = table.with_columns(missing).select(CONDITION.names())
        storage.write_parquet(whole, f"{name}.parquet", metadata={})


@pytest.mark.usefixtures("files")
def test_the_trades_of_a_market_are_held_against_its_bars(caplog):
    with caplog.at_level(logging.WARNING):
        quality.reconcile_volumes([TRADES], ["bars.parquet"], output=OUTPUT)

    table = pl.read_parquet(OUTPUT)
    assert table["agrees"].to_list() == [True, False, True]
    wrong = table.filter(~pl.col("agrees"))
    assert wrong.rows() == [("BUSDT", FIRST, "aggTrades", 2.5, 3.0, -0.5, 0, False)]
    (told,) = caplog.messages
    assert told == (
        f"{OUTPUT}: on 1 day(s) the quantities of trades do not add up to the volume "
        "of the bars, the first: aggTrades of BUSDT 2024-01-01"
    )
    metadata = storage.read_parquet_metadata(OUTPUT)
    assert metadata["stage"] == "quality"
    assert len(metadata["inputs"].split()) == 2


@pytest.mark.usefixtures("files")
def test_nothing_is_told_where_all_agree(caplog):
    shutil.copy("bars.parquet", TRADES)

    quality.reconcile_volumes([TRADES], ["bars.parquet"], output=OUTPUT)

    assert pl.read_parquet(OUTPUT)["agrees"].all()
    assert caplog.messages == []


@pytest.mark.usefixtures("files")
def test_that_no_day_was_compared_is_warned_of(caplog):
    none = storage.read_parquet(TRADES).clear()
    storage.write_parquet(none, TRADES, metadata={})

    quality.reconcile_volumes([TRADES], ["bars.parquet"], output=OUTPUT)

    assert caplog.messages == [
        f"{OUTPUT}: no day has both trades and bars to be compared"
    ]


@pytest.mark.usefixtures("files")
def test_a_broken_table_is_named(tmp_path):
    (tmp_path / "bars.parquet").write_bytes(b"no Parquet")

    with pytest.raises(ResultError, match=r"bars\.parquet: cannot be read"):
        quality.reconcile_volumes([TRADES], ["bars.parquet"], output=OUTPUT)
