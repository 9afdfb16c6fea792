"""What was thought of each zip as it was read, from the sources of the partitions."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import polars as pl

from bhds.archive.integrity.status import IntegrityStatus
from bhds.report.blocks import Column, Kind, Table, capped
from bhds.report.inputs import MARKET

_LISTED = 2_000
_ADDED_UP = ("size", "rows_read", "duplicates", "conflicts", "out_of_order")
_SERIES = ("market", "series")

SERIES = pl.Schema(
    {
        "market": pl.String(),
        "series": pl.String(),
        "zips": pl.Int64(),
        **{integrity_status.value: pl.Int64() for integrity_status in IntegrityStatus},
        **dict.fromkeys(_ADDED_UP, pl.Int64()),
    }
)
"""By market and series: how many `zips` and bytes are inputs of partitions, how many
have which integrity_status, and what their rows were."""

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
"""The zips whose integrity status is not `ok`, or that were used with a warning."""


class IntegrityFindings(NamedTuple):
    """What the sources of all partitions say."""

    series: pl.DataFrame
    """`SERIES`, sorted by market and series."""
    doubtful: pl.DataFrame
    """`DOUBTFUL`, the worst first."""


_BY_SERIES = (
    Column("market", "Market", Kind.MARKET),
    Column("series", "Data"),
    Column("zips", "Zips", Kind.COUNT),
    Column("size", "Size", Kind.BYTES),
    Column("ok", "Ok", Kind.COUNT, "agree with their CHECKSUM"),
    Column("checksum-stale", "CHECKSUM old", Kind.COUNT, "the zip is sound"),
    Column("checksum-missing", "No CHECKSUM", Kind.COUNT, "the zip is sound"),
    Column("corrupt", "Corrupt", Kind.COUNT, "their rows are left out"),
    Column("vanished", "Vanished", Kind.COUNT, "listed, but not served"),
    Column("rows_read", "Rows read", Kind.COUNT),
    Column("duplicates", "Duplicates", Kind.COUNT, "dropped"),
    Column("conflicts", "Conflicts", Kind.COUNT, "dropped"),
    Column("out_of_order", "Out of order", Kind.COUNT, "sorted"),
)


_DOUBTS = (
    Column("market", "Market", Kind.MARKET),
    Column("series", "Data"),
    Column("symbol", "Symbol", Kind.SYMBOL),
    Column("file", "Zip"),
    Column("integrity_status", "IntegrityStatus"),
    Column("reason", "Why", Kind.PROSE),
)


def collect(sources: Iterable[Mapping[str, Any]]) -> IntegrityFindings:
    """Count the zips of partitions by their integrity status, and list those in doubt.

    Parameters
    ----------
    sources
        The contents of `<partition>.sources.json`, one after another; none is kept.
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
                doubtful.append(_doubtful(entry, (*series, partition["symbol"])))
    rows = [
        {"market": market, "series": series}
        | {name: counts[name] for name in SERIES if name not in _SERIES}
        for (market, series), counts in totals.items()
    ]
    by_market = pl.col("market").cast(MARKET)
    worst = pl.col("integrity_status").cast(
        pl.Enum(
            [integrity_status.value for integrity_status in reversed(IntegrityStatus)]
        )
    )
    return IntegrityFindings(
        pl.DataFrame(rows, schema=SERIES).sort(by_market, "series"),
        pl.DataFrame(doubtful, schema=DOUBTFUL, orient="row").sort(
            worst, by_market, "series", "symbol", "file"
        ),
    )


def series_table(series: pl.DataFrame) -> Table:
    """Show how many zips have which integrity_status."""
    return Table(
        name="integrity-by-series",
        caption="Zips by integrity_status",
        columns=_BY_SERIES,
        rows=series,
        if_empty="No zip is parsed.",
    )


def doubtful_table(doubtful: pl.DataFrame) -> Table:
    """List zips in doubt, with why."""
    where = "parsed_data/…/<partition>.sources.json"
    rows, note = capped(doubtful, at=_LISTED, where=where)
    return Table(
        name="integrity-doubtful",
        caption="Zips that are not beyond doubt",
        columns=_DOUBTS,
        rows=rows,
        note=note,
        if_empty="Every zip agrees with its CHECKSUM, and its content is sound.",
    )


def _doubtful(entry: Mapping[str, Any], series: tuple[str, ...]) -> tuple[str, ...]:
    file = entry["key"].rpartition("/")[2]
    reasons = filter(None, (entry["reason"], *entry["warnings"]))
    return (*series, file, entry["integrity_status"], "; ".join(reasons))
