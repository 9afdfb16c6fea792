"""Measure downloads against bare aria2c, on the same files and connections.

An nginx of its own serves 3,000 incompressible zips of 57 KB and their CHECKSUMs on
loopback. They are fetched by turns:

- by `fetch_batch`, in the workflow's batches, as many at once as the default profile
  allows: staged, hashed, checked, put into place, told to the ledger;
- by one `aria2c --input-file` of all files with the same options, put where they
  belong, no more; once with the connections of a batch, and once with as many as all
  batches at once have together;
- by as many such aria2c at once as the workflow runs, one a batch: what hashing and
  keeping account cost, where nothing but the processor bounds the speed;
- with `--defaults` also by aria2c with its own options, for the record.

The order of files is the same. The processes that call `fetch_batch` are there
beforehand: how long Snakemake and Python take to start a job is no matter of the
download. CPU seconds are those of the clients, aria2c included. The median speed of
`fetch_batch` must be 0.9 of that of one aria2c at least, whichever of the two is the
faster; its part of the speed of one aria2c a batch is printed beside it.

Usage: python benchmarks/download.py [--rounds N] [--defaults] [--folder F]. All files
are below F, by default the system's folder for temporary files. Exit code 1: slower
than that; 2: no nginx.
"""

import argparse
import hashlib
import multiprocessing
import os
import random
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from io import StringIO
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import NamedTuple

import yaml

from bhds.archive.download import aria2, progress
from bhds.archive.download.batch import fetch_batch
from bhds.archive.download.staging import RequestedFile
from bhds.archive.keys import CHECKSUM_SUFFIX, path_of_key, url_of_key
from bhds.plan.batches import BATCH_ZIPS

ROOT = Path(__file__).resolve().parent.parent
SYMBOLS, DAYS, ZIP_BYTES = 10, 300, 57_000
TIMEOUT_S = 15
TARGET = 0.9

NGINX = """\
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port} backlog=1024;
        root {root};
    }}
}}
"""


class Run(NamedTuple):
    """What one way of fetching all files took."""

    seconds: float
    cpu_s: float


Fetch = Callable[[Path], Run]


def lay_out(bucket: Path) -> list[RequestedFile]:
    """Make the zips and CHECKSUMs; return them, a zip and its CHECKSUM in turn.

    Their paths are below the data directory. The bytes are the same every time.
    """
    wanted = []
    source = random.Random(0)  # noqa: S311 - no secret is made of it
    for symbol in range(SYMBOLS):
        folder = f"data/spot/daily/klines/S{symbol}USDT/1m"
        (bucket / folder).mkdir(parents=True)
        for day in range(DAYS):
            name = f"S{symbol}USDT-1m-2024-{day // 28 + 1:02d}-{day % 28 + 1:02d}.zip"
            content = source.randbytes(ZIP_BYTES)
            checksum = f"{hashlib.sha256(content).hexdigest()}  {name}\n".encode()
            for key, each in (
                (f"{folder}/{name}", content),
                (f"{folder}/{name}{CHECKSUM_SUFFIX}", checksum),
            ):
                (bucket / key).write_bytes(each)
                etag = hashlib.md5(each, usedforsecurity=False).hexdigest()
                wanted.append(
                    RequestedFile(key, Path(path_of_key(key)), len(each), etag)
                )
    return wanted


@contextmanager
def served(bucket: Path, *, folder: Path) -> Iterator[str]:
    """Serve a folder by nginx on a free port of loopback; yield its URL."""
    executable = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if executable is None:
        print("nginx is missing: install it (apt-get install nginx-light)")
        sys.exit(2)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = folder / "nginx.conf"
    config.write_text(NGINX.format(folder=folder, root=bucket, port=port))
    log = folder / "error.log"
    process = subprocess.Popen([executable, "-c", config, "-e", log, "-p", folder])
    try:
        wait_for(port, process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    """Return when somebody listens on a port; end where the process has ended."""
    while process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            time.sleep(0.05)
        else:
            return
    sys.exit(f"nginx ended with code {process.returncode}")


def batches_of(wanted: Sequence[RequestedFile]) -> list[list[RequestedFile]]:
    """Cut files into batches as the workflow does: its zips, then their CHECKSUMs."""
    pairs = [wanted[first : first + 2] for first in range(0, len(wanted), 2)]
    cut = [pairs[i : i + BATCH_ZIPS] for i in range(0, len(pairs), BATCH_ZIPS)]
    return [[pair[kind] for kind in (0, 1) for pair in batch] for batch in cut]


def cpu_s() -> float:
    """Return the CPU seconds of this process and of its children that have ended."""
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def timed(
    pool: Executor,
    task: Callable[[list[RequestedFile]], float],
    jobs: list[list[RequestedFile]],
) -> Run:
    """Do all jobs in a pool; a job returns its CPU seconds."""
    began = time.perf_counter()
    cpu = sum(pool.map(task, jobs))
    return Run(time.perf_counter() - began, cpu)


def fetch_one(
    batch: list[RequestedFile], *, data_dir: Path, base_url: str, connections: int
) -> float:
    """Fetch one batch as a job of the workflow does; return its CPU seconds."""
    os.chdir(data_dir)
    began = cpu_s()
    told = progress.BatchProgress(
        Path(),
        keys=[file.key for file in batch],
        size_bytes=sum(file.size for file in batch),
        stream=StringIO(),
    )
    fetch_batch(
        batch,
        data_dir=Path(),
        base_url=base_url,
        timeout_s=TIMEOUT_S,
        connections=connections,
        progress=told,
    )
    return cpu_s() - began


def fetch_by_bhds(
    data_dir: Path,
    *,
    pool: Executor,
    batches: list[list[RequestedFile]],
    base_url: str,
    connections: int,
) -> Run:
    """Fetch all batches by `fetch_batch`, a process for each of those at once."""
    files = [file for batch in batches for file in batch]
    size_bytes = sum(file.size for file in files)
    progress.begin_run(data_dir, files=len(files), size_bytes=size_bytes)
    task = partial(
        fetch_one, data_dir=data_dir, base_url=base_url, connections=connections
    )
    return timed(pool, task, batches)


def fetch_by_aria2c(
    data_dir: Path,
    *,
    batches: list[list[RequestedFile]],
    base_url: str,
    connections: int,
    at_once: int,
    by_default: bool = False,
) -> Run:
    """Fetch all batches by aria2c alone: input files and folders are there before."""
    executable = aria2.find_executable()
    for folder in {file.path.parent for batch in batches for file in batch}:
        (data_dir / folder).mkdir(parents=True)

    def command(number: int, batch: list[RequestedFile]) -> list[str | Path]:
        ordered = sorted(batch, key=lambda file: file.size, reverse=True)
        downloads = [
            aria2.Download(
                url_of_key(base_url, key=file.key), file.path.as_posix(), file.size
            )
            for file in ordered
        ]
        inputs = data_dir / f"{number}.txt"
        inputs.write_text(aria2.input_text(downloads))
        options = aria2.options(downloads, timeout_s=TIMEOUT_S, connections=connections)
        if by_default:
            options = ["--no-conf", "--quiet", f"-j{connections}"]
        return [executable, f"--input-file={inputs}", f"--dir={data_dir}", *options]

    commands = [command(number, batch) for number, batch in enumerate(batches)]
    run = partial(subprocess.run, check=True, stdout=subprocess.DEVNULL)
    began, began_cpu_s = time.perf_counter(), cpu_s()
    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(run, commands))
    return Run(time.perf_counter() - began, cpu_s() - began_cpu_s)


@contextmanager
def workers(count: int) -> Iterator[Executor]:
    """Start processes that have imported what they need, and wait until all have."""
    os.environ["POLARS_MAX_THREADS"] = "1"  # as in the workflow
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(count + 1)
    with ProcessPoolExecutor(
        count, mp_context=context, initializer=start_together, initargs=(barrier,)
    ) as pool:
        for _ in range(count):
            pool.submit(cpu_s)
        barrier.wait()
        yield pool


def start_together(barrier: Barrier) -> None:
    """Begin a worker: no proxies, and not before the others."""
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        del os.environ[name]
    barrier.wait()


def measure(fetch: Fetch, *, scratch: Path, wanted: Sequence[RequestedFile]) -> Run:
    """Fetch into a new data directory, and check that all files came."""
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        data_dir = Path(folder)
        run = fetch(data_dir)
        for file in wanted:
            if (data_dir / file.path).stat().st_size != file.size:
                sys.exit(f"{file.path}: expected {file.size} bytes")
    return run


def report(name: str, runs: Sequence[Run], *, wanted: Sequence[RequestedFile]) -> float:
    """Print the medians of one side; return that of its seconds."""
    seconds = statistics.median(run.seconds for run in runs)
    cpu = statistics.median(run.cpu_s for run in runs)
    megabytes = sum(file.size for file in wanted) / 1e6
    spread = f"{min(runs).seconds:.2f}-{max(runs).seconds:.2f}"
    print(
        f"{name}: {seconds:.2f} s ({spread}), {len(wanted) / seconds:,.0f} files/s, "
        f"{megabytes / seconds:.1f} MB/s, {cpu:.2f} CPU s"
    )
    return seconds


def settings() -> tuple[int, int]:
    """Return the connections of a batch and the batches at once, as configured."""
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    profile = yaml.safe_load((ROOT / "profiles/default/config.yaml").read_text())
    resources = dict(text.split("=") for text in profile["resources"])
    return config["http"]["connections"], int(resources["downloads"])


def compare(rounds: int, *, scratch: Path, with_defaults: bool) -> float:
    """Measure all ways by turns; return the speed as a part of one aria2c's."""
    wanted = lay_out(scratch / "bucket")
    batches = batches_of(wanted)
    connections, at_once = settings()
    print(
        f"{len(wanted)} files in {len(batches)} batches, {at_once} at once with "
        f"{connections} connections each; {rounds} rounds"
    )
    with (
        served(scratch / "bucket", folder=scratch) as base_url,
        workers(at_once) as pool,
    ):
        given = {"batches": batches, "base_url": base_url, "connections": connections}
        bare = partial(fetch_by_aria2c, **given, at_once=at_once)
        one = partial(bare, batches=[[file for batch in batches for file in batch]])
        ways: dict[str, Fetch] = {
            "fetch_batch": partial(fetch_by_bhds, **given, pool=pool),
            "one aria2c": one,
            "one aria2c, all connections": partial(
                one, connections=connections * at_once
            ),
            "one aria2c a batch": bare,
        }
        if with_defaults:
            ways["aria2c by default"] = partial(bare, by_default=True)
        runs: dict[str, list[Run]] = {name: [] for name in ways}
        for number in range(rounds):
            for name in list(ways)[:: -1 if number % 2 else 1]:
                run = measure(ways[name], scratch=scratch, wanted=wanted)
                print(f"  {name}: {run.seconds:.2f} s, {run.cpu_s:.2f} CPU s")
                runs[name].append(run)
    medians = {name: report(name, found, wanted=wanted) for name, found in runs.items()}
    own = medians["fetch_batch"]
    print(
        f"fetch_batch at {medians['one aria2c a batch'] / own:.2f} of the speed of one "
        "aria2c a batch"
    )
    return min(medians["one aria2c"], medians["one aria2c, all connections"]) / own


def main() -> None:
    """Measure, and fail where the download is too slow."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--defaults", action="store_true")
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(
        prefix="bhds-download-", dir=options.folder
    ) as scratch:
        ratio = compare(
            options.rounds, scratch=Path(scratch), with_defaults=options.defaults
        )
    print(f"fetch_batch at {ratio:.2f} of the speed of one aria2c (target {TARGET})")
    sys.exit(ratio < TARGET)


if __name__ == "__main__":
    main()
