"""The dataset of a command: the settings, and what goes before them."""

import datetime as dt

import pytest

from bhds import config
from bhds.cli.datasets import DatasetRequest, dataset_of, datasets_of, narrowed
from bhds.cli.options import BarFilter, given
from bhds.core.errors import ConfigError, SelectionError
from bhds.core.markets import TradeType

UM, SPOT, CM = TradeType.UM_FUTURES, TradeType.SPOT, TradeType.CM_FUTURES
SETTINGS = config.load(
    {
        "datasets": [
            {
                "trade_type": "um_futures",
                "start": "2024-01-01",
                "symbols": {"quote": ["USDC"], "exclude": ["A*"]},
                "results": {"vwap": False, "split": {"min_days": 7}},
            },
            {
                "trade_type": "um_futures",
                "interval": "1h",
                "start": "2020-01-01",
                "frequency": "monthly",
                "symbols": ["BTCUSDT"],
            },
        ]
    },
    environment={},
)


def made(asked):
    return dataset_of(asked, settings=SETTINGS)


def test_what_is_not_asked_for_is_as_the_settings_say_of_the_series():
    found = made(DatasetRequest(UM, interval="1h"))

    assert found == SETTINGS.datasets[1]


def test_a_series_without_settings_has_the_symbols_of_its_market():
    found = made(DatasetRequest(UM, "fundingRate"))

    assert found.start == dt.date(2024, 1, 1)
    assert found.symbols == SETTINGS.datasets[0].symbols
    assert found.frequency == "auto"


@pytest.mark.parametrize(
    ("market", "quote", "contract_type"),
    [(SPOT, ["USDT"], None), (CM, None, ["PERPETUAL"])],
)
def test_a_market_without_settings_has_its_usual_symbols(market, quote, contract_type):
    found = made(DatasetRequest(market, interval="1m"))

    assert (found.symbols.quote, found.symbols.contract_type) == (quote, contract_type)
    assert found.start is None


def test_names_go_before_the_filter_of_the_settings():
    assert made(DatasetRequest(UM, interval="1m", symbols=["龙虾USDT"])).symbols == [
        "龙虾USDT"
    ]


def test_a_filter_changes_the_fields_that_are_given_alone():
    asked = DatasetRequest(UM, interval="1m", filter={"contract_type": ["DELIVERY"]})

    found = made(asked).symbols

    assert found.contract_type == ["DELIVERY"]
    assert found.quote == ["USDC"]
    assert found.exclude == ["A*"]


def test_a_filter_replaces_names_of_the_settings():
    found = made(DatasetRequest(UM, interval="1h", filter={"quote": ["USDC"]}))

    assert found.symbols.quote == ["USDC"]
    assert found.symbols.contract_type == ["PERPETUAL"]


def test_any_is_no_restriction():
    assert BarFilter(quote=["any"], stable_pairs=False).given() == {
        "quote": None,
        "stable_pairs": False,
    }


def test_names_and_a_filter_at_once_are_refused():
    asked = DatasetRequest(UM, symbols=["AUSDT"], filter={"quote": ["USDT"]})

    with pytest.raises(SelectionError, match=r"AUSDT: named, and filtered by quote"):
        made(asked)


def test_results_are_changed_field_by_field():
    found = made(
        DatasetRequest(
            UM, interval="1m", results={"fill": False, "split": {"enabled": False}}
        )
    ).results

    assert (found.fill, found.vwap) == (False, False)
    assert (found.split.enabled, found.split.min_days) == (False, 7)


def test_several_intervals_are_as_many_datasets():
    asked = DatasetRequest(UM, interval="1m,1h,1m", symbols=["AUSDT"])

    found = datasets_of(asked, settings=SETTINGS)

    assert [dataset.interval for dataset in found] == ["1m", "1h"]
    assert all(dataset.symbols == ["AUSDT"] for dataset in found)


def test_a_wrong_interval_is_named_with_those_that_are_published():
    with pytest.raises(ConfigError, match=r"um_futures klines 7m.*'7m'.*1m, 3m, 5m"):
        made(DatasetRequest(UM, interval="7m"))


def test_options_that_were_not_given_are_left_out():
    assert given(a=None, b=0, c=False, d="x") == {"b": 0, "c": False, "d": "x"}


@pytest.mark.parametrize(
    ("days", "is_whole", "expected"),
    [
        pytest.param(
            {"start": "2024-05-03", "end": "2024-06-10"},
            False,
            ("2024-05-03", "2024-06-10"),
            id="days",
        ),
        pytest.param(
            {"start": "2024-05-03", "end": "2024-06-10"},
            True,
            ("2024-03-05", "2024-12-31"),
            id="partitions, within the settings",
        ),
        pytest.param(
            {"start": "2025-02-01"}, True, ("2025-01-01", "2025-02-10"), id="end stays"
        ),
        pytest.param({"end": "7d"}, False, ("2024-03-05", "2025-02-10"), id="relative"),
    ],
)
def test_options_narrow_the_days_of_the_settings(days, is_whole, expected):
    dataset = {"trade_type": "um_futures", "start": "2024-03-05", "end": "2025-02-10"}
    older = {**dataset, "interval": "1h", "start": "2020-01-01", "end": "2024-01-31"}
    settings = config.load({"datasets": [dataset, older]}, environment={})

    found = narrowed(settings, days, with_whole_partitions=is_whole).datasets

    assert (str(found[0].start), str(found[0].end)) == expected


def test_a_partition_of_a_whole_history_keeps_all_its_days():
    dataset = {"trade_type": "um_futures", "data_type": "fundingRate"}
    settings = config.load({"datasets": [dataset]}, environment={})
    days = {"start": "2024-05-03", "end": "2024-06-10"}

    (found,) = narrowed(settings, days, with_whole_partitions=True).datasets

    as_of = settings.last_day(dt.datetime.now(dt.UTC))
    assert (found.first_day(as_of), found.last_day(as_of)) == (None, as_of)


def test_days_that_no_dataset_has_are_refused():
    with pytest.raises(SelectionError, match="--end 2019-12-31: no dataset"):
        narrowed(SETTINGS, {"end": "2019-12-31"})
    with pytest.raises(ConfigError, match="start: '30h': expected a date"):
        narrowed(SETTINGS, {"start": "30h"})
