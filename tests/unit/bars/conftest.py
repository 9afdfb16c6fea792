import datetime as dt
import subprocess
import sys

import polars as pl
import pytest

from bhds.bars.build import build_results
from bhds.bars.resample import resample
from bhds.config import SplitRule
from bhds.core.markets import Interval, TradeType
from bhds.core.resample_rule import ResampleRule
from bhds.schemas.datatypes import data_type
from bhds.schemas.klines import FUNDING, parsed_klines, turnover_columns

START = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)


def make_published(minutes, *, trade_type=TradeType.SPOT, source="daily", **columns):
    """One bar per minute after 2024-01-01, at a price of 100 unless said otherwise."""
    schema = parsed_klines(trade_type)
    turnover, taker_buy_turnover = turnover_columns(trade_type)
    times = [START + dt.timedelta(minutes=minute) for minute in minutes]
    price = columns.get("close", 100.0)
    trades = columns.get("trade_count", [1] * len(times))
    if isinstance(trades, int):
        trades = [trades] * len(times)
    prices = price if isinstance(price, list) else [price] * len(times)
    data = {
        "open_time": times,
        "open": prices,
        "high": prices,
        "low": prices,
        "close": prices,
        "volume": [2.0 * count for count in trades],
        turnover: [
            2.0 * count * value for count, value in zip(trades, prices, strict=True)
        ],
        "trade_count": trades,
        "taker_buy_volume": [1.0 * count for count in trades],
        taker_buy_turnover: [1.0 * count for count in trades],
        "close_time": times,
        "source": source if isinstance(source, list) else [source] * len(times),
    }
    for name, values in columns.items():
        data[name] = values if isinstance(values, list) else [values] * len(times)
    return pl.DataFrame(data, schema=schema)


def build_from(bars, *, interval="1m", trade_type=TradeType.SPOT, **options):
    """Build results of published bars by the default settings."""
    symbol = "BTCUSD_PERP" if trade_type is TradeType.CM_FUTURES else "BTCUSDT"
    defaults = {"symbol": symbol, "vwap": True, "fill": True, "split": SplitRule()}
    return build_results(
        bars,
        trade_type=trade_type,
        interval=Interval.parse(interval),
        **(defaults | options),
    )


def resampled(
    frame, rule, *, base="1m", trade_type=TradeType.SPOT, symbol="X", **options
):
    return resample(
        frame,
        trade_type=trade_type,
        symbol=symbol,
        base=Interval.parse(base),
        rule=ResampleRule.parse(rule) if isinstance(rule, str) else rule,
        **options,
    )


@pytest.fixture
def published():
    return make_published


def make_events(
    minutes,
    *,
    rate=0.0001,
    hours=8,
    late_ms=0,
    rate_type=None,
    mark_price=None,
    source="monthly",
):
    """Events due some minutes after 2024-01-01, with their minutes as parsing finds."""
    due = pl.Series([START + dt.timedelta(minutes=minute) for minute in minutes])
    rows = pl.DataFrame({"calc_time": due.cast(FUNDING["calc_time"])}).with_columns(
        pl.col("calc_time") + pl.duration(milliseconds=late_ms)
    )
    um = TradeType.UM_FUTURES
    given = {
        "funding_rate": rate,
        "funding_interval_hours": hours,
        "rate_type": rate_type,
        "mark_price": mark_price,
        "source": source,
    }
    columns = {
        name: value if isinstance(value, list) else [value] * len(due)
        for name, value in given.items()
    }
    return (
        data_type("fundingRate")
        .table(um)
        .derive(rows, um)
        .with_columns(
            pl.Series(name, values, FUNDING[name]) for name, values in columns.items()
        )
        .select(FUNDING.names())
    )


@pytest.fixture
def events():
    return make_events


@pytest.fixture
def minutes_of():
    """Tell the minutes after 2024-01-01 of a column of times."""

    def minutes(times):
        return [
            None if time is None else (time - START) / dt.timedelta(minutes=1)
            for time in times
        ]

    return minutes


@pytest.fixture
def outputs_by_machine(monkeypatch):
    """Run a program with other numbers of threads, and told to keep chunks or not."""

    def run(program):
        outputs = set()
        for threads, chunks in (("1", "whole"), ("4", "whole"), ("4", "pieces")):
            monkeypatch.setenv("POLARS_MAX_THREADS", threads)
            command = [sys.executable, "-c", program, chunks]
            done = subprocess.run(command, capture_output=True, check=True, timeout=60)
            outputs.add(done.stdout)
        return outputs

    return run
