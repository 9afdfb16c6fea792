"""The columns and dtypes of klines at every stage, from parsed to resampled.

Prices are in quote currency. Volumes are in base currency, `quote_volume` in quote
currency; for COIN-M futures `volume` is in contracts and `base_volume` in base
coin. All times are UTC at microsecond resolution.
"""

import polars as pl

from bhds.core.events import EventRule
from bhds.core.markets import TradeType
from bhds.core.timegrid import TIME

SOURCES = pl.Enum(["daily", "monthly", "api"])
"""Where a parsed bar comes from."""

RESULT_SOURCES = pl.Enum(["daily", "monthly", "api", "filled"])
"""Where a result's bar comes from; `filled` bars were never published."""

SYMBOL = "symbol"
"""The first column of every table that holds the rows of one symbol: constant."""


def with_symbol(rows: pl.Schema) -> pl.Schema:
    """Return the columns of a file of one symbol that has such rows."""
    return pl.Schema({SYMBOL: pl.String()} | dict(rows))


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

    `vwap` is null where it was not requested; `funding_rate` is the sum of the funding
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
    bar's funding events and null without one, `funding_count` their number, and
    `funding_time` that of the first; `filled_count` is the number of base bars that
    were never published.
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


RATE_TYPES = pl.Enum(["Regular", "Special"])
"""Why there is funding: `Special` stands for the dividend of a share."""

FUNDING = pl.Schema(
    {
        "funding_time": TIME,
        "calc_time": TIME,
        "funding_interval_hours": pl.Int8(),
        "funding_rate": pl.Float64(),
        "rate_type": RATE_TYPES,
        "mark_price": pl.Float64(),
        "source": SOURCES,
    }
)
"""Funding events: parsed, from the API, and merged. They are sorted by `funding_time`,
the minute that an event was due, which several may share; `calc_time` is as published,
some ms later. A rate of 0.0001 is 0.01 % of a position. `funding_interval_hours` is
null where only the API has the event, and `mark_price` and `rate_type` where only the
archive has it."""

FUNDING_EVENTS = EventRule(
    (
        ("calc_time", "funding_rate"),
        ("calc_time",),
        ("funding_rate",),
        ("rate_type",),
        (),
    ),
    kind="rate_type",
)
"""How the events of one `funding_time` are matched that several sources have."""

API_ANSWERS = pl.Enum(["not_asked", "unanswered", "pending", "refused", "empty"])
"""Why bars are missing from the API, in this order: they were not requested; it did
not answer; it cannot know them yet; it refused the symbol; it has none."""

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
        "trimmed": pl.Boolean(),
    }
)
"""The gaps between traded bars. `first_open_time` is null where the symbol has not
traded since; `trimmed` if it has ended, so that its bars since are left out, or was not
listed for some time within."""

GAP_EVIDENCE = pl.Schema(
    GAPS
    | {
        "empty_days": pl.Int32(),
        "absent_days": pl.Int32(),
        "first_absent_day": pl.Date(),
        "truncated": pl.Boolean(),
        "api": API_ANSWERS,
    }
)
"""Gaps, with what archive and API say of them. `empty_days` are the whole UTC days
within the gap; `absent_days` those that the gap touches of which the archive has no
usable file, and `first_absent_day` the first of these; `truncated`: a file ends where
the gap begins, and no usable file follows within it."""

GAP_CLASSES = pl.Enum(
    [
        "outage",
        "missing_file",
        "truncated",
        "halt",
        "relisting",
        "not_published",
        "delisted_tail",
    ]
)
"""Why a symbol did not trade; `bhds.quality.gap_classes.classify` says how each is
distinguished from the others."""

CLASSIFIED_GAPS = pl.Schema(
    GAP_EVIDENCE
    | {
        "alive": pl.Int32(),
        "silent": pl.Int32(),
        "outage": TIME,
        "class": GAP_CLASSES,
    }
)
"""The gaps of all symbols. Of the other symbols, `alive` counts those that traded
before the gap and after it, and `silent` those of them that have a gap at the same
time; `outage` is the start of the known outage that the gap lies in, else null."""


def conflicts(trade_type: TradeType) -> pl.Schema:
    """Return the columns of the bars that were published twice with other values.

    `source` is that of the bar that was dropped and `key` its zip, null where it came
    from the API; what was kept in its place stands beside it as `kept_<column>`. A
    bar may be kept here and lose to another source in a further row.
    """
    columns = {"source": SOURCES, "key": pl.String()} | _bar_columns(trade_type)
    columns = {n: dtype for n, dtype in columns.items() if n != "open_time"}
    return pl.Schema(
        {"symbol": pl.String(), "open_time": TIME}
        | columns
        | {f"kept_{name}": dtype for name, dtype in columns.items()}
    )


DAYS = pl.Schema(
    {
        "symbol": pl.String(),
        "day": pl.Date(),
        "expected": pl.Int32(),
        "daily": pl.Int32(),
        "monthly": pl.Int32(),
        "api": pl.Int32(),
        "filled": pl.Int32(),
        "volume": pl.Float64(),
        "conflicts": pl.Int32(),
        "impossible": pl.Int32(),
        "off_grid": pl.Int32(),
        "frozen": pl.Int32(),
        "missing_ids": pl.Int64(),
        "missing_trade_ids": pl.Int64(),
        "has_file": pl.Boolean(),
        "is_corrupt": pl.Boolean(),
        "api_answer": API_ANSWERS,
    }
)
"""The rows of each UTC day of a symbol, from its first to the last that is wanted, by
source. `expected` is how many there should be, null where that is not known; `volume`
is what the bars' volumes or the trades' quantities add up to, null of other rows;
`impossible` counts the rows whose values cannot be, `off_grid` the bars of 5m and more
that open over a minute off the grid, `frozen` the rows of bands of bookDepth that did
not move for hours, `missing_ids` the ids that the rows skip and `missing_trade_ids`
the trades that aggTrades skip, all 0 where there are none; `has_file`: the archive
has a file of the day that can be used, `is_corrupt`: it has only such as cannot;
`api_answer`: what the API says of the requested rows that it does not have,
null where none."""

DAY_FAULTS = ("impossible", "off_grid", "frozen", "missing_ids")
"""The counts of `DAYS` of which each makes its day `degraded`."""

CONDITIONS = pl.Enum(["available", "degraded", "missing", "pending", "not_listed"])

CONDITION = pl.Schema(
    DAYS
    | {
        "not_reconciled": pl.Int32(),
        "condition": CONDITIONS,
        "reason": pl.String(),
        "last_modified": TIME,
    }
)
"""The condition of each day; `not_reconciled` counts the resampled bars of the exchange
that differ from the day's, `last_modified` is when the server last changed a zip of the
day, null without one."""

NOT_RECONCILED = pl.Schema(
    {
        "symbol": pl.String(),
        "day": pl.Date(),
        "interval": pl.String(),
        "open_time": TIME,
    }
)
"""The days that differ from resampled bars that the exchange published: the bar's
`interval` and `open_time`, once for each day that it speaks against."""

AGREEMENT = pl.Schema(
    {
        "symbol": pl.String(),
        "interval": pl.String(),
        "column": pl.String(),
        "compared": pl.Int64(),
        "equal": pl.Int64(),
        "off_grid": pl.Int64(),
        "worst": pl.Float64(),
        "worst_time": TIME,
    }
)
"""How bars made from shorter ones agree with those of `interval` that the exchange
published: by `column`, how many bars were `compared`, how many are `equal`, the largest
absolute difference and the bar that has it (null where all are the same). `off_grid`
counts the bars that were not compared, because a day of theirs has shorter bars far off
the grid."""

VOLUME_CHECKS = pl.Schema(
    {
        "symbol": pl.String(),
        "day": pl.Date(),
        "compared_with": pl.Enum(["trades", "aggTrades"]),
        "trades_quantity": pl.Float64(),
        "bars_volume": pl.Float64(),
        "difference": pl.Float64(),
        "missing_trade_ids": pl.Int64(),
        "agrees": pl.Boolean(),
    }
)
"""What the trades of each UTC day add up to, and the volume of its bars, both in base
currency or, of COIN-M, in contracts: single trades where the day has them, else
aggTrades. `difference` is the former less the latter, and `agrees` shows whether it is
no more than adding up may cost; null where aggTrades skip `missing_trade_ids` and have
less than the bars, so that nothing can be concluded: not all trades are aggregated."""

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
