"""Make rows unique on their key, and account for every row that goes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import polars as pl

from bhds.core.events import EventRule, number_events
from bhds.parse.order import ascends


@dataclass(frozen=True)
class Collapsed:
    """Unique rows, and those that lost to them."""

    kept: pl.DataFrame
    """Sorted by and unique on the key; without a key, sorted by time."""
    duplicates: pl.DataFrame
    """The rows that equal a row of their key that is kept or a conflict."""
    conflicts: pl.DataFrame
    """The rows that differ from the kept row of their key, and from each other. Here
    and in `duplicates`, the kept row stands beside the dropped one, as
    `kept_<column>`."""

    @classmethod
    def whole(cls, rows: pl.DataFrame) -> Self:
        """Return rows of which none goes."""
        none = rows.clear()
        kept = none.rename(lambda name: f"kept_{name}")
        nothing = pl.concat([none, kept], how="horizontal")
        return cls(rows, nothing, nothing)


def collapse(
    frame: pl.DataFrame,
    *,
    key: Sequence[str],
    precedence: Sequence[str],
    values: Sequence[str],
    moment: str | None = None,
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
    moment
        A time in which rows of a key may differ: where it does, no time is compared.

    Returns
    -------
    Collapsed
        Three frames, n rows together, each sorted by `key` and `precedence`.
    """
    if ascends(frame, key=key):
        return Collapsed.whole(frame)
    ordered = frame.sort(*key, *precedence)
    wins = pl.any_horizontal(pl.col(key).ne_missing(pl.col(key).shift(-1)))
    kept = ordered.filter(wins)
    dropped = _beside(ordered.filter(~wins), kept, key=key)
    return _parted(kept, dropped, alike=key, values=values, moment=moment)


def _parted(
    kept: pl.DataFrame,
    dropped: pl.DataFrame,
    *,
    alike: Sequence[str],
    values: Sequence[str],
    moment: str | None = None,
) -> Collapsed:
    """Separate duplicates from conflicts, with the kept row beside each dropped one.

    Parameters
    ----------
    kept, dropped, values, moment
        See `collapse`.
    alike
        The columns that the dropped rows of one kept row share.
    """
    pairs = {
        name: _comparable_times(name, moment)
        if dropped.schema[name].is_temporal()
        else [pl.col(name), pl.col(f"kept_{name}")]
        for name in values
    }
    equal = dropped.select(
        pl.all_horizontal(here.eq_missing(there) for here, there in pairs.values())
    ).to_series()
    if equal.all():
        return Collapsed(kept, dropped, dropped.clear())
    # Of identical rows, the last goes first.
    rows = dropped.select(*alike, **{name: pair[0] for name, pair in pairs.items()})
    differs = ~equal & rows.to_struct().is_last_distinct()
    return Collapsed(kept, dropped.filter(~differs), dropped.filter(differs))


def _beside(
    dropped: pl.DataFrame, kept: pl.DataFrame, *, key: Sequence[str]
) -> pl.DataFrame:
    """Set the kept row of its key beside each dropped one, as `kept_<column>`."""
    return dropped.join(
        kept.rename(lambda name: f"kept_{name}"),
        left_on=key,
        right_on=[f"kept_{name}" for name in key],
        maintain_order="left",
    )


def collapse_events(
    frame: pl.DataFrame,
    *,
    key: Sequence[str],
    rank: str,
    values: Sequence[str],
    rule: EventRule,
    precedence: Sequence[str] = (),
) -> Collapsed:
    """Keep of each event the row of the highest source.

    Parameters
    ----------
    frame, key, values
        As for `collapse`.
    precedence
        Columns that decide between the rows of an event before `rank` does.
    rank
        The column that distinguishes sources: an integer, higher for one that takes
        precedence.
    rule
        How the events of several sources are matched; see `bhds.core.events`.

    Returns
    -------
    Collapsed
        Three frames, n rows together. Those kept are sorted by `key` and `values`, and
        there may be several of a key.
    """
    if ascends(frame, key=key):
        return Collapsed.whole(frame)
    event = number_events(frame, key=key, rank=rank, values=values, rule=rule)
    ordered = frame.with_columns(event=event).sort(
        *key, "event", *precedence, rank, maintain_order=True
    )
    wins = pl.col("event").ne_missing(pl.col("event").shift(-1))
    kept = ordered.filter(wins)
    dropped = ordered.filter(~wins).join(
        kept.select("event", pl.all().exclude("event", *key).name.prefix("kept_")),
        on="event",
        maintain_order="left",
    )
    kept = kept.drop("event").sort(*key, *values)
    parted = _parted(kept, dropped, alike=["event"], values=values)
    return Collapsed(
        kept, parted.duplicates.drop("event"), parted.conflicts.drop("event")
    )


def _comparable_times(column: str, moment: str | None) -> list[pl.Expr]:
    """Return a time of the dropped and of the kept row as they are compared."""
    times = [pl.col(f"{prefix}{column}").dt.truncate("1ms") for prefix in ("", "kept_")]
    if moment is None:
        return times
    is_same = pl.col(moment) == pl.col(f"kept_{moment}")
    return [pl.when(is_same).then(time) for time in times]


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
