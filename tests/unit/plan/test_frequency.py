"""The choice between monthly and daily zips."""

import pytest

from bhds.core.markets import ARCHIVE_INTERVALS, TradeType
from bhds.plan.frequency import choose_frequency, known_bad_months
from bhds.schemas.datatypes import DATA_TYPES

from .conftest import zips

SPOT, UM, CM = TradeType.SPOT, TradeType.UM_FUTURES, TradeType.CM_FUTURES


def days_of(symbol, month, *, first=1, last):
    return [(symbol, f"{month}-{day:02}") for day in range(first, last + 1)]


def chosen(
    *rows, choice="auto", trade_type=UM, data_type="klines", interval: str | None = "1m"
):
    kept = choose_frequency(
        zips(*rows),
        choice,
        trade_type=trade_type,
        data_type=data_type,
        interval=interval,
    )
    return sorted(kept.select("symbol", "period").rows())


MIXED = [
    ("A", "2025-01"),
    ("A", "2025-01-31"),
    ("A", "2025-02-01"),
    ("B", "2025-01-31"),
]


def test_auto_takes_days_only_of_months_that_the_symbol_lacks():
    assert chosen(*MIXED) == [
        ("A", "2025-01"),
        ("A", "2025-02-01"),
        ("B", "2025-01-31"),
    ]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("monthly", [("A", "2025-01")]),
        ("daily", [("A", "2025-01-31"), ("A", "2025-02-01"), ("B", "2025-01-31")]),
    ],
)
def test_a_forced_frequency_takes_one_kind(choice, expected):
    assert chosen(*MIXED, choice=choice) == expected


BAD_DAYS = days_of("A", "2022-04", last=30)
BAD_MONTH = [("A", "2022-04")]


def test_a_month_known_to_be_bad_comes_from_its_days():
    good = [("A", "2022-03"), ("A", "2022-03-31")]

    assert chosen(*good, *BAD_MONTH, *BAD_DAYS) == [("A", "2022-03"), *BAD_DAYS]


@pytest.mark.parametrize(
    "days",
    [
        pytest.param([], id="none"),
        pytest.param(BAD_DAYS[:-1], id="the last is missing"),
        pytest.param(BAD_DAYS[9:], id="from the tenth on"),
    ],
)
def test_its_monthly_zip_is_taken_as_well_where_days_are_missing(days):
    assert chosen(*BAD_MONTH, *days) == [*BAD_MONTH, *days]


def test_a_bad_month_without_a_monthly_zip_comes_from_the_days_there_are():
    assert chosen(*BAD_DAYS[3:7]) == BAD_DAYS[3:7]


def test_each_symbol_is_judged_by_its_own_days():
    other = [("B", "2022-04"), ("B", "2022-04-30")]

    assert chosen(*BAD_MONTH, *BAD_DAYS, *other) == [*BAD_DAYS, *other]


@pytest.mark.parametrize(
    ("choice", "expected"), [("monthly", BAD_MONTH), ("daily", BAD_DAYS)]
)
def test_a_forced_frequency_knows_no_bad_months(choice, expected):
    assert chosen(*BAD_MONTH, *BAD_DAYS, choice=choice) == expected


@pytest.mark.parametrize(
    ("series", "is_bad"),
    [
        pytest.param({"interval": "1d"}, True, id="any interval"),
        pytest.param({"trade_type": CM}, False, id="another market"),
        pytest.param({"data_type": "markPriceKlines"}, False, id="another data type"),
        pytest.param(
            {"data_type": "aggTrades", "interval": None}, False, id="no intervals"
        ),
    ],
)
def test_only_the_series_of_the_catalogue_are_bad(series, is_bad):
    expected = BAD_DAYS if is_bad else BAD_MONTH

    assert chosen(*BAD_MONTH, *BAD_DAYS, **series) == expected


@pytest.mark.parametrize(
    ("symbol", "interval", "is_bad"),
    [
        ("BTCUSDT", "1m", True),
        ("USDCUSDT", "1h", True),
        ("ETHUSDT", "4h", True),
        pytest.param("BTCUSDT", "2h", False, id="an interval not named"),
        pytest.param("ADAUSDT", "4h", False, id="another symbol's interval"),
        pytest.param("LTCUSDT", "1m", False, id="a symbol not named"),
    ],
)
def test_only_the_symbols_and_intervals_that_a_row_names_are_bad(
    symbol, interval, is_bad
):
    month = [(symbol, "2021-09")]
    days = days_of(symbol, "2021-09", last=30)

    found = chosen(*month, *days, trade_type=SPOT, interval=interval)

    assert found == (days if is_bad else month)


# --- the catalogue


def test_the_catalogue_names_series_that_are_published():
    for bad in known_bad_months():
        entry = DATA_TYPES[bad.data_type]
        assert bad.trade_type in entry.trade_types
        assert bad.intervals is None or bad.intervals <= {*ARCHIVE_INTERVALS}
        assert bad.month.day == 1
        assert bad.issues
        assert bad.what


@pytest.mark.parametrize(
    ("trade_type", "symbol", "interval", "months"),
    [
        pytest.param(
            UM,
            "BTCUSDT",
            "1m",
            ["2022-04", "2022-05", "2022-06", "2022-08", "2023-04"],
            id="um",
        ),
        pytest.param(
            UM,
            "TLMUSDT",
            "1h",
            ["2022-04", "2022-05", "2022-06", "2022-08", "2023-03", "2023-04"],
            id="um TLM",
        ),
        pytest.param(SPOT, "SOLUSDT", "5m", ["2020-12", "2021-09"], id="spot"),
        pytest.param(
            *(SPOT, "BTCUSDT", "4h", ["2021-01", "2021-04", "2021-09"]),
            id="spot, longer bars",
        ),
        pytest.param(SPOT, "SHIBUSDT", "5m", [], id="spot, a symbol not affected"),
        pytest.param(CM, "BTCUSD_PERP", "1m", [], id="cm"),
    ],
)
def test_the_catalogue_holds_the_months_that_were_reported(
    trade_type, symbol, interval, months
):
    found = [
        f"{bad.month:%Y-%m}"
        for bad in known_bad_months()
        if bad.is_of(trade_type, "klines", interval)
        and (bad.symbols is None or symbol in bad.symbols)
    ]

    assert found == months
