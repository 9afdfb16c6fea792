"""The record of what the API was asked for."""

import datetime as dt

from bhds.backfill import api_use
from bhds.schemas.api_tables import API_USE

ROW = {
    "requested_at": dt.datetime(2025, 3, 10, 12, tzinfo=dt.UTC),
    "path": "api_data/spot/klines/BTCUSDT/1m/all.parquet",
    "requests": 3,
    "weight": 6,
    "refusals": 0,
    "rows": 1500,
}


def test_each_fill_that_asked_has_a_row(tmp_path):
    api_use.append(tmp_path, **ROW)
    api_use.append(tmp_path, **ROW | {"requests": 1})
    assert api_use.compact(tmp_path) == 2

    api_use.append(tmp_path, **ROW | {"requests": 9})

    record = api_use.read(tmp_path)
    assert record.schema == API_USE
    assert sorted(record["requests"]) == [1, 3, 9]
