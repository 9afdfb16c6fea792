"""Measure listing the bucket at the scale of a whole market, on real keys.

Serves the keys of the exchange, each zip with its CHECKSUM, from a sandbox in a
process of its own on loopback, and lists them whole and then by their tails, each in
a process of its own. Usage: python benchmarks/listing.py [--keys-dir DIR]
"""

import argparse
import contextlib
import datetime as dt
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

import yaml

from bhds.archive.listing.cache import ListingRequest, ensure_listings
from bhds.archive.listing.directory import Directory
from bhds.core.markets import Frequency, TradeType
from bhds.sandbox.endpoints import ADMIN_ROOT

ROOT = Path(__file__).resolve().parent.parent
KEYS_DIR = ROOT.parent / "shared/realdata/listings/keys"
FULL_EVERY = dt.timedelta(days=7)
NOW = dt.datetime(2026, 3, 9, tzinfo=dt.UTC)

CASES = {
    "data_futures_um_monthly_klines_1m_USDT-20260308.zip": Directory(
        TradeType.UM_FUTURES, Frequency.MONTHLY, "klines", "1m"
    ),
    "data_spot_daily_klines_1m_USDT-20260204.zip": Directory(
        TradeType.SPOT, Frequency.DAILY, "klines", "1m"
    ),
}
"""The directory that each list of keys covers."""


@contextlib.contextmanager
def sandbox(*files: Path) -> Iterator[dict[str, str]]:
    """Serve lists of keys while the block runs; yield the endpoints."""
    options = [option for file in files for option in ("--serve-keys", str(file))]
    command = [sys.executable, "-c", "from bhds.cli.app import app; app()", "sandbox"]
    with subprocess.Popen(
        [*command, *options], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            told = process.stdout.readline() if process.stdout else ""
            if not told:
                sys.exit("the sandbox did not start")
            yield yaml.safe_load(told)["endpoints"]
        finally:
            process.terminate()


def pages_so_far(endpoints: dict[str, str]) -> int:
    """Return how many pages the sandbox has served."""
    loopback = build_opener(ProxyHandler({}))
    with loopback.open(f"{endpoints['api_um']}{ADMIN_ROOT}/state") as answer:
        return int(json.load(answer)["requests"].get("listing", 0))


def list_once(name: str, *, data_dir: Path, endpoint: str, now: dt.datetime) -> None:
    """List one directory; print its height, and what this process took."""
    begin = time.monotonic()
    [[listing]] = ensure_listings(
        [ListingRequest((CASES[name],))],
        data_dir=data_dir,
        endpoint=endpoint,
        proxy=None,
        timeout_s=60,
        concurrency=16,
        max_age=dt.timedelta(),
        now=now,
        offline=False,
        full_every=FULL_EVERY,
    )
    usage = resource.getrusage(resource.RUSAGE_SELF)
    taken = {
        "keys": listing.table.height,
        "listing_s": time.monotonic() - begin,
        "cpu_s": usage.ru_utime + usage.ru_stime,
        "peak_mb": usage.ru_maxrss / 1024,
    }
    print(json.dumps(taken))


def measure(name: str, *, data_dir: Path, endpoints: dict[str, str], hour: int) -> str:
    """List one directory in a process of its own; return what it took."""
    before = pages_so_far(endpoints)
    now = NOW + dt.timedelta(hours=hour)
    child = subprocess.run(
        [
            *(sys.executable, str(Path(__file__).resolve()), "--list", name),
            *("--data-dir", str(data_dir), "--now", now.isoformat()),
            *("--endpoint", endpoints["archive_listing"]),
        ],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        check=True,
    )
    taken = json.loads(child.stdout)
    pages = pages_so_far(endpoints) - before
    return (
        f"{taken['keys']:,} keys, {pages:,} pages, {taken['listing_s']:.1f} s, "
        f"{taken['cpu_s']:.1f} CPU s, {taken['peak_mb']:.0f} MB"
    )


def main() -> None:
    """Serve, list each directory whole and by its tails, twice, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys-dir", type=Path, default=KEYS_DIR)
    parser.add_argument("--list", choices=[*CASES], help=argparse.SUPPRESS)
    parser.add_argument("--data-dir", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--endpoint", help=argparse.SUPPRESS)
    parser.add_argument("--now", type=dt.datetime.fromisoformat, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.list:
        list_once(
            options.list,
            data_dir=options.data_dir,
            endpoint=options.endpoint,
            now=options.now,
        )
        return
    begin = time.monotonic()
    with sandbox(*(options.keys_dir / name for name in CASES)) as endpoints:
        print(f"sandbox: up in {time.monotonic() - begin:.1f} s")
        for name, directory in 2 * [*CASES.items()]:
            with tempfile.TemporaryDirectory() as folder:
                for hour, kind in enumerate(("whole", "tails")):
                    took = measure(
                        name, data_dir=Path(folder), endpoints=endpoints, hour=hour
                    )
                    print(f"{directory.prefix} {kind}: {took}", flush=True)


if __name__ == "__main__":
    main()
