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


def check(trades: pl.DataFrame, bars: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """Compare the trades and the bars of all symbols of a market, day by day.

    Parameters
    ----------
    trades
        The `symbol, day, volume` of `columns.CONDITION` of trades.
    bars
        The same of bars of several lengths, the preferred one first.

    Returns
    -------
    polars.DataFrame
        `columns.VOLUME_CHECKS`, sorted by `symbol` and `day`: the days of which there
        are both trades and bars.
    """
    key = ["symbol", "day"]
    columns = [*key, "volume"]
    # The first bars that have a symbol are those of all its days.
    volumes = pl.DataFrame(schema=trades.select(columns).schema)
    for frame in bars:
        others = frame.select(columns).drop_nulls()
        volumes = pl.concat([volumes, others.join(volumes, on="symbol", how="anti")])
    difference = pl.col("volume") - pl.col("volume_bars")
    allowed = _ABSOLUTE + _RELATIVE * pl.col("volume_bars")
    return (
        trades.select(columns)
        .drop_nulls()
        .join(volumes, on=key, suffix="_bars")
        .sort(key)
        .select(
            *key,
            trades_quantity="volume",
            bars_volume="volume_bars",
            difference=difference,
            agrees=difference.abs() <= allowed,
        )
        .select(pl.col(name).cast(dtype) for name, dtype in VOLUME_CHECKS.items())
    )
