"""Daily zips that supply what monthly zips lack, from parse jobs to the next plan."""

import datetime as dt
import hashlib
import json
import shutil
import zipfile
from collections import Counter
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bhds.archive.keys import CHECKSUM_SUFFIX, ArchiveFile, key_of_path
from bhds.archive.listing.directory import Directory
from bhds.core.errors import FetchError
from bhds.core.markets import Frequency, TradeType
from bhds.io import storage
from bhds.parse import supplements
from bhds.schemas.archive_tables import LISTING_SCHEMA
from bhds.stages import fetch as stage
from bhds.stages import parse as job

DAY = dt.timedelta(days=1)
LISTED_AT = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
FEBRUARY = [dt.date(2023, 2, 1) + n * DAY for n in range(28)]
SETTINGS = {"datasets": [{"trade_type": "um_futures"}]}


class Archive:
    """A bucket in a folder beside the data directory, which is the current one."""

    def __init__(self, data_type="klines", interval="1h"):
        self.data_type, self.interval = data_type, interval
        self.is_reachable = True
        self.fetched = []
        shutil.rmtree("../bucket", ignore_errors=True)

    def file(self, period):
        frequency = Frequency.DAILY if period.count("-") > 1 else Frequency.MONTHLY
        series = (self.data_type, "BTCUSDT", self.interval)
        return ArchiveFile(TradeType.UM_FUTURES, frequency, *series, period)

    def rows(self, day):
        start = int(dt.datetime(*day.timetuple()[:3], tzinfo=dt.UTC).timestamp()) * 1000
        if self.interval is None:
            first = (day - dt.date(2023, 1, 1)).days * 4
            return [
                f"{first + n},100,1,{first + n},{first + n},{start + n * 21600000},true"
                for n in range(4)
            ]
        step = {"1h": 3_600_000, "1d": 86_400_000, "3d": 3 * 86_400_000}[self.interval]
        opens = range(start, start + 86_400_000, step)
        if self.interval == "3d" and day.day % 3:
            opens = ()
        return [
            f"{ms},100,101,99,100,10,{ms + step - 1},1000,5,4,400,0" for ms in opens
        ]

    def publish(self, period, rows, *, content=None):
        """Put a zip and its CHECKSUM into the bucket."""
        path = Path("../bucket", self.file(period).path)
        path.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(path, "w") as opened:
            opened.writestr(f"{path.stem}.csv", "".join(f"{row}\n" for row in rows))
        if content is not None:
            path.write_bytes(content)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        checksum = path.with_name(path.name + CHECKSUM_SUFFIX)
        checksum.write_text(f"{digest}  {path.name}")

    def list_daily(self):
        directory = Directory(
            TradeType.UM_FUTURES, Frequency.DAILY, self.data_type, self.interval
        )
        rows = []
        for path in sorted(Path("../bucket").rglob("daily/**/*.zip*")):
            content = path.read_bytes()
            md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
            key = key_of_path(str(path.relative_to("../bucket")))
            rows.append((key, len(content), md5, LISTED_AT))
        frame = pl.DataFrame(rows, schema=LISTING_SCHEMA, orient="row")
        storage.write_parquet(frame, directory.listing_path, metadata={})

    def fetch_paths(self, paths, *, base_url, http, may_all_be_gone):
        assert may_all_be_gone
        assert base_url.startswith("https://")
        assert "proxy" in http
        if not self.is_reachable:
            msg = "no route to the archive"
            raise FetchError(msg)
        self.fetched += paths
        for path in paths:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            source = Path("../bucket", path)
            Path(path).write_bytes(source.read_bytes() if source.exists() else b"")

    def parse(self, *months, days=(None, None), raw=SETTINGS, is_listed=False):
        """List the bucket, and parse monthly zips of it."""
        if not is_listed:
            self.list_daily()
        zips = [self.file(month).path for month in months]
        for path in zips:
            for file in (path, path + CHECKSUM_SUFFIX):
                Path(file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(Path("../bucket", file), file)
        job.write_partition(
            zips,
            partition_path="parsed/partition.parquet",
            sources_path="parsed/partition.sources.json",
            days=dict(zip(("first_day", "last_day"), days, strict=True)),
            trade_type="um_futures",
            data_type=self.data_type,
            symbol="BTCUSDT",
            interval=self.interval,
            partition=months[0][: 4 if self.interval else 7],
            settings=raw,
        )
        return Parsed()


class Parsed:
    """What a parse job wrote."""

    def __init__(self):
        self.sources = json.loads(Path("parsed/partition.sources.json").read_text())
        frame = pl.read_parquet("parsed/partition.parquet")
        time = "open_time" if "open_time" in frame.columns else "time"
        self.rows = Counter(frame[time].dt.date().to_list())
        self.statuses = {
            ArchiveFile.from_key(entry["key"]).first_day: entry["integrity_status"]
            for entry in self.sources["inputs"]
            if entry["frequency"] == "daily"
        }


@pytest.fixture
def make(tmp_path, monkeypatch):
    """Return a function that makes an empty archive of a series."""
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path / "data")

    def make(*series):
        made = Archive(*series)
        monkeypatch.setattr(stage, "fetch_paths", made.fetch_paths)
        return made

    return make


SERIES = [
    pytest.param(("klines", "1h"), id="bars"),
    pytest.param(("aggTrades", None), id="piece by piece"),
]


@pytest.mark.parametrize("series", SERIES)
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    in_month=st.sets(st.sampled_from(FEBRUARY)),
    in_days=st.sets(st.sampled_from(FEBRUARY)),
)
def test_a_partition_has_each_day_that_the_month_or_a_daily_zip_has(
    make, series, in_month, in_days
):
    shutil.rmtree("aws_data", ignore_errors=True)
    archive = make(*series)
    for day in in_days:
        archive.publish(day.isoformat(), archive.rows(day))
    archive.publish(
        "2023-02", [r for day in sorted(in_month) for r in archive.rows(day)]
    )

    found = archive.parse("2023-02")

    rows = {day: len(archive.rows(day)) for day in in_month | in_days}
    assert found.rows == rows
    assert found.statuses.keys() >= in_days - in_month
    assert set(found.statuses) <= in_days


@pytest.mark.parametrize("series", SERIES)
def test_a_corrupt_month_is_supplied_by_all_its_daily_zips(make, series):
    archive = make(*series)
    for day in FEBRUARY[3:]:
        archive.publish(day.isoformat(), archive.rows(day))
    archive.publish("2023-02", [], content=b"not a zip")

    found = archive.parse("2023-02")

    assert set(found.rows) == set(FEBRUARY[3:])


@pytest.mark.parametrize("series", SERIES)
def test_a_day_of_which_the_month_has_less_than_half_comes_from_its_daily_zip(
    make, series
):
    archive = make(*series)
    rows = {day: archive.rows(day) for day in FEBRUARY}
    for day in FEBRUARY:
        archive.publish(day.isoformat(), rows[day])
    half = len(rows[FEBRUARY[0]]) // 2
    begun = {FEBRUARY[5]: rows[FEBRUARY[5]][:half]}
    begun[FEBRUARY[9]] = rows[FEBRUARY[9]][: half - 1]
    archive.publish("2023-02", [row for day in (rows | begun).values() for row in day])

    found = archive.parse("2023-02")

    assert FEBRUARY[9] in found.statuses
    assert found.rows[FEBRUARY[9]] == 2 * half
    assert FEBRUARY[5] not in found.statuses
    assert found.rows[FEBRUARY[5]] == half


def test_a_range_over_midnight_comes_from_the_daily_zips_of_both_days(make):
    archive = make()
    rows = {day: archive.rows(day) for day in FEBRUARY}
    for day in FEBRUARY:
        archive.publish(day.isoformat(), rows[day])
    left = {FEBRUARY[5]: rows[FEBRUARY[5]][:-9], FEBRUARY[6]: rows[FEBRUARY[6]][4:]}
    left |= {
        FEBRUARY[15]: rows[FEBRUARY[15]][:-9],
        FEBRUARY[16]: rows[FEBRUARY[16]][3:],
    }
    left[FEBRUARY[25]] = rows[FEBRUARY[25]][:12]
    archive.publish("2023-02", [row for day in (rows | left).values() for row in day])

    found = archive.parse("2023-02")

    assert {FEBRUARY[5], FEBRUARY[6]} <= found.statuses.keys()
    assert [found.rows[FEBRUARY[day]] for day in (5, 6)] == [24, 24]
    # Half a day and less: an outage may be so long.
    assert [found.rows[FEBRUARY[day]] for day in (15, 16, 25)] == [15, 21, 12]


def test_a_short_day_beside_a_supplied_one_comes_from_its_daily_zip(make):
    archive = make()
    for day in FEBRUARY:
        archive.publish(day.isoformat(), archive.rows(day))
    rows = [row for day in FEBRUARY for row in archive.rows(day)]
    archive.publish("2023-02", rows[: 10 * 24 + 5] + rows[12 * 24 :])

    found = archive.parse("2023-02")

    assert set(found.statuses) == {FEBRUARY[10], FEBRUARY[11]}
    assert set(found.rows.values()) == {24}


def test_short_days_alone_and_days_without_a_daily_zip_cost_nothing(make):
    archive = make()
    archive.publish("2023-02-09", archive.rows(FEBRUARY[8]))
    rows = [row for day in FEBRUARY for row in archive.rows(day)]
    listed_within = rows[8 * 24 + 5 : 20 * 24]  # as if listed and delisted within

    archive.publish("2023-02", listed_within)

    assert archive.parse("2023-02").statuses == {}
    assert archive.fetched == []
    assert supplements.read(Path()).is_empty()


def test_of_days_that_are_not_wanted_none_is_fetched(make):
    archive = make()
    for day in FEBRUARY:
        archive.publish(day.isoformat(), archive.rows(day))
    archive.publish("2023-02", [])

    found = archive.parse("2023-02", days=(FEBRUARY[4], FEBRUARY[6]))

    assert set(found.rows) == set(found.statuses) == set(FEBRUARY[4:7])


def test_without_settings_monthly_zips_are_taken_as_they_are(make):
    archive = make()
    archive.publish("2023-02-01", archive.rows(FEBRUARY[0]))
    archive.publish("2023-02", archive.rows(FEBRUARY[1]))

    assert set(archive.parse("2023-02", raw=None).rows) == {FEBRUARY[1]}


def test_daily_zips_that_are_corrupt_or_gone_are_inputs_with_their_status(make):
    archive = make()
    rows = [row for day in FEBRUARY[2:] for row in archive.rows(day)]
    archive.publish("2023-02", rows)
    archive.publish("2023-02-01", [], content=b"not a zip")
    archive.publish("2023-02-02", archive.rows(FEBRUARY[1]))
    archive.list_daily()
    for path in Path("../bucket").rglob("*2023-02-02.zip*"):
        path.unlink()

    found = archive.parse("2023-02", is_listed=True)

    assert found.statuses[FEBRUARY[0]] == "corrupt"
    assert found.statuses[FEBRUARY[1]] == "vanished"
    assert supplements.read(Path())["etag"].null_count() == 0


def test_zips_on_disk_as_listed_are_not_fetched_again(make):
    archive = make()
    archive.publish("2023-02", archive.rows(FEBRUARY[1]))
    archive.publish("2023-02-01", archive.rows(FEBRUARY[0]))
    archive.parse("2023-02")
    once = list(archive.fetched)

    archive.parse("2023-02")
    assert (
        archive.fetched
        == once
        == [
            archive.file("2023-02-01").path + suffix for suffix in ("", CHECKSUM_SUFFIX)
        ]
    )

    archive.publish("2023-02-01", archive.rows(FEBRUARY[0])[:5])
    assert archive.parse("2023-02").rows[FEBRUARY[0]] == 5
    assert archive.fetched == 2 * once


def test_a_later_revision_of_the_month_that_has_all_days_needs_no_daily_zip(make):
    archive = make()
    archive.publish("2023-02", [r for day in FEBRUARY[1:] for r in archive.rows(day)])
    archive.publish("2023-02-01", archive.rows(FEBRUARY[0]))
    assert set(archive.parse("2023-02").statuses) == {FEBRUARY[0]}

    archive.publish("2023-02", [r for day in FEBRUARY for r in archive.rows(day)])

    found = archive.parse("2023-02")
    assert found.statuses == {}
    assert set(found.rows) == set(FEBRUARY)


@pytest.mark.parametrize("raw", [SETTINGS, SETTINGS | {"offline": True}])
def test_what_cannot_be_fetched_is_recorded_and_the_rest_is_built(make, raw, caplog):
    archive = make()
    archive.publish("2023-02", archive.rows(FEBRUARY[1]))
    archive.publish("2023-02-01", archive.rows(FEBRUARY[0]))
    archive.is_reachable = False
    before = dt.datetime.now(dt.UTC)

    assert set(archive.parse("2023-02", raw=raw).rows) == {FEBRUARY[1]}

    key = archive.file("2023-02-01").key
    assert supplements.read(Path()).rows() == [(key, None)]
    assert supplements.count_unfetched(Path(), since=before) == 1
    assert len([r for r in caplog.records if "were not fetched" in r.message]) == 1
    assert archive.fetched == []

    archive.is_reachable = True
    archive.parse("2023-02")
    assert supplements.count_unfetched(Path(), since=before) == 0


def test_a_zip_that_the_server_withdrew_supplies_from_disk(make):
    archive = make()
    archive.publish("2023-02", archive.rows(FEBRUARY[1]))
    archive.publish("2023-02-01", archive.rows(FEBRUARY[0]))
    archive.parse("2023-02")
    for path in Path("../bucket").rglob("*2023-02-01.zip*"):
        path.unlink()

    assert set(archive.parse("2023-02").rows) == set(FEBRUARY[:2])
