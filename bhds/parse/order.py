"""Return whether rows are in the order of their key."""

from collections.abc import Sequence

import polars as pl


def ascends(rows: pl.DataFrame, *, key: Sequence[str]) -> bool:
    """Return whether each row's key is greater than that of the row before it."""
    return bool(rows.select(_exceeds_former(key).slice(1).all()).item())


def descents(rows: pl.DataFrame, *, key: Sequence[str]) -> int:
    """Count the rows whose key is less than that of the row before them."""
    fell = _exceeds_former(key).not_() & pl.any_horizontal(
        pl.col(name) != pl.col(name).shift() for name in key
    )
    return int(rows.select(fell.slice(1).sum()).item())


def _exceeds_former(key: Sequence[str]) -> pl.Expr:
    """Return for each row but the first whether its key is above the former's."""
    greater = pl.lit(value=False)
    for name in reversed(key):
        column, before = pl.col(name), pl.col(name).shift()
        greater = (column > before) | ((column == before) & greater)
    return greater
