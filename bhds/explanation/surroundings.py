"""What the tables of a symbol and its market say of the time around a bar."""

import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from bhds.explanation.place import SymbolFiles
from bhds.explanation.values import ExplainedFunding, Result
from bhds.io import storage
from bhds.quality import judged_until

_FUNDING = (
    *("funding_time", "calc_time", "funding_rate"),
    *("rate_type", "mark_price", "source"),
)


def result_of(place: SymbolFiles) -> Result:
    """Describe the file of the result."""
    metadata = storage.read_parquet_metadata(place.result)
    # Of a year of seconds, a column is not read for its ends.
    bars = pl.scan_parquet(place.result, glob=False).select("open_time")
    ends = [end.collect().to_series() for end in (bars.head(1), bars.tail(1))]
    rows: int = bars.select(pl.len()).collect().item()
    first, last = (end[0] if rows else None for end in ends)
    return Result(
        path=place.relative(place.result),
        version=metadata.get("version"),
        revision=metadata.get("revision"),
        as_of=metadata.get("as_of"),
        rows=rows,
        first_open_time=first,
        last_open_time=last,
    )


def inputs_of(place: SymbolFiles) -> set[str]:
    """Return the SHA-256s of what the result was made from."""
    return set(storage.read_parquet_metadata(place.result).get("inputs", "").split())


def last_judged_day(place: SymbolFiles) -> str | None:
    """Return the last UTC day up to which the symbol was judged, or None if never.

    A symbol that has ended is not built beyond its end, though others are. One that the
    market's table does not have was not built with the others.
    """
    path = place.quality("condition-klines")
    if not path.is_file():
        return None
    rows = pl.scan_parquet(path, glob=False).filter(pl.col("symbol") == place.symbol)
    if rows.head(1).collect().is_empty():
        return None
    until, ends = judged_until.of_metadata(storage.read_parquet_metadata(path))
    return ends.get(place.symbol, until).isoformat()


def row_of(path: Path, *, open_time: dt.datetime) -> dict[str, Any] | None:
    """Return the row of a bar in a file, or None."""
    rows = storage.scan_rows(path).filter(pl.col("open_time") == open_time).collect()
    return rows.row(0, named=True) if rows.height else None


def segment_of(place: SymbolFiles, *, number: int) -> dict[str, Any]:
    """Return number, first and last open time of a segment."""
    bars = pl.scan_parquet(place.result, glob=False).filter(pl.col("segment") == number)
    time = pl.col("open_time")
    ends = bars.select(time.min().alias("first"), time.max().alias("last")).collect()
    begin, end = ends.row(0)
    return {"number": number, "first_open_time": begin, "last_open_time": end}


def gap_around(place: SymbolFiles) -> dict[str, Any] | None:
    """Return the stretch without trades that the bar lies in, with its class.

    The class is None where the market's gaps are not classified (`quality_all`).
    """
    path = place.table("gaps")
    if not path.is_file():
        return None
    last = pl.col("prev_open_time")
    end = pl.coalesce("next_open_time", last + pl.col("duration"))
    is_tail = pl.col("next_open_time").is_null()
    inside = (last < place.open_time) & (
        (end > place.open_time) | (is_tail & (end >= place.open_time))
    )
    rows = pl.scan_parquet(path, glob=False).filter(inside).collect()
    if rows.is_empty():
        return None
    gap = rows.row(0, named=True)
    return gap | _classified(place, gap)


def conflicts_in(place: SymbolFiles) -> tuple[dict[str, Any], ...]:
    """Return the publications that lost to others with different values."""
    path = place.table("conflicts")
    if not path.is_file():
        return ()
    time = pl.col("open_time")
    inside = (time >= place.open_time) & (time < place.end)
    return tuple(
        pl.scan_parquet(path, glob=False).filter(inside).collect().iter_rows(named=True)
    )


def condition_of(place: SymbolFiles) -> dict[str, Any] | None:
    """Return the condition of the day, or None where the market's is not judged."""
    path = place.quality("condition-klines")
    if not path.is_file():
        return None
    day = place.open_time.date()
    rows = (
        pl.scan_parquet(path, glob=False)
        .filter(pl.col("symbol") == place.symbol, pl.col("day") == day)
        .collect()
    )
    return rows.row(0, named=True) if rows.height else None


def funding_in(place: SymbolFiles) -> tuple[ExplainedFunding, ...]:
    """Return the funding events of the contract within the bar, in time order."""
    path = place.data_dir / place.series.funding_path
    if not path.is_file():
        return ()
    time = pl.col("funding_time")
    rows = (
        pl.scan_parquet(path, glob=False)
        .filter(time >= place.open_time, time < place.end)
        .select(_FUNDING)
        .collect()
    )
    return tuple(ExplainedFunding(**row) for row in rows.iter_rows(named=True))


def _classified(place: SymbolFiles, gap: Mapping[str, Any]) -> dict[str, Any]:
    unknown: dict[str, Any] = dict.fromkeys(
        ("class", "n_peers", "n_peers_silent", "outage")
    )
    path = place.quality("gaps")
    if not path.is_file():
        return unknown
    rows = (
        pl.scan_parquet(path, glob=False)
        .filter(
            pl.col("symbol") == place.symbol,
            pl.col("prev_open_time") == gap["prev_open_time"],
            pl.col("duration") == gap["duration"],
        )
        .select(*unknown)
        .collect()
    )
    return rows.row(0, named=True) if rows.height else unknown
