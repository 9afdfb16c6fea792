import datetime as dt
import json
from pathlib import Path

import pytest

from bhds.core.markets import Frequency, Interval
from bhds.sandbox.timegrid import (
    bar_end,
    bar_open,
    first_open,
    period_of_label,
    periods,
    to_ms,
)

RECORDED = Path("../shared/realdata/spot/api_klines/BTCUSDT")


@pytest.mark.skipif(not RECORDED.is_dir(), reason="genuine exchange files are absent")
@pytest.mark.parametrize(
    "name", ["15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w", "1M"]
)
def test_bars_open_and_end_as_recorded_bars_do(name):
    recorded = [
        row
        for path in (RECORDED / name).glob("*.json")
        for row in json.loads(path.read_text())
    ]
    listed = recorded[0][0] // 86_400_000
    interval = Interval.parse(name.replace("1M", "1mo")).with_phase_of([listed])

    assert recorded
    for row in recorded:
        assert bar_open(interval, row[0]) == row[0]
        assert bar_open(interval, bar_end(interval, row[0]) - 1) == row[0]


def test_first_open_is_the_moment_itself_where_a_bar_opens():
    monday = to_ms(dt.datetime(2025, 3, 10, tzinfo=dt.UTC))
    week = Interval.parse("1w")

    assert first_open(week, monday) == monday
    assert first_open(week, monday + 1) == monday + 7 * 86_400_000


def test_periods_hold_every_moment_once():
    start = to_ms(dt.datetime(2024, 1, 31, 12, tzinfo=dt.UTC))
    end = to_ms(dt.datetime(2024, 3, 1, tzinfo=dt.UTC))

    months = list(periods(Frequency.MONTHLY, start_ms=start, end_ms=end))

    assert [month.label for month in months] == ["2024-01", "2024-02"]
    assert months[0].end_ms == months[1].start_ms


@pytest.mark.parametrize("label", ["2020-8", "2020-13", "2020-08-01", "x"])
def test_a_month_has_one_spelling(label):
    with pytest.raises(ValueError, match=label):
        period_of_label(Frequency.MONTHLY, label)
