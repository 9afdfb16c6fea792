import datetime as dt

import polars as pl
import pytest

from bhds.core.errors import ConfigError, ResultError
from bhds.core.markets import TradeType
from bhds.io import storage
from bhds.reader import scans
from bhds.schemas import datatypes
from bhds.schemas import klines as columns

from .conftest import START, make_bars, make_rows

DAY = 1440


def test_klines_of_all_symbols_are_results_with_the_symbol(data):
    bars = scans.scan_klines("um_futures", "1m", data_dir=data.folder)
    schema = columns.result_klines(TradeType.UM_FUTURES)
    assert bars.collect_schema() == {"symbol": pl.String()} | dict(schema)
    rows = bars.collect()
    assert rows.height == 5 * DAY
    assert rows.equals(rows.sort("symbol", "open_time"))


def test_klines_of_a_time_have_its_start_and_not_its_end(data):
    bars = scans.scan_klines(
        "um_futures",
        "1m",
        symbols=["AUSDT", "币安人生USDT"],
        start="2025-03-03",
        end="2025-03-03T00:02",
        data_dir=data.folder,
    ).collect()
    midnight = dt.datetime(2025, 3, 3, tzinfo=dt.UTC)
    after = midnight + dt.timedelta(minutes=1)
    assert bars.select("symbol", "open_time").rows() == [
        ("AUSDT", midnight),
        ("AUSDT", after),
        ("币安人生USDT", midnight),
        ("币安人生USDT", after),
    ]


@pytest.fixture
def resampled(data):
    """Hourly bars of AUSDT that begin at half past, from half past 0 of 1 March on."""
    schema = columns.resampled_klines(TradeType.UM_FUTURES)
    bars = make_bars(schema, days=3).gather_every(60, offset=30)
    storage.write_parquet(
        bars,
        data.path("resampled_klines/1h_30m/AUSDT.pqt"),
        metadata={"as_of": "2025-03-03", "base_interval": "1m"},
        symbol="AUSDT",
    )
    return data


def test_resampled_bars_are_of_a_rule(resampled):
    bars = scans.scan_resampled(
        "um_futures", "1h_30m", start="2025-03-03", data_dir=resampled.folder
    ).collect()
    assert bars["open_time"].dt.minute().unique().to_list() == [30]
    assert bars.height == 24
    assert bars["symbol"].unique().to_list() == ["AUSDT"]
    same = scans.scan_resampled("um_futures", "1h_1800s", data_dir=resampled.folder)
    assert same.collect().height == 3 * 24


@pytest.mark.parametrize(
    ("start", "end", "refused"),
    [
        # The bar of 23:30 on the 1st reaches into the 2nd, which is not available.
        ("2025-03-01", "2025-03-02", True),
        ("2025-03-01", "2025-03-01T23:30", False),
        # That of 23:30 on the 2nd does not open in this time.
        ("2025-03-02T23:45", "2025-03-03", False),
        ("2025-03-02T23:15", "2025-03-03", True),
        ("2025-03-03", None, False),
        # The last bar would reach into a day that is not to be asked for.
        ("2025-03-03", "2025-03-04", False),
    ],
)
def test_strict_looks_at_all_base_bars_of_a_bar(resampled, start, end, refused):
    resampled.condition(
        ["AUSDT 2025-03-01 available", "AUSDT 2025-03-02 degraded"],
        as_of="2025-03-03",
    )

    def scan():
        return scans.scan_resampled(
            "um_futures",
            "1h_30m",
            start=start,
            end=end,
            strict=True,
            data_dir=resampled.folder,
        )

    if refused:
        with pytest.raises(ResultError, match="AUSDT 2025-03-02 degraded"):
            scan()
    else:
        assert scan().collect_schema()["symbol"] == pl.String


@pytest.mark.parametrize(
    ("end", "refused"),
    [("2025-03-05", ["A"]), ("2025-03-06", ["A", "B"]), ("2025-03-04", [])],
)
def test_strict_windows_of_3d_bars_are_those_of_each_symbol(data, end, refused):
    """Of A a bar opens on the 4th, of B on the 5th; the 6th is not available."""
    schema = columns.resampled_klines(TradeType.UM_FUTURES)
    for symbol, first_phase in (("A", "0"), ("B", "1")):
        storage.write_parquet(
            make_bars(schema, days=1),
            data.path(f"resampled_klines/3d/{symbol}.pqt"),
            metadata={
                "base_interval": "1m",
                "as_of": "2025-03-31",
                "phase": first_phase,
                "phase_restarts": "",
                "phase_source": "api",
            },
            symbol=symbol,
        )
    days = ["available"] * 5 + ["degraded"] + ["available"] * 4
    data.condition(
        [f"{s} 2025-03-{n:02} {d}" for s in "AB" for n, d in enumerate(days, 1)],
        as_of="2025-03-31",
    )

    for symbol in "AB":
        arguments = {"symbols": symbol, "start": "2025-03-03T12", "end": end}
        if symbol in refused:
            with pytest.raises(ResultError, match=f"{symbol} 2025-03-06 degraded"):
                scans.scan_resampled(
                    "um_futures", "3d", strict=True, data_dir=data.folder, **arguments
                )
        else:
            scans.scan_resampled(
                "um_futures", "3d", strict=True, data_dir=data.folder, **arguments
            )


def test_resampled_bars_of_an_older_version_cannot_be_strict(data):
    schema = columns.resampled_klines(TradeType.UM_FUTURES)
    path = data.path("resampled_klines/1h/AUSDT.pqt")
    storage.write_parquet(make_bars(schema, days=1), path, metadata={}, symbol="AUSDT")
    assert (
        scans.scan_resampled("um_futures", "1h", data_dir=data.folder).collect().height
    )
    with pytest.raises(ResultError, match="built by another version of BHDS"):
        scans.scan_resampled("um_futures", "1h", strict=True, data_dir=data.folder)


def test_strict_klines_and_funding_are_held_against_their_own_condition(data):
    storage.write_parquet(
        columns.FUNDING.to_frame(),
        data.path("fundingRate/AUSDT.pqt"),
        metadata={"as_of": "2025-03-03"},
        symbol="AUSDT",
    )
    data.condition(["AUSDT 2025-03-01 missing"], as_of="2025-03-03")
    data.condition(
        ["AUSDT 2025-03-02 missing"], as_of="2025-03-03", series="fundingRate"
    )

    def klines(**period):
        return scans.scan_klines(
            "um_futures",
            "1m",
            symbols="AUSDT",
            strict=True,
            data_dir=data.folder,
            **period,
        )

    def funding(**period):
        return scans.scan_funding(
            "um_futures", strict=True, data_dir=data.folder, **period
        )

    assert klines(start="2025-03-02").collect().height == 2 * DAY
    with pytest.raises(ResultError, match="2025-03-01 missing"):
        klines()
    assert funding(start="2025-03-03").collect().is_empty()
    with pytest.raises(ResultError, match="2025-03-02 missing"):
        funding()


@pytest.fixture
def trades(data):
    """Trades of AUSDT: one a day, in two months."""
    schema = datatypes.data_type("trades").table(TradeType.UM_FUTURES).schema
    for month, days in {"2025-02": [27, 28], "2025-03": [1, 2]}.items():
        times = [f"{month}-{day:02}T12:00Z" for day in days]
        rows = make_rows(
            schema,
            id=[int(f"{month[-1]}{day}") for day in days],
            time=[dt.datetime.fromisoformat(time) for time in times],
        )
        storage.write_parquet(
            rows,
            data.folder / f"parsed_data/um_futures/trades/AUSDT/{month}.parquet",
            metadata={"as_of": f"{month}-{days[-1]:02}"},
            symbol="AUSDT",
        )
    return data


def test_records_are_read_over_partitions(trades):
    found = scans.scan_trades(
        "um_futures", start="2025-02-28", end="2025-03-02", data_dir=trades.folder
    )
    assert found.collect()["id"].to_list() == [228, 31]
    everything = scans.scan_records("um_futures", "trades", data_dir=trades.folder)
    assert everything.collect()["id"].to_list() == [227, 228, 31, 32]
    assert everything.collect_schema().names()[0] == "symbol"


def test_partitions_of_other_months_are_not_opened(trades):
    folder = trades.folder / "parsed_data/um_futures/trades/AUSDT"
    (folder / "2024-12.parquet").write_bytes(b"spoilt")
    found = scans.scan_trades(
        "um_futures", start="2025-02-28", data_dir=trades.folder
    ).collect()
    assert found.height == 3


def test_aggregate_trades_are_a_data_type_of_their_own(trades):
    with pytest.raises(ResultError, match="aggTrades: nothing was built"):
        scans.scan_agg_trades("um_futures", data_dir=trades.folder)


@pytest.mark.parametrize(
    ("market", "data_type", "interval", "message"),
    [
        ("um_futures", "aggTrade", None, "did you mean 'aggTrades'"),
        ("spot", "metrics", None, "spot has none; expected one of um_futures"),
        ("option", "BVOLIndex", None, "its zips are not parsed"),
        ("um_futures", "trades", "1m", "interval '1m'; expected none: leave it out"),
        ("um_futures", "klines", "1s", "interval '1s'; expected 1m, 3m"),
    ],
)
def test_data_that_a_market_does_not_have_are_refused(
    market, data_type, interval, message
):
    with pytest.raises(ConfigError, match=message):
        scans.scan_records(market, data_type, interval=interval)


def test_bars_of_partitions_have_an_interval(data):
    schema = columns.parsed_klines(TradeType.UM_FUTURES)
    storage.write_parquet(
        make_bars(schema, days=1),
        data.folder / "parsed_data/um_futures/klines/AUSDT/1m/2025.parquet",
        metadata={"as_of": "2025-03-01"},
        symbol="AUSDT",
    )
    rows = scans.scan_records("um_futures", "klines", data_dir=data.folder)
    assert rows.collect().height == DAY
    assert rows.collect()["open_time"].min() == START


@pytest.fixture
def mark_prices(data):
    """A day of mark prices, of which the API supplies two bars and improves one."""
    bars = make_bars(mark_price_schema(), days=1)
    lost = pl.int_range(pl.len()).is_between(600, 601)
    spoilt = pl.when(pl.int_range(pl.len()) == 7).then(-1.0).otherwise("low")
    archived = bars.with_columns(low=spoilt).filter(~lost)
    storage.write_parquet(
        archived,
        data.folder / "parsed_data/um_futures/markPriceKlines/AUSDT/1m/2025.parquet",
        metadata={"as_of": "2025-03-01"},
        symbol="AUSDT",
    )
    added = bars[[7, 600, 601]].with_columns(
        source=pl.lit("api").cast(bars.schema["source"])
    )
    write_backfill(added, data.folder, "markPriceKlines/AUSDT/1m/2025")
    return data


def mark_price_schema():
    return datatypes.data_type("markPriceKlines").table(TradeType.UM_FUTURES).schema


def write_backfill(rows, folder, name):
    path = folder / f"api_data/um_futures/{name}.parquet"
    storage.write_parquet(
        rows, path, metadata={"as_of": "2025-03-01"}, symbol=name.split("/")[1]
    )
    hole = {"start": "2025-03-01", "end": "2025-03-02", "found": rows.height}
    storage.write_json({"missing_ranges": [hole]}, path.with_suffix(".sources.json"))


def test_strict_records_of_an_available_day_have_the_rows_of_the_api(mark_prices):
    series = "markPriceKlines-1m"
    mark_prices.condition(
        ["AUSDT 2025-03-01 available"], as_of="2025-03-01", series=series
    )
    rows = scans.scan_records(
        "um_futures", "markPriceKlines", strict=True, data_dir=mark_prices.folder
    ).collect()
    whole = make_bars(mark_price_schema(), days=1).drop("source")
    assert rows.drop("symbol", "source").equals(whole)
    assert rows["source"].value_counts().sort("count").rows() == [
        ("api", 3),
        ("daily", DAY - 3),
    ]


@pytest.mark.parametrize("data_type", ["klines", "fundingRate"])
def test_records_that_results_are_made_of_have_the_rows_of_the_api(data, data_type):
    schema = datatypes.data_type(data_type).table(TradeType.UM_FUTURES).schema
    time = next(iter(schema))
    rows = make_rows(schema, **{time: [START, START + dt.timedelta(hours=8)]})
    below = "/1m" if data_type == "klines" else ""
    name = f"{data_type}/AUSDT{below}/2025"
    storage.write_parquet(
        rows[:1],
        data.folder / f"parsed_data/um_futures/{name}.parquet",
        metadata={},
        symbol="AUSDT",
    )
    write_backfill(rows[1:], data.folder, name)
    found = scans.scan_records("um_futures", data_type, data_dir=data.folder)
    assert found.collect()[time].to_list() == rows[time].to_list()


def test_strict_judges_symbols_without_rows_too(mark_prices):
    """Of the last days there is no file, of which the archive has lost all."""
    mark_prices.condition(
        ["AUSDT 2026-03-01 missing"], as_of="2026-03-01", series="markPriceKlines-1m"
    )
    with pytest.raises(ResultError, match="AUSDT 2026-03-01 missing"):
        scans.scan_records(
            "um_futures",
            "markPriceKlines",
            start="2026-03-01",
            end="2026-03-02",
            strict=True,
            data_dir=mark_prices.folder,
        )
