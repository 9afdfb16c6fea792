"""Hostile zips from a generator, each parsed beside a sound one."""

import hashlib
import io
import itertools
import json
import os
import subprocess
import sys
import zipfile

import polars as pl

from tests.soak.part import HANG_S, MEMORY_BOUND
from tests.unit.parse.conftest import HEADER, kline_csv

FOLDER = "aws_data/spot/daily/klines/BTCUSDT/1m"
SOUND, HOSTILE = (f"BTCUSDT-1m-2024-01-0{day}" for day in (1, 2))
DAY = 1_440
MOST_ADDRESSES_KIB = 8 << 20
"""Of the job's process, so that a bomb does not take the machine down."""
MOST_SOURCES = 100_000
"""Bytes of the sources of two zips: what is wrong with them is said in short."""
MIB = 1 << 20
UNITS = {
    "lines": kline_csv("2024-01-02T00:00:00", 1).encode(),
    "one long line": b"1",
    "columns": b"1,",
    "commas": b",",
    "names": b"open_time,",
    "line feeds": b"\n",
    "carriage returns": b"\r",
    "zeros": b"\0",
    "quotes": b'"a\n',
    "digits": b"9" * 4_000 + b",",
    "negative": b"-1" + b",1" * 11 + b"\n",
    "text": "龙虾,\U0001f99e\n".encode(),
}
SIZES = (0, 1, 100, MIB, 16 * MIB, 128 * MIB, 512 * MIB, 2_048 * MIB)
SHAPES = {
    "plain": lambda made, _: made,
    "cut": lambda made, chance: made[: chance.randrange(len(made))],
    "flipped": lambda made, chance: patched(made, chance.randrange(len(made)), b"\xaa"),
    "encrypted": lambda made, _: patched(made, made.rindex(b"PK\1\2") + 8, b"\1"),
    "of another size": lambda made, chance: patched(
        made, made.rindex(b"PK\1\2") + 24, chance.randbytes(4)
    ),
    "zip in a zip": lambda made, _: zipped([made], f"{HOSTILE}.csv"),
    "two members": lambda _, __: zipped([b"1\n"], f"{HOSTILE}.csv", "b.csv"),
    "path": lambda _, __: zipped([b"1\n"], "../../../escaped.csv"),
    "page": lambda _, __: b"<html>Log in</html>",
    "nothing": lambda _, __: b"",
}
CHECKSUMS = {
    "right": lambda digest: digest + f"  {HOSTILE}.zip\n".encode(),
    "wrong": lambda _: b"0" * 64 + f"  {HOSTILE}.zip\n".encode(),
    "long": lambda digest: digest + b" " * (64 * MIB) + f"{HOSTILE}.zip".encode(),
    "binary": lambda _: os.urandom(500),
}
JOB = """
import sys
from pathlib import Path
from bhds.stages import parse
parse.write_partition(
    sys.argv[1:], partition_path="partition.parquet", sources_path="sources.json",
    days={"first_day": None, "last_day": None}, trade_type="spot", data_type="klines",
    symbol="BTCUSDT", partition="2024", interval="1m",
)
peak, = (x for x in Path("/proc/self/status").open() if x.startswith("VmHWM:"))
Path("peak_kib.txt").write_text(peak.split()[1])
"""


def run(part, *, folder):
    """Parse hostile zips until the time is over."""
    place, chance = folder / FOLDER, part.random
    place.mkdir(parents=True)
    sound = kline_csv("2024-01-01T00:00:00", DAY).encode()
    (place / f"{SOUND}.zip").write_bytes(zipped([sound], f"{SOUND}.csv"))
    while part.goes_on:
        unit, shape = chance.choice([*UNITS]), chance.choice(["plain", *SHAPES])
        size = chance.choice(SIZES if part.left_s > 60 else SIZES[:-2])
        header = HEADER.encode() * (chance.random() < 0.3)
        checksum = chance.choice(["right", "right", *CHECKSUMS])
        pieces = itertools.chain([header], repeated(UNITS[unit], size))
        archive = SHAPES[shape](zipped(pieces, f"{HOSTILE}.csv"), chance)
        path = place / f"{HOSTILE}.zip"
        path.write_bytes(archive)
        digest = hashlib.sha256(archive).hexdigest().encode()
        path.with_suffix(".zip.CHECKSUM").write_bytes(CHECKSUMS[checksum](digest))
        fault = parse(folder) or fault_of(folder)
        what = f"{unit}, {size:,} bytes, CHECKSUM {checksum}"
        part.count(shape, fault and f"{what}: {fault}")


def parse(folder):
    """Parse both zips in a process of its own; return in what it did not end well."""
    names = [f"{FOLDER}/{name}.zip" for name in (SOUND, HOSTILE)]
    limited = f'ulimit -v {MOST_ADDRESSES_KIB}; exec "$@"'
    command = ["bash", "-c", limited, "-", sys.executable, "-c", JOB, *names]
    with (folder / "said.txt").open("w") as said:
        process = subprocess.Popen(command, cwd=folder, stdout=said, stderr=said)
    try:
        process.wait(HANG_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.returncode:
        text = (folder / "said.txt").read_text(errors="replace")
        return f"exit code {process.returncode}: {text[-300:]}"
    # Not ru_maxrss: a child begins with that of the process that started it.
    used = int((folder / "peak_kib.txt").read_text()) >> 10
    return f"{used} MiB" if used > MEMORY_BOUND >> 20 else None


def fault_of(folder):
    """Return what is wrong with the partition and its sources, or None."""
    text = (folder / "sources.json").read_text()
    sound, hostile = json.loads(text)["inputs"]
    frame = pl.read_parquet(folder / "partition.parquet", glob=False)
    days = dict(frame["open_time"].dt.date().value_counts().iter_rows())
    rows = {str(day): count for day, count in days.items()}
    kept = rows.pop("2024-01-01", 0)
    most = 0 if hostile["integrity_status"] == "corrupt" else DAY
    if kept != DAY or sound["integrity_status"] == "corrupt":
        status = sound["integrity_status"]
        return f"{kept} rows of the sound zip beside it, which is {status}"
    if rows.pop("2024-01-02", 0) > most or rows:
        return f"{hostile['integrity_status']}, but there are rows: {days}"
    return f"{len(text)} bytes of sources" if len(text) > MOST_SOURCES else None


def repeated(unit, size):
    """Yield pieces of `size` bytes in all."""
    piece = unit * max(1, MIB // len(unit))
    yield from (piece for _ in range(size // len(piece)))
    yield piece[: size % len(piece)]


def zipped(pieces, *names):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name in names:
            with archive.open(name, "w", force_zip64=True) as member:
                for piece in pieces:
                    member.write(piece)
    return made.getvalue()


def patched(made, place, piece):
    return made[:place] + piece + made[place + len(piece) :]
