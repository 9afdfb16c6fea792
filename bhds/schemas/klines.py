"""The columns and dtypes of klines at every stage, from parsed to resampled.

Prices are in quote currency. Volumes are in base currency, `quote_volume` in quote
currency; for COIN-M futures `volume` is in contracts and `base_volume` in base
coin. All times are UTC at microsecond resolution.
"""

import polars as pl

from bhds.core.events import EventRule
from bhds.core.markets import TradeType
from bhds.core.timegrid import TIME
from bhds.schemas.columns import SYMBOL as SYMBOL_COLUMN
from bhds.schemas.columns import TRADED, Column, TableSchema

SOURCES = pl.Enum(["daily", "monthly", "api"])
"""Where a parsed bar comes from."""

RESULT_SOURCES = pl.Enum(["daily", "monthly", "api", "filled"])
"""Where a result's bar comes from; `filled` bars were never published."""

OPEN_TIME = Column(
    "open_time",
    TIME,
    "The start of the bar; results and resampled bars lie on a "
    "regular grid, partitions hold what was published",
    unit="UTC",
)
OPEN = Column("open", pl.Float64(), "The first price of the bar", unit="quote currency")
HIGH = Column("high", pl.Float64(), "The highest price", unit="quote currency")
LOW = Column("low", pl.Float64(), "The lowest price", unit="quote currency")
CLOSE = Column(
    "close",
    pl.Float64(),
    "The last price; that of a filled bar is the close before",
    unit="quote currency",
)
VOLUME = Column(
    "volume", pl.Float64(), "Traded quantity; 0 in a filled bar", unit=TRADED
)
TRADE_COUNT = Column("trade_count", pl.Int64(), "Number of trades", unit="trades")
TAKER_BUY_VOLUME = Column(
    "taker_buy_volume",
    pl.Float64(),
    "The part of `volume` in which the buyer was the taker",
    unit=TRADED,
)
CLOSE_TIME = Column(
    "close_time",
    TIME,
    "The last moment of the bar, as published; earlier where trading stopped within it",
    unit="UTC",
)
SOURCE = Column(
    "source",
    SOURCES,
    "Where the row comes from: a `daily` or `monthly` zip, or the `api`",
)
_QUOTE_VOLUME = Column(
    "quote_volume", pl.Float64(), "Traded value", unit="quote currency"
)
_BASE_VOLUME = Column(
    "base_volume",
    pl.Float64(),
    "Traded value in coin; the exchange's files call it quote volume",
    unit="base currency",
)
_TAKER_BUY_QUOTE_VOLUME = Column(
    "taker_buy_quote_volume",
    pl.Float64(),
    "The part of `quote_volume` in which the buyer was the taker",
    unit="quote currency",
)
_TAKER_BUY_BASE_VOLUME = Column(
    "taker_buy_base_volume",
    pl.Float64(),
    "The part of `base_volume` in which the buyer was the taker",
    unit="base currency",
)
_VWAP = Column(
    "vwap",
    pl.Float64(),
    "Volume-weighted average price, within low and high; the open "
    "where there was no trade; null where `results.vwap` is off",
    unit="quote currency",
)
_SEGMENT = Column(
    "segment",
    pl.Int16(),
    "Number of the stretch between splitting gaps, from 0 in time order",
)
_FUNDING_RATE = Column(
    "funding_rate",
    pl.Float64(),
    "What longs paid to shorts, as a fraction of the position: 0.0001 is 0.01 %",
    unit="fraction",
)
_FUNDING_TIME = Column(
    "funding_time", TIME, "The minute that the event was due", unit="UTC"
)

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


def parsed_klines(trade_type: TradeType) -> TableSchema:
    """Return the columns of parsed and of API klines; the key is `open_time`."""
    return TableSchema(*bar_columns(trade_type), CLOSE_TIME, SOURCE)


def result_klines(trade_type: TradeType) -> TableSchema:
    """Return the columns of results; the key is `open_time`."""
    return TableSchema(
        *bar_columns(trade_type),
        _VWAP,
        _FUNDING_RATE.but(
            "The rate of the event in the bar, several summed; null without "
            "one, never 0"
        ),
        _SEGMENT,
        SOURCE.but(
            "Where the bar comes from: a `daily` or `monthly` zip, the `api`, "
            "or nowhere: a bar that was never published is `filled`",
            dtype=RESULT_SOURCES,
        ),
    )


def resampled_klines(trade_type: TradeType) -> TableSchema:
    """Return the columns of resampled bars; the key is `open_time`."""
    return TableSchema(
        *bar_columns(
            trade_type,
            OPEN.but(
                "The first price of the bar; of base bars without trades only "
                "where no other has one"
            ),
        ),
        _VWAP,
        Column(
            "first_vwap",
            pl.Float64(),
            "VWAP of the first base bar: what an order at the open would have got",
            unit="quote currency",
        ),
        _FUNDING_RATE.but(
            "The sum of the rates of the bar's events; null without one, never 0"
        ),
        Column("funding_count", pl.Int32(), "Funding events in the bar", unit="events"),
        _FUNDING_TIME.but(
            "When the first of the bar's funding events was due; null without one"
        ),
        Column(
            "filled_count",
            pl.Int32(),
            "Base bars that were never published",
            unit="bars",
        ),
        _SEGMENT,
    )


def bar_columns(trade_type: TradeType, first: Column = OPEN) -> tuple[Column, ...]:
    """Return what bars have at every stage."""
    is_cm = trade_type is TradeType.CM_FUTURES
    return (
        OPEN_TIME,
        first,
        HIGH,
        LOW,
        CLOSE,
        VOLUME,
        _BASE_VOLUME if is_cm else _QUOTE_VOLUME,
        TRADE_COUNT,
        TAKER_BUY_VOLUME,
        _TAKER_BUY_BASE_VOLUME if is_cm else _TAKER_BUY_QUOTE_VOLUME,
    )


RATE_TYPES = pl.Enum(["Regular", "Special"])
"""Why there is funding: `Special` stands for the dividend of a share."""

FUNDING = TableSchema(
    _FUNDING_TIME,
    Column(
        "calc_time",
        TIME,
        "The time of the event as published, some milliseconds later",
        unit="UTC",
    ),
    Column(
        "funding_interval_hours",
        pl.Int8(),
        "The time between events, then; null where only the API has the event",
        unit="hours",
    ),
    _FUNDING_RATE,
    Column(
        "rate_type",
        RATE_TYPES,
        "Why there is funding: Regular, or Special for the dividend of a "
        "share; null where only the archive has the event",
    ),
    Column(
        "mark_price",
        pl.Float64(),
        "The mark price of the event; null where only the archive has it",
        unit="quote currency",
    ),
    SOURCE,
)
"""Funding events: parsed, from the API, and merged. They are sorted by `funding_time`,
which several may share."""

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

SEGMENT_FILES = TableSchema(
    Column(
        "name",
        pl.String(),
        "Name of the file: `SP<n>_<symbol>`, and `<symbol>` of the last segment",
    ),
    SYMBOL_COLUMN,
    _SEGMENT,
    Column("first_open_time", TIME, "Start of the segment's first bar", unit="UTC"),
    Column("last_open_time", TIME, "Start of the segment's last bar", unit="UTC"),
)
"""The split files, each of one segment."""
