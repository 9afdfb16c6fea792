"""The volume-weighted average price of bars."""

import polars as pl

from bhds.core.markets import TradeType
from bhds.schemas.klines import turnover_columns

_CONTRACT_SIZES_USD = {"BTCUSD": 100.0}
_OTHER_CONTRACT_SIZE_USD = 10.0


def contract_size(symbol: str) -> float:
    """Return what one contract of a COIN-M future is worth, in USD.

    Notes
    -----
    BTC contracts are worth 100 USD, all others 10 USD (Binance, "COIN-M Futures
    Contract Specifications"; `contractSize` in `GET /dapi/v1/exchangeInfo`).
    """
    pair = symbol.partition("_")[0]
    return _CONTRACT_SIZES_USD.get(pair, _OTHER_CONTRACT_SIZE_USD)


def vwap(
    *, trade_type: TradeType, symbol: str, contract_usd: float | None = None
) -> pl.Expr:
    """Return the VWAP of a bar, in quote currency, from its sums.

    It is quote over base volume, and for COIN-M futures the contracts' worth in USD
    over the base coin, kept within [low, high], from which rounding could move it.
    A bar without trades has its open. `contract_usd` is the size of a COIN-M contract,
    where the exchange was queried; default: `contract_size`.
    """
    turnover, _ = turnover_columns(trade_type)
    if trade_type is TradeType.CM_FUTURES:
        quote = pl.col("volume") * (contract_usd or contract_size(symbol))
        base = pl.col(turnover)
    else:
        quote, base = pl.col(turnover), pl.col("volume")
    has_price = (pl.col("trade_count") > 0) & (base > 0)
    price = (quote / base).clip(pl.col("low"), pl.col("high"))
    return pl.when(has_price).then(price).otherwise(pl.col("open"))
