"""Measure what hostile zips cost the job that parses them.

Makes each input, which fits into a few megabytes, parses it in a process of its own
with one thread, as jobs do, and prints the most memory and the CPU time that it took,
and what was decided. Ends with status 1 if one took more than 1 GiB or 30 seconds.

Usage: python benchmarks/hostile.py [NAME ...]
"""

import calendar
import datetime as dt
import io
import json
import os
import resource
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

import polars as pl

ROOT = Path(__file__).resolve().parent.parent
MAX_KB, MAX_S = 1 << 20, 30
GUARD_BYTES = 12 << 30
"""What a process may ask for, so that the machine survives."""
DAY_MS, DAY_S, BLOCK = 1_704_067_200_000, 86_400, 1 << 20
MIB, GIB = 1 << 20, 1 << 30

CHILD = """
import json, sys
from pathlib import Path
from bhds.io import storage
from bhds.schemas import datatypes
from bhds.core.markets import Frequency, Interval, TradeType
from bhds.archive.integrity.zip_input import ArchiveInput
from bhds.parse.parse_streaming import parse_large
from bhds.parse.parse_table import parse_table

folder, data_type, interval, partition = sys.argv[1:]
market = TradeType.CM_FUTURES if data_type == "liquidationSnapshot" else TradeType.SPOT
if data_type == "metrics":
    market = TradeType.UM_FUTURES
paths = sorted(Path(folder).glob("*.zip"))
zips = [
    ArchiveInput(path, path.name, Frequency(
        "daily" if path.stem.count("-") > 3 else "monthly"), None) for path in paths
]
of = {
    "trade_type": market, "data_type": data_type, "symbol": "A", "partition": partition
}
target = Path(folder, "out.parquet")
if datatypes.data_type(data_type).table(market).is_large:
    sources = parse_large(zips, target=target, metadata=lambda _: {}, **of)
else:
    spacing = Interval.parse(interval) if interval else None
    parsed = parse_table(zips, interval=spacing, **of)
    storage.write_parquet(parsed.frame, target, metadata={}, symbol="A")
    sources = parsed.sources
storage.write_json(sources, Path(folder, "out.json"))
bad = [e for e in sources["inputs"] if e["integrity_status"] == "corrupt"]
print(json.dumps([sources["rows"], len(bad), bad[0]["reason"] if bad else None]))
"""

Blocks = Iterable[tuple[bytes, int]]


def deflated(blocks: Blocks) -> tuple[bytes, int, int]:
    """Return the deflate stream of repeated blocks, their length and their CRC-32."""
    stream, size, crc = [], 0, 0
    for block, times in blocks:
        deflater = zlib.compressobj(6, wbits=-zlib.MAX_WBITS)
        piece = deflater.compress(block) + deflater.flush(zlib.Z_FULL_FLUSH)
        stream.append(piece * times)
        size += len(block) * times
        for _ in range(times):
            crc = zlib.crc32(block, crc)
    stream.append(zlib.compressobj(wbits=-zlib.MAX_WBITS).flush())
    return b"".join(stream), size, crc


def zip_of(path: Path, blocks: Blocks, *, declared: int | None = None) -> None:
    """Write a zip of one CSV, which may declare another size than it has."""
    stream, size, crc = deflated(blocks)
    name = f"{path.stem}.csv".encode()
    declared = size if declared is None else declared
    head = b"\x14\0\0\0\x08\0" + bytes(4) + crc.to_bytes(4, "little")
    head += len(stream).to_bytes(4, "little") + declared.to_bytes(4, "little")
    head += len(name).to_bytes(2, "little")
    local = b"PK\3\4" + head + bytes(2) + name
    entry = b"PK\1\2\x14\0" + head + bytes(16) + name
    end = b"PK\5\6" + bytes(4) + b"\1\0\1\0" + len(entry).to_bytes(4, "little")
    end += (len(local) + len(stream)).to_bytes(4, "little") + bytes(2)
    path.write_bytes(local + stream + entry + end)


def repeated(line: bytes, size: int) -> Blocks:
    """Return about `size` bytes of one line."""
    block = line * max(BLOCK // len(line), 1)
    return [(block, size // len(block))]


def kline(time_ms: int = DAY_MS) -> bytes:
    """Return one bar of a minute."""
    return b"%d,1,2,0.5,1,1,%d,1,1,1,1,0\n" % (time_ms, time_ms + 59_999)


def bars(begin_s: int, count: int, *, step: int, copies: int) -> bytes:
    """Return bars that are published several times, each time with other values."""
    row = pl.int_range(count * copies, eager=True)
    time_us = (begin_s + row // copies * step) * 1_000_000
    price = 100 + (row * 7919 % 1000) / 1000
    frame = pl.select(
        *(time_us, price.alias("o"), (price + 1).alias("h"), (price - 1).alias("l")),
        *(price.alias("c"), pl.lit(12.5).alias("v")),
        (time_us + step * 1_000_000 - 1).alias("e"),
        *(pl.lit(number).alias(f"x{number}") for number in range(5)),
    )
    return frame.write_csv(include_header=False, float_precision=8).encode()


def one(day: str, data_type: str, blocks: Blocks, **options: int) -> Callable:
    """Return a case of one daily zip."""

    def make(folder: Path) -> tuple[str, str, str]:
        name = "1m" if data_type == "klines" else data_type
        zip_of(folder / f"A-{name}-{day}.zip", blocks, **options)
        interval = "1m" if data_type == "klines" else ""
        large = data_type in {"trades", "aggTrades", "bookDepth"}
        return data_type, interval, day[:7] if large else day[:4]

    return make


def months(interval: str, copies: int, count: int = 12) -> Callable:
    """Return a case of monthly zips whose every bar is published several times."""

    def make(folder: Path) -> tuple[str, str, str]:
        step = 1 if interval == "1s" else 60
        for month in range(1, count + 1):
            first = dt.datetime(2024, month, 1, tzinfo=dt.UTC)
            length_s = calendar.monthrange(2024, month)[1] * DAY_S
            start_s = int(first.timestamp())
            content = bars(start_s, length_s // step, step=step, copies=copies)
            path = folder / f"A-{interval}-2024-{month:02}.zip"
            zip_of(path, [(content, 1)])
        return "klines", interval, "2024-01" if interval == "1s" else "2024"

    return make


def liquidations(folder: Path) -> tuple[str, str, str]:
    """Make a year of as many liquidations as a day may have, all different."""
    for day in range(60):
        begin = 1_704_067_200_000 + day * DAY_S * 1_000
        lines = (
            b"%d,BUY,LIMIT%020d,IOC,1,2,3,FILLED,4,5\n" % (begin + row, row)
            for row in range(80_000)
        )
        date = dt.date(2024, 1, 1) + dt.timedelta(days=day)
        path = folder / f"A-liquidationSnapshot-{date}.zip"
        zip_of(path, [(b"".join(lines), 1)])
    return "liquidationSnapshot", "", "2024"


def checksum(folder: Path) -> tuple[str, str, str]:
    """Make a sound zip whose CHECKSUM has 300 MB."""
    made = one("2024-01-01", "klines", [(kline(), 1)])(folder)
    with (folder / "A-1m-2024-01-01.zip.CHECKSUM").open("wb") as file:
        file.truncate(300 * 10**6)
    return made


def members(folder: Path) -> tuple[str, str, str]:
    """Make a zip of very many members of no bytes, with long names."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as opened:
        opened.writestr("x" * 60_000, b"")
    content = buffer.getvalue()
    directory = content[content.index(b"PK\1\2") : content.index(b"PK\5\6")]
    times = 4_000
    end = b"PK\5\6" + bytes(4) + times.to_bytes(2, "little") * 2
    end += (len(directory) * times).to_bytes(4, "little") + bytes(6)
    path = folder / "A-1m-2024-01-01.zip"
    path.write_bytes(directory * times + end)
    return "klines", "1m", "2024"


TRADE = b"%d,1,2,3,1704067200000,true,true\n"
HEADER = b",".join(b"name%d" % number for number in range(1_000_000)) + b"\n"
WIDE = b"id,price,qty,quote_qty,time,is_buyer_maker,is_best_match," + b",".join(
    b"x%d" % number for number in range(93)
)
DEEP = b"1704067200000,0." + b"1" * 1_000_000 + b",2,0,1,1,1704067259999,1,1,1,1,0\n"
D = "2024-01-01"

CASES: dict[str, Callable] = {
    "2 GiB of lines": one(D, "klines", repeated(kline(), 2 * GIB)),
    "one line of 2 GiB": one(D, "klines", repeated(b"1", 2 * GIB)),
    "5 M columns": one(D, "klines", repeated(b"1,", 10 * 10**6)),
    "500 MB of commas": one(D, "klines", repeated(b",", 500 * 10**6)),
    "1 M header names": one(D, "klines", [(HEADER, 1), (kline(), 1)]),
    "CHECKSUM of 300 MB": checksum,
    "2 GiB of line feeds": one(D, "klines", repeated(b"\n", 2 * GIB)),
    "2 GiB of NULs": one(D, "klines", repeated(b"\0", 2 * GIB)),
    "declares 10 bytes": one(D, "klines", repeated(kline(), GIB), declared=10),
    "240 MB of member names": members,
    "a million digits": one(D, "klines", [(DEEP, 100)]),
    "year of 1m, all four times": months("1m", 4),
    "month of 1s, sound": months("1s", 1, 1),
    "month of 1s, all twice": months("1s", 2, 1),
    "liquidations by the million": liquidations,
    "metrics of one open quote": one(D, "metrics", repeated(b'"1', 2 * GIB)),
    "2 GiB of one trade": one(D, "trades", repeated(TRADE % 1, 2 * GIB)),
    "2 GiB of line feeds, trades": one(
        D, "trades", [(TRADE % 1, 1), *repeated(b"\n", 2 * GIB), (TRADE % 2, 1)]
    ),
    "trades of 100 blank columns": one(
        D, "trades", [(WIDE + b"\n", 1), *repeated(b"," * 99 + b"\n", GIB)]
    ),
    "trades of one letter a line": one(D, "trades", repeated(b"1\n", 2 * GIB)),
}


def parse(folder: Path, of: tuple[str, str, str]) -> tuple[str, float, int]:
    """Parse in a process of its own; return what came, CPU seconds, KiB."""
    command = [sys.executable, "-c", CHILD, str(folder), *of]
    environment = os.environ | {"POLARS_MAX_THREADS": "1"}

    def guard() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (GUARD_BYTES, GUARD_BYTES))
        resource.setrlimit(resource.RLIMIT_CPU, (120, 120))

    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=subprocess.DEVNULL,
            preexec_fn=guard,  # noqa: PLW1509  # no threads here
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = usage.ru_utime + usage.ru_stime
        output.seek(0)
        text = output.read()
    if status:
        return f"ended with status {status}", seconds, usage.ru_maxrss
    rows, bad, reason = json.loads(text)
    size = (folder / "out.json").stat().st_size
    return f"{rows} rows, {bad} bad, {size} B: {reason}", seconds, usage.ru_maxrss


def main() -> None:
    """Measure all cases, or those that are named."""
    failed = False
    for name in sys.argv[1:] or CASES:
        with tempfile.TemporaryDirectory() as scratch:
            of = CASES[name](Path(scratch))
            found, seconds, most_kb = parse(Path(scratch), of)
        failed |= most_kb > MAX_KB or seconds > MAX_S or found.startswith("ended")
        print(f"{name:30} {most_kb // 1024:6} MiB {seconds:6.1f} s  {found[:160]}")
        sys.stdout.flush()
    sys.exit(failed)


if __name__ == "__main__":
    main()
