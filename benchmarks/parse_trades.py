"""Measure parsing of a month of trades that does not fit into memory.

Makes a monthly zip of spot trades of about a given size, the same each time, parses it
in a process of its own, with one thread as jobs do, and prints rows, seconds, rows a
second and the most memory that it took. Ends with status 1 if that is above 1 GiB. With
`--shuffled`, eight stretches of the month are interleaved, so that everything has to be
sorted. A zip of 1 GB takes 5 minutes to make; `--data-dir` keeps it for the next time.

Usage: python benchmarks/parse_trades.py [--megabytes N] [--shuffled] [--data-dir DIR]
"""

import argparse
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pyarrow as pa

ROOT = Path(__file__).resolve().parent.parent
STEM = "BTCUSDT-trades-2026-05"
BEGIN_US = 1_777_593_600_000_000  # 2026-05-01
MONTH_US = 31 * 86_400_000_000
FIRST_ID = 4_900_000_000
BLOCK_ROWS = 1 << 18
ROW_BYTES = 15.6  # in the zip
STREAMS = 8
STRETCH_ROWS = 1_000
DEFAULT_MEGABYTES = {False: 1_000, True: 150}
MAX_KB = 1 << 20

CHILD = """
import sys
from pathlib import Path
from bhds.core.markets import Frequency, TradeType
from bhds.archive.integrity.zip_input import ArchiveInput
from bhds.parse.parse_streaming import parse_large

zip_path, target = map(Path, sys.argv[1:])
sources = parse_large(
    [ArchiveInput(zip_path, zip_path.name, Frequency.MONTHLY, None)],
    target=target,
    trade_type=TradeType.SPOT,
    data_type="trades",
    symbol="BTCUSDT",
    partition="2026-05",
    metadata=lambda _: {},
)
(record,) = sources["inputs"]
if record["integrity_status"] == "corrupt" or sources["missing_ids"]:
    sys.exit(f"expected every row, but: {record} {sources['missing_ids']}")
print(sources["rows"])
"""


def trades(number: int, *, blocks: int) -> pl.DataFrame:
    """Return one of the month's blocks of trades, as its CSV has them.

    Prices walk by a cent, half of the quantities are round, and three trades share
    a time: with that, the CSV deflates to a fifth, as genuine ones do.
    """
    drawn = random.Random(number).randbytes(8 * BLOCK_ROWS)  # noqa: S311  # repeatable
    buffers = [None, pa.py_buffer(drawn)]
    draws = pl.Series("draw", pa.Array.from_buffers(pa.int64(), BLOCK_ROWS, buffers))
    draw = pl.col("draw")
    step = (draw % 16 == 0).cast(pl.Int64) - (draw % 16 == 1).cast(pl.Int64)
    cents = 8_000_000 + number % 1_000 + step.cum_sum()
    unit = pl.when(draw // 16 % 2 == 0).then(1).otherwise(100)
    quantity = (draw // 32 % 1_000 + 1) * unit
    row = pl.int_range(pl.len()) + number * BLOCK_ROWS
    spacing_us = MONTH_US // (blocks * BLOCK_ROWS)
    return draws.to_frame().select(
        id=FIRST_ID + row,
        price=cents / 100,
        quantity=quantity / 100_000,
        quote_quantity=cents * quantity / 10_000_000,
        time=BEGIN_US + row // 3 * 3 * spacing_us,
        is_buyer_maker=pl.when(draw // (1 << 40) % 2 == 0)
        .then(pl.lit("True"))
        .otherwise(pl.lit("False")),
        is_best_match=pl.lit("True"),
    )


def csv_blocks(blocks: int, *, shuffled: bool) -> Iterator[pl.DataFrame]:
    """Yield all blocks in order, or stretches of distant blocks in turn."""
    if not shuffled:
        yield from (trades(number, blocks=blocks) for number in range(blocks))
        return
    for number in range(blocks // STREAMS):
        side_by_side = [
            trades(number + stream * blocks // STREAMS, blocks=blocks)
            for stream in range(STREAMS)
        ]
        for begin in range(0, BLOCK_ROWS, STRETCH_ROWS):
            parts = [block.slice(begin, STRETCH_ROWS) for block in side_by_side]
            yield pl.concat(parts)


def make_zip(path: Path, *, megabytes: int, shuffled: bool) -> None:
    """Write the zip of about so many megabytes."""
    streams = max(round(megabytes * 1e6 / ROW_BYTES / BLOCK_ROWS / STREAMS), 1)
    partial = path.with_suffix(".partial")
    with (
        zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as opened,
        opened.open(f"{STEM}.csv", "w", force_zip64=True) as member,
    ):
        for block in csv_blocks(streams * STREAMS, shuffled=shuffled):
            text = block.write_csv(include_header=False, float_precision=8)
            member.write(text.encode())
    partial.replace(path)


def parse(path: Path, target: Path) -> tuple[int, float, resource.struct_rusage]:
    """Parse the zip in a process of its own; return rows, seconds and usage."""
    command = [sys.executable, "-c", CHILD, str(path), str(target)]
    environment = os.environ | {"POLARS_MAX_THREADS": "1"}
    begin = time.monotonic()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - begin
        output.seek(0)
        if status:
            sys.exit(f"parsing {path} ended with status {status}")
        return int(output.read()), seconds, usage


def main() -> None:
    """Make the zip if it is not there, parse it, and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, help="the size of the zip")
    parser.add_argument("--shuffled", action="store_true", help="rows out of order")
    parser.add_argument("--data-dir", type=Path, help="keep the zip here")
    options = parser.parse_args()
    megabytes = options.megabytes or DEFAULT_MEGABYTES[options.shuffled]
    with tempfile.TemporaryDirectory() as scratch:
        kept = options.data_dir or Path(scratch)
        folder = kept / f"{megabytes}{'-shuffled' if options.shuffled else ''}"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{STEM}.zip"
        if not path.exists():
            make_zip(path, megabytes=megabytes, shuffled=options.shuffled)
        target = Path(scratch) / "trades.parquet"
        rows, seconds, usage = parse(path, target)
        written = target.stat().st_size
    cpu = usage.ru_utime + usage.ru_stime
    print(f"{rows} rows, {written // 10**6} MB of Parquet")
    print(f"{seconds:.1f} s, {cpu:.1f} CPU s: {rows / cpu:,.0f} rows a CPU second")
    print(f"at most {usage.ru_maxrss // 1024} MB resident")
    if usage.ru_maxrss > MAX_KB:
        sys.exit(f"expected at most {MAX_KB // 1024} MB")


if __name__ == "__main__":
    main()
