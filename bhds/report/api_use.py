"""What the REST API was asked for, and what it did not answer; when is no matter."""

import polars as pl

from bhds.report.blocks import Column, Kind, Table, capped
from bhds.report.inputs import MARKET

_LISTED = 1_000
_BY_MARKET = pl.col("market").cast(MARKET)
_FILL = r"^api_data/([^/]+)/([^/]+)/([^/]+)(?:/([^/]+))?/([^/]+)\.(?:parquet|json)$"

_BY_SERIES = (
    Column("market", "Market", Kind.MARKET),
    Column("series", "Data"),
    Column("symbols", "Symbols", Kind.COUNT),
    Column("fills", "Fills", Kind.COUNT, "partitions that asked"),
    Column("requests", "Requests", Kind.COUNT),
    Column("weight", "Weight", Kind.COUNT, "as the exchange counts them"),
    Column("refusals", "Refused", Kind.COUNT, "answers 429 and 418"),
    Column("rows", "Rows that came", Kind.COUNT, "bars or events"),
)


_UNANSWERED = (
    Column("market", "Market", Kind.MARKET),
    Column("series", "Data"),
    Column("symbol", "Symbol", Kind.SYMBOL),
    Column("partition", "Partition"),
)


def by_series(usage: pl.DataFrame) -> pl.DataFrame:
    """Add up what was asked for of each series.

    Parameters
    ----------
    usage
        n >= 0 rows of `fill.usage.SCHEMA`.

    Returns
    -------
    polars.DataFrame
        One row for each `market` and `series`: `fills` that asked, `symbols`,
        `requests`, `weight`, `refusals` and `rows`. Sorted by market and series.
    """
    return (
        _named(usage)
        .group_by("market", "series")
        .agg(
            pl.len().alias("fills"),
            pl.col("symbol").n_unique().alias("symbols"),
            pl.col("requests", "weight", "refusals", "rows").sum(),
        )
        .sort(_BY_MARKET, "series")
    )


def series_table(series: pl.DataFrame) -> Table:
    """Show what `by_series` added up."""
    return Table(
        name="api-by-series",
        caption="Requests by market and data",
        columns=_BY_SERIES,
        rows=series,
    )


def unanswered_table(lacking: pl.DataFrame) -> Table:
    """List the fills that were refused an answer, by their `path`."""
    rows, note = capped(
        _named(lacking).sort(_BY_MARKET, "series", "symbol", "partition"),
        at=_LISTED,
        where="api_data/unanswered.parquet",
    )
    return Table(
        name="api-unanswered",
        caption="Fills that were not answered in full",
        columns=_UNANSWERED,
        rows=rows,
        note=note,
        if_empty="Everything that was asked was answered.",
    )


def _named(fills: pl.DataFrame) -> pl.DataFrame:
    """Add what the paths of fills say: market, series, symbol and partition."""
    market, data_type, symbol, interval, partition = (
        pl.col("path").str.extract(_FILL, group) for group in range(1, 6)
    )
    return fills.with_columns(
        market=market,
        series=pl.concat_str(data_type, interval, separator=" ", ignore_nulls=True),
        symbol=symbol,
        partition=partition,
    )
