import datetime as dt
from pathlib import Path

import pytest

from bhds.archive.integrity.zip_input import (
    ArchiveInput,
    FilePeriod,
    archive_period,
    day_us,
    in_order,
    utc_time,
)
from bhds.core.errors import KeyGrammarError
from bhds.core.markets import Frequency


def source(name, frequency=Frequency.MONTHLY, key_name=None):
    key = f"data/spot/{frequency}/klines/X/1m/{key_name or name}"
    return ArchiveInput(Path("raw") / name, key, frequency, None)


@pytest.mark.parametrize(
    ("text", "begin", "end"),
    [
        ("2024", dt.date(2024, 1, 1), dt.date(2025, 1, 1)),
        ("2024-02", dt.date(2024, 2, 1), dt.date(2024, 3, 1)),
        ("2023-12", dt.date(2023, 12, 1), dt.date(2024, 1, 1)),
        ("2020-8", dt.date(2020, 8, 1), dt.date(2020, 9, 1)),
        ("2024-02-29", dt.date(2024, 2, 29), dt.date(2024, 3, 1)),
        ("2024-1-5", dt.date(2024, 1, 5), dt.date(2024, 1, 6)),
    ],
)
def test_period_is_read_from_its_name(text, begin, end):
    assert FilePeriod.parse(text) == FilePeriod(begin, end)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "24",
        "2024-",
        "2024-13",
        "2023-02-29",
        "0000",
        "9999",
        "2024-01-01-01",
        "٢٠٢٤",
    ],
)
def test_period_that_no_calendar_has_is_refused(text):
    with pytest.raises(KeyGrammarError, match="expected YYYY"):
        FilePeriod.parse(text)


def test_clamped_period_has_no_days_outside_the_bounds():
    year = FilePeriod.parse("2024")

    assert year.clamp(None, None) == year
    assert year.clamp(dt.date(2024, 5, 1), dt.date(2024, 5, 31)) == FilePeriod.parse(
        "2024-05"
    )
    empty = year.clamp(dt.date(2025, 5, 1), None)
    assert empty.begin == empty.end


def test_period_of_a_zip_is_that_of_its_name():
    month = source("币安人生USDT-1m-2024-02.zip")
    day = source("BTCUSDT-1m-2024-02-03.zip", Frequency.DAILY)

    assert archive_period(month, series="币安人生USDT-1m") == FilePeriod.parse(
        "2024-02"
    )
    assert archive_period(day, series="BTCUSDT-1m") == FilePeriod.parse("2024-02-03")


@pytest.mark.parametrize(
    "archive",
    [
        pytest.param(source("ETHUSDT-1m-2024-02.zip"), id="other symbol"),
        pytest.param(source("BTCUSDT-5m-2024-02.zip"), id="other interval"),
        pytest.param(source("BTCUSDT-1m-2024-02.csv"), id="no zip"),
        pytest.param(source("BTCUSDT-1m-2024-02-03.zip"), id="day as month"),
        pytest.param(
            source("BTCUSDT-1m-2024-02.zip", Frequency.DAILY), id="month as day"
        ),
        pytest.param(
            source("BTCUSDT-1m-2024-02.zip", key_name="BTCUSDT-1m-2024-03.zip"),
            id="key of another zip",
        ),
    ],
)
def test_zip_of_another_series_is_refused(archive):
    with pytest.raises(KeyGrammarError, match="pass"):
        archive_period(archive, series="BTCUSDT-1m")


def test_days_and_times_are_microseconds_since_1970():
    assert day_us(dt.date(1970, 1, 2)) == 86_400_000_000
    assert utc_time(1_704_067_200_000_001) == "2024-01-01T00:00:00.000001+00:00"


def of_period(period):
    is_daily = period.count("-") == 2
    frequency = Frequency.DAILY if is_daily else Frequency.MONTHLY
    return source(f"BTCUSDT-1m-{period}.zip", frequency)


def test_zips_are_sorted_by_period_a_month_before_its_days():
    periods = ["2024-02", "2024-01-02", "2024-01-31", "2024-01-01", "2024-01"]

    dated = in_order(
        [of_period(period) for period in periods],
        series="BTCUSDT-1m",
        span=FilePeriod.parse("2024"),
    )

    assert [source.path.stem.removeprefix("BTCUSDT-1m-") for source, _ in dated] == [
        *("2024-01", "2024-01-01", "2024-01-02", "2024-01-31", "2024-02")
    ]
    assert [period for _, period in dated][1] == FilePeriod.parse("2024-01-01")


@pytest.mark.parametrize(
    ("periods", "message"),
    [
        (["2024-01-01", "2023-12-31"], "2023-12-31.zip: .* not within the partition"),
        (["2024-01", "2024-01"], "2024-01.zip is passed twice"),
        (["2024-1", "2024-13"], "period '2024-13': month must be in"),
    ],
)
def test_zip_that_does_not_belong_is_an_error(periods, message):
    with pytest.raises(KeyGrammarError, match=message):
        in_order(
            [of_period(period) for period in periods],
            series="BTCUSDT-1m",
            span=FilePeriod.parse("2024"),
        )
