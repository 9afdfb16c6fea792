"""Make rows unique on their key, and account for every row that goes."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl


@dataclass(frozen=True)
class Collapsed:
    """Unique rows, and those that gave way to them."""

    kept: pl.DataFrame
    """Sorted by and unique on the key."""
    duplicates: pl.DataFrame
    """The rows that equal the kept row of their key."""
    conflicts: pl.DataFrame
    """The rows that differ from it. Here and in `duplicates`, if there are any, the
    kept row stands beside the dropped one, as `kept_<column>`."""


def collapse(
    frame: pl.DataFrame,
    *,
    key: str,
    precedence: Sequence[str],
    values: Sequence[str],
) -> Collapsed:
    """Keep of each key the row of the highest precedence.

    Parameters
    ----------
    frame
        n rows in any order.
    key
        The column to be unique on; not null.
    precedence
        Columns that rank the rows of a key: the largest wins, an earlier column
        decides before a later one. Together with the key they are unique.
    values
        The columns in which two rows of a key must agree to be duplicates. Times
        are compared at ms resolution: of one bar the eras publish `...999` ms and
        `...999999` µs.

    Returns
    -------
    Collapsed
        Three frames, n rows together, each sorted by `key` and `precedence`.
    """
    if (frame[key].to_physical().diff(null_behavior="drop") > 0).all():
        return Collapsed(frame, frame.clear(), frame.clear())
    ordered = frame.sort(key, *precedence)
    wins = ordered[key].ne_missing(ordered[key].shift(-1))
    kept = ordered.filter(wins)
    dropped = ordered.filter(~wins).join(
        kept.rename(lambda name: f"kept_{name}"),
        left_on=key,
        right_on=f"kept_{key}",
        maintain_order="left",
    )
    equal = pl.all_horizontal(_agree(name, frame.schema[name]) for name in values)
    return Collapsed(kept, dropped.filter(equal), dropped.filter(~equal))


def _agree(column: str, dtype: pl.DataType) -> pl.Expr:
    """Tell where the dropped and the kept row have the same value."""
    dropped, kept = pl.col(column), pl.col(f"kept_{column}")
    if dtype.is_temporal():
        return dropped.dt.truncate("1ms") == kept.dt.truncate("1ms")
    return dropped == kept
