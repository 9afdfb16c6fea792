"""What is on disk, counted."""

import datetime as dt
import os

import polars as pl
import pytest

from bhds.core.timegrid import TIME
from bhds.io import storage
from bhds.schemas.quality_tables import CONDITION
from bhds.status import Stage, survey

NEWEST = dt.datetime(2025, 3, 9, 8, tzinfo=dt.UTC)


def at(text):
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def put(root, path, size=10, *, written=NEWEST):
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(b"x" * size)
    os.utime(target, (written.timestamp(), written.timestamp()))
    return target


def put_rows(root, path, *times, column="open_time"):
    frame = pl.DataFrame({column: list(map(at, times))}, schema={column: TIME})
    storage.write_parquet(frame, root / path, metadata={})
    return (root / path).stat().st_size


@pytest.fixture
def klines(tmp_path):
    """Put zips, partitions and results of two symbols on disk."""
    raw = "aws_data/um_futures/daily/klines"
    for symbol, days in (("龙虾USDT", ("01", "02", "03")), ("BUSDT", ("02",))):
        for day in days:
            zip_ = f"{raw}/{symbol}/1m/{symbol}-1m-2025-03-{day}.zip"
            put(tmp_path, zip_, 100, written=NEWEST - dt.timedelta(days=1))
            put(tmp_path, f"{zip_}.CHECKSUM", 90)
    parsed = "parsed_data/um_futures/klines"
    put_rows(tmp_path, f"{parsed}/龙虾USDT/1m/2024.parquet", "2024-12-30", "2024-12-31")
    put_rows(tmp_path, f"{parsed}/龙虾USDT/1m/2025.parquet", "2025-03-01T10:00")
    put(tmp_path, f"{parsed}/龙虾USDT/1m/2025.sources.json", 50)
    put(tmp_path, f"{parsed}/龙虾USDT/1m/.2025.parquet.before", 1_000)
    results = "results_data/um_futures/klines/1m"
    for symbol in ("龙虾USDT", "BUSDT"):
        put_rows(tmp_path, f"{results}/{symbol}.pqt", "2025-03-01", "2025-03-02")
        put_rows(tmp_path, f"{results}/gaps/{symbol}.parquet", "2025-03-01")
    return tmp_path


def of_stage(root, stage):
    (found,) = (holding for holding in survey(root) if holding.stage is stage)
    return found


def test_zips_are_counted_with_the_days_that_they_cover(klines):
    raw = of_stage(klines, Stage.RAW)

    assert (raw.trade_type, raw.data_type, raw.interval) == (
        *("um_futures", "klines"),
        "1m",
    )
    assert (raw.frequency, raw.symbols, raw.rows) == ("daily", 2, None)
    assert raw.files == 8
    assert raw.size_bytes == 400
    assert (raw.first, raw.last) == (at("2025-03-01"), at("2025-03-03"))
    assert raw.updated == NEWEST - dt.timedelta(days=1)


def test_a_month_is_covered_up_to_its_last_day(tmp_path):
    put(tmp_path, "aws_data/spot/monthly/klines/AUSDT/1h/AUSDT-1h-2024-02.zip")

    raw = of_stage(tmp_path, Stage.RAW)

    assert (raw.first, raw.last) == (at("2024-02-01"), at("2024-02-29"))


def test_a_file_that_is_none_of_the_archive_has_no_days(tmp_path):
    put(tmp_path, "aws_data/spot/monthly/klines/AUSDT/1h/AUSDT-1h-2024-13.zip")

    raw = of_stage(tmp_path, Stage.RAW)

    assert (raw.files, raw.first) == (1, None)


def test_partitions_are_counted_with_their_rows_and_sources(klines):
    parsed = of_stage(klines, Stage.PARSED)

    assert (parsed.symbols, parsed.files, parsed.rows) == (1, 3, 3)
    assert (parsed.first, parsed.last) == (at("2024-12-30"), at("2025-03-01T10:00"))


def test_rows_of_gaps_beside_results_are_no_rows_of_results(klines):
    results = of_stage(klines, Stage.RESULTS)

    assert (results.symbols, results.files, results.rows) == (2, 4, 4)


def test_files_of_runs_under_way_are_not_counted(klines):
    size = sum(
        path.stat().st_size
        for path in (klines / "parsed_data").rglob("*")
        if path.is_file() and not path.name.startswith(".")
    )

    assert of_stage(klines, Stage.PARSED).size_bytes == size


def test_the_time_of_a_row_is_that_of_its_type_of_data(tmp_path):
    path = "parsed_data/um_futures/fundingRate/AUSDT/2025.parquet"
    put_rows(tmp_path, path, "2025-01-01T08:00", column="funding_time")

    assert of_stage(tmp_path, Stage.PARSED).first == at("2025-01-01T08:00")


def judge(data_dir, series, *conditions):
    """Write the market's table of conditions of a series."""
    rows = [
        dict.fromkeys(CONDITION) | {"symbol": "AUSDT", "condition": condition}
        for condition in conditions
    ]
    storage.write_parquet(
        pl.DataFrame(rows, schema=CONDITION),
        data_dir / f"results_data/um_futures/quality/condition-{series}.parquet",
        metadata={},
    )


@pytest.mark.parametrize(
    ("stages", "judged"),
    [(["parsed_data", "api_data"], Stage.PARSED), (["api_data"], Stage.API)],
)
def test_records_are_judged_by_partitions_or_by_backfills_alone(
    tmp_path, stages, judged
):
    for stage in stages:
        path = f"{stage}/um_futures/fundingRate/AUSDT/2025.parquet"
        put_rows(tmp_path, path, "2025-01-01T08:00", column="funding_time")
    judge(tmp_path, "fundingRate", "available")

    found = {holding.stage: holding.condition for holding in survey(tmp_path)}

    assert found.pop(judged) == {"available": 1}
    assert not any(found.values())


def test_days_are_counted_by_their_condition(klines):
    assert of_stage(klines, Stage.RESULTS).condition is None
    judge(klines, "klines-1m", "available", "available", "missing")

    found = {holding.stage: holding.condition for holding in survey(klines)}

    assert found[Stage.RESULTS] == {"available": 2, "missing": 1}
    assert found[Stage.PARSED] is None


def test_a_table_that_cannot_be_read_is_named(klines):
    broken = "results_data/um_futures/klines/1m/BUSDT.pqt"
    put(klines, broken)

    results = of_stage(klines, Stage.RESULTS)

    assert results.unreadable == (broken,)
    assert results.rows == 2


def test_holdings_are_in_the_order_in_which_they_are_made(klines):
    assert [holding.stage for holding in survey(klines)] == [
        *(Stage.RAW, Stage.PARSED, Stage.RESULTS)
    ]


def test_an_empty_folder_holds_nothing(tmp_path):
    (tmp_path / "aws_data/spot/daily/klines/AUSDT/1m").mkdir(parents=True)

    assert survey(tmp_path) == []


def test_how_far_the_count_is_is_told(klines):
    told = []

    survey(klines, on_progress=lambda what, **step: told.append((what, *step.values())))

    assert ("counting files", 0, told[0][2]) == told[0]
    assert told[-1] == ("reading footers", 4, 4)
