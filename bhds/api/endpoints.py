"""What the API of each market is like: paths, parameters, weights, sizes of pages.

Notes
-----
Binance API documentation, "Kline/Candlestick Data" and its mark price, index price and
premium index variants, "Get Funding Rate History", "Exchange Information" and "LIMITS"
of spot, USD-M and COIN-M, read 2026-07. The weight of futures klines is by limit: below
100 1, below 500 2, up to 1,000 5, beyond 10; so 499 bars a request are the most per
weight.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Generic, NamedTuple, TypeVar

from bhds.api import rows
from bhds.api.limits import Pool
from bhds.api.rows import Event, FundingEvent
from bhds.core.errors import ApiError
from bhds.core.markets import Interval, TradeType
from bhds.schemas.datatypes import DATA_TYPES

_T = TypeVar("_T")
_EventT = TypeVar("_EventT", bound=Event)

_DAY_MS = 86_400_000
_MIB = 1024**2  # most jobs request nothing: they need not wait for `bhds.io.http`
_MOST_BYTES = 16 * _MIB  # 1,500 klines have 0.3 MB
_MOST_EXCHANGE_INFO_BYTES = 64 * _MIB
"""That of spot had 3 MB for 1,400 symbols, and lists each one's permissions since."""
_BY_PAIR = frozenset({"indexPriceKlines"})


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


class Cost(NamedTuple):
    """What a request costs, of which budget."""

    pool: Pool
    weight: int = 1


@dataclass(frozen=True)
class Endpoint(Generic[_T]):
    """A path of the API, in which markets it is, and how its answers are read.

    Those of bars are not here: `MarketApi.klines` has one for each data type of bars.
    """

    name: str
    """The end of the path."""
    costs: Mapping[TradeType, Cost]
    read: Callable[..., _T]
    """Takes the answer's JSON and `subject`, of events `limit` and `unknown` too."""
    limit: int = 0
    """The most events a request; the weight does not depend on it."""
    most_bytes: int = _MOST_BYTES


@dataclass(frozen=True)
class MarketApi:
    """The API of one market."""

    trade_type: TradeType
    root: str
    pool: Pool
    tiers: tuple[Tier, ...]
    """From the smallest to the one with most rows per weight."""
    newest_first: bool = False
    """Whether of more bars than the limit the newest come, not the oldest."""
    longest_span_ms: int | None = None
    """The longest range of bars a request."""

    @property
    def pools(self) -> tuple[Pool, ...]:
        """All budgets that requests to this market draw on."""
        costs = (each.costs.get(self.trade_type) for each in ENDPOINTS)
        return tuple(dict.fromkeys((self.pool, *(each.pool for each in costs if each))))

    @property
    def kline_types(self) -> list[str]:
        """The data types of bars that the API has."""
        return [
            entry.name
            for entry in DATA_TYPES.values()
            if entry.has_api and self.trade_type in entry.trade_types
            if entry.has_intervals
        ]

    def request(
        self, endpoint: Endpoint[_T], parameters: Mapping[str, str] | None = None
    ) -> Request:
        """Return the request for an endpoint.

        Raises
        ------
        ApiError
            If the market has no such endpoint.
        """
        if self.trade_type not in endpoint.costs:
            msg = (
                f"{self.trade_type}: the API has no {endpoint.name}; use "
                f"{' or '.join(endpoint.costs)}"
            )
            raise ApiError(msg)
        return Request(
            f"{self.root}/{endpoint.name}",
            parameters or {},
            *endpoint.costs[self.trade_type],
            endpoint.limit,
            endpoint.most_bytes,
        )

    def events(
        self,
        endpoint: Endpoint[list[_EventT]],
        symbol: str,
        *,
        start_ms: int,
        end_ms: int,
    ) -> Request:
        """Return the request for a symbol's first events of a range; as `request`."""
        parameters = {
            "symbol": symbol,
            "startTime": str(start_ms),
            "endTime": str(end_ms - 1),  # the API includes it
            "limit": str(endpoint.limit),
        }
        return self.request(endpoint, parameters)

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
                f"expected one of {', '.join(self.kline_types)}; leave it out"
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
            tiers=(Tier(1_000, 2),),
        ),
        MarketApi(
            TradeType.UM_FUTURES,
            root="/fapi/v1",
            pool=Pool.FUTURES,
            tiers=(Tier(99, 1), Tier(499, 2)),
        ),
        MarketApi(
            TradeType.CM_FUTURES,
            root="/dapi/v1",
            pool=Pool.FUTURES,
            tiers=(Tier(99, 1), Tier(499, 2)),
            newest_first=True,
            # ASSUME: of mark price, index price and premium index bars as well.
            longest_span_ms=200 * _DAY_MS,
        ),
    )
}
"""The markets that have an API of this kind."""

_ONE = {market.trade_type: Cost(market.pool) for market in MARKETS.values()}
_OF_FUNDING = {
    TradeType.UM_FUTURES: Cost(Pool.FUNDING),
    TradeType.CM_FUTURES: Cost(Pool.FUTURES),
}

SERVER_TIME = Endpoint[int]("time", _ONE, rows.parse_server_time)
EXCHANGE_INFO = Endpoint[None](
    "exchangeInfo",
    _ONE | {TradeType.SPOT: Cost(Pool.SPOT, 20)},
    rows.check_exchange_info,
    most_bytes=_MOST_EXCHANGE_INFO_BYTES,
)
FUNDING_RATES = Endpoint[list[FundingEvent]](
    "fundingRate", _OF_FUNDING, rows.parse_funding_events, limit=1_000
)
ENDPOINTS: tuple[Endpoint[Any], ...] = (SERVER_TIME, EXCHANGE_INFO, FUNDING_RATES)
"""All endpoints but those of bars."""
