"""Which results are cut into segment files, and where these go."""

import pytest

from bhds.core.errors import SelectionError
from bhds.core.markets import TradeType
from bhds.plan.plan import Plan
from bhds.plan.segment_files import SegmentFiles

from .conftest import planned

UM = TradeType.UM_FUTURES
SPOT = TradeType.SPOT
SPLIT = {"split": {"files": True}}


def segments_of(*datasets):
    return SegmentFiles(Plan(list(datasets)))


def test_results_with_segment_files_are_those_of_their_datasets():
    segments = segments_of(
        planned("AUSDT", "BUSDT", empty=["NEWUSDT"], results=SPLIT),
        planned("CUSDT"),
        planned("AUSDT", results=SPLIT, interval="1h"),
        planned("AUSDT", results=SPLIT, trade_type="spot"),
    )

    assert segments.results("um_futures", "1m") == [
        "results_data/um_futures/klines/1m/AUSDT.pqt",
        "results_data/um_futures/klines/1m/BUSDT.pqt",
    ]
    assert segments.series == [(SPOT, "1m"), (UM, "1h"), (UM, "1m")]


def test_two_datasets_of_a_series_share_one_table_of_segments():
    segments = segments_of(
        planned("AUSDT", results=SPLIT), planned("BUSDT", results=SPLIT)
    )

    assert segments.series == [(UM, "1m")]
    assert len(segments.results("um_futures", "1m")) == 2


@pytest.mark.parametrize(
    "series", [("um_futures", "1m"), ("spot", "1m"), ("um_futures", "1h")]
)
def test_segments_that_nobody_asked_for_are_refused(series):
    segments = segments_of(planned("AUSDT"))

    assert segments.series == []
    with pytest.raises(SelectionError, match=r"set `results\.split\.files: true`"):
        segments.results(*series)


def test_segment_files_are_plain_and_resampled():
    segments = segments_of(
        planned("AUSDT", rules=["1h", "1h_5m"], results=SPLIT),
        planned("BUSDT", rules=["2h"]),
        planned("CUSDT", rules=["4h"], results=SPLIT, interval="5m"),
        planned("AUSDT", rules=["8h"], results=SPLIT, trade_type="spot"),
    )

    root = "results_data/um_futures"
    names = {"SP0_AUSDT": "AUSDT", "AUSDT": "AUSDT"}
    assert sorted(segments.paths("um_futures", "1m", names)) == [
        f"{root}/split_klines/1m/AUSDT.pqt",
        f"{root}/split_klines/1m/SP0_AUSDT.pqt",
        f"{root}/split_resampled_klines/1h/AUSDT.pqt",
        f"{root}/split_resampled_klines/1h/SP0_AUSDT.pqt",
        f"{root}/split_resampled_klines/1h_5m/AUSDT.pqt",
        f"{root}/split_resampled_klines/1h_5m/SP0_AUSDT.pqt",
    ]
    assert segments.folders("um_futures", "1m") == [
        f"{root}/split_klines/1m",
        f"{root}/split_resampled_klines/1h",
        f"{root}/split_resampled_klines/1h_5m",
    ]


def test_segment_files_follow_the_rules_of_their_symbols_dataset():
    segments = segments_of(
        planned("AUSDT", rules=["1h", "4h"], results=SPLIT),
        planned("BUSDT", rules=["1h"], results=SPLIT),
    )

    found = segments.paths("um_futures", "1m", {"AUSDT": "AUSDT", "BUSDT": "BUSDT"})

    rules = {tuple(path.split("/")[-2:]) for path in found if "resampled" in path}
    assert rules == {("1h", "AUSDT.pqt"), ("4h", "AUSDT.pqt"), ("1h", "BUSDT.pqt")}
