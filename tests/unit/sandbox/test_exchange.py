import datetime as dt
import json
import tempfile

import pytest

from bhds.core.errors import ConfigError
from bhds.core.markets import TradeType
from bhds.io import runs
from bhds.sandbox.exchange import Exchange
from bhds.sandbox.limits import BUDGETS, Budget, LimitEnforcer, LimitPool

START = dt.datetime(2025, 1, 5, tzinfo=dt.UTC)
END = START + dt.timedelta(minutes=3)
UM, CM, SPOT = TradeType.UM_FUTURES, TradeType.CM_FUTURES, TradeType.SPOT


def opened(exchange, path, name="AAAUSDT", interval="1m", count=5):
    """Return how many minutes after `START` the first bars from it on open."""
    start = int(START.timestamp()) * 1000
    parameter = "pair" if path.endswith("indexPriceKlines") else "symbol"
    asked = {parameter: name, "interval": interval, "startTime": str(start)}
    asked["endTime"] = str(start + count * 60_000 - 1)
    rows = json.loads(exchange.api.endpoints[path].answer(asked))
    return [(row[0] - start) // 60_000 for row in rows]


def test_bars_that_the_api_withholds_are_in_the_archive(exchange):
    key = "data/futures/um/daily/klines/AAAUSDT/1m/AAAUSDT-1m-2025-01-05.zip"
    before = exchange.store.describe([key])

    exchange.api_withhold(UM, "AAAUSDT", START, END)

    assert opened(exchange, "/fapi/v1/klines") == [3, 4]
    assert opened(exchange, "/fapi/v1/markPriceKlines") == [3, 4]
    assert opened(exchange, "/fapi/v1/klines", interval="3m", count=6) == [3]
    assert opened(exchange, "/api/v3/klines") == [0, 1, 2, 3, 4]
    assert exchange.store.describe([key]) == before


def test_bars_may_be_withheld_of_one_type_and_interval(exchange):
    exchange.api_withhold(
        CM, "AAAUSD", START, END, data_type="indexPriceKlines", interval="1m"
    )
    path = "/dapi/v1/indexPriceKlines"

    assert opened(exchange, path, "AAAUSD") == [3, 4]
    assert opened(exchange, path, "AAAUSD", "3m", 6) == [0, 3]
    exchange.api_withhold(UM, "AAAUSDT", START, END, data_type="markPriceKlines")
    assert opened(exchange, "/fapi/v1/markPriceKlines") == [3, 4]
    assert opened(exchange, "/fapi/v1/klines") == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("given", "options"),
    [
        ((UM, "NONE", START, END), {}),
        ((SPOT, "AAAUSDT", START, END), {"data_type": "markPriceKlines"}),
        ((CM, "AAAUSD", START, END), {"data_type": "klines"}),
        ((UM, "AAAUSDT", START, END), {"interval": "1M"}),
        ((UM, "AAAUSDT", END, START), {}),
    ],
)
def test_a_hole_that_can_never_be_seen_is_refused(exchange, given, options):
    with pytest.raises(ConfigError, match="expected"):
        exchange.api_withhold(*given, **options)

    assert exchange.publication.holes == []


def test_budgets_can_be_given(universe, tmp_path):
    limiter = LimitEnforcer(BUDGETS | {LimitPool.FUTURES: Budget(30, window_s=2)})

    with Exchange(universe, cache_dir=tmp_path, limiter=limiter) as exchange:
        told = [
            json.loads(exchange.api.endpoints[f"{root}/exchangeInfo"].answer({}))
            for root in ("/fapi/v1", "/api/v3")
        ]
    limits = [info["rateLimits"][0] for info in told]
    assert [
        (each["interval"], each["intervalNum"], each["limit"]) for each in limits
    ] == [("SECOND", 2, 30), ("MINUTE", 1, 6_000)]


def test_its_temporary_folder_is_named_by_its_process(tmp_path, monkeypatch):
    """So a later run removes it if this process is killed."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    with Exchange():
        (folder,) = tmp_path.iterdir()
        assert folder.name.startswith(f"bhds-sandbox-{runs.current().name}-")

    assert list(tmp_path.iterdir()) == []
