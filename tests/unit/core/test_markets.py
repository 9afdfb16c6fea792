"""The names of markets, frequencies and intervals."""

import datetime as dt

import polars as pl
import pytest

from bhds.core.errors import ConfigError
from bhds.core.markets import ARCHIVE_INTERVALS, Frequency, Interval, TradeType


def test_every_market_has_its_folder_in_the_bucket():
    assert {str(market): market.bucket_path for market in TradeType} == {
        "spot": "spot",
        "um_futures": "futures/um",
        "cm_futures": "futures/cm",
        "option": "option",
    }


def test_names_stand_in_paths_as_they_are():
    assert f"{TradeType.UM_FUTURES}/{Frequency.DAILY}" == "um_futures/daily"


@pytest.mark.parametrize(
    ("name", "duration"),
    [
        ("1s", dt.timedelta(seconds=1)),
        ("1m", dt.timedelta(minutes=1)),
        ("90m", dt.timedelta(minutes=90)),
        ("4h", dt.timedelta(hours=4)),
        ("3d", dt.timedelta(days=3)),
        ("1w", dt.timedelta(weeks=1)),
        ("1mo", None),
        ("3mo", None),
    ],
)
def test_an_interval_is_read_from_its_name(name, duration):
    interval = Interval.parse(name)

    assert interval.duration == duration
    assert str(interval) == interval.name == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "m",
        "1",
        "0m",
        "01m",
        "-1m",
        "1.5h",
        "1 m",
        "1m\n",
        "1M",
        "1y",
        "1mom",
        "1\u0661m",
        "100000d",
    ],
)
def test_what_is_no_interval_is_refused_with_its_name(name):
    with pytest.raises(
        ConfigError, match="expected a number of at most 5 digits"
    ) as refused:
        Interval.parse(name)

    assert repr(name) in str(refused.value)


def test_equal_intervals_are_equal_and_hash_alike():
    assert Interval.parse("1m") == Interval.parse("1m")
    assert len({Interval.parse("1m"), Interval.parse("1m"), Interval.parse("60s")}) == 2


def test_the_intervals_of_the_archive_grow_in_length():
    lengths = [Interval.parse(name).duration for name in ARCHIVE_INTERVALS]

    assert lengths.pop() is None
    assert lengths == sorted(set(lengths))


@pytest.mark.parametrize("name", ARCHIVE_INTERVALS)
def test_polars_takes_an_interval_for_the_same_time(name):
    start = pl.Series([dt.datetime(2024, 2, 1, tzinfo=dt.UTC)])
    one = start.dt.offset_by(name)[0] - start[0]

    assert one == (Interval.parse(name).duration or dt.timedelta(days=29))
