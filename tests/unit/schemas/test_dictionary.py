"""The data dictionary says of every column what it means."""

import re
from functools import partial
from pathlib import Path

import polars as pl
import pytest

from bhds import layout
from bhds.core.markets import TradeType
from bhds.schemas import klines
from bhds.schemas.dictionary import TABLES
from bhds.schemas.quality_tables import conflicts
from tests.dictionary_paths import tables_at

ROOT = Path(__file__).resolve().parents[3]

PATTERN = re.compile(r"layout\.wildcards\([^()]*\)")
NUMBERS = (pl.Float64, pl.Int64, pl.Int32, pl.Int8, pl.Duration)

WITHOUT_UNIT = {
    *("agg_trade_id", "first_trade_id", "last_trade_id", "id", "update_id"),
    "segment",
}
"""Numbers that count nothing: they are names."""

by_name = pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)


@by_name
def test_every_column_has_a_meaning(table):
    for described in table.columns:
        assert described.column.meaning, described.column.name


@by_name
def test_every_amount_and_every_time_has_a_unit(table):
    lacking = [
        column.name
        for column in (described.column for described in table.columns)
        if isinstance(column.dtype, (*NUMBERS, pl.Datetime, pl.Date))
        and not column.unit
        and column.name not in WITHOUT_UNIT
    ]

    assert lacking == []


@by_name
def test_the_times_of_all_tables_are_utc(table):
    zones = {
        column.dtype.time_zone
        for column in (described.column for described in table.columns)
        if isinstance(column.dtype, pl.Datetime)
    }

    assert zones <= {"UTC"}


@by_name
def test_rows_are_unique_on_columns_that_there_are(table):
    assert set(table.key) <= {each.column.name for each in table.columns}


def test_what_was_kept_is_described_by_what_gave_way():
    (kept,) = [c for c in conflicts(TradeType.SPOT).columns if c.name == "kept_volume"]

    assert kept.unit == "base currency (COIN-M: contracts)"
    assert kept.meaning == "`volume` of the bar that was kept"


def test_columns_of_all_markets_stand_in_the_order_of_the_files():
    (results,) = [table for table in TABLES if table.name == "Results"]
    found = {each.column.name: each.trade_types for each in results.columns}

    for trade_type in results.trade_types:
        names = ["symbol", *klines.result_klines(trade_type).names()]
        assert [name for name in found if trade_type in found[name]] == names
    assert found["base_volume"] == (TradeType.CM_FUTURES,)


def _value(values, match):
    return values.get(match[1], "x")


def rule_outputs():
    """List the Parquet files that rules write, with a value for each wildcard."""
    for path in sorted(ROOT.glob("rules/*.smk")):
        for code in PATTERN.findall(path.read_text()):
            pattern = eval(code, {"layout": layout})  # noqa: S307
            plain = pattern.replace("{{", "{").replace("}}", "}")
            if not plain.endswith((layout.TABLE_SUFFIX, layout.RESULT_SUFFIX)):
                continue
            values = {
                "data_type": "klines" if "{interval}" in plain else "fundingRate",
                "verification": "verification-1m",
            }
            yield re.sub(r"\{(\w+)\}", partial(_value, values), plain)


@pytest.mark.parametrize("path", sorted(set(rule_outputs())))
def test_every_table_that_a_rule_writes_is_in_the_dictionary(path):
    assert [table.name for table in tables_at(path)]


def test_a_path_is_that_of_one_table():
    path = "results_data/um_futures/klines/1m/gaps/币安人生USDT.parquet"

    assert [table.name for table in tables_at(path)] == ["Gaps of a symbol"]
