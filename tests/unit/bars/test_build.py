import datetime as dt
import hashlib

import polars as pl
import pytest

from bhds.bars import build
from bhds.config import SplitRule
from bhds.core.errors import ResultError
from bhds.core.markets import TradeType
from bhds.schemas.klines import result_klines
from bhds.schemas.quality_tables import GAPS

from .conftest import build_from

GOLDEN = {6: "d1f5eaf0c1d95536"}
DAY = 24 * 60
MINUTE = dt.timedelta(minutes=1)
START = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)


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


def test_funding_changes_no_other_column_and_no_dtype(eventful, funding):
    without = build_from(eventful)
    paid = build_from(eventful, funding=funding)

    assert paid.frame.schema == without.frame.schema
    assert paid.frame.drop("funding_rate").equals(without.frame.drop("funding_rate"))
    assert without.frame["funding_rate"].null_count() == without.frame.height
    assert paid.gaps.equals(without.gaps)


def test_events_with_other_columns_are_refused(published, events):
    other = events([0]).cast({"funding_interval_hours": pl.Int64})

    with pytest.raises(
        ResultError, match=r"BTCUSDT: .*'funding_interval_hours'\].* of"
    ):
        build_from(published([0]), funding=other)


def test_unsorted_events_are_refused(published, events):
    with pytest.raises(ResultError, match="funding_time is unsorted"):
        build_from(published([0]), funding=events([1, 0]))


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


@pytest.mark.parametrize("minutes", [[1, 0], [1, 1]], ids=["unsorted", "twice"])
def test_unmerged_bars_are_refused(published, minutes):
    with pytest.raises(ResultError, match="unsorted or not unique; merge"):
        build_from(published(minutes))
