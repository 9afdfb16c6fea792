"""Compare the sums of trades with the volumes of bars, which must be the same.

The archive has published aggregated trades whose quantities had lost their precision
(binance/binance-public-data#263): nothing is wrong with such a file but its sum.
"""

from collections.abc import Iterable, Mapping

import polars as pl

from bhds.schemas.quality_tables import CONDITION, VOLUME_CHECKS

_BEST_FIRST = ("trades", "aggTrades")
_ABSOLUTE, _RELATIVE = 1e-7, 1e-9
"""By how much sums may differ and agree: quantities have 8 decimals at most, and a day
may add up millions of them."""


def check(
    trades: Mapping[str, pl.DataFrame], bars: Iterable[pl.DataFrame]
) -> pl.DataFrame:
    """Compare the trades and the bars of all symbols of a market, day by day.

    Parameters
    ----------
    trades
        The `symbol, day, volume, missing_trade_ids` of `CONDITION` of `trades`
        and of `aggTrades`, or of one of these, by their names.
    bars
        The `symbol, day, volume` of bars of several lengths, the preferred one first.

    Returns
    -------
    polars.DataFrame
        `VOLUME_CHECKS`, sorted by `symbol` and `day`: the days of which there
        are both trades and bars.

    Notes
    -----
    Bars count every trade. aggTrades leave out those of the insurance fund and of
    auto-deleveraging, whose ids are then missing among theirs
    (binance/binance-public-data#378); `trades` have them.
    """
    key = ["symbol", "day"]
    columns = [*key, "volume"]
    # The first bars that have a symbol are those of all its days.
    volumes = pl.DataFrame(schema={name: CONDITION[name] for name in columns})
    for frame in bars:
        others = frame.select(columns).drop_nulls()
        volumes = pl.concat([volumes, others.join(volumes, on="symbol", how="anti")])
    of_kinds = [
        trades[kind]
        .select(*columns, "missing_trade_ids", compared_with=pl.lit(kind))
        .drop_nulls("volume")
        for kind in _BEST_FIRST
        if kind in trades
    ]
    quantities = pl.concat(of_kinds).unique(key, keep="first", maintain_order=True)
    difference = pl.col("volume") - pl.col("volume_bars")
    allowed = _ABSOLUTE + _RELATIVE * pl.col("volume_bars")
    is_explained = (difference < -allowed) & (pl.col("missing_trade_ids") > 0)
    return (
        quantities.join(volumes, on=key, suffix="_bars")
        .sort(key)
        .with_columns(
            trades_quantity="volume",
            bars_volume="volume_bars",
            difference=difference,
            agrees=pl.when(~is_explained).then(difference.abs() <= allowed),
        )
        .select(pl.col(name).cast(dtype) for name, dtype in VOLUME_CHECKS.items())
    )
