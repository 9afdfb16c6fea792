"""Processes that follow a frozen plan name the same files as the one that made it."""

import datetime as dt

import polars as pl
import pytest

from bhds import config, layout
from bhds.core.errors import PlanError
from bhds.core.markets import TradeType
from bhds.plan import plan_snapshot, prepare
from bhds.plan.quality_tables import QualityTables
from bhds.plan.series import Series

NOW = dt.datetime(2025, 3, 10, 12, tzinfo=dt.UTC)
UM = TradeType.UM_FUTURES
SERIES = Series(UM, "klines", "币安人生USDT", "1m")


@pytest.fixture
def made(tmp_path, bucket):
    """A plan of two symbols, and of one more by the path of a file of it."""
    bucket.publish("AUSDT", "2023-12", "2024-01", "2025-03-09")
    bucket.publish("币安人生USDT", "2024-01", "2024-02")
    bucket.publish("OTHERUSDT", "2024-01")
    bucket.publish_funding("AUSDT", "2024-01")
    raw = {
        "data_dir": str(tmp_path),
        "offline": True,
        "datasets": [
            {
                "trade_type": "um_futures",
                "start": "2024-01-10",
                "symbols": ["AUSDT", "币安人生USDT"],
                "results": {
                    "resample": [{"interval": each} for each in ("1h", "8h", "1d")]
                },
            }
        ],
    }
    for rule, symbol in (("1h", "AUSDT"), ("1d", "UNSELECTEDUSDT")):
        place = tmp_path / layout.resampled("um_futures", rule, symbol)
        place.parent.mkdir(parents=True)
        place.touch()
    return prepare.plan(
        config.load(raw, environment={}),
        targets=["results_data/um_futures/resampled_klines/4h/OTHERUSDT.pqt"],
        data_dir=tmp_path,
        now=NOW,
        online=False,
    )


@pytest.fixture
def path(tmp_path, made):
    plan_snapshot.dump(made, tmp_path / "plan.parquet", made_at=NOW)
    return tmp_path / "plan.parquet"


def test_a_thawed_plan_names_what_the_frozen_one_did(made, path):
    plan, made_at = plan_snapshot.load(path)

    assert made_at == NOW
    assert made.partitions(SERIES)
    for name in ("parsed", "api", "results", "resampled", "funding", "listings"):
        assert getattr(plan, name) == getattr(made, name), name
    assert plan.resample_groups == made.resample_groups
    groups = [group.rules for group in made.resample_groups]
    assert groups == [("1h",), ("8h", "1d"), ("4h",)]  # of files on disk, of others
    assert QualityTables(plan).paths == QualityTables(made).paths


@pytest.mark.parametrize("symbol", ["AUSDT", "币安人生USDT", "OTHERUSDT"])
def test_what_a_job_needs_of_its_symbol_is_the_same(made, path, symbol):
    plan, _ = plan_snapshot.load(path, symbols={symbol})

    for data_type, interval in (("klines", "1m"), ("fundingRate", None)):
        series = Series(UM, data_type, symbol, interval)
        assert plan.backfill(series) == made.backfill(series)
        assert plan.dataset(series) == made.dataset(series)
        assert plan.last_day(series) == made.last_day(series)
        assert plan.sources_of_result(series) == made.sources_of_result(series)
    klines = Series(UM, "klines", symbol, "1m")
    assert plan.partitions(klines) == made.partitions(klines)
    assert plan.funding_of(klines) == made.funding_of(klines)
    assert plan.funding_sources(klines) == made.funding_sources(klines)
    assert plan.end_of_funding(klines) == made.end_of_funding(klines)
    assert plan.split_rule(klines) == made.split_rule(klines)
    assert plan.has_ended(klines) == made.has_ended(klines) == (symbol != "AUSDT")
    assert plan.is_trading(klines) == made.is_trading(klines)
    assert plan.unlisted(klines) == made.unlisted(klines)
    assert {each.name for each in plan.resample_groups} <= {
        each.name for each in made.resample_groups
    }


def test_a_plan_for_one_symbol_holds_no_other(path):
    plan, _ = plan_snapshot.load(path, symbols={"AUSDT"})

    assert {symbol for each in plan.datasets for symbol in each.symbols} == {"AUSDT"}
    assert set(pl.concat(each.files["symbol"] for each in plan.datasets)) == {"AUSDT"}
    assert all("AUSDT" in path for path in (*plan.results, *plan.parsed))


def test_what_is_missing_is_fetched_by_the_plan_that_found_it_alone(made, path):
    plan, _ = plan_snapshot.load(path)

    assert made.batches
    assert plan.batches == []


def test_what_the_exchange_says_of_symbols_is_kept(made, path):
    entry = {"contractSize": 10, "contractType": "PERPETUAL"}
    market = TradeType.CM_FUTURES
    made.known[market] = {"XUSD_PERP": entry}
    made.known[UM] = {"AUSDT": entry, "UNPLANNEDUSDT": entry}

    plan_snapshot.dump(made, path, made_at=NOW)

    assert plan_snapshot.load(path).plan.known == {market: {}, UM: {"AUSDT": entry}}


def test_without_a_plan_a_job_says_where_it_should_be(tmp_path):
    with pytest.raises(PlanError, match=r"absent\.parquet: cannot be read .*shared?"):
        plan_snapshot.load(tmp_path / "absent.parquet")


def test_a_plan_of_another_version_is_refused(path, monkeypatch):
    monkeypatch.setattr(plan_snapshot, "__version__", "9.9.9")

    with pytest.raises(PlanError, match=r"written by BHDS .*, expected 9\.9\.9; give"):
        plan_snapshot.load(path)
