"""Fill a month of holes in many symbols from the sandbox's API, by Snakemake.

The sandbox has the budgets of the real exchange, and answers after a round trip of 0.1
s. Of 50 symbols of um, the archive lacks a month of 1m klines in the middle of their
life. Printed are requests, weight by minute, refusals and bars. With --kill the run is
killed in the middle and repeated; without, it is run to the end at once.

Usage: python benchmarks/fill.py [--symbols N] [--jobs N] [--kill]. Exit code 1: a
request was refused, a bar is missing, or less than 0.9 of the allowed weight was used
in the minutes that were filled from begin to end.
"""

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from bhds.sandbox.exchange import Exchange
from bhds.sandbox.limits import BUDGETS, LimitPool
from bhds.sandbox.server import Running, serving
from bhds.sandbox.universe import Universe

ROOT = Path(__file__).resolve().parent.parent
MONTH, BARS = "2025-02", 28 * 1440
ROUND_TRIP_S = 0.1
TARGET = 0.9


def universe_of(count: int) -> Universe:
    """Make a market of perpetuals that trade in nearly every minute."""
    symbols = [
        {
            "market": "um_futures",
            "name": f"S{number}USDT",
            "base_asset": f"S{number}",
            "contract_type": "PERPETUAL",
            "listed": "2025-01-30T00:00:00Z",
            "price": 100,
            "price_decimals": 2,
            "tick": "0.01",
            "quantity_decimals": 3,
            "quantity_per_trade": 2,
            "trades_per_minute": 200,
        }
        for number in range(count)
    ]
    return Universe.model_validate({"seed": 11, "symbols": symbols})


def withhold_month(exchange: Exchange, symbols: list[str]) -> None:
    """Let the archive lack a month of every symbol."""
    for symbol in symbols:
        for frequency, periods in (
            ("monthly", [MONTH]),
            ("daily", [f"{MONTH}-{day:02}" for day in range(1, 29)]),
        ):
            folder = f"data/futures/um/{frequency}/klines/{symbol}/1m"
            for period in periods:
                exchange.withhold(f"{folder}/{symbol}-1m-{period}.zip")


def command(folder: Path, running: Running, *, jobs: int) -> list[str]:
    """Write the settings, and return how Snakemake is called."""
    settings: dict[str, Any] = {
        "data_dir": str(folder / "data"),
        "as_of": "2025-03-09",
        "endpoints": asdict(running.endpoints),
        "datasets": [{"trade_type": "um_futures", "results": {"funding": False}}],
    }
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump(settings))
    return [
        *(sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")),
        *("--workflow-profile", str(ROOT / "profiles/default")),
        *("--configfile", str(config), "--cores", str(jobs)),
    ]


def run(call: list[str], target: str, *, kill_after_s: float | None = None) -> float:
    """Run Snakemake; return the seconds it took, to its end or until it was killed."""
    began = time.monotonic()
    process = subprocess.Popen(
        [*call, target],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        said, _ = process.communicate(timeout=kill_after_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        subprocess.run([*call, "--unlock"], check=True, capture_output=True)
    else:
        if process.returncode:
            sys.exit(said[-3000:])
    return time.monotonic() - began


def main() -> None:
    """Fill, and tell what it took."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--symbols", type=int, default=50)
    parser.add_argument("--jobs", type=int, default=8)
    parser.add_argument("--kill", action="store_true", help="kill it after 45 s")
    options = parser.parse_args()
    universe = universe_of(options.symbols)
    symbols = [symbol.name for symbol in universe.symbols]
    with (
        tempfile.TemporaryDirectory(prefix="bhds-fill-") as scratch,
        Exchange(universe) as exchange,
        serving(exchange) as running,
    ):
        withhold_month(exchange, symbols)
        exchange.api_faults.latency_s = ROUND_TRIP_S
        call = command(Path(scratch), running, jobs=options.jobs)
        run(call, "parsed_all")
        seconds = 0.0
        if options.kill:
            seconds = run(call, "api_all", kill_after_s=45)
            print(f"killed after {exchange.requests['um_futures/klines']} requests")
        seconds += run(call, "api_all")
        fills = Path(scratch, "data/api_data/um_futures/klines").rglob("*.parquet")
        rows = sum(pl.read_parquet(path, glob=False).height for path in fills)
    weights = exchange.limiter.weights(LimitPool.FUTURES)
    whole_minutes = weights[1:-1]
    share = (
        statistics.mean(whole_minutes) / BUDGETS[LimitPool.FUTURES].weight
        if whole_minutes
        else 0.0
    )
    print(
        f"{options.symbols} symbols, {rows:,} bars of {options.symbols * BARS:,}: "
        f"{exchange.requests['um_futures/klines']:,} requests, "
        f"weight {sum(weights):,}, "
        f"{exchange.limiter.refused} refused, {seconds:.0f} s; weight by minute "
        f"{weights}, {share:.2f} of the limit in whole minutes (target {TARGET})"
    )
    is_whole = rows == options.symbols * BARS
    sys.exit(not is_whole or exchange.limiter.refused > 0 or share < TARGET)


if __name__ == "__main__":
    main()
