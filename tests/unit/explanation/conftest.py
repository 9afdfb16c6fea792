"""A small data directory, built by the jobs that build real ones."""

import datetime as dt
import hashlib
import io
import json
import zipfile
from pathlib import Path

import polars as pl
import pytest

from bhds.archive.download import ledger
from bhds.archive.keys import CHECKSUM_SUFFIX, ArchiveFile
from bhds.archive.listing.directory import Directory
from bhds.archive.listing.tables import Listed, ListingTable, TableStore
from bhds.backfill.response_journal import Answer, Journal
from bhds.core.markets import Frequency, TradeType
from bhds.core.timegrid import Span
from bhds.io import storage
from bhds.schemas.archive_tables import LISTING_SCHEMA
from bhds.schemas.klines import FUNDING, parsed_klines
from bhds.stages.parse import write_partition
from bhds.stages.quality import classify_days, classify_gaps
from bhds.stages.results import write_resampled, write_results

UM = TradeType.UM_FUTURES
SYMBOL = "龙虾USDT"
HOUR = dt.timedelta(hours=1)
LISTED_AT = dt.datetime(2025, 3, 10, 12, tzinfo=dt.UTC)
RESULTS = "results_data/um_futures/klines/1h"


def at(text):
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def ms(moment):
    return int(moment.timestamp() * 1000)


class DataDir:
    """um hourly bars of one symbol: what was published, and what is built of it."""

    def __init__(self, root):
        self.root = root
        self.zips = []
        self.backfills = []
        self.funding = None

    def file(self, period):
        frequency = Frequency.DAILY if period.count("-") > 1 else Frequency.MONTHLY
        return ArchiveFile(UM, frequency, "klines", SYMBOL, "1h", period)

    def publish(self, period, rows, *, checksum=None, seen=LISTED_AT):
        """Put a zip of `(open time, price, trades)` on disk, fetched as listed."""
        file = self.file(period)
        lines = [
            f"{ms(time)},{price},{price + 1},{price - 1},{price + 0.5},2.5,"
            f"{ms(time + HOUR) - 1},250.0,{trades},1.5,150.0,0\n"
            for time, price, trades in rows
        ]
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(file.name.replace(".zip", ".csv"), "".join(lines))
        data = content.getvalue()
        path = Path(file.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        sha256 = hashlib.sha256(data).hexdigest()
        path.with_name(path.name + CHECKSUM_SUFFIX).write_text(
            f"{checksum or sha256}  {file.name}\n"
        )
        etag = hashlib.md5(data, usedforsecurity=False).hexdigest()
        self._list(file, size=len(data), etag=etag)
        row = {"key": file.key, "etag": etag, "size": len(data), "sha256": sha256}
        row |= {"last_modified": LISTED_AT, "first_seen": seen}
        ledger.append(self.root, rows=pl.DataFrame([row]))
        if file.path not in self.zips:
            self.zips.append(file.path)
        return path

    def fill(self, holes, rows, *, requested_at=LISTED_AT):
        """Put a fill there, of holes `(start, end, status, found)` and of rows."""
        folder = Path(f"api_data/um_futures/klines/{SYMBOL}/1h")
        path = folder / "all.parquet"
        entries = [
            {
                "start": start.isoformat(),
                "end": end.isoformat(),
                "reason": "missing",
                "expected": (end - start) // HOUR,
                "found": found,
                "status": status,
            }
            for start, end, status, found in holes
        ]
        sources = {
            "missing_ranges": entries,
            "rows": len(rows),
            "last_day": "2025-03-09",
        }
        storage.write_json(sources, path.with_suffix(".sources.json"))
        answered = [
            (
                ms(t),
                p,
                p + 1,
                p - 1,
                p + 0.5,
                2.5,
                ms(t + HOUR) - 1,
                250.0,
                n,
                1.5,
                150.0,
            )
            for t, p, n in rows
        ]
        journal = Journal(path.with_suffix(".answers.jsonl"))
        for start, end, *_ in holes:
            span = Span(ms(start), ms(end))
            within = [row for row in answered if span.start_ms <= row[0] < span.end_ms]
            journal.append(Answer(span, requested_at, tuple(within)))
        frame = pl.DataFrame(
            [
                (t, *row[1:6], row[7], row[8], row[9], row[10], t + HOUR, "api")
                for (t, *_), row in zip(rows, answered, strict=True)
            ],
            schema=parsed_klines(UM),
            orient="row",
        )
        storage.write_parquet(frame, path, metadata={}, symbol=SYMBOL)
        self.backfills = [str(path)]

    def fund(self, *events):
        """Put funding events `(time, rate)` there."""
        path = f"results_data/um_futures/fundingRate/{SYMBOL}.pqt"
        rows = [(time, time, 8, rate, None, 100.0, "monthly") for time, rate in events]
        frame = pl.DataFrame(rows, schema=FUNDING, orient="row")
        storage.write_parquet(frame, path, metadata={}, symbol=SYMBOL)
        self.funding = path

    def build(
        self,
        *,
        fill=True,
        last_day="2025-03-09",
        judged_until=None,
        has_ended=False,
        ends=None,
    ):
        """Parse, build and judge as the rules do."""
        folder = f"parsed_data/um_futures/klines/{SYMBOL}/1h"
        day = dt.date.fromisoformat(last_day)
        write_partition(
            self.zips,
            partition_path=f"{folder}/all.parquet",
            sources_path=f"{folder}/all.sources.json",
            days={"first_day": None, "last_day": day},
            trade_type="um_futures",
            data_type="klines",
            symbol=SYMBOL,
            interval="1h",
            partition="all",
        )
        settings = {"vwap": True, "fill": fill, "has_ended": has_ended}
        settings |= {"is_trading": False, "unlisted": ()}
        self._write_results([f"{folder}/all.parquet", *self.backfills], day, **settings)
        quality = "results_data/um_futures/quality"
        gaps = f"{quality}/gaps-1h.parquet"
        as_of = dt.date.fromisoformat(judged_until or last_day)
        named = {"trade_type": "um_futures", "interval": "1h", "as_of": as_of}
        classify_gaps([f"{RESULTS}/gaps/{SYMBOL}.parquet"], output=gaps, **named)
        classify_days(
            [f"{RESULTS}/days/{SYMBOL}.parquet"],
            gaps=gaps,
            output=f"{quality}/condition-klines-1h.parquet",
            ends=ends,
            **named,
        )

    def _write_results(self, partitions, day, **settings):
        kinds = ("gaps", "days", "conflicts")
        outputs = {kind: f"{RESULTS}/{kind}/{SYMBOL}.parquet" for kind in kinds}
        split = {"enabled": True, "min_days": 1, "min_price_change": 0.1}
        write_results(
            partitions,
            outputs=outputs | {"result": f"{RESULTS}/{SYMBOL}.pqt"},
            settings=settings | {"split": split, "contract_usd": None},
            last_day=day,
            trade_type="um_futures",
            symbol=SYMBOL,
            interval="1h",
            funding=[self.funding] if self.funding else [],
        )

    def resample(self, rule):
        write_resampled(
            f"{RESULTS}/{SYMBOL}.pqt",
            outputs=[f"results_data/um_futures/resampled_klines/{rule}/{SYMBOL}.pqt"],
            trade_type="um_futures",
            interval="1h",
            symbol=SYMBOL,
            contract_usd=None,
        )

    def _list(self, file, *, size, etag):
        directory = Directory(UM, file.frequency, "klines", "1h")
        store = TableStore(self.root)
        table = store.table(directory) or ListingTable.empty()
        row = pl.DataFrame(
            [(file.key, size, etag, LISTED_AT)], schema=LISTING_SCHEMA, orient="row"
        )
        others = table.frame.filter(pl.col("key") != file.key)
        frame = pl.concat([others, row]).sort("key")
        store.put_table(
            directory, ListingTable(frame, {SYMBOL: Listed(LISTED_AT, LISTED_AT)})
        )


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Return an empty data directory; jobs run in it."""
    monkeypatch.chdir(tmp_path)
    return DataDir(tmp_path)


@pytest.fixture(scope="session")
def hours():
    """Return a function that makes bars of consecutive hours."""

    def make(start, count, *, price=100.0, trades=7):
        return [(at(start) + n * HOUR, price, trades) for n in range(count)]

    return make


@pytest.fixture
def as_json():
    """Return a function that proves that an explanation is fit for JSON."""

    def convert(found):
        return json.loads(json.dumps(found.to_dict(), allow_nan=False))

    return convert
