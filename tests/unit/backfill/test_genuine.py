"""Genuine bars of the archive and recorded ones of the API are the same bars.

The archive's are shorter, and are made into those of the API where these are longer.
"""

import csv
import datetime as dt
import gzip
import itertools
import json
import zipfile
from pathlib import Path

import polars as pl
import pytest

from bhds.api.rows import parse_bars
from bhds.archive.integrity.zip_input import ArchiveInput
from bhds.backfill.klines import Bars
from bhds.bars.grid import combine_bars
from bhds.bars.merge import merge
from bhds.core.markets import Frequency, Interval, TradeType
from bhds.core.timegrid import TIME, floor_time, with_phase_of
from bhds.parse.parse_table import parse_table
from bhds.schemas.klines import SOURCES

GENUINE = Path(__file__).parents[3] / "../shared/realdata"
pytestmark = pytest.mark.skipif(
    not GENUINE.is_dir(), reason="the genuine files of ../shared/realdata are absent"
)

SPOT, UM = TradeType.SPOT, TradeType.UM_FUTURES
STALE = dt.datetime(2021, 1, 11, 8, tzinfo=dt.UTC)
"""Where the archive's month differs from the API, as realdata's README says: the two
hours from here on, of which the archive has a higher low, and less volume."""


def recorded(path, *, trade_type=SPOT):
    """Return the bars of a recorded answer, as a fill has them."""
    symbol, interval = path.stem.split("-") if trade_type is UM else path.parts[-3:-1]
    name = interval.replace("1M", "1mo")
    bars = Bars(trade_type, "klines", symbol, Interval.parse(name))
    return bars.frame(parse_bars(json.loads(path.read_text()), subject=path.name))


def archived(name, *, folder, source=None):
    """Parse a genuine file; a CSV is zipped for it."""
    (path,) = GENUINE.glob(f"spot/klines/*/*/{name}")
    stem = path.stem
    symbol, interval, period = stem.split("-", maxsplit=2)
    if path.suffix == ".csv":
        zipped = folder / f"{stem}.zip"
        with zipfile.ZipFile(zipped, "w") as opened:
            opened.write(path, f"{stem}.csv")
        path = zipped
    frequency = Frequency.DAILY if period.count("-") == 2 else Frequency.MONTHLY
    key = f"data/spot/{frequency}/klines/{symbol}/{interval}/{stem}.zip"
    frame = parse_table(
        [ArchiveInput(path, key, frequency, None)],
        trade_type=SPOT,
        data_type="klines",
        symbol=symbol,
        interval=Interval.parse(interval),
        partition=period[:4],
    ).frame
    return frame if source is None else frame.with_columns(source=of(source))


def of(source):
    return pl.lit(source).cast(SOURCES)


def longer(bars, interval):
    """Make longer bars, with all columns of published ones."""
    phased = with_phase_of(Interval.parse(interval), bars["open_time"].head(1))
    opening = floor_time(pl.col("open_time"), interval=phased)
    return (
        bars.group_by(opening, maintain_order=True)
        .agg(*combine_bars(SPOT), pl.col("close_time", "source").last())
        .select(bars.columns)
    )


def merged_bars(partitions, interval):
    return merge(partitions, trade_type=SPOT, interval=Interval.parse(interval)).bars


def both(bars, others):
    """Return the bars that open at times that both have."""
    times = [frame["open_time"].implode() for frame in (others, bars)]
    time = pl.col("open_time")
    return bars.filter(time.is_in(times[0])), others.filter(time.is_in(times[1]))


def test_where_the_month_is_stale_the_api_wins_over_it_and_the_day_over_both(tmp_path):
    api = recorded(GENUINE / "spot/api_klines/BTCUSDT/2h/2021-01-01.json")
    monthly = longer(archived("BTCUSDT-1h-2021-01.csv", folder=tmp_path), "2h")
    daily = monthly.with_columns(source=of("daily"))
    january = api.filter(pl.col("open_time") < dt.datetime(2021, 2, 1, tzinfo=dt.UTC))
    values = pl.all().exclude("source")

    of_month, of_api = both(monthly, january)

    differing = [
        mine[0]
        for mine, theirs in zip(
            of_month.select("open_time", "trade_count", "low").rows(),
            of_api.select("open_time", "trade_count", "low").rows(),
            strict=True,
        )
        if mine != theirs
    ]
    assert differing == [STALE]
    for parts in itertools.permutations([monthly, january]):
        assert merged_bars(parts, "2h").equals(january)
    for parts in itertools.permutations([monthly, january, daily]):
        merged = merged_bars(parts, "2h")
        assert merged.select(values).equals(monthly.select(values))
        assert set(merged["source"]) == {"daily"}


KEPT = (
    "spot/derived/binance_spot_BTCUSDT-1h_20140101-20240101_v2.10.0_gapped.csv.bak.gz"
)


def test_an_hour_that_ended_early_is_the_same_in_archive_and_api():
    """What another project parsed of the archive, before it filled gaps."""
    api = recorded(GENUINE / "spot/api_klines/BTCUSDT/1h/2023-03-01.json")
    with gzip.open(GENUINE / KEPT, "rt", encoding="utf-8") as file:
        rows = csv.DictReader(line for line in file if not line.startswith("#"))
        march = [row for row in rows if row["date"].startswith("2023-03")]

    assert len(march) == api.height == 743
    for column, name in {
        **{name: name for name in ("open", "high", "low", "close", "volume")},
        "quote_volume": "quote_asset_volume",
        "trade_count": "number_of_trades",
        "taker_buy_volume": "taker_buy_base_asset_volume",
        "taker_buy_quote_volume": "taker_buy_quote_asset_volume",
    }.items():
        assert api[column].to_list() == [float(row[name]) for row in march], column
    for column, name in {"open_time": "date", "close_time": "close_time"}.items():
        second = api[column].dt.strftime("%Y-%m-%d %H:%M:%S")
        assert second.to_list() == [row[name] for row in march], column


@pytest.mark.parametrize(
    ("pattern", "trade_type", "n"),
    [("spot/api_klines/*/*/*.json", SPOT, 22), ("um/api_klines/*.json", UM, 2)],
)
def test_every_recorded_answer_is_read_whole_and_each_bar_is_about_its_time(
    pattern, trade_type, n
):
    paths = sorted(GENUINE.glob(pattern))

    assert len(paths) == n
    for path in paths:
        answer = json.loads(path.read_text())
        frame = recorded(path, trade_type=trade_type)
        assert frame.height == len(answer)
        assert frame["open_time"].dtype == TIME
        assert frame["open_time"].dt.epoch("ms").to_list() == [row[0] for row in answer]
        assert frame["close"].to_list() == [float(row[4]) for row in answer]
        assert frame["trade_count"].to_list() == [row[8] for row in answer]
        assert frame["close_time"].dt.epoch("ms").to_list() == [
            row[6] for row in answer
        ]
