"""Compare resampled bars with those that the exchange itself published."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from bhds.bars.resample import resample
from bhds.core.markets import Interval, TradeType
from bhds.core.resample_rule import ResampleRule
from bhds.core.timegrid import with_phase_of
from bhds.schemas.klines import turnover_columns
from bhds.schemas.quality_tables import NOT_RECONCILED, RECONCILIATION

REVISION = 3
"""Raise by one when the same bars must yield other tables of reconciliation."""

_EXACT = ("open", "high", "low", "close", "trade_count")
_DAY = dt.timedelta(days=1)
_LONGEST = 31 * _DAY
"""The length of a month."""
_MICROSECOND = dt.timedelta(microseconds=1)
_ABSOLUTE, _RELATIVE = 1e-7, 1e-12
"""By how much sums may differ and be equal: they are published with 8 decimals at most,
and added up in another order."""


@dataclass(frozen=True)
class Comparison:
    """What a comparison of resampled bars found."""

    table: pl.DataFrame
    """`RECONCILIATION`, one row for each column of values."""
    bars: pl.DataFrame
    """`open_time`, `first_day`, `last_day`, `is_equal` of each bar that was compared:
    the days that it covers, and whether all its columns are equal."""


def compare(
    results: pl.DataFrame,
    published: pl.DataFrame,
    *,
    trade_type: TradeType,
    symbol: str,
    base: Interval,
    interval: Interval,
    off_grid_days: pl.Series,
) -> Comparison:
    """Resample the bars of a result that were published, and compare.

    Bars that were filled are left out. As in resampling, bars are compared that
    lie within one segment, 3d bars from the days on which the published ones open.

    Parameters
    ----------
    results
        n >= 0 rows of `klines.result_klines`.
    published
        m >= 0 rows of `klines.parsed_klines`, sorted by unique `open_time`.
    trade_type, symbol
        What the bars are of.
    base, interval
        The intervals of `results` and of `published`.
    off_grid_days
        The UTC days with bars of `results` that were published far off the grid; these
        are not the bars of their labels, so bars of such days are only counted.

    Returns
    -------
    Comparison
        Prices and numbers of trades are equal if they are the same, sums if they differ
        by 1e-7 or by 1e-12 of their value.
    """
    turnover, taker_buy_turnover = turnover_columns(trade_type)
    sums = ("volume", turnover, "taker_buy_volume", taker_buy_turnover)
    columns = (*_EXACT, *sums)
    longer = resample(
        results.filter(pl.col("source") != "filled"),
        trade_type=trade_type,
        symbol=symbol,
        base=base,
        rule=ResampleRule(with_phase_of(interval, published["open_time"])),
    )
    end = pl.col("open_time").dt.offset_by(interval.name)
    both = longer.join(
        published.select("open_time", *columns),
        on="open_time",
        suffix="_published",
        maintain_order="left",
    ).with_columns(
        first_day=pl.col("open_time").dt.date(),
        last_day=(end - _MICROSECOND).dt.date(),
        **{f"{n}_equal": _is_equal(n, is_exact=n in _EXACT) for n in columns},
    )
    days = off_grid_days.sort()
    is_on_grid = days.search_sorted(both["first_day"], side="left") == (
        days.search_sorted(both["last_day"], side="right")
    )
    compared = both.filter(is_on_grid)
    named = pl.DataFrame([_row(compared, column) for column in columns]).with_columns(
        symbol=pl.lit(symbol),
        interval=pl.lit(interval.name),
        off_grid=pl.lit(both.height - compared.height),
    )
    return Comparison(
        named.select(
            pl.col(name).cast(dtype) for name, dtype in RECONCILIATION.items()
        ),
        compared.select(
            *("open_time", "first_day", "last_day"),
            is_equal=pl.all_horizontal(f"{name}_equal" for name in columns),
        ),
    )


def not_reconciled(
    found: Mapping[Interval, Comparison],
    results: pl.DataFrame,
    *,
    symbol: str,
    base: Interval,
) -> pl.DataFrame:
    """List the days that published bars of a longer interval contradict.

    A bar of a day at most that differs speaks against its day. A longer one speaks only
    against days of which no bar of a day at most was compared; of these against those
    that lack base bars, if any does, else against all.

    Parameters
    ----------
    found
        The comparisons of one symbol, by the longer interval.
    results, symbol, base
        As for `compare`.

    Returns
    -------
    polars.DataFrame
        `NOT_RECONCILED`, sorted by `day`, the shortest bars of a day first.
    """
    ordered = sorted(found, key=lambda interval: interval.duration or _LONGEST)
    days = [
        found[interval]
        .bars.with_columns(
            day=pl.date_ranges("first_day", "last_day"),
            interval=pl.lit(interval.name),
            is_short=pl.lit((interval.duration or _LONGEST) <= _DAY),
        )
        .explode("day")
        for interval in ordered
    ]
    if not days:
        return NOT_RECONCILED.to_frame()
    every = pl.concat(days)
    is_pinned = pl.col("is_short").any().over("day")
    # Bars that are made into longer ones divide a day.
    whole = _DAY // (base.duration or _DAY)
    present = (
        results.filter(pl.col("source") != "filled")
        .group_by(day=pl.col("open_time").dt.date())
        .agg(present=pl.len())
    )
    lacks = pl.col("present").fill_null(0) < whole
    of_bar = ["interval", "open_time"]
    return (
        every.filter(~is_pinned | pl.col("is_short"))
        .filter(~pl.col("is_equal"))
        .join(present, on="day", how="left", maintain_order="left")
        .filter(pl.col("is_short") | lacks | ~lacks.any().over(of_bar))
        .sort("day", maintain_order=True)
        .with_columns(symbol=pl.lit(symbol))
        .select(pl.col(name).cast(dtype) for name, dtype in NOT_RECONCILED.items())
    )


def _is_equal(column: str, *, is_exact: bool) -> pl.Expr:
    ours, theirs = pl.col(column), pl.col(f"{column}_published")
    if is_exact:
        return ours.eq_missing(theirs)
    return (ours - theirs).abs() <= _ABSOLUTE + _RELATIVE * theirs.abs()


def _row(both: pl.DataFrame, column: str) -> dict[str, object]:
    difference = (pl.col(column) - pl.col(f"{column}_published")).abs()
    worst: tuple[dt.datetime | None, float | None] = (None, None)
    unequal = (
        both.select("open_time", difference=difference.cast(pl.Float64))
        .filter(pl.col("difference") > 0)
        .sort("difference", descending=True, maintain_order=True)
    )
    if not unequal.is_empty():
        worst = (unequal["open_time"][0], unequal["difference"][0])
    return {
        "column": column,
        "n_compared": both.height,
        "n_equal": int(both[f"{column}_equal"].sum()),
        "max_abs_diff": worst[1],
        "max_abs_diff_time": worst[0],
    }
