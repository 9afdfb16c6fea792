"""What is built equals what the exchange itself says through its API."""

import datetime as dt
import json
import urllib.parse
import urllib.request
from pathlib import Path

import polars as pl
import pytest

from bhds import layout

pytestmark = pytest.mark.workflow

PAGE = 1500


def published(endpoints, symbol, interval):
    """Ask the API for every bar of a symbol before 2025-03-10."""
    end = int(dt.datetime(2025, 3, 10, tzinfo=dt.UTC).timestamp() * 1000) - 1
    start, rows = int(dt.datetime(2024, 12, 1, tzinfo=dt.UTC).timestamp() * 1000), []
    while True:
        query = urllib.parse.urlencode(
            {
                "symbol": symbol,
                "interval": interval,
                "startTime": start,
                "endTime": end,
                "limit": PAGE,
            }
        )
        with urllib.request.urlopen(
            f"{endpoints.api_um}/fapi/v1/klines?{query}"
        ) as answer:
            page = json.load(answer)
        rows += page
        if len(page) < PAGE:
            break
        start = page[-1][0] + 1
    names = [
        "open_time",
        "open",
        "high",
        "low",
        "close",
        "volume",
        "end",
        "quote_volume",
    ]
    frame = pl.DataFrame(
        [row[:9] for row in rows], [*names, "trade_count"], orient="row"
    )
    return frame.with_columns(
        pl.from_epoch("open_time", "ms")
        .dt.replace_time_zone("UTC")
        .dt.cast_time_unit("us"),
        pl.col([*names[1:6], "quote_volume"]).cast(pl.Float64),
    )


@pytest.mark.parametrize("symbol", ["OLDUSDT", "龙虾USDT"])
def test_bars_of_every_length_equal_those_of_the_api(whole_data, exchange, symbol):
    results = whole_data / "results_data/um_futures"

    for interval, path in [
        ("1m", results / f"klines/1m/{symbol}.pqt"),
        ("1h", results / f"resampled_klines/1h/{symbol}.pqt"),
        ("1d", results / f"resampled_klines/1d/{symbol}.pqt"),
    ]:
        built = pl.read_parquet(path)
        expected = published(exchange.endpoints, symbol, interval)
        both = built.join(expected, on="open_time", suffix="_api")
        assert both.height > 0.9 * min(built.height, expected.height)
        for column in ("open", "high", "low", "close", "trade_count"):
            assert both[column].equals(both[f"{column}_api"], null_equal=False), column
        for column in ("volume", "quote_volume"):
            error = (both[column] - both[f"{column}_api"]).abs()
            assert (error <= 1e-9 * both[f"{column}_api"].clip(1)).all()
        if interval == "1m":
            traded = expected.filter(pl.col("trade_count") > 0)
            assert traded.join(built, on="open_time", how="anti").is_empty()
            assert (built.filter(pl.col("source") == "filled")["volume"] == 0).all()


def test_a_halt_splits_and_is_recorded(whole_data):
    results = whole_data / "results_data/um_futures/klines/1m"

    bars = pl.read_parquet(results / "龙虾USDT.pqt")
    gaps = pl.read_parquet(results / "gaps/龙虾USDT.parquet")
    ends = bars.group_by("segment").agg(pl.col("open_time").max()).sort("segment")
    assert ends["open_time"][0] == dt.datetime(2025, 3, 2, 2, 59, tzinfo=dt.UTC)
    assert bars["segment"].unique().sort().to_list() == [0, 1]
    (gap,) = gaps.filter("split").iter_rows(named=True)
    assert gap["next_open_time"] == dt.datetime(2025, 3, 5, 10, 30, tzinfo=dt.UTC)
    assert gap["missing_bars"] == 3 * 1440 + 7 * 60 + 30
    assert gap["price_change"] == pytest.approx(-0.4, abs=0.1)


def test_split_files_hold_one_segment_each(whole):
    workspace = whole
    results = {
        "split": {"files": True},
        "resample": [{"interval": "1h"}],
    }
    workspace.settings["datasets"][0] |= {
        "symbols": ["龙虾USDT", "NEWUSDT"],
        "results": results,
    }

    workspace.build("split_all")

    root = workspace.path("results_data/um_futures")
    names = ["NEWUSDT", "SP0_龙虾USDT", "龙虾USDT"]
    for folder in ("split_klines/1m", "split_resampled_klines/1h"):
        assert sorted(path.stem for path in (root / folder).glob("*.pqt")) == names
    whole = pl.read_parquet(root / "klines/1m/龙虾USDT.pqt")
    parts = [
        pl.read_parquet(root / f"split_klines/1m/{name}.pqt") for name in names[1:]
    ]
    assert pl.concat(parts).equals(whole)
    table = pl.read_parquet(root / "split_klines/1m/segments.parquet")
    assert table["name"].to_list() == names
    assert workspace.plan("split_all").is_idle


def test_split_files_of_segments_that_grew_together_go_away(workspace, exchange):
    """What was missing for three days split the symbol, until it was published."""
    workspace.settings["datasets"][0] |= {
        "symbols": ["龙虾USDT"],
        "results": {"split": {"files": True}, "resample": [{"interval": "1h"}]},
    }
    folder = "data/futures/um/daily/klines/龙虾USDT/1m"
    missing = [f"{folder}/龙虾USDT-1m-2025-03-0{day}.zip" for day in (6, 7, 8)]
    for key in missing:
        exchange.exchange.withhold(key)
    workspace.build("split_all")
    root = workspace.path("results_data/um_futures")
    folders = [root / "split_klines/1m", root / "split_resampled_klines/1h"]
    before = ["SP0_龙虾USDT", "SP1_龙虾USDT", "龙虾USDT"]
    names = [sorted(path.stem for path in each.glob("*.pqt")) for each in folders]
    assert names == [before, before]
    first = pl.read_parquet(folders[0] / "SP0_龙虾USDT.pqt")

    for key in missing:
        exchange.exchange.release(key)
    workspace.build("split_all")

    after = ["SP0_龙虾USDT", "龙虾USDT"]
    names = [sorted(path.stem for path in each.glob("*.pqt")) for each in folders]
    assert names == [after, after]
    assert pl.read_parquet(folders[0] / "SP0_龙虾USDT.pqt").equals(first)
    table = pl.read_parquet(folders[0] / "segments.parquet")
    assert table.select("name", "segment").rows() == list(
        zip(after, (0, 1), strict=True)
    )
    for name, begin, end in table.select(
        "name", "first_open_time", "last_open_time"
    ).iter_rows():
        times = pl.read_parquet(folders[0] / f"{name}.pqt")["open_time"]
        assert (times[0], times[-1]) == (begin, end)
    assert table["last_open_time"][1] == dt.datetime(2025, 3, 9, 23, 59, tzinfo=dt.UTC)
    assert workspace.plan("split_all").is_idle


def test_a_dataset_that_ends_within_a_month_has_the_rows_until_then(whole):
    """Its monthly zip is cut, no later day is judged, and the others stay."""
    whole.build("quality_all")
    paths = [
        layout.result("um_futures", "1m", "OLDUSDT"),
        *(layout.resampled("um_futures", rule, "OLDUSDT") for rule in ("1h", "1d")),
    ]
    before, times = [pl.read_parquet(whole.path(p)) for p in paths], whole.times()
    (dataset,) = whole.settings["datasets"]
    bounded = {**dataset, "symbols": ["OLDUSDT"], "end": "2025-01-20"}
    others = {**dataset, "symbols": {"exclude": ["OLDUSDT"]}}

    whole.build("quality_all", "results_all", settings={"datasets": [bounded, others]})

    end = dt.datetime(2025, 1, 21, tzinfo=dt.UTC)
    for path, rows in zip(paths, before, strict=True):
        found = pl.read_parquet(whole.path(path))
        assert found.equals(rows.filter(pl.col("open_time") < end))
        assert 0 < found.height < rows.height
    condition = layout.quality_table("um_futures", "condition", "klines-1m")
    days = pl.read_parquet(whole.path(condition)).filter(symbol="OLDUSDT")
    assert days["day"].max() == dt.date(2025, 1, 20)
    assert set(days["condition"]) == {"available"}
    results = (Path(path) for path in whole.changed(times) if path.endswith(".pqt"))
    assert {path.stem for path in results} == {"OLDUSDT"}
    assert whole.plan("results_all", settings={"datasets": [bounded, others]}).is_idle
