"""Count rows that are never all in memory: those of a zip, those of a partition."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from bhds.archive.integrity.zip_input import DAY_US, HOUR_US, FilePeriod, utc_time
from bhds.core.markets import Frequency
from bhds.parse.dedupe import Collapsed
from bhds.parse.expected_rows import expected_per_day, rows_per_day
from bhds.parse.impossible_rows import FaultTally
from bhds.parse.order import descents
from bhds.parse.provenance import CONFLICTS_LISTED, SourceRecord, list_conflicts
from bhds.parse.times import check_unit
from bhds.schemas.csv_table import Table

_QUANTITY = "quantity"
_SIDE = "is_buyer_maker"
_LONG_US = HOUR_US
"""Without rows for longer, a day lacks some, where ids are missing as well."""
_ROWS_OF_BOTH_SIDES = 1_000
"""So many trades have takers on both sides: ASSUME, even where few trade."""


@dataclass
class FileTally:
    """The rows of one CSV, counted piece by piece in its order."""

    table: Table
    time_unit: str | None = None
    """`ms`, `us` or `s`; see `check_times`."""
    rows: int = 0
    rows_outside: int = 0
    out_of_order: int = 0
    """The rows whose key is less than that of the row before them."""
    first_us: int | None = None
    """The earliest time, in microseconds since 1970."""
    last_us: int | None = None
    last_key: tuple[Any, ...] | None = None
    buyer_makers: int = 0
    """Of trades, those in which the buyer was the maker."""

    def add(
        self, rows: pl.DataFrame, *, outside: int, time_unit: str | None, line: int
    ) -> None:
        """Count the next rows, n >= 0.

        Parameters
        ----------
        rows
            The columns of `table.schema`.
        outside
            How many of them are not wanted.
        time_unit
            The unit of their times as published; None if n = 0.
        line
            The number of the first one's line.

        Raises
        ------
        ParseError
            If the unit is not that of the rows before.
        """
        if rows.is_empty():
            return
        check_unit(time_unit, self.time_unit, line=line)
        self.time_unit = time_unit
        self.rows += rows.height
        self.rows_outside += outside
        time_us = rows[self.table.time].to_physical()
        ends: list[Any] = [time_us.min(), time_us.max()]
        self.first_us = (
            ends[0] if self.first_us is None else min(self.first_us, ends[0])
        )
        self.last_us = ends[1] if self.last_us is None else max(self.last_us, ends[1])
        first, last = (rows.select(self.table.key).row(at) for at in (0, -1))
        self.out_of_order += descents(rows, key=self.table.key)
        if self.last_key is not None and first < self.last_key:
            self.out_of_order += 1
        self.last_key = last
        if _SIDE in self.table.schema:
            self.buyer_makers += int(rows[_SIDE].sum())

    def enter(self, record: SourceRecord) -> None:
        """Enter the counts into the record of the zip."""
        record.time_unit = self.time_unit
        record.rows_read = self.rows
        record.rows_outside = self.rows_outside
        record.out_of_order = self.out_of_order
        if self.first_us is None or self.last_us is None:
            record.warnings.append("the CSV has no rows")
        else:
            record.first_time = utc_time(self.first_us)
            record.last_time = utc_time(self.last_us)
        if self._is_one_sided():
            side = str(self.buyer_makers > 0).lower()
            record.warnings.append(f"{_SIDE} is {side} in all {self.rows} rows")

    def _is_one_sided(self) -> bool:
        """Return whether the file says of too many trades that takers were all alike.

        Notes
        -----
        So did the trades of um on some days (binance/binance-public-data#476).
        """
        is_known = _SIDE in self.table.schema and self.rows >= _ROWS_OF_BOTH_SIDES
        return is_known and self.buyer_makers in {0, self.rows}


@dataclass
class PartitionTally:
    """The rows of a partition, counted piece by piece in the order of its key."""

    table: Table
    faults: FaultTally | None = None
    """Where it is None, no faults are counted."""
    rows: int = 0
    days: Counter[int] = field(default_factory=Counter)
    """By the number of the UTC day since 1970."""
    missing_ids: Counter[int] = field(default_factory=Counter)
    """The ids between the first and the last row that no row has, of ids that count
    up, by the number of the UTC day: see `missing_per_day`."""
    missing_id_ranges: int = 0
    """The stretches that they make."""
    missing_trade_ids: Counter[int] = field(default_factory=Counter)
    """Likewise of the trades that rows are built from."""
    first_id: tuple[int, int] | None = None
    """The first id and its time, in microseconds since 1970."""
    last_ids: dict[str, pl.DataFrame] = field(default_factory=dict)
    """Of the ids of a column, the last one so far and its time."""
    days_of_files: defaultdict[int, Counter[int]] = field(
        default_factory=lambda: defaultdict(Counter)
    )
    """The rows of each day by the number of the zip."""
    kept: Counter[int] = field(default_factory=Counter)
    """By the number of the zip; so are `duplicates` and `conflicts`."""
    duplicates: Counter[int] = field(default_factory=Counter)
    conflicts: Counter[int] = field(default_factory=Counter)
    conflict_days: Counter[int] = field(default_factory=Counter)
    """The rows that lost to others, by the number of the UTC day since 1970."""
    quantities: dict[int, float] = field(default_factory=dict)
    """What the rows that have a `quantity` add up to, by the number of the UTC day."""
    listed: list[pl.DataFrame] = field(default_factory=list)
    """At least the first `CONFLICTS_LISTED` conflicts."""

    def add(self, rows: pl.DataFrame, *, file: int) -> None:
        """Count the next rows, n >= 0, of one zip."""
        self._add(rows)
        if self.faults is not None:
            self.faults.add(rows, file=file)
        self.kept[file] += rows.height
        self.days_of_files[file].update(rows_per_day(rows[self.table.time]))

    def add_unique(self, unique: Collapsed) -> None:
        """Count the next rows, n >= 0, and those that lost to them."""
        self._add(unique.kept)
        if self.faults is not None:
            self.faults.add(unique.kept)
        if unique.conflicts.height and self.conflicts.total() < CONFLICTS_LISTED:
            self.listed.append(unique.conflicts.head(CONFLICTS_LISTED))
        self.kept.update(_rows_per_file(unique.kept))
        for (file,), rows in unique.kept.group_by("file"):
            self.days_of_files[file].update(rows_per_day(rows[self.table.time]))
        self.duplicates.update(_rows_per_file(unique.duplicates))
        self.conflicts.update(_rows_per_file(unique.conflicts))
        self.conflict_days.update(rows_per_day(unique.conflicts[self.table.time]))

    def sources(
        self, records: Sequence[SourceRecord], *, covered: Iterable[FilePeriod]
    ) -> dict[str, Any]:
        """Complete the records, and describe what the partition came of.

        Parameters
        ----------
        records
            Those of the zips, by their numbers.
        covered
            The days that should have rows; they may overlap.

        Returns
        -------
        dict
            `rows`; of ids that count up `missing_ids`, `missing_id_ranges` and
            `ids`; `inputs`, `conflicts` and `days`, as
            `bhds.parse.parse_table.parse_table` has them.
        """
        for number, record in enumerate(records):
            record.rows_kept = self.kept[number]
            record.duplicates = self.duplicates[number]
            record.conflicts = self.conflicts[number]
            if self.faults is not None:
                record.count_impossible(self.faults.files[number])
        key = self.table.key
        conflicts = list_conflicts(
            pl.concat(self.listed) if self.listed else pl.DataFrame(),
            records,
            count=self.conflicts.total(),
            key=key,
            columns=[name for name in self.table.schema if name not in key],
        )
        missing = {
            "missing_ids": self.missing_ids.total(),
            "missing_id_ranges": self.missing_id_ranges,
            "ids": self._ends(),
        }
        daily: Counter[int] = Counter()
        for number, days in self.days_of_files.items():
            if records[number].frequency == Frequency.DAILY:
                daily.update(days)
        return {
            "rows": self.rows,
            **(missing if self.table.consecutive else {}),
            "inputs": [record.to_json() for record in records],
            "conflicts": conflicts,
            "days": expected_per_day(
                self.days,
                covered=covered,
                conflicts=self.conflict_days,
                quantities=self.quantities,
                counts={
                    "daily": daily,
                    "missing_ids": self.missing_ids,
                    "missing_trade_ids": self.missing_trade_ids,
                    **(self.faults.counts() if self.faults is not None else {}),
                },
            ),
        }

    def _add(self, rows: pl.DataFrame) -> None:
        if rows.is_empty():
            return
        self.rows += rows.height
        self.days.update(rows_per_day(rows[self.table.time]))
        if _QUANTITY in self.table.schema:
            self._add_quantities(rows)
        if self.table.consecutive:
            name = self.table.key[0]
            if self.first_id is None:
                time_us = rows[self.table.time].to_physical()
                self.first_id = (rows[name][0], time_us[0])
            ranges = self._missing_ids(rows, name, name)
            self.missing_id_ranges += ranges.height
            self.missing_ids.update(missing_per_day(ranges))
        if self.table.trade_ids is not None:
            ranges = self._missing_ids(rows, *self.table.trade_ids)
            self.missing_trade_ids.update(missing_per_day(ranges))

    def _add_quantities(self, rows: pl.DataFrame) -> None:
        """Add up piece by piece in their order: the bits depend on no machine."""
        days = (rows[self.table.time].to_physical() // DAY_US).rle().struct.unnest()
        start = 0
        for day, length in days.select("value", "len").iter_rows():
            stretch = float(rows[_QUANTITY].slice(start, length).sum())
            self.quantities[day] = self.quantities.get(day, 0.0) + stretch
            start += length

    def _ends(self) -> list[list[int]]:
        """Return the first and the last id, each with its time; none without rows."""
        if self.first_id is None:
            return []
        last = self.last_ids[self.table.key[0]].select("last", "time").row(0)
        return [list(self.first_id), list(last)]

    def _missing_ids(self, rows: pl.DataFrame, first: str, last: str) -> pl.DataFrame:
        """Return the ranges of ids that no row has, from `first` to `last`.

        Returns
        -------
        polars.DataFrame
            `missing`: how many ids; `begin` and `end`: the times, in microseconds, of
            the rows before and after.
        """
        ids = rows.select(
            first=first, last=last, time=pl.col(self.table.time).to_physical()
        )
        if first in self.last_ids:
            ids = pl.concat([self.last_ids[first], ids])
        # Placeholders of withdrawn rows have ids below those before them.
        ids = ids.with_columns(pl.col("last").cum_max())
        self.last_ids[first] = ids.tail(1)
        return ids.select(
            missing=pl.col("first") - pl.col("last").shift() - 1,
            begin=pl.col("time").shift(),
            end="time",
        ).filter(pl.col("missing") > 0)


def missing_per_day(ranges: pl.DataFrame) -> Counter[int]:
    """Count missing ids by the UTC day in which they were given, as far as is known.

    A range that reaches over midnight counts for each part of it that is longer than
    `_LONG_US`, in proportion: on the day of the row before it, on the day of the row
    after it, and on whole days between, for which the first of them stands. If no part
    is so long, the longest counts.

    Parameters
    ----------
    ranges
        `missing`, `begin`, `end`: how many ids, and the times of the rows before and
        after, in microseconds since 1970.

    Returns
    -------
    Counter
        By the number of the UTC day since 1970.
    """
    found: Counter[int] = Counter()
    for missing, begin, end in ranges.iter_rows():
        before, after = begin // DAY_US, end // DAY_US
        if after <= before:
            found[before] += missing
            continue
        parts = {before: (before + 1) * DAY_US - begin, after: end - after * DAY_US}
        if after > before + 1:
            parts[before + 1] = (after - before - 1) * DAY_US
        longest = max(parts, key=lambda day: parts[day])
        long = {day: part for day, part in parts.items() if part > _LONG_US}
        total = sum(long.values())
        shares = {day: missing * part // total for day, part in long.items()}
        found.update(shares)
        found[longest] += missing - sum(shares.values())
    return +found


def _rows_per_file(rows: pl.DataFrame) -> dict[int, int]:
    counts = rows["file"].value_counts(name="rows")
    return dict(zip(counts["file"], counts["rows"], strict=True))
