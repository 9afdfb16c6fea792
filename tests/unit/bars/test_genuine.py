"""1m bars of the exchange resampled to the bars that the exchange itself made.

And its funding events, as archive and API tell them, on bars of any length.
"""

import csv
import datetime as dt
import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from bhds.archive.integrity.zip_input import ArchiveInput
from bhds.bars.funding import FundingCounts, join_funding, merge_events
from bhds.bars.merge import merge
from bhds.core.markets import Frequency, Interval, TradeType
from bhds.core.resample_rule import ResampleRule
from bhds.core.timegrid import TIME, with_phase_of
from bhds.parse.parse_table import parse_table
from bhds.schemas.klines import FUNDING, parsed_klines

from .conftest import build_from
from .conftest import resampled as resample

REALDATA = Path("../shared/realdata")
pytestmark = pytest.mark.skipif(not REALDATA.exists(), reason="no genuine files")

PUBLISHED = [
    "open_time",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "close_time",
    "quote_volume",
    "trade_count",
    "taker_buy_volume",
    "taker_buy_quote_volume",
    "ignore",
]
EXACT = ["open_time", "open", "high", "low", "close", "trade_count"]
SUMS = ["volume", "quote_volume", "taker_buy_volume", "taker_buy_quote_volume"]


def typed(frame, source):
    time = pl.from_epoch(pl.col("open_time", "close_time").cast(pl.Int64), "ms")
    return frame.with_columns(
        time.dt.replace_time_zone("UTC"), source=pl.lit(source)
    ).select(
        pl.col(name).cast(dtype)
        for name, dtype in parsed_klines(TradeType.SPOT).items()
    )


def from_csv(content, *, has_header=False):
    frame = pl.read_csv(
        content, has_header=has_header, new_columns=PUBLISHED, infer_schema=False
    )
    return typed(frame, "daily")


def from_zip(path):
    with zipfile.ZipFile(REALDATA / path) as archive:
        return from_csv(archive.read(archive.namelist()[0]))


def from_api(path):
    rows = json.loads((REALDATA / path).read_text())
    text = [[str(value) for value in row] for row in rows]
    return typed(pl.DataFrame(text, schema=PUBLISHED, orient="row"), "api")


def resampled(bars, rule, *, base="1m", fill=False, recorded=None):
    """Resample; 3d bars open on the days of recorded ones, else of the first bar."""
    parsed = ResampleRule.parse(rule)
    if recorded is not None:
        phased = with_phase_of(parsed.interval, recorded["open_time"])
        parsed = replace(parsed, interval=phased)
    result = build_from(bars, interval=base, fill=fill).frame
    return resample(result, parsed, base=base)


def assert_same_bars(bars, recorded):
    recorded = recorded.filter(pl.col("open_time").is_in(bars["open_time"].implode()))
    assert_frame_equal(bars.select(EXACT), recorded.select(EXACT), check_exact=True)
    assert_frame_equal(
        bars.select(SUMS), recorded.select(SUMS), rel_tol=1e-12, abs_tol=1e-7
    )


def merged_minutes(frames):
    interval = Interval.parse("1m")
    return merge(list(frames), trade_type=TradeType.SPOT, interval=interval).bars


@pytest.fixture(scope="module")
def bitcoin():
    folder = "spot/klines/BTCUSDT/1m/BTCUSDT-1m-2020-01-0{}.zip"
    return merged_minutes(from_zip(folder.format(day)) for day in (1, 2, 3))


@pytest.mark.parametrize(
    ("rule", "n"),
    [("2h", 36), ("4h", 18), ("6h", 12), ("8h", 9), ("12h", 6), ("1d", 3), ("3d", 1)],
)
def test_spot_bitcoin_minutes_make_the_bars_of_the_api(bitcoin, rule, n):
    recorded = from_api(f"spot/api_klines/BTCUSDT/{rule}/2020-01-01.json")

    bars = resampled(bitcoin, rule)

    assert bars.height == n
    assert_same_bars(bars, recorded)


@pytest.mark.parametrize(
    ("rule", "n", "recorded"),
    [
        ("1h", 48, "1h/2022-08-01"),
        ("2h", 24, "2h/2022-07-01"),
        ("4h", 12, "4h/2022-07-01"),
        ("1d", 2, "1d/2022-01-01"),
    ],
)
def test_spot_ether_minutes_make_the_bars_of_the_api(rule, n, recorded):
    folder = "spot/klines/ETHUSDT/1m/ETHUSDT-1m-2022-08-{}.zip"
    minutes = merged_minutes(from_zip(folder.format(day)) for day in (14, 15))

    bars = resampled(minutes, rule)

    assert bars.height == n
    assert_same_bars(bars, from_api(f"spot/api_klines/ETHUSDT/{recorded}.json"))


LONGER = {
    "BTCUSDT/15m/2025-09-01": [("30m/2025-08-25", 336), ("1h/2025-09-01", 168)],
    "BTCUSDT/30m/2025-08-25": [("1h/2025-09-01", 168), ("1w/2020-01-01", 2)],
    "BTCUSDT/1h/2023-03-01": [
        ("2h/2023-03-01", 372),
        ("4h/2023-01-01", 186),
        ("3d/2020-01-01", 10),
        ("1w/2020-01-01", 3),
        ("1M/2010-01-01", 1),
    ],
    "BTCUSDT/2h/2018-01-01": [("1M/2010-01-01", 2)],
    "BTCUSDT/2h/2020-01-01": [
        ("4h/2020-01-01", 359),
        ("6h/2020-01-01", 240),
        ("8h/2020-01-01", 180),
        ("12h/2020-01-01", 120),
        ("1d/2020-01-01", 60),
        ("3d/2020-01-01", 20),
        ("1w/2020-01-01", 7),
        ("1M/2010-01-01", 2),
    ],
    "BTCUSDT/2h/2021-01-01": [
        ("4h/2021-01-01", 354),
        ("1d/2020-01-01", 59),
        ("3d/2020-01-01", 19),
        ("1w/2020-01-01", 8),
        ("1M/2010-01-01", 2),
    ],
    "BTCUSDT/2h/2023-03-01": [("4h/2023-01-01", 186), ("1M/2010-01-01", 2)],
    "BTCUSDT/4h/2023-01-01": [("3d/2020-01-01", 29), ("1w/2020-01-01", 12)],
    "BTCUSDT/6h/2020-01-01": [("12h/2020-01-01", 364), ("1d/2020-01-01", 182)],
    "BTCUSDT/8h/2020-01-01": [("1d/2020-01-01", 182), ("1M/2010-01-01", 6)],
    "BTCUSDT/12h/2020-01-01": [("1d/2020-01-01", 366), ("1M/2010-01-01", 12)],
    "BTCUSDT/1d/2020-01-01": [
        ("3d/2020-01-01", 243),
        ("1w/2020-01-01", 103),
        ("1M/2010-01-01", 24),
    ],
    "ETHUSDT/1h/2022-08-01": [
        ("2h/2022-07-01", 372),
        ("4h/2022-07-01", 186),
        ("1d/2022-01-01", 31),
    ],
    "ETHUSDT/4h/2022-07-01": [("1d/2022-01-01", 92)],
}
"""Recorded answers: bars, the longer ones that they make, and how many."""


@pytest.mark.parametrize("fill", [False, True], ids=["published", "filled"])
@pytest.mark.parametrize(
    ("shorter", "longer", "n"),
    [
        pytest.param(shorter, longer, n, id=f"{shorter}-{longer.partition('/')[0]}")
        for shorter, rules in LONGER.items()
        for longer, n in rules
    ],
)
def test_bars_of_the_api_make_its_longer_bars(shorter, longer, n, fill):
    """Also across trading halts, the one of 2023-03-24 among them."""
    symbol, base, _ = shorter.split("/")
    rule = longer.partition("/")[0].replace("1M", "1mo")
    folder = "spot/api_klines"

    recorded = from_api(f"{folder}/{symbol}/{longer}.json")

    shorter = from_api(f"{folder}/{shorter}.json")
    bars = resampled(shorter, rule, base=base, fill=fill, recorded=recorded)

    common = bars.filter(pl.col("open_time").is_in(recorded["open_time"].implode()))
    assert common.height == n
    assert_same_bars(common, recorded)


def futures_minutes(symbol):
    """Read all genuine minutes of a symbol, of files with a header or without."""
    frames = []
    for path in sorted((REALDATA / f"um/klines/{symbol}/1m").iterdir()):
        content = path.read_bytes()
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                content = archive.read(archive.namelist()[0])
        frames.append(from_csv(content, has_header=not content[:1].isdigit()))
    return merged_minutes(frames)


@pytest.mark.parametrize(
    ("symbol", "kept", "n"),
    [
        ("FILUSDT", "FIL_USDT_1h.2023-02", 672),
        ("FILUSDT", "FIL_USDT_1d.2023-02", 28),
        ("AVAXUSDT", "AVAX_USDT_1d.2026-02", 28),
        ("BTCUSDT", "BTC_USDT_1d.days", 5),
    ],
)
def test_futures_minutes_make_the_bars_another_project_kept(symbol, kept, n):
    opinion = pl.read_csv(REALDATA / f"um/derived/{kept}.csv")
    rule = kept.split("_")[2].partition(".")[0]

    bars = resampled(futures_minutes(symbol), rule)

    assert bars.height == n
    prices = ["open", "high", "low", "close"]
    assert bars["open_time"].dt.epoch("ms").to_list() == opinion["timestamp"].to_list()
    assert_frame_equal(bars.select(prices), opinion.select(prices), check_exact=True)
    assert bars["volume"].to_list() == pytest.approx(opinion["volume"].to_list())


def test_filling_changes_nothing_where_no_bar_is_missing(bitcoin):
    filled = resampled(bitcoin, "1h_5m", fill=True)

    assert filled.equals(resampled(bitcoin, "1h_5m"))


FUNDING_ZIP = REALDATA / "um/fundingRate/BTCUSDT/BTCUSDT-fundingRate-2026-04.zip"
FUNDING_API = REALDATA / "um/api/2026-07-04/fapi-v1-fundingRate-BTCUSDT-limit20.json"
APRIL = dt.datetime(2026, 4, 1, tzinfo=dt.UTC)


def published_rates():
    """Return the rates of the archive's CSV and of the API's JSON, in their order."""
    with zipfile.ZipFile(FUNDING_ZIP) as archive:
        text = archive.read(archive.namelist()[0]).decode()
    of_archive = [row["last_funding_rate"] for row in csv.DictReader(io.StringIO(text))]
    of_api = [event["fundingRate"] for event in json.loads(FUNDING_API.read_text())]
    return [float(rate) for rate in of_archive], [float(rate) for rate in of_api]


@pytest.fixture(scope="module")
def partition():
    key = f"data/futures/um/monthly/fundingRate/BTCUSDT/{FUNDING_ZIP.name}"
    return parse_table(
        [ArchiveInput(FUNDING_ZIP, key, Frequency.MONTHLY, None)],
        trade_type=TradeType.UM_FUTURES,
        data_type="fundingRate",
        symbol="BTCUSDT",
        interval=None,
        partition="2026",
    ).frame


@pytest.fixture(scope="module")
def answer():
    rows = json.loads(FUNDING_API.read_text())
    frame = pl.DataFrame(
        {
            "calc_time": [row["fundingTime"] * 1000 for row in rows],
            "funding_rate": [float(row["fundingRate"]) for row in rows],
            "mark_price": [float(row["markPrice"]) for row in rows],
        }
    ).with_columns(pl.col("calc_time").cast(TIME))
    return frame.select(
        pl.col("calc_time").dt.round("1m").alias("funding_time"),
        "calc_time",
        pl.lit(None, pl.Int8).alias("funding_interval_hours"),
        "funding_rate",
        pl.lit(None).cast(FUNDING["rate_type"]).alias("rate_type"),
        "mark_price",
        pl.lit("api", FUNDING["source"]).alias("source"),
    )


def bars_between(first, last, name):
    times = pl.datetime_range(first, last, name, time_unit="us", eager=True)
    return times.alias("open_time").to_frame()


def test_genuine_events_of_archive_and_api_are_each_on_the_bar_they_are_due(
    partition, answer
):
    events = merge_events([answer, partition, answer])
    bars = bars_between(APRIL, dt.datetime(2026, 7, 5, tzinfo=dt.UTC), "1m")

    joined = join_funding(bars, events, interval=Interval.parse("1m"))

    of_archive, of_api = published_rates()
    paid = joined.frame.drop_nulls("funding_rate")
    assert paid["funding_rate"].to_list() == of_archive + of_api
    every_8_hours = pl.col("open_time").dt.truncate("8h") == pl.col("open_time")
    assert paid.select(every_8_hours.all()).item()
    assert joined.counts == FundingCounts(events=110, dropped=0, combined=0)
    assert events["mark_price"].is_null().to_list() == [True] * 90 + [False] * 20


@pytest.mark.parametrize(
    ("name", "n", "of_a_bar"), [("8h", 90, 1), ("1d", 30, 3), ("1mo", 1, 90)]
)
def test_genuine_events_of_a_month_are_all_on_its_bars(partition, name, n, of_a_bar):
    bars = bars_between(APRIL, dt.datetime(2026, 4, 30, 23, tzinfo=dt.UTC), name)

    joined = join_funding(
        bars, merge_events([partition]), interval=Interval.parse(name)
    )

    rates, _ = published_rates()
    sums = [sum(rates[i : i + of_a_bar]) for i in range(0, 90, of_a_bar)]
    assert len(sums) == n
    assert joined.frame["funding_rate"].to_list() == pytest.approx(sums, abs=1e-15)
    assert joined.counts.dropped == 0
