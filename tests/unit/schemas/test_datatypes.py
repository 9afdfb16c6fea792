"""The registry of data types: what it says, and that its entries are consistent."""

import datetime as dt
from dataclasses import replace

import polars as pl
import pytest

from bhds.core.errors import ConfigError
from bhds.core.markets import ARCHIVE_INTERVALS, Frequency, TradeType
from bhds.core.timegrid import TIME
from bhds.schemas.datatypes import BAR_TYPES, DATA_TYPES, RECORD_TYPES, data_type

SPOT, UM, CM = TradeType.SPOT, TradeType.UM_FUTURES, TradeType.CM_FUTURES
TABLES = [
    pytest.param(entry.table(trade_type), id=f"{trade_type} {entry.name}")
    for entry in DATA_TYPES.values()
    if entry.table is not None
    for trade_type in entry.trade_types
]


MARKETS = {
    "klines": {SPOT, UM, CM},
    "markPriceKlines": {UM, CM},
    "indexPriceKlines": {UM, CM},
    "premiumIndexKlines": {UM, CM},
    "fundingRate": {UM, CM},
    "liquidationSnapshot": {UM, CM},
    "metrics": {UM, CM},
    "aggTrades": {SPOT, UM, CM},
    "trades": {SPOT, UM, CM},
    "bookDepth": {UM, CM},
    "bookTicker": {UM, CM},
    "BVOLIndex": {TradeType.OPTION},
    "EOHSummary": {TradeType.OPTION},
}


def test_every_type_of_data_is_registered_with_its_markets():
    found = {name: set(entry.trade_types) for name, entry in DATA_TYPES.items()}

    assert found == MARKETS
    assert set(BAR_TYPES) | set(RECORD_TYPES) == set(DATA_TYPES)


def test_an_api_of_what_backfill_does_not_request_is_refused():
    metrics = data_type("metrics")

    with pytest.raises(ConfigError, match="'metrics': has_api is true, but backfill"):
        replace(metrics, has_api=True)


@pytest.mark.parametrize("entry", DATA_TYPES.values(), ids=list(DATA_TYPES))
def test_each_market_has_one_feed_a_frequency_the_monthly_first(entry):
    for trade_type in entry.trade_types:
        feeds = [feed for feed in entry.feeds if feed.trade_type is trade_type]
        frequencies = [feed.frequency for feed in feeds]
        expected = [f for f in (Frequency.MONTHLY, Frequency.DAILY) if f in frequencies]
        assert frequencies == expected
        assert {feed.intervals is not None for feed in feeds} == {entry.has_intervals}


@pytest.mark.parametrize("table", TABLES)
def test_a_table_can_be_made_from_its_fields(table):
    kept = {field.name for field in table.fields if field.is_kept}
    headers = [header for field in table.fields for header in field.published]

    assert len(headers) == len(set(headers))
    assert {*table.key, table.time} <= set(table.schema)
    if table.derive is None:
        assert set(table.schema) == kept | ({"source"} & set(table.schema))
    assert table.schema[table.time] == TIME
    assert table.published_time.is_time


@pytest.mark.parametrize(
    ("trade_type", "interval", "frequencies"),
    [
        pytest.param(SPOT, "1s", ["monthly", "daily"], id="seconds of spot"),
        pytest.param(SPOT, "3d", ["monthly"], id="no days of three days"),
        pytest.param(UM, "1s", [], id="no seconds of futures"),
        pytest.param(UM, "1mo", ["monthly", "daily"], id="months of futures"),
        pytest.param(UM, None, [], id="no interval"),
    ],
)
def test_klines_are_published_at_these_frequencies(trade_type, interval, frequencies):
    feeds = data_type("klines").feeds_of(trade_type, interval)

    assert [feed.frequency for feed in feeds] == frequencies


def test_intervals_of_a_market_are_in_order():
    assert data_type("klines").intervals_of(SPOT) == ARCHIVE_INTERVALS
    assert data_type("klines").intervals_of(CM)[0] == "1m"
    assert data_type("trades").intervals_of(CM) == ()


@pytest.mark.parametrize(
    ("name", "interval", "partition"),
    [
        ("klines", "1h", "all"),
        ("markPriceKlines", "1mo", "all"),
        ("fundingRate", None, "all"),
        ("klines", "30m", "2024"),
        ("klines", "1s", "2024-02"),
        ("metrics", None, "2024"),
        ("trades", None, "2024-02"),
        ("bookDepth", None, "2024-02"),
    ],
)
def test_a_partition_is_of_all_history_a_year_or_a_month(name, interval, partition):
    form = data_type(name).partition_size(interval).value

    assert dt.date(2024, 2, 29).strftime(form) == partition


def test_an_unknown_type_of_data_is_told_with_the_nearest():
    with pytest.raises(ConfigError, match="'kline': did you mean 'klines'"):
        data_type("kline")


def metrics_label(text, *, file_day, trade_type):
    rows = pl.DataFrame(
        {
            "raw_create_time": [dt.datetime.fromisoformat(f"{text}+00:00")],
            "file_day": [dt.date.fromisoformat(file_day)],
        },
        schema_overrides={"raw_create_time": TIME},
    )
    derived = data_type("metrics").table(trade_type).derive(rows, trade_type)
    return derived["create_time"].item().strftime("%Y-%m-%d %H:%M")


@pytest.mark.parametrize(
    ("label", "file_day", "trade_type", "start"),
    [
        ("2026-06-24 00:05", "2026-06-24", UM, "2026-06-24 00:00"),
        ("2026-06-25 00:00", "2026-06-24", UM, "2026-06-24 23:55"),
        ("2026-06-25 00:00", "2026-06-25", UM, "2026-06-25 00:00"),
        ("2026-06-25 23:55", "2026-06-25", UM, "2026-06-25 23:55"),
        ("2026-06-24 00:05", "2026-06-24", CM, "2026-06-24 00:05"),
    ],
)
def test_metrics_are_labelled_by_the_start_of_their_period(
    label, file_day, trade_type, start
):
    assert metrics_label(label, file_day=file_day, trade_type=trade_type) == start


def test_funding_is_due_at_the_nearest_minute():
    rows = pl.DataFrame(
        {"calc_time": [dt.datetime(2024, 1, 1, 8, 0, 0, 17_000, tzinfo=dt.UTC)]},
        schema_overrides={"calc_time": TIME},
    )

    derived = data_type("fundingRate").table(UM).derive(rows, UM)

    assert derived["funding_time"].item() == dt.datetime(2024, 1, 1, 8, tzinfo=dt.UTC)
    assert derived["mark_price"].dtype == pl.Float64
