"""Remember which partitions had zips that cannot be used, to count these cheaply.

The sources of a partition say what became of its zips, but to read those of all
partitions takes long. So a parse job that meets such a zip leaves the path of the
sources in a table, and they are looked at again when a run begins or ends.
"""

import datetime as dt
import json
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from bhds import layout
from bhds.core.errors import ParseError
from bhds.io.append_table import AppendTable
from bhds.schemas.archive_tables import UNUSABLE_ZIPS, IntegrityStatus

_TABLE = AppendTable(
    file=layout.UNUSABLE_ZIPS,
    schema=UNUSABLE_ZIPS,
    sort=("path", "recorded_at"),
    error=ParseError,
    if_lost="corrupt and vanished zips are then not counted at the end of a run",
)

_UNUSABLE = (IntegrityStatus.CORRUPT, IntegrityStatus.VANISHED)


def record(data_dir: Path, sources_path: str, sources: Mapping[str, Any]) -> None:
    """Remember the sources of a partition if one of its zips cannot be used."""
    if any(entry["integrity_status"] in _UNUSABLE for entry in sources["inputs"]):
        row = {"path": sources_path, "recorded_at": dt.datetime.now(dt.UTC)}
        _TABLE.append(data_dir, rows=pl.DataFrame([row], schema=UNUSABLE_ZIPS))


def count(
    data_dir: Path, *, selects: Callable[[str], bool]
) -> dict[IntegrityStatus, int]:
    """Count the zips that existing partitions could not use, by integrity status.

    `selects` returns whether the partition of some sources counts.
    """
    zips: dict[str, str] = {}
    paths = _TABLE.read(data_dir, columns=["path"])["path"].unique()
    for path in filter(selects, paths):
        try:
            sources = json.loads((data_dir / path).read_bytes())
        except (FileNotFoundError, ValueError):  # to be made again
            continue
        zips |= {entry["key"]: entry["integrity_status"] for entry in sources["inputs"]}
    numbers = Counter(zips.values())
    return {
        integrity_status: numbers[integrity_status]
        for integrity_status in _UNUSABLE
        if numbers[integrity_status]
    }


def compact(data_dir: Path) -> int:
    """Merge what jobs recorded into one file; return how many parts there were."""
    return _TABLE.compact(data_dir)
