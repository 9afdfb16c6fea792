"""Build every market from the sandbox exchange, and print the results.

Run from a checkout as `python -m bhds.demo`; `make demo` does all set-up first.
Environment: DEMO_DIR (where the data goes), CORES (jobs at once).
"""

import datetime as dt
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import yaml
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table

from bhds import layout
from bhds.cli.installation import workflow_folder
from bhds.cli.terminal import print_whole
from bhds.io.job_log import one_line_errors
from bhds.io.storage import replacing
from bhds.sandbox.endpoints import SandboxEndpoints
from bhds.sandbox.exchange import PRESENT, Exchange
from bhds.sandbox.server import serving

CHECKOUT = workflow_folder()

_RESAMPLE = [{"interval": "1h"}, {"interval": "1h", "offset": "5m"}, {"interval": "1d"}]
DATASETS: list[dict[str, Any]] = [
    {
        "trade_type": "um_futures",
        "start": "2024-06-01",
        "symbols": {"quote": ["USDT"], "contract_type": ["PERPETUAL"]},
        "results": {"resample": _RESAMPLE},
    },
    {
        # Published 1d bars, to compare the 1m results with.
        "trade_type": "um_futures",
        "interval": "1d",
        "start": "2024-06-01",
        "symbols": ["BTCUSDT", "ETHUSDT"],
        "results": {"funding": False},
    },
    {
        "trade_type": "spot",
        "start": "2024-12-01",
        "symbols": {"quote": ["USDT"], "stable_pairs": False, "leveraged": False},
        "results": {"resample": _RESAMPLE},
    },
    {
        "trade_type": "cm_futures",
        "start": "2025-01-01",
        "symbols": ["BTCUSD_PERP"],
        "results": {"resample": _RESAMPLE},
    },
]
"""What the demo requests: every market, some with a short history."""

"""The quality report, below the data directory."""

_LATE = [
    f"data/futures/um/daily/klines/ETHUSDT/1m/ETHUSDT-1m-2025-03-0{day}.zip"
    for day in (8, 9)
]
"""Files missing in the archive, so that their bars are requested from the API."""


def main() -> int:
    """Build the demo, print its results and their paths; return an exit code."""
    data_dir = Path(os.environ.get("DEMO_DIR") or "demo_data").resolve()
    cores = os.environ.get("CORES") or str(os.cpu_count() or 1)
    with one_line_errors(), Exchange() as exchange, serving(exchange) as running:
        for key in _LATE:
            exchange.withhold(key)
        config = write_config(data_dir, running.endpoints)
        command = [
            *(sys.executable, "-m", "snakemake", "all", "--cores", cores),
            *("--snakefile", str(CHECKOUT / "Snakefile")),
            *("--workflow-profile", str(CHECKOUT / "profiles" / "default")),
            *("--configfile", str(config)),
        ]
        status = subprocess.run(command, check=False).returncode  # noqa: S603
    if status == 0:
        show_results(data_dir, Console(width=None if sys.stdout.isatty() else 120))
    return status


def write_config(data_dir: Path, endpoints: SandboxEndpoints) -> Path:
    """Write the demo's settings next to its data, and return their path."""
    settings: dict[str, Any] = {
        "data_dir": str(data_dir),
        "as_of": (PRESENT - dt.timedelta(days=1)).date().isoformat(),
        "listing": {"max_age_hours": 24},  # the sandbox ends with the demo
        "datasets": DATASETS,
    }
    path = data_dir / "config.yaml"
    plain = json.loads(json.dumps(settings))  # no YAML anchors for repeated objects
    text = yaml.safe_dump(plain, sort_keys=False) + endpoints.as_yaml()
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")
    return path


def show_results(data_dir: Path, console: Console) -> None:
    """Print one line per result: bars, those of the API, fills, and time covered."""
    root = data_dir / layout.RESULTS
    table = Table(title="Results", title_justify="left", box=None, pad_edge=False)
    for heading in ("market", "symbol", "first bar", "last bar"):
        table.add_column(heading)
    for heading in ("bars", "api", "filled", "segments", "size"):
        table.add_column(heading, justify="right")
    for path in sorted(data_dir.glob(layout.result("*", "1m", "*"))):
        table.add_row(path.parts[-4], path.stem, *_described(path))
    print_whole(table, to=console)
    resampled = sorted(data_dir.glob(layout.resampled("*", "*", "*")))
    rules = sorted({path.parent.name for path in resampled})
    console.print(f"Resampled:  {len(resampled)} files, rules {', '.join(rules)}")
    console.print(f"Days:       {_conditions(data_dir)}")
    console.print(f"Reconciled: {_reconciliation(data_dir)}")
    console.print(f"Results:    {root}", soft_wrap=True)
    console.print(f"Report:     {data_dir / layout.REPORT}", soft_wrap=True)
    console.print(f"Read:       {_program(data_dir)}", soft_wrap=True)


def _program(data_dir: Path) -> str:
    """Return a line of Python that reads all 1m results of one market."""
    where = f"data_dir={str(data_dir)!r}"
    return f'import bhds; bhds.scan_klines("um_futures", "1m", {where}).collect()'


def _conditions(data_dir: Path) -> str:
    """Count the days of 1m bars by their condition."""
    days = _tables(data_dir, "condition", "klines-1m")
    counts = days["condition"].value_counts(sort=True)
    return ", ".join(f"{number:,} {name}" for name, number in counts.iter_rows())


def _reconciliation(data_dir: Path) -> str:
    """Count the bars of the exchange that equal those built from results."""
    table = _tables(data_dir, "reconciliation", "1m")
    equal, compared = table.select(pl.col("n_equal", "n_compared").sum()).row(0)
    return f"{equal:,} of {compared:,} published values equal those built from 1m bars"


def _tables(data_dir: Path, kind: str, series: str) -> pl.DataFrame:
    """Read a quality table of all markets."""
    paths = sorted(data_dir.glob(layout.quality_table("*", kind, series)))
    return pl.read_parquet(paths, glob=False)


def _described(path: Path) -> tuple[str, ...]:
    time = pl.col("open_time")
    first, last, bars, api, filled, segments = (
        pl.scan_parquet(path, glob=False)
        .select(
            time.min().dt.strftime("%Y-%m-%d %H:%M"),
            time.max().dt.strftime("%Y-%m-%d %H:%M").alias("last"),
            pl.len(),
            (pl.col("source") == "api").sum().alias("api"),
            (pl.col("source") == "filled").sum().alias("filled"),
            pl.col("segment").n_unique(),
        )
        .collect()
        .row(0)
    )
    size = decimal(path.stat().st_size)
    counts = (f"{count:,}" for count in (bars, api, filled, segments))
    return first, last, *counts, size


if __name__ == "__main__":
    sys.exit(main())
