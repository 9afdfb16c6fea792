"""Partitions that grow from their own rows are the same as those made from all zips."""

import datetime as dt
import hashlib
import os
import shutil
import zipfile
from contextlib import suppress
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bhds.archive.keys import CHECKSUM_SUFFIX, ArchiveFile, key_of_path
from bhds.archive.listing.directory import Directory
from bhds.core.errors import FetchError, ParseError
from bhds.core.markets import Frequency, TradeType
from bhds.io import storage
from bhds.parse import revisions
from bhds.schemas.archive_tables import LISTING_SCHEMA
from bhds.stages import fetch, raw_zips
from bhds.stages import parse as job

SETTINGS = {"datasets": [{"trade_type": "um_futures"}]}
LISTED_AT = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
HOUR_MS = 3_600_000


def opens(day, hour=0):
    return int(dt.datetime(2023, 2, day, hour, tzinfo=dt.UTC).timestamp()) * 1000


class Archive:
    """A bucket of February 2023, whose zips jobs fetch into the current folder."""

    def __init__(self, data_type, interval):
        self.data_type, self.interval = data_type, interval
        self.zips = {}
        self.withdrawn = set()
        self.fetched = []

    def file(self, day):
        frequency = Frequency.MONTHLY if day is None else Frequency.DAILY
        period = "2023-02" if day is None else f"2023-02-{day:02}"
        series = (self.data_type, "BTCUSDT", self.interval)
        return ArchiveFile(TradeType.UM_FUTURES, frequency, *series, period)

    def publish(self, day, *, price, hours=24, extra=()):
        """Publish a day, or the month (None): rows of some hours, and `extra` ones."""
        days = range(1, 29) if day is None else [day]
        rows = [self.row(d, hour, price) for d in days for hour in range(hours)]
        rows += [self.row(*each, price) for each in extra]
        name = self.file(day).name
        path = Path("made.zip")
        with zipfile.ZipFile(path, "w") as opened:
            info = zipfile.ZipInfo(name.replace(".zip", ".csv"))
            opened.writestr(info, "".join(f"{row}\n" for row in rows))
        content = path.read_bytes()
        checksum = f"{hashlib.sha256(content).hexdigest()}  {name}\n".encode()
        self.zips[self.file(day).path] = content
        self.zips[self.file(day).path + CHECKSUM_SUFFIX] = checksum

    def row(self, day, hour, price):
        at = opens(day, hour)
        if self.interval is None:
            number = day * 100 + hour
            return f"{number},{price},0.1,{number},{number},{at},true"
        return f"{at},{price},{price},{price},{price},10,{at + HOUR_MS - 1},1,5,4,40,0"

    def list(self):
        for frequency in Frequency:
            directory = Directory(
                TradeType.UM_FUTURES, frequency, self.data_type, self.interval
            )
            rows = [
                (
                    key_of_path(path),
                    len(content),
                    hashlib.md5(content, usedforsecurity=False).hexdigest(),
                    LISTED_AT,
                )
                for path, content in sorted(self.zips.items())
                if f"/{frequency}/" in path
                and not any(self.file(day).path in path for day in self.withdrawn)
            ]
            frame = pl.DataFrame(rows, schema=LISTING_SCHEMA, orient="row")
            storage.write_parquet(frame, directory.listing_path, metadata={})

    def fetch_paths(self, paths, **_):
        self.fetched += [path for path in paths if not path.endswith(CHECKSUM_SUFFIX)]
        for path in paths:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Path(path).write_bytes(self.zips[path])

    def parse(self, name="grown"):
        """Build the partition, and return its bytes and how many zips were fetched."""
        self.list()
        self.fetched.clear()
        paths = (f"{name}/2023.parquet", f"{name}/2023.sources.json")
        # As Snakemake does.
        revisions.keep(paths[0], sources_path=paths[1])
        for path in paths:
            Path(path).unlink(missing_ok=True)
        job.write_partition(
            [path for path in self.zips if path.endswith(".zip")],
            partition_path=paths[0],
            sources_path=paths[1],
            days={"first_day": None, "last_day": dt.date(2023, 2, 28)},
            trade_type="um_futures",
            data_type=self.data_type,
            symbol="BTCUSDT",
            interval=self.interval,
            partition="2023" if self.interval else "2023-02",
            discards_by=SETTINGS,
        )
        return [Path(path).read_bytes() for path in paths], len(self.fetched)


SERIES = [("klines", "1h"), ("aggTrades", None)]


@pytest.fixture(params=SERIES, ids=lambda series: series[0])
def archive(request, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = Archive(*request.param)
    monkeypatch.setattr(fetch, "fetch_paths", made.fetch_paths)
    return made


def test_only_new_zips_are_fetched_and_none_stays(archive):
    for day in (1, 2, 3):
        archive.publish(day, price=day)
    archive.parse()
    archive.publish(4, price=4)
    grown, fetched = archive.parse()
    assert fetched == 1
    assert not [*Path("aws_data").rglob("*.zip*")]
    assert archive.parse("whole") == (grown, 4)


PUBLICATIONS = st.tuples(
    st.sampled_from([None, *range(1, 8)]),
    st.integers(1, 2),
    st.sampled_from([24, 24, 24, 5]),
    st.sampled_from([(), (), (), ((3, 1),), ((8, 0),)]),
)


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(history=st.lists(st.lists(PUBLICATIONS, min_size=1, max_size=4), max_size=4))
def test_each_state_is_that_of_a_build_of_all_zips(archive, history):
    archive.zips.clear()
    for folder in ("grown", "whole", "aws_data"):
        shutil.rmtree(folder, ignore_errors=True)
    for publications in history:
        for day, price, hours, extra in publications:
            archive.publish(day, price=price, hours=hours, extra=extra)
        grown, _ = archive.parse()
        shutil.rmtree("whole", ignore_errors=True)
        whole, _ = archive.parse("whole")
        assert grown == whole


def test_all_zips_are_fetched_again_for_another_revision_of_the_parser(
    archive, monkeypatch
):
    for day in (1, 2, 3):
        archive.publish(day, price=day)
    archive.parse()
    kept = raw_zips.kept_zips
    monkeypatch.setattr(
        raw_zips, "kept_zips", lambda *a, **k: kept(*a, **{**k, "revision": 99})
    )
    assert archive.parse()[1] == 3


def test_a_zip_of_another_etag_is_fetched_again(archive):
    for day in (1, 2, 3):
        archive.publish(day, price=day)
    archive.parse()
    archive.publish(2, price=7)
    grown, fetched = archive.parse()
    # What is written piece by piece is made again as a whole.
    assert fetched == (1 if archive.interval else 3)
    assert archive.parse("whole") == (grown, 3)


def test_a_zip_that_the_bucket_withdraws_stays_in_the_partition(archive):
    for day in (1, 2, 3):
        archive.publish(day, price=day)
    before, _ = archive.parse()
    archive.list = lambda: None
    shutil.rmtree("aws_data")
    assert archive.parse() == (before, 0)


@pytest.mark.parametrize("is_readable", [True, False], ids=["known", "unreadable"])
def test_rows_of_a_withdrawn_zip_are_never_left_out_without_being_asked(
    archive, monkeypatch, is_readable
):
    """A parser that has changed must read all zips, and one is nowhere any more."""
    for day in (1, 2, 3):
        archive.publish(day, price=day)
    archive.parse()
    kept = raw_zips.kept_zips
    monkeypatch.setattr(
        raw_zips, "kept_zips", lambda *a, **k: kept(*a, **{**k, "revision": 99})
    )
    archive.withdrawn.add(2)
    before = sorted(Path("grown").glob(".*.before"))
    if not is_readable:
        before[1].write_text("{")
    content = [path.read_bytes() for path in before]

    with pytest.raises(ParseError, match=r"02-02\.zip first; .* move .*\.before away"):
        archive.parse()
    assert [path.read_bytes() for path in before] == content

    for path in before:
        path.unlink()
    assert archive.parse()[1] == 2


def test_rows_survive_a_job_that_fails_after_its_outputs_were_deleted(
    archive, monkeypatch
):
    archive.publish(1, price=1)
    archive.parse()
    archive.publish(2, price=2)

    def fail(*_, **__):
        msg = "no route to the archive"
        raise FetchError(msg)

    with monkeypatch.context() as patch:
        patch.setattr(fetch, "fetch_paths", fail)
        with pytest.raises(FetchError, match="no route"):
            archive.parse()
    assert archive.parse()[1] == 1


@pytest.mark.parametrize("kills", range(1, 12))
def test_whenever_a_job_is_killed_each_zip_or_its_rows_remain(
    archive, monkeypatch, kills
):
    """Kill a job at its n-th removal, link or rename of a file."""
    for day in (1, 2):
        archive.publish(day, price=day)
    archive.parse()
    archive.publish(3, price=3)
    left = kills

    def counted(operation):
        def run(*arguments, **options):
            nonlocal left
            left -= 1
            if left == 0:
                raise KeyboardInterrupt
            return operation(*arguments, **options)

        return run

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", counted(Path.unlink))
        patch.setattr(Path, "replace", counted(Path.replace))
        patch.setattr(os, "link", counted(os.link))
        with suppress(KeyboardInterrupt):
            archive.parse()
    shutil.rmtree("whole", ignore_errors=True)
    grown, fetched = archive.parse()
    assert fetched <= 1
    assert archive.parse("whole")[0] == grown


def test_a_partition_that_cannot_be_read_is_made_from_all_zips(archive):
    for day in (1, 2):
        archive.publish(day, price=day)
    archive.parse()
    Path("grown/.2023.parquet.before").write_bytes(b"not Parquet")
    archive.publish(3, price=3)
    grown, fetched = archive.parse()
    assert fetched == 3
    assert archive.parse("whole")[0] == grown
