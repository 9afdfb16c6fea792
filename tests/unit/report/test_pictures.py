"""Symbols with a picture, and their bars in windows."""

import datetime as dt

import polars as pl

from bhds.io import storage
from bhds.report import pictures
from bhds.schemas import quality_tables

from .conftest import START, gap_row, of_series, result_of


def gaps_of(*rows, series="klines 1m"):
    return of_series(rows, quality_tables.CLASSIFIED_GAPS, series=series)


def test_symbols_that_lost_most_time_are_drawn_but_not_for_their_end():
    found = pl.concat(
        [
            gaps_of(
                gap_row("SHORT", begin=0, minutes=60, name="halt"),
                gap_row("OFTEN", begin=0, minutes=50, name="outage"),
                gap_row("OFTEN", begin=90, minutes=50, name="halt"),
                gap_row("GONE", begin=0, minutes=9000, name="delisted_tail"),
            ),
            gaps_of(
                gap_row("SHORT", begin=0, minutes=99, name="halt"), series="klines 1d"
            ),
        ]
    )

    assert pictures.richest(found) == [
        ("spot", "klines 1m", "OFTEN"),
        ("spot", "klines 1m", "SHORT"),
    ]


def test_at_most_six_symbols_are_drawn():
    rows = [gap_row(f"S{n}", begin=0, minutes=5 + n, name="halt") for n in range(9)]

    found = pictures.richest(gaps_of(*rows))

    assert [symbol for *_, symbol in found] == ["S8", "S7", "S6", "S5", "S4", "S3"]


def test_bars_are_aggregated_into_few_windows_of_equal_length():
    bars = result_of()

    windows = pictures.windows_of(bars)

    assert windows.height == 786  # 8,640 minutes, 11 at a time
    assert windows["open_time"].diff().drop_nulls().unique().to_list() == [
        dt.timedelta(minutes=11)
    ]
    first = windows.row(0, named=True)
    assert (first["close"], first["low"], first["high"]) == (110.0, 99.0, 111.0)
    assert windows["volume"].sum() == bars["volume"].sum()


def test_windows_of_filled_bars_have_no_price():
    windows = pictures.windows_of(result_of(missing=range(1440, 2880)))

    lacking = windows.filter(pl.col("close").is_null())
    assert lacking["open_time"][0] == START + dt.timedelta(minutes=1441)
    assert lacking.height == 130


def test_windows_between_segments_are_there_without_prices():
    bars = result_of()
    halted = bars.filter(
        ~pl.col("open_time").is_between(
            START + dt.timedelta(days=1), START + dt.timedelta(days=3)
        )
    )

    windows = pictures.windows_of(halted)

    assert windows.height == 786
    assert windows["low"].null_count() == 261


def test_few_bars_are_windows_of_their_own():
    windows = pictures.windows_of(result_of().head(1))

    assert windows.rows() == [(START, 100.0, 99.0, 101.0, 0.0)]


def test_the_longest_gaps_are_marked_in_time_order(tmp_path):
    path = tmp_path / "results_data/spot/klines/1m/AUSDT.pqt"
    storage.write_parquet(result_of(), path, metadata={}, symbol="AUSDT")
    rows = [gap_row("AUSDT", begin=n, minutes=n + 1, name="halt") for n in range(300)]
    tail = gap_row("AUSDT", begin=8000, minutes=640, name="delisted_tail")

    picture = pictures.picture(
        gaps_of(*rows, tail),
        market="spot",
        series="klines 1m",
        symbol="AUSDT",
        data_dir=tmp_path,
    )

    assert picture.gaps.height == 200
    assert picture.gaps_in_all == 300
    assert picture.gaps["begin"].to_list() == [
        START + dt.timedelta(minutes=n) for n in range(100, 300)
    ]
