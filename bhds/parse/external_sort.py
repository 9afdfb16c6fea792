"""Sort rows that do not fit into memory.

What the archive publishes is nearly always in order, so rows are written straight to
the file that is to become the partition, as *runs*: sorted rows of one zip. If every
run begins behind the one before it, that file is all there is to do. If not, the runs
are read again, one range of the key after the other, and each range is sorted and
written on its own. Ranges are cut at sampled keys, so that they are all of about the
same size, however the rows are shuffled, and no key is in two of them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import polars as pl
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from bhds.core.errors import ParseError
from bhds.core.version import __version__
from bhds.parse.order import ascends
from bhds.schemas.klines import SYMBOL, with_symbol

_DICTIONARY_BYTES = 1 << 18  # more distinct values than 32,768 are written plain


@dataclass(frozen=True)
class Sizes:
    """How many rows are handled at once, which is what bounds the memory."""

    group: int = 1 << 18
    """Row groups have this to twice this; the last of a file may have less."""
    shuffled_group: int = 1 << 14
    """The most that a row group has whose rows were not in order: what ranges share
    with their neighbours is read with each of them."""
    span: int = 1 << 20
    """About what a range of keys has: at most this, and `sample` more for each call
    of `SortedRuns.append`."""
    sample: int = 1_000
    """Of so many rows of a run, the key of one is remembered."""
    same_key: int = 1_000
    """The most rows of one key in a call: with more, it cannot be the key."""


DEFAULT_SIZES = Sizes()


class GroupWriter:
    """A Parquet file (zstd) that is written row group by row group.

    The same rows in the same calls yield the same bytes.

    Parameters
    ----------
    path
        The file, which is overwritten.
    symbol
        Whose rows they are, which the first column names.
    schema
        The columns of the rows.
    group_rows
        See `Sizes.group`.
    """

    def __init__(
        self, path: Path, *, symbol: str, schema: pl.Schema, group_rows: int
    ) -> None:
        # On a day of genuine trades, against plain values: ids and times as differences
        # take off a third of the bytes and of the time, dictionaries of prices and
        # quantities another tenth of the bytes.
        floats = [name for name, dtype in schema.items() if dtype.is_float()]
        counting = [
            name
            for name, dtype in schema.items()
            if dtype.is_integer() or dtype.is_temporal()
        ]
        self._writer = pq.ParquetWriter(
            path,
            with_symbol(schema).to_frame().to_arrow().schema,
            compression="zstd",
            compression_level=3,
            use_dictionary=[SYMBOL, *floats],
            dictionary_pagesize_limit=_DICTIONARY_BYTES,
            column_encoding=dict.fromkeys(counting, "DELTA_BINARY_PACKED"),
        )
        self._symbol = pl.lit(symbol).alias(SYMBOL)
        self._group_rows = group_rows
        self._held: list[pl.DataFrame] = []
        self._held_rows = 0
        self._groups = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._writer.close()

    def append(self, rows: pl.DataFrame) -> list[tuple[int, int]]:
        """Write rows, the last of them later.

        Returns
        -------
        list of tuple
            For each `group_rows` of the rows, the number of their row group and the
            position in it where they begin.
        """
        places = []
        for part in rows.iter_slices(self._group_rows):
            places.append((self._groups, self._held_rows))
            self._held.append(part)
            self._held_rows += part.height
            if self._held_rows >= self._group_rows:
                self._flush()
        return places

    def append_groups(
        self, rows: pl.DataFrame, *, group_rows: int
    ) -> list[tuple[int, int]]:
        """Write rows as row groups of their own, and return where; see `append`."""
        self._flush()
        first = self._groups
        for part in rows.iter_slices(group_rows):
            self._write(part)
        return [(group, 0) for group in range(first, self._groups)]

    def finish(self, metadata: Mapping[str, str]) -> None:
        """Write what is left, and metadata as `storage.write_parquet` does."""
        self._flush()
        tagged = {"bhds.version": __version__}
        tagged |= {f"bhds.{key}": value for key, value in metadata.items()}
        self._writer.add_key_value_metadata(tagged)
        self._writer.close()

    def _flush(self) -> None:
        if self._held:
            self._write(pl.concat(self._held))
            self._held, self._held_rows = [], 0

    def _write(self, rows: pl.DataFrame) -> None:
        table = rows.select(self._symbol, pl.all()).to_arrow()
        self._writer.write_table(table, row_group_size=rows.height)
        self._groups += 1


@dataclass(frozen=True)
class _Run:
    """Sorted rows of one zip, side by side in one row group."""

    file: int
    group: int
    begin: int
    """Their position in the row group."""
    rows: int
    first: int
    """The least value of the key's first column, as Int64."""
    last: int
    sample: pl.Series
    """Some of the values, the first included."""


class SortedRuns:
    """Rows that are appended in any order, and come back in that of their key.

    Parameters
    ----------
    path
        The Parquet file that holds them.
    symbol
        Whose rows they are.
    schema
        Their columns.
    key
        The columns to sort by, nowhere null; the first is Int64 or a time.
    sizes
        See there.
    """

    def __init__(
        self,
        path: Path,
        *,
        symbol: str,
        schema: pl.Schema,
        key: Sequence[str],
        sizes: Sizes = DEFAULT_SIZES,
    ) -> None:
        self._path = path
        self._key = list(key)
        self._sizes = sizes
        self._columns = schema.names()
        self._writer = GroupWriter(
            path, symbol=symbol, schema=schema, group_rows=sizes.group
        )
        self._runs: list[_Run] = []
        self._last: tuple[Any, ...] | None = None
        self._are_one = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._writer.__exit__(kind, error, trace)

    @property
    def are_one(self) -> bool:
        """Whether the file as it is holds all rows, sorted by and unique on the key."""
        return self._are_one

    def append(self, rows: pl.DataFrame, *, file: int) -> None:
        """Add some rows of a zip.

        Parameters
        ----------
        rows
            n >= 0 rows in any order.
        file
            The number of the zip.

        Raises
        ------
        ParseError
            If more than `Sizes.same_key` rows agree in the first column of the key.
        """
        if rows.is_empty():
            return
        is_strict = ascends(rows, key=self._key)
        if not is_strict:
            rows = rows.sort(self._key, maintain_order=True)
            self._check_key(rows)
            is_strict = ascends(rows, key=self._key)
        first, last = (rows.select(self._key).row(at) for at in (0, -1))
        if is_strict and (self._last is None or first > self._last):
            places = self._writer.append(rows)
            size = self._sizes.group
            self._last = last
        else:
            size = self._sizes.shuffled_group
            places = self._writer.append_groups(rows, group_rows=size)
            self._last = last if self._last is None else max(last, self._last)
            self._are_one = False
        parts = rows.select(pl.col(self._key[0]).to_physical()).iter_slices(size)
        for (group, begin), part in zip(places, parts, strict=True):
            keys = part.to_series()
            sample = keys.gather_every(self._sizes.sample)
            run = _Run(file, group, begin, part.height, keys[0], keys[-1], sample)
            self._runs.append(run)

    def append_group(self, rows: pl.DataFrame) -> None:
        """Add rows as they were written before, in ascending order of the key.

        A row group that is not full is held, as when it was written.
        """
        if rows.height >= self._sizes.group:
            self._writer.append_groups(rows, group_rows=rows.height)
        else:
            self._writer.append(rows)
        self._last = rows.select(self._key).row(-1)

    def discard(self, file: int) -> None:
        """Take the rows of a zip out again."""
        kept = [run for run in self._runs if run.file != file]
        self._are_one &= len(kept) == len(self._runs)
        self._runs = kept

    def finish(self, metadata: Mapping[str, str]) -> None:
        """Write what is left, and metadata as `storage.write_parquet` does."""
        self._writer.finish(metadata)

    def ranges(self) -> Iterator[pl.DataFrame]:
        """Read the rows again, once they are finished, one range of keys at a time.

        Yields
        ------
        polars.DataFrame
            The schema's columns; and as UInt32 `file`, and `row`, which numbers the
            rows of the range as they were appended. Sorted by the key, then `row`.
            All rows of a key are in one range; ranges come in the order of the key.
        """
        if not self._runs:
            return
        sample = pl.concat([run.sample for run in self._runs]).sort()
        step = max(self._sizes.span // self._sizes.sample, 1)
        bounds = sample.gather_every(step).unique().sort().to_list()
        with pq.ParquetFile(self._path) as opened:
            for low, high in pairwise([*bounds, None]):
                yield self._read(opened, low, high)

    def _check_key(self, rows: pl.DataFrame) -> None:
        """Check that sorted rows have few of a key."""
        name, limit = self._key[0], self._sizes.same_key
        keys = rows[name]
        is_same = (keys == keys.shift(limit)).fill_null(value=False)
        if is_same.any():
            value = keys[is_same.arg_max() or 0]
            msg = (
                f"{name} {value} stands in more than {limit} of {rows.height} lines: "
                "expected it to tell rows apart"
            )
            raise ParseError(msg)

    def _read(self, opened: pq.ParquetFile, low: int, high: int | None) -> pl.DataFrame:
        """Read the rows from `low`, included, to `high`; None: to the end."""
        key = pl.col(self._key[0]).to_physical()
        is_within = key >= low if high is None else (key >= low) & (key < high)
        touched = (
            run
            for run in self._runs
            if run.last >= low and (high is None or run.first < high)
        )
        parts = [
            _read_runs(opened, runs, columns=self._columns).filter(is_within)
            for runs in _batches(touched, rows=self._sizes.group)
        ]
        rows = pl.concat(parts)
        return rows.with_columns(row=pl.int_range(pl.len(), dtype=pl.UInt32)).sort(
            self._key, maintain_order=True
        )


def _batches(runs: Iterable[_Run], *, rows: int) -> Iterator[list[_Run]]:
    """Part runs into lists of few rows: `rows`, and what the last run has more."""
    batch: list[_Run] = []
    size = 0
    for run in runs:
        batch.append(run)
        size += run.rows
        if size >= rows:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _read_runs(
    opened: pq.ParquetFile, runs: Sequence[_Run], *, columns: list[str]
) -> pl.DataFrame:
    """Read runs, in the order of their row groups, with a column `file` (UInt32)."""
    groups = list(dict.fromkeys(run.group for run in runs))
    heights = [opened.metadata.row_group(group).num_rows for group in groups]
    begins = dict(zip(groups, accumulate(heights, initial=0), strict=False))
    table = pl.DataFrame(
        opened.read_row_groups(groups, columns=columns, use_threads=False)
    )
    files = pl.DataFrame(
        {"file": [run.file for run in runs], "rows": [run.rows for run in runs]},
        schema={"file": pl.UInt32, "rows": pl.UInt32},
    )
    return pl.concat(
        [table.slice(begins[run.group] + run.begin, run.rows) for run in runs]
    ).with_columns(files.select(pl.col("file").repeat_by("rows").explode()).to_series())
