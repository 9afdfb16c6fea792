"""The quality stage from files: what is kept of symbols in, tables of a market out."""

import datetime as dt
import hashlib
from pathlib import Path

import polars as pl
import pytest

from bhds import __version__
from bhds.archive.listing.directory import Directory
from bhds.backfill.klines import Bars
from bhds.core.errors import ResultError
from bhds.core.markets import Frequency, Interval, TradeType
from bhds.io import storage
from bhds.quality import judged_until, reconciliation
from bhds.schemas.archive_tables import LISTING_SCHEMA
from bhds.schemas.klines import parsed_klines, result_klines
from bhds.schemas.quality_tables import (
    CLASSIFIED_GAPS,
    CONDITION,
    NOT_RECONCILED,
    RECONCILIATION,
    conflicts,
)
from bhds.stages import quality

DAY = 24 * 60
SPOT = TradeType.SPOT
SERIES = {"trade_type": "spot", "interval": "1m"}
AS_OF = dt.date(2024, 1, 4)
OUTPUT = "quality/table.parquet"
OUTPUTS = {"reconciliation": OUTPUT, "not_reconciled": "quality/days.parquet"}


@pytest.fixture(autouse=True)
def data_dir(tmp_path, monkeypatch):
    """Work in a data directory, as jobs do."""
    monkeypatch.chdir(tmp_path)


def sha256(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


@pytest.fixture
def gaps_file(gap, gaps_of, at):
    """Write the gaps of a symbol that lived for four days, and return the path."""

    def gaps_file(symbol, *spans):
        path = f"gaps/{symbol}.parquet"
        rows = [gap(*span, symbol=symbol) for span in spans]
        life = {"first_traded": at(0), "last_traded": at(4 * DAY - 1)}
        metadata = {name: time.isoformat() for name, time in life.items()}
        storage.write_parquet(gaps_of(*rows), path, metadata=metadata)
        return path

    return gaps_file


def test_gaps_of_all_symbols_are_classed_together(gaps_file):
    paths = [gaps_file(symbol, (100, 200)) for symbol in ("BUSDT", "AUSDT", "CUSDT")]
    paths.append(gaps_file("DUSDT"))

    quality.classify_gaps(paths, output=OUTPUT, as_of=AS_OF, **SERIES)

    table = pl.read_parquet(OUTPUT)
    assert table.schema == CLASSIFIED_GAPS
    assert table.select("symbol", "class", "n_peers", "n_peers_silent").rows() == [
        (symbol, "outage", 3, 2) for symbol in ("AUSDT", "BUSDT", "CUSDT")
    ]
    assert storage.read_parquet_metadata(OUTPUT) == {
        "version": __version__,
        "stage": "quality",
        "revision": str(quality.REVISION),
        "as_of": "2024-01-04",
        "inputs": " ".join(map(sha256, paths)),
    }


def test_gaps_of_another_form_are_named():
    storage.write_parquet(pl.DataFrame({"x": [1]}), "gaps/AUSDT.parquet", metadata={})

    with pytest.raises(ResultError, match=r"gaps/AUSDT\.parquet: its columns"):
        quality.classify_gaps(
            ["gaps/AUSDT.parquet"], output=OUTPUT, as_of=AS_OF, **SERIES
        )

    assert not Path(OUTPUT).exists()


def test_days_are_judged_by_their_gaps_and_their_zips(gaps_file, day, days_of):
    gaps = gaps_file("AUSDT", (2 * DAY - 1, 3 * DAY))
    quality.classify_gaps([gaps], output="quality/gaps.parquet", as_of=AS_OF, **SERIES)
    lost = {"daily": 0, "filled": DAY, "has_file": False, "api_answer": "empty"}
    rows = [day(f"2024-01-0{n}", **(lost if n == 3 else {})) for n in (1, 2, 3, 4)]
    storage.write_parquet(days_of(*rows), "days/AUSDT.parquet", metadata={})
    differing = {"symbol": "AUSDT", "day": dt.date(2024, 1, 2), "interval": "1d"}
    storage.write_parquet(
        pl.DataFrame([differing], schema=NOT_RECONCILED),
        "differing/AUSDT.parquet",
        metadata={},
    )
    directory = Directory(SPOT, Frequency.MONTHLY, "klines", "1m")
    changed = dt.datetime(2024, 2, 2, tzinfo=dt.UTC)
    key = f"{directory.prefix}AUSDT/1m/AUSDT-1m-2024-01.zip"
    listing = pl.DataFrame([(key, 1, "e", changed)], LISTING_SCHEMA, orient="row")
    storage.write_parquet(listing, directory.listing_path, metadata={})

    quality.classify_days(
        ["days/AUSDT.parquet"],
        gaps="quality/gaps.parquet",
        not_reconciled=["differing/AUSDT.parquet"],
        output=OUTPUT,
        as_of=AS_OF,
        **SERIES,
    )

    table = pl.read_parquet(OUTPUT)
    assert table.schema == CONDITION
    assert table["condition"].to_list() == [
        *("available", "degraded", "pending", "available"),
    ]
    assert table["last_modified"].to_list() == [changed] * 4


@pytest.fixture
def metrics(at, zip_entry):
    """Write a partition of metrics of two days, and return its path."""

    def metrics(symbol):
        folder = f"parsed_data/um_futures/metrics/{symbol}"
        times = pl.Series([at(0), at(DAY)])
        storage.write_parquet(
            pl.DataFrame({"create_time": times}),
            f"{folder}/2024.parquet",
            metadata={},
            symbol=symbol,
        )
        days = [
            {"day": f"2024-01-0{n}", "expected": 288, "present": 288} for n in (1, 2)
        ]
        sources = {
            "last_day": None,
            "days": days,
            "inputs": [zip_entry(each["day"], first=0) for each in days],
        }
        storage.write_json(sources, f"{folder}/2024.sources.json")
        return f"{folder}/2024.parquet"

    return metrics


def rated_days(paths, *, series="metrics", as_of=AS_OF, **options):
    quality.classify_record_days(
        paths,
        output=OUTPUT,
        trade_type="um_futures",
        series=series,
        as_of=as_of,
        **options,
    )
    return pl.read_parquet(OUTPUT)


def test_days_of_records_are_judged_by_symbol(metrics):
    paths = [metrics(symbol) for symbol in ("AUSDT", "BUSDT")]

    table = rated_days(paths)

    assert table.select("symbol", pl.col("day").dt.day(), "condition").rows() == [
        (symbol, number, "available" if number < 3 else "pending")
        for symbol in ("AUSDT", "BUSDT")
        for number in (1, 2, 3, 4)
    ]


def test_records_of_symbols_that_are_known_to_have_ended_are_not_listed(metrics):
    paths = [metrics(symbol) for symbol in ("AUSDT", "BUSDT")]

    table = rated_days(paths, ended=["AUSDT"]).filter(pl.col("day").dt.day() > 2)

    assert table.select("symbol", "condition", "reason").unique().sort(
        "symbol"
    ).rows() == [
        ("AUSDT", "not_listed", "no_longer_listed"),
        ("BUSDT", "pending", "not_published"),
    ]


def test_a_stall_of_the_archive_does_not_shorten_the_last_day(metrics):
    path = metrics("AUSDT")
    sources = storage.read_sources(path)
    sources["days"][-1]["present"] = 144
    noon = "2024-01-02T11:55:00+00:00"
    sources["inputs"][-1]["last_time"] = noon
    storage.write_json(sources, path.replace(".parquet", ".sources.json"))

    def last_day(ended):
        table = rated_days([path], as_of=dt.date(2024, 1, 20), ended=ended)
        table = table.filter(pl.col("day").dt.day() == 2)
        return table.select("expected", "condition").row(0)

    assert last_day(ended=[]) == (288, "degraded")
    assert last_day(ended=["AUSDT"]) == (144, "available")


def test_rows_of_fills_count_by_their_times(metrics, at, hole):
    partition = metrics("AUSDT")
    fill = "api_data/um_futures/metrics/AUSDT/all.parquet"
    times = pl.Series([at(2 * DAY), at(2 * DAY + 5)])
    storage.write_parquet(pl.DataFrame({"create_time": times}), fill, metadata={})
    sources = {"last_day": "2024-01-03", "rows": 2, "missing_ranges": [hole(0, DAY)]}
    storage.write_json(sources, fill.replace(".parquet", ".sources.json"))

    table = rated_days([partition, fill], as_of=dt.date(2024, 1, 3))

    assert table.select("daily", "api", "condition").rows()[2] == (0, 2, "degraded")


@pytest.mark.parametrize(
    ("replaced", "expected"),
    [
        pytest.param([7], (23, "available", None), id="all"),
        pytest.param([7, 9], (22, "available", None), id="another too"),
        pytest.param([9], (23, "degraded", "impossible_values"), id="another"),
        pytest.param([], (24, "degraded", "impossible_values"), id="none"),
    ],
)
def test_impossible_bars_that_a_backfill_replaces_do_not_degrade_a_day(
    replaced, expected, at, zip_entry, hole
):
    """Conditions count the rows that readers get."""
    kind = Bars(TradeType.UM_FUTURES, "markPriceKlines", "AUSDT", Interval.parse("1h"))
    hours = pl.Series([at(60 * hour) for hour in range(24)]).dt.epoch("ms")
    bars = kind.frame(
        [(hour, *[1.0] * 4, 0.0, hour, 0.0, 0, 0.0, 0.0) for hour in hours]
    )
    hour = pl.col("open_time").dt.hour()
    paths = [
        f"{folder}/um_futures/markPriceKlines/AUSDT/1h/2024.parquet"
        for folder in ("parsed_data", "api_data")
    ]
    tables = [
        bars.with_columns(
            low=pl.when(hour == 7).then(0.0).otherwise("low"),
            source=pl.lit("daily").cast(bars.schema["source"]),
        ),
        bars.filter(hour.is_in(replaced)),
    ]
    counts = {"expected": 24, "present": 24, "daily": 24, "impossible": 1}
    found = {"reason": "impossible", "found": len(replaced)}
    sources = [
        {
            "last_day": "2024-01-01",
            "days": [{"day": "2024-01-01", **counts}],
            "inputs": [zip_entry("2024-01-01", first=0)],
        },
        {
            "last_day": "2024-01-01",
            "rows": len(replaced),
            "days": [],
            "missing_ranges": [hole(0, DAY, "part") | found],
        },
    ]
    for path, table, each in zip(paths, tables, sources, strict=True):
        storage.write_parquet(table, path, metadata={}, symbol="AUSDT")
        storage.write_json(each, path.replace(".parquet", ".sources.json"))

    found = rated_days(paths, series="markPriceKlines-1h", as_of=dt.date(2024, 1, 1))

    (day,) = found.to_dicts()
    assert (day["daily"], day["condition"], day["reason"]) == expected
    assert day["api"] == len(replaced)


def test_data_that_is_not_parsed_has_no_days():
    with pytest.raises(ResultError, match="BVOLIndex: its files are not parsed"):
        quality.classify_record_days(
            [], output=OUTPUT, trade_type="option", series="BVOLIndex", as_of=AS_OF
        )


@pytest.fixture
def bars(at):
    """Write bars of some length from 2024-01-01 on, all alike; return the path."""

    def bars(path, schema, *, number, minutes, each):
        data = {
            "open_time": [at(minutes * n) for n in range(number)],
            "source": ["daily"] * number,
        }
        for name in ("open", "high", "low", "close"):
            data[name] = [5.0] * number
        names = [n for n in schema if n.endswith("volume") or n == "trade_count"]
        data |= {name: [each] * number for name in names}
        frame = pl.DataFrame(data, schema={name: schema[name] for name in data})
        if "segment" in schema:
            frame = frame.with_columns(segment=pl.lit(0, schema["segment"]))
        missing = [
            pl.lit(None, schema[n]).alias(n) for n in schema if n not in frame.columns
        ]
        storage.write_parquet(
            frame.with_columns(missing).select(schema.names()),
            path,
            metadata={},
            symbol="AUSDT",
        )
        return path

    return bars


@pytest.fixture
def compared(bars, day, days_of):
    """Compare a day of minutes with bars of other intervals, and return the paths."""

    def compared(*, number=DAY, off_grid=0, **published):
        result = bars("r.pqt", result_klines(SPOT), number=number, minutes=1, each=1)
        rows = days_of(day("2024-01-01", off_grid=off_grid))
        storage.write_parquet(rows, "days.parquet", metadata={})
        quality.reconcile_klines(
            result,
            list(published.values()),
            days="days.parquet",
            intervals={name.removeprefix("_"): 1 for name in published},
            outputs=OUTPUTS,
            symbol="AUSDT",
            **SERIES,
        )
        return [result, "days.parquet", *published.values()]

    return compared


def test_results_are_compared_with_every_longer_interval(bars, compared, caplog):
    published = parsed_klines(SPOT)
    hours = bars("h.parquet", published, number=24, minutes=60, each=60)
    days = bars("d.parquet", published, number=1, minutes=DAY, each=1439)

    inputs = compared(_1h=hours, _1d=days)

    table = pl.read_parquet(OUTPUT)
    assert table.schema == RECONCILIATION
    counts = table.filter(column="trade_count")
    assert counts.select(
        "interval", "n_compared", "n_equal", "max_abs_diff"
    ).rows() == [
        ("1h", 24, 24, None),
        ("1d", 1, 0, 1.0),
    ]
    differing = pl.read_parquet(OUTPUTS["not_reconciled"])
    assert differing.schema == NOT_RECONCILED
    assert differing.select("interval", "day").rows() == [("1d", dt.date(2024, 1, 1))]
    assert caplog.messages == []
    for path in OUTPUTS.values():
        metadata = storage.read_parquet_metadata(path)
        assert metadata["revision"] == str(reconciliation.REVISION)
        assert metadata["inputs"] == " ".join(map(sha256, inputs))


def test_days_off_the_grid_are_not_compared(bars, compared, caplog):
    hours = bars("h.parquet", parsed_klines(SPOT), number=24, minutes=60, each=59)

    compared(off_grid=3, _1h=hours)

    counts = pl.read_parquet(OUTPUT).select("n_compared", "off_grid").unique()
    assert counts.rows() == [(0, 24)]
    assert pl.read_parquet(OUTPUTS["not_reconciled"]).is_empty()
    assert caplog.messages == []


def test_a_comparison_of_no_bars_is_warned_of(bars, compared, caplog):
    days = bars("d.parquet", parsed_klines(SPOT), number=2, minutes=DAY, each=DAY)

    compared(number=DAY - 1, _1d=days)

    assert caplog.messages == [
        f"{OUTPUT}: none of 2 published 1d bars has a whole one of the result to be "
        "compared with"
    ]


def test_tables_of_symbols_are_put_together():
    row = {"symbol": "AUSDT", "interval": "1h", "column": "open", "n_compared": 1}
    for name in "BA":
        frame = pl.DataFrame([row | {"symbol": name}], schema=RECONCILIATION)
        storage.write_parquet(frame, f"{name}.parquet", metadata={})

    quality.collect_reconciliation(["B.parquet", "A.parquet"], output=OUTPUT)

    assert pl.read_parquet(OUTPUT)["symbol"].to_list() == ["B", "A"]


def test_conflicts_of_symbols_are_put_together():
    schema = conflicts(SPOT)
    for name in "BA":
        frame = pl.DataFrame([{"symbol": name}], schema=schema)
        storage.write_parquet(frame, f"{name}.parquet", metadata={})

    quality.collect_conflicts(
        ["B.parquet", "A.parquet"], output=OUTPUT, trade_type="spot"
    )

    table = pl.read_parquet(OUTPUT)
    assert table.schema == schema
    assert table["symbol"].to_list() == ["A", "B"]


def listed(series, symbol, *days):
    """List daily zips of a symbol."""
    interval = series.partition("-")[2] or None
    data_type = series.partition("-")[0]
    directory = Directory(TradeType.UM_FUTURES, Frequency.DAILY, data_type, interval)
    middle = interval or data_type
    keys = [
        f"{directory.symbol_prefix(symbol)}{symbol}-{middle}-{day}.zip" for day in days
    ]
    changed = dt.datetime(2024, 2, 2, tzinfo=dt.UTC)
    rows = [(key, 1, "e", changed) for key in keys]
    table = pl.DataFrame(rows, schema=LISTING_SCHEMA, orient="row")
    storage.write_parquet(table, directory.listing_path, metadata={})


@pytest.mark.parametrize(
    ("later", "expected"),
    [
        pytest.param(["2024-03-01"], ["missing"] * 5, id="its files go on"),
        pytest.param([], ["not_listed"] * 5, id="it has no later file"),
    ],
)
def test_no_day_after_the_end_of_a_symbol_is_judged(metrics, later, expected):
    """But those before it are due, however far the market goes."""
    paths = [metrics(symbol) for symbol in ("AUSDT", "BUSDT")]
    listed("metrics", "AUSDT", *later)
    end = dt.date(2024, 1, 7)

    table = rated_days(
        paths, as_of=dt.date(2024, 2, 20), ended=["AUSDT"], ends={"AUSDT": end}
    )

    of_symbol = table.filter(pl.col("symbol") == "AUSDT")
    assert of_symbol["day"].max() == end
    assert of_symbol["condition"].to_list()[2:] == expected
    assert judged_until.of_metadata(storage.read_parquet_metadata(OUTPUT)) == (
        dt.date(2024, 2, 20),
        {"AUSDT": end},
    )
