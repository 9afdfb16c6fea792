"""The command `bhds plan`: print downloads, requests and cost of a run."""

import datetime as dt
import json
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
from bhds.cli.options import AsJson, Days, command, examples
from bhds.cli.settings import MoreConfigValues, SettingsOptions
from bhds.cli.terminal import console, working
from bhds.config import Dataset, Settings
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


@dataclass(frozen=True)
class _Report:
    """A plan in figures."""

    data_dir: Path
    last_day: dt.date
    datasets: Sequence[_DatasetPlan]
    row: Row
    estimate: Estimate
    rate: Rate | None
    free_bytes: int

    @property
    def needed_bytes(self) -> int:
        return _needed_bytes(self.row, self.estimate)

    @property
    def fits(self) -> bool:
        return self.needed_bytes <= self.free_bytes


@command
def plan(
    *,
    options: SettingsOptions,
    more: MoreConfigValues = None,
    days: Days,
    as_json: AsJson = False,
    with_files: _WithFiles = False,
) -> None:
    """Print the downloads, API requests, disk space and time of a run.

    Changes nothing: old listings are fetched, but not kept. --start and --end show what
    datasets of fewer days cost.
    """
    settings = narrowed(options.read(more), days.given())
    with working("planning"):
        report = _report(settings, now=dt.datetime.now(dt.UTC))
    if as_json:
        document = _document(report, with_files=with_files)
        typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
    elif with_files:
        lines = (f"{state}\t{size}\t{path}\n" for state, size, path in _due(report))
        typer.echo("".join(lines), nl=False)
    else:
        _show(report)


def _report(settings: Settings, *, now: dt.datetime) -> _Report:
    data_dir = settings.data_dir or Path()
    planned = prepare.plan(
        settings, targets=[], data_dir=data_dir, now=now, online=True, keep=False
    )
    last_day = settings.last_day(now)
    datasets = [
        _dataset_plan(dataset, data_dir=data_dir, has_api=settings.api.enabled)
        for dataset in planned.datasets
    ]
    fetched = ledger.read(data_dir, columns=_RATE_COLUMNS)
    return _Report(
        data_dir.absolute(),
        last_day,
        datasets,
        summary.total([dataset.row for dataset in datasets]),
        estimate.total([dataset.estimate for dataset in datasets]),
        ledger.download_rate(fetched),
        _free_bytes(data_dir),
    )


def _dataset_plan(
    planned: PlannedDataset, *, data_dir: Path, has_api: bool
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
            filled=estimate.backfilled_partitions(planned, data_dir=data_dir),
        ),
        files.drop_nulls("due").select("due", "size", "path"),
    )


def _free_bytes(data_dir: Path) -> int:
    """Return the free space on the disk of the data directory."""
    path = data_dir.absolute()
    nearest = next(part for part in (path, *path.parents) if part.exists())
    return shutil.disk_usage(nearest).free


def _needed_bytes(row: Row, taken: Estimate) -> int:
    return row.due_bytes + taken.partition_bytes + taken.result_bytes


def _due(report: _Report) -> list[tuple[str, int, str]]:
    return [row for dataset in report.datasets for row in dataset.due.iter_rows()]


# --- as JSON


def _document(report: _Report, *, with_files: bool) -> dict[str, Any]:
    rate = report.rate
    document: dict[str, Any] = {
        "data_dir": str(report.data_dir),
        "last_day": report.last_day.isoformat(),
        "datasets": [
            {"dataset": found.row.dataset}
            | {
                name: getattr(found.dataset, name)
                for name in ("trade_type", "data_type", "interval", "frequency")
            }
            | _figures(found.row, found.estimate, rate=rate)
            for found in report.datasets
        ],
        "total": _figures(report.row, report.estimate, rate=rate),
        "free_bytes": report.free_bytes,
        "fits": report.fits,
        "rate": None if rate is None else asdict(rate),
    }
    if with_files:
        document["files"] = [
            {"state": state, "size_bytes": size, "path": path}
            for state, size, path in _due(report)
        ]
    return document


def _figures(row: Row, taken: Estimate, *, rate: Rate | None) -> dict[str, Any]:
    figures = asdict(row) | asdict(taken)
    del figures["dataset"]
    return figures | {
        "download_seconds": _download_seconds(row, rate),
        "seconds": _seconds(row, taken, rate=rate),
        "needed_bytes": _needed_bytes(row, taken),
    }


def _download_seconds(row: Row, rate: Rate | None) -> float | None:
    return estimate.download_seconds(
        rate, files=row.due_files, size_bytes=row.due_bytes
    )


def _seconds(row: Row, taken: Estimate, *, rate: Rate | None) -> float | None:
    """Return the time of downloads and requests, one after the other."""
    seconds = _download_seconds(row, rate)
    return None if seconds is None else seconds + taken.api_seconds


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
    for heading in ("download", "API requests", "disk needed", "time"):
        table.add_column(heading, justify="right", no_wrap=True)
    for found in report.datasets:
        table.add_row(*_cells(found.row, found.estimate, rate=report.rate))
    if len(report.datasets) > 1:
        table.add_section()
        table.add_row(*_cells(report.row, report.estimate, rate=report.rate))
    return table


def _cells(row: Row, taken: Estimate, *, rate: Rate | None) -> tuple[str, ...]:
    seconds = _seconds(row, taken, rate=rate)
    return (
        row.dataset,
        decimal(row.due_bytes),
        f"{taken.api_requests:,}",
        decimal(_needed_bytes(row, taken)),
        "unknown" if seconds is None else _time(seconds),
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
    needed, free = decimal(report.needed_bytes), decimal(report.free_bytes)
    taken = report.estimate
    disk = (
        f"Disk: {needed} needed below {report.data_dir}: downloads "
        f"{decimal(report.row.due_bytes)}, partitions {decimal(taken.partition_bytes)}"
        f", results {decimal(taken.result_bytes)}; {free} free."
    )
    if not report.fits:
        disk += " Not enough space: free some, or choose another data_dir."
    rate = report.rate
    measured = (
        "unknown: nothing measured yet"
        if rate is None
        else f"at the rate of the last downloads, {decimal(int(rate.bytes_per_s))}/s "
        f"and {rate.files_per_s:,.1f} files/s"
    )
    return [
        disk,
        f"Time: downloads ({measured}), then API requests as fast as the exchange "
        "allows; parsing and building are not counted.",
    ]
