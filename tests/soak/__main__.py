"""Attack BHDS for some time, and print what was tried and what was lost.

`make soak SECONDS=600 SEED=1 PARTS="kills readers"`, or `python -m tests.soak --help`.
The exit code is 1 if anything was lost.
"""

import argparse
import random
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.soak import archives, builds, configurations, readers
from tests.soak.part import Part

BUILDS = ("kills", "faults")
"""Parts that share builds, which are killed and badly served at once."""
OTHERS = {
    "archives": archives.run,
    "readers": readers.run,
    "configurations": configurations.run,
}


def main():
    """Run the chosen parts: builds in one lane, the others beside them in turn."""
    options = parsed_options()
    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)
    console.print(f"seed {options.seed}, {options.seconds:.0f} s")
    chosen = set(options.parts)
    shared = [Part(n, options.seed, options.seconds) for n in BUILDS if n in chosen]
    names = [name for name in OTHERS if name in chosen]
    others = [Part(n, options.seed, options.seconds / len(names)) for n in names]
    with (
        tempfile.TemporaryDirectory(
            prefix="bhds-soak-", ignore_cleanup_errors=True
        ) as folder,
        ThreadPoolExecutor(2) as lanes,
    ):
        root = Path(folder)
        lane = lanes.submit(builds.run, shared, folder=root) if shared else None
        for part in others:
            part.begin()
            OTHERS[part.name](part, folder=root / part.name)
        if lane is not None:
            lane.result()
    parts = [*shared, *others]
    show(parts, console)
    return int(any(part.lost for part in parts))


def parsed_options():
    parser = argparse.ArgumentParser(prog="python -m tests.soak")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    names = [*BUILDS, *OTHERS]
    parser.add_argument("--parts", nargs="+", choices=names, default=names)
    return parser.parse_args()


def show(parts, console):
    table = Table(box=None, pad_edge=False)
    for heading in ("part", "tried", "survived", "lost", "seconds"):
        table.add_column(heading, justify="left" if heading == "part" else "right")
    for part in parts:
        tried, lost = part.tried.total(), len(part.lost)
        row = (part.name, tried, tried - lost, lost, round(part.took_s))
        table.add_row(*map(str, row))
    console.print(table)
    for part in parts:
        of_each = ", ".join(f"{name} {n:,}" for name, n in sorted(part.tried.items()))
        console.print(f"{part.name}: {of_each}", markup=False)
    for fault in (fault for part in parts for fault in part.lost):
        console.print(f"LOST {fault}", markup=False)


if __name__ == "__main__":
    sys.exit(main())
