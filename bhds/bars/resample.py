"""Resample results, with any offset, within each segment."""

import datetime as dt

import polars as pl

from bhds.bars.grid import combine_bars
from bhds.bars.merge import is_strictly_increasing
from bhds.bars.vwap import vwap
from bhds.core.errors import ResultError
from bhds.core.markets import Interval, TradeType
from bhds.core.resample_rule import ResampleRule
from bhds.core.timegrid import floor_time, with_phase_of
from bhds.schemas.klines import FUNDING, resampled_klines

REVISION = 4
"""Raise by one when the same results must yield different resampled bars."""

_DAY = dt.timedelta(days=1)


def resample(
    results: pl.DataFrame,
    *,
    trade_type: TradeType,
    symbol: str,
    base: Interval,
    rule: ResampleRule,
    funding: pl.DataFrame | None = None,
    contract_usd: float | None = None,
) -> pl.DataFrame:
    """Make bars of `rule.interval` from the bars of `base`.

    Windows are `[k * every + offset, + every)` in UTC, those of 3d from the days of the
    symbol's phase, and a bar is labelled with the start of its window. Its prices are
    those of the base bars with trades, if there are any, as of the exchange's own
    resampled bars. Only windows that lie within one segment, from its first bar to the
    end of its last, are written.

    Parameters
    ----------
    results
        n >= 0 rows of `klines.result_klines`, sorted by unique `open_time`.
    trade_type, symbol, base
        What the bars are of.
    rule
        Interval and offset. 3d bars without a phase are counted from the first bar's
        day.
    funding
        m >= 0 rows of `datatypes.FUNDING`, as `funding.merge_events` returns them; None
        if the results are without.
    contract_usd
        Of COIN-M futures, what one contract is worth; see `vwap.vwap`.

    Returns
    -------
    polars.DataFrame
        `klines.resampled_klines`, sorted by unique `open_time`, the same bytes
        whatever the number of threads. Open, high, low and close are those of the base
        bars with trades, if there are any. `vwap` and `first_vwap` are null where
        the results have none. `funding_rate` is the sum of the events in the bar,
        null without one; `funding_count` counts them, and `funding_time` is that of
        the first, which may be later than the label: the funding is not known yet when
        the bar opens. Events in base bars that are missing count too, so that none of
        the three depends on `base`.

    Raises
    ------
    ConfigError
        If the rule does not fit the base interval.
    ResultError
        If `results` is unsorted or has an `open_time` twice.

    """
    rule.check_base(base)
    if not is_strictly_increasing(results["open_time"]):
        msg = f"{symbol}: open_time is unsorted or not unique; build its result again"
        raise ResultError(msg)
    rule = rule.phased_as(results)
    base = with_phase_of(base, results["open_time"])
    label = floor_time(pl.col("open_time"), interval=rule.interval, offset=rule.offset)
    # Eager, because a lazy group_by adds up partial sums, one a thread: the last bits
    # would depend on the machine.
    bars = results.with_columns(label.alias("label").set_sorted())
    price = pl.when(pl.col("first_vwap").is_not_null()).then(
        vwap(trade_type=trade_type, symbol=symbol, contract_usd=contract_usd)
    )
    return (
        _aggregate(bars, trade_type=trade_type)
        .join(_spans(bars, base=base), on="segment", maintain_order="left")
        .filter(
            pl.col("label") >= pl.col("begin"),
            pl.col("label").dt.offset_by(rule.interval.name) <= pl.col("end"),
            _is_whole(pl.col("label"), rule=rule),
        )
        .join(
            _funding(funding, rule=rule),
            on="label",
            how="left",
            maintain_order="left",
        )
        .with_columns(
            pl.col("funding_count").fill_null(0), vwap=price, open_time="label"
        )
        .select(
            pl.col(name).cast(dtype)
            for name, dtype in resampled_klines(trade_type).items()
        )
    )


def _aggregate(bars: pl.DataFrame, *, trade_type: TradeType) -> pl.DataFrame:
    """Return one row per window that has bars, sorted by `label`, partial ones too.

    A window that two segments share has the `segment` of the earlier one.
    """
    return bars.group_by("label", maintain_order=True).agg(
        *combine_bars(trade_type),
        pl.col("vwap").first().alias("first_vwap"),
        (pl.col("source") == "filled").sum().alias("filled_count"),
        pl.col("segment").first(),
    )


def _is_whole(label: pl.Expr, *, rule: ResampleRule) -> pl.Expr:
    """Check that no new count of 3d bars begins within a window."""
    last = label.dt.offset_by(rule.interval.name) - dt.timedelta(microseconds=1)
    return floor_time(last, interval=rule.interval, offset=rule.offset) == label


def _spans(bars: pl.DataFrame, *, base: Interval) -> pl.DataFrame:
    """Return where each `segment` begins and ends; `end` is exclusive."""
    return (
        bars.lazy()
        .select(pl.col("segment").set_sorted(), "open_time")
        .group_by("segment", maintain_order=True)
        .agg(
            begin=pl.col("open_time").first(),
            end=pl.col("open_time").last().dt.offset_by(base.name),
        )
        .collect()
    )


def _funding(events: pl.DataFrame | None, *, rule: ResampleRule) -> pl.DataFrame:
    """Return sum, number and first time of the events of each `label` that has any."""
    known = FUNDING.to_frame() if events is None else events
    time = pl.col("funding_time")
    label = floor_time(time, interval=rule.interval, offset=rule.offset)
    return (
        known.with_columns(label=label)
        .group_by("label", maintain_order=True)
        .agg(
            pl.col("funding_rate").sum(),
            pl.len().alias("funding_count"),
            time.first(),
        )
    )
