"""A market of three symbols, 2 of them of two files, as the jobs leave them."""

import datetime as dt

import polars as pl
import pytest

from bhds.core.markets import TradeType
from bhds.core.timegrid import TIME
from bhds.io import storage
from bhds.schemas import klines, quality_tables

START = dt.datetime(2025, 3, 1, tzinfo=dt.UTC)
DAY = 1440


def make_bars(schema, *, days, first_day=0):
    """Make bars of 1m from some day after 2025-03-01, each worth its number."""
    height = days * DAY
    begin = START + dt.timedelta(days=first_day)
    fixed = {"open_time", "segment", "source"}
    numbers = {
        name: pl.Series(range(height)).cast(dtype)
        for name, dtype in schema.items()
        if name not in fixed and dtype.is_numeric()
    }
    times = {
        name: [begin + dt.timedelta(minutes=i) for i in range(height)]
        for name, dtype in schema.items()
        if dtype == TIME
    }
    rest = {"source": ["daily"] * height, "segment": [0] * height}
    rest = {name: values for name, values in rest.items() if name in schema}
    return pl.DataFrame(numbers | times | rest, schema=schema)


def make_rows(schema, **given):
    """Make rows of a schema, null where nothing is given."""
    height = len(next(iter(given.values())))
    nothing = dict.fromkeys(schema, [None] * height)
    return pl.DataFrame(nothing | given, schema=schema)


class Data:
    """A data directory, and what jobs write into it."""

    market = TradeType.UM_FUTURES

    def __init__(self, folder):
        self.folder = folder

    def path(self, path):
        return self.folder / "results_data" / self.market / path

    def bars(self, symbol, *, days, first_day=0, as_of=None):
        schema = klines.result_klines(self.market)
        frame = make_bars(schema, days=days, first_day=first_day)
        last = frame["open_time"].max()
        as_of = as_of or str(last.date())
        storage.write_parquet(
            frame,
            self.path(f"klines/1m/{symbol}.pqt"),
            metadata={"as_of": as_of},
            symbol=symbol,
        )
        storage.write_parquet(
            quality_tables.GAPS.to_frame(),
            self.path(f"klines/1m/gaps/{symbol}.parquet"),
            metadata={
                "as_of": as_of,
                "first_traded": frame["open_time"].min().isoformat(),
                "last_traded": last.isoformat(),
            },
        )

    def condition(self, rows, *, as_of, series="klines-1m", **more):
        """Write the condition of days, given as `SYMBOL DAY CONDITION`."""
        split = [row.split() for row in rows]
        frame = make_rows(
            quality_tables.CONDITION,
            symbol=[row[0] for row in split],
            day=[dt.date.fromisoformat(row[1]) for row in split],
            condition=[row[2] for row in split],
            reason=["halt"] * len(split),
        )
        storage.write_parquet(
            frame,
            self.path(f"quality/condition-{series}.parquet"),
            metadata={"as_of": as_of, **more},
        )


@pytest.fixture
def data(tmp_path):
    """AUSDT on 1 to 3 March, BUSDT on the 2nd, 币安人生USDT on the 3rd."""
    found = Data(tmp_path / "data")
    found.bars("AUSDT", days=3)
    found.bars("BUSDT", days=1, first_day=1)
    found.bars("币安人生USDT", days=1, first_day=2)
    return found
