"""Fills made in any order of runs, against what the API and the archive have."""

import contextlib
import datetime as dt
import math
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhds import config
from bhds.api.client import KlinePage
from bhds.api.transport import Usage
from bhds.backfill import klines as bars
from bhds.backfill import missing_ranges, requests
from bhds.bars.merge import merge
from bhds.core.errors import ApiError
from bhds.core.markets import Interval, TradeType
from bhds.io import storage
from bhds.stages import backfill

KIND = bars.Bars(TradeType.SPOT, "klines", "AUSDT", Interval.parse("6h"))
FIRST = dt.date(2025, 3, 5)
BEGIN = 1_741_132_800_000  # 2025-03-05 00:00
HOUR = 3_600_000
WIDTH = 6 * HOUR
DAYS, PER_DAY = 4, 4
POINTS = DAYS * PER_DAY
PARTITION = "parsed_data/spot/klines/AUSDT/6h/2025.parquet"
FILL = "api_data/spot/klines/AUSDT/6h/all.parquet"
LATE_OPEN = 14_789
"""Milliseconds after a grid point (D13)."""


@dataclass
class Run:
    """One run: its last day, when it is made, and after how many pages it ends."""

    day: int
    hour: int
    clock_lag: int
    """Hours that the server's clock is behind."""
    pages: float


@dataclass
class World:
    """What the archive and the API have of each grid point."""

    archive: list
    """None, or how many trades; the file of a day comes with a run."""
    api: list
    published: list
    """By day: the index of the first run that has its file."""
    is_off_grid: list
    delay: list
    """Hours after the end of a bar at which the API has it."""
    runs: list
    is_first: bool
    """Whether the archive has no earlier partition: anyone's first row is then."""


@st.composite
def worlds(draw):
    def each(values, count=POINTS):
        return draw(st.lists(values, min_size=count, max_size=count))

    trades = st.sampled_from([None, 0, 5, 5])
    days = sorted(draw(st.lists(st.integers(0, DAYS - 1), max_size=4)))
    runs = [
        Run(
            day,
            draw(st.integers(1, 20)),
            draw(st.sampled_from([0, 0, 7])),
            draw(st.sampled_from([0, 1, 2, math.inf])),
        )
        for day in days
    ]
    runs.sort(key=lambda run: (run.day, run.hour))
    # The last is not killed, and late enough for all that comes late.
    runs.append(Run(DAYS - 1, 38, 0, math.inf))
    return World(
        archive=each(trades),
        api=each(trades),
        published=each(st.integers(0, len(runs) + 1), DAYS),
        is_off_grid=each(st.sampled_from([False, False, True])),
        delay=each(st.sampled_from([0, 0, 24])),
        runs=runs,
        is_first=draw(st.booleans()),
    )


def bar(world, point, trades):
    open_ms = BEGIN + point * WIDTH + LATE_OPEN * world.is_off_grid[point]
    close_ms = BEGIN + (point + 1) * WIDTH - 1
    return (open_ms, 1.0, 2.0, 0.5, 1.5, 9.0, close_ms, 9.5, trades, 4.0, 6.0)


class Client:
    """An API without a server; it refuses to be asked for what it has handed out."""

    def __init__(self, world):
        self.world = world
        self.given = set()
        self.usage = Usage()
        self.unknown_fields = set()

    def begin(self, run):
        self.now_ms = BEGIN + (24 * (run.day + 1) + run.hour) * HOUR
        self.server_ms = self.now_ms - run.clock_lag * HOUR
        self.pages = run.pages
        return self

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        return None

    async def server_time(self):
        return self.server_ms

    async def first_kline(self, *_, start_ms, end_ms):
        self._count_page()
        found = (
            bar(self.world, p, self.world.api[p]) for p in range(POINTS) if self._has(p)
        )
        first = next((each for each in found if start_ms <= each[0] < end_ms), None)
        if first is None:
            return KlinePage(start_ms, end_ms, [])
        self.given.add((first[0] - BEGIN) // WIDTH)
        return KlinePage(start_ms, first[0] + 1, [first])

    def _count_page(self):
        if self.pages <= 0:
            msg = "killed"
            raise ApiError(msg)
        self.pages -= 1

    def _has(self, point):
        since = BEGIN + (point + 1) * WIDTH + self.world.delay[point] * HOUR
        return self.world.api[point] is not None and since <= self.now_ms

    async def klines(self, *_, start_ms, end_ms, closed_by_ms):
        end_ms = min(end_ms, closed_by_ms - (closed_by_ms - BEGIN) % WIDTH)
        for start in range(start_ms, end_ms, 3 * WIDTH):
            self._count_page()
            end = min(start + 3 * WIDTH, end_ms)
            yield KlinePage(start, end, list(self._bars(start, end)))

    def _bars(self, start_ms, end_ms):
        world = self.world
        assert (start_ms - BEGIN) % WIDTH == (end_ms - BEGIN) % WIDTH == 0
        for point in range((start_ms - BEGIN) // WIDTH, (end_ms - BEGIN) // WIDTH):
            assert point not in self.given, "asked for again"
            if self._has(point):
                self.given.add(point)
                yield bar(world, point, world.api[point])


def archived(world, number):
    """Return the archive's bars of the days that the run with this number has."""
    last = world.runs[number].day
    return {
        point: world.archive[point]
        for point in range(POINTS)
        if world.published[point // PER_DAY] <= number
        and point // PER_DAY <= last
        and world.archive[point] is not None
    }


def partition_of(world, number):
    """Write the partition that a run finds; return its rows."""
    found = archived(world, number)
    source = pl.lit("daily").cast(KIND.schema["source"])
    rows = KIND.frame([bar(world, *each) for each in found.items()])
    rows = rows.with_columns(source=source)
    days = [
        FIRST + dt.timedelta(days=day)
        for day in range(world.runs[number].day + 1)
        if world.published[day] <= number
    ]
    folder = "data/spot/daily/klines/AUSDT/6h/AUSDT-6h"
    inputs = [{"key": f"{folder}-{day}.zip", "integrity_status": "ok"} for day in days]
    storage.write_parquet(rows, PARTITION, metadata={}, symbol="AUSDT")
    storage.write_json(
        {"inputs": inputs}, PARTITION.replace(".parquet", ".sources.json")
    )
    return rows


def made(run, *, is_first, patch):
    """Make the fill at the moment of a run; return it, or None if that failed."""
    now = dt.datetime(2025, 3, 5, tzinfo=dt.UTC) + dt.timedelta(
        days=run.day + 1, hours=run.hour
    )

    class Clock(dt.datetime):
        @classmethod
        def now(cls, _):
            return now

    clock = SimpleNamespace(datetime=Clock, date=dt.date, UTC=dt.UTC)
    patch.setattr(requests, "dt", clock)
    patch.setattr(backfill, "dt", clock)
    Path(FILL).unlink(missing_ok=True)
    try:
        backfill.write_backfill(
            [PARTITION],
            backfill_path=FILL,
            sources_path=FILL.replace(".parquet", ".sources.json"),
            bounds={
                "first_day": FIRST,
                "last_day": FIRST + dt.timedelta(days=run.day),
                "is_first": is_first,
                "is_last": True,
                "requested_at": None,
            },
            settings=config.load(
                {"datasets": [{"trade_type": "spot"}]}, environment={}
            ),
            trade_type="spot",
            data_type="klines",
            symbol="AUSDT",
            interval="6h",
        )
    except ApiError:
        assert not Path(FILL).exists()
        return None
    return storage.read_rows(FILL)


def traded(frame):
    """Return what tells bars apart, sorted."""
    time = pl.col("open_time").dt.epoch("ms")
    return frame.select(time, "trade_count", pl.col("source").cast(pl.String)).rows()


@given(worlds())
def test_any_order_of_runs_ends_in_what_the_archive_lacks_and_the_api_has(world):
    client = Client(world)
    with (
        pytest.MonkeyPatch.context() as patch,
        tempfile.TemporaryDirectory() as folder,
        contextlib.chdir(folder),
    ):
        # Every run without trades is doubted, and nothing is asked for but holes.
        patch.setattr(missing_ranges, "_MOST_RUNS", 1.0)
        patch.setattr(missing_ranges, "_RARE", math.inf)
        patch.setattr(bars, "_PAGE_BARS", 1)
        for number, run in enumerate(world.runs):
            patch.setattr(
                requests, "open_client", lambda *_, run=run: client.begin(run)
            )
            partition = partition_of(world, number)
            fill = made(run, is_first=world.is_first, patch=patch)
        again = made(run, is_first=world.is_first, patch=patch)

    held = archived(world, len(world.runs) - 1)
    lacking = [
        point
        for point, trades in enumerate(world.api)
        if trades is not None
        and (point not in held or (held[point] == 0 and trades > 0))
    ]
    expected = [(bar(world, p, 0)[0], world.api[p], "api") for p in lacking]
    assert traded(fill) == expected
    assert again.equals(fill)
    of_archive = [
        (bar(world, p, 0)[0], trades, "daily")
        for p, trades in held.items()
        if p not in lacking
    ]
    merged = merge(
        [partition, fill], trade_type=KIND.trade_type, interval=KIND.interval
    ).bars
    assert traded(merged) == sorted(expected + of_archive)
