"""The command `bhds plan`: print downloads, requests and cost of a run."""

import datetime as dt
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer
from rich.filesize import decimal
from rich.table import Table

from bhds.archive.download import ledger
from bhds.archive.download.ledger import Rate
from bhds.cli.datasets import narrowed
from bhds.cli.options import AsJson, Cores, Days, command, examples
from bhds.cli.settings import MoreConfigValues, SettingsOptions
from bhds.cli.terminal import console, working
from bhds.config import Dataset, Settings
from bhds.config.model import RawChoice
from bhds.plan import estimate, prepare, summary
from bhds.plan.dataset import PlannedDataset
from bhds.plan.estimate import Estimate
from bhds.plan.summary import Row

_RATE_COLUMNS = ("size", "md5", "first_seen", "requested_at")

EPILOG = examples("bhds plan", "bhds plan as_of=2025-01-31 --json", "bhds plan --files")

_WithFiles = Annotated[
    bool,
    typer.Option(
        "--files",
        help="Print only the files to download: state, bytes and path of each, "
        "tab-separated. With --json, add them to the document.",
    ),
]


@dataclass(frozen=True)
class _DatasetPlan:
    """One dataset in figures."""

    dataset: Dataset
    row: Row
    estimate: Estimate
    due: pl.DataFrame
    """The files to download: `due`, `size` (bytes) and `path`."""

    def needed_bytes(self, *, raw: RawChoice | None = None) -> int:
        """Return what stays on the disk: as set, or with another value of `raw`."""
        is_parsed = self.dataset.entry.table is not None
        discards = is_parsed and (raw or self.dataset.raw) == "discard"
        taken = self.estimate
        built_bytes = taken.partition_bytes + taken.result_bytes + taken.overhead_bytes
        return built_bytes + (0 if discards else self.row.due_bytes)


@dataclass(frozen=True)
class _Report:
    """A plan in figures."""

    data_dir: Path
    last_day: dt.date
    datasets: Sequence[_DatasetPlan]
    row: Row
    estimate: Estimate
    rate: Rate
    is_measured: bool
    """Whether the rate is that of downloads here."""
    cores: int
    free_bytes: int

    def needed_bytes(self, *, raw: RawChoice | None = None) -> int:
        return sum(found.needed_bytes(raw=raw) for found in self.datasets)

    @property
    def fits(self) -> bool:
        return self.needed_bytes() <= self.free_bytes


@command
def plan(
    *,
    options: SettingsOptions,
    more: MoreConfigValues = None,
    days: Days,
    as_json: AsJson = False,
    with_files: _WithFiles = False,
    cores: Cores = None,
) -> None:
    """Print the downloads, API requests, disk space and time of a run.

    Changes nothing: old listings are fetched, but not kept. --start and --end show what
    datasets of fewer days cost.
    """
    settings = narrowed(options.read(more), days.given())
    with working("planning"):
        report = _report(
            settings, now=dt.datetime.now(dt.UTC), cores=cores or os.cpu_count() or 1
        )
    if as_json:
        document = _document(report, with_files=with_files)
        typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
    elif with_files:
        lines = (f"{state}\t{size}\t{path}\n" for state, size, path in _due(report))
        typer.echo("".join(lines), nl=False)
    else:
        _show(report)


def _report(settings: Settings, *, now: dt.datetime, cores: int) -> _Report:
    data_dir = settings.data_dir or Path()
    planned = prepare.plan(
        settings, targets=[], data_dir=data_dir, now=now, online=True, keep=False
    )
    last_day = settings.last_day(now)
    disk = _disk_of(data_dir)
    datasets = [
        _dataset_plan(
            dataset,
            data_dir=data_dir,
            has_api=settings.api.enabled,
            block_bytes=os.statvfs(disk).f_frsize,
        )
        for dataset in planned.datasets
    ]
    measured = ledger.download_rate(ledger.read(data_dir, columns=_RATE_COLUMNS))
    return _Report(
        data_dir.absolute(),
        last_day,
        datasets,
        summary.total([dataset.row for dataset in datasets]),
        estimate.total([dataset.estimate for dataset in datasets]),
        measured or estimate.DEFAULT_RATE,
        measured is not None,
        cores,
        shutil.disk_usage(disk).free,
    )


def _dataset_plan(
    planned: PlannedDataset, *, data_dir: Path, has_api: bool, block_bytes: int
) -> _DatasetPlan:
    files = summary.with_due(planned.files)
    return _DatasetPlan(
        planned.dataset,
        summary.count(planned, files),
        estimate.estimate(
            planned.dataset,
            files,
            data_dir=data_dir,
            last_day=planned.last_day,
            has_api=has_api,
            backfills=planned.backfills,
            filled=estimate.backfilled_until(planned, data_dir=data_dir),
            block_bytes=block_bytes,
        ),
        files.drop_nulls("due").select("due", "size", "path"),
    )


def _disk_of(data_dir: Path) -> Path:
    """Return the nearest existing folder, which is on the data directory's disk."""
    path = data_dir.absolute()
    return next(part for part in (path, *path.parents) if part.exists())


def _due(report: _Report) -> list[tuple[str, int, str]]:
    return [row for dataset in report.datasets for row in dataset.due.iter_rows()]


# --- as JSON


def _document(report: _Report, *, with_files: bool) -> dict[str, Any]:
    document: dict[str, Any] = {
        "data_dir": str(report.data_dir),
        "last_day": report.last_day.isoformat(),
        "datasets": [
            {"dataset": found.row.dataset}
            | {
                name: getattr(found.dataset, name)
                for name in ("trade_type", "data_type", "interval", "frequency")
            }
            | _figures(found, report=report)
            for found in report.datasets
        ],
        "total": _figures(report, report=report),
        "free_bytes": report.free_bytes,
        "fits": report.fits,
        "rate": asdict(report.rate) | {"is_measured": report.is_measured},
        "cores": report.cores,
    }
    if with_files:
        document["files"] = [
            {"state": state, "size_bytes": size, "path": path}
            for state, size, path in _due(report)
        ]
    return document


def _figures(found: _DatasetPlan | _Report, *, report: _Report) -> dict[str, Any]:
    row, taken = found.row, found.estimate
    figures = asdict(row) | asdict(taken)
    del figures["dataset"]
    return figures | {
        "download_seconds": _download_seconds(row, report.rate),
        "seconds": _seconds(row, taken, report=report),
        "needed_bytes": found.needed_bytes(),
        "needed_bytes_raw_kept": found.needed_bytes(raw="keep"),
        "needed_bytes_raw_discarded": found.needed_bytes(raw="discard"),
    }


def _download_seconds(row: Row, rate: Rate) -> float:
    return rate.seconds_for(files=row.due_files, size_bytes=row.due_bytes)


def _seconds(row: Row, taken: Estimate, *, report: _Report) -> float:
    """Return the time of downloads, requests and computing, one after the other."""
    computing = taken.cpu_seconds / report.cores
    return _download_seconds(row, report.rate) + taken.api_seconds + computing


# --- for people


def _show(report: _Report) -> None:
    out = console()
    out.print(summary.files_table([found.row for found in report.datasets]))
    out.print()
    out.print(_work_table(report))
    out.print()
    for line in _notes(report):
        out.print(line, soft_wrap=True)


def _work_table(report: _Report) -> Table:
    table = Table(title="Estimates", title_justify="left", box=None, pad_edge=False)
    table.add_column("dataset", overflow="fold")
    for heading in ("download", "API requests", "disk needed", "jobs", "time"):
        table.add_column(heading, justify="right", no_wrap=True)
    for found in report.datasets:
        table.add_row(*_cells(found, report=report))
    if len(report.datasets) > 1:
        table.add_section()
        table.add_row(*_cells(report, report=report))
    return table


def _cells(found: _DatasetPlan | _Report, *, report: _Report) -> tuple[str, ...]:
    row, taken = found.row, found.estimate
    return (
        row.dataset,
        decimal(row.due_bytes),
        f"{taken.api_requests:,}",
        decimal(found.needed_bytes()),
        f"{taken.jobs:,}",
        _time(_seconds(row, taken, report=report)),
    )


def _time(seconds: float) -> str:
    """Format a duration with two digits."""
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 1.5 * length:
            count = seconds / length
            return f"{count:.1f} {unit}" if count < 10 else f"{count:.0f} {unit}"  # noqa: PLR2004
    return f"{seconds:.0f} s"


def _notes(report: _Report) -> list[str]:
    """Return the notes below the tables: disk space and time."""
    needed, free = decimal(report.needed_bytes()), decimal(report.free_bytes)
    taken = report.estimate
    disk = (
        f"Disk: {needed} needed below {report.data_dir}: downloads "
        f"{decimal(report.row.due_bytes)}, partitions {decimal(taken.partition_bytes)}"
        f", results {decimal(taken.result_bytes)}, whole blocks, logs and .snakemake "
        f"{decimal(taken.overhead_bytes)}; {free} free. With raw: keep "
        f"{decimal(report.needed_bytes(raw='keep'))}, with raw: discard "
        f"{decimal(report.needed_bytes(raw='discard'))} and the zips of the partitions "
        "that are being built."
    )
    if not report.fits:
        disk += " Not enough space: free some, or choose another data_dir."
    rate = report.rate
    origin = "the rate of the last downloads"
    if not report.is_measured:
        origin = "an assumed rate, until downloads were measured here"
    return [
        disk,
        f"Time: downloads {_time(_download_seconds(report.row, rate))} "
        f"({decimal(int(rate.bytes_per_s))}/s and {rate.files_per_s:,.1f} files/s: "
        f"{origin}), then API requests {_time(taken.api_seconds)} (as fast as the "
        f"exchange allows), then parsing and building "
        f"{_time(taken.cpu_seconds / report.cores)} on {report.cores} cores "
        "(docs/performance.md: 0.8 s per job, and 33 MB of zips per second). Quality "
        "tables and the report are not counted. All are estimates.",
    ]
