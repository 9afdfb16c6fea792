"""Count rows whose values are impossible, and bands of the book that stand still."""

import datetime as dt
from collections import Counter
from collections.abc import Mapping

import polars as pl

from bhds.core.markets import TradeType
from bhds.parse.expected_rows import rows_per_day
from bhds.schemas.impossible_values import has_rule, is_impossible

FROZEN_AFTER = dt.timedelta(hours=2)
"""A band of the order book is frozen if neither its depth nor its notional changes for
so long, in which 240 snapshots are published. ASSUME: orders of a market that trades
change within that time, also where it is thin. Bands of um did not change for days from
2026-09-03 on (binance/binance-public-data#496)."""

_BOOK_DEPTH = "bookDepth"
_SILENCE = dt.timedelta(minutes=10)
"""Without snapshots for longer, nobody knows whether a band stood still."""
_AMOUNTS = ("depth", "notional")


class FaultTally:
    """The faults of a partition's rows, counted piece by piece in the order of its key.

    Parameters
    ----------
    data_type, trade_type
        What the rows are of.
    time
        The column that shows the day of a row.
    """

    def __init__(self, data_type: str, trade_type: TradeType, *, time: str) -> None:
        self._rule = (
            is_impossible(data_type, trade_type) if has_rule(data_type) else None
        )
        self._time = time
        self._last: list[pl.DataFrame] = []
        self._still = _StandStill() if data_type == _BOOK_DEPTH else None
        self.days: Counter[int] = Counter()
        """The impossible rows by the number of the UTC day since 1970."""
        self.files: Counter[int] = Counter()
        """Likewise by the number of the zip."""

    def add(self, rows: pl.DataFrame, *, file: int | None = None) -> None:
        """Count the next rows, n >= 0.

        Parameters
        ----------
        rows
            The columns of a partition, and `file`, the number of the zip.
        file
            The number of the zip of all rows, which then have no such column.
        """
        if self._rule is None or rows.is_empty():
            return
        if file is not None:
            rows = rows.with_columns(file=pl.lit(file, pl.UInt32))
        # A row may be impossible because of the one before.
        whole = pl.concat([*self._last, rows], how="vertical")
        wrong = whole.with_columns(wrong=self._rule).slice(len(self._last))
        wrong = wrong.filter("wrong")
        self._last = [rows.tail(1)]
        self.days.update(rows_per_day(wrong[self._time]))
        self.files.update(wrong["file"].to_list())
        if self._still is not None:
            self._still.add(rows)

    def counts(self) -> Mapping[str, Mapping[int, int]]:
        """Return what is counted of days, by its name in the sources."""
        frozen = Counter[int]() if self._still is None else self._still.days
        return {"impossible": self.days, "frozen": frozen}


class _StandStill:
    """The rows of bands that stand still, counted piece by piece in order of time."""

    def __init__(self) -> None:
        self._open: list[pl.DataFrame] = []
        """The last rows of each band, as long as they are equal; of those that are
        counted already, the last alone."""
        self.days: Counter[int] = Counter()

    def add(self, rows: pl.DataFrame) -> None:
        """Count the next rows, n >= 1, of several bands."""
        new = rows.select(
            *("timestamp", "percentage", *_AMOUNTS),
            begin=pl.lit(None, rows.schema["timestamp"]),
            is_counted=pl.lit(value=False),
        )
        ordered = pl.concat([*self._open, new]).sort(
            "percentage", "timestamp", maintain_order=True
        )
        goes_on = pl.all_horizontal(
            pl.col(name) == pl.col(name).shift() for name in ("percentage", *_AMOUNTS)
        ) & (pl.col("timestamp").diff() <= pl.lit(_SILENCE))
        runs = ordered.with_columns(
            run=(~goes_on.fill_null(value=False)).cum_sum()
        ).with_columns(
            begin=pl.coalesce("begin", "timestamp").min().over("run"),
            end=pl.col("timestamp").max().over("run"),
        )
        is_frozen = pl.col("end") - pl.col("begin") >= pl.lit(FROZEN_AFTER)
        # An empty band is one that nobody offers anything in.
        is_frozen &= pl.any_horizontal(pl.col(*_AMOUNTS) != 0)
        frozen = runs.filter(is_frozen & ~pl.col("is_counted"))
        self.days.update(rows_per_day(frozen["timestamp"].sort()))
        is_last = pl.col("run") == pl.col("run").max().over("percentage")
        is_needed = ~is_frozen | (pl.col("timestamp") == pl.col("end"))
        self._open = [
            runs.filter(is_last & is_needed)
            .with_columns(is_counted=is_frozen)
            .select(new.columns)
        ]
