from decimal import Decimal
from itertools import pairwise

import pytest

UM, CM = "data/futures/um/daily/", "data/futures/cm/daily/"
HEADER = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,"
    "taker_buy_volume,taker_buy_quote_volume,ignore"
)
REFERENCES = ["markPriceKlines", "indexPriceKlines", "premiumIndexKlines"]
NOON_MS = 1_782_302_400_000
"""2026-06-24 12:00, when LABUSDT and LABUSD_PERP begin."""


def names(archive, folder):
    return sorted({key.split("/")[5] for key in archive.zips(folder)})


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        (f"{UM}markPriceKlines/L", ["LABUSDT", "LABUSDT_260626"]),
        (f"{UM}indexPriceKlines/L", ["LABUSDT"]),
        (f"{UM}premiumIndexKlines/L", ["LABUSDT"]),
        (f"{CM}markPriceKlines/L", ["LABUSD_260626", "LABUSD_PERP"]),
        (f"{CM}indexPriceKlines/L", ["LABUSD"]),
        (f"{CM}premiumIndexKlines/L", ["LABUSD_PERP"]),
    ],
)
def test_an_index_is_of_a_pair_and_a_premium_of_a_perpetual(archive, folder, expected):
    assert names(archive, folder) == expected


def test_a_file_of_each_kind_is_written_like_a_genuine_one(archive):
    name = "LABUSDT-1m-2026-06-24.zip"
    for kind, count in zip(REFERENCES, ("60", "60", "12"), strict=True):
        first, second = archive.text(f"{UM}{kind}/LABUSDT/1m/{name}").splitlines()[:2]

        row = second.split(",")
        assert first == HEADER
        assert [row[place] for place in (5, 7, 8, 9, 10, 11)] == [
            *("0", "0", count),
            *("0", "0", "0"),
        ]
        assert [row[0], row[6]] == [str(NOON_MS), str(NOON_MS + 59_999)]
        assert all(len(price.partition(".")[2]) == 8 for price in row[1:5])


@pytest.mark.parametrize("kind", REFERENCES)
@pytest.mark.parametrize("interval", ["5m", "1h", "1d"])
def test_longer_bars_are_what_the_minutes_add_up_to(archive, kind, interval):
    folder = f"{UM}{kind}/LABUSDT/"
    minutes = archive.bars(folder, "1m", "2026-06-24")

    bars = archive.bars(folder, interval, "2026-06-24")

    width = {"5m": 300_000, "1h": 3_600_000, "1d": 86_400_000}[interval]
    assert len(bars) == -(-len(minutes) * 60_000 // width)
    for open_ms, (_, opening, high, low, close, *_, count, _, _, _) in bars.items():
        parts = [bar for time, bar in minutes.items() if 0 <= time - open_ms < width]
        assert opening == parts[0][1]
        assert high == max(part[2] for part in parts)
        assert low == min(part[3] for part in parts)
        assert close == parts[-1][4]
        assert count == sum(part[8] for part in parts)


@pytest.mark.parametrize(
    ("market", "name", "pair"),
    [(UM, "LABUSDT", "LABUSDT"), (CM, "LABUSD_PERP", "LABUSD")],
)
def test_the_mark_price_is_the_index_and_its_premium(archive, market, name, pair):
    day = "2026-06-24"
    mark = archive.bars(f"{market}markPriceKlines/{name}/", "1m", day)
    index = archive.bars(f"{market}indexPriceKlines/{pair}/", "1m", day)
    premium = archive.bars(f"{market}premiumIndexKlines/{name}/", "1m", day)
    traded = archive.bars(f"{market}klines/{name}/", "1m", day)

    assert mark.keys() == index.keys() == premium.keys() == traded.keys()
    for time, bar in mark.items():
        expected = index[time][1] * (1 + premium[time][1])
        assert abs(bar[1] - expected) < Decimal("0.0001")
        # What is traded is a tick off the index at most, or flat since some minutes.
        if traded[time][8]:
            assert abs(index[time][1] - traded[time][1]) < 2


@pytest.mark.parametrize("kind", REFERENCES)
def test_prices_go_on_from_bar_to_bar_across_midnight(archive, kind):
    folder = f"{CM}{kind}/{'LABUSD' if kind == REFERENCES[1] else 'LABUSD_PERP'}/"
    bars = [
        bar
        for day in ("2026-06-24", "2026-06-25")
        for bar in archive.bars(folder, "1m", day).values()
    ]

    assert len(bars) == 24 * 60
    for before, after in pairwise(bars):
        assert before[4] == after[1]
    for _, opening, high, low, close, *_ in bars:
        assert low <= min(opening, close) <= max(opening, close) <= high


@pytest.mark.parametrize(
    ("interval", "label", "open_ms"),
    [
        pytest.param("1w", "2026-06-22", 1_782_086_400_000, id="Monday"),
        pytest.param("1mo", "2026-06-01", 1_780_272_000_000, id="first of the month"),
    ],
)
def test_bars_longer_than_a_day_are_in_the_daily_file_in_which_they_open(
    archive, interval, label, open_ms
):
    folder = f"{UM}klines/LABUSDT/{interval}/"

    assert archive.zips(folder) == [f"{folder}LABUSDT-{interval}-{label}.zip"]
    assert list(archive.bars(f"{UM}klines/LABUSDT/", interval, label)) == [open_ms]


def test_a_daily_file_of_a_longer_bar_appears_when_the_bar_has_ended(archive):
    key = f"{UM}klines/LABUSDT/1w/LABUSDT-1w-2026-06-22.zip"

    (found,) = archive.exchange.store.describe([key])

    assert f"{found.last_modified:%Y-%m-%d}" == "2026-06-29"
