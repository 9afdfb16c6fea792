"""Which daily files on disk monthly ones take the place of."""

import datetime as dt

import pytest

from bhds import config
from bhds.cleanup.superseded import superseded
from bhds.plan import prepare

from ..cli.conftest import Archive

NOW = dt.datetime(2025, 3, 10, 12, tzinfo=dt.UTC)
DAYS = ("2025-02-01", "2025-02-27", "2025-02-28")


@pytest.fixture
def archive(tmp_path, monkeypatch):
    """Return an archive whose February has a monthly zip and three daily ones."""
    monkeypatch.chdir(tmp_path)
    archive = Archive(tmp_path)
    archive.publish("AUSDT", "2025-02", *DAYS, "2025-03-01")
    archive.fetch("AUSDT", "2025-02", *DAYS, "2025-03-01")
    return archive


def standings(archive, *datasets, settings=None, **dataset):
    raw = {
        "as_of": "2025-03-09",
        "datasets": datasets
        or [{"trade_type": "um_futures", "interval": "1h", **dataset}],
        **(settings or {}),
    }
    planned = prepare.plan(
        config.load(raw, environment={}),
        targets=(),
        data_dir=archive.data_dir,
        now=NOW,
        online=False,
        keep=False,
    ).datasets
    found = superseded(planned, data_dir=archive.data_dir)
    return {path.rpartition("-1h-")[2]: standing for path, standing in found.rows()}


def of_days(standing, *days):
    return {
        f"{day}.zip{suffix}": standing for day in days for suffix in ("", ".CHECKSUM")
    }


def test_days_that_the_parsed_month_holds_are_replaced(archive):
    archive.parse("AUSDT", "2025-02", "2025-03-01", last_day="2025-03-01")

    assert standings(archive) == of_days("replaced", *DAYS)


def test_a_month_that_is_not_parsed_replaces_nothing_yet(archive):
    assert standings(archive) == of_days("unparsed", *DAYS)


def test_a_partition_that_was_made_of_days_says_nothing_of_the_month(archive):
    archive.parse("AUSDT", *DAYS, last_day="2025-02-28")

    assert standings(archive) == of_days("unparsed", *DAYS)


def test_a_corrupt_month_replaces_nothing(archive):
    path = archive.path("AUSDT", "2025-02")
    content = bytearray(path.read_bytes())
    content[200:300] = bytes(100)
    path.write_bytes(content)
    archive.parse("AUSDT", "2025-02", last_day="2025-02-28")

    assert standings(archive) == of_days("unparsed", *DAYS)


def test_sources_that_cannot_be_read_count_as_none(archive):
    archive.parse("AUSDT", "2025-02", last_day="2025-02-28")
    folder = archive.data_dir / "parsed_data/um_futures/klines/AUSDT/1h"
    (folder / "all.sources.json").write_text('{"inputs": [')

    assert standings(archive) == of_days("unparsed", *DAYS)


def test_another_revision_of_the_month_has_to_be_parsed_first(archive):
    archive.parse("AUSDT", "2025-02", last_day="2025-02-28")
    archive.publish("AUSDT", "2025-02", hours=300)
    archive.fetch("AUSDT", "2025-02")

    assert standings(archive) == of_days("unparsed", *DAYS)


def test_a_day_that_the_month_lacks_stays(archive):
    archive.publish("AUSDT", "2025-02", hours=26 * 24 + 13)
    archive.fetch("AUSDT", "2025-02")
    archive.parse("AUSDT", "2025-02", last_day="2025-02-28")

    assert standings(archive) == (
        of_days("replaced", DAYS[0]) | of_days("lacking", *DAYS[1:])
    )


def test_a_day_that_its_daily_zip_supplied_stays(archive):
    archive.publish("AUSDT", "2025-02", hours=27 * 24)
    archive.fetch("AUSDT", "2025-02")
    archive.parse("AUSDT", "2025-02", "2025-02-28", last_day="2025-02-28")

    assert standings(archive) == (
        of_days("replaced", *DAYS[:2]) | of_days("lacking", DAYS[2])
    )


@pytest.mark.parametrize(
    ("daily_hours", "standing"),
    [
        pytest.param(13, "replaced", id="as short as the month's"),
        pytest.param(14, "lacking", id="an hour more than the month's"),
    ],
)
def test_a_short_day_is_replaced_if_its_own_zip_has_no_more(
    archive, daily_hours, standing
):
    archive.publish("AUSDT", "2025-02", hours=26 * 24 + 13)
    archive.publish("AUSDT", "2025-02-27", hours=daily_hours)
    archive.fetch("AUSDT", "2025-02", "2025-02-27")
    archive.parse("AUSDT", "2025-02", last_day="2025-02-28")

    assert standings(archive)["2025-02-27.zip"] == standing


@pytest.mark.parametrize(
    ("content", "standing"),
    [
        pytest.param(b"", "replaced", id="empty: the server had none"),
        pytest.param(b"no zip", "lacking", id="unreadable"),
    ],
)
def test_a_short_day_is_told_by_what_its_zip_holds(archive, content, standing):
    archive.publish("AUSDT", "2025-02", hours=26 * 24 + 13)
    archive.fetch("AUSDT", "2025-02")
    archive.path("AUSDT", "2025-02-27").write_bytes(content)
    archive.parse("AUSDT", "2025-02", last_day="2025-02-28")

    assert standings(archive)["2025-02-27.zip"] == standing


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"frequency": "daily"}, id="days are wanted"),
        pytest.param({"frequency": "monthly"}, id="months alone are wanted"),
        pytest.param({"start": "2025-03-01"}, id="the month is not wanted"),
        pytest.param({"symbols": ["BUSDT"]}, id="the symbol is not wanted"),
    ],
)
def test_days_are_looked_at_only_where_the_settings_take_the_month(archive, change):
    archive.publish("BUSDT", "2025-03-01")
    archive.parse("AUSDT", "2025-02", last_day="2025-02-28")

    assert standings(archive, **change) == {}


def test_days_after_the_last_one_wanted_stay(archive):
    archive.parse("AUSDT", "2025-02", last_day="2025-02-27")

    found = standings(archive, settings={"as_of": "2025-02-27"})

    assert found == (of_days("replaced", *DAYS[:2]) | of_days("lacking", DAYS[2]))


@pytest.mark.parametrize("state", ["missing", "another revision", "vanished"])
def test_a_month_that_is_not_whole_on_disk_replaces_nothing(archive, state):
    archive.parse("AUSDT", "2025-02", last_day="2025-02-28")
    path = archive.path("AUSDT", "2025-02")
    if state == "missing":
        path.unlink()
    else:
        path.write_bytes(b"" if state == "vanished" else b"other")

    assert standings(archive) == {}


def test_days_of_a_month_known_to_be_bad_are_inputs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    archive = Archive(tmp_path)
    days = [f"2022-04-{day:02}" for day in range(1, 30)]  # one is missing
    archive.publish("AUSDT", "2022-04", *days)
    archive.fetch("AUSDT", "2022-04", *days)
    archive.parse("AUSDT", "2022-04", *days, last_day="2022-04-30")

    assert standings(archive) == {}


def test_other_files_in_the_folder_are_not_looked_at(archive):
    archive.parse("AUSDT", "2025-02", last_day="2025-02-28")
    folder = archive.path("AUSDT", "2025-02-01").parent
    (folder / "notes.txt").write_text("mine")
    (folder / "AUSDT-1h-2025-02-3.zip").write_text("mine")

    assert standings(archive) == of_days("replaced", *DAYS)
