"""The command that tells what is there."""

import datetime as dt
import json
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from bhds.backfill import api_use
from bhds.cli.app import app
from bhds.core.timegrid import TIME
from bhds.io import storage
from bhds.schemas.quality_tables import CONDITION

FIELDS = [
    *("trade_type", "data_type", "interval", "stage", "frequency", "symbols", "files"),
    *("size_bytes", "rows", "first", "last", "updated", "unreadable", "condition"),
]


@pytest.fixture
def data_dir(tmp_path):
    path = tmp_path / "parsed_data/spot/klines/龙虾USDT/1h/2025.parquet"
    times = pl.Series(["2025-03-01T13:00:00Z"]).str.to_datetime(time_unit="us")
    storage.write_parquet(
        times.cast(TIME).alias("open_time").to_frame(), path, metadata={}
    )
    return tmp_path


def status(data_dir, *arguments, columns="200"):
    return CliRunner().invoke(
        app,
        ["status", "--data-dir", str(data_dir), *arguments],
        env={"COLUMNS": columns},
    )


def test_the_document_is_as_documented(data_dir):
    document = json.loads(status(data_dir, "--json").stdout)

    assert sorted(document) == ["api_use", "data_dir", "holdings", "total"]
    assert document["data_dir"] == str(data_dir)
    (holding,) = document["holdings"]
    assert sorted(holding) == sorted(FIELDS)
    assert holding["stage"] == "parsed"
    assert holding["first"] == holding["last"] == "2025-03-01T13:00:00+00:00"
    assert (holding["rows"], holding["symbols"], holding["unreadable"]) == (1, 1, [])
    assert document["total"] == {"files": 1, "size_bytes": holding["size_bytes"]}


def test_every_field_is_explained_to_users():
    told = (Path(__file__).parents[3] / "docs/cli.md").read_text(encoding="utf-8")

    assert all(f"`{field}`" in told for field in FIELDS)


@pytest.mark.parametrize("columns", ["200", "80"])
def test_people_see_a_line_for_each_kind(data_dir, columns):
    (row,) = [
        line
        for line in status(data_dir, columns=columns).stdout.splitlines()
        if line.startswith("spot klines 1h")
    ]

    assert row.split()[3:8] == ["parsed", "1", "2025-03-01", "2025-03-01", "1"]


def test_the_days_are_told_by_their_condition(data_dir):
    rows = [
        dict.fromkeys(CONDITION) | {"symbol": "AUSDT", "condition": condition}
        for condition in ("available", "available", "pending")
    ]
    folder = data_dir / "results_data/spot"
    storage.write_parquet(
        pl.DataFrame(rows, schema=CONDITION),
        folder / "quality/condition-klines-1h.parquet",
        metadata={},
    )
    (folder / "klines/1h").mkdir(parents=True)
    (folder / "klines/1h/AUSDT.pqt").write_bytes(
        next(data_dir.rglob("2025.parquet")).read_bytes()
    )

    told = status(data_dir).stdout

    assert "Days of spot klines 1h: 2 available, 1 pending\n" in told


def test_requests_of_all_backfills_are_added_up(data_dir):
    numbers = {"requests": 700, "weight": 900, "refusals": 1, "rows": 1_000}
    for path in ("a.parquet", "b.parquet"):
        now = dt.datetime.now(dt.UTC)
        api_use.append(data_dir, requested_at=now, path=path, **numbers)

    document = json.loads(status(data_dir, "--json").stdout)

    assert document["api_use"] == {name: 2 * n for name, n in numbers.items()}
    line = "REST API so far: 1,400 requests (weight 1,800, 2 refused), 2,000 rows"
    assert line in status(data_dir).stdout


def test_a_table_that_cannot_be_read_is_told(data_dir):
    broken = data_dir / "parsed_data/spot/klines/龙虾USDT/1h/2026.parquet"
    broken.write_bytes(b"PAR1")

    assert f"Cannot be read: {broken.relative_to(data_dir)}" in status(data_dir).stdout


def test_nothing_built_is_no_error(tmp_path):
    result = status(tmp_path)

    assert result.exit_code == 0
    assert result.stdout.startswith("Nothing is built below")
