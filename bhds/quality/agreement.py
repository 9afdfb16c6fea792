"""Hold results against the longer bars that the exchange itself published."""

import datetime as dt

import polars as pl

from bhds.columns import AGREEMENT, turnover_columns
from bhds.markets import Interval, TradeType
from bhds.results.resample import ResampleRule, resample

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
    """Resample the bars of a result that were published, and compare.

    Bars that were filled are left out. As in resampling, longer bars are compared that
    lie within one segment.

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
    longer = resample(
        results.filter(pl.col("source") != "filled"),
        trade_type=trade_type,
        symbol=symbol,
        base=base,
        rule=ResampleRule(interval),
    )
    both = longer.join(
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
