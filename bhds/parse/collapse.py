"""Make rows unique on their key, and account for every row that goes."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from bhds.events import EventRule, number_events
from bhds.parse.order import ascends


@dataclass(frozen=True)
class Collapsed:
    """Unique rows, and those that gave way to them."""

    kept: pl.DataFrame
    """Sorted by and unique on the key; without a key, sorted by time."""
    duplicates: pl.DataFrame
    """The rows that equal the kept row of their key."""
    conflicts: pl.DataFrame
    """The rows that differ from it. Here and in `duplicates`, if there are any, the
    kept row of the key stands beside the dropped one, as `kept_<column>`."""


def collapse(
    frame: pl.DataFrame,
    *,
    key: Sequence[str],
    precedence: Sequence[str],
    values: Sequence[str],
) -> Collapsed:
    """Keep of each key the row of the highest precedence.

    Parameters
    ----------
    frame
        n rows in any order.
    key
        The columns to be unique on together; not null.
    precedence
        Columns that rank the rows of a key: the largest wins, an earlier column
        decides before a later one. Together with the key they are unique.
    values
        The columns in which two rows of a key must agree to be duplicates; null
        equals null. Times are compared at ms resolution: of one bar the eras
        publish `...999` ms and `...999999` µs.

    Returns
    -------
    Collapsed
        Three frames, n rows together, each sorted by `key` and `precedence`.
    """
    if ascends(frame, key=key):
        return Collapsed(frame, frame.clear(), frame.clear())
    ordered = frame.sort(*key, *precedence)
    wins = pl.any_horizontal(pl.col(key).ne_missing(pl.col(key).shift(-1)))
    kept = ordered.filter(wins)
    dropped = ordered.filter(~wins).join(
        kept.rename(lambda name: f"kept_{name}"),
        left_on=key,
        right_on=[f"kept_{name}" for name in key],
        maintain_order="left",
    )
    equal = pl.all_horizontal(_agree(name, frame.schema[name]) for name in values)
    return Collapsed(kept, dropped.filter(equal), dropped.filter(~equal))


def collapse_events(
    frame: pl.DataFrame,
    *,
    key: Sequence[str],
    rank: str,
    values: Sequence[str],
    rule: EventRule,
) -> Collapsed:
    """Keep of each event the row of the highest source.

    Parameters
    ----------
    frame, key, values
        As for `collapse`.
    rank
        The column that tells sources apart: an integer, higher for one that takes
        precedence.
    rule
        How the events of several sources are matched; see `bhds.events`.

    Returns
    -------
    Collapsed
        Three frames, n rows together. Those kept are sorted by `key` and `values`, and
        there may be several of a key.
    """
    if ascends(frame, key=key):
        return Collapsed(frame, frame.clear(), frame.clear())
    event = number_events(frame, key=key, rank=rank, values=values, rule=rule)
    ordered = frame.with_columns(event=event).sort(
        *key, "event", rank, maintain_order=True
    )
    wins = pl.col("event").ne_missing(pl.col("event").shift(-1))
    kept = ordered.filter(wins)
    dropped = ordered.filter(~wins).join(
        kept.select("event", pl.all().exclude("event", *key).name.prefix("kept_")),
        on="event",
        maintain_order="left",
    )
    equal = pl.all_horizontal(_agree(name, frame.schema[name]) for name in values)
    dropped = dropped.drop("event")
    return Collapsed(
        kept.drop("event").sort(*key, *values),
        dropped.filter(equal),
        dropped.filter(~equal),
    )


def _agree(column: str, dtype: pl.DataType) -> pl.Expr:
    """Tell where the dropped and the kept row have the same value."""
    dropped, kept = pl.col(column), pl.col(f"kept_{column}")
    if dtype.is_temporal():
        return dropped.dt.truncate("1ms").eq_missing(kept.dt.truncate("1ms"))
    return dropped.eq_missing(kept)


def collapse_pairs(
    frame: pl.DataFrame, *, time: str, order: Sequence[str], values: Sequence[str]
) -> Collapsed:
    """Keep one row of each two that are identical, and a third.

    Parameters
    ----------
    frame
        n rows in any order.
    time
        The column to sort by; not null.
    order
        Columns that order the rows of one time.
    values
        The columns in which identical rows agree; null equals null.

    Returns
    -------
    Collapsed
        Sorted by `time` and `order`: of m identical rows, the 1st, 3rd, ... are
        kept, the others duplicates, with no kept row beside them. There are no
        conflicts.
    """
    ordered = frame.sort(time, *order)
    number = ordered.select(pl.int_range(pl.len()).over(*values)).to_series()
    is_second = number % 2 == 1
    return Collapsed(
        ordered.filter(~is_second), ordered.filter(is_second), ordered.clear()
    )
