"""How a table is declared: each column with its dtype, unit and meaning, once.

The code takes the dtypes from here, and the documentation what the columns mean.
"""

from dataclasses import dataclass, field, replace
from typing import Any, Self

import polars as pl


@dataclass(frozen=True)
class Column:
    """One column of a table."""

    name: str
    dtype: pl.DataType
    meaning: str
    unit: str = field(default="", kw_only=True)
    """Empty if there is none."""

    def but(self, meaning: str, **changes: Any) -> Self:
        """Return the column as it is in a table where it means something else."""
        return replace(self, meaning=meaning, **changes)


class TableSchema(pl.Schema):
    """The schema of a table, with what its columns mean."""

    def __init__(self, *columns: Column) -> None:
        super().__init__({column.name: column.dtype for column in columns})
        self.columns = columns

    def __or__(self, other: Any) -> pl.Schema:  # type: ignore[override]
        """Return a plain schema: of what is added, no meaning is known."""
        return pl.Schema({**self, **other})

    def copy(self) -> Self:
        """Return another of the same columns."""
        return type(self)(*self.columns)

    def __reduce__(self) -> tuple[type[Self], tuple[Column, ...]]:
        """Copy and pickle by the columns."""
        return type(self), self.columns


TRADED = "base currency (COIN-M: contracts)"
"""The unit of traded quantities."""

SYMBOL = Column("symbol", pl.String(), "The symbol, as the exchange writes it")
DAY = Column("day", pl.Date(), "The day", unit="UTC")
