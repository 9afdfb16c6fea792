"""Tables that several processes add to at once: a file for each addition.

No process writes the table itself: each adds a part file of its own to the table's
folder, and `AppendTable.compact` merges the parts into the table's file now and
then. That file's metadata name the parts that it holds, so a part that outlived its
merger (the process was killed before it removed it) is not counted twice.
"""

import fcntl
import io
import json
import logging
import os
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from bhds import layout
from bhds.core.errors import BhdsError
from bhds.io.storage import write_parquet

logger = logging.getLogger(__name__)

_MERGED = "merged"  # metadata key: JSON list of the names of the parts within
_READ_ATTEMPTS = 5


@dataclass(frozen=True)
class AppendTable:
    """A table below the data directory: its merged file, and parts not yet merged."""

    file: str
    """Path of the merged file, below the data directory."""
    schema: pl.Schema
    """The columns. It may gain some: files written before lack them."""
    sort: tuple[str, ...]
    """The columns that the merged file is sorted by; every file has the first."""
    error: type[BhdsError]
    """What is raised where a file is broken."""
    if_lost: str
    """What becomes of the table's users without such a file, for the message."""

    @property
    def folder(self) -> str:
        """Path of the folder of the parts."""
        return layout.parts_of(self.file)

    def append(self, data_dir: Path | str, *, rows: pl.DataFrame) -> None:
        """Add rows, as a part file of their own.

        Parameters
        ----------
        data_dir
            The data directory.
        rows
            n >= 0 rows with columns of `schema`, in any order; those left out are
            null, but for the first of `sort`. None is written for n = 0. Safe to
            call from several processes at once.
        """
        if rows.is_empty():
            return
        # Named by time so that parts sort as they came, and unique by a random end.
        name = f"{time.time_ns():020d}-{uuid.uuid4().hex[:12]}.parquet"
        path = Path(data_dir) / self.folder / name
        frame = self._completed(rows, columns=self.schema.names()).cast(self.schema)
        write_parquet(frame, path, metadata={})

    def read(
        self, data_dir: Path | str, *, columns: Sequence[str] | None = None
    ) -> pl.DataFrame:
        """Read the whole table: the merged file and all parts.

        Parameters
        ----------
        data_dir
            The data directory.
        columns
            The columns of `schema` that are wanted, or None for all of them; fewer
            are faster.

        Returns
        -------
        polars.DataFrame
            n >= 0 rows, unsorted; 0 rows if nothing was ever added. A column that
            a file was written without is null there.

        Raises
        ------
        BhdsError
            Of the table's `error`, if a file is broken, has other columns, or goes
            on changing.
        """
        names = list(self.schema) if columns is None else list(columns)
        for _ in range(_READ_ATTEMPTS):
            # The parts are looked up before the merged file is opened: what another
            # process merges in between is then found in both, or gone, never missed.
            parts = self._parts(data_dir)
            merged_frame, merged = self._read_merged(data_dir, columns=names)
            fresh = [part for part in parts if part.name not in merged]
            try:
                return pl.concat([merged_frame, self._read_parts(fresh, columns=names)])
            except FileNotFoundError:
                continue  # merged and removed since: the next look finds it merged
        msg = (
            f"{Path(data_dir) / self.folder}: its files changed during each of "
            f"{_READ_ATTEMPTS} attempts to read them; expected one compaction at a "
            "time, run again"
        )
        raise self.error(msg)

    def compact(self, data_dir: Path | str) -> int:
        """Merge the parts into the table's file, and remove the merged ones.

        Parts that other processes add meanwhile are left for the next time. May be
        killed at any moment: a part is removed only after the file that holds its
        rows is on disk and names it.

        Returns
        -------
        int
            How many parts were merged.

        Raises
        ------
        BhdsError
            Of the table's `error`, if a file is broken; nothing is changed then.
        """
        target = Path(data_dir) / self.file
        if not self._parts(data_dir):
            return 0
        with _exclusive(Path(data_dir) / self.folder / "lock"):
            parts = self._parts(data_dir)
            names = list(self.schema)
            frame, merged = self._read_merged(data_dir, columns=names)
            fresh = [part for part in parts if part.name not in merged]
            if fresh:
                frame = pl.concat([frame, self._read_parts(fresh, columns=names)])
                # The parts found, old ones too: they are what may outlive this call.
                found = json.dumps([part.name for part in parts])
                write_parquet(frame.sort(self.sort), target, metadata={_MERGED: found})
                _flush_to_disk(target)
            for part in parts:
                part.unlink()
        logger.info("%s: %d parts merged", target, len(fresh))
        return len(fresh)

    def _parts(self, data_dir: Path | str) -> list[Path]:
        """List the parts, oldest first; unfinished ones begin with `.`."""
        return sorted((Path(data_dir) / self.folder).glob("[!.]*.parquet"))

    def _read_merged(
        self, data_dir: Path | str, *, columns: Sequence[str]
    ) -> tuple[pl.DataFrame, frozenset[str]]:
        """Read the merged file, and the names of the parts that it holds."""
        path = Path(data_dir) / self.file
        try:
            # Read once: rows and metadata must be of the same version of the file.
            content = path.read_bytes()
        except FileNotFoundError:
            return self._no_rows(columns), frozenset()
        frame = self._read_file(path, content=content, columns=columns)
        metadata = pl.read_parquet_metadata(io.BytesIO(content))
        return frame, frozenset(json.loads(metadata.get(f"bhds.{_MERGED}", "[]")))

    def _read_parts(
        self, parts: Sequence[Path], *, columns: Sequence[str]
    ) -> pl.DataFrame:
        frames = [
            self._read_file(part, content=part.read_bytes(), columns=columns)
            for part in parts
        ]
        return pl.concat([self._no_rows(columns), *frames])

    def _read_file(
        self, path: Path, *, content: bytes, columns: Sequence[str]
    ) -> pl.DataFrame:
        """Read columns of one file; those that it was written without are null."""
        wanted = {self.sort[0], *columns}  # without a column there would be no rows
        try:
            found = pl.read_parquet_schema(io.BytesIO(content))
            self._refuse_other_columns(path, found=found)
            present = [name for name in found if name in wanted]
            frame = pl.read_parquet(content, columns=present, glob=False)
        except pl.exceptions.PolarsError as error:
            raise self._broken(path, reason=str(error).partition("\n")[0]) from error
        return self._completed(frame, columns=columns)

    def _refuse_other_columns(
        self, path: Path, *, found: Mapping[str, pl.DataType]
    ) -> None:
        if self.sort[0] not in found:
            raise self._broken(path, reason=f"it has no column {self.sort[0]}")
        for name, dtype in self.schema.items():
            if name in found and found[name] != dtype:
                reason = f"its column {name} is {found[name]}, not {dtype}"
                raise self._broken(path, reason=reason)

    def _completed(self, rows: pl.DataFrame, *, columns: Sequence[str]) -> pl.DataFrame:
        """Pick columns of rows that have the key at least; absent ones are null."""
        absent = {
            name: pl.lit(None, self.schema[name])
            for name in columns
            if name not in rows.columns and name != self.sort[0]
        }
        return rows.with_columns(**absent).select(columns)

    def _no_rows(self, columns: Sequence[str]) -> pl.DataFrame:
        return pl.DataFrame(schema=self.schema).select(columns)

    def _broken(self, path: Path, *, reason: str) -> BhdsError:
        return self.error(
            f"{path}: cannot be read ({reason}); expected a Parquet table with the "
            f"columns {', '.join(self.schema)}. Move it away and run again: "
            f"{self.if_lost}"
        )


@contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    """Hold the lock file `path`, waiting for any other process that does."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # given back when the file is closed
        yield


def _flush_to_disk(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
