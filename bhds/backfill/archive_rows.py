"""What the archive has of a partition, and the time that its backfill may cover."""

import datetime as dt
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import polars as pl

from bhds import layout
from bhds.archive.integrity.zip_input import day_us
from bhds.backfill.missing_ranges import Coverage
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


@dataclass(frozen=True)
class ArchivedRows:
    """A partition as it was parsed; without rows and zips where there is none."""

    rows: pl.DataFrame
    coverage: Coverage
    sha256: str
    """Of the partition's file; empty where there is none."""

    @classmethod
    def read(cls, inputs: Sequence[str], *, schema: pl.Schema) -> Self:
        """Read a partition.

        Parameters
        ----------
        inputs
            The path of the partition, beside which its sources lie, or none.
        schema
            The columns of the partition.

        Raises
        ------
        ParseError
            If the files cannot be read, or hold something else.
        """
        if not inputs:
            return cls(pl.DataFrame(schema=schema), Coverage.of([]), "")
        partition = Path(inputs[0])
        sources = Path(layout.sources_of(partition))
        try:
            content = partition.read_bytes()
            rows = _rows(pl.read_parquet(content, glob=False), schema=schema)
            zips = json.loads(sources.read_bytes())["inputs"]
            coverage = Coverage.of(zips)
        except _UNREADABLE as error:
            msg = (
                f"{partition}: it or its sources cannot be read ({error}); expected "
                "what the parse stage wrote; delete both and run again"
            )
            raise ParseError(msg) from error
        return cls(rows, coverage, hashlib.sha256(content).hexdigest())


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
    end later, as does the week in which a year ends."""
    now_ms: int
    """The present: there is nothing later."""
    is_first: bool
    """Whether the archive has nothing earlier: the symbol may begin within."""
    is_last: bool
    """Whether the archive has nothing later."""
    since_ms: int = 0
    """Of the first backfill: the earliest requested time, maybe before `begin_ms`."""

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
            bounds["is_last"],
            0 if since is None else day_us(since) // _MS,
        )
