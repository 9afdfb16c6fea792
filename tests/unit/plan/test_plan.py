"""The names that a plan of several datasets gives to rules."""

import datetime as dt
import re
from dataclasses import replace

import pytest

from bhds.config import SplitRule
from bhds.core.errors import ConfigError, SelectionError
from bhds.core.markets import TradeType
from bhds.plan.backfills import Backfill
from bhds.plan.dataset import Partition
from bhds.plan.plan import Plan
from bhds.plan.series import Series
from bhds.plan.targets import NamedFiles

from .conftest import planned

UM = TradeType.UM_FUTURES
SPOT = TradeType.SPOT


def groups(plan):
    return [(group.interval, group.rules) for group in plan.resample_groups]


def patterns(plan):
    return [group.symbol_pattern for group in plan.resample_groups]


def test_a_dataset_without_rules_resamples_nothing():
    plan = Plan([planned("AUSDT")])

    assert plan.resample_groups == []
    assert plan.resampled == []


def test_one_group_makes_all_files_of_a_symbol():
    plan = Plan([planned("AUSDT", rules=["1h", "1h_5m", "1d"])])

    assert groups(plan) == [("1m", ("1h", "1h_5m", "1d"))]
    assert plan.resampled == [
        "results_data/um_futures/resampled_klines/1h/AUSDT.pqt",
        "results_data/um_futures/resampled_klines/1h_5m/AUSDT.pqt",
        "results_data/um_futures/resampled_klines/1d/AUSDT.pqt",
    ]


def test_names_do_not_grow_with_the_number_of_rules():
    rules = [f"1d_{minutes}m" for minutes in range(1, 120) if minutes % 60]

    plan = Plan([planned("AUSDT", rules=rules[:100])])

    (group,) = plan.resample_groups
    assert group.name == "um_futures_1m"
    assert len(group.rules) == len(plan.resampled) == 100
    assert max(len(path) for path in plan.resampled) < 255


@pytest.mark.parametrize(
    ("datasets", "expected"),
    [
        pytest.param(
            [
                planned("AUSDT", rules=["1h"]),
                planned("BUSDT", rules=["4h"], interval="5m"),
            ],
            ["[^/]+", "[^/]+"],
            id="other rules",
        ),
        pytest.param(
            [
                planned("AUSDT", rules=["1h"]),
                planned("AUSDT", rules=["1h"], trade_type="spot"),
            ],
            ["[^/]+", "[^/]+"],
            id="another market",
        ),
        pytest.param(
            [
                planned("AUSDT", "BUSDT", rules=["1h", "1d"]),
                planned("CUSDT", rules=["1h"], interval="5m"),
                planned("DUSDT", rules=["4h"]),
            ],
            ["AUSDT|BUSDT", "CUSDT", "[^/]+"],
            id="one rule of two",
        ),
        pytest.param(
            [
                planned("AUSDT", empty=["NEWUSDT"], rules=["1h"]),
                planned("BUSDT", rules=["1h", "1d"]),
            ],
            ["AUSDT|NEWUSDT", "BUSDT"],
            id="a symbol without files",
        ),
    ],
)
def test_rules_hold_for_any_symbol_unless_two_datasets_have_them(datasets, expected):
    assert patterns(Plan(datasets)) == expected


def test_a_pattern_matches_its_own_symbols_only():
    symbols = ["A.USDT", "币安人生USDT"]
    plan = Plan(
        [planned(*symbols, rules=["1h"]), planned("AXUSDT", rules=["1h", "1d"])]
    )

    first, second = patterns(plan)

    for symbol in [*symbols, "AXUSDT", "AAUSDT"]:
        matched = [bool(re.fullmatch(each, symbol)) for each in (first, second)]
        assert matched == [symbol in symbols, symbol == "AXUSDT"]


def test_datasets_with_the_same_rules_share_a_group():
    plan = Plan(
        [
            planned("AUSDT", rules=["1h", "1d"]),
            planned("BUSDT", rules=["1h", "1d"], start="2024-03-02"),
        ],
        implied=[planned("CUSDT", rules=["1h"])],
    )

    assert groups(plan) == [("1m", ("1h", "1d")), ("1m", ("1h",))]
    assert patterns(plan) == ["AUSDT|BUSDT", "CUSDT"]


def test_a_group_is_named_after_market_and_interval_and_numbered_from_the_second_on():
    hours = planned("AUSDT", rules=["1h", "1h_5m"])
    days = planned("BUSDT", rules=["1d"])
    spot = planned("CUSDT", rules=["1h"], trade_type="spot")
    implied = planned("DUSDT", rules=["4h", "8h"])

    named = {
        group.rules: group.name
        for group in Plan([hours, days, spot], implied=[implied]).resample_groups
    }

    assert named == {
        ("1h", "1h_5m"): "um_futures_1m",
        ("1d",): "um_futures_1m_2",
        ("1h",): "spot_1m",
        ("4h",): "um_futures_1m_3",
        ("8h",): "um_futures_1m_4",
    }


def test_implied_datasets_add_groups_but_no_wishes():
    plan = Plan(
        [planned("AUSDT", rules=["1h"])], implied=[planned("BUSDT", rules=["4h"])]
    )

    assert groups(plan) == [("1m", ("1h",)), ("1m", ("4h",))]
    assert not any("BUSDT" in path for path in plan.resampled)


def test_two_datasets_that_would_write_one_resampled_file_are_refused():
    datasets = [
        planned("AUSDT", rules=["1h"]),
        planned("AUSDT", rules=["1h"], interval="5m"),
    ]

    with pytest.raises(ConfigError, match=r"1h/AUSDT\.pqt would be made from two base"):
        Plan(datasets)


def test_the_base_interval_is_that_of_the_symbols_rule_and_dataset():
    plan = Plan(
        [
            planned("AUSDT", rules=["1h"]),
            planned("AUSDT", "BUSDT", rules=["4h"], interval="5m"),
            planned("CUSDT", rules=["4h"]),
        ]
    )

    assert len(plan.resampled) == 4
    assert plan.base_interval(UM, "1h", "AUSDT") == "1m"
    assert plan.base_interval(UM, "4h", "AUSDT") == "5m"
    assert plan.base_interval(UM, "4h", "CUSDT") == "1m"


@pytest.mark.parametrize(
    ("market", "rule"), [(UM, "2h"), (SPOT, "1h")], ids=["rule", "market"]
)
def test_a_rule_that_no_dataset_of_the_market_has_is_refused(market, rule):
    plan = Plan([planned("AUSDT", rules=["1h"])])

    with pytest.raises(SelectionError, match=f"{market}: .*'{rule}'; add it"):
        plan.base_interval(market, rule, "AUSDT")


def test_a_target_that_is_configured_already_makes_no_second_group():
    configured = planned("AUSDT", rules=["1h", "1d"])
    implied = planned("AUSDT", rules=["1h"])

    groups = Plan([configured], implied=[implied]).resample_groups

    assert [group.rules for group in groups] == [("1h", "1d")]


AUSDT = Series(UM, "klines", "AUSDT", "1m")


FILL = Backfill(
    first_day=dt.date(2024, 3, 2), last_day=dt.date(2024, 3, 31), is_first=True
)


def asking(*symbols, **options):
    """Return a dataset whose symbols the API may be asked for."""
    fills = dict.fromkeys(symbols, FILL)
    return replace(planned(*symbols, **options), backfills=fills)


def phases_of(plan, *symbols):
    (group,) = (group for group in plan.resample_groups if group.has_phase)
    return [plan.phase_of(group, symbol) for symbol in symbols]


def test_the_phase_of_3d_bars_is_that_of_published_ones_else_of_the_api():
    plan = Plan(
        [
            asking("AUSDT", "BUSDT", rules=["3d_1d", "1h"]),
            planned("AUSDT", interval="3d"),
        ]
    )

    requested = "api_data/um_futures/klines/BUSDT/phase.json"
    assert phases_of(plan, "AUSDT", "BUSDT") == [
        ["results_data/um_futures/klines/3d/AUSDT.pqt"],
        [requested],
    ]
    assert requested in plan.api
    assert plan.phase_first_day("um_futures", "BUSDT") == dt.date(2024, 3, 2)


def test_without_an_api_nothing_tells_the_phase_of_3d_bars():
    plan = Plan([planned("AUSDT", rules=["3d"])])

    assert phases_of(plan, "AUSDT") == [[]]
    with pytest.raises(SelectionError, match="its klines are not requested"):
        plan.phase_first_day("um_futures", "AUSDT")


@pytest.mark.parametrize("rules", [["1h", "1w", "6d"], []], ids=str)
def test_rules_without_3d_bars_need_no_phase(rules):
    plan = Plan([asking("AUSDT", rules=rules)])

    assert not any(group.has_phase for group in plan.resample_groups)
    assert plan.api == [
        f"api_data/um_futures/klines/AUSDT/1m/all.{suffix}"
        for suffix in ("parquet", "sources.json")
    ]


def test_3d_bars_made_of_3d_bars_have_their_phase():
    plan = Plan([asking("AUSDT", interval="3d", rules=["3d"])])

    assert not any(group.has_phase for group in plan.resample_groups)


def test_partitions_are_in_time_order_with_their_days():
    plan = Plan([planned("AUSDT", years=(2023, 2024), start="2023-03-05")])

    path = "aws_data/um_futures/daily/klines/AUSDT/1m"
    assert plan.partitions(AUSDT) == {
        "2023": Partition(
            (f"{path}/2023.zip",), dt.date(2023, 3, 5), dt.date(2023, 3, 31)
        ),
        "2024": Partition((f"{path}/2024.zip",), None, dt.date(2024, 3, 31)),
    }
    assert plan.partition(AUSDT, "2024") == plan.partitions(AUSDT)["2024"]


def test_parsed_files_are_each_partition_and_its_sources():
    plan = Plan([planned("AUSDT", years=(2023, 2024), empty=["NEWUSDT"])])

    folder = "parsed_data/um_futures/klines/AUSDT/1m"
    assert plan.parsed == [
        f"{folder}/2023.parquet",
        f"{folder}/2023.sources.json",
        f"{folder}/2024.parquet",
        f"{folder}/2024.sources.json",
    ]


def test_partitions_of_settings_and_of_targets_are_selected():
    implied = planned("BUSDT", years=(2024,))
    plan = Plan([planned("AUSDT", years=(2023,))], implied=[implied])

    folder = "parsed_data/um_futures/klines"
    assert f"{folder}/AUSDT/1m/2023.sources.json" in plan.selected
    assert f"{folder}/BUSDT/1m/2024.sources.json" in plan.selected
    assert f"{folder}/BUSDT/1m/2023.sources.json" not in plan.selected


def test_a_partition_that_is_not_there_is_refused_with_those_that_are():
    plan = Plan([planned("AUSDT", years=(2023, 2024))])

    with pytest.raises(SelectionError, match=r"AUSDT 1m: .*; partitions: 2023, 2024"):
        plan.partition(AUSDT, "2025")


@pytest.mark.parametrize(
    "series",
    [
        pytest.param(AUSDT._replace(symbol="NEWUSDT"), id="no files"),
        pytest.param(AUSDT._replace(symbol="XUSDT"), id="unknown symbol"),
        pytest.param(AUSDT._replace(interval="5m"), id="other interval"),
        pytest.param(AUSDT._replace(trade_type=SPOT), id="other market"),
    ],
)
def test_a_series_without_files_is_refused_by_its_name(series):
    plan = Plan([planned("AUSDT", empty=["NEWUSDT"])])

    with pytest.raises(SelectionError, match=f"^{series}: the archive lists no file"):
        plan.partitions(series)


def test_the_settings_of_a_series_are_those_of_its_dataset():
    configured = planned("AUSDT", results={"vwap": False})
    plan = Plan([configured], implied=[planned("AUSDT"), planned("BUSDT")])

    assert plan.dataset(AUSDT) is configured.dataset
    assert plan.dataset(AUSDT._replace(symbol="BUSDT")).results.vwap is True
    with pytest.raises(SelectionError, match="CUSDT"):
        plan.dataset(AUSDT._replace(symbol="CUSDT"))


def test_each_file_is_in_one_batch():
    plan = Plan([planned("AUSDT", "BUSDT")], implied=[planned("AUSDT")])

    fetched = [path for batch in plan.batches for path in batch.zips]

    assert sorted(fetched) == sorted(plan.raw)
    assert len(set(fetched)) == 2


@pytest.mark.parametrize(
    ("target", "years_alone"),
    [
        pytest.param("{zip}", ["A2024"], id="a zip"),
        pytest.param("{zip}.CHECKSUM", ["A2024"], id="a CHECKSUM"),
        pytest.param(
            "parsed_data/um_futures/klines/AUSDT/1m/2024.parquet",
            ["A2024"],
            id="a partition",
        ),
        pytest.param(
            "api_data/um_futures/klines/AUSDT/1m/all.sources.json",
            ["A2023", "A2024"],
            id="a backfill",
        ),
        pytest.param(
            "results_data/um_futures/klines/1m/AUSDT.pqt",
            ["A2023", "A2024"],
            id="a result",
        ),
        pytest.param("results_all", ["A2023", "A2024", "B2023", "B2024"], id="all"),
        pytest.param(
            "parsed_data/spot/klines/AUSDT/1m/2024.parquet",
            ["A2023", "A2024", "B2023", "B2024"],
            id="of another market",
        ),
    ],
)
def test_what_a_target_names_is_downloaded_apart(target, years_alone):
    zips = "aws_data/um_futures/daily/klines/AUSDT/1m/2024.zip"
    named = NamedFiles.of([target.format(zip=zips)])
    plan = Plan([planned("AUSDT", "BUSDT", years=(2023, 2024))], named=named)

    first = plan.batches[0].zips

    assert [path.split("/")[4][0] + path[-8:-4] for path in first] == years_alone
    assert sum(len(batch.zips) for batch in plan.batches) == 4


def test_what_is_on_disk_has_a_batch_only_if_it_is_named_or_listed():
    on_disk = [planned("AUSDT", "BUSDT", state="present")]
    (path,) = planned("AUSDT").files["path"]

    assert Plan(on_disk).batches == []
    (batch,) = Plan(on_disk, named=NamedFiles.of([path])).batches
    assert (batch.state, batch.zips) == ("present", (path,))
    (batch,) = Plan(on_disk, lists_files=True).batches
    assert len(batch.zips) == 2


def test_a_plan_of_nothing_asks_for_nothing():
    plan = Plan([])

    assert plan.raw == plan.parsed == plan.results == plan.resampled == []
    assert plan.batches == plan.resample_groups == []


def split_rule(plan, symbol, trade_type=UM):
    return plan.split_rule(Series(trade_type, "klines", symbol, "1m"))


def test_contracts_on_shares_may_rest_longer_than_others():
    plan = Plan([planned("AUSDT", "AAPLUSDT")])

    assert split_rule(plan, "AUSDT") == SplitRule().model_dump()
    assert split_rule(plan, "AAPLUSDT")["min_days"] == 3


def test_what_the_exchange_says_of_a_contract_decides_how_long_it_may_rest():
    entry = {
        "contractType": "TRADIFI_PERPETUAL",
        "baseAsset": "A",
        "quoteAsset": "USDT",
    }
    plan = Plan([planned("AUSDT", "BUSDT")], known={UM: {"AUSDT": entry}})

    assert split_rule(plan, "AUSDT")["min_days"] == 3
    assert split_rule(plan, "BUSDT")["min_days"] == 1


def test_a_longer_rest_that_is_set_holds_for_all_contracts():
    split = {"min_days": 10, "min_price_change": 0.5, "enabled": False}
    split["max_price_ratio"] = 9.5
    plan = Plan([planned("AAPLUSDT", results={"split": split})])

    assert split.items() <= split_rule(plan, "AAPLUSDT").items()


@pytest.mark.parametrize(
    ("symbol", "size"),
    [("BTCUSD_PERP", 100.0), ("ETHUSD_PERP", 10.0), ("NEWUSD_PERP", 50.0)],
)
def test_contracts_are_worth_what_the_exchange_says_or_the_table_has(symbol, size):
    cm = TradeType.CM_FUTURES
    plan = Plan([], known={cm: {"NEWUSD_PERP": {"contractSize": 50.0}}})

    assert plan.contract_usd(cm, symbol) == size
    assert plan.contract_usd(UM, symbol) is None


def test_the_shortest_bars_say_when_the_funding_of_a_contract_ends():
    plan = Plan([planned("AUSDT", interval="1h"), planned("AUSDT", interval="5m")])

    gaps = plan.end_of_funding(Series("um_futures", "fundingRate", "AUSDT", None))

    assert gaps == ["results_data/um_futures/klines/5m/gaps/AUSDT.parquet"]
    assert plan.end_of_funding(Series("um_futures", "fundingRate", "X", None)) == []
