"""Hold results against the longer bars that the exchange itself published."""

import datetime as dt

import polars as pl

from bhds.columns import AGREEMENT, turnover_columns
from bhds.markets import Interval, TradeType
from bhds.results.grid import combine_bars, floor_time

REVISION = 1
"""Raise by one when the same bars must yield other tables of agreement."""

_EXACT = ("open", "high", "low", "close", "trade_count")
_ABSOLUTE, _RELATIVE = 1e-7, 1e-12
"""By how much sums may differ and be equal: they are published with 8 decimals at most,
and added up in another order."""


def compare(
    results: pl.DataFrame,
    published: pl.DataFrame,
    *,
    trade_type: TradeType,
    symbol: str,
    base: Interval,
    interval: Interval,
) -> pl.DataFrame:
    """Make longer bars of the bars of a result that were published, and compare.

    Bars that were filled are left out, and bars longer than what the result covers
    from its first bar to its last; all others of which the result has any part are
    compared.

    Parameters
    ----------
    results
        n >= 0 rows of `columns.result_klines`.
    published
        m >= 0 rows of `columns.parsed_klines`, sorted by unique `open_time`.
    trade_type, symbol
        What the bars are of.
    base, interval
        The intervals of `results` and of `published`.

    Returns
    -------
    polars.DataFrame
        `columns.AGREEMENT`, one row for each column of values: prices and numbers of
        trades are equal if they are the same, sums if they differ by 1e-7 or by 1e-12
        of their value.
    """
    turnover, taker_buy_turnover = turnover_columns(trade_type)
    sums = ("volume", turnover, "taker_buy_volume", taker_buy_turnover)
    columns = (*_EXACT, *sums)
    both = _longer(results, trade_type=trade_type, base=base, interval=interval).join(
        published.select("open_time", *columns),
        on="open_time",
        suffix="_published",
        maintain_order="left",
    )
    rows = [_row(both, column, is_exact=column in _EXACT) for column in columns]
    named = pl.DataFrame(rows).with_columns(
        symbol=pl.lit(symbol), interval=pl.lit(interval.name)
    )
    return named.select(pl.col(name).cast(dtype) for name, dtype in AGREEMENT.items())


def _longer(
    results: pl.DataFrame, *, trade_type: TradeType, base: Interval, interval: Interval
) -> pl.DataFrame:
    """Combine the published bars of each window that the result covers whole."""
    label = floor_time(pl.col("open_time"), interval=interval).alias("label")
    windows = (
        results.filter(pl.col("source") != "filled")
        .with_columns(label.set_sorted())
        .group_by("label", maintain_order=True)
        .agg(*combine_bars(trade_type))
        .rename({"label": "open_time"})
    )
    if windows.is_empty():
        return windows
    begin = results["open_time"][0]
    end = results.select(pl.col("open_time").last().dt.offset_by(base.name)).item()
    return windows.filter(
        pl.col("open_time") >= begin,
        pl.col("open_time").dt.offset_by(interval.name) <= end,
    )


def _row(both: pl.DataFrame, column: str, *, is_exact: bool) -> dict[str, object]:
    ours, theirs = pl.col(column), pl.col(f"{column}_published")
    allowed = _ABSOLUTE + _RELATIVE * theirs.abs()
    seen = both.select(
        "open_time",
        difference=(ours - theirs).abs().cast(pl.Float64),
        is_equal=ours.eq_missing(theirs)
        | (pl.lit(value=not is_exact) & ((ours - theirs).abs() <= allowed)),
    )
    worst: tuple[dt.datetime | None, float | None] = (None, None)
    unequal = seen.filter(pl.col("difference") > 0).sort(
        "difference", descending=True, maintain_order=True
    )
    if not unequal.is_empty():
        worst = (unequal["open_time"][0], unequal["difference"][0])
    return {
        "column": column,
        "compared": seen.height,
        "equal": int(seen["is_equal"].sum()),
        "worst": worst[1],
        "worst_time": worst[0],
    }
