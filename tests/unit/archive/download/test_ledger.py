"""The ledger: what it keeps of revisions, and how fast it says that files come."""

import datetime as dt

import polars as pl
import pytest

from bhds.archive.download import ledger
from bhds.archive.download.ledger import Rate
from bhds.schemas.archive_tables import LEDGER

MONDAY = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)
TUESDAY = dt.datetime(2026, 1, 6, tzinfo=dt.UTC)


def rows(*keys, first_seen=MONDAY, etag="e1"):
    return pl.DataFrame(
        [(key, etag, 9, MONDAY, "m", "s", first_seen, MONDAY, 9, None) for key in keys],
        schema=LEDGER,
        orient="row",
    )


def test_revisions_are_kept_in_one_file_and_parts(tmp_path):
    ledger.append(tmp_path, rows=rows("a", "b"))
    merged = ledger.compact(tmp_path)
    ledger.append(tmp_path, rows=rows("a", first_seen=TUESDAY))

    read = ledger.read(tmp_path)

    assert merged == 1
    assert read.schema == LEDGER
    assert read["key"].to_list() == ["a", "b", "a"]
    assert read["first_seen"].to_list() == [MONDAY, MONDAY, TUESDAY]
    assert (tmp_path / "aws_data/ledger.parquet").is_file()
    assert len(list((tmp_path / "aws_data/ledger.d").glob("*.parquet"))) == 1


def test_a_ledger_of_the_version_that_measured_no_times_is_read(tmp_path):
    path = tmp_path / "aws_data/ledger.parquet"
    path.parent.mkdir()
    rows("a", "b").drop("requested_at").write_parquet(path)

    read = ledger.read(tmp_path)

    assert read.schema == LEDGER
    assert read.drop("requested_at").equals(rows("a", "b").drop("requested_at"))
    assert read["requested_at"].to_list() == [None, None]
    assert ledger.download_rate(read) is None


def test_newest_keeps_the_latest_row_of_each_key():
    history = pl.concat(
        [
            rows("a", first_seen=TUESDAY, etag="a2"),
            rows("b", "a", first_seen=MONDAY, etag="old"),
        ]
    )

    newest = ledger.newest(history)

    assert newest.select("key", "etag").rows() == [("a", "a2"), ("b", "old")]


# --- the rate -------------------------------------------------------------------------


def batch(begin_s, end_s, *sizes, md5="m"):
    """Rows of a batch that was asked for and came so many seconds after Monday began.

    `begin_s` is None for files that the staging folder had already.
    """
    first_seen = MONDAY + dt.timedelta(seconds=end_s)
    requested_at = None if begin_s is None else MONDAY + dt.timedelta(seconds=begin_s)
    return pl.DataFrame(
        [
            ("k", "e", size, MONDAY, md5, "s", first_seen, requested_at, size, None)
            for size in sizes
        ],
        schema=LEDGER,
        orient="row",
    )


@pytest.mark.parametrize(
    ("batches", "rate"),
    [
        pytest.param([batch(0, 10, 100, 300)], Rate(40, 0.2), id="one batch"),
        pytest.param(
            [batch(20, 30, 100), batch(0, 10, 100)], Rate(10, 0.1), id="a pause between"
        ),
        pytest.param(
            [batch(0, 10, 100), batch(5, 20, 100)], Rate(10, 0.1), id="overlapping"
        ),
        pytest.param(
            [batch(0, 20, 100), batch(5, 10, 100), batch(15, 20, 200)],
            Rate(20, 0.15),
            id="within another",
        ),
        pytest.param(
            [batch(0, 10, 100), batch(None, 10, 900)],
            Rate(10, 0.1),
            id="kept from staging",
        ),
        pytest.param(
            [batch(0, 10, 100), batch(0, 10, 900, md5=None)],
            Rate(10, 0.1),
            id="not on the server",
        ),
        pytest.param(
            [batch(0, 10, 100), batch(30, 20, 100)],
            Rate(10, 0.1),
            id="the clock was set back",
        ),
    ],
)
def test_the_rate_is_what_came_over_the_time_under_way(batches, rate):
    assert ledger.download_rate(pl.concat(batches)) == rate


def test_the_rate_is_that_of_the_latest_batches():
    history = pl.concat([batch(90, 100, 500), batch(0, 50, 10), batch(80, 90, 300)])

    assert ledger.download_rate(history, last=2) == Rate(40, 0.1)
    assert ledger.download_rate(history, last=1) == Rate(50, 0.1)


@pytest.mark.parametrize(
    "history",
    [
        pytest.param(batch(0, 10), id="no rows"),
        pytest.param(batch(None, 10, 100), id="kept from staging only"),
        pytest.param(batch(10, 10, 100), id="in no time"),
    ],
)
def test_there_is_no_rate_where_nothing_was_measured(history):
    assert ledger.download_rate(history) is None


@pytest.mark.parametrize(
    ("files", "size_bytes", "seconds"),
    [
        pytest.param(100, 1000, 20, id="bound by the number"),
        pytest.param(10, 1000, 10, id="bound by the bytes"),
        pytest.param(0, 0, 0, id="nothing"),
    ],
)
def test_an_estimate_is_the_longer_of_two(files, size_bytes, seconds):
    rate = Rate(bytes_per_s=100, files_per_s=5)

    assert rate.seconds_for(files=files, size_bytes=size_bytes) == seconds


def test_empty_files_tell_the_rate_of_files_alone():
    rate = ledger.download_rate(batch(0, 10, 0, 0))

    assert rate == Rate(0, 0.2)
    assert rate.seconds_for(files=1, size_bytes=10**9) == 5
