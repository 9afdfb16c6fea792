"""Where the files of a series go."""

import pytest

from bhds.core.markets import TradeType
from bhds.plan.series import ResampleGroup, Series

UM = TradeType.UM_FUTURES


@pytest.mark.parametrize(
    ("series", "below", "name"),
    [
        (
            Series(UM, "klines", "AUSDT", "1m"),
            "um_futures/klines/AUSDT/1m",
            "um_futures klines AUSDT 1m",
        ),
        (
            Series(UM, "fundingRate", "币安人生USDT", None),
            "um_futures/fundingRate/币安人生USDT",
            "um_futures fundingRate 币安人生USDT",
        ),
    ],
)
def test_partitions_and_fills_lie_in_folders_of_the_same_name(series, below, name):
    assert series.folder == f"parsed_data/{below}"
    assert series.backfill_folder == f"api_data/{below}"
    assert str(series) == name


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (("um_futures", "1h", "AUSDT"), True),
        (("um_futures", "1h", "BUSDT"), False),
        (("um_futures", "4h", "AUSDT"), False),
        (("spot", "1h", "AUSDT"), False),
    ],
)
def test_a_group_makes_the_files_of_its_rules_and_symbols(asked, expected):
    group = ResampleGroup(
        UM, "1m", ("1h", "1d"), has_phase=False, symbol_pattern="AUSDT|AAUSDT"
    )

    assert group.makes(*asked) is expected
