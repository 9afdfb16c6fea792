"""Measure what reading costs: `bhds.scan_klines` over the results of many symbols.

    python benchmarks/read.py [--symbols 1000] [--days 200]

One result of 1m bars is made up, and copied for every symbol with its name in place of
the first one (50 kB a day); each query runs in a process of its own. It prints wall and
CPU seconds, the bytes that the process asked the system for, and its peak memory.
"""

import argparse
import datetime as dt
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl

import bhds
from bhds.core.markets import TradeType
from bhds.io import storage
from bhds.schemas import klines

START = dt.datetime(2023, 1, 1, tzinfo=dt.UTC)
PRICES = {"open", "high", "low", "close", "vwap"}


def bars(days: int) -> pl.DataFrame:
    """Make up a result: a random walk, and volumes that compress as badly as real."""
    height = days * 1440
    draw = random.Random(1)  # noqa: S311
    end = START + dt.timedelta(minutes=height - 1)
    times = pl.datetime_range(START, end, "1m", eager=True, time_unit="us")
    steps = pl.Series([draw.gauss(0, 1e-4) for _ in range(height)])
    prices = (steps.cum_sum().exp() * 100).round(4)
    volumes = pl.Series([draw.expovariate(0.01) for _ in range(height)]).round(3)
    schema = klines.result_klines(TradeType.UM_FUTURES)
    constant = {"funding_rate": None, "segment": 0, "source": "monthly"}
    given = {"open_time": times} | dict.fromkeys(PRICES, prices)
    return pl.select(
        pl.repeat(constant[name], height, dtype=schema[name]).alias(name)
        if name in constant
        else given.get(name, volumes).cast(schema[name]).alias(name)
        for name in schema
    )


def lay_out(folder: Path, *, symbols: int, days: int) -> None:
    """Write the results of some symbols."""
    root = folder / "results_data" / "um_futures" / "klines" / "1m"
    first = root / "S0000USDT.pqt"
    last = (START + dt.timedelta(days=days - 1)).date()
    metadata = {"as_of": last.isoformat()}
    storage.write_parquet(bars(days), first, metadata=metadata, symbol=first.stem)
    content, size = first.read_bytes(), first.stat().st_size
    for number in range(1, symbols):
        name = f"S{number:04}USDT"  # as long as the first, so that no offset moves
        path = root / f"{name}.pqt"
        path.write_bytes(content.replace(first.stem.encode(), name.encode()))
    print(f"{symbols} symbols of {days} days: {size * symbols / 1e9:.1f} GB of results")


def queries(folder: Path, *, days: int) -> dict[str, Callable[[], pl.DataFrame]]:
    """Name the queries that users ask."""
    last_day = START + dt.timedelta(days=days - 1)
    scan = bhds.scan_klines("um_futures", "1m", data_dir=folder)
    of_day = pl.col("open_time") >= last_day
    of_symbol = pl.col("symbol") == "S0000USDT"
    columns_used = ["symbol", "open_time", "close"]
    return {
        "one symbol, all columns": lambda: scan.filter(of_symbol).collect(),
        "one symbol, a day": lambda: scan.filter(of_symbol, of_day).collect(),
        "all symbols, a day, closes": lambda: (
            scan.filter(of_day).select(columns_used).collect()
        ),
        "all symbols, mean close": lambda: (
            scan.group_by("symbol").agg(pl.col("close").mean()).collect()
        ),
        "all symbols, mean close, streaming": lambda: (
            scan.group_by("symbol")
            .agg(pl.col("close").mean())
            .collect(engine="streaming")
        ),
    }


def measure(folder: Path, query: str, *, days: int) -> None:
    """Run one query in this process, and print what it cost."""
    run = queries(folder, days=days)[query]
    read, wall, cpu = _bytes_read(), time.perf_counter(), time.process_time()
    rows = run().height
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    megabytes = (_bytes_read() - read) / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(
        f"{query:36} {rows:>10,} rows  {wall:6.2f} s  {cpu:6.2f} CPU s"
        f"  {megabytes:8.1f} MB read  {peak:6.0f} MB peak"
    )


def _bytes_read() -> int:
    """Return the bytes that this process has read, from caches too (Linux)."""
    lines = Path("/proc/self/io").read_text(encoding="ascii").splitlines()
    return int(dict(line.split(": ") for line in lines)["rchar"])


def main() -> None:
    """Measure every query, or in a child the one that is named."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--symbols", type=int, default=1000)
    parser.add_argument("--days", type=int, default=200)
    parser.add_argument("--query", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if wanted.query:
        measure(wanted.folder, wanted.query, days=wanted.days)
        return
    with tempfile.TemporaryDirectory(prefix="bhds-read-") as name:
        folder = Path(name)
        lay_out(folder, symbols=wanted.symbols, days=wanted.days)
        for query in queries(folder, days=wanted.days):
            command = [sys.executable, __file__, "--query", query, "--folder", name]
            subprocess.run(
                [*command, "--days", str(wanted.days)],
                check=True,
                env=os.environ,
            )


if __name__ == "__main__":
    main()
