"""What is wrong with files of the archive, on request: one entry a way of being wrong.

A file passes several stages before it is served; an entry changes what passes one of
them. A further way is a further member of `Defect` with its `Spoiler`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import polars as pl

from bhds.sandbox.bars import PRICES, SUMMED

REVISION = 1
"""Raise by one when the same defect must yield other files."""

_KEPT_SHARE = 3
_RUN_LENGTH = 13


class Defect(StrEnum):
    """A way in which a file may be wrong; numbers are of the catalogue of defects."""

    TRUNCATED = "truncated"
    """D06: the rows end after the first third, rounded down; size, ETag and CHECKSUM
    are those of the short file."""
    CORRUPT = "corrupt"
    """D05: the second half of the zip is missing, so that it cannot be opened; size
    and ETag are those of what is left, the CHECKSUM is that of the whole file."""
    NO_VOLUME = "no_volume"
    """D14, klines only: 13 bars in a row, or as many as are left, are flat at the close
    before them and without volume. The first is the first bar with trades from the
    middle of the file on."""


@dataclass(frozen=True)
class Spoiler:
    """What a defect does to a file, stage by stage."""

    rows: Callable[[pl.DataFrame], pl.DataFrame] | None = None
    """Changes what becomes the CSV; the columns are those of the data type's rows."""
    archive: Callable[[bytes], bytes] | None = None
    """Changes the bytes of the zip."""
    is_announced: bool = True
    """Whether the CHECKSUM is of the file with the defect, or of the one without."""
    data_types: frozenset[str] | None = None
    """The types of data whose files can have the defect; None: all."""


def _truncated(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.head(rows.height // _KEPT_SHARE)


def _cut_in_half(archive: bytes) -> bytes:
    # What is lost is the end, with the directory without which no zip can be read.
    return archive[: len(archive) // 2]


def _without_volume(bars: pl.DataFrame) -> pl.DataFrame:
    traded = bars.with_row_index("number").filter(
        pl.col("number") >= bars.height // 2, pl.col("volume") > 0
    )
    if traded.is_empty():
        return bars
    first = int(traded["number"][0])
    level = bars["close"][first - 1] if first else bars["open"][0]
    in_run = pl.int_range(pl.len()).is_between(first, first + _RUN_LENGTH - 1)
    return bars.with_columns(
        *(pl.when(in_run).then(level).otherwise(name).alias(name) for name in PRICES),
        *(pl.when(in_run).then(0).otherwise(name).alias(name) for name in SUMMED),
    )


SPOILERS = {
    Defect.TRUNCATED: Spoiler(rows=_truncated),
    Defect.CORRUPT: Spoiler(archive=_cut_in_half, is_announced=False),
    Defect.NO_VOLUME: Spoiler(rows=_without_volume, data_types=frozenset({"klines"})),
}
"""What each defect does."""


def spoiled_rows(rows: pl.DataFrame, defects: tuple[Defect, ...]) -> pl.DataFrame:
    """Return `rows` as a file with `defects` has them, each applied in turn."""
    for defect in defects:
        change = SPOILERS[defect].rows
        rows = rows if change is None else change(rows)
    return rows


def spoiled_archive(archive: bytes, defects: tuple[Defect, ...]) -> bytes:
    """Return the bytes of a zip as one with `defects` has them."""
    for defect in defects:
        change = SPOILERS[defect].archive
        archive = archive if change is None else change(archive)
    return archive


def announced(defects: tuple[Defect, ...]) -> tuple[Defect, ...]:
    """Return those of `defects` that the file has of which the CHECKSUM is."""
    return tuple(each for each in defects if SPOILERS[each].is_announced)
