import datetime as dt
import hashlib

import polars as pl
import pytest

from bhds.bars import build
from bhds.bars.build import build_results
from bhds.bars.gaps import SplitRule
from bhds.core.errors import ResultError
from bhds.core.markets import Interval, TradeType
from bhds.schemas.klines import result_klines
from bhds.schemas.quality_tables import GAPS

GOLDEN = {6: "d1f5eaf0c1d95536"}
DAY = 24 * 60
MINUTE = dt.timedelta(minutes=1)
START = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)


def build_from(bars, *, interval="1m", trade_type=TradeType.SPOT, **options):
    defaults = {"vwap": True, "fill": True, "split": SplitRule()}
    return build_results(
        bars,
        trade_type=trade_type,
        symbol="BTCUSD_PERP" if trade_type is TradeType.CM_FUTURES else "BTCUSDT",
        interval=Interval.parse(interval),
        **(defaults | options),
    )


@pytest.fixture
def eventful(published):
    """Off-grid bars, untraded bars, missing bars, three segments and a quiet end."""
    minutes = [0, 1, 2, 2.5, 3.25, 7, 8, 3 * DAY, 3 * DAY + 2, 6 * DAY, 6 * DAY + 1]
    return published(
        minutes,
        trade_count=[0, 4, 3, 2, 1, 0, 5, 6, 7, 8, 0],
        close=[10.0, 11.0, 12.0, 13.0, 12.5, 12.5, 11.5, 20.0, 21.0, 5.0, 5.0],
    )


@pytest.fixture
def funding(events):
    """Events before, in and after the segments, on published and on filled bars."""
    minutes = [0, 1, 5, 8, DAY, 3 * DAY + 1, 6 * DAY, 6 * DAY + 1]
    return events(minutes, rate=[0.25, -0.5, 0.0, 1.0, 2.0, 4.0, 8.0, 16.0])


def test_results_change_only_with_the_revision(eventful, funding):
    results = build_from(eventful, funding=funding)
    content = results.frame.write_csv() + results.gaps.write_json()
    digest = hashlib.sha256(content.encode()).hexdigest()

    assert digest[:16] == GOLDEN.get(build.REVISION), (
        "build_results yields other rows: raise build.REVISION and record the digest"
    )


def test_results_are_complete_within_each_segment(eventful, minutes_of):
    results = build_from(eventful)

    later = [3 * DAY, 3 * DAY + 1, 3 * DAY + 2, 6 * DAY, 6 * DAY + 1]
    assert minutes_of(results.frame["open_time"]) == [*range(1, 9), *later]
    assert results.frame["segment"].to_list() == [0] * 8 + [1] * 3 + [2] * 2
    assert results.frame["close"].to_list()[:8] == [
        11,
        13,
        12.5,
        12.5,
        12.5,
        12.5,
        12.5,
        11.5,
    ]
    assert results.gaps["split"].to_list() == [False, True, False, True]


@pytest.mark.parametrize("quiet_days", [1, 8])
@pytest.mark.parametrize("has_ended", [False, True])
def test_a_quiet_end_is_trimmed_once_it_is_known_that_the_symbol_has_ended(
    published, minutes_of, *, quiet_days, has_ended
):
    trades = [1, 1, *[0] * 24 * quiet_days]
    bars = published([60 * hour for hour in range(len(trades))], trade_count=trades)

    results = build_from(bars, interval="1h", has_ended=has_ended)

    is_over = has_ended or quiet_days == 8
    assert results.frame.height == (2 if is_over else len(trades))
    assert results.counts.trimmed == (24 * quiet_days if is_over else 0)
    assert results.gaps["trimmed"].to_list() == [True] * is_over
    ends = [results.first_traded, results.last_traded]
    assert minutes_of(ends) == [0, 60]


def test_a_quiet_end_stays_while_the_exchange_says_that_the_symbol_is_traded(published):
    trades = [1, *[0] * 24 * 8]
    bars = published([60 * hour for hour in range(len(trades))], trade_count=trades)

    results = build_from(bars, interval="1h", is_trading=True)

    assert results.frame.height == len(trades)
    assert results.ended_at is None


def test_bars_without_trades_are_left_out_while_the_symbol_was_not_listed(
    published, minutes_of
):
    # Settled at 9:00, with one trade in that minute; another asset from day 5, 17:30.
    settled, again = 9 * 60, 5 * DAY + 1050
    minutes = range(7 * DAY)
    trades = [int(m <= settled or again <= m < 6 * DAY) for m in minutes]
    unlisted = ((START + settled * MINUTE, START + again * MINUTE),)

    known = [
        build_from(published(minutes[:n], trade_count=trades[:n]), unlisted=unlisted)
        for n in (4 * DAY, 7 * DAY)
    ]

    segments = known[1].frame.partition_by("segment")
    assert [minutes_of(s["open_time"][[0, -1]]) for s in segments] == [
        [0, settled],
        [again, 7 * DAY - 1],
    ]
    assert known[0].frame.equals(segments[0])
    inner = known[1].gaps.row(0, named=True)
    assert (inner["split"], inner["trimmed"], inner["missing_bars"]) == (True, True, 0)
    assert known[1].counts.trimmed == again - settled - 1
    assert known[1].ended_at is None


def test_a_missing_bar_is_filled_up_to_the_last_published_bar(published, minutes_of):
    results = build_from(published([0, 2, 4], trade_count=[1, 0, 0]))

    filled = results.frame.filter(pl.col("source") == "filled")
    assert minutes_of(filled["open_time"]) == [1, 3]
    assert minutes_of(results.frame["open_time"].tail(1)) == [4]


def test_counts_tell_what_was_done(eventful, funding):
    counts = build_from(eventful, funding=funding, has_ended=True).counts

    assert counts == build.BarCounts(
        published=11,
        off_grid=2,
        combined=1,
        trimmed=2,
        filled=4,
        segments=3,
        funding_events=8,
        funding_dropped=3,
        funding_combined=0,
    )


def test_without_fill_only_published_bars_are_there(eventful):
    results = build_from(eventful, fill=False)
    filled = build_from(eventful)

    assert results.counts.filled == 0
    published_rows = filled.frame.filter(pl.col("source") != "filled")
    assert results.frame.equals(published_rows)


def test_without_vwap_its_column_is_null(eventful):
    without = build_from(eventful, vwap=False).frame

    assert without["vwap"].null_count() == without.height
    assert without.drop("vwap").equals(build_from(eventful).frame.drop("vwap"))


def test_without_split_there_is_one_segment(eventful):
    results = build_from(eventful, split=SplitRule(enabled=False))

    assert results.frame["segment"].unique().to_list() == [0]
    assert results.frame.height == 6 * DAY + 1
    assert not results.gaps["split"].any()


def test_vwap_of_a_filled_bar_is_its_price(published):
    frame = build_from(published([0, 2], close=[5.0, 6.0])).frame

    assert frame["vwap"].to_list() == [5.0, 5.0, 6.0]


def rates_by_minute(frame, minutes_of):
    paid = frame.filter(pl.col("funding_rate").is_not_null())
    return dict(zip(minutes_of(paid["open_time"]), paid["funding_rate"], strict=True))


def test_events_are_on_published_untraded_and_filled_bars(
    eventful, funding, minutes_of
):
    frame = build_from(eventful, funding=funding).frame

    rates = {1: -0.5, 5: 0.0, 8: 1.0, 3 * DAY + 1: 4.0, 6 * DAY: 8.0}
    rates[6 * DAY + 1] = 16.0
    assert rates_by_minute(frame, minutes_of) == rates
    assert frame.filter(pl.col("funding_rate") == 0)["source"].to_list() == ["filled"]


@pytest.mark.parametrize(
    "minute",
    [
        pytest.param(0, id="before the first trade"),
        pytest.param(2 * DAY, id="in the halt between two segments"),
        pytest.param(4 * DAY, id="on the first bar of the tail without trades"),
        pytest.param(9 * DAY, id="long after delisting"),
    ],
)
def test_phantom_events_are_dropped_and_counted(published, events, minute):
    bars = published(
        [0, 1, 2, 3 * DAY + 30, 4 * DAY - 1, 4 * DAY, 4 * DAY + 1],
        trade_count=[0, 1, 1, 1, 1, 0, 0],
    )

    results = build_from(bars, funding=events([minute]), has_ended=True)

    assert results.counts.segments == 2
    assert results.frame["funding_rate"].null_count() == results.frame.height
    assert (results.counts.funding_events, results.counts.funding_dropped) == (1, 1)


def test_an_event_in_a_hole_that_is_not_filled_is_dropped(published, events):
    bars = published([0, 2])

    results = build_from(bars, fill=False, funding=events([1, 2]))

    assert results.frame["funding_rate"].to_list() == [None, 0.0001]
    assert results.counts.funding_dropped == 1


def test_an_event_is_on_the_bar_that_opened_between_two_grid_points(published, events):
    results = build_from(published([0.5, 1]), funding=events([0]))

    assert results.frame["funding_rate"].to_list() == [0.0001, None]


def test_funding_changes_no_other_column_and_no_dtype(eventful, funding):
    without = build_from(eventful)
    paid = build_from(eventful, funding=funding)

    assert paid.frame.schema == without.frame.schema
    assert paid.frame.drop("funding_rate").equals(without.frame.drop("funding_rate"))
    assert without.frame["funding_rate"].null_count() == without.frame.height
    assert paid.gaps.equals(without.gaps)


def test_no_events_are_as_no_funding(eventful, events):
    without = build_from(eventful)
    none = build_from(eventful, funding=events([]))

    assert none.frame.equals(without.frame)
    assert none.counts == without.counts


def test_a_symbol_that_never_traded_drops_all_events(published, events):
    results = build_from(published([]), funding=events([0, 480]))

    assert results.frame.schema == result_klines(TradeType.SPOT)
    assert results.counts.funding_dropped == 2


def test_events_with_other_columns_are_refused(published, events):
    other = events([0]).cast({"funding_interval_hours": pl.Int64})

    with pytest.raises(
        ResultError, match=r"BTCUSDT: .*'funding_interval_hours'\].* of"
    ):
        build_from(published([0]), funding=other)


def test_unsorted_events_are_refused(published, events):
    with pytest.raises(ResultError, match="funding_time is unsorted"):
        build_from(published([0]), funding=events([1, 0]))


def test_events_of_one_minute_are_summed(published, events):
    paid = events([0, 0], rate=[0.5, -2.0])

    assert build_from(published([0]), funding=paid).frame["funding_rate"][0] == -1.5


@pytest.mark.parametrize("trade_type", TradeType)
@pytest.mark.parametrize("vwap", [True, False])
@pytest.mark.parametrize(
    "trades", [[], [0, 0], [1], [1, 0]], ids=["no bars", "no trades", "one", "tail"]
)
def test_the_columns_are_the_same_whatever_the_data(
    published, trade_type, vwap, trades
):
    bars = published(range(len(trades)), trade_count=trades, trade_type=trade_type)

    results = build_from(bars, trade_type=trade_type, vwap=vwap)

    assert results.frame.schema == result_klines(trade_type)
    assert results.gaps.schema == GAPS
    assert results.frame.height == (len(trades) if any(trades) else 0)
    assert results.counts.segments == sum(trades)


def test_the_vwap_of_coin_margined_futures_uses_the_contract_size(published):
    bars = published(
        [0],
        trade_type=TradeType.CM_FUTURES,
        volume=2.0,
        base_volume=2.0,
        close=100.0,
    )

    assert build_from(bars, trade_type=TradeType.CM_FUTURES).frame["vwap"].item() == 100


def test_bars_of_another_market_are_refused(published):
    bars = published([0], trade_type=TradeType.CM_FUTURES)

    with pytest.raises(ResultError, match=r"BTCUSDT: columns .*'base_volume'.* spot"):
        build_from(bars)


@pytest.mark.parametrize("minutes", [[1, 0], [1, 1]], ids=["unsorted", "twice"])
def test_unmerged_bars_are_refused(published, minutes):
    with pytest.raises(ResultError, match="unsorted or not unique; merge"):
        build_from(published(minutes))
