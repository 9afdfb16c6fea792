import datetime as dt

import pytest

from bhds.core.markets import Interval, TradeType
from bhds.sandbox.pages import PagedSeries, Pages
from bhds.sandbox.publication import Hole
from bhds.sandbox.timegrid import MINUTE_MS, to_ms

START = to_ms(dt.datetime(2025, 1, 5, tzinfo=dt.UTC))
HOLE = Hole(
    TradeType.UM_FUTURES, "AAAUSDT", START + 3 * MINUTE_MS, START + 50 * MINUTE_MS
)


@pytest.fixture
def pages(exchange):
    return Pages(exchange.publication)


def series_of(exchange, interval="1m", data_type="klines"):
    symbol = exchange.universe.symbol(TradeType.UM_FUTURES, "AAAUSDT")
    return PagedSeries(
        data_type, symbol.name, exchange.klines, symbol, Interval.parse(interval)
    )


def minutes(bars):
    return [(time - START) // MINUTE_MS for time in bars["open_time"]]


def test_the_oldest_page_goes_on_after_a_hole(exchange, pages):
    exchange.publication.holes.append(HOLE)

    bars = pages.oldest(series_of(exchange), start_ms=START, end_ms=None, limit=5)

    assert minutes(bars) == [0, 1, 2, 50, 51]


def test_the_newest_page_goes_on_before_a_hole(exchange, pages):
    exchange.publication.holes.append(HOLE)
    end = START + 51 * MINUTE_MS

    bars = pages.newest(series_of(exchange), start_ms=None, end_ms=end, limit=5)

    assert minutes(bars) == [0, 1, 2, 50, 51]


def test_a_range_that_is_all_hole_is_empty(exchange, pages):
    exchange.publication.holes.append(HOLE)
    series = series_of(exchange)

    for page in (pages.oldest, pages.newest):
        bars = page(series, start_ms=HOLE.start_ms, end_ms=HOLE.end_ms - 1, limit=1_500)
        assert bars.is_empty()


def test_a_range_stops_at_the_present(pages):
    assert pages.stop(None) == pages.stop(10**15) == pages.now_ms + 1
    assert pages.stop(START) == START + 1
