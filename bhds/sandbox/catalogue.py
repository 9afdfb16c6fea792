"""The symbols as the API presents them: exchangeInfo and fundingInfo.

Notes
-----
Keys as in answers recorded from the real exchange (spot 2021-03, um 2026-07) and, for
cm, as in the COIN-M documentation, "Exchange Information". Only what trades at
present is shown, except that spot keeps delisted symbols with the status `BREAK`.
"""

import datetime as dt
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from bhds.core.markets import TradeType
from bhds.sandbox.limits import Budget
from bhds.sandbox.timegrid import to_ms
from bhds.sandbox.universe import SPOT_DECIMALS, Symbol

_NEVER = dt.datetime(2100, 12, 25, 8, tzinfo=dt.UTC)
"""The delivery date of contracts that are not delivered."""
_USUAL_FUNDING_HOURS = 8


def exchange_info(
    market: TradeType, symbols: Iterable[Symbol], *, now: dt.datetime, budget: Budget
) -> dict[str, Any]:
    """Return the response of `exchangeInfo` at `now`, with the `budget`."""
    minutes, odd_seconds = divmod(budget.window_s, 60)
    answer = {
        "timezone": "UTC",
        "serverTime": to_ms(now),
        "rateLimits": [
            {
                "rateLimitType": "REQUEST_WEIGHT",
                "interval": "SECOND" if odd_seconds else "MINUTE",
                "intervalNum": budget.window_s if odd_seconds else minutes,
                "limit": budget.weight,
            }
        ],
        "exchangeFilters": [],
    }
    if market is TradeType.SPOT:
        known = [symbol for symbol in symbols if symbol.listed <= now]
        return answer | {"symbols": [_spot_symbol(each, now=now) for each in known]}
    listed = [symbol for symbol in symbols if symbol.is_listed(now)]
    return answer | {"symbols": [_contract(each) for each in listed]}


def funding_info(
    symbols: Iterable[Symbol], *, now: dt.datetime
) -> list[dict[str, Any]]:
    """Return the answer of `fundingInfo`: perpetuals whose terms are not the usual."""
    return [
        {
            "symbol": symbol.name,
            "adjustedFundingRateCap": "0.02000000",
            "adjustedFundingRateFloor": "-0.02000000",
            "fundingIntervalHours": symbol.funding_interval_hours,
            "disclaimer": False,
            "updateTime": to_ms(symbol.listed),
        }
        for symbol in symbols
        if symbol.is_perpetual
        and symbol.is_listed(now)
        and symbol.funding_interval_hours != _USUAL_FUNDING_HOURS
    ]


def _spot_symbol(symbol: Symbol, *, now: dt.datetime) -> dict[str, Any]:
    return {
        "symbol": symbol.name,
        "status": "TRADING" if symbol.is_listed(now) else "BREAK",
        "baseAsset": symbol.base_asset,
        "baseAssetPrecision": SPOT_DECIMALS,
        "quoteAsset": symbol.quote_asset,
        "quotePrecision": SPOT_DECIMALS,
        "quoteAssetPrecision": SPOT_DECIMALS,
        "orderTypes": ["LIMIT", "MARKET"],
        "isSpotTradingAllowed": symbol.is_listed(now),
        "filters": _filters(symbol, decimals=SPOT_DECIMALS),
        "permissions": ["SPOT"],
    }


def _contract(symbol: Symbol) -> dict[str, Any]:
    is_cm = symbol.market is TradeType.CM_FUTURES
    is_tradifi = symbol.contract_type == "TRADIFI_PERPETUAL"
    delivered = symbol.delisted if not symbol.is_perpetual else None
    answer = {
        "symbol": symbol.name,
        "pair": symbol.pair,
        "contractType": symbol.contract_type,
        "deliveryDate": to_ms(delivered or _NEVER),
        "onboardDate": to_ms(symbol.listed),
        "contractStatus" if is_cm else "status": "TRADING",
        "baseAsset": symbol.base_asset,
        "quoteAsset": symbol.quote_asset,
        "marginAsset": symbol.base_asset if is_cm else symbol.quote_asset,
        "pricePrecision": symbol.price_decimals,
        "quantityPrecision": symbol.quantity_decimals,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COMMODITY" if is_tradifi else "COIN",
        "underlyingSubType": [],
        "filters": _filters(symbol),
        "orderTypes": ["LIMIT", "MARKET"],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
    }
    return answer | ({"contractSize": symbol.contract_size} if is_cm else {})


def _filters(symbol: Symbol, *, decimals: int | None = None) -> list[dict[str, str]]:
    """Return the steps of price and quantity, with `decimals` or just those needed."""
    tick, step = symbol.tick, Decimal(1).scaleb(-symbol.quantity_decimals)
    shown = [
        f"{value:.{decimals}f}" if decimals else f"{value:f}" for value in (tick, step)
    ]
    return [
        {"filterType": "PRICE_FILTER", "tickSize": shown[0]},
        {"filterType": "LOT_SIZE", "stepSize": shown[1]},
    ]
