"""The lines of a zip that lie in a bar."""

import datetime as dt
import io
import zipfile

import pytest

from bhds.core.markets import Interval, TradeType
from bhds.explanation import archives
from bhds.explanation.place import SymbolFiles
from bhds.explanation.values import ArchiveZip

HEADER = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,"
    "taker_buy_volume,taker_buy_quote_volume,ignore\n"
)
OPEN_TIME = dt.datetime(2025, 3, 1, 13, 5, tzinfo=dt.UTC)
OPEN_MS = int(OPEN_TIME.timestamp()) * 1000


def line(time, price="100.00"):
    return f"{time},{price},101.00,99.00,100.50,2.5,{time + 1},250.0,7,1.5,150.0,0\n"


@pytest.fixture
def lines(tmp_path):
    """Return a function that puts lines into a zip, and finds those of the bar."""

    def find(*texts, market=TradeType.UM_FUTURES, unit="ms", interval="1m"):
        name = f"AUSDT-{interval}-2025-03-01"
        path = f"aws_data/{market}/daily/klines/AUSDT/{interval}/{name}.zip"
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as archive:
            archive.writestr(f"{name}.csv", "".join(texts))
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content.getvalue())
        unknown = dict.fromkeys(
            ("etag", "published_sha256", "reason", "listed_etag", "listed_at")
        )
        zip_ = ArchiveZip(
            **unknown,
            key=path.replace("aws_data/spot", "data/spot"),
            path=path,
            size=1,
            sha256="",
            integrity_status="ok",
            sha256_on_disk="",
            revisions=(),
        )
        place = SymbolFiles(
            tmp_path, market, "AUSDT", Interval.parse(interval), OPEN_TIME
        )
        return archives.lines_of(place, archive=zip_, time_unit=unit)

    return find


def test_the_line_is_found_with_its_number_and_values(lines):
    minutes = [line(OPEN_MS + n * 60_000) for n in (-1, 0, 1)]

    (found,) = lines(*minutes)

    assert (found.line, found.text) == (2, minutes[1].rstrip())
    assert found.open_time == OPEN_TIME
    assert found.values == {
        "open": 100.0,
        "high": 101.0,
        "low": 99.0,
        "close": 100.5,
        "volume": 2.5,
        "quote_volume": 250.0,
        "trade_count": 7,
        "taker_buy_volume": 1.5,
        "taker_buy_quote_volume": 150.0,
    }


def test_a_header_counts_as_a_line(lines):
    (found,) = lines(HEADER, line(OPEN_MS))

    assert found.line == 2
    assert found.fields[8] == "trade_count"


def test_microseconds_are_found_too(lines):
    (found,) = lines(line(OPEN_MS * 1000), market=TradeType.SPOT, unit="us")

    assert found.open_time == OPEN_TIME


def test_every_line_of_the_bar_is_found_and_no_other(lines):
    times = [OPEN_MS - 1, OPEN_MS, OPEN_MS + 59_999, OPEN_MS + 60_000]

    found = lines(*map(line, times))

    assert [row.line for row in found] == [2, 3]


def test_the_digits_of_a_time_elsewhere_in_a_line_are_no_time(lines):
    assert lines(line(OPEN_MS - 60_000, price=f"{OPEN_MS}")) == []


def test_of_a_zip_whose_times_are_unknown_no_line_is_told(lines):
    assert lines(line(OPEN_MS), unit=None) == []


def test_numbers_that_cannot_be_read_are_none(lines):
    (found,) = lines(line(OPEN_MS, price="dear"))

    assert found.values["open"] is None
