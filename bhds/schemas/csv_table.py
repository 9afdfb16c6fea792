"""How the CSVs of a data type are described, and the table that they become.

Parsing reads any data type by such a description (`bhds.schemas.datatypes`).
"""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import polars as pl

from bhds.core.events import EventRule
from bhds.core.markets import TradeType
from bhds.core.timegrid import TIME
from bhds.schemas.columns import Column, TableSchema


class Form(StrEnum):
    """How a field of a CSV is written, and what it is read as."""

    WHOLE = "whole"
    """A whole number: Int64."""
    NUMBER = "number"
    """A finite number: Float64."""
    OPTIONAL_NUMBER = "optional number"
    """A finite number, or nothing (in quotes or not), which is null: Float64."""
    FLAG = "flag"
    """`true` or `false` in any case of letters: Boolean."""
    WORD = "word"
    """One of the field's words (Enum), or any where it has none (String)."""
    EPOCH = "epoch"
    """A time in ms or µs since 1970, UTC; its magnitude shows which: `TIME`."""
    CLOCK = "clock"
    """A time as `YYYY-MM-DD HH:MM:SS`, UTC: `TIME`."""
    SYMBOL = "symbol"
    """The symbol that the file is of: checked, and not kept."""
    UNUSED = "unused"
    """Anything: not looked at, and not kept."""


_DTYPES: dict[Form, pl.DataType] = {
    Form.WHOLE: pl.Int64(),
    Form.NUMBER: pl.Float64(),
    Form.OPTIONAL_NUMBER: pl.Float64(),
    Form.FLAG: pl.Boolean(),
    Form.WORD: pl.String(),
    Form.EPOCH: TIME,
    Form.CLOCK: TIME,
    Form.SYMBOL: pl.String(),
    Form.UNUSED: pl.String(),
}


@dataclass(frozen=True)
class Field:
    """One column of a CSV."""

    name: str
    """BHDS's name."""
    kind: Form
    headers: tuple[str, ...] = ()
    """The names that headers use, the usual one first; as a rule BHDS's."""
    words: tuple[str, ...] = ()
    """All that a `WORD` can be."""
    is_optional: bool = False
    """Whether a header may lack it, as CSVs without a header do; of a `WORD`: null
    where it is lacking, or says something else."""
    unit: str = ""
    """Of the column that the field becomes by itself."""
    meaning: str = ""

    @property
    def published(self) -> tuple[str, ...]:
        """The names that headers use."""
        return self.headers or (self.name,)

    @property
    def is_kept(self) -> bool:
        """Whether the field becomes a column; a header may lack it if not."""
        return self.kind not in {Form.SYMBOL, Form.UNUSED}

    @property
    def is_time(self) -> bool:
        """Whether the field is a time."""
        return self.kind in {Form.EPOCH, Form.CLOCK}

    @property
    def is_any_word(self) -> bool:
        """Whether the field may be any word."""
        return self.kind is Form.WORD and not self.words

    @property
    def dtype(self) -> pl.DataType:
        """What the field is read as."""
        return pl.Enum(self.words) if self.words else _DTYPES[self.kind]


Derive = Callable[[pl.DataFrame, TradeType], pl.DataFrame]
"""Makes columns that are not published from those that are, for rows of one market."""


@dataclass(frozen=True)
class Table:
    """What the CSVs of a data type hold in one market, and what they become."""

    fields: tuple[Field, ...]
    """In the order of a CSV without a header."""
    schema: TableSchema
    """The columns of partitions. `source` (the frequency of the zip) is added where
    the schema has it."""
    key: tuple[str, ...]
    """The columns that partitions are sorted by and, unless `events` is given, unique
    on; empty: rows have no key, are sorted by `time`, and of identical ones each second
    is a duplicate."""
    time: str
    """The column that shows the day of a row."""
    events: EventRule | None = None
    """How zips that have the same events are matched: in each of them, rows that share
    a key and are not identical are separate events."""
    derive: Derive | None = None
    spacing: dt.timedelta | None = None
    """The time between rows, where it is always the same; that of klines is their
    interval."""
    slack: dt.timedelta = dt.timedelta()
    """How far past the end of its period a file may reach, and before its begin."""
    hours: str | None = None
    """The column that shows how many hours lie between events."""
    is_steady: bool = False
    """Rows come at a steady pace: a day has about as many as those around it."""
    consecutive: bool = False
    """The key counts up without holes: holes are counted."""
    trade_ids: tuple[str, str] | None = None
    """The columns of the first and the last id of the trades in a row: ids that lie in
    no row are counted."""
    is_large: bool = False
    """Files may be gigabytes: they are parsed piece by piece, in bounded memory."""

    @cached_property
    def published_time(self) -> Field:
        """The field that has to lie in the period of its file: the first time."""
        return next(field for field in self.fields if field.is_time)


def schema_of(fields: tuple[Field, ...], *derived: Column) -> TableSchema:
    """Return derived columns, and those that fields become by themselves."""
    return TableSchema(
        *derived,
        *(Column(f.name, f.dtype, f.meaning, unit=f.unit) for f in fields if f.is_kept),
    )
