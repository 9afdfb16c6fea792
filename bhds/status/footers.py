"""Read the footers of many Parquet files: rows, and the first and last time."""

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

_THREADS = 4
_AT_ONCE = 200


class Footer(NamedTuple):
    """What a footer says; rows are None of a file that cannot be read."""

    rows: int | None
    first: dt.datetime | None
    """The first time of its rows, UTC; None without rows."""
    last: dt.datetime | None


def read_footers(
    paths: Sequence[str], *, time: str, on_progress: Callable[[int], None]
) -> Iterator[Footer]:
    """Yield the footer of each file, in order, several read at once.

    Parameters
    ----------
    paths
        Parquet files whose rows are sorted by `time`.
    time
        The name of the column.
    on_progress
        Called with a number of files that were read.
    """
    with ThreadPoolExecutor(_THREADS) as pool:
        for begin in range(0, len(paths), _AT_ONCE):
            some = paths[begin : begin + _AT_ONCE]
            yield from pool.map(lambda path: _footer(path, time), some)
            on_progress(len(some))


def _footer(path: str, time: str) -> Footer:
    try:
        metadata = pq.read_metadata(path)
    except (OSError, pa.ArrowException):
        return Footer(None, None, None)
    names = metadata.schema.names
    if metadata.num_rows == 0 or time not in names:
        return Footer(metadata.num_rows, None, None)
    column = names.index(time)
    first = metadata.row_group(0).column(column).statistics
    last = metadata.row_group(metadata.num_row_groups - 1).column(column).statistics
    if first is None or last is None or not (first.has_min_max and last.has_min_max):
        return Footer(metadata.num_rows, None, None)
    return Footer(metadata.num_rows, _utc(first.min), _utc(last.max))


def _utc(time: dt.datetime) -> dt.datetime:
    return time.replace(tzinfo=dt.UTC) if time.tzinfo is None else time
