import datetime as dt
import hashlib
import subprocess
import sys

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bhds.bars import resample as module
from bhds.bars.build import build_results
from bhds.bars.gaps import SplitRule
from bhds.bars.resample import resample
from bhds.core.errors import ConfigError, ResultError
from bhds.core.markets import Interval, TradeType
from bhds.core.resample_rule import ResampleRule
from bhds.schemas.klines import FUNDING, resampled_klines, result_klines

GOLDEN = {4: "16ffe46eb804844c"}
MINUTE = Interval.parse("1m")
DAY = 24 * 60


@pytest.fixture
def results(published):
    def build(
        minutes,
        *,
        fill=True,
        vwap=True,
        trade_type=TradeType.SPOT,
        funding=None,
        interval=MINUTE,
        **columns,
    ):
        return build_results(
            published(minutes, trade_type=trade_type, **columns),
            trade_type=trade_type,
            symbol="BTCUSD_PERP",
            interval=interval,
            vwap=vwap,
            fill=fill,
            split=SplitRule(),
            funding=funding,
        ).frame

    return build


def resampled(frame, rule, *, trade_type=TradeType.SPOT, base=MINUTE, funding=None):
    return resample(
        frame,
        trade_type=trade_type,
        symbol="BTCUSD_PERP",
        base=base,
        rule=ResampleRule.parse(rule),
        funding=funding,
    )


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


@pytest.mark.parametrize(
    "name", ["1h", "1h_5m", "5m_90s", "1d_1h", "1w_1d", "3d", "1mo", "2h_90m"]
)
def test_a_rule_is_read_back_from_its_name(name):
    assert ResampleRule.parse(name).name == name


@pytest.mark.parametrize(
    ("offset", "name"),
    [
        (dt.timedelta(0), "1w"),
        (dt.timedelta(seconds=90), "1w_90s"),
        (dt.timedelta(minutes=90), "1w_90m"),
        (dt.timedelta(minutes=120), "1w_2h"),
        (dt.timedelta(hours=24), "1w_1d"),
    ],
)
def test_offsets_are_named_in_the_largest_unit_that_fits(offset, name):
    assert ResampleRule(Interval.parse("1w"), offset).name == name


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("1x", "interval '1x': expected a number of at most 5 digits"),
        ("1h_", "interval '': expected"),
        ("1h_0m", "interval '0m': expected"),
        ("1h_5m_5m", "interval '5m_5m': expected"),
        ("1h_300s", "expected its only name; write '1h_5m'"),
        ("1h_1h", "offset 1:00:00 must be whole seconds and shorter"),
        ("1h_2h", "offset 2:00:00 must be whole seconds and shorter"),
        ("1mo_1d", "offset 1 day, 0:00:00 must be .*none for months"),
        ("1h_1mo", "an offset cannot be in months"),
    ],
)
def test_a_rule_that_cannot_be_is_refused(name, message):
    with pytest.raises(ConfigError, match=message):
        ResampleRule.parse(name)


@pytest.mark.parametrize(
    "offset",
    [dt.timedelta(seconds=-60), dt.timedelta(milliseconds=1500)],
    ids=["negative", "fraction of a second"],
)
def test_an_offset_off_the_whole_seconds_of_the_interval_is_refused(offset):
    with pytest.raises(ConfigError, match="must be whole seconds"):
        ResampleRule(Interval.parse("1h"), offset)


@pytest.mark.parametrize(
    ("rule", "base"),
    [
        pytest.param("90s", "1m", id="interval is no multiple"),
        pytest.param("1h_90s", "1m", id="offset is no multiple"),
        pytest.param("1m", "5m", id="shorter than the base"),
        pytest.param("1w", "3d", id="weeks of 3d"),
        pytest.param("6d", "3d", id="other anchor"),
        pytest.param("1mo", "1w", id="months of weeks"),
        pytest.param("1mo", "1mo", id="months of months"),
    ],
)
def test_a_rule_that_does_not_fit_the_base_is_refused(rule, base):
    with pytest.raises(ConfigError, match=f"must be multiples of {base}"):
        ResampleRule.parse(rule).check_base(Interval.parse(base))


@pytest.mark.parametrize(
    ("rule", "base"),
    [("1m", "1m"), ("1h_5m", "1m"), ("1w", "1d"), ("3d", "8h"), ("1mo", "1d")],
)
def test_a_rule_that_fits_the_base_is_accepted(rule, base):
    ResampleRule.parse(rule).check_base(Interval.parse(base))


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


@pytest.mark.parametrize(
    ("rule", "labels"),
    [
        pytest.param("1h", [60, 120], id="no offset"),
        pytest.param("1h_2m", [2, 62, 122], id="first window begins with the data"),
        pytest.param("1h_1m", [61, 121], id="first window lacks a minute"),
        pytest.param("1h_3m", [3, 63], id="last window lacks a minute"),
    ],
)
def test_partial_windows_are_dropped_and_labels_are_on_the_grid(
    results, minutes_of, rule, labels
):
    bars = resampled(results(range(2, 182)), rule)

    assert minutes_of(bars["open_time"]) == labels


def test_no_window_spans_two_segments(results, minutes_of):
    gap = 4 * DAY
    bars = resampled(results([*range(91), *range(gap + 30, gap + 120)]), "1h")

    assert minutes_of(bars["open_time"]) == [0, gap + 60]
    assert bars["segment"].to_list() == [0, 1]


def test_a_window_longer_than_what_is_left_of_each_segment_is_dropped(results):
    days = [*range(DAY), *range(4 * DAY, 10 * DAY)]

    bars = resampled(results(days), "1w")

    assert bars.height == 0


def test_windows_are_measured_by_the_segment_not_by_their_rows(results, minutes_of):
    minutes = [0, 1, 30, 62, 119]

    bars = resampled(results(minutes, fill=False), "1h")

    assert minutes_of(bars["open_time"]) == [0, 60]
    assert bars["trade_count"].to_list() == [3, 2]
    assert bars["filled_count"].to_list() == [0, 0]


def test_filled_bars_are_counted(results):
    bars = resampled(results([0, 1, 30, 62, 119]), "1h")

    assert bars["filled_count"].to_list() == [57, 58]
    assert bars["trade_count"].to_list() == [3, 2]


@pytest.mark.parametrize("minutes", [[58, 61, 119], [58, 60, 61, 119]])
def test_a_bar_opens_with_its_first_trade_not_at_the_close_before(results, minutes):
    """Whether its first minute is published without trades or was filled."""
    trades = [int(minute != 60) for minute in minutes]
    prices = {58: 50.0, 60: 50.0, 61: 40.0, 119: 42.0}
    frame = results(
        minutes, trade_count=trades, close=[prices[minute] for minute in minutes]
    )

    (bar,) = resampled(frame, "1h").iter_rows(named=True)

    assert [bar[k] for k in ("open", "high", "low", "close")] == [40.0, 42.0, 40.0, 42]
    assert bar["first_vwap"] == 50.0
    assert bar["filled_count"] == 60 - len(minutes) + 1


def test_funding_is_summed_counted_and_timed(results, events, minutes_of):
    paid = events([0, 59, 121, 121], rate=[0.25, -0.125, 0.0, -0.5])

    bars = resampled(results(range(180)), "1h", funding=paid)

    assert bars["funding_rate"].to_list() == [0.125, None, -0.5]
    assert bars["funding_count"].to_list() == [2, 0, 2]
    assert minutes_of(bars["funding_time"]) == [0, None, 121]


def test_funding_of_hourly_events_is_that_of_the_events(results, events, minutes_of):
    minutes = [0, 60, 120, 180, 420]
    rates = [0.5, 0.25, -1.0, 0.125, 0.0]
    frame = results([*range(100), *range(200, 480)])

    bars = resampled(frame, "2h_1h", funding=events(minutes, rate=rates))

    assert minutes_of(bars["open_time"]) == [60, 180, 300]
    assert bars["funding_rate"].to_list() == [-0.75, 0.125, None]
    assert bars["funding_count"].to_list() == [2, 1, 0]
    assert minutes_of(bars["funding_time"]) == [60, 180, None]


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


@settings(max_examples=30, deadline=None)
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
            base=Interval.parse(base),
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


def test_the_vwap_of_coin_margined_futures_is_in_usd(results):
    frame = results(
        range(2),
        trade_type=TradeType.CM_FUTURES,
        close=[100.0, 200.0],
        volume=[1.0, 2.0],
        base_volume=[1.0, 1.0],
    )

    bars = resampled(frame, "2m", trade_type=TradeType.CM_FUTURES)

    assert bars.schema == resampled_klines(TradeType.CM_FUTURES)
    assert bars["vwap"].item() == 150.0


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
    day = Interval.parse("1d")
    frame = build_results(
        published([day * DAY for day in range(91)]),
        trade_type=TradeType.SPOT,
        symbol="X",
        interval=day,
        vwap=True,
        fill=True,
        split=SplitRule(),
    ).frame

    bars = resampled(frame, rule, base=day)

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


def test_sums_do_not_depend_on_threads_or_on_chunks(monkeypatch):
    outputs = set()
    for threads, chunks in (("1", "whole"), ("4", "whole"), ("4", "pieces")):
        monkeypatch.setenv("POLARS_MAX_THREADS", threads)
        command = [sys.executable, "-c", DETERMINISM, chunks]
        done = subprocess.run(command, capture_output=True, check=True, timeout=60)
        outputs.add(done.stdout)

    assert len(outputs) == 1


def test_bars_without_trades_have_no_say_in_the_prices_of_longer_ones(results):
    trades = [3, *[0] * 4, 0, 1, 0, 2, 1]
    closes = [*[55.0] * 5, 50.0, 70.0, 90.0, 60.0, 65.0]

    bars = resampled(results(range(10), trade_count=trades, close=closes), "5m")

    prices = bars.select("open", "high", "low", "close")
    assert prices.rows() == [(55, 55, 55, 55), (70, 70, 60, 65)]


def test_prices_of_bars_without_any_trade_are_those_of_all(results):
    trades = [1, *[0] * 9, 1, *[0] * 3, 1]
    closes = [float(price) for price in range(100, 115)]

    bars = resampled(results(range(15), trade_count=trades, close=closes), "5m")

    prices = bars.select("open", "high", "low", "close")
    assert prices.row(1) == (105, 109, 105, 109)
