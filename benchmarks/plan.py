"""Measure planning at the scale of a whole market, on real keys.

Lays out the listing of the um monthly 1m klines of 2026-03-08 (16,956 zips and as
many CHECKSUMs, 668 symbols) and a month of funding for each month of klines, and plans
`results_all` twice: with nothing on disk, and with everything there. --archive-alone:
without the API and without funding. Usage:

    python benchmarks/plan.py [KEYS.zip] [--data-dir DIR] [--archive-alone]
"""

import argparse
import datetime as dt
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import polars as pl
import yaml

from bhds import config
from bhds.archive.download import ledger
from bhds.archive.download.transfers import Proof
from bhds.archive.keys import path_of_key
from bhds.archive.listing.directory import Directory
from bhds.core.markets import Frequency, TradeType
from bhds.io import storage
from bhds.plan import prepare
from bhds.schemas.archive_tables import LISTING_SCHEMA

ROOT = Path(__file__).resolve().parent.parent
KEYS = (
    ROOT.parent
    / "shared/realdata/listings/keys"
    / "data_futures_um_monthly_klines_1m_USDT-20260308.zip"
)
CONFIG = ROOT / "config" / "config.yaml"
HOST = "https://data.binance.vision/"


def read_keys(archive: Path) -> list[str]:
    """Return the keys of the zips that a list of URLs in a zip names."""
    with zipfile.ZipFile(archive) as lists:
        text = lists.read(lists.namelist()[0]).decode()
    return [line.strip().removeprefix(HOST) for line in text.splitlines()]


def write_config(data_dir: Path, *, archive_alone: bool) -> None:
    """Write the shipped settings, offline, for every symbol of the listing."""
    settings = yaml.safe_load(CONFIG.read_text())
    settings |= {"offline": True, "data_dir": str(data_dir)}
    settings["datasets"][0]["symbols"] = {}
    if archive_alone:
        settings["api"]["enabled"] = False
        settings["datasets"][0]["results"]["funding"] = False
    (data_dir / "config.yaml").write_text(yaml.safe_dump(settings))


def funding_keys(keys: list[str]) -> list[str]:
    """Return the keys of a month of funding for each month of klines."""
    parts = (key.split("/") for key in keys)
    months = {
        (symbol, name.removeprefix(f"{symbol}-1m-"))
        for *_, symbol, _, name in parts
        if "_" not in symbol  # deliveries have none
    }
    folder = "data/futures/um/monthly/fundingRate"
    return sorted(f"{folder}/{s}/{s}-fundingRate-{name}" for s, name in months)


def lay_out_listings(data_dir: Path, keys: list[str], funding: list[str]) -> None:
    """Write the listings that the plan reads, as if the bucket had just been asked.

    The daily directory of klines is there too, without files.
    """
    symbols = sorted({key.split("/")[5] for key in keys})
    market, monthly = TradeType.UM_FUTURES, Frequency.MONTHLY
    for directory, found in (
        (Directory(market, monthly, "klines", "1m"), keys),
        (Directory(market, Frequency.DAILY, "klines", "1m"), []),
        (Directory(market, monthly, "fundingRate", None), funding),
    ):
        lay_out_listing(data_dir, directory, found, symbols=symbols)


def lay_out_listing(
    data_dir: Path, directory: Directory, keys: list[str], *, symbols: list[str]
) -> None:
    """Write one listing of some symbols: each zip has a CHECKSUM.

    Sizes are 1 MB and 105 bytes, etags are made up.
    """
    names = sorted([*keys, *(f"{key}.CHECKSUM" for key in keys)], key=str.encode)
    published = dt.datetime(2026, 3, 8, tzinfo=dt.UTC)
    table = pl.DataFrame(
        {
            "key": names,
            "size": [105 if name.endswith("CHECKSUM") else 1_000_000 for name in names],
            "etag": [etag(name) for name in names],
            "last_modified": [published] * len(names),
        },
        schema=LISTING_SCHEMA,
    )
    now = dt.datetime.now(dt.UTC).isoformat()
    storage.write_parquet(
        pl.DataFrame({"symbol": symbols}),
        data_dir / directory.symbols_path,
        metadata={"listed_at": now},
    )
    storage.write_parquet(
        table,
        data_dir / directory.listing_path,
        metadata={"listed": json.dumps(dict.fromkeys(symbols, now))},
    )


def etag(key: str) -> str:
    """Make up an etag."""
    return hashlib.md5(key.encode(), usedforsecurity=False).hexdigest()


def lay_out_raw(data_dir: Path, keys: list[str]) -> None:
    """Make every zip and CHECKSUM empty, and a ledger that says so, and is content."""
    names = [name for key in keys for name in (key, f"{key}.CHECKSUM")]
    for name in names:
        path = data_dir / path_of_key(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    rows = pl.DataFrame({"key": names, "etag": [etag(name) for name in names]})
    unknown = {column: pl.lit(None) for column in ("size", "last_modified")}
    now = pl.lit(dt.datetime.now(dt.UTC))
    rows = rows.with_columns(
        **unknown, md5=pl.lit(etag("")), sha256=pl.lit(None), first_seen=now
    ).with_columns(served_size=0, proof=pl.lit(Proof.CHECKSUM.value))
    ledger.append(data_dir, rows=rows)


def lay_out_outputs(data_dir: Path) -> None:
    """Make every partition, result and resampled file empty, and known to Snakemake."""
    raw = yaml.safe_load((data_dir / "config.yaml").read_text())
    planned = prepare.plan(
        config.load(raw, environment={}),
        targets=[],
        data_dir=data_dir,
        now=dt.datetime.now(dt.UTC),
        online=False,
    )
    beside = [
        path.replace("/gaps/", f"/{kept}/")
        for path in planned.results
        if "/gaps/" in path
        for kept in ("days", "conflicts")
    ]
    for path in (
        *(*planned.parsed, *planned.api, *planned.funding),
        *(*planned.results, *planned.resampled, *beside),
    ):
        (data_dir / path).parent.mkdir(parents=True, exist_ok=True)
        (data_dir / path).touch()
    snakemake(data_dir, "--touch", "--cores", "1")


def snakemake(data_dir: Path, *arguments: str) -> tuple[str, str]:
    """Run Snakemake on `results_all`; return what it took, and what it said."""
    command = [
        *(sys.executable, "-m", "snakemake", "results_all"),
        *("--snakefile", str(ROOT / "Snakefile")),
        *("--configfile", str(data_dir / "config.yaml"), *arguments),
    ]
    begin = time.monotonic()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - begin
        output.seek(0)
        text = output.read().decode()
    if status:
        sys.exit(f"{' '.join(command)} failed:\n{text[-3000:]}")
    cpu_s = usage.ru_utime + usage.ru_stime
    return f"{seconds:.1f} s, {cpu_s:.1f} CPU s, {usage.ru_maxrss // 1024} MB", text


def main() -> None:
    """Lay out, plan twice, and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("keys", nargs="?", type=Path, default=KEYS)
    parser.add_argument("--data-dir", type=Path, help="keep what is laid out here")
    parser.add_argument(
        "--archive-alone", action="store_true", help="without the API and funding"
    )
    options = parser.parse_args()
    keys = read_keys(options.keys)
    funding = [] if options.archive_alone else funding_keys(keys)
    with tempfile.TemporaryDirectory() as scratch:
        data_dir = (options.data_dir or Path(scratch)).resolve()
        data_dir.mkdir(parents=True, exist_ok=True)
        write_config(data_dir, archive_alone=options.archive_alone)
        lay_out_listings(data_dir, keys, funding)
        took, said = snakemake(data_dir, "--dry-run", "--quiet", "rules")
        jobs = re.search(r"^total +(\d{4,})", said, re.MULTILINE)
        if not jobs:
            sys.exit(f"expected thousands of jobs, but:\n{said[-3000:]}")
        print(f"first plan: {jobs[1]} jobs, {took}")
        lay_out_raw(data_dir, [*keys, *funding])
        lay_out_outputs(data_dir)
        took, said = snakemake(data_dir, "--dry-run")
        if "Nothing to be done" not in said:
            sys.exit(f"expected nothing to be done, but:\n{said[-3000:]}")
        print(f"no-op plan: {took}")


if __name__ == "__main__":
    main()
