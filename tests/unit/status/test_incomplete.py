"""What a run leaves incomplete, counted from what its jobs recorded."""

import datetime as dt
import json
from pathlib import Path

import polars as pl
import pytest

from bhds.backfill import unanswered
from bhds.parse import unusable_zips
from bhds.schemas.archive_tables import SUPPLEMENTS
from bhds.status.incomplete import report

NOW = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)


def any_path(_):
    return True


@pytest.fixture
def write(tmp_path):
    """Write the sources of a partition as its parse job does."""

    def write(name, **statuses):
        entries = [
            {"key": key, "integrity_status": each} for key, each in statuses.items()
        ]
        path = f"parsed_data/{name}.sources.json"
        (tmp_path / "parsed_data").mkdir(exist_ok=True)
        (tmp_path / path).write_text(json.dumps({"inputs": entries}))
        unusable_zips.record(tmp_path, path, {"inputs": entries})

    return write


def test_nothing_is_reported_of_what_is_complete(tmp_path, write):
    write("2024", a="ok", b="checksum-stale", c="checksum-missing")

    assert report(tmp_path, since=NOW, selects=any_path) == []
    assert list((tmp_path / "aws_data").glob("*")) == []


def test_unusable_zips_are_counted_by_their_status(tmp_path, write):
    write("2023", a="corrupt", b="vanished", c="ok")
    write("2024", d="corrupt", e="corrupt")

    (line,) = report(tmp_path, since=NOW, selects=any_path)

    assert line.startswith(
        "bhds: warning: zips that cannot be used: 3 corrupt, 1 vanished; "
    )


def test_what_was_made_again_or_is_gone_counts_no_more(tmp_path, write):
    for name in ("2022", "2023", "2024"):
        write(name, a="corrupt")
    write("2022", a="ok")
    Path(tmp_path, "parsed_data/2023.sources.json").unlink()
    Path(tmp_path, "parsed_data/2024.sources.json").write_text("{")

    assert report(tmp_path, since=NOW, selects=any_path) == []


def test_answers_and_daily_zips_to_come_are_counted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    unanswered.record(
        tmp_path, "api_data/f.parquet", requested_at=None, is_answered=False
    )
    row = {"key": "k", "etag": None, "recorded_at": NOW}
    pl.DataFrame([row], schema=SUPPLEMENTS).write_parquet(
        tmp_path / "aws_data" / "supplements.parquet", mkdir=True
    )

    fills, zips = report(tmp_path, since=NOW, selects=any_path)

    assert "1 backfill(s) of api_data were not answered in full" in fills
    assert "1 daily zip(s) of days that monthly zips lack could not" in zips
    later = NOW + dt.timedelta(1)
    assert len(report(tmp_path, since=later, selects=any_path)) == 1


def test_what_the_settings_do_not_select_is_not_counted(tmp_path, write):
    write("2023", a="corrupt")
    write("2024", b="corrupt")
    for name in ("e", "f"):
        unanswered.record(
            tmp_path, f"api_data/{name}.parquet", requested_at=None, is_answered=False
        )
    selected = {"parsed_data/2024.sources.json", "api_data/f.parquet"}

    zips, backfills = report(tmp_path, since=NOW, selects=selected.__contains__)

    assert ": 1 corrupt;" in zips
    assert "1 backfill(s)" in backfills
