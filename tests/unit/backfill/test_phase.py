"""On which days a symbol's 3d bars open, and what is requested to know it."""

import asyncio
import datetime as dt
from pathlib import Path

import polars as pl
import pytest

from bhds import config
from bhds.api.client import KlinePage
from bhds.backfill import unanswered
from bhds.backfill.archive_rows import ArchivedRows, BackfillBounds
from bhds.backfill.klines import Bars
from bhds.backfill.missing_ranges import Coverage
from bhds.core.markets import Interval, TradeType
from bhds.core.time_ranges import union
from bhds.core.timegrid import DAY_MS, Grid, Span
from bhds.io import storage
from bhds.stages import backfill, phase

UM = TradeType.UM_FUTURES
OUTPUT = "api_data/um_futures/klines/AUSDT/phase.json"
LISTED = dt.date(2025, 3, 5)
THREE_DAYS = Interval.parse("3d")
FIRST = (LISTED - dt.date(1970, 1, 1)).days


def settings_of(workspace, **raw):
    datasets = [{"trade_type": "um_futures", "interval": "1h"}]
    raw = {"endpoints": workspace.endpoints, "datasets": datasets, **raw}
    return config.load(raw, environment={})


def requested(workspace, *, first_day=LISTED, requested_at=None, **raw):
    phase.write_phase(
        OUTPUT,
        first_day=first_day,
        requested_at=requested_at,
        settings=settings_of(workspace, **raw),
        trade_type="um_futures",
        symbol="AUSDT",
    )
    return storage.read_json(OUTPUT)


@pytest.mark.parametrize("first_day", [LISTED, dt.date(2025, 3, 1)], ids=["day", "mo"])
def test_the_first_3d_bar_opens_on_the_listing_day(workspace, first_day):
    found = requested(workspace, first_day=first_day)

    assert found["phase"] == str(FIRST % 3)
    assert found["phase_source"] == "api"
    assert found["open_time"] == "2025-03-05T00:00:00+00:00"
    assert found["unanswered"] is None
    assert unanswered.count(workspace.data_dir) == 0


def test_a_phase_that_was_answered_is_not_requested_again(workspace):
    first = requested(workspace)
    asked = workspace.asked
    Path(OUTPUT).unlink()

    assert requested(workspace) == first
    assert workspace.asked == asked == 1


def test_a_phase_that_was_refused_is_not_known_and_requested_by_the_next_run(workspace):
    workspace.exchange.api_faults.add("refuse", status=451, times=None)

    found = requested(workspace)

    assert "phase" not in found
    assert "451" in found["unanswered"]
    lacking = unanswered.requested_at(workspace.data_dir, now=dt.datetime.now(dt.UTC))
    assert list(lacking) == [OUTPUT]


def test_a_refused_symbol_is_requested_again_after_12_hours_and_not_before(workspace):
    faults = workspace.exchange.api_faults
    faults.add(
        "refuse",
        status=400,
        times=None,
        symbol="AUSDT",
        code=-1122,
        message="Settling.",
    )
    begun = dt.datetime.now(dt.UTC)
    found = requested(workspace)
    assert ("phase" in found, found["refused"]["code"]) == (False, -1122)
    assert unanswered.count(workspace.data_dir) == 0  # it is the symbol's outcome
    faults.clear()

    def requested_at(hours):
        now = begun + dt.timedelta(hours=hours)
        return unanswered.requested_at(workspace.data_dir, now=now).get(OUTPUT)

    assert requested_at(11.9) is None
    later = requested_at(12.1)
    assert "phase" not in requested(workspace)  # as when the file was removed

    assert requested(workspace, requested_at=later)["phase"] == str(FIRST % 3)
    assert requested_at(100) == later


def test_a_symbol_without_a_closed_3d_bar_is_requested_again(workspace):
    workspace.exchange.set_now(dt.datetime(2025, 3, 7, tzinfo=dt.UTC))
    assert "phase" not in requested(workspace)
    assert unanswered.count(workspace.data_dir) == 1

    workspace.exchange.set_now(dt.datetime(2025, 3, 9, tzinfo=dt.UTC))

    assert requested(workspace, requested_at="2025-03-08T00:00:00+00:00")[
        "phase"
    ] == str(FIRST % 3)
    assert unanswered.count(workspace.data_dir) == 0


def test_offline_no_phase_is_requested(workspace):
    found = requested(workspace, offline=True)

    assert "phase" not in found
    assert found["unanswered"].startswith("offline")


def fill_3d(workspace, *inputs, last_day="2025-03-31"):
    folder = "api_data/um_futures/klines/AUSDT/3d"
    backfill.write_backfill(
        inputs,
        backfill_path=f"{folder}/all.parquet",
        sources_path=f"{folder}/all.sources.json",
        bounds={
            "first_day": dt.date(2025, 3, 1),
            "last_day": dt.date.fromisoformat(last_day),
            "is_first": True,
            "is_last": True,
            "since": dt.date(2025, 1, 1),
            "requested_at": None,
        },
        settings=settings_of(workspace),
        trade_type="um_futures",
        data_type="klines",
        symbol="AUSDT",
        interval="3d",
    )
    sources = storage.read_json(f"{folder}/all.sources.json")
    return pl.read_parquet(f"{folder}/all.parquet"), sources


def test_3d_bars_that_the_archive_has_none_of_are_those_of_the_api(workspace):
    workspace.exchange.set_now(dt.datetime(2025, 4, 3, 12, tzinfo=dt.UTC))

    bars, sources = fill_3d(workspace)

    assert bars["open_time"].dt.date().to_list() == [
        LISTED + n * dt.timedelta(days=3) for n in range(9)
    ]
    (hole,) = sources["missing_ranges"]
    assert hole["expected"] is None
    assert (hole["found"], hole["status"]) == (9, "filled")
    asked = workspace.asked

    fill_3d(workspace)

    assert workspace.asked == asked


@pytest.mark.parametrize("n_days", range(18, 24))
@pytest.mark.parametrize("n_held", [0, 3])
def test_a_3d_bar_is_filled_as_soon_as_it_is_over_and_none_is_left_pending(
    workspace, n_days, n_held
):
    now = dt.datetime.combine(LISTED, dt.time(), dt.UTC) + n_days * dt.timedelta(days=1)
    workspace.exchange.set_now(now)
    n_closed = n_days // 3
    inputs = published_3d(n_held)
    last = LISTED + dt.timedelta(days=3 * n_closed - 1 if n_held else n_days - 3)

    bars, sources = fill_3d(workspace, *inputs, last_day=last.isoformat())

    assert bars["open_time"].dt.date().to_list() == [
        LISTED + n * dt.timedelta(days=3) for n in range(n_held, n_closed)
    ]
    assert {hole["status"] for hole in sources["missing_ranges"]} == {"filled"}


class NoBars:
    """Answers for the time in which bars of a range are over by a moment: none."""

    async def klines(self, *series, start_ms, end_ms, closed_by_ms):
        end_ms = min(end_ms, Grid(series[-1]).closed_before(closed_by_ms))
        if start_ms < end_ms:
            yield KlinePage(start_ms, end_ms, [])


@pytest.mark.parametrize("n_days", [1, 2, 3, 4, 5])
def test_the_search_for_the_first_3d_bar_is_answered_for_all_of_its_time(n_days):
    bars = Bars(TradeType.CM_FUTURES, "klines", "AUSD_PERP", THREE_DAYS)
    span = Span(FIRST * DAY_MS, (FIRST + n_days) * DAY_MS)

    async def pages():
        return [page async for page in bars.request_first(NoBars(), span)]

    assert union(Span(*page[:2]) for page in asyncio.run(pages())) == [span]


def published_3d(number):
    """Write a partition of the first 3d bars of the symbol, if any."""
    if not number:
        return []
    bars = Bars(UM, "klines", "AUSDT", THREE_DAYS)
    days = [LISTED + n * dt.timedelta(days=3) for n in range(number)]
    rows = [
        (
            (FIRST + 3 * n) * DAY_MS,
            *[1.0] * 5,
            (FIRST + 3 * n) * DAY_MS,
            1.0,
            1,
            1.0,
            1.0,
        )
        for n in range(number)
    ]
    folder = "data/futures/um/daily/klines/AUSDT/3d"
    zips = [
        {"key": f"{folder}/AUSDT-3d-{day}.zip", "integrity_status": "ok"}
        for day in days
    ]
    path = "parsed_data/um_futures/klines/AUSDT/3d/all.parquet"
    storage.write_parquet(bars.frame(rows), path, metadata={}, symbol="AUSDT")
    storage.write_json({"inputs": zips}, path.replace(".parquet", ".sources.json"))
    return [path]


def holes(*days, begin=FIRST, end=FIRST + 30, now=FIRST + 100):
    bars = Bars(UM, "klines", "AUSDT", THREE_DAYS)
    row = (1.0, 1.0, 1.0, 1.0, 1.0)
    rows = [(day * DAY_MS, *row, day * DAY_MS, 1.0, 1, 1.0, 1.0) for day in days]
    coverage = Coverage(frozenset(range(begin, end)), frozenset())
    bounds = BackfillBounds(
        *(begin * DAY_MS, end * DAY_MS), now * DAY_MS, is_first=False
    )
    return [
        Span(hole.span.start_ms // DAY_MS - FIRST, hole.span.end_ms // DAY_MS - FIRST)
        for hole in bars.missing_ranges(
            ArchivedRows(bars.frame(rows), (), coverage, ()), bounds=bounds
        )
    ]


@pytest.mark.parametrize("shift", [0, 1, 2])
def test_missing_3d_bars_are_counted_from_those_that_are_there(shift):
    days = [FIRST + shift + n for n in (0, 3, 9, 12, 15, 18, 21, 24, 27)]

    assert (6 + shift, 9 + shift) in holes(*days)


def test_of_3d_bars_without_any_all_that_are_over_are_requested():
    assert holes() == [(-2, 30)]
    assert holes(now=FIRST + 10) == [(-2, 8)]  # the bar of day 7 is over on day 10
    assert holes(now=FIRST + 1) == []
