"""The REST endpoints: parameters, paging, order and errors of each market.

Notes
-----
Binance API documentation, "Kline/Candlestick Data", "Get Funding Rate History",
"Exchange Information" of spot, USD-M and COIN-M; recorded answers. Where those are
silent: futures refuse a `limit` beyond the maximum, spot caps it; a delisted contract
is unknown to the futures API, a delisted spot symbol is known (`BREAK`).
"""

import datetime as dt
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import polars as pl

from bhds.core.errors import ConfigError
from bhds.core.markets import ARCHIVE_INTERVALS, Interval, TradeType
from bhds.sandbox.bars import BarSource
from bhds.sandbox.catalogue import exchange_info, funding_info
from bhds.sandbox.datasets import DATA_TYPES
from bhds.sandbox.datasets.bars import ReferenceKlines
from bhds.sandbox.formats import kline_rows, reference_rows, with_point
from bhds.sandbox.funding import funding_events
from bhds.sandbox.limits import LimitEnforcer, LimitPool
from bhds.sandbox.pages import PagedSeries, Pages
from bhds.sandbox.prices import KlineSource
from bhds.sandbox.publication import Hole, Publication
from bhds.sandbox.timegrid import DAY_MS, to_ms
from bhds.sandbox.universe import Symbol

MARK_PRICES_SINCE = dt.datetime(2023, 11, 1, tzinfo=dt.UTC)
"""Earlier funding events have an empty mark price (ASSUME: since when)."""

_LONGEST_CM_SPAN_MS = 200 * DAY_MS
_DEFAULT_KLINES = 500
_DEFAULT_EVENTS = 100
_MOST_EVENTS = 1_000
_PRICE_DECIMALS = 8
_NUMBER = re.compile("[0-9]{1,20}")
_LATEST_MS = to_ms(dt.datetime(2100, 1, 1, tzinfo=dt.UTC))
"""Later times mean this one."""

_DATA_TYPES = {data_type.name: data_type for data_type in DATA_TYPES}
_KLINES = "klines"
_INDEX_KLINES = "indexPriceKlines"
_REFERENCES = {
    data_type.name: data_type.kind
    for data_type in DATA_TYPES
    if isinstance(data_type, ReferenceKlines)
}
"""The prices that are computed, by the names that endpoints and the bucket use."""

_INTERVALS = {"1M" if name == "1mo" else name: name for name in ARCHIVE_INTERVALS}
"""The archive's name of an interval by the API's."""
_INVALID_LIMIT = (-1130, "Data sent for parameter 'limit' is not valid.")

Parameters = Mapping[str, str]


class RestError(Exception):
    """A request that the API refuses with one of its error codes."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code

    @property
    def body(self) -> str:
        """The answer, as JSON; it goes with status 400."""
        return json.dumps({"code": self.code, "msg": str(self)}, separators=(",", ":"))


@dataclass(frozen=True)
class Market:
    """What the API of one market is like."""

    trade_type: TradeType
    root: str
    pool: LimitPool
    most_klines: int


Respond = Callable[[Market, Parameters], str]
"""Makes the JSON of an answer."""


@dataclass(frozen=True)
class Endpoint:
    """One path of the API of one market."""

    name: str
    market: Market
    charge: Mapping[LimitPool, int]
    """What a request costs, of which budget, unless that follows from its limit."""
    respond: Respond

    @property
    def label(self) -> str:
        """The name under which requests are counted: `um_futures/klines`."""
        return f"{self.market.trade_type}/{self.name}"

    def cost(self, parameters: Parameters) -> Mapping[LimitPool, int]:
        """Return what a request costs, of which budget."""
        is_of_bars = self.name == _KLINES or self.name in _REFERENCES
        if is_of_bars and self.market.trade_type is not TradeType.SPOT:
            return {self.market.pool: _klines_weight(parameters)}
        return self.charge

    def answer(self, parameters: Parameters) -> str:
        """Return the JSON of an answer.

        Raises
        ------
        RestError
            If the request is refused.
        """
        return self.respond(self.market, parameters)


_MARKETS = (
    Market(TradeType.SPOT, "/api/v3", LimitPool.SPOT, 1_000),
    Market(TradeType.UM_FUTURES, "/fapi/v1", LimitPool.FUTURES, 1_500),
    Market(TradeType.CM_FUTURES, "/dapi/v1", LimitPool.FUTURES, 1_500),
)


class RestApi:
    """The API of the three markets; answers may be made by several threads.

    Parameters
    ----------
    source
        The bars, and the universe that they are of.
    publication
        The clock, and what the API does not have.
    limiter
        The limiter whose budgets `exchangeInfo` returns.
    """

    def __init__(
        self, source: KlineSource, publication: Publication, *, limiter: LimitEnforcer
    ) -> None:
        self._source = source
        self._universe = source.universe
        self._publication = publication
        self._limiter = limiter
        self._pages = Pages(publication)
        self._sources: dict[str, BarSource] = {_KLINES: source} | {
            name: source.references[kind] for name, kind in _REFERENCES.items()
        }
        self._subjects = cache(
            lambda trade_type, data_type: dict(
                _DATA_TYPES[data_type].subjects(source.universe, trade_type)
            )
        )
        """The symbols of a market and data type, by the names that requests use."""
        self.endpoints: dict[str, Endpoint] = {
            f"{market.root}/{endpoint.name}": endpoint
            for market in _MARKETS
            for endpoint in self._endpoints(market)
        }
        """All endpoints by their paths."""

    def check(self, hole: Hole) -> None:
        """Refuse a hole that can never be in any answer.

        Raises
        ------
        ConfigError
            If the market has no bars of that name, type and interval, or the range is
            empty.
        """
        types = [_KLINES] if hole.trade_type is TradeType.SPOT else [*self._sources]
        if not any(
            hole.symbol in self._subjects(hole.trade_type, name)
            for name in types
            if hole.data_type in (None, name)
        ):
            msg = (
                f"symbol {hole.symbol!r}: expected one of which the API of "
                f"{hole.trade_type} has {hole.data_type or 'bars'}"
            )
            raise ConfigError(msg)
        if hole.interval not in (None, *ARCHIVE_INTERVALS):
            msg = f"interval {hole.interval!r}: expected one of {[*ARCHIVE_INTERVALS]}"
            raise ConfigError(msg)
        if hole.start_ms >= hole.end_ms:
            msg = f"range of {hole}: expected a start before its end"
            raise ConfigError(msg)

    def _endpoints(self, market: Market) -> Iterator[Endpoint]:
        pool = market.pool
        is_spot = market.trade_type is TradeType.SPOT
        yield Endpoint("time", market, {pool: 1}, self._time)
        yield Endpoint(
            "exchangeInfo", market, {pool: 20 if is_spot else 1}, self._exchange_info
        )
        yield Endpoint(_KLINES, market, {pool: 2}, self._bars(_KLINES))
        if not is_spot:
            for name in _REFERENCES:
                yield Endpoint(name, market, {}, self._bars(name))
            is_um = market.trade_type is TradeType.UM_FUTURES
            charge = {LimitPool.FUNDING if is_um else pool: 1}
            yield Endpoint("fundingRate", market, charge, self._funding_rate)
            yield Endpoint("fundingInfo", market, charge, self._funding_info)

    def _time(self, _market: Market, _parameters: Parameters) -> str:
        return _as_json({"serverTime": self._pages.now_ms})

    def _exchange_info(self, market: Market, _parameters: Parameters) -> str:
        symbols = self._universe.of_market(market.trade_type)
        return _as_json(
            exchange_info(
                market.trade_type,
                symbols,
                now=self._publication.now,
                budget=self._limiter.budgets[market.pool],
            )
        )

    def _funding_info(self, market: Market, _parameters: Parameters) -> str:
        symbols = self._universe.of_market(market.trade_type)
        return _as_json(funding_info(symbols, now=self._publication.now))

    def _subject(
        self, market: Market, parameters: Parameters, *, data_type: str
    ) -> tuple[str, Symbol]:
        """Return the requested name, and the symbol of its data."""
        is_index = data_type == _INDEX_KLINES
        parameter = "pair" if is_index else "symbol"
        name = parameters.get(parameter, "")
        if not name:
            raise RestError(
                -1102,
                f"Mandatory parameter '{parameter}' was not sent, was empty/null, or "
                "malformed.",
            )
        symbol = self._subjects(market.trade_type, data_type).get(name)
        now, is_spot = self._publication.now, market.trade_type is TradeType.SPOT
        if symbol and (symbol.is_listed(now) or (is_spot and symbol.listed <= now)):
            return name, symbol
        # ASSUME: of a pair too; -4144 is documented as well, but not where it is
        # answered.
        raise RestError(-1121, "Invalid symbol.")

    def _bars(self, data_type: str) -> Respond:
        """Return how an endpoint of bars answers."""

        def respond(market: Market, parameters: Parameters) -> str:
            name, symbol = self._subject(market, parameters, data_type=data_type)
            interval = _interval(symbol, parameters)
            source = self._sources[data_type]
            series = PagedSeries(data_type, name, source, symbol, interval)
            return _bars_json(self._page(market, parameters, series), series)

        return respond

    def _page(
        self, market: Market, parameters: Parameters, series: PagedSeries
    ) -> pl.DataFrame:
        limit = _limit(parameters, default=_DEFAULT_KLINES)
        if limit > market.most_klines:
            if market.trade_type is not TradeType.SPOT:
                raise RestError(*_INVALID_LIMIT)
            limit = market.most_klines
        start_ms = _whole_number(parameters, "startTime")
        end_ms = _whole_number(parameters, "endTime")
        if market.trade_type is TradeType.CM_FUTURES:
            start_ms, end_ms = _cm_span(start_ms, end_ms)
        elif start_ms is not None:
            return self._pages.oldest(
                series, start_ms=start_ms, end_ms=end_ms, limit=limit
            )
        return self._pages.newest(series, start_ms=start_ms, end_ms=end_ms, limit=limit)

    def _funding_rate(self, market: Market, parameters: Parameters) -> str:
        if market.trade_type is TradeType.UM_FUTURES and "symbol" not in parameters:
            listed = self._universe.of_market(market.trade_type)
            now = self._publication.now
            symbols = [symbol for symbol in listed if symbol.is_listed(now)]
        else:
            symbols = [self._subject(market, parameters, data_type=_KLINES)[1]]
        limit = min(_limit(parameters, default=_DEFAULT_EVENTS), _MOST_EVENTS)
        start_ms = _whole_number(parameters, "startTime")
        end_ms = self._pages.stop(_whole_number(parameters, "endTime"))
        events = [
            event
            for symbol in symbols
            for event in self._events(symbol, start_ms or 0, end_ms)
        ]
        events.sort(key=lambda event: event["fundingTime"])
        newest = start_ms is None
        return _as_json(events[-limit:] if newest else events[:limit])

    def _events(
        self, symbol: Symbol, start_ms: int, end_ms: int
    ) -> list[dict[str, Any]]:
        """Return the events that were settled in a range, as the API shows them."""
        events = funding_events(
            # A settlement may be a moment later than it was due.
            self._universe,
            symbol,
            start_ms=start_ms - 60_000,
            end_ms=end_ms,
        ).filter(pl.col("calc_time").is_between(start_ms, end_ms - 1))
        if events.is_empty():
            return []
        bars = events["due_time"] // symbol.step_ms
        path = self._source.path(symbol).ticks(bars[0], bars[-1])
        ticks = path.gather(bars - bars[0])
        scale = symbol.tick_units * 10 ** (_PRICE_DECIMALS - symbol.price_decimals)
        shown = events.select(
            pl.lit(symbol.name).alias("symbol"),
            pl.col("calc_time").alias("fundingTime"),
            with_point(pl.col("rate"), _PRICE_DECIMALS)
            .cast(pl.String)
            .alias("fundingRate"),
            pl.when(pl.col("due_time") >= to_ms(MARK_PRICES_SINCE))
            .then(with_point(pl.lit(ticks * scale), _PRICE_DECIMALS).cast(pl.String))
            .otherwise(pl.lit(""))
            .alias("markPrice"),
            pl.col("rate_type").alias("rateType"),
        )
        return shown.to_dicts()


def _klines_weight(parameters: Parameters) -> int:
    """Return what futures klines cost; a malformed limit counts as the default."""
    sent = parameters.get("limit", "")
    limit = int(sent) if _NUMBER.fullmatch(sent) else _DEFAULT_KLINES
    for below, weight in ((100, 1), (500, 2), (1_001, 5)):
        if limit < below:
            return weight
    return 10


def _bars_json(bars: pl.DataFrame, series: PagedSeries) -> str:
    """Return bars as the API does: times and counts as numbers, the rest as text."""
    if series.data_type == _KLINES:
        shown = kline_rows(bars, symbol=series.symbol, interval=series.interval)
    else:
        shown = reference_rows(bars, interval=series.interval)
    lines = shown.write_csv(include_header=False)
    rows = (line.split(",") for line in lines.splitlines())
    texts = (
        f'[{row[0]},"{row[1]}","{row[2]}","{row[3]}","{row[4]}","{row[5]}",{row[6]},'
        f'"{row[7]}",{row[8]},"{row[9]}","{row[10]}","{row[11]}"]'
        for row in rows
    )
    return f"[{','.join(texts)}]"


def _interval(symbol: Symbol, parameters: Parameters) -> Interval:
    """Read the interval, in the API's notation (`1M` is a month)."""
    name = _INTERVALS.get(parameters.get("interval", ""))
    if name is None or (name == "1s" and not symbol.seconds):
        raise RestError(-1120, "Invalid interval.")
    return symbol.phased(Interval.parse(name))


def _limit(parameters: Parameters, *, default: int) -> int:
    limit = _whole_number(parameters, "limit")
    if limit == 0:
        raise RestError(*_INVALID_LIMIT)
    return default if limit is None else limit


def _whole_number(parameters: Parameters, name: str) -> int | None:
    text = parameters.get(name)
    if text is None:
        return None
    if not _NUMBER.fullmatch(text):
        raise RestError(
            -1100,
            f"Illegal characters found in parameter '{name}'; legal range is "
            f"'^{_NUMBER.pattern}$'.",
        )
    return min(int(text), _LATEST_MS)


def _cm_span(start_ms: int | None, end_ms: int | None) -> tuple[int | None, int | None]:
    """Return the range that a request for cm klines means: 200 days at most."""
    if start_ms is not None and end_ms is not None:
        if end_ms - start_ms > _LONGEST_CM_SPAN_MS:
            raise RestError(-1127, "Lookup interval is too big.")
    elif start_ms is not None:
        end_ms = start_ms + _LONGEST_CM_SPAN_MS
    elif end_ms is not None:
        start_ms = max(0, end_ms - _LONGEST_CM_SPAN_MS)
    return start_ms, end_ms


def _as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
