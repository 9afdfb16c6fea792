"""What the archive has of a symbol, and the time that its backfill may cover."""

import datetime as dt
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, Self

import polars as pl

from bhds import layout
from bhds.archive.integrity.zip_input import day_us
from bhds.backfill.missing_ranges import Coverage, MissingRange
from bhds.core.errors import KeyGrammarError, ParseError
from bhds.schemas.klines import SYMBOL, with_symbol

_UNREADABLE = (
    *(OSError, ValueError, KeyError, TypeError),
    *(pl.exceptions.PolarsError, KeyGrammarError),
)
_DAY = dt.timedelta(days=1)
_MILLISECOND = dt.timedelta(milliseconds=1)
_MS = 1_000  # microseconds
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class ArchivedSeries(Protocol):
    """What backfills look for in partitions of bars, or of funding events."""

    @property
    def schema(self) -> pl.Schema:
        """The columns of partitions and backfills."""

    def shown(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Keep the columns of a partition that show which rows there are."""

    def doubtful(self, rows: pl.DataFrame) -> list[MissingRange]:
        """List the rows of a partition that are not believed."""


@dataclass(frozen=True)
class ArchivedRows:
    """The partitions of a symbol, as far as backfills need them; there may be none."""

    rows: pl.DataFrame
    """The columns that show which rows there are, see `ArchivedSeries.shown`."""
    doubtful: tuple[MissingRange, ...]
    """The rows that are not believed."""
    coverage: Coverage
    sha256: tuple[str, ...]
    """Of each partition's file."""

    @classmethod
    def read(
        cls, partitions: Sequence[str], *, kind: ArchivedSeries, is_last: bool
    ) -> Self:
        """Read partitions one by one: of a history, all columns may not fit.

        Parameters
        ----------
        partitions
            Their paths in time order; the sources of each are next to it.
        kind
            What they are of.
        is_last
            Whether the archive has no files of later days.

        Raises
        ------
        ParseError
            If the files cannot be read, or hold something else.
        """
        rows = [kind.shown(pl.DataFrame(schema=kind.schema))]
        doubtful: list[MissingRange] = []
        covered: list[Coverage] = []
        digests = []
        for partition in partitions:
            try:
                content = Path(partition).read_bytes()
                found = _rows(pl.read_parquet(content, glob=False), schema=kind.schema)
                sources = json.loads(Path(layout.sources_of(partition)).read_bytes())
                covered.append(Coverage.of(sources["inputs"]))
            except _UNREADABLE as error:
                msg = (
                    f"{partition}: it or its sources cannot be read ({error}); "
                    "expected what the parse stage wrote; delete both and run again"
                )
                raise ParseError(msg) from error
            rows.append(kind.shown(found))
            doubtful += kind.doubtful(found)
            digests.append(hashlib.sha256(content).hexdigest())
        coverage = Coverage.all_of(covered, is_last=is_last)
        return cls(pl.concat(rows), tuple(doubtful), coverage, tuple(digests))


def _rows(found: pl.DataFrame, *, schema: pl.Schema) -> pl.DataFrame:
    """Return the rows of a partition without the symbol, which every row names."""
    expected = with_symbol(schema)
    if found.schema != expected:
        msg = f"its columns are {dict(found.schema)}, not {dict(expected)}"
        raise ValueError(msg)
    return found.drop(SYMBOL)


@dataclass(frozen=True)
class BackfillBounds:
    """The time that a backfill may cover."""

    begin_ms: int
    end_ms: int
    """Excluded; as all here in milliseconds since 1970, UTC. What begins before it may
    end later, as does the week in which `as_of` lies."""
    now_ms: int
    """The present: there is nothing later."""
    is_first: bool
    """Whether nothing is archived before: the symbol may begin within."""
    since_ms: int = 0
    """If so: the earliest requested time, maybe before `begin_ms`."""

    def beginning(self, begin_ms: int) -> Self:
        """Return the bounds of a history whose first row is known."""
        return replace(self, begin_ms=begin_ms, is_first=False)

    @classmethod
    def until(cls, now: dt.datetime, bounds: Mapping[str, Any]) -> Self:
        """Bound UTC days, both included, and the present."""
        since = bounds.get("since")
        return cls(
            day_us(bounds["first_day"]) // _MS,
            day_us(bounds["last_day"] + _DAY) // _MS,
            (now - _EPOCH) // _MILLISECOND,
            bounds["is_first"],
            0 if since is None else day_us(since) // _MS,
        )
