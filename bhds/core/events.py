"""Match the events that several sources have: which rows are the same event.

Of bars and other states there is one at a time, so a time identifies them. Events
may share the time, or the id, that they are known by: funding for a dividend falls into
the minute of the regular one, and two aggregate trades once had one id. So rows of one
source that share a key and are not identical are separate events, and only between
sources are the events of a key matched.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl


@dataclass(frozen=True)
class EventRule:
    """How the events of a key, which two sources have, are matched."""

    rounds: tuple[tuple[str, ...], ...]
    """Columns that must be equal and not null: what one round leaves, the next matches.
    A round without columns matches what is left. Before all of them, rows that are
    equal in every value are matched."""
    kind: str | None = None
    """A column that never differs between rows of one event, but where it is null."""


def number_events(
    rows: pl.DataFrame,
    *,
    key: Sequence[str],
    rank: str,
    values: Sequence[str],
    rule: EventRule,
) -> pl.Series:
    """Return numbers that are the same for, and only for, rows of one event.

    Parameters
    ----------
    rows
        n rows in any order.
    key
        The columns that all rows of an event share; not null.
    rank
        The column that distinguishes sources, an integer; others are matched with those
        of a source of a higher rank.
    values
        The other columns; rows of one source that agree in them are one event. Times
        are compared at ms resolution.
    rule
        How sources are matched.

    Returns
    -------
    polars.Series
        n numbers, whatever the order of the rows. Each of the events of a source is
        matched with one of another source at most.
    """
    numbered = rows.select(
        *key,
        rank,
        *(
            pl.col(name).dt.truncate("1ms") if rows.schema[name].is_temporal() else name
            for name in values
        ),
    ).with_row_index("row")
    shared = numbered.filter(pl.struct(key).is_duplicated())
    if shared.is_empty():
        return numbered["row"].alias("event")
    shared = shared.sort(*key, rank, *values, "row").with_columns(
        first=pl.col("row").first().over(*key, rank, *values),
        level=pl.col(rank).rank("dense", descending=True).over(key),
    )
    single = shared.filter(pl.col("row") == pl.col("first")).drop("first")
    matched = _match(single, key=key, values=values, rule=rule)
    of_row = shared.join(matched, left_on="first", right_on="row").select(
        "row", "event"
    )
    return (
        numbered.select("row")
        .join(of_row, on="row", how="left", maintain_order="left")
        .select(pl.coalesce("event", "row").alias("event"))
        .to_series()
    )


def _match(
    rows: pl.DataFrame, *, key: Sequence[str], values: Sequence[str], rule: EventRule
) -> pl.DataFrame:
    """Return `event` of each `row`: the number of its row of the highest source."""
    # A rule without a kind has the same one for all rows.
    kind = pl.lit(None) if rule.kind is None else pl.col(rule.kind)
    rows = rows.with_columns(kind=kind, event="row")
    known = rows.filter(pl.col("level") == 1)
    found = [known.select("row", "event")]
    for level in range(2, 1 + int(rows.select(pl.col("level").max()).item())):
        left, right = known, rows.filter(pl.col("level") == level)
        for columns in (None, *rule.rounds):
            on = [*key, *(values if columns is None else columns)]
            pairs = _pairs(left, right, on=on, nulls_equal=columns is None)
            found.append(pairs.select("row", "event"))
            known = known.update(pairs.select("event", "kind"), on="event")
            left = left.join(pairs, on="event", how="anti")
            right = right.join(pairs, on="row", how="anti")
        found.append(right.select("row", "event"))
        known = pl.concat([known, right])
    return pl.concat(found)


def _pairs(
    left: pl.DataFrame, right: pl.DataFrame, *, on: Sequence[str], nulls_equal: bool
) -> pl.DataFrame:
    """Match the n-th left row of those that agree in some columns with the n-th right.

    Returns
    -------
    polars.DataFrame
        `event` of the left rows; `row` and `kind` of the right ones.
    """
    nth = pl.int_range(pl.len()).over(on).alias("nth")
    pairs = left.select(nth, "event", *on, known="kind").join(
        right.select(nth, "row", "kind", *on), on=["nth", *on], nulls_equal=nulls_equal
    )
    differs = (pl.col("known") != pl.col("kind")).fill_null(value=False)
    return pairs.filter(~differs).select("row", "event", "kind")
