"""The disk space that partitions and results will take."""

import shutil

import polars as pl
import pytest

from bhds import config
from bhds.core.errors import PlaceError
from bhds.plan import space

FILE = 5_000
"""What an almost empty file takes."""


def dataset_of(**fields):
    raw = {"datasets": [{"trade_type": "um_futures", **fields}]}
    return config.load(raw, environment={}).datasets[0]


def zips(*rows):
    """One row a zip: symbol, partition, bytes, and whether it is to come."""
    columns = {"symbol": pl.String, "partition": pl.String, "size": pl.Int64}
    return pl.DataFrame(rows, schema={**columns, "due": pl.String}, orient="row")


HELD, DUE = None, "missing"


@pytest.fixture
def write(tmp_path):
    def write(path, size):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(b"x" * size)

    return write


@pytest.mark.parametrize(
    ("fields", "per_zip_byte"),
    [
        pytest.param({}, 1.0, id="klines"),
        pytest.param({"data_type": "metrics"}, 1.0, id="metrics"),
        pytest.param({"data_type": "aggTrades"}, 0.7, id="trades"),
    ],
)
def test_without_partitions_shipped_figures_tell(tmp_path, fields, per_zip_byte):
    files = zips(
        ("A", "2024", 100_000, DUE),
        ("A", "2024", 100_000, HELD),  # not parsed yet
        ("A", "2025", 50_000, DUE),
    )

    found = space.partitions(dataset_of(**fields), files, data_dir=tmp_path)

    assert found.size_bytes == pytest.approx(250_000 * per_zip_byte + 2 * FILE)


@pytest.mark.parametrize("interval", ["1m", "1h"])
def test_partitions_on_disk_tell_of_those_to_come(tmp_path, write, interval):
    write(f"parsed_data/um_futures/klines/A/{interval}/2023.parquet", 50)
    files = zips(
        ("A", "2023", 100, HELD),
        ("A", "2024", 1000, DUE),
        ("B", "2023", 1000, HELD),
    )

    found = space.partitions(dataset_of(interval=interval), files, data_dir=tmp_path)

    assert found.size_bytes == 500 + 500 + 2 * FILE


def test_partitions_of_types_without_intervals_are_found(tmp_path, write):
    write("parsed_data/um_futures/metrics/A/2023.parquet", 50)
    files = zips(("A", "2023", 100, HELD))

    dataset = dataset_of(data_type="metrics")
    assert space.partitions(dataset, files, data_dir=tmp_path) == space.Work()


def test_a_partition_on_disk_grows_by_the_zips_to_come(tmp_path, write):
    write("parsed_data/um_futures/klines/A/1m/2023.parquet", 50)
    files = zips(("A", "2023", 100, HELD), ("A", "2023", 20, DUE))

    work = space.partitions(dataset_of(), files, data_dir=tmp_path)

    assert (work.jobs, work.size_bytes, work.overhead_bytes) == (1, 10, 0)


def test_what_is_only_downloaded_has_no_partitions(tmp_path):
    dataset = dataset_of(trade_type="option", data_type="BVOLIndex")
    files = zips(("A", "2023", 100, DUE))

    assert space.partitions(dataset, files, data_dir=tmp_path) == space.Work()
    assert space.results(dataset, files, data_dir=tmp_path) == space.Work()


def test_results_and_longer_bars_are_in_proportion_to_their_rows(tmp_path):
    rules = [{"interval": "1h"}, {"interval": "1d", "offset": "8h"}]
    dataset = dataset_of(results={"resample": rules})
    files = zips(("A", "2023", 600_000, DUE), ("A", "2024", 400_000, DUE))

    found = space.results(dataset, files, data_dir=tmp_path)

    assert found.jobs == 2
    assert found.cpu_seconds == pytest.approx(1.0 * 0.015 + 2 * 1.0 * 0.002)
    plain = 1_100_000
    longer = plain * 1.8 * (1 / 60 + 1 / 1440)
    assert found.size_bytes == pytest.approx(plain + longer + 3 * FILE, abs=1)


def test_results_on_disk_tell_of_those_to_come(tmp_path, write):
    write("results_data/um_futures/klines/1m/A.pqt", 300)
    files = zips(("A", "2023", 100, HELD), ("B", "2023", 1000, DUE))

    found = space.results(dataset_of(), files, data_dir=tmp_path)

    assert found.size_bytes == 3000 + FILE


def test_results_are_built_again_after_a_backfill(tmp_path, write):
    for symbol in "AB":
        write(f"results_data/um_futures/klines/1m/{symbol}.pqt", 300)
    files = zips(("A", "2023", 100, HELD), ("B", "2023", 100, HELD))

    work = space.results(dataset_of(), files, data_dir=tmp_path, backfilled=["B"])

    assert (work.jobs, work.size_bytes) == (1, 0)


def test_files_take_whole_blocks_and_those_of_their_companions(tmp_path):
    files = zips(("A", "2024", 10_000, DUE), ("A", "2025", 1_000, DUE))

    work = space.partitions(dataset_of(), files, data_dir=tmp_path, block_bytes=4096)

    assert work.size_bytes == 11_000 + 2 * FILE
    assert work.size_bytes + work.overhead_bytes == (4 + 2 + 2 * 7) * 4096


def test_segment_files_double_results(tmp_path):
    dataset = dataset_of(results={"split": {"files": True}})
    files = zips(("A", "2023", 1_000_000, DUE))

    found = space.results(dataset, files, data_dir=tmp_path)

    assert found.size_bytes == 2 * (1_100_000 + FILE)


def test_types_without_results_have_none(tmp_path):
    files = zips(("A", "2023", 100, DUE))

    dataset = dataset_of(data_type="fundingRate")
    assert space.results(dataset, files, data_dir=tmp_path) == space.Work()


def test_downloads_that_do_not_fit_are_refused_with_both_sizes(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=5_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)

    space.check_room(tmp_path, due_bytes=5_000_000)
    with pytest.raises(
        PlaceError, match=rf"{tmp_path}: 6.0 MB .* 5.0 MB are free; free"
    ):
        space.check_room(tmp_path, due_bytes=6_000_000)
