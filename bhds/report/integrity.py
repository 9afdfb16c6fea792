"""Integrity status of each zip, from the provenance of the partitions."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import polars as pl

from bhds import layout
from bhds.report.blocks import (
    OF_SERIES,
    OF_SYMBOL,
    ColumnKind,
    ReportTable,
    TableColumn,
    capped,
)
from bhds.report.inputs import MARKET
from bhds.schemas.archive_tables import IntegrityStatus

_LISTED = 2_000
_ADDED_UP = ("size", "rows_read", "duplicates", "conflicts", "out_of_order")

SERIES = pl.Schema(
    {
        "market": pl.String(),
        "series": pl.String(),
        "zips": pl.Int64(),
        **{status.value: pl.Int64() for status in IntegrityStatus},
        **dict.fromkeys(_ADDED_UP, pl.Int64()),
    }
)
"""Per market and series: the number of `zips` and bytes that are inputs of partitions,
of zips of each integrity status, and of rows."""

DOUBTFUL = pl.Schema(
    {
        "market": pl.String(),
        "series": pl.String(),
        "symbol": pl.String(),
        "file": pl.String(),
        "integrity_status": pl.String(),
        "reason": pl.String(),
    }
)
"""Zips whose integrity status is not `ok`, or that were used with a warning."""


class IntegrityFindings(NamedTuple):
    """Zips counted and listed from the provenance of all partitions."""

    series: pl.DataFrame
    """`SERIES`, sorted by market and series."""
    doubtful: pl.DataFrame
    """`DOUBTFUL`, the worst first."""


_BY_SERIES = (
    *OF_SERIES,
    TableColumn("zips", "Zips", ColumnKind.COUNT),
    TableColumn("size", "Size", ColumnKind.BYTES),
    TableColumn("ok", "Ok", ColumnKind.COUNT, "match their CHECKSUM"),
    TableColumn(
        "checksum-stale", "CHECKSUM stale", ColumnKind.COUNT, "the zip is sound"
    ),
    TableColumn(
        "checksum-missing", "CHECKSUM missing", ColumnKind.COUNT, "the zip is sound"
    ),
    TableColumn("corrupt", "Corrupt", ColumnKind.COUNT, "their rows are omitted"),
    TableColumn("vanished", "Vanished", ColumnKind.COUNT, "listed, but not served"),
    TableColumn("rows_read", "Rows read", ColumnKind.COUNT),
    TableColumn("duplicates", "Duplicates", ColumnKind.COUNT, "dropped"),
    TableColumn("conflicts", "Conflicts", ColumnKind.COUNT, "dropped"),
    TableColumn("out_of_order", "Out of order", ColumnKind.COUNT, "sorted"),
)


_DOUBTS = (
    *OF_SYMBOL,
    TableColumn("file", "Zip"),
    TableColumn("integrity_status", "Integrity status"),
    TableColumn("reason", "Reason", ColumnKind.PROSE),
)


def collect(sources: Iterable[Mapping[str, Any]]) -> IntegrityFindings:
    """Count the zips of partitions by integrity status, and list the doubtful ones.

    Parameters
    ----------
    sources
        Contents of `<partition>.sources.json`; may be an iterator.
    """
    totals: dict[tuple[str, str], Counter[str]] = {}
    doubtful = []
    for partition in sources:
        data = (partition["data_type"], partition["interval"])
        series = (partition["trade_type"], " ".join(filter(None, data)))
        counts = totals.setdefault(series, Counter())
        for entry in partition["inputs"]:
            counts["zips"] += 1
            counts[entry["integrity_status"]] += 1
            for name in _ADDED_UP:
                counts[name] += entry[name]
            if entry["integrity_status"] != IntegrityStatus.OK or entry["warnings"]:
                file = entry["key"].rpartition("/")[2]
                reason = "; ".join(filter(None, (entry["reason"], *entry["warnings"])))
                status = entry["integrity_status"]
                doubtful.append((*series, partition["symbol"], file, status, reason))
    rows = [
        {"market": market, "series": series}
        | {name: counts[name] for name in list(SERIES)[2:]}
        for (market, series), counts in totals.items()
    ]
    by_market = pl.col("market").cast(MARKET)
    statuses = pl.Enum([status.value for status in reversed(IntegrityStatus)])
    worst = pl.col("integrity_status").cast(statuses)
    return IntegrityFindings(
        pl.DataFrame(rows, schema=SERIES).sort(by_market, "series"),
        pl.DataFrame(doubtful, schema=DOUBTFUL, orient="row").sort(
            worst, by_market, "series", "symbol", "file"
        ),
    )


def series_table(series: pl.DataFrame) -> ReportTable:
    """Show the number of zips of each integrity status."""
    return ReportTable(
        name="integrity-by-series",
        caption="Zips by integrity status",
        columns=_BY_SERIES,
        rows=series,
        if_empty="No zip is parsed.",
    )


def doubtful_table(doubtful: pl.DataFrame) -> ReportTable:
    """List doubtful zips with the reason."""
    where = layout.sources_of(layout.table(f"{layout.PARSED}/…", "<partition>"))
    rows, note = capped(doubtful, at=_LISTED, where=where)
    return ReportTable(
        name="integrity-doubtful",
        caption="Zips with another status than ok, or with a warning",
        columns=_DOUBTS,
        rows=rows,
        note=note,
        if_empty="Every zip matches its CHECKSUM, and its content is sound.",
    )
