"""Bars: klines, and those of mark price, price index and premium index."""

from functools import cache

from bhds.core.markets import ARCHIVE_INTERVALS, TradeType
from bhds.schemas import klines
from bhds.schemas.columns import Column, TableSchema
from bhds.schemas.csv_table import Field, Form, Table
from bhds.schemas.datatypes.entry import (
    CM,
    DAILY,
    MONTHLY,
    SPOT,
    UM,
    DataType,
    Feed,
    both,
)
from bhds.schemas.klines import parsed_klines, turnover_columns

_FROM_1M = tuple(name for name in ARCHIVE_INTERVALS if name != "1s")
_UP_TO_1D = tuple(n for n in ARCHIVE_INTERVALS if n not in {"3d", "1w", "1mo"})


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


_FUTURES = tuple(
    Feed(feed.trade_type, feed.frequency, _FROM_1M) for feed in both(UM, CM)
)


DATA_TYPES = (
    DataType(
        "klines",
        feeds=(
            Feed(SPOT, MONTHLY, ARCHIVE_INTERVALS),
            Feed(SPOT, DAILY, _UP_TO_1D),
            *_FUTURES,
        ),
        table=_klines,
        row="a bar as published",
        has_api=True,
        revision=4,
    ),
    *(
        DataType(
            name,
            feeds=_FUTURES,
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
)
