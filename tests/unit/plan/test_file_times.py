"""Files dated in the future, as after a wrong clock."""

import os
import time
from dataclasses import dataclass, field

import polars as pl
import pytest

from bhds.plan import file_times

YEAR_S = 365 * 86_400
NOW = 1_800_000_000.0
ZIP = "aws_data/spot/daily/klines/AUSDT/1m/AUSDT-1m-2025-01-01.zip"
LISTING = "aws_data/spot/daily/klines/listing-1m.parquet"
PARTITION = "parsed_data/spot/klines/AUSDT/1m/2025.parquet"
RESULT = "results_data/spot/klines/1m/AUSDT.pqt"
EXCHANGE_INFO = "api_data/spot/exchangeInfo.json"


@dataclass
class Planned:
    """What a plan knows of the zips on disk."""

    files: pl.DataFrame = field(
        default_factory=lambda: pl.DataFrame(
            schema={"path": pl.String, "disk_time": pl.Float64}
        )
    )


def make(data_dir, path, at):
    (data_dir / path).parent.mkdir(parents=True, exist_ok=True)
    (data_dir / path).touch()
    os.utime(data_dir / path, (at, at))


def find(data_dir, *, zips=None):
    files = pl.DataFrame(
        {"path": list(zips or {}), "disk_time": list((zips or {}).values())},
        schema={"path": pl.String, "disk_time": pl.Float64},
    )
    return file_times.find(
        [Planned(files)], listings=[LISTING], data_dir=data_dir, now=NOW
    )


@pytest.mark.parametrize("at", [0, 1, NOW - YEAR_S, NOW])
def test_files_of_the_past_are_left_alone(tmp_path, at):
    for path in (PARTITION, RESULT, LISTING):
        make(tmp_path, path, at)

    future = find(tmp_path, zips={ZIP: at})

    assert future == file_times.Future([], [])
    assert not future.message


def test_files_that_are_not_there_have_no_time(tmp_path):
    assert not find(tmp_path, zips={ZIP: None}).message


@pytest.mark.parametrize("ahead", [60, YEAR_S, 2**32 - NOW])
def test_files_of_the_future_are_found_and_told(tmp_path, ahead):
    for path in (PARTITION, RESULT, LISTING):
        make(tmp_path, path, NOW + ahead)

    future = find(tmp_path, zips={ZIP: NOW + ahead})

    assert future.fetched == [ZIP, LISTING]
    assert future.built == [PARTITION, RESULT]
    assert future.message.startswith("2 downloaded and 2 built files are dated in the")


def test_what_was_fetched_is_of_now_and_what_was_built_is_built_again(tmp_path):
    for path in (ZIP, PARTITION, EXCHANGE_INFO):
        make(tmp_path, path, NOW + YEAR_S)
    began = file_times.present(tmp_path)
    future = file_times.Future([ZIP], [PARTITION, EXCHANGE_INFO])

    file_times.repair(future, data_dir=tmp_path)

    set_to = {
        p: (tmp_path / p).stat().st_mtime for p in (ZIP, PARTITION, EXCHANGE_INFO)
    }
    assert began <= set_to[ZIP] <= file_times.present(tmp_path)
    assert set_to[PARTITION] < set_to[ZIP]
    assert began <= set_to[EXCHANGE_INFO]  # a record, which nothing builds again


def test_links_out_of_the_data_directory_are_left_alone(tmp_path):
    outside = tmp_path / "outside"
    make(tmp_path, "outside/file", NOW + YEAR_S)
    (tmp_path / "data" / "parsed_data").mkdir(parents=True)
    (tmp_path / "data" / "parsed_data" / "spot").symlink_to(outside)

    assert not find(tmp_path / "data").message


def test_the_present_is_that_of_the_disk(tmp_path):
    assert abs(file_times.present(tmp_path) - time.time()) < 60
