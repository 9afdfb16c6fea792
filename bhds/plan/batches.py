"""Cut the files to fetch into download jobs."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from rich.filesize import decimal

from bhds.archive.keys import CHECKSUM_SUFFIX
from bhds.plan.files import DISCARDED, MISSING, PRESENT, REPLACED

BATCH_ZIPS = 200
"""Most zips of one job. More would mean fewer processes, but Snakemake looks for the
producer of a file among all outputs of its job, one by one."""

BATCH_BYTES = 1 << 30
"""A job ends with the zip that takes it past this size."""


@dataclass(frozen=True)
class Batch:
    """The files that one download job fetches: zips, each with its CHECKSUM."""

    state: str
    """`missing` if no zip is on disk, `replaced` if all are, but in other revisions or
    damaged, `present` if there is nothing to do."""
    zips: tuple[str, ...]
    """Where the zips go, relative to the data directory."""
    checksums: tuple[str, ...]
    """Where their CHECKSUMs go; a zip without one in the bucket has none."""
    size_bytes: int
    """What is to be downloaded, as listed."""
    is_repeated: bool
    """Whether some files were there before: their partitions may be up to date."""

    def __str__(self) -> str:
        """Describe the batch, for people."""
        first, last = (Path(path).stem for path in (self.zips[0], self.zips[-1]))
        size = decimal(self.size_bytes)
        what = "Check" if self.state == PRESENT else "Download"
        return f"{what} {len(self.zips)} {self.state} zips, {size}, {first} to {last}"


def batches(files: pl.DataFrame, *, with_present: bool = False) -> Iterator[Batch]:
    """Cut missing and replaced files into batches, in the order given.

    A zip and its CHECKSUM are fetched together: where either is not the listed one,
    both are. So the zip's age alone shows whether a partition is out of date, and
    the graph of jobs has half the edges.

    Parameters
    ----------
    files
        `path`, `size` (bytes), `etag` (null for a file that is not listed),
        `is_checksum`, `state` and `was_fetched`, one row per file.
    with_present
        Whether files that need not be fetched are cut into batches, too.
    """
    pairs = _pairs(files)
    for state in (MISSING, REPLACED, PRESENT)[: 3 if with_present else 2]:
        yield from _cut(pairs.filter(pl.col("state") == state), state)


def _pairs(files: pl.DataFrame) -> pl.DataFrame:
    """Return one row per zip, with what is known of its CHECKSUM and of both."""
    # What the server does not list cannot be fetched, and stays as it is.
    is_listed = pl.col("etag").is_not_null()
    checksums = files.filter("is_checksum", is_listed).select(
        pl.col("path").str.strip_suffix(CHECKSUM_SUFFIX),
        checksum_path="path",
        checksum_size="size",
        checksum_state="state",
    )
    outdated = is_listed & (
        (pl.col("state") == REPLACED) | (pl.col("checksum_state") != PRESENT)
    )
    return (
        files.filter(~pl.col("is_checksum"))
        .join(checksums, on="path", how="left", maintain_order="left")
        .with_columns(
            state=pl.when(pl.col("state").is_in([MISSING, DISCARDED]))
            .then(pl.lit(MISSING))
            .when(outdated)
            .then(pl.lit(REPLACED))
            .otherwise(pl.lit(PRESENT))
        )
    )


def _cut(pairs: pl.DataFrame, state: str) -> Iterator[Batch]:
    first, count, total = 0, 0, 0
    for index, size in enumerate(pairs["size"]):
        count, total = count + 1, total + size
        if count == BATCH_ZIPS or total >= BATCH_BYTES:
            yield _batch(pairs[first : index + 1], state)
            first, count, total = index + 1, 0, 0
    if count:
        yield _batch(pairs[first:], state)


def _batch(pairs: pl.DataFrame, state: str) -> Batch:
    was_there = pairs["was_fetched"].any() or state == REPLACED
    return Batch(
        state,
        zips=tuple(pairs["path"]),
        checksums=tuple(pairs["checksum_path"].drop_nulls()),
        size_bytes=int(pairs["size"].sum()) + int(pairs["checksum_size"].sum()),
        is_repeated=state != PRESENT and was_there,
    )
