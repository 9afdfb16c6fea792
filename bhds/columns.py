"""The columns and dtypes of klines at every stage, from parsed to resampled.

Prices are in quote currency. Volumes are in base currency, `quote_volume` in quote
currency; for COIN-M futures `volume` is in contracts and `base_volume` in base
coin. All times are UTC at microsecond resolution.
"""

import polars as pl

from bhds.markets import TradeType

TIME = pl.Datetime("us", "UTC")
"""The dtype of every time."""

SOURCES = pl.Enum(["daily", "monthly", "api"])
"""Where a parsed bar comes from."""

RESULT_SOURCES = pl.Enum(["daily", "monthly", "api", "filled"])
"""Where a result's bar comes from; `filled` bars were never published."""


def turnover_columns(trade_type: TradeType) -> tuple[str, str]:
    """Name the traded value and the takers' part of it, as the market counts them.

    Quote currency, except for COIN-M futures: these publish contracts as `volume`,
    and base coin under the header `quote_volume`.
    """
    if trade_type is TradeType.CM_FUTURES:
        return "base_volume", "taker_buy_base_volume"
    return "quote_volume", "taker_buy_quote_volume"


def parsed_klines(trade_type: TradeType) -> pl.Schema:
    """Return the columns of parsed and of API klines; the key is `open_time`."""
    return pl.Schema(_bar_columns(trade_type) | {"close_time": TIME, "source": SOURCES})


def result_klines(trade_type: TradeType) -> pl.Schema:
    """Return the columns of results; the key is `open_time`.

    `vwap` is null where it was not asked for; `funding_rate` is the sum of the funding
    events in the bar, and null on bars without one; `segment` counts from 0 in time
    order.
    """
    return pl.Schema(
        _bar_columns(trade_type)
        | {
            "vwap": pl.Float64(),
            "funding_rate": pl.Float64(),
            "segment": pl.Int16(),
            "source": RESULT_SOURCES,
        }
    )


def resampled_klines(trade_type: TradeType) -> pl.Schema:
    """Return the columns of resampled bars; the key is `open_time`.

    `first_vwap` is the VWAP of the first base bar; `funding_rate` is the sum of the
    bar's funding events and null without one; `funding_count` is the number of base
    bars with an event, and `funding_time` the open time of the first of them
    (`results.resample.resample` tells when these are the events themselves);
    `filled_count` is the number of base bars that were never published.
    """
    return pl.Schema(
        _bar_columns(trade_type)
        | {
            "vwap": pl.Float64(),
            "first_vwap": pl.Float64(),
            "funding_rate": pl.Float64(),
            "funding_count": pl.Int32(),
            "funding_time": TIME,
            "filled_count": pl.Int32(),
            "segment": pl.Int16(),
        }
    )


def _bar_columns(trade_type: TradeType) -> dict[str, pl.DataType]:
    """Return what bars have at every stage."""
    turnover, taker_buy_turnover = turnover_columns(trade_type)
    return {
        "open_time": TIME,
        "open": pl.Float64(),
        "high": pl.Float64(),
        "low": pl.Float64(),
        "close": pl.Float64(),
        "volume": pl.Float64(),
        turnover: pl.Float64(),
        "trade_count": pl.Int64(),
        "taker_buy_volume": pl.Float64(),
        taker_buy_turnover: pl.Float64(),
    }


FUNDING = pl.Schema(
    {
        "funding_time": TIME,
        "calc_time": TIME,
        "funding_interval_hours": pl.Int8(),
        "funding_rate": pl.Float64(),
        "mark_price": pl.Float64(),
        "source": SOURCES,
    }
)
"""Funding events: parsed, from the API, and merged. The key is `funding_time`, the
minute that an event was due; `calc_time` is as published, some ms later. A rate of
0.0001 is 0.01 % of a position. `funding_interval_hours` is null where only the API has
the event, and `mark_price` where only the archive has it."""

GAPS = pl.Schema(
    {
        "symbol": pl.String(),
        "last_open_time": TIME,
        "first_open_time": TIME,
        "missing_bars": pl.Int64(),
        "untraded_bars": pl.Int64(),
        "duration": pl.Duration("us"),
        "price_change": pl.Float64(),
        "split": pl.Boolean(),
    }
)
"""The gaps between traded bars; `first_open_time` is null for a delisted tail."""

SEGMENT_FILES = pl.Schema(
    {
        "name": pl.String(),
        "symbol": pl.String(),
        "segment": pl.Int16(),
        "first_open_time": TIME,
        "last_open_time": TIME,
    }
)
"""The split files: which file holds which segment, and its first and last bar."""
