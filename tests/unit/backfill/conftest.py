"""A sandbox, a data directory, and partitions as the parse stage writes them."""

import datetime as dt
import json
from dataclasses import asdict

import polars as pl
import pytest

from bhds import config
from bhds.backfill.klines import Bars
from bhds.core.markets import Interval, TradeType
from bhds.io import storage
from bhds.sandbox.exchange import Exchange
from bhds.sandbox.server import serving
from bhds.sandbox.universe import Universe
from bhds.stages import backfill

UM = TradeType.UM_FUTURES
SYMBOL = "AUSDT"
UNIVERSE = Universe.model_validate(
    {
        "seed": 3,
        "symbols": [
            {
                "market": "um_futures",
                "name": SYMBOL,
                "base_asset": "A",
                "contract_type": "PERPETUAL",
                "listed": "2025-03-05T00:00:00Z",
                "price": 100,
                "price_decimals": 2,
                "tick": "0.01",
                "quantity_decimals": 3,
                "quantity_per_trade": 2,
                "trades_per_minute": 200,
            }
        ],
    }
)


@pytest.fixture
def running(tmp_path):
    exchange = Exchange(UNIVERSE.model_copy(deep=True), cache_dir=tmp_path / "cache")
    with exchange, serving(exchange) as served:
        yield served


class Workspace:
    """A data directory, the current one, and fills of one symbol's 1h bars in it."""

    folder = f"api_data/um_futures/klines/{SYMBOL}/1h"
    fill = f"{folder}/all.parquet"
    sources = f"{folder}/all.sources.json"
    answers = f"{folder}/all.answers.jsonl"

    def __init__(self, data_dir, running):
        self.data_dir = data_dir
        self.exchange = running.exchange
        self.endpoints = asdict(running.endpoints)
        self.bars = Bars(UM, "klines", SYMBOL, Interval.parse("1h"))

    @property
    def asked(self):
        return self.exchange.requests["um_futures/klines"]

    def published(self):
        """All bars that the sandbox has until 2025-03-10, as a partition has them."""
        endpoint = self.exchange.api.endpoints["/fapi/v1/klines"]
        answer = endpoint.answer({"symbol": SYMBOL, "interval": "1h", "limit": "1500"})
        rows = [tuple(map(float, row[:11])) for row in json.loads(answer)]
        rows = [(int(r[0]), *r[1:6], int(r[6]), r[7], int(r[8]), *r[9:]) for r in rows]
        before = pl.col("open_time") < dt.datetime(2025, 3, 10, tzinfo=dt.UTC)
        return (
            self.bars.frame(rows)
            .filter(before)
            .with_columns(source=pl.lit("daily").cast(self.bars.schema["source"]))
        )

    def parse(self, rows, *, days=range(5, 10), name="all"):
        """Write a partition of some rows, made from daily zips."""
        path = f"parsed_data/um_futures/klines/{SYMBOL}/1h/{name}.parquet"
        folder = f"data/futures/um/daily/klines/{SYMBOL}/1h"
        inputs = [
            {
                "key": f"{folder}/{SYMBOL}-1h-2025-03-{day:02}.zip",
                "integrity_status": "ok",
            }
            for day in days
        ]
        storage.write_parquet(rows, path, metadata={}, symbol=SYMBOL)
        storage.write_json(
            {"inputs": inputs}, path.replace(".parquet", ".sources.json")
        )
        return [path]

    def write_backfill(
        self,
        inputs,
        *,
        last_day="2025-03-09",
        requested_at=None,
        is_first=True,
        since=None,
        **settings,
    ):
        raw = {
            "endpoints": self.endpoints,
            "datasets": [{"trade_type": "um_futures", "interval": "1h"}],
            **settings,
        }
        backfill.write_backfill(
            inputs,
            backfill_path=self.fill,
            sources_path=self.sources,
            bounds={
                "first_day": dt.date(2025, 3, 5),
                "last_day": dt.date.fromisoformat(last_day),
                "is_first": is_first,
                "is_last": True,
                "since": since,
                "requested_at": requested_at,
            },
            settings=config.load(raw, environment={}),
            trade_type="um_futures",
            data_type="klines",
            symbol=SYMBOL,
            interval="1h",
        )
        return storage.read_rows(self.fill)

    def told(self):
        with (self.data_dir / self.sources).open() as file:
            return json.load(file)


@pytest.fixture
def workspace(tmp_path, running, monkeypatch):
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    monkeypatch.chdir(data_dir)
    return Workspace(data_dir, running)
