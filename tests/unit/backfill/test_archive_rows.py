"""What the archive has of a partition, and how far its fill may go."""

import datetime as dt
import hashlib
import io
import json
from types import SimpleNamespace

import polars as pl
import pytest

from bhds.backfill.archive_rows import ArchivedRows, BackfillBounds
from bhds.core.errors import ParseError
from bhds.io import storage

SCHEMA = pl.Schema({"open_time": pl.Int64()})
KIND = SimpleNamespace(
    schema=SCHEMA,
    shown=lambda rows: rows,
    doubtful=lambda rows: rows["open_time"].to_list()[1:],
)
KEY = "data/spot/daily/klines/AUSDT/1m/AUSDT-1m-2025-01-01.zip"
_BUFFER = io.BytesIO()
pl.DataFrame({"symbol": ["AUSDT"], "open_time": [1.5]}).write_parquet(_BUFFER)
OTHER = _BUFFER.getvalue()
_BUFFER = io.BytesIO()
pl.DataFrame({"open_time": [1]}).write_parquet(_BUFFER)
UNNAMED = _BUFFER.getvalue()
NOW = dt.datetime(2025, 3, 10, 12, tzinfo=dt.UTC)


@pytest.fixture
def partition(tmp_path):
    path = tmp_path / "2025.parquet"
    rows = pl.DataFrame({"open_time": [1, 2]}, schema=SCHEMA)
    storage.write_parquet(rows, path, metadata={}, symbol="AUSDT")
    sources = {"inputs": [{"key": KEY, "integrity_status": "ok"}]}
    path.with_suffix(".sources.json").write_text(json.dumps(sources))
    return path


def test_a_partition_is_read_with_the_zips_that_it_was_made_from(partition):
    held = ArchivedRows.read([str(partition)], kind=KIND, is_last=True)

    assert held.rows["open_time"].to_list() == [1, 2]
    assert len(held.coverage.usable) == 1
    assert held.doubtful == (2,)
    assert held.sha256 == (hashlib.sha256(partition.read_bytes()).hexdigest(),)


def test_where_the_archive_has_nothing_there_are_no_rows():
    held = ArchivedRows.read([], kind=KIND, is_last=True)

    assert held.rows.schema == SCHEMA
    assert held.rows.is_empty()
    assert held.coverage.last == -1
    assert held.sha256 == ()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param("2025.parquet", b"no Parquet", id="partition"),
        pytest.param("2025.parquet", OTHER, id="other columns"),
        pytest.param("2025.parquet", UNNAMED, id="no symbol"),
        pytest.param("2025.sources.json", b"{", id="no JSON"),
        pytest.param("2025.sources.json", b"[]", id="no object"),
        pytest.param("2025.sources.json", b'{"inputs": [{}]}', id="no key"),
        pytest.param(
            "2025.sources.json",
            b'{"inputs": [{"key": "x", "integrity_status": "ok"}]}',
            id="key",
        ),
        pytest.param("2025.sources.json", None, id="lost"),
    ],
)
def test_what_cannot_be_read_is_one_error_that_says_what_to_do(
    partition, name, content
):
    path = partition.with_name(name)
    path.unlink()
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(ParseError, match=r"2025\.parquet.*delete both"):
        ArchivedRows.read([str(partition)], kind=KIND, is_last=True)


def test_bounds_are_days_and_the_present():
    bounds = BackfillBounds.until(
        NOW,
        {
            "first_day": dt.date(2025, 1, 1),
            "last_day": dt.date(2025, 3, 9),
            "is_first": True,
            "is_last": True,
            "requested_at": None,
        },
    )

    assert bounds == BackfillBounds(
        begin_ms=1_735_689_600_000,
        end_ms=1_741_564_800_000,
        now_ms=int(NOW.timestamp() * 1000),
        is_first=True,
    )
