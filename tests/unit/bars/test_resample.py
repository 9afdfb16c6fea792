import datetime as dt
import hashlib

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhds.bars import resample as module
from bhds.core.errors import ResultError
from bhds.core.markets import TradeType
from bhds.schemas.klines import FUNDING, resampled_klines, result_klines

from .conftest import build_from, resampled

GOLDEN = {4: "16ffe46eb804844c"}
DAY = 24 * 60


@pytest.fixture
def results(published):
    def build(minutes, *, fill=True, vwap=True, **columns):
        return build_from(published(minutes, **columns), fill=fill, vwap=vwap).frame

    return build


def test_resampled_bars_change_only_with_the_revision(results, events):
    frame = results(
        [*range(3, 30), *range(33, 200)],
        close=[100.0 + (7 * i) % 13 for i in range(194)],
    )
    paid = events([63, 64], rate=[0.25, 0.5])
    bars = resampled(frame, "15m_5m", funding=paid)
    digest = hashlib.sha256(bars.write_csv().encode()).hexdigest()

    assert digest[:16] == GOLDEN.get(module.REVISION), (
        "resample yields other rows: raise resample.REVISION and record the digest"
    )


def test_a_bar_sums_up_its_window(results):
    frame = results(
        [0, 1, 2],
        open=[5.0, 7.0, 6.0],
        high=[8.0, 9.0, 7.0],
        low=[5.0, 6.0, 4.0],
        close=[7.0, 6.0, 5.0],
        volume=[1.0, 2.0, 3.0],
        quote_volume=[7.0, 14.0, 15.0],
        trade_count=[1, 2, 3],
        taker_buy_volume=[0.5, 1.0, 1.5],
        taker_buy_quote_volume=[3.0, 7.0, 8.0],
    )

    bar = resampled(frame, "3m").row(0, named=True)

    assert bar == {
        "open_time": dt.datetime(2024, 1, 1, tzinfo=dt.UTC),
        "open": 5.0,
        "high": 9.0,
        "low": 4.0,
        "close": 5.0,
        "volume": 6.0,
        "quote_volume": 36.0,
        "trade_count": 6,
        "taker_buy_volume": 3.0,
        "taker_buy_quote_volume": 18.0,
        "vwap": 6.0,
        "first_vwap": 7.0,
        "funding_rate": None,
        "funding_count": 0,
        "funding_time": None,
        "filled_count": 0,
        "segment": 0,
    }


def test_windows_are_measured_by_the_segment_not_by_their_rows(results, minutes_of):
    minutes = [0, 1, 30, 62, 119]

    bars = resampled(results(minutes, fill=False), "1h")

    assert minutes_of(bars["open_time"]) == [0, 60]
    assert bars["trade_count"].to_list() == [3, 2]
    assert bars["filled_count"].to_list() == [0, 0]


def test_events_in_missing_base_bars_count(results, events):
    paid = events([1, 4])
    found = [
        resampled(results([0, 1, 2, 10, 11], fill=fill), "5m", funding=paid)
        for fill in (True, False)
    ]

    assert [bars["funding_count"][0] for bars in found] == [2, 2]


def bars_of(base):
    """Return results of three days: equal bars."""
    begin = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    end = begin + dt.timedelta(days=3)
    times = pl.datetime_range(begin, end, base, closed="left", eager=True)
    given = {"segment": 0, "source": "daily"}
    return pl.DataFrame({"open_time": times}).select(
        pl.col(name).cast(dtype)
        if name == "open_time"
        else pl.lit(given.get(name, 1.0)).cast(dtype).alias(name)
        for name, dtype in result_klines(TradeType.UM_FUTURES).items()
    )


@given(
    st.lists(
        st.tuples(
            st.integers(0, 3 * DAY - 1).map(lambda m: dt.timedelta(minutes=m)),
            st.sampled_from([0.1, 0.2, -0.7]),
        ),
        max_size=20,
    )
)
def test_funding_of_a_bar_does_not_depend_on_the_base(paid):
    begin = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    rows = [
        {"funding_time": begin + time, "funding_rate": rate}
        for time, rate in sorted(paid)
    ]
    events = pl.DataFrame(rows, schema=FUNDING.names(), schema_overrides=FUNDING)
    found = [
        resampled(
            bars_of(base),
            "1d",
            trade_type=TradeType.UM_FUTURES,
            base=base,
            funding=events,
        ).select("open_time", "funding_rate", "funding_count", "funding_time")
        for base in ("1m", "1h", "8h", "1d")
    ]

    assert all(each.equals(found[0]) for each in found)
    assert found[0]["funding_count"].sum() == len(paid)


def test_the_vwap_of_a_window_without_trades_is_its_open(results):
    frame = results([0, 1, 20], close=[5.0, 6.0, 7.0])

    bars = resampled(frame, "5m")

    assert bars["vwap"].to_list() == [5.5, 6.0, 6.0, 6.0]
    assert bars["first_vwap"].to_list() == [5.0, 6.0, 6.0, 6.0]


def test_without_vwap_in_the_results_there_is_none(results):
    bars = resampled(results(range(10), vwap=False), "5m")

    assert bars["vwap"].null_count() == 2
    assert bars["first_vwap"].null_count() == 2


@pytest.mark.parametrize(
    ("rule", "first", "n"),
    [
        pytest.param("3d", "2024-01-01", 30, id="3d"),
        pytest.param("1w", "2024-01-01", 13, id="1w"),
        pytest.param("1w_1d", "2024-01-02", 12, id="1w_1d"),
        pytest.param("1mo", "2024-01-01", 3, id="1mo"),
    ],
)
def test_days_make_longer_bars(published, rule, first, n):
    days = published([day * DAY for day in range(91)])

    frame = build_from(days, interval="1d").frame

    bars = resampled(frame, rule, base="1d")

    assert bars.height == n
    assert str(bars["open_time"][0].date()) == first
    assert bars["open_time"].is_sorted()


def test_no_results_give_no_bars(results):
    bars = resampled(results([]), "1h")

    assert bars.height == 0
    assert bars.schema == resampled_klines(TradeType.SPOT)


def test_unsorted_results_are_refused(results):
    with pytest.raises(ResultError, match="unsorted or not unique"):
        resampled(results([0, 1]).reverse(), "1h")


DETERMINISM = """
import hashlib, sys
import polars as pl
from bhds.schemas.klines import result_klines
from bhds.core.markets import Interval, TradeType
from bhds.bars.resample import ResampleRule, resample

n = 100_000
noise = pl.int_range(n, eager=True).hash(7).cast(pl.Float64) / 1e15
time = pl.int_range(n, eager=True) * 60_000_000
frame = pl.DataFrame({
    name: noise if dtype == pl.Float64 else pl.repeat(0, n, eager=True)
    for name, dtype in result_klines(TradeType.SPOT).items()
}).with_columns(open_time=time, trade_count=1, source=pl.lit("daily"))
frame = frame.cast(dict(result_klines(TradeType.SPOT)))
pieces = pl.concat([frame[:333], frame[333:]], rechunk=sys.argv[1] == "whole")
minute = Interval.parse("1m")
for rule in ("7m", "1d_1h"):
    bars = resample(pieces, trade_type=TradeType.SPOT, symbol="X", base=minute,
                    rule=ResampleRule.parse(rule))
    print(hashlib.sha256(bars.write_csv().encode()).hexdigest())
"""


def test_sums_do_not_depend_on_threads_or_on_chunks(outputs_by_machine):
    assert len(outputs_by_machine(DETERMINISM)) == 1
