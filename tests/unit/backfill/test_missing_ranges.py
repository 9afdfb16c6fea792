"""The bars that a partition lacks, and why."""

import datetime as dt

import polars as pl
import pytest

from bhds.archive.integrity.zip_input import DAY_US, day_us
from bhds.backfill.missing_ranges import (
    Coverage,
    MissingRange,
    MissingReason,
    doubtful_bars,
    impossible_bars,
    missing_bars,
    outside,
)
from bhds.core.markets import Interval, TradeType
from bhds.core.timegrid import Span

MINUTE = Interval.parse("1m")
NOW_MS = day_us(dt.date(2030, 1, 1)) // 1000


def at(text):
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def number(day):
    return day_us(dt.date.fromisoformat(day)) // DAY_US


def bars(begin, end, *, without=(), untraded=(), interval="1m"):
    """Bars of every grid point from `begin` until `end`, but for some."""
    times = pl.datetime_range(
        at(begin), at(end), interval, eager=True, closed="left", time_unit="us"
    )
    time = pl.col("open_time")

    def within(spans):
        return pl.any_horizontal(
            pl.lit(value=False),
            *(time.is_between(at(a), at(b), closed="left") for a, b in spans),
        )

    return (
        pl.DataFrame({"open_time": times})
        .filter(~within(without))
        .with_columns(trade_count=pl.when(within(untraded)).then(0).otherwise(5))
    )


def found(frame, begin, end, *, usable=(), useless=(), interval="1m", **more):
    holes = missing_bars(
        frame,
        interval=Interval.parse(interval),
        begin_ms=day_us(dt.date.fromisoformat(begin)) // 1000,
        end_ms=day_us(dt.date.fromisoformat(end)) // 1000,
        coverage=Coverage(
            frozenset(map(number, usable)), frozenset(map(number, useless))
        ),
        **{"now_ms": NOW_MS, "is_first": False, **more},
    )
    return [told(hole) for hole in holes]


def told(hole):
    start, end = (
        dt.datetime.fromtimestamp(ms / 1000, dt.UTC).strftime("%m-%d %H:%M")
        for ms in hole.span
    )
    return start, end, hole.reason.value, hole.expected


DAYS = ["2025-01-01", "2025-01-02", "2025-01-03"]


def test_a_whole_partition_lacks_nothing():
    frame = bars("2025-01-01", "2025-01-04")

    assert found(frame, "2025-01-01", "2025-01-04", usable=DAYS) == []


def test_bars_that_the_day_lacks_are_missing():
    frame = bars(
        "2025-01-01", "2025-01-04", without=[("2025-01-02T10:00", "2025-01-02T10:30")]
    )

    assert found(frame, "2025-01-01", "2025-01-04", usable=DAYS) == [
        ("01-02 10:00", "01-02 10:30", "missing", 30)
    ]


def test_a_day_that_ends_early_is_truncated_and_the_next_is_judged_by_itself():
    frame = bars(
        "2025-01-01", "2025-01-04", without=[("2025-01-01T20:00", "2025-01-02T03:01")]
    )

    assert found(frame, "2025-01-01", "2025-01-04", usable=DAYS) == [
        ("01-01 20:00", "01-02 00:00", "truncated", 240),
        ("01-02 00:00", "01-02 03:01", "missing", 181),
    ]


def test_days_without_a_usable_file_are_told_from_each_other():
    frame = bars("2025-01-01", "2025-01-02")

    holes = found(
        frame,
        "2025-01-01",
        "2025-01-07",
        usable=["2025-01-01"],
        useless=["2025-01-03", "2025-01-04"],
    )

    assert holes == [
        ("01-02 00:00", "01-03 00:00", "missing_file", 1440),
        ("01-03 00:00", "01-05 00:00", "corrupt", 2880),
        ("01-05 00:00", "01-07 00:00", "tail", 2880),
    ]


@pytest.mark.parametrize(
    ("is_first", "useless", "expected"),
    [
        pytest.param(True, [], [], id="its life begins with its first bar"),
        pytest.param(
            True,
            ["2025-01-01"],
            [("01-01 00:00", "01-02 00:00", "corrupt", 1440)],
            id="or with a file of no use",
        ),
        pytest.param(
            False,
            [],
            [("01-01 00:00", "01-02 00:00", "missing_file", 1440)],
            id="it was there before",
        ),
    ],
)
def test_what_comes_before_the_first_bar_depends_on_the_life_of_the_symbol(
    is_first, useless, expected
):
    frame = bars("2025-01-02T08:00", "2025-01-04")

    holes = found(
        frame,
        "2025-01-01",
        "2025-01-04",
        usable=["2025-01-02", "2025-01-03"],
        useless=useless,
        is_first=is_first,
    )

    opening = (
        []
        if is_first and not useless
        else [("01-02 00:00", "01-02 08:00", "missing", 480)]
    )
    assert holes == expected + opening


def test_a_bar_off_the_grid_stands_for_the_point_before_it():
    frame = bars("2025-01-01", "2025-01-02").with_columns(
        pl.when(pl.col("open_time") == at("2025-01-01T05:00"))
        .then(pl.col("open_time") + dt.timedelta(seconds=14.789))
        .otherwise(pl.col("open_time"))
    )

    assert found(frame, "2025-01-01", "2025-01-02", usable=["2025-01-01"]) == []


def test_nothing_is_missing_that_is_not_over_yet():
    weeks = bars("2025-01-06", "2025-01-07", interval="1w")

    holes = found(
        weeks,
        "2025-01-06",
        "2025-01-28",
        interval="1w",
        usable=["2025-01-06"],
        now_ms=day_us(dt.date(2025, 1, 28)) // 1000,
    )

    assert holes == [("01-13 00:00", "01-27 00:00", "tail", 2)]


def test_the_week_that_is_open_on_the_first_day_is_wanted():
    none = bars("2025-01-01", "2025-01-01", interval="1w")

    assert found(none, "2025-03-06", "2025-03-10", interval="1w") == [
        ("03-03 00:00", "03-10 00:00", "tail", 1)
    ]


def test_months_are_counted_as_bars_of_their_own():
    none = bars("2025-01-01", "2025-01-01", interval="1mo")

    holes = found(
        none,
        "2025-01-01",
        "2025-04-06",
        interval="1mo",
        now_ms=day_us(dt.date(2025, 4, 6)) // 1000,
    )

    assert holes == [("01-01 00:00", "04-01 00:00", "tail", 3)]


def test_a_partition_without_bars_lacks_all():
    none = bars("2025-01-01", "2025-01-01")

    assert found(none, "2025-01-01", "2025-01-03") == [
        ("01-01 00:00", "01-03 00:00", "tail", 2880)
    ]
    assert found(none, "2025-01-01", "2025-01-01") == []


# --- bars without trades


def test_the_runs_of_2025_01_29_are_doubted():
    """13 and 4 bars of um without trades in a day of trades in every minute (D14)."""
    frame = bars(
        "2025-01-28",
        "2025-01-31",
        untraded=[
            ("2025-01-29T01:23", "2025-01-29T01:36"),
            ("2025-01-29T02:41", "2025-01-29T02:45"),
        ],
    )

    assert [told(hole) for hole in doubtful_bars(frame, interval=MINUTE)] == [
        ("01-29 01:23", "01-29 01:36", "untraded", 13),
        ("01-29 02:41", "01-29 02:45", "untraded", 4),
    ]


def test_single_bars_without_trades_are_believed():
    frame = bars(
        "2025-01-01",
        "2025-01-02",
        untraded=[
            (f"2025-01-01T{h:02d}:00", f"2025-01-01T{h:02d}:01") for h in range(9)
        ],
    )

    assert doubtful_bars(frame, interval=MINUTE) == []


def test_a_symbol_that_is_seldom_traded_is_believed():
    frame = (
        bars("2025-01-01", "2025-01-03")
        .with_row_index()
        .with_columns(
            trade_count=pl.when(pl.col("index") % 37 == 0).then(1).otherwise(0)
        )
    )

    assert doubtful_bars(frame.drop("index"), interval=MINUTE) == []


def test_a_run_is_not_continued_across_a_hole():
    frame = bars(
        "2025-01-01",
        "2025-01-02",
        untraded=[("2025-01-01T10:00", "2025-01-01T10:20")],
        without=[("2025-01-01T10:05", "2025-01-01T10:10")],
    )

    holes = doubtful_bars(frame, interval=MINUTE)

    assert [told(hole)[:2] for hole in holes] == [
        ("01-01 10:00", "01-01 10:05"),
        ("01-01 10:10", "01-01 10:20"),
    ]


def test_no_long_bars_are_doubted():
    frame = bars(
        "2025-01-01",
        "2025-02-01",
        interval="1h",
        untraded=[("2025-01-10T00:00", "2025-01-10T20:00")],
    )

    assert doubtful_bars(frame, interval=Interval.parse("1h")) == []
    assert doubtful_bars(frame.head(0), interval=MINUTE) == []


# --- bars with impossible values


def priced(frame, *, wrong):
    """Set prices and volumes beside bars; of some, the low is above the high."""
    is_wrong = pl.col("open_time").is_in([at(text) for text in wrong])
    volumes = dict.fromkeys(("volume", "quote_volume"), 5.0)
    taken = dict.fromkeys(("taker_buy_volume", "taker_buy_quote_volume"), 1.0)
    return frame.with_columns(
        **{name: pl.lit(10.0) for name in ("open", "high", "low", "close")},
        **{name: pl.lit(value) for name, value in (volumes | taken).items()},
    ).with_columns(low=pl.when(is_wrong).then(11.0).otherwise("low"))


def impossible(frame, data_type="klines", interval="1h"):
    holes = impossible_bars(
        frame,
        data_type=data_type,
        trade_type=TradeType.UM_FUTURES,
        interval=Interval.parse(interval),
    )
    return [told(hole) for hole in holes]


@pytest.mark.parametrize("data_type", ["klines", "markPriceKlines"])
def test_impossible_bars_in_a_row_are_one_hole(data_type):
    hours = ["2025-01-01T03:00", "2025-01-01T04:00", "2025-01-01T06:00"]
    frame = priced(bars("2025-01-01", "2025-01-02", interval="1h"), wrong=hours)

    assert impossible(frame, data_type) == [
        ("01-01 03:00", "01-01 05:00", "impossible", 2),
        ("01-01 06:00", "01-01 07:00", "impossible", 1),
    ]
    assert impossible(frame.head(0), data_type) == []


def test_an_impossible_bar_off_the_grid_is_one_of_the_point_before_it():
    frame = priced(
        bars("2025-01-01T05:00", "2025-01-01T06:00", interval="30m"),
        wrong=["2025-01-01T05:00", "2025-01-01T05:30"],
    )

    assert impossible(frame) == [("01-01 05:00", "01-01 06:00", "impossible", 1)]


def test_rows_outside_holes_are_kept():
    frame = bars("2025-01-01T00:00", "2025-01-01T04:00", interval="1h")
    start_ms = round(at("2025-01-01T01:00").timestamp() * 1000)
    hole = MissingRange(
        Span(start_ms, start_ms + 7_200_000), MissingReason.IMPOSSIBLE, 2
    )

    hours = outside(frame, [hole], time="open_time")["open_time"].dt.hour()

    assert hours.to_list() == [0, 3]
    assert outside(frame, [], time="open_time").equals(frame)


# --- zips


def entry(key, integrity_status):
    return {"key": key, "integrity_status": integrity_status}


def test_a_day_is_useless_only_if_none_of_its_zips_is_of_use():
    folder = "data/futures/um/{}/klines/AUSDT/1m/AUSDT-1m-{}.zip"
    coverage = Coverage.of(
        [
            entry(folder.format("monthly", "2025-02"), "corrupt"),
            entry(folder.format("daily", "2025-02-03"), "checksum-stale"),
            entry(folder.format("daily", "2025-03-01"), "vanished"),
            entry(folder.format("daily", "2025-03-02"), "ok"),
        ]
    )

    assert coverage.usable == {number("2025-02-03"), number("2025-03-02")}
    assert coverage.useless == {
        *(number(f"2025-02-{day:02d}") for day in range(1, 29) if day != 3),
        number("2025-03-01"),
    }
    assert coverage.last == number("2025-03-02")
    assert coverage.reason(number("2025-02-03")) is MissingReason.MISSING
