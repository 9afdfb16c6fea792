"""What archive and API say of the bars of one series: read from the sources.

Beside each partition and each backfill lies what it was made from; see
`bhds.parse.provenance` and `bhds.stages.backfill`.
"""

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from bhds.archive.keys import ArchiveFile
from bhds.core.markets import Frequency, Interval
from bhds.core.timegrid import TIME
from bhds.schemas.archive_tables import IntegrityStatus
from bhds.schemas.quality_tables import API_ANSWERS, GAP_EVIDENCE

_DAY = dt.timedelta(days=1)
_ANSWERS = {
    "unanswered": "unanswered",
    "pending": "pending",
    "refused": "refused",
    "empty": "empty",
    "part": "empty",
}
"""By the status of a missing range of which rows are still missing."""
_WORST_FIRST = ("unanswered", "pending", "refused", "empty")
_FILES = pl.Schema({"day": pl.Date(), "last_time": TIME, "is_daily": pl.Boolean()})
_REQUESTED = pl.Schema({"start": TIME, "end": TIME, "answer": API_ANSWERS})


@dataclass(frozen=True)
class Evidence:
    """What the sources of a series' partitions and backfills say, all times UTC."""

    files: pl.DataFrame
    """`day, last_time, is_daily`: the days of which the archive has a usable zip,
    sorted; the time of the last row of these zips (of a month's zip: that of the
    month); and whether there is one of the day alone."""
    corrupt: pl.Series
    """The days of which it has only unusable zips, unsorted."""
    without_rows: pl.Series
    """The days of which it has a daily zip, usable or not, but no row; sorted."""
    requested: pl.DataFrame
    """`start, end, answer`: the ranges that were requested from the API and not filled,
    sorted; they do not overlap, and `end` is exclusive."""
    conflict_days: Mapping[dt.date, int]
    """How many bars of a day were dropped for others; all are counted."""

    @classmethod
    def of(cls, sources: Iterable[Mapping[str, Any]]) -> "Evidence":
        """Read the content of the sources of partitions and backfills, in any order."""
        found = list(sources)
        zips = [entry for each in found for entry in each.get("inputs", ())]
        ranges = [
            missing for each in found for missing in each.get("missing_ranges", ())
        ]
        counts: Counter[dt.date] = Counter()
        for each in found:
            for day in each.get("days", ()):
                if number := day.get("conflicts", 0):
                    counts[dt.date.fromisoformat(day["day"])] += number
        useless = {IntegrityStatus.CORRUPT, IntegrityStatus.VANISHED}
        files = _files(
            entry for entry in zips if entry["integrity_status"] not in useless
        )
        corrupt = _files(
            e for e in zips if e["integrity_status"] == IntegrityStatus.CORRUPT
        )["day"]
        lost = corrupt.filter(~corrupt.is_in(files["day"].implode()))
        return cls(files, lost, _without_rows(found), _requested(ranges), counts)

    def on_gaps(self, gaps: pl.DataFrame, *, interval: Interval) -> pl.DataFrame:
        """Add to each gap what archive and API have of its time.

        Parameters
        ----------
        gaps
            n >= 0 rows of `GAPS`.
        interval
            The spacing of the bars.

        Returns
        -------
        polars.DataFrame
            n rows of `GAP_EVIDENCE`, in the same order.
        """
        begin = pl.col("prev_open_time").dt.offset_by(interval.name)
        tail_end = pl.col("prev_open_time") + pl.col("duration")
        end = pl.coalesce("next_open_time", tail_end.dt.offset_by(interval.name))
        spans = gaps.select(begin=begin, end=end).with_columns(
            first_day=pl.col("begin").dt.date(),
            last_day=(pl.col("end") - dt.timedelta(microseconds=1)).dt.date(),
            whole_from=pl.col("begin").dt.offset_by("1d").dt.date(),
        )
        # A gap that begins at midnight has its first day as a whole.
        is_midnight = pl.col("begin").dt.truncate("1d") == pl.col("begin")
        whole_from = pl.when(is_midnight).then("first_day").otherwise("whole_from")
        empty = (pl.col("end").dt.date() - whole_from).dt.total_days()
        touched = (pl.col("last_day") - pl.col("first_day")).dt.total_days() + 1
        spans = spans.with_columns(
            empty_days=empty.clip(lower_bound=0), touched=touched
        )
        days = self.files["day"]
        present = _between(days, spans["first_day"], spans["last_day"])
        last_times = spans.select("first_day").join(
            self.files.select("day", "last_time"),
            left_on="first_day",
            right_on="day",
            how="left",
            maintain_order="left",
        )["last_time"]
        return gaps.with_columns(
            spans["empty_days"],
            (spans["touched"] - present).alias("absent_days"),
            first_absent_day=_first_absent(days, spans),
            truncated=(last_times < spans["begin"]).fill_null(value=False),
            api=pl.when(pl.col("missing_bars") > 0).then(
                self.answers(spans["begin"], spans["end"]).fill_null("not_requested")
            ),
        ).select(pl.col(name).cast(dtype) for name, dtype in GAP_EVIDENCE.items())

    def answers(self, begin: pl.Series, end: pl.Series) -> pl.Series:
        """Return what the API answered of the missing rows of ranges (`end` exclusive).

        Null where it was not requested, or has filled what was requested.

        Where it says several things of one range, the worst: `unanswered` before
        `pending` before `refused` before `empty`.
        """
        said = pl.Series([None] * len(begin), dtype=API_ANSWERS)
        for answer in reversed(_WORST_FIRST):
            of_it = self.requested.filter(pl.col("answer") == answer)
            before_end = of_it["start"].search_sorted(end, side="left")
            over = of_it["end"].search_sorted(begin, side="right")
            said = said.zip_with(
                before_end <= over, pl.Series([answer], dtype=API_ANSWERS)
            )
        return said.alias("api_answer")


def _files(zips: Iterable[Mapping[str, Any]]) -> pl.DataFrame:
    rows = []
    for entry in zips:
        file = ArchiveFile.from_key(entry["key"])
        is_daily = file.frequency is Frequency.DAILY
        rows.append((file.first_day, file.last_day, entry["last_time"], is_daily))
    time = pl.col("last_time").str.to_datetime(time_unit="us", time_zone="UTC")
    return (
        pl.DataFrame(
            rows,
            schema={
                "first": pl.Date,
                "last": pl.Date,
                "last_time": pl.String,
                "is_daily": pl.Boolean,
            },
            orient="row",
        )
        .with_columns(time, day=pl.date_ranges("first", "last"))
        .explode("day")
        .group_by("day")
        .agg(pl.col("last_time").max(), pl.col("is_daily").any())
        .sort("day")
        .select(pl.col(name).cast(dtype) for name, dtype in _FILES.items())
    )


def _without_rows(sources: Sequence[Mapping[str, Any]]) -> pl.Series:
    zips = (
        ArchiveFile.from_key(entry["key"])
        for each in sources
        for entry in each.get("inputs", ())
    )
    listed = {file.first_day for file in zips if file.frequency is Frequency.DAILY}
    present = {
        dt.date.fromisoformat(day["day"])
        for each in sources
        for day in each.get("days", ())
        if day.get("present", 0)
    }
    return pl.Series(sorted(listed - present), dtype=pl.Date)


def _requested(ranges: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    rows = [
        (each["start"], each["end"], _ANSWERS[each["status"]])
        for each in ranges
        if each["status"] in _ANSWERS
    ]
    time = pl.col("start", "end").str.to_datetime(time_unit="us", time_zone="UTC")
    return (
        pl.DataFrame(rows, schema=dict.fromkeys(_REQUESTED, pl.String), orient="row")
        .with_columns(time)
        .sort("start")
        .select(pl.col(name).cast(dtype) for name, dtype in _REQUESTED.items())
    )


def _between(days: pl.Series, first: pl.Series, last: pl.Series) -> pl.Series:
    """Count the `days` (sorted, unique) from `first` to `last`, both included."""
    upto = days.search_sorted(last, side="right").cast(pl.Int64)
    return upto - days.search_sorted(first, side="left").cast(pl.Int64)


def _first_absent(days: pl.Series, spans: pl.DataFrame) -> pl.Series:
    """Return the first day of each span that is not in `days`, or null."""
    absent = spans.select(
        pl.date_range(pl.col("first_day").min(), pl.col("last_day").max())
        if spans.height
        else pl.lit(None, pl.Date).alias("first_day")
    ).to_series()
    absent = absent.filter(~absent.is_in(days.implode()))
    nearest = absent.search_sorted(spans["first_day"], side="left")
    first = absent.extend_constant(None, 1).gather(nearest)
    return first.set(first > spans["last_day"], None)
