"""The account of each day of data that does not become results, from its sources."""

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import polars as pl
import polars.selectors as cs

from bhds.archive.integrity.zip_input import DAY_US, HOUR_US, day_us
from bhds.core.markets import Frequency, Interval, TradeType
from bhds.core.timegrid import TIME
from bhds.parse.tallies import missing_per_day
from bhds.quality.day_counts import answer_on_missing_rows
from bhds.quality.evidence import Evidence
from bhds.quality.gap_classes import PENDING_DAYS
from bhds.schemas.csv_table import Table
from bhds.schemas.impossible_values import is_impossible
from bhds.schemas.quality_tables import DAYS

_DAY = dt.timedelta(days=1)
_EPOCH = dt.date(1970, 1, 1)
_AROUND = 7
"""So many days before and after a day say how many rows it usually has."""
_FEW = 0.75
"""A day of rows at a steady pace lacks some if it has less than this part of them."""
_VERY_FEW = 0.25
"""No era has less than this part of the rows of the one next to it."""
_USUAL_HOURS = 8
"""Between funding events, where there is only one event."""
_FAULTS = ("impossible", "frozen", "missing_ids", "missing_trade_ids")
"""Counts of a day's entry in the sources; one that is absent is 0."""
_PRESENT = {
    "day": pl.Date,
    "expected": pl.Int64,
    "present": pl.Int64,
    "volume": pl.Float64,
    "daily": pl.Int64,
    **dict.fromkeys(_FAULTS, pl.Int64),
}


def replaced(
    archived: pl.DataFrame,
    added: pl.DataFrame,
    *,
    table: Table,
    data_type: str,
    trade_type: TradeType,
) -> pl.DataFrame:
    """Count the rows of a partition that its backfill replaces, by UTC day.

    Their keys are also the backfill's, so `reader.scan_records` leaves them out.

    Returns
    -------
    polars.DataFrame
        `day, present, daily, impossible` of n >= 0 days.
    """
    return (
        archived.with_columns(is_impossible=is_impossible(data_type, trade_type))
        .join(added, on=table.key, how="semi")
        .group_by(day=pl.col(table.time).dt.date())
        .agg(
            present=pl.len().cast(pl.Int64),
            daily=(pl.col("source") == Frequency.DAILY.value).sum().cast(pl.Int64),
            impossible=pl.col("is_impossible").sum().cast(pl.Int64),
        )
    )


def newest_day(
    sources: Iterable[Mapping[str, Any]], of_api: Iterable[pl.Series]
) -> dt.date:
    """Return the last UTC day of which an archive file or the API has rows."""
    days = [
        dt.date.fromisoformat(day["day"])
        for each in sources
        for day in each.get("days", ())
        if day.get("present", 0)
    ]
    days += [times.dt.date().sort()[-1] for times in of_api]
    return max(days, default=dt.date.min)


def account(
    sources: Sequence[Mapping[str, Any]],
    *,
    fill_times: pl.Series,
    symbol: str,
    interval: Interval | None,
    last_day: dt.date,
    newest: dt.date,
    has_ended: bool = False,
    is_steady: bool = False,
    events: pl.DataFrame | None = None,
    replaced_rows: Sequence[pl.DataFrame] = (),
) -> pl.DataFrame:
    """Count the rows of each UTC day by where they come from.

    Parameters
    ----------
    sources
        The content of the sources of one symbol's partitions and backfills.
    fill_times
        The times of all rows that are from the API, Datetime[us, UTC].
    symbol, interval
        What they are of; the interval is None if they are no bars.
    last_day
        The last UTC day that there may be rows of.
    newest
        The last UTC day of which any symbol has rows. One without rows since more than
        3 days before has ended; that a file is late, or all are, ends none.
    has_ended
        Whether it is known that the symbol has ended.
    is_steady
        Whether rows come at a steady pace, see `csv_table.Table`.
    events
        `time, hours` of all rows, where each names the hours between events (null where
        it does not); None of other data.
    replaced_rows
        What `replaced` returned of each partition whose backfill replaces rows.

    Returns
    -------
    polars.DataFrame
        `DAYS`, sorted by unique `day`, from the first day with rows to
        `last_day`, and the days before of which there is a daily zip; of bars longer
        than a day, only the days on which one should open. Rows are `daily` or
        `monthly` as the zip that they are from. `expected` is, from the first row on
        and of a symbol that has ended up to its last: of bars, and of rows whose
        spacing is known, the number of these; of events, those present and those that
        are missing between two that are further apart than their hours; of rows at a
        steady pace the usual number, if the day has less than three quarters of it. No
        rows without any.
    """
    evidence = Evidence.of(sources)
    of_archive = _of_archive(sources, replaced_rows)
    of_api = fill_times.dt.date().alias("day").value_counts(name="api")
    counted = of_archive.join(of_api, on="day", how="full", coalesce=True)
    counted = counted.with_columns(pl.col("present", "api", "daily").fill_null(0))
    with_rows = counted.filter(pl.col("present") + pl.col("api") > 0)
    first = with_rows["day"].min()
    if not isinstance(first, dt.date):
        return DAYS.to_frame()
    is_own = (pl.col("api") > 0) | pl.col("day").is_in(evidence.files["day"].implode())
    own = with_rows.filter(is_own)["day"].sort().to_list() or [first]
    usual = of_archive["expected"].drop_nulls().mode().max()
    days = counted.select("day")
    if interval is None or (interval.duration or 31 * _DAY) <= _DAY:
        every = pl.date_range(pl.lit(first), pl.lit(max(last_day, first)))
        days = pl.concat([days, pl.select(every.alias("day"))]).unique()
    days = days.filter(pl.col("day") >= first)
    lost = evidence.without_rows.filter(evidence.without_rows < first)
    days = pl.concat([days, lost.to_frame("day")]).sort("day")
    begin = days["day"].cast(TIME)
    has_ended = has_ended or newest - own[-1] > PENDING_DAYS * _DAY
    if events is not None:
        # A month's file that ends with the month does not say that the symbol did.
        is_open = not has_ended or own[-1] == evidence.files["day"].max()
        until = max(last_day, own[-1]) if is_open else None
        expected = _by_day(_missing_events(events, until=until)) + pl.col("rows")
        expected = pl.when(expected > 0).then(expected)
    else:
        ends = _ends(sources, fill_times, own=own, has_ended=has_ended)
        number = _usual_around(with_rows.filter(is_own)) if is_steady else usual
        expected = _part_of_day(number, ends)
        if is_steady:
            expected = pl.when(pl.col("rows") < _FEW * expected).then(expected)
        else:
            expected = pl.min_horizontal(
                pl.coalesce("expected", pl.lit(usual, pl.Int64)), expected
            )
    return (
        days.with_columns(evidence.answers(begin, begin + _DAY), symbol=pl.lit(symbol))
        .join(counted, on="day", how="left", maintain_order="left")
        .join(evidence.files, on="day", how="left", maintain_order="left")
        .with_columns(pl.col("present", "api", "daily", *_FAULTS).fill_null(0))
        .with_columns(rows=pl.col("present") + pl.col("api"))
        .with_columns(
            expected=expected,
            monthly=pl.col("present") - pl.col("daily"),
            missing_ids=pl.col("missing_ids") + _by_day(_missing_between(sources)),
            filled=pl.lit(0),
            off_grid=pl.lit(0),
            # The file of the month before holds a bar that reaches into this one.
            has_file=pl.col("is_daily").is_not_null()
            | (pl.lit(interval is not None) & (pl.col("present") > 0)),
            is_corrupt=pl.col("day").is_in(evidence.corrupt.implode()),
            conflicts=_by_day(evidence.conflict_days),
        )
        .with_columns(api_answer=answer_on_missing_rows())
        .select(pl.col(name).cast(dtype) for name, dtype in DAYS.items())
    )


def _of_archive(
    sources: Sequence[Mapping[str, Any]], replaced_rows: Sequence[pl.DataFrame]
) -> pl.DataFrame:
    """Return `_PRESENT` of the days of all partitions, without replaced rows."""
    rows = [
        (
            dt.date.fromisoformat(day["day"]),
            *(day["expected"], day["present"], day.get("quantity")),
            *(day.get(name, 0) for name in ("daily", *_FAULTS)),
        )
        for each in sources
        for day in each.get("days", ())
    ]
    published = pl.DataFrame(rows, schema=_PRESENT, orient="row")
    negated = (each.with_columns(-cs.integer()) for each in replaced_rows)
    return (
        pl.concat([published, *negated], how="diagonal")
        .group_by("day")
        .agg(
            pl.col("expected").max(),
            pl.col("present", "daily", *_FAULTS).sum(),
            pl.col("volume").drop_nulls().sum(),
            has_volume=pl.col("volume").is_not_null().any(),
        )
        .with_columns(volume=pl.when("has_volume").then("volume"))
        .drop("has_volume")
    )


def _by_day(counts: Mapping[dt.date, int]) -> pl.Expr:
    """Return the count of each `day`, 0 where it has none."""
    if not counts:
        return pl.lit(0)
    return pl.col("day").replace_strict(counts, default=0, return_dtype=pl.Int64)


def _dated(counts: Mapping[int, int]) -> dict[dt.date, int]:
    """Name days by their date instead of their number since 1970."""
    return {_EPOCH + number * _DAY: count for number, count in counts.items()}


def _ends(
    sources: Sequence[Mapping[str, Any]],
    fill_times: pl.Series,
    *,
    own: Sequence[dt.date],
    has_ended: bool,
) -> dict[dt.date, tuple[float, float]]:
    """Return the part of the first and the last day in which rows should be.

    Both are numbers of days since midnight; the second is that of the last row.
    """
    times = {
        name: [
            dt.datetime.fromisoformat(entry[name])
            for each in sources
            for entry in each.get("inputs", ())
            if entry[name] is not None
        ]
        for name in ("first_time", "last_time")
    }
    api: list[dt.datetime] = fill_times.sort().to_list()
    firsts = [*times["first_time"], *api[:1]]
    lasts = [*times["last_time"], *api[-1:]]
    ends = {own[0]: (_since(own[0], min(firsts)), 1.0)} if firsts else {}
    if has_ended and lasts:
        begin, _ = ends.get(own[-1], (0.0, 1.0))
        ends[own[-1]] = (begin, _since(own[-1], max(lasts)))
    return ends


def _since(day: dt.date, time: dt.datetime) -> float:
    """Return the part of a day before a moment, from 0 to 1."""
    midnight = dt.datetime.combine(day, dt.time(), dt.UTC)
    return min(max((time - midnight) / _DAY, 0.0), 1.0)


def _part_of_day(number: Any, ends: Mapping[dt.date, tuple[float, float]]) -> pl.Expr:
    """Return how many of the rows of a day lie between its ends, theirs included."""
    usual = _by_day(number) if isinstance(number, Mapping) else pl.lit(number, pl.Int64)
    expected = usual
    for day, (begin, end) in ends.items():
        # Rows lie at multiples of a part of the day, to the microsecond.
        before = (usual * begin + 1e-6).floor()
        upto = pl.min_horizontal((usual * end + 1e-6).floor() + 1, usual)
        part = (upto - before).cast(pl.Int64)
        expected = pl.when(pl.col("day") == day).then(part).otherwise(expected)
    return expected


def _usual_around(days: pl.DataFrame) -> dict[dt.date, int]:
    """Return how many rows days usually have at their time.

    That is the median of the days before or of those after, whichever is less, because
    the number changes from era to era; but the greater one of a day that has so few
    rows that no era is like it: several such days may follow each other.
    """
    ordered = days.sort("day").select("day", rows=pl.col("present") + pl.col("api"))
    if ordered.height < 2:  # noqa: PLR2004
        return {}

    def median(rows: pl.Series) -> pl.Series:
        return rows.shift().rolling_median(_AROUND, min_samples=1)

    before = median(ordered["rows"])
    after = median(ordered["rows"].reverse()).reverse()
    least, most = (
        of_all("before", "after") for of_all in (pl.min_horizontal, pl.max_horizontal)
    )
    usual = ordered.with_columns(before=before, after=after).select(
        pl.when(pl.col("rows") < _VERY_FEW * most)
        .then(most)
        .otherwise(least)
        .floor()
        .cast(pl.Int64)
    )
    return dict(zip(ordered["day"], usual.to_series(), strict=True))


def _missing_events(
    events: pl.DataFrame, *, until: dt.date | None
) -> dict[dt.date, int]:
    """Count the events that were due and are not there, by day.

    Between two events the longer of their hours counts: where it changes, either may be
    the time between the two. An event of the API does not name its hours: it has those
    to the nearer of its neighbours. After the last event they go on to the end of
    `until`; None: there are none.
    """
    time = pl.col("time")
    nearer = pl.min_horizontal(
        time.diff(), time.diff().shift(-1)
    ).dt.total_microseconds()
    every = pl.coalesce(
        pl.col("hours").cast(pl.Int64) * HOUR_US, nearer, _USUAL_HOURS * HOUR_US
    )
    due = (
        events.group_by("time")
        .agg(pl.col("hours").max())
        .sort("time")
        .select(time.to_physical(), every.clip(HOUR_US))
        .rows()
    )
    missing: Counter[int] = Counter()
    for (before, old), (at, new) in pairwise(due):
        step = max(old, new)
        missing.update(n // DAY_US for n in range(before + step, at - step // 2, step))
    if until is not None and due:
        last, step = due[-1]
        rest = range(last + step, day_us(until + _DAY), step)
        missing.update(n // DAY_US for n in rest)
    return _dated(missing)


def _missing_between(sources: Sequence[Mapping[str, Any]]) -> dict[dt.date, int]:
    """Count the ids that are missing between one partition and the next, by day."""
    parts = sorted(
        (each["partition"], each["ids"]) for each in sources if each.get("ids")
    )
    ranges = [
        (first - last - 1, last_us, first_us)
        for (_, (_, (last, last_us))), (_, ((first, first_us), _)) in pairwise(parts)
        if first - last > 1
    ]
    schema = {"missing": pl.Int64, "begin": pl.Int64, "end": pl.Int64}
    return _dated(missing_per_day(pl.DataFrame(ranges, schema=schema, orient="row")))
