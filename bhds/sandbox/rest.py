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
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from bhds.errors import ConfigError, SelectionError
from bhds.markets import Interval, TradeType
from bhds.sandbox.catalogue import exchange_info, funding_info
from bhds.sandbox.formats import kline_rows, with_point
from bhds.sandbox.funding import funding_events
from bhds.sandbox.limits import Pool
from bhds.sandbox.prices import KlineSource
from bhds.sandbox.publication import Publication
from bhds.sandbox.timegrid import (
    DAY_MS,
    bar_open,
    first_open,
    to_ms,
    width_ms,
)
from bhds.sandbox.universe import Symbol

MARK_PRICES_SINCE = dt.datetime(2023, 11, 1, tzinfo=dt.UTC)
"""Earlier funding events have an empty mark price (ASSUME: since when)."""

_LONGEST_CM_SPAN_MS = 200 * DAY_MS
_DEFAULT_KLINES = 500
_DEFAULT_EVENTS = 100
_MOST_EVENTS = 1_000
_PRICE_DECIMALS = 8
_MONTH_MS = 31 * DAY_MS

Parameters = Mapping[str, str]


class ApiError(Exception):
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
    pool: Pool
    most_klines: int


@dataclass(frozen=True)
class Endpoint:
    """One path of the API of one market."""

    name: str
    market: Market
    charge: Mapping[Pool, int]
    """What a request costs, of which budget."""
    respond: Callable[[Market, Parameters], str]

    @property
    def label(self) -> str:
        """The name under which requests are counted: `um_futures/klines`."""
        return f"{self.market.trade_type}/{self.name}"

    def cost(self, parameters: Parameters) -> Mapping[Pool, int]:
        """Return what a request costs, of which budget."""
        if self.name == "klines" and self.market.trade_type is not TradeType.SPOT:
            return {self.market.pool: _klines_weight(parameters)}
        return self.charge

    def answer(self, parameters: Parameters) -> str:
        """Return the JSON of an answer.

        Raises
        ------
        ApiError
            If the request is refused.
        """
        return self.respond(self.market, parameters)


_MARKETS = (
    Market(TradeType.SPOT, "/api/v3", Pool.SPOT, 1_000),
    Market(TradeType.UM_FUTURES, "/fapi/v1", Pool.FUTURES, 1_500),
    Market(TradeType.CM_FUTURES, "/dapi/v1", Pool.FUTURES, 1_500),
)


class RestApi:
    """The API of the three markets; answers may be made by several threads."""

    def __init__(self, source: KlineSource, publication: Publication) -> None:
        self._source = source
        self._universe = source.universe
        self._publication = publication
        self.endpoints: dict[str, Endpoint] = {
            f"{market.root}/{endpoint.name}": endpoint
            for market in _MARKETS
            for endpoint in self._endpoints(market)
        }
        """All endpoints by their paths."""

    def _endpoints(self, market: Market) -> Iterator[Endpoint]:
        pool = market.pool
        is_spot = market.trade_type is TradeType.SPOT
        yield Endpoint("time", market, {pool: 1}, self._time)
        yield Endpoint(
            "exchangeInfo", market, {pool: 20 if is_spot else 1}, self._exchange_info
        )
        yield Endpoint("klines", market, {pool: 2}, self._klines)
        if not is_spot:
            is_um = market.trade_type is TradeType.UM_FUTURES
            charge = {Pool.FUNDING if is_um else pool: 1}
            yield Endpoint("fundingRate", market, charge, self._funding_rate)
            yield Endpoint("fundingInfo", market, charge, self._funding_info)

    @property
    def _now_ms(self) -> int:
        return to_ms(self._publication.now)

    def _time(self, _market: Market, _parameters: Parameters) -> str:
        return _as_json({"serverTime": self._now_ms})

    def _exchange_info(self, market: Market, _parameters: Parameters) -> str:
        symbols = self._universe.of_market(market.trade_type)
        return _as_json(
            exchange_info(market.trade_type, symbols, now=self._publication.now)
        )

    def _funding_info(self, market: Market, _parameters: Parameters) -> str:
        symbols = self._universe.of_market(market.trade_type)
        return _as_json(funding_info(symbols, now=self._publication.now))

    def _symbol(self, market: Market, parameters: Parameters) -> Symbol:
        name = parameters.get("symbol", "")
        if not name:
            raise ApiError(
                -1102,
                "Mandatory parameter 'symbol' was not sent, was empty/null, or "
                "malformed.",
            )
        try:
            symbol = self._universe.symbol(market.trade_type, name)
        except SelectionError as error:
            raise ApiError(-1121, "Invalid symbol.") from error
        gone = market.trade_type is not TradeType.SPOT and not symbol.is_listed(
            self._publication.now
        )
        if gone or symbol.listed > self._publication.now:
            raise ApiError(-1121, "Invalid symbol.")
        return symbol

    def _klines(self, market: Market, parameters: Parameters) -> str:
        symbol = self._symbol(market, parameters)
        interval = _interval(symbol, parameters)
        limit = _limit(parameters, default=_DEFAULT_KLINES, most=market.most_klines)
        if limit > market.most_klines:
            if market.trade_type is not TradeType.SPOT:
                raise ApiError(-1130, "Data sent for parameter 'limit' is not valid.")
            limit = market.most_klines
        start_ms = _time_ms(parameters, "startTime")
        end_ms = _time_ms(parameters, "endTime")
        if market.trade_type is TradeType.CM_FUTURES:
            start_ms, end_ms = _cm_span(start_ms, end_ms)
        elif start_ms is not None:
            bars = self._oldest(
                symbol, interval, start_ms=start_ms, end_ms=end_ms, limit=limit
            )
            return _klines_json(bars, symbol, interval)
        bars = self._newest(
            symbol, interval, start_ms=start_ms, end_ms=end_ms, limit=limit
        )
        return _klines_json(bars, symbol, interval)

    def _oldest(
        self,
        symbol: Symbol,
        interval: Interval,
        *,
        start_ms: int,
        end_ms: int | None,
        limit: int,
    ) -> pl.DataFrame:
        """Return the first `limit` bars that open at `start_ms` or later."""
        end_ms = self._end(end_ms)
        first_ms = bar_open(interval, to_ms(symbol.listed))
        at = first_open(interval, max(start_ms, first_ms))
        found = self._stand(symbol, interval, at, at)
        while found.height < limit and at < end_ms:
            until = min(end_ms, at + limit * (width_ms(interval) or _MONTH_MS))
            until = first_open(interval, until)
            more = self._stand(symbol, interval, at, min(until, end_ms))
            found, at = pl.concat([found, more]), until
        return found.head(limit)

    def _newest(
        self,
        symbol: Symbol,
        interval: Interval,
        *,
        start_ms: int | None,
        end_ms: int | None,
        limit: int,
    ) -> pl.DataFrame:
        """Return the last `limit` bars that open at `end_ms` or earlier."""
        first_ms = max(start_ms or 0, bar_open(interval, to_ms(symbol.listed)))
        until = self._end(end_ms)
        found = self._stand(symbol, interval, until, until)
        while found.height < limit and until > first_ms:
            at = until - limit * (width_ms(interval) or _MONTH_MS)
            at = max(first_open(interval, max(at, 0)), first_ms)
            if at >= until:
                at = first_ms
            more = self._stand(symbol, interval, at, until)
            found, until = pl.concat([more, found]), at
        return found.tail(limit)

    def _end(self, end_ms: int | None) -> int:
        """Return the end of a range whose last moment is `end_ms` or the present."""
        return min(self._now_ms if end_ms is None else end_ms, self._now_ms) + 1

    def _stand(
        self, symbol: Symbol, interval: Interval, start_ms: int, end_ms: int
    ) -> pl.DataFrame:
        return self._source.bars_until(
            symbol, interval, start_ms=start_ms, end_ms=end_ms, now_ms=self._now_ms
        )

    def _funding_rate(self, market: Market, parameters: Parameters) -> str:
        if market.trade_type is TradeType.UM_FUTURES and "symbol" not in parameters:
            listed = self._universe.of_market(market.trade_type)
            now = self._publication.now
            symbols = [symbol for symbol in listed if symbol.is_listed(now)]
        else:
            symbols = [self._symbol(market, parameters)]
        limit = _limit(parameters, default=_DEFAULT_EVENTS, most=_MOST_EVENTS)
        limit = min(limit, _MOST_EVENTS)
        start_ms = _time_ms(parameters, "startTime")
        end_ms = self._end(_time_ms(parameters, "endTime"))
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
        )
        return shown.to_dicts()


def _klines_weight(parameters: Parameters) -> int:
    """Return what futures klines cost; a malformed limit counts as the default."""
    sent = parameters.get("limit", "")
    limit = int(sent) if sent.isdecimal() else _DEFAULT_KLINES
    for below, weight in ((100, 1), (500, 2), (1_001, 5)):
        if limit < below:
            return weight
    return 10


def _klines_json(bars: pl.DataFrame, symbol: Symbol, interval: Interval) -> str:
    """Return bars as the API does: times and counts as numbers, the rest as text."""
    lines = kline_rows(bars, symbol=symbol, interval=interval).write_csv(
        include_header=False
    )
    rows = (line.split(",") for line in lines.splitlines())
    shown = (
        f'[{row[0]},"{row[1]}","{row[2]}","{row[3]}","{row[4]}","{row[5]}",{row[6]},'
        f'"{row[7]}",{row[8]},"{row[9]}","{row[10]}","{row[11]}"]'
        for row in rows
    )
    return f"[{','.join(shown)}]"


def _interval(symbol: Symbol, parameters: Parameters) -> Interval:
    """Read the interval, in the API's notation (`1M` is a month)."""
    name = parameters.get("interval", "")
    try:
        interval = Interval.parse("1mo" if name == "1M" else name)
    except ConfigError as error:
        raise ApiError(-1120, "Invalid interval.") from error
    if name not in _INTERVALS or (name == "1s" and not symbol.seconds):
        raise ApiError(-1120, "Invalid interval.")
    return interval


_INTERVALS = frozenset(
    "1s 1m 3m 5m 15m 30m 1h 2h 4h 6h 8h 12h 1d 3d 1w 1M".split()  # noqa: SIM905
)


def _limit(parameters: Parameters, *, default: int, most: int) -> int:
    limit = _whole_number(parameters, "limit")
    if limit == 0:
        raise ApiError(-1130, "Data sent for parameter 'limit' is not valid.")
    return min(default, most) if limit is None else limit


def _time_ms(parameters: Parameters, name: str) -> int | None:
    return _whole_number(parameters, name)


def _whole_number(parameters: Parameters, name: str) -> int | None:
    text = parameters.get(name)
    if text is None:
        return None
    if not text.isdecimal():
        raise ApiError(
            -1100,
            f"Illegal characters found in parameter '{name}'; legal range is "
            "'^[0-9]{1,20}$'.",
        )
    return int(text)


def _cm_span(start_ms: int | None, end_ms: int | None) -> tuple[int | None, int | None]:
    """Return the range that a request for cm klines means: 200 days at most."""
    if start_ms is not None and end_ms is not None:
        if end_ms - start_ms > _LONGEST_CM_SPAN_MS:
            raise ApiError(-1127, "Lookup interval is too big.")
    elif start_ms is not None:
        end_ms = start_ms + _LONGEST_CM_SPAN_MS
    elif end_ms is not None:
        start_ms = max(0, end_ms - _LONGEST_CM_SPAN_MS)
    return start_ms, end_ms


def _as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
