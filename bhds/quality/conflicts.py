"""The bars that were published twice with other values."""

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl

from bhds.archive.keys import ArchiveFile
from bhds.core.markets import TradeType
from bhds.schemas import quality_tables


def of_symbol(
    sources: Iterable[Mapping[str, Any]],
    between: pl.DataFrame,
    *,
    trade_type: TradeType,
    symbol: str,
) -> pl.DataFrame:
    """List the conflicts within and between the partitions of one symbol.

    Parameters
    ----------
    sources
        The content of the sources of its partitions and backfills: of the conflicts
        between the zips of a partition, they list the first thousand.
    between
        n >= 0 conflicts of `bars.merge.merge`, between archive and API.
    trade_type, symbol
        What the bars are of.

    Returns
    -------
    polars.DataFrame
        `conflicts`, sorted by `open_time`.
    """
    schema = quality_tables.conflicts(trade_type)
    rows = [
        {"symbol": symbol, "open_time": dt.datetime.fromisoformat(row["open_time"])}
        | _side(row["dropped"], "")
        | _side(row["kept"], "kept_")
        for each in sources
        for row in each.get("conflicts", {}).get("listed", ())
    ]
    values = [{name: row[name] for name in schema} for row in rows]
    within = pl.from_dicts(values, schema=schema) if values else schema.to_frame()
    unknown = pl.lit(None, pl.String)
    named = between.with_columns(
        symbol=pl.lit(symbol), key=unknown, kept_key=unknown
    ).select(pl.col(name).cast(dtype) for name, dtype in schema.items())
    return pl.concat([within, named]).sort("open_time", maintain_order=True)


def of_market(tables: Iterable[pl.DataFrame], *, trade_type: TradeType) -> pl.DataFrame:
    """Put the conflicts of some symbols together, by symbol and time."""
    empty = quality_tables.conflicts(trade_type).to_frame()
    return pl.concat([empty, *tables]).sort("symbol", "open_time", maintain_order=True)


def _side(values: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    frequency = ArchiveFile.from_key(values["key"]).frequency
    named = {**values, "source": frequency.value}
    return {f"{prefix}{name}": value for name, value in named.items()}
