"""The account of each day of a result: how many bars there are, and from where."""

import datetime as dt

import polars as pl

from bhds.bars.grid import is_far_off_grid
from bhds.core.markets import Interval, TradeType
from bhds.core.timegrid import TIME, floor_time, grid_number
from bhds.core.unlisted import Unlisted
from bhds.quality.evidence import Evidence
from bhds.quality.gap_classes import PENDING_DAYS
from bhds.schemas.impossible_values import is_impossible
from bhds.schemas.klines import RESULT_SOURCES
from bhds.schemas.quality_tables import DAYS

_DAY = dt.timedelta(days=1)
_MICROSECOND = dt.timedelta(microseconds=1)
FAULTS = pl.Schema({"day": pl.Date(), "impossible": pl.Int64(), "off_grid": pl.Int64()})
"""How many bars of a UTC day, as published, have impossible values, and how many open
more than a minute off the grid."""

_SOURCES = RESULT_SOURCES.categories.to_list()


def account(
    result: pl.DataFrame,
    evidence: Evidence,
    *,
    conflicts: pl.DataFrame,
    faults: pl.DataFrame,
    symbol: str,
    interval: Interval,
    last_day: dt.date,
    has_ended: bool,
    unlisted: Unlisted = (),
) -> pl.DataFrame:
    """Count the bars of each UTC day by where they come from.

    Parameters
    ----------
    result
        n >= 0 rows of `klines.result_klines`.
    evidence
        What is known of the days.
    conflicts
        Bars between partitions that lost to others: `open_time`. Those within a
        partition are in the evidence.
    faults
        `FAULTS` of days that have any.
    symbol, interval
        What the bars are of.
    last_day
        The last UTC day that the result may hold.
    has_ended
        Whether it is known that the symbol has ended.
    unlisted
        When the symbol was not listed.

    Returns
    -------
    polars.DataFrame
        `DAYS`, sorted by unique `day`: from the day of the first bar to
        `last_day`, and the days before of which there is a daily zip without a row; of
        bars longer than a day, those on which one opens. `expected` counts from the
        first bar on, and up to the last of a symbol that has ended, as is known or as
        the API has no bar after it. Of days on which it was listed in part, the time
        in which it was.
        No rows without bars.
    """
    if result.is_empty():
        return DAYS.to_frame()
    first, last = result["open_time"][0], result["open_time"][-1]
    over = pl.Series([last]).dt.offset_by(interval.name)
    # A file that ends within a day may be cut: that none has come for days ends the
    # symbol only if the API has nothing more of it either.
    is_overdue = last_day - last.date() > PENDING_DAYS * _DAY
    answer = evidence.answers(over, over.dt.offset_by(interval.name)).item()
    is_over = has_ended or (is_overdue and answer in {"empty", "refused"})
    lost = evidence.without_rows.filter(evidence.without_rows < first.date())
    every = pl.select(pl.date_range(first.date(), max(last_day, last.date())))
    days = pl.concat([lost, every.to_series()]).to_frame("day")
    begin = pl.col("day").cast(TIME)
    until = begin + _DAY
    if is_over:
        until = pl.when(pl.col("day") == last.date()).then(over.item()).otherwise(until)
    is_lost = pl.col("day") < first.date()
    begin = pl.when(is_lost).then(begin).otherwise(pl.max_horizontal(begin, first))
    expected = _points_before(until, interval) - _points_before(begin, interval)
    for start, end in unlisted:
        gone = pl.lit(start).clip(begin, until)
        back = until if end is None else pl.lit(end).clip(begin, until)
        left = expected - (
            _points_before(back, interval) - _points_before(gone, interval)
        )
        expected = pl.when(left > 0).then(left).otherwise(expected)
    counted = _by_source(result).join(
        _conflicts_by_day(evidence, conflicts), on="day", how="full", coalesce=True
    )
    midnight = days["day"].cast(TIME)
    counts = (*_SOURCES, "conflicts", "volume", "impossible", "off_grid")
    return (
        days.with_columns(
            evidence.answers(midnight, midnight + _DAY),
            symbol=pl.lit(symbol),
            expected=expected,
            is_of_file=pl.col("day").is_in(evidence.files["day"].implode()),
            is_corrupt=pl.col("day").is_in(evidence.corrupt.implode()),
            frozen=0,
            missing_ids=0,
            missing_trade_ids=0,
        )
        .join(counted, on="day", how="left", maintain_order="left")
        .join(faults, on="day", how="left", maintain_order="left")
        .with_columns(pl.col(*counts).fill_null(0))
        .with_columns(
            # The file of the month before holds a bar that reaches into this one.
            has_file=pl.col("is_of_file") | (pl.col("daily") + pl.col("monthly") > 0),
            api_answer=answer_on_missing_rows(),
        )
        .filter((pl.col("expected") > 0) | pl.any_horizontal(pl.col(*_SOURCES) > 0))
        .select(pl.col(name).cast(dtype) for name, dtype in DAYS.items())
    )


def faults_of(
    bars: pl.DataFrame, *, trade_type: TradeType, interval: Interval
) -> pl.DataFrame:
    """Count the faulty bars of each UTC day that has any: `FAULTS`.

    Parameters
    ----------
    bars
        n >= 0 rows of `klines.parsed_klines`, as `bars.merge.merge` returns them.
    trade_type, interval
        What the bars are of.
    """
    time = pl.col("open_time")
    return (
        bars.lazy()
        .select(
            day=floor_time(time, interval=interval).dt.date(),
            impossible=is_impossible("klines", trade_type),
            off_grid=is_far_off_grid(time, interval=interval),
        )
        .filter(pl.col("impossible") | pl.col("off_grid"))
        .group_by("day")
        .agg(pl.col("impossible", "off_grid").sum().cast(pl.Int64))
        .collect()
    )


def answer_on_missing_rows() -> pl.Expr:
    """Return `api_answer` of days that lack published rows, null of others."""
    published = pl.sum_horizontal("daily", "monthly", "api")
    return pl.when(published < pl.col("expected").fill_null(1)).then("api_answer")


def _points_before(time: pl.Expr, interval: Interval) -> pl.Expr:
    """Return a number that grows by one with each grid point before `time`."""
    return grid_number(time - _MICROSECOND, interval=interval)


def _by_source(result: pl.DataFrame) -> pl.DataFrame:
    source = pl.col("source")
    return (
        result.select(
            pl.col("open_time").dt.date().alias("day").set_sorted(), "source", "volume"
        )
        .group_by("day", maintain_order=True)
        .agg(
            *((source == name).sum().alias(name) for name in _SOURCES),
            pl.col("volume").sum(),
        )
    )


def _conflicts_by_day(evidence: Evidence, conflicts: pl.DataFrame) -> pl.DataFrame:
    schema = {"day": pl.Date, "conflicts": pl.Int64}
    within = pl.DataFrame(
        list(evidence.conflict_days.items()), schema=schema, orient="row"
    )
    between = conflicts.group_by(pl.col("open_time").dt.date().alias("day")).agg(
        conflicts=pl.len().cast(pl.Int64)
    )
    return pl.concat([within, between]).group_by("day").agg(pl.col("conflicts").sum())
