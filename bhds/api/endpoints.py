"""What the API of each market is like: paths, parameters, weights, sizes of pages.

Notes
-----
Binance API documentation, "Kline/Candlestick Data" and its mark price, index price and
premium index variants, "Get Funding Rate History", "Get Funding Rate Info", "Exchange
Information" and "LIMITS" of spot, USD-M and COIN-M, read 2026-07. The weight of futures
klines is by limit: below 100 1, below 500 2, up to 1,000 5, beyond 10; so 499 bars a
request are the most per weight.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from bhds.api.limits import Pool
from bhds.core.errors import ApiError
from bhds.core.markets import Interval, TradeType

_DAY_MS = 86_400_000
_MIB = 1024**2  # most jobs request nothing: they need not wait for `bhds.io.http`
_MOST_BYTES = 16 * _MIB  # 1,500 klines have 0.3 MB
_MOST_EXCHANGE_INFO_BYTES = 64 * _MIB
"""That of spot had 3 MB for 1,400 symbols, and lists each one's permissions since."""
_SPOT_KLINES = frozenset({"klines"})
_FUTURES_KLINES = frozenset(
    {"klines", "markPriceKlines", "indexPriceKlines", "premiumIndexKlines"}
)
_BY_PAIR = frozenset({"indexPriceKlines"})

FUNDING_LIMIT = 1_000
"""The most funding events a request; its weight does not depend on it."""


class Tier(NamedTuple):
    """The most rows that a request of one weight can return."""

    limit: int
    weight: int


@dataclass(frozen=True)
class Request:
    """One request: where, what, and what it costs."""

    path: str
    parameters: Mapping[str, str]
    pool: Pool
    weight: int
    limit: int = 0
    """The most rows that may come back; 0 where rows are not counted."""
    most_bytes: int = _MOST_BYTES
    """The largest answer, uncompressed."""

    @property
    def names_symbol(self) -> bool:
        """Whether the request is for one symbol, or one pair."""
        return not {"symbol", "pair"}.isdisjoint(self.parameters)


@dataclass(frozen=True)
class MarketApi:
    """The API of one market."""

    trade_type: TradeType
    root: str
    pool: Pool
    funding_pool: Pool | None
    """What requests about funding draw on; None where there is no funding."""
    exchange_info_weight: int
    kline_types: frozenset[str]
    tiers: tuple[Tier, ...]
    """From the smallest to the one with most rows per weight."""
    newest_first: bool = False
    """Whether of more bars than the limit the newest come, not the oldest."""
    longest_span_ms: int | None = None
    """The longest range of bars a request."""

    @property
    def pools(self) -> tuple[Pool, ...]:
        """All budgets that requests to this market draw on."""
        return (self.pool, *(() if self.funding_pool is None else (self.funding_pool,)))

    def time(self) -> Request:
        """Return the request for the server's clock."""
        return Request(f"{self.root}/time", {}, self.pool, weight=1)

    def exchange_info(self) -> Request:
        """Return the request for the symbols that there are at present."""
        path = f"{self.root}/exchangeInfo"
        return Request(
            path,
            {},
            self.pool,
            weight=self.exchange_info_weight,
            most_bytes=_MOST_EXCHANGE_INFO_BYTES,
        )

    def funding_info(self) -> Request:
        """Return the request for contracts whose funding is unusual.

        Raises
        ------
        ApiError
            If the market knows no funding.
        """
        return Request(f"{self.root}/fundingInfo", {}, self._funding_pool(), weight=1)

    def funding_rates(self, symbol: str, *, start_ms: int, end_ms: int) -> Request:
        """Return the request for a contract's first events of a range.

        Raises
        ------
        ApiError
            If the market knows no funding.
        """
        parameters = {
            "symbol": symbol,
            "startTime": str(start_ms),
            "endTime": str(end_ms - 1),  # the API includes it
            "limit": str(FUNDING_LIMIT),
        }
        path = f"{self.root}/fundingRate"
        return Request(path, parameters, self._funding_pool(), 1, FUNDING_LIMIT)

    def klines(
        self,
        data_type: str,
        symbol: str,
        interval: Interval,
        *,
        start_ms: int,
        end_ms: int,
        points: int,
    ) -> Request:
        """Return the request for the bars that open in a range.

        Parameters
        ----------
        data_type
            The archive's name of the series, such as `markPriceKlines`.
        symbol
            The name in the archive; of `indexPriceKlines` a pair.
        interval
            The spacing of the bars.
        start_ms, end_ms
            Start inclusive, end exclusive.
        points
            How many bars there should be: it sets the limit, and so the weight.

        Raises
        ------
        ApiError
            If the market has no such series.
        """
        if data_type not in self.kline_types:
            msg = (
                f"{self.trade_type} {data_type} of {symbol}: the API has no such bars, "
                f"expected one of {', '.join(sorted(self.kline_types))}; leave it out"
            )
            raise ApiError(msg)
        limit, weight = self.tier_for(points)
        parameters = {
            "pair" if data_type in _BY_PAIR else "symbol": symbol,
            "interval": api_interval(interval),
            "startTime": str(start_ms),
            "endTime": str(end_ms - 1),  # the API includes it
            "limit": str(limit),
        }
        path = f"{self.root}/{data_type}"
        return Request(path, parameters, self.pool, weight, limit)

    def first(self, request: Request) -> Request:
        """Return a request for the first row alone of the range of another."""
        return replace(
            request, parameters={**request.parameters, "limit": "1"}, limit=1
        )

    def tier_for(self, points: int) -> Tier:
        """Return the cheapest tier with room for one bar more, or the largest.

        An answer with room left is known to be whole.
        """
        enough = (tier for tier in self.tiers if tier.limit > points)
        return next(enough, self.tiers[-1])

    def _funding_pool(self) -> Pool:
        if self.funding_pool is None:
            msg = (
                f"{self.trade_type}: the API has no funding; use um_futures or "
                "cm_futures"
            )
            raise ApiError(msg)
        return self.funding_pool


def api_interval(interval: Interval) -> str:
    """Return the API's name of an interval: `1M` for `1mo`, else the archive's."""
    return interval.name.replace("mo", "M")


MARKETS: Mapping[TradeType, MarketApi] = {
    market.trade_type: market
    for market in (
        MarketApi(
            TradeType.SPOT,
            root="/api/v3",
            pool=Pool.SPOT,
            funding_pool=None,
            exchange_info_weight=20,
            kline_types=_SPOT_KLINES,
            tiers=(Tier(1_000, 2),),
        ),
        MarketApi(
            TradeType.UM_FUTURES,
            root="/fapi/v1",
            pool=Pool.FUTURES,
            funding_pool=Pool.FUNDING,
            exchange_info_weight=1,
            kline_types=_FUTURES_KLINES,
            tiers=(Tier(99, 1), Tier(499, 2)),
        ),
        MarketApi(
            TradeType.CM_FUTURES,
            root="/dapi/v1",
            pool=Pool.FUTURES,
            funding_pool=Pool.FUTURES,
            exchange_info_weight=1,
            kline_types=_FUTURES_KLINES,
            tiers=(Tier(99, 1), Tier(499, 2)),
            newest_first=True,
            # ASSUME: of mark price, index price and premium index bars as well.
            longest_span_ms=200 * _DAY_MS,
        ),
    )
}
"""The markets that have an API of this kind."""
