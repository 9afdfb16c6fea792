import datetime as dt
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest

REAL = Path("../shared/realdata/um/metrics/BTCUSDT/BTCUSDT-metrics-2022-01-01.zip")
UM, CM = "data/futures/um/daily/", "data/futures/cm/daily/"


def rows(archive, market, name, day):
    return archive.lines(f"{market}metrics/{name}/{name}-metrics-{day}.zip")


@pytest.mark.parametrize(
    ("market", "name", "day", "labels"),
    [
        pytest.param(
            UM, "FILUSDT", "2024-02-29", "29 12:05 to 29 23:55", id="filed by label"
        ),
        pytest.param(
            UM, "FILUSDT", "2024-03-01", "01 00:05 to 01 12:00", id="filed by period"
        ),
        pytest.param(
            UM, "LABUSDT", "2026-06-24", "24 12:05 to 25 00:00", id="the last ends"
        ),
        pytest.param(
            UM, "LABUSDT", "2026-06-25", "25 00:00 to 25 11:55", id="the first starts"
        ),
        pytest.param(
            CM, "LABUSD_PERP", "2026-06-24", "24 12:00 to 24 23:55", id="cm before"
        ),
        pytest.param(
            CM, "LABUSD_PERP", "2026-06-25", "25 00:00 to 25 11:55", id="cm after"
        ),
    ],
)
def test_labels_are_those_of_their_era(archive, market, name, day, labels):
    found = [row[0] for row in rows(archive, market, name, day)]

    moments = [dt.datetime.fromisoformat(label) for label in found]
    assert f"{moments[0]:%d %H:%M} to {moments[-1]:%d %H:%M}" == labels
    steps = {b - a for a, b in pairwise(moments)}
    assert steps == {dt.timedelta(minutes=5)}


def test_a_change_of_labels_is_none_of_values(archive):
    """Both labels of 00:00 follow each other: the prices that they imply are apart."""
    *_, before = rows(archive, UM, "LABUSDT", "2026-06-24")
    after, *_ = rows(archive, UM, "LABUSDT", "2026-06-25")
    bars = archive.bars(f"{UM}klines/LABUSDT/", "5m", "2026-06-24")
    next_bars = archive.bars(f"{UM}klines/LABUSDT/", "5m", "2026-06-25")

    assert before[0] == after[0]
    assert Decimal(before[3]) / Decimal(before[2]) == bars[max(bars)][4]
    assert Decimal(after[3]) / Decimal(after[2]) == next_bars[min(next_bars)][4]


def test_the_ratio_of_takers_is_that_of_the_bars(archive):
    bars = list(archive.bars(f"{UM}klines/LABUSDT/", "5m", "2026-06-25").values())

    for row, bar in zip(rows(archive, UM, "LABUSDT", "2026-06-25"), bars, strict=True):
        sold = bar[5] - bar[9]
        expected = bar[9] / sold if sold else Decimal(0)
        assert abs(Decimal(row[7]) - expected) < Decimal("0.00000001")


def test_coin_m_is_worth_coins_and_has_no_ratios_of_accounts(archive):
    key = f"{CM}metrics/LABUSD_PERP/LABUSD_PERP-metrics-2026-06-25.zip"
    bars = archive.bars(f"{CM}klines/LABUSD_PERP/", "5m", "2026-06-25")

    _, _, held, worth, *ratios = archive.lines(key)[0]

    assert archive.text(key).splitlines()[1].count(',"","","",') == 1
    assert ratios[:3] == ["", "", ""]
    expected = Decimal(held) * 10 / bars[min(bars)][4]
    assert abs(Decimal(worth) - expected) < Decimal("0.00000001")


@pytest.mark.skipif(not REAL.is_file(), reason="genuine exchange files are absent")
def test_early_files_are_written_as_a_genuine_one(archive, genuine_shapes):
    key = f"{UM}metrics/OLDUSDT/OLDUSDT-metrics-2022-06-01.zip"

    ours = genuine_shapes(archive.text(key).replace("OLDUSDT", "BTCUSDT"))

    assert ours == genuine_shapes(REAL)
