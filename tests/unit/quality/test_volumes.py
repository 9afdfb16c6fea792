"""Trades against bars, from frames and from files."""

import datetime as dt
import logging

import polars as pl
import pytest

from bhds import storage
from bhds.columns import TIME, VOLUME_CHECKS
from bhds.errors import ResultError
from bhds.quality import job, volumes

FIRST = dt.date(2024, 1, 1)
DAY = dt.timedelta(days=1)
OUTPUT = "quality/volume_checks.parquet"


def trades(*rows):
    """Return time and quantity of trades, given as hours after 2024-01-01."""
    start = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    times = [start + dt.timedelta(hours=hours) for hours, _ in rows]
    quantities = [quantity for _, quantity in rows]
    return pl.DataFrame(
        {"time": times, "quantity": quantities},
        schema={"time": TIME, "quantity": pl.Float64},
    )


def bars(*rows):
    return trades(*rows).rename({"time": "open_time", "quantity": "volume"})


def test_trades_of_each_day_are_added_up_over_all_pieces():
    pieces = [trades((0, 1.5), (23, 2.0), (24, 4.0)), trades(), trades((23, 8.0))]

    assert volumes.daily_quantities(pieces).rows() == [
        (FIRST, 11.5),
        (FIRST + DAY, 4.0),
    ]


def test_days_that_both_have_are_compared():
    quantities = volumes.daily_quantities([trades((1, 3.0), (25, 5.0), (60, 7.0))])
    minutes = bars((1, 1.0), (2, 2.0), (24, 6.0), (80, 9.0))

    checked = volumes.check(quantities, minutes, symbol="AUSDT")

    assert checked.schema == VOLUME_CHECKS
    assert checked.rows() == [
        ("AUSDT", FIRST, 3.0, 3.0, 0.0, True),
        ("AUSDT", FIRST + DAY, 5.0, 6.0, -1.0, False),
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
    quantities = volumes.daily_quantities([trades((1, volume + off))])

    (row,) = volumes.check(quantities, bars((1, volume)), symbol="AUSDT").iter_rows(
        named=True
    )

    assert row["agrees"] is agrees


def test_without_trades_or_bars_there_is_nothing_to_check():
    nothing = volumes.daily_quantities([])

    assert volumes.check(nothing, bars((1, 1.0)), symbol="A").is_empty()
    some = volumes.daily_quantities([trades((1, 1.0))])
    assert volumes.check(some, bars(), symbol="A").schema == VOLUME_CHECKS


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Work in a data directory of two symbols, one of which has lost a trade."""
    monkeypatch.chdir(tmp_path)
    results, partitions = [], []
    for symbol, lost in (("BUSDT", 0.5), ("AUSDT", 0.0)):
        path = f"results_data/um_futures/klines/1m/{symbol}.pqt"
        storage.write_parquet(bars((1, 2.0), (25, 3.0), (745, 4.0)), path, metadata={})
        results.append(path)
        for month, rows in (
            ("2024-01", [(1, 1.5), (2, 0.5), (26, 3.0 - lost)]),
            ("2024-02", [(746, 4.0)]),
        ):
            path = f"parsed_data/um_futures/aggTrades/{symbol}/{month}.parquet"
            frame = trades(*rows).with_columns(price=pl.lit(1.0))
            storage.write_parquet(frame, path, metadata={})
            partitions.append(path)
    return results, partitions


@pytest.mark.parametrize("piece_rows", [1, 2, 1 << 20])
def test_the_trades_of_a_market_are_held_against_its_bars(
    files, caplog, monkeypatch, piece_rows
):
    monkeypatch.setattr(job, "_PIECE_ROWS", piece_rows)
    with caplog.at_level(logging.WARNING):
        job.check_volumes(*files, output=OUTPUT)

    table = pl.read_parquet(OUTPUT)
    assert table["symbol"].to_list() == ["AUSDT"] * 3 + ["BUSDT"] * 3
    assert table["day"].to_list() == [FIRST, FIRST + DAY, FIRST + 31 * DAY] * 2
    wrong = table.filter(~pl.col("agrees"))
    assert wrong.rows() == [("BUSDT", FIRST + DAY, 2.5, 3.0, -0.5, False)]
    (told,) = caplog.messages
    assert told == (
        f"{OUTPUT}: on 1 day(s) the quantities of aggTrades do not add up to the "
        "volume of the bars, the first: BUSDT 2024-01-02"
    )
    metadata = storage.read_parquet_metadata(OUTPUT)
    assert metadata["stage"] == "quality"
    assert len(metadata["inputs"].split()) == 6


def test_nothing_is_told_where_all_agree(files, caplog):
    results, partitions = files
    of_a = [path for path in partitions if "AUSDT" in path]

    job.check_volumes(results, of_a, output=OUTPUT)

    assert pl.read_parquet(OUTPUT)["agrees"].all()
    assert caplog.messages == []


def test_a_broken_partition_is_named(files, tmp_path):
    results, partitions = files
    (tmp_path / partitions[0]).write_bytes(b"no Parquet")

    with pytest.raises(ResultError, match=r"BUSDT/2024-01.parquet: cannot be read"):
        job.check_volumes(results, partitions, output=OUTPUT)
