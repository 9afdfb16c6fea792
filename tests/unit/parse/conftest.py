"""Zips as the exchange publishes them, made of given rows."""

import datetime as dt
import hashlib
import zipfile

import pytest

from bhds.archive.integrity.zip_input import ArchiveInput
from bhds.core.markets import Frequency, Interval, TradeType
from bhds.parse.parse_table import parse_table
from bhds.schemas.datatypes import data_type

HEADER = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,"
    "taker_buy_volume,taker_buy_quote_volume,ignore\n"
)


def utc(text):
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def time_ms(text):
    return int(utc(text).timestamp()) * 1000


def only(partition):
    """Return the record of the only zip, after checking that its rows add up."""
    (record,) = partition.sources["inputs"]
    counts = ("rows_kept", "rows_outside", "duplicates", "conflicts")
    assert record["rows_read"] == sum(record[name] for name in counts)
    return record


def kline_line(open_ms, *, price=100.0, length_ms=60_000, unit="ms"):
    factor, last = (1, 0) if unit == "ms" else (1000, 999)
    close = (open_ms + length_ms - 1) * factor + last
    return (
        f"{open_ms * factor},{price:.2f},{price + 1:.2f},{price - 1:.2f},"
        f"{price + 0.5:.2f},12.5,{close},1250.25,7,6.5,650.125,0\n"
    )


def kline_csv(begin, count, *, length_ms=60_000, unit="ms", header=False):
    """Return `count` consecutive bars from `begin`, an ISO time in UTC."""
    start = time_ms(begin)
    lines = [
        kline_line(
            start + number * length_ms,
            price=100 + number % 50,
            length_ms=length_ms,
            unit=unit,
        )
        for number in range(count)
    ]
    return "".join([HEADER if header else "", *lines])


@pytest.fixture
def archive(tmp_path):
    """Return a function that zips a CSV and tells what the listing says of it."""

    def make(
        name, content="", *, members=None, checksum="right", etag=None, method=None
    ):
        stem = name.removesuffix(".zip")
        path = tmp_path / f"{stem}.zip"
        method = zipfile.ZIP_DEFLATED if method is None else method
        with zipfile.ZipFile(path, "w", method) as opened:
            for member, text in (members or {f"{stem}.csv": content}).items():
                opened.writestr(member, text)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        if checksum == "right":
            checksum = f"{digest}  {path.name}"
        if checksum is not None:
            (tmp_path / f"{path.name}.CHECKSUM").write_text(checksum, encoding="utf-8")
        period = stem.split("-", maxsplit=2)[-1]
        daily = period.count("-") > 1
        frequency = Frequency.DAILY if daily else Frequency.MONTHLY
        key = f"data/spot/{frequency}/klines/{path.name}"
        return ArchiveInput(path, key, frequency, etag)

    return make


@pytest.fixture
def parse():
    """Return `parse_table` for klines of BTCUSDT 1m, spot, unless told otherwise.

    The interval is `1m` only where the data type has intervals.
    """

    def run(*inputs, partition="2024", **series):
        defaults = {
            "trade_type": TradeType.SPOT,
            "data_type": "klines",
            "symbol": "BTCUSDT",
        }
        series = defaults | series
        has_intervals = data_type(series["data_type"]).has_intervals
        interval = series.pop("interval", "1m" if has_intervals else None)
        return parse_table(
            inputs,
            partition=partition,
            interval=interval and Interval.parse(interval),
            **series,
        )

    return run


@pytest.fixture(scope="session")
def csv():
    """Return the function that writes consecutive bars as CSV."""
    return kline_csv


@pytest.fixture(scope="session")
def line():
    """Return the function that writes one bar as CSV, by ISO time in UTC."""

    def write(begin, **options):
        return kline_line(time_ms(begin), **options)

    return write


@pytest.fixture(scope="session")
def header():
    """Return the header line of kline CSVs."""
    return HEADER
