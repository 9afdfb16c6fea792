"""Inputs of the report besides the quality tables."""

import polars as pl

from bhds.report.findings import FetchedFiles, gather

from .conftest import MARKUP


def found_in(data):
    return gather(data.tables, data_dir=data.root)


def test_files_are_counted_once_however_often_they_came(data_dir):
    assert found_in(data_dir).fetched == FetchedFiles(
        files=2, size_bytes=17, replaced=1
    )


def test_sources_of_all_symbols_with_days_are_read_and_no_hidden_ones(data_dir):
    (sources,) = data_dir.root.rglob("*.sources.json")
    hidden = sources.with_name(f".{sources.name}.before")
    hidden.write_text("an old partition, about to be compared")

    integrity = found_in(data_dir).integrity

    assert integrity.series["zips"].to_list() == [2]
    assert integrity.doubtful["file"].to_list() == ["A-2.zip"]


def test_the_symbols_with_most_gaps_are_drawn(data_dir):
    drawn = found_in(data_dir).pictures

    assert [picture.symbol for picture in drawn] == ["AUSDT", MARKUP]


def test_a_symbol_whose_result_is_empty_is_not_drawn(data_dir):
    path = data_dir.root / f"results_data/spot/klines/1m/{MARKUP}.pqt"
    pl.read_parquet(path).clear().write_parquet(path)

    assert [picture.symbol for picture in found_in(data_dir).pictures] == ["AUSDT"]


def test_unanswered_backfills_are_read(data_dir):
    assert found_in(data_dir).unanswered["path"].to_list() == [
        "api_data/spot/klines/AUSDT/1m/all.parquet"
    ]
