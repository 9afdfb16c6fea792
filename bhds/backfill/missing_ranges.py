"""Find the bars that the archive lacks, and why it lacks them.

The grid of the interval says which bars there should be. Besides those that are not
there, bars without trades are doubted where the symbol otherwise trades in every one:
the archive has published such runs that were wrong (2025-01-29, 2021-03-02). Bars with
impossible values are requested too.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from itertools import groupby
from typing import Any, NamedTuple

import polars as pl

from bhds.archive.integrity.zip_input import DAY_US, day_us
from bhds.archive.keys import ArchiveFile
from bhds.core.markets import Interval, TradeType
from bhds.core.timegrid import Grid, Span, grid_number
from bhds.schemas.archive_tables import IntegrityStatus
from bhds.schemas.impossible_values import is_impossible

_DAY_MS = DAY_US // 1_000

_RARE = 1e-4
"""A run of bars without trades is doubted if so long a run is to be expected in fewer
than one of 10,000 such days."""

_MOST_RUNS = 0.01
"""Nothing is doubted in a day with more runs without trades than this part of its bars:
the symbol does not trade in every one."""


class MissingReason(StrEnum):
    """Why bars are requested from the API."""

    MISSING = "missing"
    """The files of the day lack them."""
    TRUNCATED = "truncated"
    """The files of the day end before it does."""
    CORRUPT = "corrupt"
    """No file of the day is usable."""
    MISSING_FILE = "missing_file"
    """The archive has no file of the day."""
    TAIL = "tail"
    """The archive has no file of the day, nor of a later one."""
    UNTRADED = "untraded"
    """They are published without trades, which is doubted."""
    IMPOSSIBLE = "impossible"
    """They are published with values that cannot be."""


@dataclass(frozen=True)
class MissingRange:
    """What is requested: the bars or events of a range of time."""

    span: Span
    """Of bars, from the first one's opening to the last one's end."""
    reason: MissingReason
    expected: int | None
    """How many there should be; None where that is not known."""


@dataclass(frozen=True)
class Coverage:
    """Which days zips cover, as numbers of UTC days since 1970."""

    usable: frozenset[int]
    useless: frozenset[int]
    """Those of which no zip could be used, though there is one."""
    is_last: bool = True
    """Whether there are no zips of later days."""

    @classmethod
    def of(cls, inputs: Iterable[Mapping[str, Any]]) -> "Coverage":
        """Read the entries of the zips in a partition's sources."""
        days: dict[bool, set[int]] = {True: set(), False: set()}
        for entry in inputs:
            file = ArchiveFile.from_key(entry["key"])
            first, last = (day_us(d) // DAY_US for d in (file.first_day, file.last_day))
            is_useless = entry["integrity_status"] in {
                IntegrityStatus.CORRUPT,
                IntegrityStatus.VANISHED,
            }
            days[not is_useless].update(range(first, last + 1))
        return cls(frozenset(days[True]), frozenset(days[False] - days[True]))

    @cached_property
    def last(self) -> int:
        """The last day covered; -1 if there is none."""
        return max(self.usable | self.useless, default=-1)

    @classmethod
    def all_of(cls, parts: Iterable["Coverage"], *, is_last: bool) -> "Coverage":
        """Return what the zips of several partitions cover."""
        found = list(parts)
        usable = frozenset[int]().union(*(each.usable for each in found))
        useless = frozenset[int]().union(*(each.useless for each in found))
        return cls(usable, useless - usable, is_last)

    def reason(self, day: int) -> MissingReason:
        """Return why a UTC day, counted from 1970, lacks what it lacks."""
        if day in self.usable:
            return MissingReason.MISSING
        if day in self.useless:
            return MissingReason.CORRUPT
        is_after = self.is_last and day > self.last
        return MissingReason.TAIL if is_after else MissingReason.MISSING_FILE


def missing_bars(
    bars: pl.DataFrame,
    *,
    interval: Interval,
    begin_ms: int,
    end_ms: int,
    now_ms: int,
    coverage: Coverage,
    is_first: bool,
) -> list[MissingRange]:
    """List the bars that are not there, in time order.

    Where no bar shows on which days 3d bars open, all time is listed as one
    missing range, of a number of bars that is not known.

    Parameters
    ----------
    bars
        n >= 0 published bars, sorted by `open_time`. One that opens between two grid
        points stands for the former.
    interval
        Their spacing.
    begin_ms, end_ms, now_ms
        Milliseconds since 1970, UTC: bars that open at `begin_ms` or later and before
        `end_ms`, and are over by `now_ms`, are wanted; also, as of the archive, the
        one that is open at `begin_ms`.
    coverage
        What the bars were read from.
    is_first
        Whether nothing is archived before `begin_ms`. The listing period then begins
        with the first bar, or with the first day whose zips are unusable.
    """
    grid = Grid(interval)
    if interval.has_phase and interval.phase is None:
        end_ms = min(end_ms, grid.closed_before(now_ms))
        return _of_unknown_phase(Span(begin_ms, end_ms), coverage=coverage)
    numbers = bars.select(grid_number(pl.col("open_time"), interval=interval))
    present = numbers.to_series().unique().sort()
    if is_first:
        born = [day * _DAY_MS for day in coverage.useless]
        if present.len():
            born.append(grid.time(present[0]))
        begin_ms = max(begin_ms, min(born, default=begin_ms))
    first = grid.number(begin_ms)
    last = min(grid.number(grid.ceil(end_ms)), grid.number(now_ms))
    inside = present.filter((present >= first) & (present < last))
    edges = pl.concat([pl.Series([first - 1]), inside, pl.Series([max(last, first)])])
    before_range = edges.diff().shift(-1) > 1
    starts = (edges.filter(before_range) + 1).to_list()
    stops = edges.filter(before_range.shift(1)).to_list()
    return [
        each
        for start, stop in zip(starts, stops, strict=True)
        for each in _by_reason(range(start, stop), grid=grid, coverage=coverage)
    ]


def _of_unknown_phase(span: Span, *, coverage: Coverage) -> list[MissingRange]:
    """Return one missing range for all 3d bars that reach into a span, if any."""
    if span.start_ms >= span.end_ms:
        return []
    reason = coverage.reason(span.start_ms // _DAY_MS)
    first = span.start_ms - 2 * _DAY_MS
    return [MissingRange(Span(first, span.end_ms), reason, None)]


def doubtful_bars(bars: pl.DataFrame, *, interval: Interval) -> list[MissingRange]:
    """List the runs of bars without trades that cannot be by chance, in time order.

    In a day of n bars in which R runs without trades begin, a run of L bars is
    doubted if n (R / n)^L < 1e-4, and if R is at most a hundredth of n. So nothing is
    doubted in bars of 30 minutes and longer, nor in a symbol that is seldom traded.

    Parameters
    ----------
    bars
        n >= 0 published bars, sorted by unique `open_time`, with `trade_count`.
    interval
        Their spacing.
    """
    if interval.duration is None:
        return []
    number = grid_number(pl.col("open_time"), interval=interval)
    of_day = pl.col("open_time").dt.date()
    is_untraded = pl.col("trade_count") == 0
    goes_on = is_untraded.shift() & (pl.col("number").diff() == 1)
    begins = is_untraded & ~goes_on.fill_null(value=False).over("day")
    runs = (
        bars.lazy()
        .select("open_time", "trade_count", number=number, day=of_day)
        .with_columns(
            in_day=pl.len().over("day"), runs=begins.sum().over("day"), run=begins
        )
        .filter(is_untraded)
        .with_columns(pl.col("run").cum_sum())
        .group_by("run", maintain_order=True)
        .agg(
            pl.col("number").first(),
            pl.col("in_day", "runs").first(),
            length=pl.len(),
        )
    )
    share = pl.col("runs") / pl.col("in_day")
    expected = pl.col("in_day") * share.pow(pl.col("length"))
    doubted = runs.filter(share <= _MOST_RUNS, expected < _RARE).collect()
    return [
        MissingRange(
            _span(range(start, start + length), Grid(interval)),
            MissingReason.UNTRADED,
            length,
        )
        for start, length in doubted.select("number", "length").iter_rows()
    ]


def impossible_bars(
    bars: pl.DataFrame, *, data_type: str, trade_type: TradeType, interval: Interval
) -> list[MissingRange]:
    """List the runs of grid points with a bar of impossible values, in time order.

    Parameters
    ----------
    bars
        n >= 0 published bars, sorted by unique `open_time`.
    data_type, trade_type, interval
        What they are of.
    """
    number = grid_number(pl.col("open_time"), interval=interval)
    found = bars.filter(is_impossible(data_type, trade_type)).select(number.unique())
    numbers = found.to_series().sort()
    ends = (numbers.diff().shift(-1) != 1).fill_null(value=True)
    lasts = numbers.filter(ends).to_list()
    firsts = numbers.filter(ends.shift(fill_value=True)).to_list()
    return [
        MissingRange(
            _span(range(first, last + 1), Grid(interval)),
            MissingReason.IMPOSSIBLE,
            last + 1 - first,
        )
        for first, last in zip(firsts, lasts, strict=True)
    ]


def _by_reason(
    numbers: range, *, grid: Grid, coverage: Coverage
) -> Iterator[MissingRange]:
    """Cut one run of missing bars where the reason changes, which is at midnight."""
    pieces = _by_day(numbers, grid)
    for reason, group in groupby(
        pieces, lambda piece: _reason(*piece, coverage=coverage)
    ):
        days = list(group)
        missing = range(days[0].missing.start, days[-1].missing.stop)
        yield MissingRange(_span(missing, grid), reason, len(missing))


class _Piece(NamedTuple):
    """The bars that one UTC day lacks in a row."""

    day: int
    """Since 1970."""
    missing: range
    whole: range
    """All that open in the day; here and above, as numbers of grid points."""


def _by_day(numbers: range, grid: Grid) -> Iterator[_Piece]:
    start = numbers.start
    while start < numbers.stop:
        day = grid.time(start) // _DAY_MS
        first, following = (
            grid.number(grid.ceil(number * _DAY_MS)) for number in (day, day + 1)
        )
        missing = range(start, min(following, numbers.stop))
        yield _Piece(day, missing, range(first, following))
        start = missing.stop


def _reason(
    day: int, missing: range, whole: range, *, coverage: Coverage
) -> MissingReason:
    reason = coverage.reason(day)
    is_end = missing.start > whole.start and missing.stop == whole.stop
    return (
        MissingReason.TRUNCATED
        if reason is MissingReason.MISSING and is_end
        else reason
    )


def _span(numbers: range, grid: Grid) -> Span:
    """Return the time that some grid points in a row cover."""
    return Span(grid.time(numbers.start), grid.time(numbers.stop))


def with_missing_range(
    rows: pl.DataFrame, ranges: Sequence[MissingRange], *, time: str
) -> pl.DataFrame:
    """Keep the rows that lie in a range, and add its position: `missing_range`."""
    table = pl.DataFrame(
        {
            "missing_range": range(len(ranges)),
            "start_us": [each.span.start_ms * 1_000 for each in ranges],
            "end_us": [each.span.end_ms * 1_000 for each in ranges],
        },
        schema={"missing_range": pl.Int64, "start_us": pl.Int64, "end_us": pl.Int64},
    )
    return (
        rows.with_columns(at_us=pl.col(time).to_physical())
        .join_asof(table, left_on="at_us", right_on="start_us", strategy="backward")
        .filter(pl.col("at_us") < pl.col("end_us"))
        .select(*rows.columns, "missing_range")
    )


def outside(
    rows: pl.DataFrame, ranges: Sequence[MissingRange], *, time: str
) -> pl.DataFrame:
    """Keep the rows that lie in no missing range."""
    if not ranges:
        return rows
    return rows.join(with_missing_range(rows, ranges, time=time), on=time, how="anti")
