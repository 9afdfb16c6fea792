"""The folders that hold files of BHDS."""

import pytest

from bhds.core.markets import Frequency, TradeType
from bhds.status.folders import FolderKind, Stage, folders

UM = TradeType.UM_FUTURES


def kind(data_type, interval, stage, frequency=None):
    return FolderKind(UM, data_type, interval, stage, frequency)


@pytest.mark.parametrize(
    ("path", "expected", "symbol"),
    [
        (
            "aws_data/um_futures/daily/klines/龙虾USDT/1m",
            kind("klines", "1m", Stage.RAW, Frequency.DAILY),
            "龙虾USDT",
        ),
        (
            "aws_data/um_futures/monthly/fundingRate/AUSDT",
            kind("fundingRate", None, Stage.RAW, Frequency.MONTHLY),
            "AUSDT",
        ),
        (
            "parsed_data/um_futures/markPriceKlines/AUSDT/1h",
            kind("markPriceKlines", "1h", Stage.PARSED),
            "AUSDT",
        ),
        (
            "api_data/um_futures/fundingRate/AUSDT",
            kind("fundingRate", None, Stage.API),
            "AUSDT",
        ),
        (
            "results_data/um_futures/fundingRate",
            kind("fundingRate", None, Stage.RESULTS),
            None,
        ),
        (
            "results_data/um_futures/resampled_klines/1h_5m",
            kind("klines", "1h_5m", Stage.RESAMPLED),
            None,
        ),
        (
            "results_data/um_futures/split_klines/1m",
            kind("klines", "1m", Stage.SPLIT),
            None,
        ),
    ],
)
def test_a_folder_is_known_by_its_path(tmp_path, path, expected, symbol):
    (tmp_path / path).mkdir(parents=True)

    (found,) = folders(tmp_path)

    assert (found.kind, found.symbol) == (expected, symbol)
    assert found.path == f"{tmp_path}/{path}"


def test_what_lies_beside_results_is_of_the_same_kind(tmp_path):
    (tmp_path / "results_data/um_futures/klines/1m/gaps").mkdir(parents=True)

    found = list(folders(tmp_path))

    assert {folder.kind for folder in found} == {kind("klines", "1m", Stage.RESULTS)}
    assert f"{tmp_path}/results_data/um_futures/klines/1m/gaps" in {
        folder.path for folder in found
    }


@pytest.mark.parametrize(
    "path",
    [
        "aws_data/.staging/x",
        "aws_data/um_futures/daily/unknown/AUSDT",
        "aws_data/um_futures/daily/klines/.hidden/1m",
        "logs/parse_klines",
        "results_data/um_futures/quality",
    ],
)
def test_other_folders_are_left_alone(tmp_path, path):
    (tmp_path / path).mkdir(parents=True)

    assert list(folders(tmp_path)) == []
