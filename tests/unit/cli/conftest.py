"""A small data directory with real zips of hourly bars, and the command line on it."""

import datetime as dt
import hashlib
import io
import zipfile
from pathlib import Path

import polars as pl
import pytest
import yaml
from typer.testing import CliRunner

from bhds.archive.keys import CHECKSUM_SUFFIX, ArchiveFile
from bhds.archive.listing.directory import Directory
from bhds.archive.listing.tables import Listed, ListingTable, Symbols, TableStore
from bhds.cli.app import app
from bhds.core.markets import Frequency, TradeType
from bhds.schemas.archive_tables import LISTING_SCHEMA
from bhds.stages.parse import write_partition

LISTED_AT = dt.datetime(2025, 3, 10, 12, tzinfo=dt.UTC)
HOUR_MS = 3_600_000


def zipped(name, first_hour, hours):
    """Zip a CSV of consecutive hourly bars."""
    start = int(first_hour.timestamp()) * 1000
    lines = (
        f"{at},100.00,101.00,99.00,100.50,12.5,{at + HOUR_MS - 1},"
        "1250.25,7,6.5,650.125,0\n"
        for at in range(start, start + hours * HOUR_MS, HOUR_MS)
    )
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name.replace(".zip", ".csv"), "".join(lines))
    return content.getvalue()


class Archive:
    """um hourly klines: what the server lists, and what lies in the data directory."""

    def __init__(self, data_dir):
        self.data_dir = data_dir
        self.contents = {}
        self.symbols = set()

    def file(self, symbol, period):
        daily = period.count("-") > 1
        frequency = Frequency.DAILY if daily else Frequency.MONTHLY
        return ArchiveFile(
            TradeType.UM_FUTURES, frequency, "klines", symbol, "1h", period
        )

    def path(self, symbol, period, suffix=""):
        return self.data_dir / f"{self.file(symbol, period).path}{suffix}"

    def publish(self, symbol, *periods, hours=None):
        """List zips with all their bars, or with the first `hours` of them."""
        for period in periods:
            file = self.file(symbol, period)
            begin = dt.datetime.combine(file.first_day, dt.time(), dt.UTC)
            days = (file.last_day - file.first_day).days + 1
            whole = days * 24 if hours is None else hours
            content = zipped(file.name, begin, whole)
            checksum = f"{hashlib.sha256(content).hexdigest()}  {file.name}\n"
            self.contents[file.key] = content
            self.contents[file.key + CHECKSUM_SUFFIX] = checksum.encode()
        self.symbols.add(symbol)
        self._write_listings()

    def fetch(self, symbol, *periods):
        """Put published zips and their CHECKSUMs on disk."""
        for period in periods:
            key = self.file(symbol, period).key
            for suffix in ("", CHECKSUM_SUFFIX):
                path = self.path(symbol, period, suffix)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(self.contents[key + suffix])

    def parse(self, symbol, *periods, last_day):
        """Make the partition of zips, as a job does."""
        folder = f"parsed_data/um_futures/klines/{symbol}/1h"
        write_partition(
            [self.file(symbol, period).path for period in periods],
            partition_path=f"{folder}/all.parquet",
            sources_path=f"{folder}/all.sources.json",
            days={"first_day": None, "last_day": dt.date.fromisoformat(last_day)},
            trade_type="um_futures",
            data_type="klines",
            symbol=symbol,
            interval="1h",
            partition="all",
        )

    def _write_listings(self):
        store = TableStore(self.data_dir)
        listed = dict.fromkeys(sorted(self.symbols), Listed(LISTED_AT, LISTED_AT))
        for frequency in Frequency:
            directory = Directory(TradeType.UM_FUTURES, frequency, "klines", "1h")
            rows = [
                (
                    key,
                    len(content),
                    hashlib.md5(content, usedforsecurity=False).hexdigest(),
                    LISTED_AT,
                )
                for key, content in sorted(self.contents.items())
                if key.startswith(directory.prefix)
            ]
            frame = pl.DataFrame(rows, schema=LISTING_SCHEMA, orient="row")
            store.put_table(directory, ListingTable(frame, listed))
            store.put_symbols(directory, Symbols(list(listed), LISTED_AT))


@pytest.fixture
def archive(tmp_path, monkeypatch):
    """Return the data directory's archive; jobs run in that directory."""
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    monkeypatch.chdir(data_dir)
    return Archive(data_dir)


@pytest.fixture
def configfile(tmp_path):
    """Return where the settings of the archive's one dataset are."""
    path = tmp_path / "settings.yaml"
    settings = {
        "data_dir": str(tmp_path / "data"),
        "as_of": "2025-03-09",
        "offline": True,
        "datasets": [
            {
                "trade_type": "um_futures",
                "interval": "1h",
                "results": {"funding": False},
            }
        ],
    }
    path.write_text(yaml.safe_dump(settings))
    return path


@pytest.fixture
def bhds(configfile):
    """Return a function that runs a command line with these settings."""

    def run(command, *arguments, columns="120", stdin=None):
        return CliRunner().invoke(
            app,
            [command, "--configfile", str(configfile), *arguments],
            env={"COLUMNS": columns},
            input=stdin,
        )

    return run


@pytest.fixture
def bhds_in(configfile):
    """Return a function that runs a command of a group with these settings."""

    def run(*arguments):
        return CliRunner().invoke(
            app,
            [*arguments, "--configfile", str(configfile)],
            env={"COLUMNS": "160"},
        )

    return run


@pytest.fixture
def tree(tmp_path):
    """Return a function that tells all files and folders, and when they changed."""

    def look():
        return {
            str(path.relative_to(tmp_path)): path.lstat().st_mtime_ns
            for path in [tmp_path, *Path(tmp_path).rglob("*")]
        }

    return look
