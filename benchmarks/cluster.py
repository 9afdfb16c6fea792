"""Measure what jobs of Slurm cost beside computing, at group sizes 1, 10 and 50.

Needs root and what `make test-cluster` installs, whose cluster it uses. Downloads 50
symbols of the sandbox exchange, then has Slurm parse a partition of each, in groups of
each size. Computing is what one more such job takes a local run, by turns with the
groups; allocated is what Slurm says that its jobs took. Usage:

    build/cluster-venv/bin/python benchmarks/cluster.py
"""

import datetime as dt
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bhds.sandbox.exchange import Exchange  # noqa: E402 -- the checkout's
from bhds.sandbox.server import serving  # noqa: E402
from bhds.sandbox.universe import Universe  # noqa: E402
from tests.cluster import slurm  # noqa: E402

SYMBOLS = [f"B{number:02}USDT" for number in range(50)]
RUNS = [(1, 4), (10, 10), (50, 50)]
"""Sizes of groups, and how many partitions are parsed in such groups."""


def universe() -> Universe:
    """Make up symbols of two months and some days of bars."""
    symbol = {
        "market": "um_futures",
        "contract_type": "PERPETUAL",
        "price": 100,
        "price_decimals": 2,
        "tick": "0.01",
        "quantity_decimals": 3,
        "quantity_per_trade": 2,
        "trades_per_minute": 20,
        "listed": "2025-01-01T00:00:00Z",
    }
    symbols = [
        {**symbol, "name": name, "base_asset": name.removesuffix("USDT")}
        for name in SYMBOLS
    ]
    return Universe.model_validate({"seed": 7, "symbols": symbols})


def partitions(number: int) -> list[str]:
    """Name the partitions of the first symbols."""
    folder = "parsed_data/um_futures/klines/{}/1m/2025.parquet"
    return [folder.format(name) for name in SYMBOLS[:number]]


def snakemake(data: Path, *arguments: str, profile: str) -> float:
    """Run Snakemake on the data; return the seconds that it took."""
    command = [
        *(sys.executable, "-m", "snakemake", *arguments, "--snakefile", "Snakefile"),
        *("--workflow-profile", f"profiles/{profile}"),
        *("--configfile", str(data / "config.yaml")),
    ]
    begin = time.monotonic()
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout[-3000:]}")
    return time.monotonic() - begin


def allocated_s(jobs: list[dict[str, str]]) -> float:
    """Add up what jobs of Slurm took, by its records: whole seconds."""
    times = (
        [dt.datetime.fromisoformat(job[name]) for name in ("StartTime", "EndTime")]
        for job in jobs
    )
    return sum((end - start).total_seconds() for start, end in times)


def measure(data: Path, *, size: int, number: int) -> None:
    """Parse some partitions alone and in groups, and print both."""
    shutil.rmtree(data / "parsed_data", ignore_errors=True)
    alone = snakemake(data, "--cores", "1", *partitions(2), profile="default")
    more = snakemake(data, "--cores", "1", *partitions(10), profile="default")
    member_s = (more - alone) / 8
    shutil.rmtree(data / "parsed_data")
    before = len(slurm.ended())
    wall = snakemake(
        data,
        *partitions(number),
        *("--group-components", f"parse={size}"),
        *("--jobs", "1"),  # lest they share the cores of one machine
        *("--slurm-init-seconds-before-status-checks", "3"),
        profile="slurm",
    )
    jobs = slurm.ended()[before:]
    allocated = allocated_s(jobs)
    print(
        f"groups of {size}: {number} partitions in {len(jobs)} jobs, {allocated:.0f} s"
        f" allocated, {member_s * number:.1f} s of computing ({member_s:.2f} s each):"
        f" {member_s * number / allocated:.0%}; the run {wall:.0f} s",
        flush=True,
    )


def main() -> None:
    """Download, then measure each size."""
    with (
        tempfile.TemporaryDirectory() as scratch,
        Exchange(universe()) as exchange,
        serving(exchange) as running,
    ):
        data = Path(scratch)
        settings = {
            "data_dir": scratch,
            "as_of": "2025-03-09",
            "listing": {"max_age_hours": 24},
            "api": {"enabled": False},
            "endpoints": asdict(running.endpoints),
            "datasets": [{"trade_type": "um_futures", "results": {"funding": False}}],
        }
        (data / "config.yaml").write_text(yaml.safe_dump(settings))
        snakemake(data, "--cores", "2", "raw_all", profile="default")
        with slurm.running():
            for size, number in RUNS:
                measure(data, size=size, number=number)


if __name__ == "__main__":
    main()
