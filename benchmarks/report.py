"""Measure the quality report of a thousand symbols: CPU, memory, size of the page.

Run: `python benchmarks/report.py [--symbols 1000] [--gaps 100] [--keep DIR]`. It lays
out what the stages before would leave of um 1m klines over 80 months, with funding and
metrics, in a temporary folder: days, gaps, conflicts, reconciliation, sources of seven
partitions a symbol, the ledger, and a year of bars of each symbol. Then it writes the
report in a process of its own, with one thread, as a job does.
"""

import argparse
import datetime as dt
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import polars as pl

from bhds.archive.download import ledger
from bhds.core.markets import TradeType
from bhds.core.timegrid import TIME
from bhds.io import storage
from bhds.schemas import klines, quality_tables

MARKET = "um_futures"
AS_OF = dt.date(2025, 8, 31)
MONTHS = 80
CONFLICTS = 5
LIMIT_BYTES = 15_000_000
_FIRST = dt.date(2019, 1, 1)
_DAYS = (AS_OF - _FIRST).days + 1
_YEAR = 365 * 1440
_MISSING, _DEGRADED = 4, 20
"""How many of a thousand days."""

CHILD = """
import datetime as dt, glob, sys, time
from bhds.report import job
began = time.process_time()
tables = sorted(glob.glob("results_data/*/quality/*.parquet"))
job.write_report(
    tables, output="reports/quality.html", as_of=dt.date.fromisoformat(sys.argv[1])
)
print(time.process_time() - began)
"""


def main() -> int:
    """Lay out, measure, print; return 1 if the page is larger than it may be."""
    parser = argparse.ArgumentParser(description="Measure the quality report.")
    parser.add_argument("--symbols", type=int, default=1000)
    parser.add_argument("--gaps", type=int, default=100, help="of each symbol")
    parser.add_argument("--keep", type=Path, help="where the data is to stay")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = arguments.keep or Path(folder)
        lay_out(root, symbols=arguments.symbols, gaps=arguments.gaps)
        work_s = measure(root)
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        size = (root / "reports" / "quality.html").stat().st_size
    print(
        f"{arguments.symbols:,} symbols, {MONTHS} months: "
        f"{usage.ru_utime + usage.ru_stime:.1f} CPU s ({work_s:.1f} without imports), "
        f"{usage.ru_maxrss / 1024:.0f} MB, page {size / 1e6:.1f} MB"
    )
    return int(size > LIMIT_BYTES)


def measure(root: Path) -> float:
    """Write the report in a process of its own; return the CPU seconds of the work."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD, AS_OF.isoformat()],
        cwd=root,
        env={**os.environ, "POLARS_MAX_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return float(done.stdout)


def lay_out(root: Path, *, symbols: int, gaps: int) -> None:
    """Write what the report reads, of a number of symbols."""
    names = pl.DataFrame({"symbol": [f"S{n:04d}USDT" for n in range(symbols)]})
    names = names.with_row_index("n").cast({"n": pl.Int64})
    for series, expected in (("klines-1m", 1440), ("fundingRate", 3), ("metrics", 288)):
        write(root, f"condition-{series}", days_of(names, expected=expected))
    write(root, "gaps-1m", gaps_of(names, number=gaps))
    write(root, "conflicts-1m", conflicts_of(names))
    write(root, "reconciliation-1m", agreement_of(names))
    write_bars(root, symbols=names["symbol"])
    for symbol in names["symbol"]:
        write_sources(root, symbol=symbol)
    write_ledger(root, names)


def write(root: Path, name: str, frame: pl.DataFrame) -> None:
    """Write one table of the market."""
    path = root / f"results_data/{MARKET}/quality/{name}.parquet"
    storage.write_parquet(frame, path, metadata={})


def days_of(names: pl.DataFrame, *, expected: int) -> pl.DataFrame:
    """Make days of symbols that were listed one after another, some of them bad."""
    days = pl.select(day=pl.date_range(_FIRST, AS_OF))
    age = (pl.col("day") - _FIRST).dt.total_days() - pl.col("n") * 2
    luck = (pl.col("n") * 7919 + pl.col("day").cast(pl.Int32) * 104_729) % 1000
    condition = (
        pl.when(luck < _MISSING)
        .then(pl.lit("missing"))
        .when(luck < _MISSING + _DEGRADED)
        .then(pl.lit("degraded"))
        .otherwise(pl.lit("available"))
    )
    rows = (
        names.join(days, how="cross").filter(age >= 0).with_columns(condition=condition)
    )
    is_whole = pl.col("condition") == "available"
    has_some = pl.col("condition") != "missing"
    made = {
        "expected": pl.lit(expected),
        "daily": pl.lit(0),
        "monthly": pl.when(has_some).then(expected).otherwise(0),
        "api": pl.lit(0),
        "filled": pl.when(is_whole).then(0).otherwise(expected // 10),
        "volume": pl.lit(1e6),
        **dict.fromkeys(
            ("conflicts", *quality_tables.DAY_FAULTS, "missing_trade_ids"), pl.lit(0)
        ),
        "has_file": has_some,
        "is_corrupt": pl.lit(value=False),
        "api_answer": pl.lit(None),
        "reason": pl.when(~is_whole).then(pl.lit("halt")),
        "last_modified": pl.col("day").cast(TIME),
    }
    return rows.with_columns(**made).select(
        pl.col(name).cast(dtype) for name, dtype in quality_tables.CONDITION.items()
    )


def gaps_of(names: pl.DataFrame, *, number: int) -> pl.DataFrame:
    """Make gaps of a minute to two days, of every class, all over the time."""
    k = pl.DataFrame({"k": range(number)})
    minutes = (pl.col("n") * 31 + pl.col("k") * 977) % 2880 + 2
    begin = pl.lit(_FIRST).cast(TIME) + pl.duration(
        days=pl.col("n") * 2 + pl.col("k") * 11 % 300, minutes=pl.col("k") * 37
    )
    classes = quality_tables.GAP_CLASSES.categories.to_list()
    made = {
        "prev_open_time": begin,
        "next_open_time": begin + pl.duration(minutes=minutes),
        "missing_bars": minutes - 1,
        "untraded_bars": pl.lit(0),
        "duration": pl.duration(minutes=minutes),
        "price_change": pl.lit(-0.01),
        "split": pl.col("k") == 0,
        "trimmed": pl.lit(value=False),
        "empty_days": pl.lit(0),
        "absent_days": pl.lit(0),
        "first_absent_day": pl.lit(None),
        "truncated": pl.lit(value=False),
        "api": pl.lit("empty"),
        "n_peers": pl.lit(900),
        "n_peers_silent": pl.lit(3),
        "outage": pl.lit(None),
        "class": (pl.col("k") % len(classes)).replace_strict(
            range(len(classes)), classes
        ),
    }
    return (
        names.join(k, how="cross")
        .with_columns(**made)
        .select(
            pl.col(name).cast(dtype)
            for name, dtype in quality_tables.CLASSIFIED_GAPS.items()
        )
    )


def conflicts_of(names: pl.DataFrame) -> pl.DataFrame:
    """Make a few conflicts of each symbol."""
    schema = quality_tables.conflicts(TradeType(MARKET))
    k = pl.DataFrame({"k": range(CONFLICTS)})
    rows = names.join(k, how="cross").with_columns(
        open_time=pl.lit(_FIRST).cast(TIME) + pl.duration(minutes="k")
    )
    made = {}
    for name, dtype in schema.items():
        if dtype == klines.SOURCES:
            made[name] = pl.lit("daily" if name.startswith("kept_") else "api")
        elif dtype.is_numeric():
            made[name] = 100 + pl.col("k") * (1 if name == "close" else 0)
        elif name not in {"symbol", "open_time"}:
            made[name] = pl.lit(None)
    return rows.with_columns(**made).select(
        pl.col(name).cast(dtype) for name, dtype in schema.items()
    )


def agreement_of(names: pl.DataFrame) -> pl.DataFrame:
    """Make the reconciliation of eight columns with days of each symbol."""
    measured = pl.DataFrame(
        {"column": ["open", "high", "low", "close", "trade_count", "volume", "a", "b"]}
    )
    made = {
        "interval": pl.lit("1d"),
        "n_compared": pl.lit(2000),
        "n_equal": 2000 - (pl.col("n") % 50 == 0),
        "max_abs_diff": pl.lit(0.5),
        "max_abs_diff_time": pl.lit(_FIRST).cast(TIME),
    }
    return (
        names.join(measured, how="cross")
        .with_columns(**made)
        .select(
            pl.col(name).cast(dtype)
            for name, dtype in quality_tables.RECONCILIATION.items()
        )
    )


def write_bars(root: Path, *, symbols: Iterable[str]) -> None:
    """Write a year of minutes of all symbols: one file, by many names."""
    price = 100 + (pl.col("n") % 977) / 10
    bars = pl.DataFrame({"n": pl.int_range(_YEAR, eager=True)}).select(
        open_time=pl.lit(_FIRST).cast(TIME) + pl.duration(minutes="n"),
        high=price + 1,
        low=price - 1,
        close=price,
        volume=pl.lit(5.0),
        source=pl.lit("daily").cast(klines.RESULT_SOURCES),
    )
    folder = root / f"results_data/{MARKET}/klines/1m"
    storage.write_parquet(bars, folder / ".bars.pqt", metadata={})
    for symbol in symbols:
        (folder / f"{symbol}.pqt").hardlink_to(folder / ".bars.pqt")


def write_sources(root: Path, *, symbol: str) -> None:
    """Write what lies beside seven partitions, of twelve monthly zips each."""
    entry = {
        "size": 2_000_000,
        "sha256": "0" * 64,
        "published_sha256": "0" * 64,
        "integrity_status": "ok",
        "reason": None,
        "warnings": [],
        "rows_read": 43_200,
        "rows_kept": 43_200,
        "duplicates": 0,
        "conflicts": 0,
        "out_of_order": 0,
    }
    for year in range(2019, 2026):
        days = pl.date_range(dt.date(year, 1, 1), dt.date(year, 12, 31), eager=True)
        content = {
            "trade_type": MARKET,
            "data_type": "klines",
            "symbol": symbol,
            "interval": "1m",
            "inputs": [{**entry, "key": f"data/{symbol}-{m}.zip"} for m in range(12)],
            "days": [
                {"day": day.isoformat(), "expected": 1440, "present": 1440}
                for day in days
            ],
        }
        path = root / f"parsed_data/{MARKET}/klines/{symbol}/1m/{year}.sources.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=2), encoding="utf-8")


def write_ledger(root: Path, names: pl.DataFrame) -> None:
    """Write the downloads of a zip and its CHECKSUM a month."""
    rows = names.join(pl.DataFrame({"k": range(2 * MONTHS)}), how="cross").select(
        key=pl.format("data/futures/um/{}-{}.zip", "symbol", "k"),
        size=pl.lit(2_000_000),
        sha256=pl.col("symbol"),
        first_seen=pl.lit(_FIRST).cast(TIME),
    )
    ledger.append(root, rows=rows)


if __name__ == "__main__":
    sys.exit(main())
