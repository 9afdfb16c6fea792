"""Hold what trades add up to against the volume of bars, which must be the same.

The archive has published aggregated trades whose quantities had lost their precision
(binance/binance-public-data#263): nothing is wrong with such a file but its sum.
"""

from collections.abc import Iterable

import polars as pl

from bhds.columns import VOLUME_CHECKS

_ABSOLUTE, _RELATIVE = 1e-7, 1e-9
"""By how much sums may differ and agree: quantities have 8 decimals at most, and a day
may add up millions of them."""

_SUMS = pl.Schema({"day": pl.Date(), "quantity": pl.Float64()})


def daily_quantities(pieces: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """Add up the trades of each UTC day, piece by piece.

    Parameters
    ----------
    pieces
        `time` (Datetime[us, UTC]) and `quantity`; n >= 0 rows each. They are added up
        in their order, so that the last bits do not depend on the machine.

    Returns
    -------
    polars.DataFrame
        `day`, sorted and unique, and `quantity`.
    """
    sums: dict[object, float] = {}
    for piece in pieces:
        days = piece["time"].dt.date()
        # Trades are in order of their ids: a day is as a rule one stretch.
        start = 0
        for length, day in days.rle().struct.unnest().iter_rows():
            stretch = piece["quantity"].slice(start, length)
            sums[day] = sums.get(day, 0.0) + float(stretch.sum())
            start += length
    return pl.DataFrame(list(sums.items()), schema=_SUMS, orient="row").sort("day")


def check(trades: pl.DataFrame, bars: pl.DataFrame, *, symbol: str) -> pl.DataFrame:
    """Compare the trades and the bars of one symbol, day by day.

    Parameters
    ----------
    trades
        What `daily_quantities` returned.
    bars
        n >= 0 rows, in order of time: `open_time` and `volume` of bars of a day at
        most.
    symbol
        Fills the column `symbol`.

    Returns
    -------
    polars.DataFrame
        `columns.VOLUME_CHECKS`, sorted by unique `day`: the days that both have.
    """
    day = pl.col("open_time").dt.date().set_sorted()
    volumes = (
        bars.select(day.alias("day"), "volume")
        .group_by("day", maintain_order=True)
        .agg(pl.col("volume").sum())
    )
    difference = pl.col("quantity") - pl.col("volume")
    allowed = _ABSOLUTE + _RELATIVE * pl.col("volume")
    return (
        trades.join(volumes, on="day", how="inner", maintain_order="left")
        .select(
            "day",
            symbol=pl.lit(symbol),
            trades_quantity="quantity",
            bars_volume="volume",
            difference=difference,
            agrees=difference.abs() <= allowed,
        )
        .select(pl.col(name).cast(dtype) for name, dtype in VOLUME_CHECKS.items())
    )
