"""One lazy frame over the files of many symbols, which reads only what is asked of it.

Polars prunes what a Parquet file's own statistics rule out. That a file is of another
symbol they do not say, as the symbol is the file's name: so it is said here.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import polars as pl
from polars.io.plugins import register_io_source

from bhds import storage
from bhds.errors import ResultError
from bhds.reader.files import SymbolFile

SYMBOL = "symbol"


@dataclass(frozen=True)
class Source:
    """The files to read, in the order of their rows."""

    files: Sequence[SymbolFile]
    schema: pl.Schema
    """The columns of every file."""
    conditions: Sequence[pl.Expr]
    """Rows that do not meet all of these are not wanted."""
    name: str
    """What the rows are, for query plans."""

    def scan(self) -> pl.LazyFrame:
        """Return all rows; `symbol` goes before the columns of the files.

        Collecting raises a `ResultError` at a file that cannot be read, or has other
        columns.
        """
        return register_io_source(
            self._batches,
            schema=pl.Schema({SYMBOL: pl.String()} | dict(self.schema)),
            explain_name=f"BHDS {self.name}, {len(self.files)} files",
            is_pure=True,
        )

    def _batches(
        self,
        columns: list[str] | None,
        predicate: pl.Expr | None,
        n_rows: int | None,
        batch_size: int | None,
    ) -> Iterator[pl.DataFrame]:
        """Read what Polars asks for: see `polars.io.plugins.register_io_source`."""
        conditions = [*self.conditions, *([] if predicate is None else [predicate])]
        left = n_rows
        for file in _of_symbols_that_meet(predicate, self.files):
            rows = self._rows(file).filter(*conditions)
            rows = rows.select(columns or [SYMBOL, *self.schema])
            if left is not None:
                rows = rows.head(left)
            for batch in rows.collect_batches(
                maintain_order=True, chunk_size=batch_size
            ):
                yield batch
                left = None if left is None else left - batch.height
            if left == 0:
                return

    def _rows(self, file: SymbolFile) -> pl.LazyFrame:
        try:
            rows = pl.scan_parquet(file.path, glob=False)
            found = rows.collect_schema()
        except (OSError, pl.exceptions.PolarsError) as error:
            what_to_do = storage.remedy(error, else_="build it again")
            msg = f"{file.path}: cannot be read as Parquet ({error}); {what_to_do}"
            raise ResultError(msg) from error
        if found != self.schema:
            odd = sorted(dict(set(found.items()) ^ set(self.schema.items())))
            msg = (
                f"{file.path}: its columns are not as expected (see {odd}): it was "
                "built by another version of BHDS; build it again"
            )
            raise ResultError(msg)
        return rows.with_columns(pl.lit(file.symbol).alias(SYMBOL))


def _of_symbols_that_meet(
    predicate: pl.Expr | None, files: Sequence[SymbolFile]
) -> Sequence[SymbolFile]:
    """Return the files of the symbols that no part of the predicate rules out."""
    if predicate is None:
        return files
    parts = [p for p in _conjuncts(predicate) if set(p.meta.root_names()) == {SYMBOL}]
    names = pl.DataFrame({SYMBOL: list(dict.fromkeys(file.symbol for file in files))})
    met = set(names.filter(parts)[SYMBOL]) if parts else set(names[SYMBOL])
    return [file for file in files if file.symbol in met]


def _conjuncts(predicate: pl.Expr) -> list[pl.Expr]:
    """Return the conditions that a predicate asks for all of."""
    parts = predicate.meta.pop()
    for left, right in (parts, parts[::-1]) if len(parts) == 2 else ():  # noqa: PLR2004
        if (left & right).meta.eq(predicate):
            return [*_conjuncts(left), *_conjuncts(right)]
    return [predicate]
