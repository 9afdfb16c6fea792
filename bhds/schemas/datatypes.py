"""The registry of what the archive publishes: one entry for each data type.

An entry says in which markets and at which frequencies a data type is published,
in which intervals and until when, what the columns of its files are, and what its
partitions hold. Planning, parsing and the documentation read it; a further data
type is a further entry (CONTRIBUTING.md, "Adding a data type").

Notes
-----
Columns and feeds are those of the README of binance/binance-public-data, of the
bucket's folders as listed on 2026-10-05, and of genuine files; the ends of feeds are
those of its issues #334, #337, #372, #380, #420 and #499.
"""

import datetime as dt
import difflib
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, StrEnum
from functools import cache, cached_property

import polars as pl

from bhds.core.errors import ConfigError
from bhds.core.events import EventRule
from bhds.core.markets import ARCHIVE_INTERVALS, Frequency, TradeType
from bhds.core.timegrid import TIME
from bhds.schemas import klines
from bhds.schemas.columns import TRADED, Column, TableSchema
from bhds.schemas.klines import parsed_klines, turnover_columns


class Form(StrEnum):
    """How a field of a CSV is written, and what it is read as."""

    WHOLE = "whole"
    """A whole number: Int64."""
    NUMBER = "number"
    """A finite number: Float64."""
    OPTIONAL_NUMBER = "optional number"
    """A finite number, or nothing (in quotes or not), which is null: Float64."""
    FLAG = "flag"
    """`true` or `false` in any case of letters: Boolean."""
    WORD = "word"
    """One of the field's words (Enum), or any where it has none (String)."""
    EPOCH = "epoch"
    """A time in ms or µs since 1970, UTC; its magnitude shows which: `TIME`."""
    CLOCK = "clock"
    """A time as `YYYY-MM-DD HH:MM:SS`, UTC: `TIME`."""
    SYMBOL = "symbol"
    """The symbol that the file is of: checked, and not kept."""
    UNUSED = "unused"
    """Anything: not looked at, and not kept."""


_DTYPES: dict[Form, pl.DataType] = {
    Form.WHOLE: pl.Int64(),
    Form.NUMBER: pl.Float64(),
    Form.OPTIONAL_NUMBER: pl.Float64(),
    Form.FLAG: pl.Boolean(),
    Form.WORD: pl.String(),
    Form.EPOCH: TIME,
    Form.CLOCK: TIME,
    Form.SYMBOL: pl.String(),
    Form.UNUSED: pl.String(),
}


@dataclass(frozen=True)
class Field:
    """One column of a CSV."""

    name: str
    """BHDS's name."""
    kind: Form
    headers: tuple[str, ...] = ()
    """The names that headers use, the usual one first; as a rule BHDS's."""
    words: tuple[str, ...] = ()
    """All that a `WORD` can be."""
    is_optional: bool = False
    """Whether a header may lack it, as CSVs without a header do; of a `WORD`: null
    where it is lacking, or says something else."""
    unit: str = ""
    """Of the column that the field becomes by itself."""
    meaning: str = ""

    @property
    def published(self) -> tuple[str, ...]:
        """The names that headers use."""
        return self.headers or (self.name,)

    @property
    def is_kept(self) -> bool:
        """Whether the field becomes a column; a header may lack it if not."""
        return self.kind not in {Form.SYMBOL, Form.UNUSED}

    @property
    def is_time(self) -> bool:
        """Whether the field is a time."""
        return self.kind in {Form.EPOCH, Form.CLOCK}

    @property
    def is_any_word(self) -> bool:
        """Whether the field may be any word."""
        return self.kind is Form.WORD and not self.words

    @property
    def dtype(self) -> pl.DataType:
        """What the field is read as."""
        return pl.Enum(self.words) if self.words else _DTYPES[self.kind]


Derive = Callable[[pl.DataFrame, TradeType], pl.DataFrame]
"""Makes columns that are not published from those that are, for rows of one market."""


@dataclass(frozen=True)
class Table:
    """What the CSVs of a data type hold in one market, and what they become."""

    fields: tuple[Field, ...]
    """In the order of a CSV without a header."""
    schema: TableSchema
    """The columns of partitions. `source` (the frequency of the zip) is added where
    the schema has it."""
    key: tuple[str, ...]
    """The columns that partitions are sorted by and, unless `events` is given, unique
    on; empty: rows have no key, are sorted by `time`, and of identical ones each second
    is a duplicate."""
    time: str
    """The column that shows the day of a row."""
    events: EventRule | None = None
    """How zips that have the same events are matched: in each of them, rows that share
    a key and are not identical are separate events."""
    derive: Derive | None = None
    spacing: dt.timedelta | None = None
    """The time between rows, where it is always the same; that of klines is their
    interval."""
    slack: dt.timedelta = dt.timedelta()
    """How far past the end of its period a file may reach, and before its begin."""
    hours: str | None = None
    """The column that shows how many hours lie between events."""
    is_steady: bool = False
    """Rows come at a steady pace: a day has about as many as those around it."""
    consecutive: bool = False
    """The key counts up without holes: holes are counted."""
    trade_ids: tuple[str, str] | None = None
    """The columns of the first and the last id of the trades in a row: ids that lie in
    no row are counted."""
    is_large: bool = False
    """Files may be gigabytes: they are parsed piece by piece, in bounded memory."""

    @cached_property
    def published_time(self) -> Field:
        """The field that has to lie in the period of its file: the first time."""
        return next(field for field in self.fields if field.is_time)


@dataclass(frozen=True)
class Feed:
    """The files that a market publishes of a data type at one frequency."""

    trade_type: TradeType
    frequency: Frequency
    intervals: tuple[str, ...] | None = None
    """The intervals, each in a folder of its own; None: there are no such folders."""
    last_day: dt.date | None = None
    """The last UTC day that was ever published; None: the feed goes on."""


class PartitionSize(Enum):
    """How much time a partition covers; the value formats a day as its name."""

    YEAR = "%Y"
    MONTH = "%Y-%m"

    def first_day(self, day: dt.date) -> dt.date:
        """Return the first day of the partition that a day belongs to."""
        return day.replace(day=1, month=1 if self is self.YEAR else day.month)

    def last_day(self, day: dt.date) -> dt.date:
        """Return the last day of the partition that a day belongs to."""
        following = self.first_day(day) + dt.timedelta(
            days=366 if self is self.YEAR else 31
        )
        return self.first_day(following) - dt.timedelta(days=1)


@dataclass(frozen=True)
class DataType:
    """One data type."""

    name: str
    """The name of its folder in the bucket."""
    feeds: tuple[Feed, ...]
    """Of each market, the monthly feed before the daily one."""
    table: Callable[[TradeType], Table] | None = None
    """What a market's files hold; None: they are downloaded and verified only."""
    row: str = ""
    """What a row is, for the documentation; empty without `table`."""
    partition: PartitionSize = PartitionSize.YEAR
    """How much time a partition covers; a month at least for bars of 1s."""
    has_api: bool = False
    """Whether the REST API has its history too, and may be queried to fill holes. Only
    of bars and of funding: the requests of others would have to be written first."""
    revision: int = 4
    """Raise by one when the same zips must yield a different partition."""

    def __post_init__(self) -> None:
        """Raise ConfigError if rows are to come from an API that is not requested."""
        if self.has_api and not self.has_intervals and self.name != FUNDING:
            msg = (
                f"data type {self.name!r}: has_api is true, but backfill requests only "
                f"bars and {FUNDING}; remove it, or write the requests "
                "(CONTRIBUTING.md, 'Adding a data type')"
            )
            raise ConfigError(msg)

    @property
    def has_intervals(self) -> bool:
        """Whether the rows are bars, of one interval in each folder."""
        return self.feeds[0].intervals is not None

    @property
    def trade_types(self) -> tuple[TradeType, ...]:
        """The markets that have or had files of this type."""
        return tuple(dict.fromkeys(feed.trade_type for feed in self.feeds))

    def feeds_of(self, trade_type: TradeType, interval: str | None) -> tuple[Feed, ...]:
        """Return the feeds of one market and interval (None: of no interval)."""
        return tuple(
            feed
            for feed in self.feeds
            if feed.trade_type == trade_type
            and (
                interval is None
                if feed.intervals is None
                else interval in feed.intervals
            )
        )

    def intervals_of(self, trade_type: TradeType) -> tuple[str, ...]:
        """Return the intervals of one market at any frequency, the shortest first."""
        found = {
            interval
            for feed in self.feeds
            if feed.trade_type == trade_type
            for interval in feed.intervals or ()
        }
        return tuple(name for name in ARCHIVE_INTERVALS if name in found)

    def partition_size(self, interval: str | None) -> PartitionSize:
        """Return how much time a partition covers."""
        return PartitionSize.MONTH if interval == "1s" else self.partition


FUNDING = "fundingRate"
"""The data type whose events are joined into results."""

_SPOT, _UM, _CM = TradeType.SPOT, TradeType.UM_FUTURES, TradeType.CM_FUTURES
_DAILY, _MONTHLY = Frequency.DAILY, Frequency.MONTHLY
_FROM_1M = tuple(name for name in ARCHIVE_INTERVALS if name != "1s")
_UP_TO_1D = tuple(n for n in ARCHIVE_INTERVALS if n not in {"3d", "1w", "1mo"})


def _schema(*columns: Column, fields: tuple[Field, ...]) -> TableSchema:
    """Return columns, and those that fields become by themselves."""
    return TableSchema(
        *columns,
        *(Column(f.name, f.dtype, f.meaning, unit=f.unit) for f in fields if f.is_kept),
    )


def _bar_fields(
    volume: str, turnover: str, trades: str, bought: str, bought_turnover: str
) -> tuple[Field, ...]:
    """Return the 12 columns of bars; those named `ignore...` are not kept.

    Notes
    -----
    Headers use the first name or, in files that other projects kept, the second,
    which is the REST documentation's. `ignore` is 0 in the archive.
    """

    def amount(name: str, kind: Form, *headers: str) -> Field:
        return Field(name, Form.UNUSED if name.startswith("ignore") else kind, headers)

    return (
        Field("open_time", Form.EPOCH),
        Field("open", Form.NUMBER),
        Field("high", Form.NUMBER),
        Field("low", Form.NUMBER),
        Field("close", Form.NUMBER),
        amount(volume, Form.NUMBER, "volume"),
        Field("close_time", Form.EPOCH),
        amount(turnover, Form.NUMBER, "quote_volume", "quote_asset_volume"),
        amount(trades, Form.WHOLE, "count", "number_of_trades"),
        amount(bought, Form.NUMBER, "taker_buy_volume", "taker_buy_base_asset_volume"),
        amount(
            bought_turnover,
            Form.NUMBER,
            "taker_buy_quote_volume",
            "taker_buy_quote_asset_volume",
        ),
        Field("ignore", Form.UNUSED),
    )


@cache
def _klines(trade_type: TradeType) -> Table:
    """Describe klines; COIN-M's "quote" volumes are base coin (issues #168, #267)."""
    turnover, bought_turnover = turnover_columns(trade_type)
    return Table(
        fields=_bar_fields(
            "volume", turnover, "trade_count", "taker_buy_volume", bought_turnover
        ),
        schema=parsed_klines(trade_type),
        key=("open_time",),
        time="open_time",
    )


_PRICES = (klines.OPEN, klines.HIGH, klines.LOW, klines.CLOSE)
_PREMIUMS = tuple(
    price.but(f"The {which} premium{of_bar}", unit="fraction")
    for price, which, of_bar in zip(
        _PRICES,
        ("first", "highest", "lowest", "last"),
        (" of the bar", "", "", ""),
        strict=True,
    )
)


def _bars_of(prices: tuple[Column, ...]) -> Table:
    """Describe bars of a mark price, an index or a premium, which is not traded."""
    return Table(
        fields=_bar_fields(*(f"ignore_{number}" for number in range(1, 6))),
        schema=TableSchema(klines.OPEN_TIME, *prices, klines.CLOSE_TIME, klines.SOURCE),
        key=("open_time",),
        time="open_time",
    )


@cache
def _price_klines(_: TradeType) -> Table:
    return _bars_of(_PRICES)


@cache
def _premium_klines(_: TradeType) -> Table:
    return _bars_of(_PREMIUMS)


def _funding_columns(rows: pl.DataFrame, _: TradeType) -> pl.DataFrame:
    """Add the minute that an event was due (published with up to 20 ms of jitter)."""
    return rows.with_columns(
        funding_time=pl.col("calc_time").dt.round("1m"),
        mark_price=pl.lit(None, pl.Float64),
    )


@cache
def _funding_rate(_: TradeType) -> Table:
    return Table(
        fields=(
            Field("calc_time", Form.EPOCH),
            Field("funding_interval_hours", Form.WHOLE),
            Field("funding_rate", Form.NUMBER, ("last_funding_rate",)),
            Field(
                "rate_type",
                Form.WORD,
                ("rate_type", "rateType"),
                words=tuple(klines.RATE_TYPES.categories),
                is_optional=True,
            ),
        ),
        schema=klines.FUNDING,
        key=("funding_time",),
        events=klines.FUNDING_EVENTS,
        time="funding_time",
        derive=_funding_columns,
        hours="funding_interval_hours",
    )


@cache
def _liquidations(_: TradeType) -> Table:
    fields = (
        Field("time", Form.EPOCH, unit="UTC", meaning="The time of the order"),
        Field(
            "side",
            Form.WORD,
            words=("BUY", "SELL"),
            meaning="Side of the order that liquidated: `SELL` closes a long position",
        ),
        Field("order_type", Form.WORD, meaning="Type of the order, as published"),
        Field(
            "time_in_force",
            Form.WORD,
            meaning="How long the order was to stand, as published",
        ),
        Field(
            "original_quantity",
            Form.NUMBER,
            unit=TRADED,
            meaning="Quantity of the order",
        ),
        Field(
            "price", Form.NUMBER, unit="quote currency", meaning="Price of the order"
        ),
        Field(
            "average_price",
            Form.NUMBER,
            unit="quote currency",
            meaning="Average price at which it was filled",
        ),
        Field("order_status", Form.WORD, meaning="State of the order, as published"),
        Field(
            "last_fill_quantity",
            Form.NUMBER,
            unit=TRADED,
            meaning="Quantity of its last fill",
        ),
        Field(
            "accumulated_fill_quantity",
            Form.NUMBER,
            unit=TRADED,
            meaning="Quantity of all its fills",
        ),
    )
    return Table(fields=fields, schema=_schema(fields=fields), key=(), time="time")


_FIVE_MINUTES = dt.timedelta(minutes=5)
_METRICS_RELABELLED = dt.date(2026, 6, 25)
"""The first UTC day whose um files have the new labels."""


def _metrics_columns(rows: pl.DataFrame, trade_type: TradeType) -> pl.DataFrame:
    """Add the start of the period that a label stands for.

    Notes
    -----
    um labels said when a period ended until 2026-06-25 00:00, and say when it began
    since; cm labels always did (binance/binance-public-data#491). The file of
    2026-06-24 ends with the label of 00:00 and that of 2026-06-25 begins with it:
    which one it is, the file's own day shows (`file_day`). Labels are up to 4 s late
    in genuine files of 2024, and never early.
    """
    label = pl.col("raw_create_time").dt.truncate("5m")
    if trade_type is TradeType.CM_FUTURES:
        return rows.with_columns(create_time=label)
    ends = pl.col("file_day") < _METRICS_RELABELLED
    start = pl.when(ends).then(label - _FIVE_MINUTES).otherwise(label)
    return rows.with_columns(create_time=start)


@cache
def _metrics(_: TradeType) -> Table:
    fields = (
        Field(
            "raw_create_time",
            Form.CLOCK,
            ("create_time",),
            unit="UTC",
            meaning="The label as published",
        ),
        Field("symbol", Form.SYMBOL),
        Field(
            "sum_open_interest",
            Form.OPTIONAL_NUMBER,
            unit=TRADED,
            meaning="Open interest; null where it was left blank",
        ),
        Field(
            "sum_open_interest_value",
            Form.OPTIONAL_NUMBER,
            unit="quote currency (COIN-M: base currency)",
            meaning="Value of the open interest; null where it was left blank",
        ),
        Field(
            "count_toptrader_long_short_ratio",
            Form.OPTIONAL_NUMBER,
            unit="ratio",
            meaning="Accounts of top traders that are long to those that are "
            "short; null where it was left blank",
        ),
        Field(
            "sum_toptrader_long_short_ratio",
            Form.OPTIONAL_NUMBER,
            unit="ratio",
            meaning="Positions of top traders that are long to those that are "
            "short; null where it was left blank",
        ),
        Field(
            "count_long_short_ratio",
            Form.OPTIONAL_NUMBER,
            unit="ratio",
            meaning="Accounts that are long to those that are short; null where "
            "it was left blank",
        ),
        Field(
            "sum_taker_long_short_vol_ratio",
            Form.OPTIONAL_NUMBER,
            unit="ratio",
            meaning="Volume that takers bought to that which they sold; null "
            "where it was left blank",
        ),
    )
    return Table(
        fields=fields,
        schema=_schema(
            Column("create_time", TIME, "The start of the five minutes", unit="UTC"),
            fields=fields,
        ),
        key=("create_time",),
        time="create_time",
        derive=_metrics_columns,
        spacing=_FIVE_MINUTES,
        slack=_FIVE_MINUTES,
    )


def _best_match(trade_type: TradeType) -> tuple[Field, ...]:
    return (
        (
            Field(
                "is_best_match",
                Form.FLAG,
                meaning="Whether it was at the best price, as published",
            ),
        )
        if trade_type is _SPOT
        else ()
    )


@cache
def _agg_trades(trade_type: TradeType) -> Table:
    fields = (
        Field(
            "agg_trade_id",
            Form.WHOLE,
            meaning="Number of the aggregate; it counts up without holes",
        ),
        Field(
            "price", Form.NUMBER, unit="quote currency", meaning="Price of the trade"
        ),
        Field("quantity", Form.NUMBER, unit=TRADED, meaning="Traded quantity"),
        Field(
            "first_trade_id", Form.WHOLE, meaning="Number of the first of its trades"
        ),
        Field("last_trade_id", Form.WHOLE, meaning="Number of the last of its trades"),
        Field(
            "time",
            Form.EPOCH,
            ("transact_time",),
            unit="UTC",
            meaning="The time of the trade",
        ),
        Field(
            "is_buyer_maker",
            Form.FLAG,
            meaning="Whether the buyer was the maker, that is, a seller took",
        ),
        *_best_match(trade_type),
    )
    return Table(
        fields=fields,
        schema=_schema(fields=fields),
        key=("agg_trade_id",),
        # Without a round for all: trades of one id with other trade ids are others.
        events=EventRule(
            (
                ("first_trade_id", "last_trade_id"),
                ("first_trade_id",),
                ("last_trade_id",),
            )
        ),
        time="time",
        consecutive=True,
        trade_ids=("first_trade_id", "last_trade_id"),
        is_large=True,
    )


@cache
def _trades(trade_type: TradeType) -> Table:
    is_cm = trade_type is _CM
    fields = (
        Field(
            "id", Form.WHOLE, meaning="Number of the trade; it counts up without holes"
        ),
        Field(
            "price", Form.NUMBER, unit="quote currency", meaning="Price of the trade"
        ),
        Field(
            "quantity", Form.NUMBER, ("qty",), unit=TRADED, meaning="Traded quantity"
        ),
        Field(
            "base_quantity",
            Form.NUMBER,
            ("base_qty",),
            unit="base currency",
            meaning="Traded value in coin",
        )
        if is_cm
        else Field(
            "quote_quantity",
            Form.NUMBER,
            ("quote_qty",),
            unit="quote currency",
            meaning="Traded value",
        ),
        Field("time", Form.EPOCH, unit="UTC", meaning="The time of the trade"),
        Field(
            "is_buyer_maker",
            Form.FLAG,
            meaning="Whether the buyer was the maker, that is, a seller took",
        ),
        *_best_match(trade_type),
    )
    return Table(
        fields=fields,
        schema=_schema(fields=fields),
        key=("id",),
        events=EventRule((("time", "price", "quantity"), ())),
        time="time",
        consecutive=True,
        is_large=True,
    )


_MINUTE = dt.timedelta(minutes=1)


@cache
def _book_depth(_: TradeType) -> Table:
    """Describe the depth at some percentages of the price, every 30 s or so."""
    fields = (
        Field(
            "timestamp", Form.CLOCK, unit="UTC", meaning="The moment of the snapshot"
        ),
        Field(
            "percentage",
            Form.NUMBER,
            unit="%",
            meaning="Distance from the price up to which orders count; below 0: "
            "bids, above: asks",
        ),
        Field("depth", Form.NUMBER, unit=TRADED, meaning="Quantity of these orders"),
        Field(
            "notional",
            Form.NUMBER,
            unit="quote currency (COIN-M: base currency)",
            meaning="Value of these orders",
        ),
    )
    return Table(
        fields=fields,
        schema=_schema(fields=fields),
        key=("timestamp", "percentage"),
        time="timestamp",
        slack=_MINUTE,
        is_steady=True,
        is_large=True,
    )


@cache
def _book_ticker(_: TradeType) -> Table:
    """Describe the best bid and ask, each time one of them changes."""
    fields = (
        Field("update_id", Form.WHOLE, meaning="Number of the change; it counts up"),
        Field("best_bid_price", Form.NUMBER, unit="quote currency", meaning="Best bid"),
        Field(
            "best_bid_qty", Form.NUMBER, unit=TRADED, meaning="Quantity at the best bid"
        ),
        Field("best_ask_price", Form.NUMBER, unit="quote currency", meaning="Best ask"),
        Field(
            "best_ask_qty", Form.NUMBER, unit=TRADED, meaning="Quantity at the best ask"
        ),
        Field(
            "transaction_time", Form.EPOCH, unit="UTC", meaning="When the book changed"
        ),
        Field("event_time", Form.EPOCH, unit="UTC", meaning="When the change was sent"),
    )
    return Table(
        fields=fields,
        schema=_schema(fields=fields),
        key=("update_id",),
        time="transaction_time",
        slack=_MINUTE,
        is_large=True,
    )


def _both(*trade_types: TradeType) -> tuple[Feed, ...]:
    """Return the monthly and the daily feed of each of some markets."""
    return tuple(
        Feed(trade_type, frequency)
        for trade_type in trade_types
        for frequency in (_MONTHLY, _DAILY)
    )


def _futures_bars() -> tuple[Feed, ...]:
    return tuple(
        Feed(feed.trade_type, feed.frequency, _FROM_1M) for feed in _both(_UM, _CM)
    )


DATA_TYPES = {
    entry.name: entry
    for entry in (
        DataType(
            "klines",
            feeds=(
                Feed(_SPOT, _MONTHLY, ARCHIVE_INTERVALS),
                Feed(_SPOT, _DAILY, _UP_TO_1D),
                *_futures_bars(),
            ),
            table=_klines,
            row="a bar as published",
            has_api=True,
            revision=4,
        ),
        *(
            DataType(
                name,
                feeds=_futures_bars(),
                table=table,
                row=f"a bar of the {price}",
                has_api=True,
                revision=5,
            )
            for name, table, price in (
                ("markPriceKlines", _price_klines, "mark price"),
                ("indexPriceKlines", _price_klines, "price index"),
                ("premiumIndexKlines", _premium_klines, "premium index"),
            )
        ),
        DataType(
            FUNDING,
            feeds=(Feed(_UM, _MONTHLY), Feed(_CM, _MONTHLY)),
            table=_funding_rate,
            row="a funding event",
            has_api=True,
        ),
        DataType(
            "liquidationSnapshot",
            feeds=(
                Feed(_UM, _DAILY, last_day=dt.date(2024, 3, 31)),
                Feed(_CM, _DAILY, last_day=dt.date(2024, 10, 14)),
            ),
            table=_liquidations,
            row="a liquidation order",
        ),
        DataType(
            "metrics",
            feeds=(Feed(_UM, _DAILY), Feed(_CM, _DAILY)),
            table=_metrics,
            row="five minutes of a contract",
        ),
        DataType(
            "aggTrades",
            feeds=_both(_SPOT, _UM, _CM),
            table=_agg_trades,
            row="trades of one taker order at one price",
            partition=PartitionSize.MONTH,
        ),
        DataType(
            "trades",
            feeds=_both(_SPOT, _UM, _CM),
            table=_trades,
            row="a trade",
            partition=PartitionSize.MONTH,
        ),
        DataType(
            "bookDepth",
            feeds=(Feed(_UM, _DAILY), Feed(_CM, _DAILY)),
            table=_book_depth,
            row="the depth of the book up to a distance from the price, at a moment",
            partition=PartitionSize.MONTH,
        ),
        DataType(
            "bookTicker",
            feeds=(
                Feed(_UM, _MONTHLY, last_day=dt.date(2024, 3, 30)),
                Feed(_UM, _DAILY, last_day=dt.date(2024, 3, 30)),
                Feed(_CM, _MONTHLY, last_day=dt.date(2024, 10, 14)),
                Feed(_CM, _DAILY, last_day=dt.date(2024, 10, 14)),
            ),
            table=_book_ticker,
            row="a change of the best bid or ask",
            partition=PartitionSize.MONTH,
            revision=4,
        ),
        DataType("BVOLIndex", feeds=(Feed(TradeType.OPTION, _DAILY),)),
        DataType(
            "EOHSummary",
            feeds=(Feed(TradeType.OPTION, _DAILY, last_day=dt.date(2023, 10, 23)),),
        ),
    )
}
"""All data types by name."""

BAR_TYPES = tuple(name for name, entry in DATA_TYPES.items() if entry.has_intervals)
"""Those whose symbol folders hold one folder for each interval."""

RECORD_TYPES = tuple(name for name in DATA_TYPES if name not in BAR_TYPES)
"""Those whose symbol folders hold the files."""


def data_type(name: str) -> DataType:
    """Return the entry of a data type.

    Raises
    ------
    ConfigError
        If there is none of that name.
    """
    if name not in DATA_TYPES:
        near = difflib.get_close_matches(name, DATA_TYPES, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}? " if near else ""
        msg = f"data type {name!r}: {hint}expected one of {', '.join(DATA_TYPES)}"
        raise ConfigError(msg)
    return DATA_TYPES[name]
