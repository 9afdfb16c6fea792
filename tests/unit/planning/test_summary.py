"""The table of a plan."""

import datetime as dt
import io

import pytest

from bhds import config
from bhds.planning import prepare
from bhds.planning.summary import Row, show, summarise


def planned(bucket, *, symbols):
    settings = {"datasets": [{"trade_type": "um_futures", "symbols": symbols}]}
    (found,) = prepare.plan(
        config.load(settings, environment={}),
        targets=(),
        data_dir=bucket.data_dir,
        now=dt.datetime(2025, 3, 10, 12, tzinfo=dt.UTC),
        online=False,
    ).datasets
    return found


@pytest.fixture
def dataset(bucket):
    """One zip here, one of another size here, three missing; each with a CHECKSUM."""
    bucket.publish("AUSDT", "2024-12", "2025-01", "2025-02")
    bucket.publish("BUSDT", "2025-01", "2025-02")
    bucket.publish("NEWUSDT", "2025-03-10")
    bucket.fetch("AUSDT", "2024-12")
    bucket.fetch("AUSDT", "2025-01", size=9)
    return planned(bucket, symbols=["AUSDT", "BUSDT", "NEWUSDT"])


def lines(*datasets):
    file = io.StringIO()
    show(datasets, file=file)
    return [" ".join(line.split()) for line in file.getvalue().splitlines()]


def test_files_and_bytes_are_counted_by_their_state(dataset):
    assert summarise(dataset) == Row(
        dataset="um_futures klines 1m",
        symbols=2,  # no file of NEWUSDT is of the time wanted
        files=10,
        size_bytes=100,
        missing=6,
        missing_bytes=60,
        replaced=2,
        replaced_bytes=20,
    )


def test_with_all_files_here_nothing_is_to_be_downloaded(bucket):
    bucket.publish("AUSDT", "2025-01")
    bucket.fetch("AUSDT", "2025-01")

    row = summarise(planned(bucket, symbols=["AUSDT"]))

    assert (row.files, row.missing, row.replaced) == (2, 0, 0)


def test_a_dataset_is_one_line_without_a_total(dataset):
    assert lines(dataset) == [
        "Plan",
        "dataset symbols files size missing size replaced size",
        "um_futures klines 1m 2 10 100 bytes 6 60 bytes 2 20 bytes",
    ]


def test_several_datasets_have_a_total(bucket, dataset):
    other = planned(bucket, symbols=["BUSDT"])

    *_, first, second, total = lines(dataset, other)

    assert first.endswith(" 2 10 100 bytes 6 60 bytes 2 20 bytes")
    assert second.endswith(" 1 4 40 bytes 4 40 bytes 0 0 bytes")
    assert total == "total 3 14 140 bytes 10 100 bytes 2 20 bytes"


def test_a_log_gets_whole_lines_whatever_the_terminal(dataset, monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")

    assert len(lines(dataset)) == 3
