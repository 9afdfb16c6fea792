"""What is wrong with files of the archive, on request: one entry a way of being wrong.

A file passes several stages before it is served; an entry changes what passes one of
them. A further way is a further member of `Defect` with its `Spoiler`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

import polars as pl

from bhds.sandbox import spoiling

REVISION = 1
"""Raise by one when the same defect must yield other files."""


class Defect(StrEnum):
    """A way in which a file may be wrong; numbers are of the catalogue of defects.

    By default, size, ETag and CHECKSUM are those of the file with the
    defect.
    """

    TRUNCATED = "truncated"
    """D06: the rows end after the first third, rounded down."""
    CORRUPT = "corrupt"
    """D05: the second half of the zip is missing, so that it cannot be opened; size
    and ETag are those of what is left, the CHECKSUM is that of the whole file."""
    NO_VOLUME = "no_volume"
    """D14, klines only: 13 bars in a row, or as many as are left, are flat at the close
    before them and without volume. The first is the first bar with trades from the
    middle of the file on."""
    DUPLICATED = "duplicated"
    """D07, D24: each row is there twice."""
    CONTRADICTED = "contradicted"
    """D07, klines only: every 60th bar comes after one that opens with it and has one
    trade and a little volume more."""
    UNSORTED = "unsorted"
    """D08, D21: every second row comes after all the others."""
    LOST_ROWS = "lost_rows"
    """D08, D21, D22: ten rows are missing after the first third."""
    LOST_DAYS = "lost_days"
    """D01, klines only: the days 1, 2, 17 and 27 of the month are missing."""
    STALE = "stale"
    """D02, klines only: fifty bars from the middle on have other values than once were
    published elsewhere."""
    WRONG_DAY = "wrong_day"
    """D09, klines only: all bars open a day later than the name of the file says."""
    MIXED_UNITS = "mixed_units"
    """D09, klines only: the times of the second half are in ms where those of the first
    are in µs, or the other way round."""
    OFF_GRID = "off_grid"
    """D13, klines only: 120 bars open 14.789 s late: those after the first halt, or
    else the first ones."""
    FLAT_TAIL = "flat_tail"
    """D15, klines only: bars without trades, flat at the last close, follow the last
    one until midnight."""
    PHANTOM_EVENTS = "phantom_events"
    """D16, funding only: events of a rate of 0.0001 go on until the end of the month.
    """
    BLANKS = "blanks"
    """D21, metrics only: the ratios of every 60th row are blank."""
    ZEROS = "zeros"
    """D21, metrics only: the open interest of the row in the middle is 0."""
    MIDNIGHT_TWICE = "midnight_twice"
    """D21, metrics only: the file begins with the label that ends the one before."""
    LOST_PRECISION = "lost_precision"
    """D23, aggTrades only: every tenth quantity is next to nothing."""
    EXTRA_COLUMN = "extra_column"
    """D10, klines only: an undocumented extra column."""
    MISSING_COLUMN = "missing_column"
    """D10, klines only: the number of trades is missing."""
    STALE_CHECKSUM = "stale_checksum"
    """D04: the CHECKSUM is that of another zip, of the same rows."""
    TWO_MEMBERS = "two_members"
    """D05: the zip holds two CSVs."""
    IN_FOLDER = "in_folder"
    """D05: the CSV is in a folder of the zip."""


_T = TypeVar("_T")


def unchanged(value: _T) -> _T:
    """Return `value`: of the stages that a defect does not concern."""
    return value


@dataclass(frozen=True)
class Spoiler:
    """What a defect does to a file, stage by stage."""

    rows: Callable[[pl.DataFrame], pl.DataFrame] = unchanged
    """Changes what becomes the CSV; the columns are those of the data type's rows."""
    text: Callable[[bytes], bytes] = unchanged
    """Changes the CSV."""
    archive: Callable[[bytes], bytes] = unchanged
    """Changes the bytes of the zip."""
    is_announced: bool = True
    """Whether the CHECKSUM is of the file with the defect, or of the one without."""
    data_types: frozenset[str] | None = None
    """The data types whose files can have the defect; None: all."""


_KLINES = frozenset({"klines"})
_FUNDING = frozenset({"fundingRate"})
_METRICS = frozenset({"metrics"})
_AGG_TRADES = frozenset({"aggTrades"})

SPOILERS = {
    Defect.TRUNCATED: Spoiler(rows=spoiling.truncated),
    Defect.CORRUPT: Spoiler(archive=spoiling.cut_in_half, is_announced=False),
    Defect.NO_VOLUME: Spoiler(rows=spoiling.without_volume, data_types=_KLINES),
    Defect.DUPLICATED: Spoiler(rows=spoiling.doubled),
    Defect.CONTRADICTED: Spoiler(rows=spoiling.contradicted, data_types=_KLINES),
    Defect.UNSORTED: Spoiler(rows=spoiling.interleaved),
    Defect.LOST_ROWS: Spoiler(rows=spoiling.without_some),
    Defect.LOST_DAYS: Spoiler(rows=spoiling.without_days, data_types=_KLINES),
    Defect.STALE: Spoiler(rows=spoiling.stale, data_types=_KLINES),
    Defect.WRONG_DAY: Spoiler(rows=spoiling.of_the_next_day, data_types=_KLINES),
    Defect.MIXED_UNITS: Spoiler(text=spoiling.with_mixed_units, data_types=_KLINES),
    Defect.OFF_GRID: Spoiler(rows=spoiling.off_the_grid, data_types=_KLINES),
    Defect.FLAT_TAIL: Spoiler(rows=spoiling.with_flat_tail, data_types=_KLINES),
    Defect.PHANTOM_EVENTS: Spoiler(
        rows=spoiling.with_phantom_events, data_types=_FUNDING
    ),
    Defect.BLANKS: Spoiler(rows=spoiling.with_blanks, data_types=_METRICS),
    Defect.ZEROS: Spoiler(rows=spoiling.with_zeros, data_types=_METRICS),
    Defect.MIDNIGHT_TWICE: Spoiler(
        rows=spoiling.with_midnight_again, data_types=_METRICS
    ),
    Defect.LOST_PRECISION: Spoiler(
        rows=spoiling.without_precision, data_types=_AGG_TRADES
    ),
    Defect.EXTRA_COLUMN: Spoiler(text=spoiling.with_a_column_more, data_types=_KLINES),
    Defect.MISSING_COLUMN: Spoiler(text=spoiling.without_a_column, data_types=_KLINES),
    Defect.STALE_CHECKSUM: Spoiler(archive=spoiling.with_a_comment, is_announced=False),
    Defect.TWO_MEMBERS: Spoiler(archive=spoiling.with_two_members),
    Defect.IN_FOLDER: Spoiler(archive=spoiling.in_a_folder),
}
"""What each defect does."""
