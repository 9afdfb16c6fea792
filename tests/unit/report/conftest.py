"""A small data directory with all inputs of the report."""

import datetime as dt
import json

import polars as pl
import pytest

from bhds.archive.download import ledger
from bhds.backfill import unanswered
from bhds.core.markets import TradeType
from bhds.core.timegrid import TIME
from bhds.io import storage
from bhds.parse import revisions
from bhds.schemas import klines, quality_tables

START = dt.datetime(2025, 1, 30, tzinfo=dt.UTC)
AS_OF = dt.date(2025, 2, 4)
MARKUP = "<b>X</b>&USDT"
"""A symbol that would be markup if it were not escaped."""
SYMBOLS = ("AUSDT", MARKUP, "币安人生USDT")
_DAYS = (AS_OF - START.date()).days + 1
_MINUTE = dt.timedelta(minutes=1)


def day_rows(symbol, *, conditions, **more):
    """Make rows of `columns.CONDITION`, one a day from `START` on."""
    return [
        {
            "symbol": symbol,
            "day": START.date() + dt.timedelta(days=number),
            "expected": 1440,
            "daily": 1440 if condition == "available" else 0,
            "monthly": 0,
            "api": 1000 if condition == "degraded" else 0,
            "filled": 440 if condition == "degraded" else 0,
            "volume": 10.0,
            "conflicts": int(condition == "degraded"),
            **dict.fromkeys((*quality_tables.DAY_FAULTS, "missing_trade_ids"), 0),
            "has_file": condition == "available",
            "is_corrupt": False,
            "api_answer": None,
            "condition": condition,
            "reason": None if condition in {"available", "not_listed"} else "halt",
            "last_modified": START,
            **more,
        }
        for number, condition in enumerate(conditions)
    ]


def gap_row(symbol, *, begin, minutes, name, **more):
    """Make a row of `columns.CLASSIFIED_GAPS`; `begin` is in minutes from `START`."""
    last = START + begin * _MINUTE
    return {
        "symbol": symbol,
        "prev_open_time": last,
        "next_open_time": last + minutes * _MINUTE,
        "missing_bars": minutes - 1,
        "untraded_bars": 0,
        "duration": minutes * _MINUTE,
        "price_change": -0.25,
        "split": minutes > 1440,
        "trimmed": name == "delisted_tail",
        "empty_days": 0,
        "absent_days": 0,
        "first_absent_day": None,
        "truncated": False,
        "api": "empty",
        "n_peers": 2,
        "n_peers_silent": 0,
        "outage": None,
        "class": name,
        **more,
    }


def conflict_row(symbol, *, close, kept_close):
    """Make a row of `columns.conflicts` that differs in the close alone."""
    values = {"open": 10.0, "high": 12.0, "low": 9.0, "volume": 5.0, "trade_count": 3}
    more = {"quote_volume": 50.0, "taker_buy_volume": 2.0}
    values |= more | {"taker_buy_quote_volume": 20.0}
    dropped = {"source": "api", "key": None, **values, "close": close}
    kept = {"source": "daily", "key": "a/b/A.zip", **values, "close": kept_close}
    return {
        "symbol": symbol,
        "open_time": START,
        **dropped,
        **{f"kept_{name}": value for name, value in kept.items()},
    }


def of_series(rows, schema, *, market="spot", series="klines 1m"):
    """Make a table of some rows as `read_tables` returns it."""
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    return frame.with_columns(market=pl.lit(market), series=pl.lit(series))


def rows_of(table):
    """Return the rows of a table of the page, by the names of its columns."""
    names = [column.name for column in table.columns]
    return [dict(zip(names, row, strict=True)) for row in table.values()]


def result_of(*, missing=()):
    """Make six days of minutes, of which the `missing` were never published."""
    minutes = pl.int_range(_DAYS * 1440, eager=True)
    price = 100 + (minutes % 97).cast(pl.Float64)
    source = pl.when(minutes.is_in(list(missing))).then(pl.lit("filled"))
    return pl.select(
        open_time=pl.lit(START) + pl.duration(minutes=minutes),
        high=price + 1,
        low=price - 1,
        close=price,
        volume=(minutes % 13).cast(pl.Float64),
        source=source.otherwise(pl.lit("daily")),
    ).cast({"open_time": TIME, "source": klines.RESULT_SOURCES})


def zip_entry(file, *, integrity_status="ok", **more):
    """Make the entry of a zip in a partition's sources."""
    return {
        "key": f"data/spot/daily/klines/AUSDT/1m/{file}",
        "size": 1_000_000,
        "integrity_status": integrity_status,
        "reason": None if integrity_status == "ok" else "its sum differs",
        "warnings": [],
        "rows_read": 1440,
        "duplicates": 2,
        "conflicts": 0,
        "out_of_order": 0,
        **more,
    }


class DataDir:
    """Writes the outputs of the stages before the report."""

    def __init__(self, root):
        self.root = root
        self.tables = []

    def quality(self, market, name, rows, schema):
        path = f"results_data/{market}/quality/{name}.parquet"
        frame = pl.DataFrame(rows, schema=schema, orient="row")
        storage.write_parquet(frame, self.root / path, metadata={})
        self.tables.append(path)

    def result(self, market, symbol, frame):
        path = self.root / f"results_data/{market}/klines/1m/{symbol}.pqt"
        storage.write_parquet(frame, path, metadata={}, symbol=symbol)

    def sources(self, market, symbol, entries):
        content = {
            "trade_type": market,
            "data_type": "klines",
            "symbol": symbol,
            "interval": "1m",
            "inputs": entries,
        }
        folder = self.root / f"parsed_data/{market}/klines/{symbol}/1m"
        folder.mkdir(parents=True)
        (folder / "2025.sources.json").write_text(json.dumps(content))


def fill_spot(data):
    """Write bars, gaps and conflicts of spot."""
    kinds = {
        "AUSDT": ["available"] * 3 + ["degraded"] * 2 + ["pending"],
        MARKUP: ["missing"] * 6,
        "币安人生USDT": ["not_listed"] * 4 + ["available"] * 2,
    }
    days = [
        row for name, each in kinds.items() for row in day_rows(name, conditions=each)
    ]
    data.quality("spot", "condition-klines-1m", days, quality_tables.CONDITION)
    gaps = [
        gap_row("AUSDT", begin=4500, minutes=600, name="halt"),
        gap_row(MARKUP, begin=100, minutes=5, name="outage"),
    ]
    data.quality("spot", "gaps-1m", gaps, quality_tables.CLASSIFIED_GAPS)
    conflicts = [conflict_row("AUSDT", close=11.0, kept_close=10.0)]
    schema = quality_tables.conflicts(TradeType.SPOT)
    data.quality("spot", "conflicts-1m", conflicts, schema)
    for symbol in SYMBOLS:
        data.result("spot", symbol, result_of(missing=range(4501, 5100)))
    entries = [zip_entry("A-1.zip"), zip_entry("A-2.zip", integrity_status="corrupt")]
    data.sources("spot", "AUSDT", entries)


def fill_futures(data):
    """Write bars and comparisons of USD-M futures; nothing is missing there."""
    days = day_rows("AUSDT", conditions=["available"] * 6)
    data.quality("um_futures", "condition-klines-1m", days, quality_tables.CONDITION)
    data.quality("um_futures", "gaps-1m", [], quality_tables.CLASSIFIED_GAPS)
    reconciliation = [
        ("AUSDT", "1d", "close", 6, 6, 0, 0.0, None),
        ("AUSDT", "1d", "volume", 6, 5, 0, 0.5, START),
    ]
    data.quality(
        "um_futures", "reconciliation-1m", reconciliation, quality_tables.RECONCILIATION
    )
    checks = [("AUSDT", AS_OF, "aggTrades", 9.0, 10.0, -1.0, 0, False)]
    data.quality("um_futures", "volume_checks", checks, quality_tables.VOLUME_CHECKS)


def fill_records(data):
    """Record downloads, a replaced zip and an unanswered request."""
    keys = ["a.zip", "a.zip", "b.zip"]
    rows = {
        "key": keys,
        "size": [10, 12, 5],
        "sha256": ["1", "2", "3"],
        "first_seen": [START, START + _MINUTE, START],
    }
    ledger.append(data.root, rows=pl.DataFrame(rows))
    change = {
        "trade_type": "spot",
        "data_type": "klines",
        "symbol": "AUSDT",
        "interval": "1m",
        "key": "data/a.zip",
        "new_sha256": "2",
        "noticed_at": START,
        "rows_changed": 7,
        "column": "close",
        "max_rel_change": 0.5,
    }
    revisions.record(data.root, rows=pl.DataFrame([change]).cast({"noticed_at": TIME}))
    path = "api_data/spot/klines/AUSDT/1m/all.parquet"
    unanswered.record(data.root, path, requested_at=None, is_answered=False)


@pytest.fixture
def empty_dir(tmp_path):
    return DataDir(tmp_path / "data")


def fill(data):
    fill_spot(data)
    fill_futures(data)
    fill_records(data)
    return data


@pytest.fixture
def data_dir(empty_dir):
    return fill(empty_dir)
