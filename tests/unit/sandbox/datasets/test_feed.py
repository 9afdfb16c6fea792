"""What holds of the files of every type, as the registry describes them."""

import datetime as dt
from unittest.mock import ANY

import pytest

from bhds.archive.keys import ArchiveFile
from bhds.core.markets import Frequency, TradeType
from bhds.sandbox.timegrid import from_ms, period_of_label, to_ms
from bhds.schemas.csv_table import Form
from bhds.schemas.datatypes import DATA_TYPES

PUBLISHED = [
    (data_type.name, trade_type)
    for data_type in DATA_TYPES.values()
    for trade_type in data_type.trade_types
    if (data_type.name, trade_type) != ("liquidationSnapshot", TradeType.UM_FUTURES)
]
"""Every type of every market, but for what was withdrawn."""
PARSED = [(name, market) for name, market in PUBLISHED if DATA_TYPES[name].table]
READ_INTERVALS = {None, "1h", "1d", "1w", "1mo"}


def files_of(archive, name, trade_type):
    """Return every file of one type and market, of bars those of a few intervals."""
    files = [
        ArchiveFile.from_key(key)
        for frequency in Frequency
        for key in archive.zips(f"data/{trade_type.bucket_path}/{frequency}/{name}/")
    ]
    return [file for file in files if file.interval in READ_INTERVALS]


def has_header(file):
    """Tell whether a file has a header, as genuine ones of its day do."""
    always = {
        "fundingRate",
        "metrics",
        "bookDepth",
        "bookTicker",
        "liquidationSnapshot",
    }
    if file.data_type in always:
        return True
    return file.trade_type is not TradeType.SPOT and file.period >= "2022-06"


READERS = {
    Form.WHOLE: int,
    Form.NUMBER: float,
    Form.OPTIONAL_NUMBER: lambda text: float(text) if text else None,
    Form.FLAG: lambda text: {"true": True, "false": False}[text.lower()],
    Form.WORD: str,
    Form.EPOCH: lambda text: int(text[:13]),
    Form.CLOCK: lambda text: to_ms(dt.datetime.fromisoformat(f"{text}Z")),
    Form.SYMBOL: str,
    Form.UNUSED: float,
}
"""How the values of each kind of field are written; times are read as ms."""


def test_every_market_has_its_types_at_every_frequency_and_interval(archive):
    for name, trade_type in PUBLISHED:
        feeds = DATA_TYPES[name].feeds
        for feed in (each for each in feeds if each.trade_type is trade_type):
            folder = f"data/{trade_type.bucket_path}/{feed.frequency}/{name}/"
            keys = archive.zips(folder)
            found = {ArchiveFile.from_key(key).interval for key in keys}
            assert found == set(feed.intervals or {None}), folder


def test_nothing_is_published_that_the_registry_does_not_have(archive):
    for key in archive.zips(""):
        file = ArchiveFile.from_key(key)
        feeds = DATA_TYPES[file.data_type].feeds_of(file.trade_type, file.interval)
        (feed,) = (each for each in feeds if each.frequency is file.frequency)
        assert feed.last_day is None or file.first_day <= feed.last_day
    assert not archive.zips("data/futures/um/daily/liquidationSnapshot/")  # withdrawn


@pytest.mark.parametrize(
    ("prefix", "last"),
    [
        ("um/daily/bookTicker/ENDUSDT/", "2024-03-30"),
        ("um/monthly/bookTicker/ENDUSDT/", "2024-03"),
        ("um/daily/trades/OLDUSDT/", "2022-06-01"),
        ("um/daily/bookDepth/ENDUSDT/", "2024-03-31"),
        ("cm/daily/liquidationSnapshot/ENDUSD_PERP/", "2024-10-14"),
        ("cm/daily/bookTicker/ENDUSD_PERP/", "2024-10-14"),
        ("cm/daily/bookDepth/ENDUSD_PERP/", "2024-10-15"),
    ],
)
def test_a_feed_ends_with_its_last_day_or_with_the_symbol(archive, prefix, last):
    *_, key = archive.zips(f"data/futures/{prefix}")

    assert key.endswith(f"-{last}.zip")


def test_a_month_in_which_a_feed_ends_is_cut(archive):
    (key,) = archive.zips("data/futures/um/monthly/bookTicker/ENDUSDT/")

    last = from_ms(int(archive.lines(key)[-1][5]))
    assert last.date() == dt.date(2024, 3, 30)
    assert last.hour == 23


@pytest.mark.parametrize(("name", "trade_type"), PARSED)
def test_files_are_as_the_registry_says(archive, name, trade_type):
    table = DATA_TYPES[name].table(trade_type)
    # The sandbox's files have no optional columns.
    fields = [field for field in table.fields if not field.is_optional]
    names = [field.name for field in table.fields]
    clock = table.published_time
    for file in files_of(archive, name, trade_type):
        first = archive.text(file.key).partition("\n")[0].split(",")
        assert len(first) == len(fields)
        assert has_header(file) == first[0][0].isalpha()
        if has_header(file):
            for written, field in zip(first, fields, strict=True):
                assert field.kind is Form.UNUSED or written in field.published

        rows = archive.lines(file.key)
        for row in rows[:: 1 + len(rows) // 100]:
            for text, field in zip(row, fields, strict=True):
                assert READERS[field.kind](text) in (field.words or (ANY,))

        period = period_of_label(file.frequency, file.period)
        times = [READERS[clock.kind](row[names.index(clock.name)]) for row in rows]
        assert times == sorted(times)
        assert period.start_ms <= times[0]
        assert times[-1] < period.end_ms + table.slack.total_seconds() * 1_000 + 1
        if table.key and set(table.key) <= set(names):
            places = [names.index(each) for each in table.key]
            assert len({tuple(row[at] for at in places) for row in rows}) == len(rows)


@pytest.mark.parametrize(
    ("name", "trade_type"),
    [(n, m) for n, m in PARSED if n not in {"klines", "fundingRate"}],
)
def test_a_months_file_is_its_days_files_one_after_the_other(archive, name, trade_type):
    files = files_of(archive, name, trade_type)
    for month in files:
        if month.frequency is Frequency.MONTHLY:
            days = [
                file
                for file in files
                if file.frequency is Frequency.DAILY
                and (file.symbol, file.interval) == (month.symbol, month.interval)
                and file.period.startswith(month.period)
            ]
            rows = [row for day in days for row in archive.lines(day.key)]
            assert rows == archive.lines(month.key)


@pytest.mark.parametrize(("name", "trade_type"), PUBLISHED)
def test_every_60th_row_of_a_republished_file_differs(archive, name, trade_type):
    key = files_of(archive, name, trade_type)[0].key
    before = archive.lines(key)

    archive.exchange.republish(key)

    differ = [new != old for new, old in zip(archive.lines(key), before, strict=True)]
    assert differ == [place % 60 == 0 for place in range(len(before))]
    archive.exchange.publication.revisions.clear()
