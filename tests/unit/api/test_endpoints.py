import pytest

from bhds.api.endpoints import ENDPOINTS, FUNDING_RATES, MARKETS, api_interval
from bhds.api.limits import Pool
from bhds.core.errors import ApiError
from bhds.core.markets import ARCHIVE_INTERVALS, Interval, TradeType

SPOT, UM, CM = (
    MARKETS[trade_type]
    for trade_type in (TradeType.SPOT, TradeType.UM_FUTURES, TradeType.CM_FUTURES)
)
MINUTE = Interval.parse("1m")


def klines(market, data_type="klines", *, points=10, interval=MINUTE):
    return market.klines(
        data_type, "AAA", interval, start_ms=60_000, end_ms=120_000, points=points
    )


@pytest.mark.parametrize(
    ("market", "points", "limit", "weight"),
    [
        (SPOT, 1, 1_000, 2),
        (SPOT, 5_000, 1_000, 2),
        (UM, 1, 99, 1),
        (UM, 98, 99, 1),
        (UM, 99, 499, 2),
        (UM, 498, 499, 2),
        (CM, 98, 99, 1),
        (CM, 50_000, 499, 2),
    ],
)
def test_the_limit_leaves_room_at_the_least_weight(market, points, limit, weight):
    request = klines(market, points=points)

    assert request.parameters["limit"] == str(request.limit) == str(limit)
    assert request.weight == weight


def test_the_end_that_the_api_includes_is_the_last_millisecond():
    assert klines(UM).parameters == {
        "symbol": "AAA",
        "interval": "1m",
        "startTime": "60000",
        "endTime": "119999",
        "limit": "99",
    }


@pytest.mark.parametrize(
    ("market", "data_type", "path", "name"),
    [
        (SPOT, "klines", "/api/v3/klines", "symbol"),
        (UM, "klines", "/fapi/v1/klines", "symbol"),
        (UM, "markPriceKlines", "/fapi/v1/markPriceKlines", "symbol"),
        (UM, "indexPriceKlines", "/fapi/v1/indexPriceKlines", "pair"),
        (CM, "indexPriceKlines", "/dapi/v1/indexPriceKlines", "pair"),
        (CM, "premiumIndexKlines", "/dapi/v1/premiumIndexKlines", "symbol"),
    ],
)
def test_index_prices_are_asked_for_by_pair(market, data_type, path, name):
    request = klines(market, data_type)

    assert request.path == path
    assert request.parameters[name] == "AAA"
    assert len({"symbol", "pair"} & request.parameters.keys()) == 1


@pytest.mark.parametrize("data_type", ["markPriceKlines", "trades"])
def test_a_series_that_the_market_lacks_is_refused(data_type):
    with pytest.raises(ApiError, match=f"spot {data_type} of AAA: .* one of klines;"):
        klines(SPOT, data_type)


def test_intervals_have_the_archives_names_but_for_months():
    names = {
        name: api_interval(Interval.parse(name))
        for name in ARCHIVE_INTERVALS
        if api_interval(Interval.parse(name)) != name
    }

    assert names == {"1mo": "1M"}


FUNDING_COSTS = {UM: (Pool.FUNDING, 1), CM: (Pool.FUTURES, 1)}
BY_NAME = {endpoint.name: endpoint for endpoint in ENDPOINTS}
COSTS = {
    "time": {SPOT: (Pool.SPOT, 1), UM: (Pool.FUTURES, 1), CM: (Pool.FUTURES, 1)},
    "exchangeInfo": {
        SPOT: (Pool.SPOT, 20),
        UM: (Pool.FUTURES, 1),
        CM: (Pool.FUTURES, 1),
    },
    "fundingRate": FUNDING_COSTS,
}


@pytest.mark.parametrize("name", BY_NAME)
@pytest.mark.parametrize("market", [SPOT, UM, CM])
def test_an_endpoint_draws_on_its_budget_or_is_refused(market, name):
    if market in COSTS[name]:
        request = market.request(BY_NAME[name])
        assert (request.pool, request.weight) == COSTS[name][market]
        assert request.path == f"{market.root}/{name}"
        assert request.pool in market.pools
    else:
        with pytest.raises(ApiError, match=f"the API has no {name}; use um_futures or"):
            market.request(BY_NAME[name])


def test_events_are_requested_by_symbol_and_time():
    request = UM.events(FUNDING_RATES, "AAA", start_ms=5, end_ms=9)

    assert request.parameters == {
        "symbol": "AAA",
        "startTime": "5",
        "endTime": "8",
        "limit": "1000",
    }
    assert request.limit == 1_000


@pytest.mark.parametrize("market", [SPOT, UM, CM])
def test_bars_draw_on_the_budget_of_the_market(market):
    assert klines(market).pool is market.pool


def test_a_ban_concerns_each_budget_once():
    assert [market.pools for market in (SPOT, UM, CM)] == [
        (Pool.SPOT,),
        (Pool.FUTURES, Pool.FUNDING),
        (Pool.FUTURES,),
    ]
