"""Which series a target path names, and with which settings it is made."""

import datetime as dt

import pytest

from bhds.config import Dataset
from bhds.core.errors import ConfigError
from bhds.core.markets import TradeType
from bhds.plan.targets import implied_datasets


def dataset(**settings):
    return Dataset.model_validate({"trade_type": "um_futures", **settings})


def implied(*targets, configured=()):
    return implied_datasets(targets, configured=configured)


def rules(dataset):
    return [each.rule.name for each in dataset.results.resample]


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (
            "aws_data/um_futures/monthly/klines/AUSDT/5m/AUSDT-5m-2025-01.zip",
            ("um_futures", "klines", "AUSDT", "5m"),
        ),
        (
            "aws_data/spot/daily/klines/AUSDT/1s/AUSDT-1s-2025-01-02.zip.CHECKSUM",
            ("spot", "klines", "AUSDT", "1s"),
        ),
        (
            "parsed_data/cm_futures/klines/AUSD_PERP/1h/2025.parquet",
            ("cm_futures", "klines", "AUSD_PERP", "1h"),
        ),
        (
            "parsed_data/um_futures/klines/AUSDT/1m/2025.sources.json",
            ("um_futures", "klines", "AUSDT", "1m"),
        ),
        ("results_data/spot/klines/1mo/AUSDT.pqt", ("spot", "klines", "AUSDT", "1mo")),
        (
            "results_data/spot/klines/1m/币安人生USDT.pqt",
            ("spot", "klines", "币安人生USDT", "1m"),
        ),
        (
            "results_data/um_futures/klines/1m/gaps/AUSDT.parquet",
            ("um_futures", "klines", "AUSDT", "1m"),
        ),
        (
            "results_data/um_futures/resampled_klines/4h_30m/AUSDT.pqt",
            ("um_futures", "klines", "AUSDT", "1m"),
        ),
        (
            "aws_data/um_futures/monthly/fundingRate/AUSDT/AUSDT-fundingRate-2025-01.zip",
            ("um_futures", "fundingRate", "AUSDT", None),
        ),
        (
            "parsed_data/spot/aggTrades/AUSDT/2025-01.parquet",
            ("spot", "aggTrades", "AUSDT", None),
        ),
        (
            "parsed_data/cm_futures/indexPriceKlines/BTCUSD/4h/2025.sources.json",
            ("cm_futures", "indexPriceKlines", "BTCUSD", "4h"),
        ),
        (
            "aws_data/option/daily/BVOLIndex/BTCBVOLUSDT/BTCBVOLUSDT-BVOLIndex-2023-05-19.zip",
            ("option", "BVOLIndex", "BTCBVOLUSDT", None),
        ),
    ],
)
def test_a_path_names_its_series(target, expected):
    (found,) = implied(target)

    series = (found.trade_type, found.data_type, *found.symbols, found.interval)
    assert series == expected


def test_settings_of_another_type_of_data_are_not_taken_over():
    target = "parsed_data/um_futures/metrics/AUSDT/2025.parquet"

    (found,) = implied(target, configured=[dataset(results={"vwap": False})])

    assert found.results.vwap


@pytest.mark.parametrize(
    "target",
    [
        "results_all",
        "--cores",
        "-n",
        "aws_data/um_futures/monthly/listing-1m.parquet",
        "aws_data/um_futures/monthly/fundingRate/listing.parquet",
        "aws_data/um_futures/monthly/klines/verification-1m.parquet",
        "aws_data/um_futures/weekly/klines/AUSDT/1m/AUSDT-1m-2025-01.zip",
        "results_data/um_futures/klines/1m/AUSDT.parquet",
        "results_data/um_futures/klines/7m/AUSDT.pqt",
        "results_data/margin/klines/1m/AUSDT.pqt",
        "results_data/um_futures/split_klines/1m/SP0_AUSDT.pqt",
        "elsewhere/results_data/um_futures/klines/1m/AUSDT.pqt",
    ],
)
def test_what_names_no_series_implies_nothing(target):
    assert implied(target) == []


def test_a_series_named_twice_is_one_dataset():
    folder = "parsed_data/um_futures/klines/AUSDT/1m"

    found = implied(f"{folder}/2024.parquet", f"{folder}/2025.sources.json")

    assert len(found) == 1


def test_every_series_named_is_a_dataset_of_its_own():
    folder = "results_data/um_futures/klines/1m"

    found = implied(f"{folder}/AUSDT.pqt", f"{folder}/BUSDT.pqt")

    assert [each.symbols for each in found] == [["AUSDT"], ["BUSDT"]]


def test_a_named_series_takes_the_settings_of_its_market_and_interval():
    configured = [
        dataset(trade_type="spot", results={"vwap": False}, frequency="daily"),
        dataset(interval="5m", frequency="daily"),
        dataset(
            start="2024-05-01",
            frequency="monthly",
            results={"fill": False, "split": {"min_days": 3}},
        ),
        dataset(start="2020-01-01"),
    ]

    (found,) = implied(
        "results_data/um_futures/klines/1m/AUSDT.pqt", configured=configured
    )

    assert (found.start, found.frequency) == (dt.date(2024, 5, 1), "monthly")
    assert found.results.fill is False
    assert found.results.split.min_days == 3
    assert found.results.vwap is True


def test_without_a_dataset_like_it_a_series_has_the_defaults():
    configured = [dataset(interval="5m", start="2024-05-01", results={"vwap": False})]

    (found,) = implied(
        "results_data/um_futures/klines/1m/AUSDT.pqt", configured=configured
    )

    assert found == dataset(symbols=["AUSDT"])


def test_a_result_named_alone_is_not_resampled():
    configured = [dataset(results={"resample": [{"interval": "1h"}]})]

    (found,) = implied(
        "results_data/um_futures/klines/1m/AUSDT.pqt", configured=configured
    )

    assert rules(found) == []


def test_a_resampled_target_brings_its_own_rule_alone():
    configured = [
        dataset(results={"vwap": False, "resample": [{"interval": "1h"}]}),
    ]

    (found,) = implied(
        "results_data/um_futures/resampled_klines/4h_30m/AUSDT.pqt",
        configured=configured,
    )

    assert rules(found) == ["4h_30m"]
    assert found.results.vwap is False


def test_a_resampled_target_is_made_from_the_base_of_its_market():
    configured = [dataset(trade_type="spot"), dataset(interval="5m")]

    (found,) = implied(
        "results_data/um_futures/resampled_klines/1h/AUSDT.pqt", configured=configured
    )

    assert (found.trade_type, found.interval) == (TradeType.UM_FUTURES, "5m")


@pytest.mark.parametrize(
    ("target", "told"),
    [
        pytest.param(
            "results_data/spot/resampled_klines/hourly/AUSDT.pqt",
            "interval 'hourly'",
            id="no interval",
        ),
        pytest.param(
            "results_data/spot/resampled_klines/1h_60m/AUSDT.pqt",
            "shorter than the interval",
            id="offset too long",
        ),
        pytest.param(
            "results_data/spot/resampled_klines/4h_60m/AUSDT.pqt",
            "resample rule '4h_60m' is '4h_1h' in paths",
            id="offset in another unit",
        ),
        pytest.param(
            "results_data/spot/resampled_klines/90s/AUSDT.pqt",
            "must be multiples of",
            id="not of whole bars",
        ),
        pytest.param(
            "results_data/um_futures/klines/1s/AUSDT.pqt",
            "'1s' of klines is not published for um_futures",
            id="seconds of futures",
        ),
    ],
)
def test_a_path_that_nothing_can_be_made_for_is_refused(target, told):
    with pytest.raises(ConfigError, match=told):
        implied(target)


def test_a_rule_takes_the_first_base_interval_that_it_fits():
    target = "results_data/um_futures/resampled_klines/1h/AUSDT.pqt"

    (found,) = implied(target, configured=[dataset(interval="1d"), dataset()])

    assert found.interval == "1m"


def test_a_rule_takes_the_base_interval_of_a_dataset_that_has_it():
    target = "results_data/um_futures/resampled_klines/4h/AUSDT.pqt"
    configured = [
        dataset(),
        dataset(interval="1h", results={"resample": [{"interval": "4h"}]}),
    ]

    (found,) = implied(target, configured=configured)

    assert found.interval == "1h"
