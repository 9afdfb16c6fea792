"""The table of a plan."""

import datetime as dt
import io

import pytest
from rich.console import Console

from bhds import config
from bhds.archive.keys import path_of_key
from bhds.plan import prepare
from bhds.plan.summary import Row, files_table, show, summarise, with_due


def planned(bucket, *, symbols):
    dataset = {"trade_type": "um_futures", "symbols": symbols}
    settings = {"datasets": [dataset | {"results": {"funding": False}}]}
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
        server_files=10,
        server_bytes=100,
        disk_files=4,
        disk_bytes=38,
        missing_files=6,
        missing_bytes=60,
        replaced_files=2,
        replaced_bytes=20,
    )


def test_with_all_files_here_nothing_is_to_be_downloaded(bucket):
    bucket.publish("AUSDT", "2025-01")
    bucket.fetch("AUSDT", "2025-01")

    row = summarise(planned(bucket, symbols=["AUSDT"]))

    assert (row.server_files, row.disk_files) == (2, 2)
    assert (row.due_files, row.due_bytes) == (0, 0)


def test_what_the_server_withdrew_is_on_disk_alone(bucket):
    bucket.publish("AUSDT", "2025-01", "2025-02")
    bucket.fetch("AUSDT", "2025-01")
    bucket.withdraw("AUSDT", "2025-01")

    row = summarise(planned(bucket, symbols=["AUSDT"]))

    assert (row.server_files, row.disk_files, row.missing_files) == (2, 2, 2)


@pytest.mark.parametrize(
    ("lost", "etag", "due"),
    [
        pytest.param(".CHECKSUM", "a" * 32, [None, "missing"], id="CHECKSUM lost"),
        pytest.param("", "a" * 32, ["missing", None], id="zip lost"),
        pytest.param(".CHECKSUM", "a-2", ["replaced", "missing"], id="without an MD5"),
        pytest.param(None, "a-2", [None, None], id="whole"),
    ],
)
def test_what_is_as_listed_is_not_due_with_the_other_file_of_its_pair(
    bucket, lost, etag, due
):
    bucket.publish("AUSDT", "2025-01", etag=etag)
    bucket.fetch("AUSDT", "2025-01")
    if lost is not None:
        path = path_of_key(bucket.key("AUSDT", "2025-01") + lost)
        (bucket.data_dir / path).unlink()
    found = planned(bucket, symbols=["AUSDT"])

    assert with_due(found.files)["due"].to_list() == due


def test_a_dataset_is_two_lines_without_a_total(dataset):
    assert lines(dataset) == [
        "Plan",
        "dataset symbols on server on disk missing replaced",
        "um_futures klines 1m 2 10 4 6 2",
        "100 bytes 38 bytes 60 bytes 20 bytes",
    ]


def test_several_datasets_have_a_total(bucket, dataset):
    other = planned(bucket, symbols=["BUSDT"])

    *_, total, total_bytes = lines(dataset, other)

    assert total == "total 3 14 4 10 2"
    assert total_bytes == "140 bytes 38 bytes 100 bytes 20 bytes"


def test_a_log_gets_whole_lines_whatever_the_terminal(dataset, monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")

    assert len(lines(dataset)) == 4


@pytest.mark.parametrize("width", [72, 80, 120])
def test_a_long_name_is_wrapped_between_words_and_nothing_is_cut(width):
    name = "um_futures liquidationSnapshot 15m"
    row = Row(name, 1_057, *[1_472_242] * 8)

    console = Console(file=io.StringIO(), width=width)
    console.print(files_table([row]))
    text = console.file.getvalue()

    assert all(len(line) <= width for line in text.splitlines())
    assert {*name.split()} <= {*text.split()}
    assert text.count("1,472,242") == 4
    assert text.count("1.5 MB") == 4
