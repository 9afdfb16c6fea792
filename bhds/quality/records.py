"""The account of each day of data that does not become results, from its sources."""

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from bhds.columns import DAYS, TIME
from bhds.markets import Interval
from bhds.quality.evidence import Evidence

_DAY = dt.timedelta(days=1)
_FAULTS = ("impossible", "frozen", "missing_ids", "missing_trade_ids")
"""Counts of a day's entry in the sources; one that is absent is 0."""
_PRESENT = {
    "day": pl.Date,
    "expected": pl.Int64,
    "present": pl.Int64,
    "volume": pl.Float64,
    **dict.fromkeys(_FAULTS, pl.Int64),
}


def account(
    sources: Sequence[Mapping[str, Any]],
    *,
    fill_times: pl.Series,
    symbol: str,
    interval: Interval | None,
    last_day: dt.date,
) -> pl.DataFrame:
    """Count the rows of each UTC day by where they come from.

    Parameters
    ----------
    sources
        The content of the sources of one symbol's partitions and fills.
    fill_times
        The times of all rows that are from the API, Datetime[us, UTC].
    symbol, interval
        What they are of; the interval is None if they are no bars.
    last_day
        The last UTC day that there may be rows of.

    Returns
    -------
    polars.DataFrame
        `columns.DAYS`, sorted by unique `day`, from the first day with rows to
        `last_day`, and the days before of which there is a daily zip; of bars longer
        than a day, only the days on which one should open. Rows of the archive are
        `daily` where a zip of the day alone is of use. Days without a file should have
        as many rows as most others, the first day those from its first row on. No rows
        without any.
    """
    evidence = Evidence.of(sources)
    of_archive = _of_archive(sources)
    of_api = fill_times.dt.date().alias("day").value_counts(name="api")
    counted = of_archive.join(of_api, on="day", how="full", coalesce=True)
    present, api = pl.col("present").fill_null(0), pl.col("api").fill_null(0)
    first = counted.filter(present + api > 0)["day"].min()
    if not isinstance(first, dt.date):
        return DAYS.to_frame()
    usual = of_archive["expected"].drop_nulls().mode().max()
    days = counted.select("day")
    if interval is None or (interval.duration or 31 * _DAY) <= _DAY:
        every = pl.date_range(pl.lit(first), pl.lit(max(last_day, first)))
        days = pl.concat([days, pl.select(every.alias("day"))]).unique()
    days = days.filter(pl.col("day") >= first)
    lost = evidence.without_rows.filter(evidence.without_rows < first)
    days = pl.concat([days, lost.to_frame("day")]).sort("day")
    begin = days["day"].cast(TIME)
    is_daily = pl.col("is_daily").fill_null(value=False)
    expected = pl.coalesce("expected", pl.lit(usual, pl.Int64))
    return (
        days.with_columns(evidence.answers(begin, begin + _DAY), symbol=pl.lit(symbol))
        .join(counted, on="day", how="left", maintain_order="left")
        .join(evidence.files, on="day", how="left", maintain_order="left")
        .with_columns(
            pl.col(*_FAULTS).fill_null(0),
            expected=pl.when(pl.col("day") == first)
            .then(_from_first_row(sources, first, usual=usual))
            .otherwise(expected),
            daily=pl.when(is_daily).then(present).otherwise(0),
            monthly=pl.when(is_daily).then(0).otherwise(present),
            api=api,
            filled=pl.lit(0),
            off_grid=pl.lit(0),
            has_file=pl.col("is_daily").is_not_null(),
            is_corrupt=pl.col("day").is_in(evidence.corrupt.implode()),
            conflicts=pl.col("day").replace_strict(
                evidence.conflict_days, default=0, return_dtype=pl.Int64
            )
            if evidence.conflict_days
            else pl.lit(0),
        )
        .select(pl.col(name).cast(dtype) for name, dtype in DAYS.items())
    )


def _of_archive(sources: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """Return `_PRESENT` of the days of all partitions."""
    rows = [
        (
            dt.date.fromisoformat(day["day"]),
            *(day["expected"], day["present"], day.get("quantity")),
            *(day.get(name, 0) for name in _FAULTS),
        )
        for each in sources
        for day in each.get("days", ())
    ]
    return (
        pl.DataFrame(rows, schema=_PRESENT, orient="row")
        .group_by("day")
        .agg(
            pl.col("expected").max(),
            pl.col("present", *_FAULTS).sum(),
            pl.col("volume").drop_nulls().sum(),
            has_volume=pl.col("volume").is_not_null().any(),
        )
        .with_columns(volume=pl.when("has_volume").then("volume"))
        .drop("has_volume")
    )


def _from_first_row(
    sources: Sequence[Mapping[str, Any]], day: dt.date, *, usual: Any
) -> pl.Expr:
    """Return how many rows a day should have from the first row of all on."""
    if usual is None:
        return pl.lit(None, pl.Int64)
    times = [
        dt.datetime.fromisoformat(entry["first_time"])
        for each in sources
        for entry in each.get("inputs", ())
        if entry["first_time"] is not None
    ]
    midnight = dt.datetime.combine(day + _DAY, dt.time(), dt.UTC)
    left = midnight - min(times, default=midnight - _DAY)
    return pl.lit(min(usual, math.ceil(left / (_DAY / usual))), pl.Int64)
