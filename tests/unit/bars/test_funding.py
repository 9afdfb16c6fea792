import datetime as dt
import hashlib
import itertools

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhds.bars import funding as module
from bhds.bars.funding import FundingCounts, join_funding, merge_events
from bhds.core.markets import Interval
from bhds.core.timegrid import TIME, with_phase_of
from bhds.schemas.klines import FUNDING

GOLDEN = {3: "5a9e1b38429f621e"}
HOUR = 60
DAY = 24 * HOUR
START = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)


def bars_at(times):
    """Bars with one column besides the time, to see that it stays as it is."""
    return pl.DataFrame({"open_time": times}, schema={"open_time": TIME}).with_columns(
        close=pl.int_range(pl.len()).cast(pl.Float64)
    )


def bars_of(minutes):
    return bars_at([START + minute * MINUTE for minute in minutes])


def join(bars, events, interval):
    phased = with_phase_of(Interval.parse(interval), bars["open_time"])
    return join_funding(bars, events, interval=phased)


def rates(joined):
    return joined.frame["funding_rate"].to_list()


@pytest.fixture
def archive(events):
    return events


@pytest.fixture
def api(events):
    """Events as the API gives them: without their interval, with a price."""

    def make(minutes, **columns):
        return events(
            minutes,
            **({"hours": None, "mark_price": 100.0, "source": "api"} | columns),
        )

    return make


# --- merging ----------------------------------------------------------------------


def test_merged_events_change_only_with_the_revision(archive, api):
    frames = [
        api([0, 480, 960, 1440], rate=[0.5, 0.25, -0.5, 0.125], late_ms=13),
        archive([960, 480], rate=[1.0, 2.0], late_ms=7),
        archive([480], rate=4.0, source="daily", mark_price=9.0),
    ]
    digest = hashlib.sha256(merge_events(frames).write_csv().encode()).hexdigest()

    assert digest[:16] == GOLDEN.get(module.REVISION), (
        "merge_events yields other rows: raise funding.REVISION and record the digest"
    )


@pytest.mark.parametrize("is_first", [True, False])
def test_the_archive_wins_over_the_api_which_completes_it(archive, api, is_first):
    frames = [
        archive([480], rate=0.25, late_ms=3, source="monthly"),
        api([480], rate=0.5, late_ms=13, mark_price=7.0, rate_type="Regular"),
    ]

    merged = merge_events(frames if is_first else frames[::-1])

    assert merged.row(0, named=True) == {
        "funding_time": START + 480 * MINUTE,
        "calc_time": START + 480 * MINUTE + dt.timedelta(milliseconds=3),
        "funding_interval_hours": 8,
        "funding_rate": 0.25,
        "rate_type": "Regular",
        "mark_price": 7.0,
        "source": "monthly",
    }


def test_events_of_one_minute_are_kept_and_have_their_types(archive, api):
    late = [dt.timedelta(milliseconds=ms) for ms in (1, 9)]

    def at(frame):
        return frame.with_columns(calc_time=pl.col("funding_time") + pl.Series(late))

    merged = merge_events(
        [
            at(api([480, 480], rate=[0.5, -2.0], rate_type=["Regular", "Special"])),
            at(archive([480, 480], rate=[0.5, -2.0])),
        ]
    )

    assert merged.select("funding_rate", "rate_type", "source").rows() == [
        (0.5, "Regular", "monthly"),
        (-2.0, "Special", "monthly"),
    ]
    assert rates(join(bars_of([480]), merged, "1m")) == [-1.5]


def test_an_event_that_only_the_api_has_is_kept_beside_the_one_of_the_archive(
    archive, api
):
    merged = merge_events([archive([480], rate=0.5), api([480, 480], rate=[0.5, -2.0])])

    assert dict(merged.select("funding_rate", "source").rows()) == {
        0.5: "monthly",
        -2.0: "api",
    }


@pytest.mark.parametrize("late_ms", [0, 1, 20, -5])
def test_jitter_makes_no_second_event(archive, api, minutes_of, late_ms):
    merged = merge_events(
        [archive([0, 480], late_ms=late_ms), api([0, 480], late_ms=13)]
    )

    assert minutes_of(merged["funding_time"]) == [0, 480]
    jitter = (merged["calc_time"] - merged["funding_time"]).dt.total_milliseconds()
    assert jitter.to_list() == [late_ms, late_ms]


def test_a_partition_ranks_by_the_best_of_its_sources(archive):
    mixed = archive([0, 480], rate=1.0, source=["monthly", "daily"])
    monthly = archive([0], rate=2.0)

    for frames in ([mixed, monthly], [monthly, mixed]):
        assert merge_events(frames)["funding_rate"].to_list() == [1.0, 1.0]


def merge_reference(frames):
    """Go through the rows of each minute, the best last."""
    best = {"api": 0, "monthly": 1, "daily": 2}
    rows = [row for frame in frames for row in frame.iter_rows(named=True)]
    rows.sort(key=lambda row: best[row["source"]])
    merged = {}
    for row in rows:
        known = merged.get(row["funding_time"], row)["mark_price"]
        price = known if row["mark_price"] is None else row["mark_price"]
        merged[row["funding_time"]] = {**row, "mark_price": price}
    return [merged[time] for time in sorted(merged)]


PRICES = st.sampled_from([None, 1.0, 2.0])
ROWS = st.lists(
    st.tuples(st.integers(0, 4), st.integers(-9, 9), PRICES),
    max_size=6,
    unique_by=lambda row: row[0],
)
PARTITIONS = st.lists(
    st.tuples(st.sampled_from(["api", "monthly", "daily"]), ROWS), max_size=5
)


@given(PARTITIONS)
def test_merged_events_equal_those_of_the_row_by_row_reference(partitions):
    frames = [
        pl.DataFrame(
            [
                {
                    "funding_time": START + hour * HOUR * MINUTE,
                    "calc_time": START + hour * HOUR * MINUTE,
                    "funding_interval_hours": None if source == "api" else 8,
                    "funding_rate": float(rate),
                    "rate_type": None,
                    "mark_price": price,
                    "source": source,
                }
                for hour, rate, price in rows
            ],
            schema=FUNDING,
        )
        for source, rows in partitions
    ]

    assert merge_events(frames).rows(named=True) == merge_reference(frames)


# --- joining ----------------------------------------------------------------------


def test_the_other_columns_and_the_rows_stay(events):
    bars = bars_of([0, 1, 3, 60])

    joined = join(bars, events([3, 3 + DAY]), "1m")

    assert joined.frame.drop("funding_rate").equals(bars)


@pytest.mark.parametrize(
    ("n_bars", "n_events"), [(0, 0), (0, 3), (3, 0)], ids=["nothing", "events", "bars"]
)
def test_without_bars_or_events_the_columns_are_the_same(events, n_bars, n_events):
    bars = bars_of(range(n_bars))

    joined = join(bars, events(range(n_events)), "1m")

    schema = {**bars.schema, "funding_rate": pl.Float64}
    assert joined.frame.schema == schema
    assert joined.frame["funding_rate"].null_count() == n_bars
    assert joined.counts == FundingCounts(events=n_events, dropped=n_events, combined=0)


def grid(name, n):
    """Return the first `n + 1` grid points of an interval from the start of 2024."""
    if name == "1mo":
        return [
            dt.datetime(2024 + month // 12, month % 12 + 1, 1, tzinfo=dt.UTC)
            for month in range(n + 1)
        ]
    days = {"1m": 1 / 1440, "8h": 1 / 3, "1d": 1, "3d": 3, "1w": 7}
    return [START + dt.timedelta(days=days[name]) * point for point in range(n + 1)]


@given(
    st.sampled_from(["1m", "8h", "1d", "3d", "1w", "1mo"]),
    st.sets(st.integers(0, 11)),
    st.dictionaries(st.floats(-0.2, 1.2), st.integers(-8, 8), max_size=30),
)
def test_rates_equal_those_of_the_row_by_row_reference(name, present, drawn):
    points = grid(name, 12)
    bars = [(points[n], points[n + 1]) for n in sorted(present)]
    minutes = (points[-1] - START) / MINUTE
    paid = {START + round(at * minutes) * MINUTE: rate for at, rate in drawn.items()}
    events = pl.DataFrame(
        [{"funding_time": time, "funding_rate": paid[time]} for time in sorted(paid)],
        schema_overrides=FUNDING,
        schema=FUNDING.names(),
    )

    joined = join(bars_at([begin for begin, _ in bars]), events, name)

    inside = [
        [rate for time, rate in paid.items() if begin <= time < end]
        for begin, end in bars
    ]
    assert rates(joined) == [sum(each) if each else None for each in inside]
    assert joined.counts == FundingCounts(
        events=len(paid),
        dropped=len(paid) - len(list(itertools.chain(*inside))),
        combined=sum(len(each) > 1 for each in inside),
    )


DETERMINISM = """
import hashlib, sys
import polars as pl
from bhds.schemas.klines import TIME
from bhds.core.markets import Interval
from bhds.bars.funding import join_funding

n = 20_000
hours = (pl.int_range(n, eager=True) * 3_600_000_000).cast(TIME)
noise = pl.int_range(n, eager=True).hash(7).cast(pl.Float64) / 1e19
events = pl.DataFrame({"funding_time": hours, "funding_rate": noise})
pieces = pl.concat([events[:777], events[777:]], rechunk=sys.argv[1] == "whole")
months = hours.dt.truncate("1mo").unique(maintain_order=True)
bars = pl.DataFrame({"open_time": months})
joined = join_funding(bars, pieces, interval=Interval.parse("1mo"))
print(hashlib.sha256(joined.frame.write_csv().encode()).hexdigest())
"""


def test_sums_do_not_depend_on_threads_or_on_chunks(outputs_by_machine):
    assert len(outputs_by_machine(DETERMINISM)) == 1
