"""What the footers of Parquet files say."""

import datetime as dt

import polars as pl

from bhds.core.timegrid import TIME
from bhds.io import storage
from bhds.status.footers import Footer, read_footers

BEGIN = dt.datetime(2025, 3, 1, tzinfo=dt.UTC)


def read(*paths, time="open_time"):
    told = []
    found = list(
        read_footers(list(map(str, paths)), time=time, on_progress=told.append)
    )
    return found, told


def put(path, count, *, name="open_time"):
    minutes = pl.duration(minutes=pl.int_range(count))
    frame = pl.select((pl.lit(BEGIN) + minutes).cast(TIME).alias(name))
    storage.write_parquet(frame, path, metadata={})
    return path


def test_rows_and_the_first_and_last_time_are_read(tmp_path):
    several_groups = put(tmp_path / "a.parquet", 300_000)

    ((footer,), told) = read(several_groups)

    assert footer == Footer(300_000, BEGIN, BEGIN + dt.timedelta(minutes=299_999))
    assert told == [1]


def test_a_file_without_rows_has_no_times(tmp_path):
    assert read(put(tmp_path / "a.parquet", 0))[0] == [Footer(0, None, None)]


def test_a_file_without_the_column_has_no_times(tmp_path):
    path = put(tmp_path / "a.parquet", 2, name="other")

    assert read(path)[0] == [Footer(2, None, None)]


def test_a_file_that_cannot_be_read_has_no_rows_and_stops_nothing(tmp_path):
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"PAR1 and no more")
    good = put(tmp_path / "good.parquet", 1)

    found, _ = read(broken, tmp_path / "gone.parquet", good)

    assert found[:2] == [Footer(None, None, None)] * 2
    assert found[2].rows == 1


def test_files_come_in_order_and_all_are_told(tmp_path):
    paths = [put(tmp_path / f"{n}.parquet", n % 3) for n in range(210)]

    found, told = read(*paths)

    assert [footer.rows for footer in found] == [n % 3 for n in range(210)]
    assert told == [200, 10]
