"""The files of the parse stage: read zips, call the parser, write a partition."""

import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bhds import storage
from bhds.archive.job import listed_rows
from bhds.archive.keys import ArchiveFile
from bhds.markets import Interval, TradeType
from bhds.parse import klines
from bhds.parse.inputs import ArchiveInput


def write_partition(
    zips: Sequence[str],
    *,
    partition_path: str,
    sources_path: str,
    days: Mapping[str, dt.date | None],
    trade_type: str,
    symbol: str,
    interval: str,
    partition: str,
) -> None:
    """Parse the zips of one partition of one symbol, and write it with its sources.

    Parameters
    ----------
    zips
        Paths of zips, relative to the data directory, which is the current one. The
        CHECKSUM of each is looked for beside it.
    partition_path, sources_path
        Where the partition and its sources go.
    days
        `first_day` and `last_day`: the UTC days that the partition may hold.
    trade_type, symbol, interval, partition
        What the partition is of.

    Raises
    ------
    ParseError
        If a zip does not exist. Bad content of one is a verdict in the sources.
    """
    parsed = klines.parse_klines(
        _inputs(zips),
        trade_type=TradeType(trade_type),
        symbol=symbol,
        interval=Interval.parse(interval),
        partition=partition,
        first_day=days["first_day"],
        last_day=days["last_day"],
    )
    last_day = days["last_day"]
    metadata = {
        "stage": "parse",
        "revision": str(klines.REVISION),
        "as_of": last_day.isoformat() if last_day else "",
        "inputs": " ".join(source["sha256"] for source in parsed.sources["inputs"]),
    }
    storage.write_json(parsed.sources, sources_path)
    storage.write_parquet(parsed.frame, partition_path, metadata=metadata)


def _inputs(zips: Sequence[str]) -> list[ArchiveInput]:
    listed = listed_rows(zips)
    files = [ArchiveFile.from_path(path) for path in zips]
    return [
        ArchiveInput(
            Path(file.path), file.key, file.frequency, _etag(listed.get(file.key))
        )
        for file in files
    ]


def _etag(row: Mapping[str, Any] | None) -> str | None:
    return row["etag"] if row else None
