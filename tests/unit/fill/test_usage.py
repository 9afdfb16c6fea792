"""The record of what the API was asked for."""

import datetime as dt

from bhds.fill import usage

ROW = {
    "asked_at": dt.datetime(2025, 3, 10, 12, tzinfo=dt.UTC),
    "path": "api_data/spot/klines/BTCUSDT/1m/2025.parquet",
    "requests": 3,
    "weight": 6,
    "refusals": 0,
    "rows": 1500,
}


def test_each_fill_that_asked_has_a_row(tmp_path):
    usage.append(tmp_path, **ROW)
    usage.append(tmp_path, **ROW | {"requests": 1})
    assert usage.compact(tmp_path) == 2

    usage.append(tmp_path, **ROW | {"requests": 9})

    record = usage.read(tmp_path)
    assert record.schema == usage.SCHEMA
    assert sorted(record["requests"]) == [1, 3, 9]
