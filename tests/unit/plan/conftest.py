"""Listings and folders on disk, as a plan finds them."""

import datetime as dt
import json

import polars as pl
import pytest

from bhds.archive.keys import path_of_key
from bhds.archive.listing.directory import Directory
from bhds.archive.listing.inventory import with_days
from bhds.config import Dataset
from bhds.core.markets import Frequency, TradeType
from bhds.io import storage
from bhds.plan.dataset import PlannedDataset
from bhds.schemas.archive_tables import LISTING_SCHEMA, SYMBOLS_SCHEMA

NOW = dt.datetime(2025, 3, 10, 12, tzinfo=dt.UTC)
FUNDING = Directory(TradeType.UM_FUTURES, Frequency.MONTHLY, "fundingRate", None)


class Bucket:
    """What the server lists, written as the listings of one market's 1m klines."""

    def __init__(self, data_dir):
        self.data_dir = data_dir
        self.etags = {}
        self.left = set()
        self.funding = {}
        self.symbols = {frequency: set() for frequency in Frequency}

    def publish_funding(self, symbol, *months):
        """List months of funding, beside the klines."""
        prefix = FUNDING.symbol_prefix(symbol)
        self.funding |= {
            f"{prefix}{symbol}-fundingRate-{month}.zip": symbol for month in months
        }
        symbols = sorted(set(self.funding.values()))
        self._write_table(FUNDING, sorted(self.funding.items()), symbols)
        self._write_symbols(FUNDING, symbols)

    def key(self, symbol, period):
        frequency = Frequency.DAILY if period.count("-") > 1 else Frequency.MONTHLY
        self.symbols[frequency].add(symbol)
        folder = f"data/futures/um/{frequency}/klines/{symbol}/1m"
        return f"{folder}/{symbol}-1m-{period}.zip"

    def publish(self, symbol, *periods, checksum=True, etag="a"):
        for period in periods:
            key = self.key(symbol, period)
            self.etags[key] = etag
            if checksum:
                self.etags[f"{key}.CHECKSUM"] = etag
        self.write()

    def withdraw(self, symbol, period):
        key = self.key(symbol, period)
        del self.etags[key], self.etags[f"{key}.CHECKSUM"]
        self.write()

    def leave(self, symbol):
        """Take a symbol out of the bucket; it stays among those once listed."""
        for symbols in self.symbols.values():
            symbols.discard(symbol)
        self.left.add(symbol)
        self.write()

    def write(self):
        symbols = sorted(self.left.union(*self.symbols.values()))
        for frequency in Frequency:
            directory = Directory(TradeType.UM_FUTURES, frequency, "klines", "1m")
            etags = [
                (key, etag)
                for key, etag in sorted(self.etags.items())
                if key.startswith(directory.prefix)
            ]
            self._write_table(directory, etags, symbols)
            self._write_symbols(directory, sorted(self.symbols[frequency]))

    def _write_table(self, directory, etags, symbols):
        rows = [(key, 10, etag, NOW) for key, etag in etags]
        storage.write_parquet(
            pl.DataFrame(rows, schema=LISTING_SCHEMA, orient="row"),
            self.data_dir / directory.listing_path,
            metadata={"listed": json.dumps(dict.fromkeys(symbols, str(NOW)))},
        )

    def _write_symbols(self, directory, symbols):
        storage.write_parquet(
            pl.DataFrame({"symbol": symbols}, SYMBOLS_SCHEMA),
            self.data_dir / directory.symbols_path,
            metadata={"listed_at": str(NOW)},
        )

    def fetch(self, symbol, *periods, size=10):
        for period in periods:
            for suffix in ("", ".CHECKSUM"):
                path = self.data_dir / path_of_key(self.key(symbol, period) + suffix)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(b"x" * size)


@pytest.fixture
def bucket(tmp_path):
    return Bucket(tmp_path)


FILES = {
    "symbol": pl.String,
    "partition": pl.String,
    "first_day": pl.Date,
    "last_day": pl.Date,
    "key": pl.String,
    "path": pl.String,
    "size": pl.Int64,
    "disk_size": pl.Int64,
    "etag": pl.String,
    "is_checksum": pl.Boolean,
    "state": pl.String,
    "was_fetched": pl.Boolean,
}


def planned(*symbols, rules=(), empty=(), years=(2024,), state="missing", **settings):
    """Return a dataset with one zip a symbol and year, but none of `empty` ones."""
    results = settings.pop("results", {})
    resample = [
        {"interval": interval, "offset": offset or None}
        for interval, _, offset in (rule.partition("_") for rule in rules)
    ]
    raw = {"trade_type": "um_futures", "symbols": [*symbols, *empty], **settings}
    raw["results"] = {**results, "resample": resample}
    dataset = Dataset.model_validate(raw)
    market, interval = dataset.trade_type, dataset.interval
    names = [
        (symbol, year, f"{market}/daily/klines/{symbol}/{interval}/{year}.zip")
        for symbol in symbols
        for year in years
    ]
    rows = [
        (
            *(symbol, str(year), dt.date(year, 3, 1), dt.date(year, 3, 31)),
            *(f"data/{name}", f"aws_data/{name}", 10, None, "e", False, state, False),
        )
        for symbol, year, name in names
    ]
    files = pl.DataFrame(rows, schema=FILES, orient="row")
    first_day = dataset.first_day(dt.date.max)
    named = tuple(sorted([*symbols, *empty]))
    return PlannedDataset(dataset, named, files, first_day=first_day)


def zips(*rows):
    """One row a zip: symbol and period, a day or a month."""
    frames = []
    for symbol, period in rows:
        frequency = Frequency.DAILY if period.count("-") > 1 else Frequency.MONTHLY
        frame = pl.DataFrame({"symbol": [symbol], "period": [period]})
        frames.append(with_days(frame, frequency))
    return pl.concat(frames)
