"""Bars: which the archive lacks, and what the API's answers give of them."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import polars as pl

from bhds.api.endpoints import MARKETS
from bhds.backfill.archive_rows import ArchivedRows, BackfillBounds
from bhds.backfill.missing_ranges import (
    MissingRange,
    doubtful_bars,
    impossible_bars,
    missing_bars,
    outside,
)
from bhds.backfill.response_journal import Row
from bhds.core.markets import Interval, TradeType
from bhds.core.timegrid import DAY_MS, TIME, Grid, Span, with_phase_of
from bhds.parse.parse_table import table_of
from bhds.schemas import datatypes
from bhds.schemas.csv_table import Table

if TYPE_CHECKING:  # as in `backfill.requests`
    from bhds.api.client import ApiClient, KlinePage

_MS = 1_000  # microseconds
_API_FIELDS = 11
"""The API's bars have the fields of the archive's, in their order, but for the last."""

_PAGE_BARS = 498
"""Missing ranges within one request for so many bars are requested at once."""


@dataclass(frozen=True)
class Bars:
    """Bars of one series."""

    trade_type: TradeType
    data_type: str
    symbol: str
    interval: Interval

    time = "open_time"

    @property
    def schema(self) -> pl.Schema:
        """The columns of partitions and backfills."""
        return self._table.schema

    @property
    def _table(self) -> Table:
        entry = datatypes.data_type(self.data_type)
        return table_of(entry, self.trade_type, interval=self.interval)

    @property
    def lookback_ms(self) -> int | None:
        """How far back one request for the first bar can look; None: any time."""
        return MARKETS[self.trade_type].longest_span_ms

    def on_grid_of(self, rows: pl.DataFrame) -> Self:
        """Return the series with the phase that some sorted bars show, if they are 3d.

        Which 3d bar is the last one that is over depends on it.
        """
        return replace(self, interval=with_phase_of(self.interval, rows["open_time"]))

    def begin_ms(self, row: Row) -> int:
        """Return the grid point of one bar."""
        return self.extent(row).start_ms

    def first_ms(self, rows: pl.DataFrame) -> int | None:
        """Return the grid point of the first of some sorted bars, if there is any."""
        first = rows["open_time"].dt.epoch("ms").first()
        return self._grid_at(first).floor(first) if isinstance(first, int) else None

    def shown(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Keep the times of bars."""
        return rows.select(self.time)

    def doubtful(self, rows: pl.DataFrame) -> list[MissingRange]:
        """List the bars of a partition that are not believed."""
        interval = self.on_grid_of(rows).interval
        impossible = impossible_bars(
            rows,
            data_type=self.data_type,
            trade_type=self.trade_type,
            interval=interval,
        )
        if "trade_count" not in self.schema:
            return impossible
        believed = outside(rows, impossible, time=self.time)
        return [*impossible, *doubtful_bars(believed, interval=interval)]

    def missing_ranges(
        self, held: ArchivedRows, *, bounds: BackfillBounds
    ) -> list[MissingRange]:
        """List what is to be requested, in time order."""
        interval = self.on_grid_of(held.rows).interval
        missing = missing_bars(
            held.rows,
            interval=interval,
            begin_ms=bounds.begin_ms,
            end_ms=bounds.end_ms,
            now_ms=bounds.now_ms,
            coverage=held.coverage,
            is_first=bounds.is_first,
        )
        return sorted([*missing, *held.doubtful], key=lambda each: each.span)

    def joint_span_ms(self) -> int:
        """Return how long a time one request may answer for, missing ranges and all."""
        grid = Grid(self.interval)
        first = grid.number(0)  # months are numbered from a year that no calendar has
        return grid.time(first + _PAGE_BARS) - grid.time(first)

    def extent(self, row: Row) -> Span:
        """Return the range that one bar is about: from grid point to grid point.

        One that opens between two stands for the former, as in `missing_bars`.
        """
        grid = self._grid_at(row[0])
        number = grid.number(row[0])
        return Span(grid.time(number), grid.time(number + 1))

    def _grid_at(self, open_ms: int) -> Grid:
        """Return the grid of a bar, which shows the phase if it is a 3d bar."""
        return Grid(self.interval.with_phase_of([open_ms // DAY_MS]))

    def request(
        self, client: "ApiClient", span: Span, *, closed_by_ms: int
    ) -> AsyncIterator["KlinePage"]:
        """Request the bars of a range that are over by a moment."""
        return client.klines(
            self.data_type,
            self.symbol,
            self.interval,
            start_ms=span.start_ms,
            end_ms=span.end_ms,
            closed_by_ms=closed_by_ms,
        )

    async def request_first(
        self, client: "ApiClient", span: Span
    ) -> AsyncIterator["KlinePage"]:
        """Request the first bar that lies within a range as a whole.

        Where the API answers from the end, all bars of the range are requested.
        """
        series = (self.data_type, self.symbol, self.interval)
        if self.lookback_ms is not None:
            answered_ms = span.start_ms
            async for found in client.klines(
                *series,
                start_ms=span.start_ms,
                end_ms=span.end_ms,
                closed_by_ms=span.end_ms,
            ):
                answered_ms = max(answered_ms, found.end_ms)
                yield found
            if answered_ms < span.end_ms:  # a bar that opens there ends later
                yield _no_bars(Span(answered_ms, span.end_ms))
            return
        page = await client.first_kline(
            *series, start_ms=span.start_ms, end_ms=span.end_ms
        )
        if page.rows and (end_ms := self.extent(page.rows[0]).end_ms) <= span.end_ms:
            yield page._replace(end_ms=end_ms)
        else:
            yield page._replace(end_ms=span.end_ms, rows=[])

    def merge(self, answers: Sequence[Sequence[Row]]) -> pl.DataFrame:
        """Return the bars of answers, the latest last, as `frame` does."""
        return self.frame([row for answer in answers for row in answer])

    def frame(self, rows: Sequence[Row]) -> pl.DataFrame:
        """Return bars as partitions have them, sorted by unique `open_time`.

        Parameters
        ----------
        rows
            `api.rows.Bar`; of two that open at once, the later in the sequence counts.
        """
        fields = self._table.fields[:_API_FIELDS]
        epochs = [field.name for field in fields if field.is_time]
        frame = pl.DataFrame(
            list(rows),
            schema={field.name: self._dtype(field.name) for field in fields},
            orient="row",
        )
        return (
            frame.with_columns((pl.col(epochs) * _MS).cast(TIME), source=pl.lit("api"))
            .unique("open_time", keep="last", maintain_order=True)
            .sort("open_time")
            .select(pl.col(name).cast(dtype) for name, dtype in self.schema.items())
        )

    def _dtype(self, name: str) -> pl.DataType:
        dtype = self.schema.get(name, pl.Float64())
        return pl.Int64() if dtype.is_temporal() else dtype


def _no_bars(span: Span) -> "KlinePage":
    from bhds.api.client import KlinePage  # noqa: PLC0415 - as in `backfill.requests`

    return KlinePage(*span, [])
