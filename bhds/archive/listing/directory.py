"""The part of the bucket that one listing covers, and where it is kept."""

from dataclasses import dataclass

import polars as pl

from bhds import layout
from bhds.archive import keys
from bhds.core.errors import KeyGrammarError
from bhds.core.markets import Frequency, TradeType


@dataclass(frozen=True, slots=True)
class Directory:
    """The part of the archive that one listing covers.

    Raises
    ------
    KeyGrammarError
        If `interval` is not one of the archive's for a data type that has
        intervals, or is given for one that has none.
    """

    trade_type: TradeType
    frequency: Frequency
    data_type: str
    interval: str | None = None

    def __post_init__(self) -> None:
        fault = keys.layer_fault(self.data_type, interval=self.interval)
        if fault is not None:
            msg = f"directory {self.prefix!r}: {fault}"
            raise KeyGrammarError(msg)

    @property
    def prefix(self) -> str:
        """The bucket prefix below which the symbols stand, with its slash."""
        return keys.type_prefix(
            self.trade_type, frequency=self.frequency, data_type=self.data_type
        )

    @property
    def listing_path(self) -> str:
        """The listing's path below the data directory."""
        return self._table(f"listing{self._layer}")

    @property
    def verification_path(self) -> str:
        """The path, as above, of the table of what was found on disk."""
        return self._table(f"verification{self._layer}")

    @property
    def symbols_path(self) -> str:
        """The path of the symbols' table below the data directory.

        It is shared by all intervals of a data type.
        """
        return self._table("symbols")

    def symbol_prefix(self, symbol: str) -> str:
        """Return the bucket prefix of a symbol's files, with its slash."""
        return keys.directory_prefix(
            self.trade_type,
            frequency=self.frequency,
            data_type=self.data_type,
            symbol=symbol,
            interval=self.interval,
        )

    def _table(self, name: str) -> str:
        return layout.archive_table(
            self.trade_type, self.frequency, self.data_type, name
        )

    @property
    def _layer(self) -> str:
        return "" if self.interval is None else f"-{self.interval}"


def symbol_of_key(directory: Directory) -> pl.Expr:
    """Return what stands between a directory's prefix and the next slash of `key`."""
    below = pl.col("key").str.strip_prefix(directory.prefix)
    return below.str.splitn("/", 2).struct.field("field_0")
