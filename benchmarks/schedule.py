"""Measure scheduling: what Snakemake itself takes for each job that it runs.

Lays out a year of empty daily zips of many symbols, and parses them by Snakemake with a
script that only makes its outputs: as many jobs as symbols, all ready at once, with 365
inputs each. Printed is the processor time of the main process, less that of a dry run,
for each job; the jobs' own is left out. Usage:

    python benchmarks/schedule.py [--symbols N] [--days N] [--profile default|quiet]
"""

import argparse
import datetime as dt
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from plan import ROOT, lay_out_listing, lay_out_raw, write_config

from bhds.archive.listing.directory import Directory
from bhds.core.markets import Frequency, TradeType

FIRST_DAY = dt.date(2024, 1, 1)
WORKFLOW = ("Snakefile", "rules", "scripts", "profiles", "config", "envs", "bhds")
MAKE_OUTPUTS = """\
from pathlib import Path

for path in map(Path, snakemake.output):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
"""
MAIN = """\
import atexit, resource, sys
from snakemake.cli import main

def tell():
    for name, of in (
        ("main process", resource.RUSAGE_SELF), ("jobs", resource.RUSAGE_CHILDREN)
    ):
        used = resource.getrusage(of)
        print(f"{name}:", used.ru_utime + used.ru_stime, file=sys.stderr)

atexit.register(tell)
main(sys.argv[1:])
"""


def lay_out(data_dir: Path, *, symbols: int, days: int) -> None:
    """Make zips, listings and settings."""
    names = [f"S{number}USDT" for number in range(symbols)]
    dates = [FIRST_DAY + dt.timedelta(days=number) for number in range(days)]
    keys = [
        f"data/futures/um/daily/klines/{name}/1m/{name}-1m-{date}.zip"
        for name in names
        for date in dates
    ]
    for frequency, found in ((Frequency.MONTHLY, []), (Frequency.DAILY, keys)):
        directory = Directory(TradeType.UM_FUTURES, frequency, "klines", "1m")
        lay_out_listing(data_dir, directory, found, symbols=names)
    lay_out_raw(data_dir, keys)
    write_config(data_dir, archive_alone=True)


def copy_workflow(folder: Path) -> None:
    """Copy the workflow, with a script that parses nothing."""
    for name in WORKFLOW:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    (folder / "scripts" / "parse_klines.py").write_text(MAKE_OUTPUTS)


def run(
    workflow: Path, data_dir: Path, *arguments: str, profile: str
) -> tuple[float, float, float]:
    """Run Snakemake; return seconds, and CPU seconds of the main process, of jobs."""
    command = [
        *(sys.executable, "-c", MAIN, "parsed_all", "--cores", "all", *arguments),
        *("--snakefile", str(workflow / "Snakefile")),
        *("--workflow-profile", str(workflow / "profiles" / profile)),
        *("--configfile", str(data_dir / "config.yaml")),
    ]
    begin = time.monotonic()
    done = subprocess.run(
        command, cwd=workflow, capture_output=True, text=True, check=False
    )
    seconds = time.monotonic() - begin
    told = re.findall(r"^(?:main process|jobs): (\S+)$", done.stderr, re.MULTILINE)
    if done.returncode or not told:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")
    return seconds, *map(float, told)


def main() -> None:
    """Lay out, run, and print what it took."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--symbols", type=int, default=300)
    parser.add_argument("--days", type=int, default=365, help="at most 365")
    parser.add_argument("--profile", choices=["default", "quiet"], default="default")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bhds-schedule-") as scratch:
        workflow, data_dir = Path(scratch, "workflow"), Path(scratch, "data")
        workflow.mkdir()
        data_dir.mkdir()
        copy_workflow(workflow)
        lay_out(data_dir, symbols=options.symbols, days=options.days)
        _, planning_cpu_s, _ = run(
            workflow, data_dir, "--dry-run", "--quiet", "all", profile="default"
        )
        seconds, cpu_s, jobs_cpu_s = run(workflow, data_dir, profile=options.profile)
    own_ms = 1000 * (cpu_s - planning_cpu_s) / options.symbols
    jobs_ms = 1000 * jobs_cpu_s / options.symbols
    print(
        f"{options.symbols} jobs of {options.days} zips: {seconds:.0f} s; main process "
        f"{cpu_s:.1f} CPU s, dry run {planning_cpu_s:.1f} CPU s: {own_ms:.0f} ms a "
        f"job; the job itself {jobs_ms:.0f} ms"
    )


if __name__ == "__main__":
    main()
