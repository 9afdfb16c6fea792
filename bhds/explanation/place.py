"""Where the files of one symbol are, and which bar contains a moment."""

import datetime as dt
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from bhds import instruments, layout
from bhds.bars import phase
from bhds.core.errors import SelectionError
from bhds.core.markets import Interval, TradeType
from bhds.core.timegrid import Grid
from bhds.io import storage
from bhds.plan.series import Series
from bhds.schemas import datatypes

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MILLISECOND = dt.timedelta(milliseconds=1)
_KLINES = "klines"


@dataclass(frozen=True)
class SymbolFiles:
    """A bar of one symbol, and the files about it."""

    data_dir: Path
    trade_type: TradeType
    symbol: str
    interval: Interval
    time: dt.datetime
    """UTC."""

    @cached_property
    def open_time(self) -> dt.datetime:
        """The grid point at or before the time."""
        grid = Grid(self.interval)
        time_ms = (self.time - _EPOCH) // _MILLISECOND
        return _EPOCH + grid.floor(time_ms) * _MILLISECOND

    @cached_property
    def end(self) -> dt.datetime:
        """The grid point after it."""
        grid = Grid(self.interval)
        time_ms = (self.time - _EPOCH) // _MILLISECOND
        return _EPOCH + grid.time(grid.number(time_ms) + 1) * _MILLISECOND

    @property
    def series(self) -> Series:
        """What the partitions are of."""
        return Series(self.trade_type, _KLINES, self.symbol, self.interval.name)

    @property
    def results(self) -> Path:
        """The folder of the results."""
        return self.data_dir / layout.result_folder(self.trade_type, self.interval.name)

    @property
    def result(self) -> Path:
        """The result."""
        return Path(layout.bars(str(self.results), self.symbol))

    @property
    def partitions(self) -> list[str]:
        """The names of the partitions in which the bar may be published."""
        size = datatypes.data_type(_KLINES).partition_size(self.interval.name)
        days = (self.open_time, self.end - _MILLISECOND)
        return sorted({day.strftime(size.value) for day in days})

    @property
    def backfills(self) -> list[Path]:
        """The backfill of the symbol, if there is one."""
        path = self.data_dir / layout.backfill(*self.series)
        return [path] if path.is_file() else []

    def partition(self, name: str) -> Path:
        """Return a partition."""
        return self.data_dir / layout.table(self.series.folder, name)

    def table(self, kind: str) -> Path:
        """Return a table next to the result: `gaps` or `conflicts`."""
        return self.data_dir / self.series.table_path(kind)

    def quality(self, table: str) -> Path:
        """Return a table of the market: `gaps` or `condition-klines`."""
        return self.data_dir / layout.quality_table(
            self.trade_type, table, self.interval.name
        )

    def relative(self, path: Path) -> str:
        """Return a path below the data directory."""
        return path.relative_to(self.data_dir).as_posix()

    def with_phase(self) -> "SymbolFiles":
        """Return the place with the phase of its 3d bars, as the result records it."""
        known = phase.from_metadata(
            self.interval, storage.read_parquet_metadata(str(self.result))
        )
        return replace(self, interval=known)

    def check_built(self) -> None:
        """See that the symbol has a result.

        Raises
        ------
        SelectionError
            If it has none; the message names the nearest name that has.
        """
        if self.result.is_file():
            return
        built = {path.stem for path in self.results.glob(f"*{self.result.suffix}")}
        where = f"the results of {self.trade_type} {self.interval}"
        if self.symbol in partitioned(self):
            msg = (
                f"symbol {self.symbol!r} is not in {where}, but is parsed; build its "
                f"result: bhds generate kline {self.trade_type} {self.interval} "
                f"{self.symbol}"
            )
            raise SelectionError(msg)
        instruments.select_named([self.symbol], built, where=where)


def partitioned(place: SymbolFiles) -> set[str]:
    """Return the symbols that have partitions of the market's bars."""
    folder = (place.data_dir / place.series.folder).parent.parent
    return {path.name for path in folder.glob("*") if path.is_dir()}
