"""Market and series of tables by their paths, and their order."""

import polars as pl
import pytest

from bhds.core.errors import ResultError
from bhds.report.inputs import (
    MARKET,
    of_first_series,
    paths_of,
    quality_tables,
    read_tables,
)

ROOT = "results_data/{}/quality/{}.parquet"


def test_a_path_says_market_kind_and_series():
    found = quality_tables(
        [
            ROOT.format("spot", "volume_checks"),
            ROOT.format("um_futures", "condition-markPriceKlines-1h"),
            ROOT.format("cm_futures", "gaps-1mo"),
            ROOT.format("option", "condition-metrics"),
        ]
    )

    described = {(t.trade_type, t.kind, t.series) for t in found}
    assert described == {
        ("spot", "volume_checks", "aggTrades"),
        ("um_futures", "condition", "markPriceKlines 1h"),
        ("cm_futures", "gaps", "klines 1mo"),
        ("option", "condition", "metrics"),
    }


def test_klines_stand_first_and_short_intervals_before_long_ones():
    names = ["metrics", "klines-1mo", "klines-15m", "klines-1d", "klines-1m"]

    found = quality_tables(ROOT.format("spot", f"condition-{n}") for n in names)

    assert [table.series for table in found] == [
        *("klines 1m", "klines 15m", "klines 1d", "klines 1mo", "metrics")
    ]


@pytest.mark.parametrize(
    "path",
    ["results_data/moon/quality/gaps-1m.parquet", ROOT.format("spot", "holes-1m")],
)
def test_another_path_is_refused(path):
    with pytest.raises(ResultError, match=f"{path}: not a quality table; expected"):
        quality_tables([path])


def test_rows_of_all_markets_say_what_they_are_of(data_dir):
    tables = quality_tables(data_dir.tables)

    rows = read_tables(tables, "gaps", columns=["symbol"], data_dir=data_dir.root)

    assert rows.columns == ["market", "data_type", "series", "symbol"]
    assert rows.schema["market"] == MARKET
    assert set(rows["market"]) == {"spot"}  # um has none
    assert set(rows["series"]) == {"klines 1m"}


def test_of_each_market_the_series_that_stands_first_is_picked():
    rows = pl.DataFrame(
        {
            "market": ["spot", "spot", "um_futures", "spot"],
            "series": ["klines 1m", "klines 1d", "klines 1h", "klines 1m"],
            "n": [1, 2, 3, 4],
        }
    )

    assert of_first_series(rows)["n"].to_list() == [1, 3, 4]


def test_without_a_table_there_are_no_rows(data_dir):
    rows = read_tables([], "gaps", columns=["symbol"], data_dir=data_dir.root)

    assert rows.columns == ["market", "data_type", "series"]
    assert rows.is_empty()


def test_the_files_of_one_market_are_named_and_of_several_described():
    one = quality_tables([ROOT.format("spot", "gaps-1m")])
    two = quality_tables([ROOT.format(m, "gaps-1m") for m in ("spot", "cm_futures")])

    assert paths_of(one, "gaps") == "results_data/spot/quality/gaps-1m.parquet"
    assert (
        paths_of(two, "gaps") == "results_data/<trade_type>/quality/ (gaps-1m.parquet)"
    )
