"""Read and print the gaps of results, with their known classes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

import polars as pl
from rich.table import Table

from bhds import layout
from bhds.cli.terminal import console, print_whole
from bhds.core.markets import TradeType
from bhds.io import storage
from bhds.schemas.quality_tables import CLASSIFIED_GAPS, GAP_EVIDENCE

_SHOWN = (
    *("symbol", "prev_open_time", "next_open_time", "duration"),
    *("missing_bars", "untraded_bars", "price_change", "split", "class"),
)


def classified_path(trade_type: TradeType, interval: str) -> str:
    """Return the path of a market's classified gaps below the data directory."""
    return layout.quality_table(trade_type, "gaps", interval)


def read_gaps(
    data_dir: Path,
    *,
    trade_type: TradeType,
    interval: str,
    symbols: Sequence[str] | None,
) -> pl.DataFrame:
    """Read the gaps of some symbols, or of all symbols of the classified table.

    Returns
    -------
    polars.DataFrame
        n >= 0 rows of `quality_tables.GAPS` and `class`, sorted by `symbol` and
        `prev_open_time`; the class is null if the market's table misses the gap.

    Raises
    ------
    ResultError
        If a file cannot be read.
    """
    table = data_dir / classified_path(trade_type, interval)
    classes = (
        storage.read_parquet(table, schema=CLASSIFIED_GAPS)
        if table.exists()
        else CLASSIFIED_GAPS.to_frame()
    )
    if symbols is None:
        return classes.select(_SHOWN)
    paths = (
        data_dir / layout.symbol_table(trade_type, interval, "gaps", symbol)
        for symbol in sorted(set(symbols))
    )
    found = pl.concat(storage.read_parquet(p, schema=GAP_EVIDENCE) for p in paths)
    same = ["symbol", "prev_open_time", "duration"]
    return found.join(
        classes.select(*same, "class"), on=same, how="left", maintain_order="left"
    ).select(_SHOWN)


def documents(gaps: pl.DataFrame) -> list[dict[str, Any]]:
    """Return gaps for JSON: times in ISO 8601 (UTC), durations in s."""
    times = pl.col("prev_open_time", "next_open_time").dt.to_string("iso:strict")
    seconds = pl.col("duration").dt.total_seconds().alias("duration_s")
    return gaps.with_columns(times, seconds).drop("duration").to_dicts()


def show(gaps: pl.DataFrame, *, file: TextIO) -> None:
    """Print gaps as a table."""
    table = Table(box=None, pad_edge=False)
    for heading in ("symbol", "last bar", "next bar"):
        table.add_column(heading, no_wrap=True)
    for heading in ("duration", "missing", "untraded", "change"):
        table.add_column(heading, justify="right", no_wrap=True)
    for heading in ("splits", "class"):
        table.add_column(heading, no_wrap=True)
    for row in gaps.iter_rows(named=True):
        change = row["price_change"]
        table.add_row(
            row["symbol"],
            *(
                f"{time:%Y-%m-%d %H:%M}" if time else "-"
                for time in (row["prev_open_time"], row["next_open_time"])
            ),
            str(row["duration"]),
            f"{row['missing_bars']:,}",
            f"{row['untraded_bars']:,}",
            "-" if change is None else f"{change:+.2%}",
            "yes" if row["split"] else "",
            row["class"] or "unknown",
        )
    out = console(file)
    print_whole(table, to=out)
    out.print(f"{gaps.height:,} gaps")
