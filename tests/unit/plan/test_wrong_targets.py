"""Targets that cannot be built."""

from pathlib import Path

import pytest

from bhds.plan import wrong_targets

NAMES = [
    "all",
    "raw_all",
    "results_all",
    "quality_all",
    "report",
    "fetch_archives_00000",
]
RESULT = "results_data/spot/klines/1m/BTCUSDT.pqt"
ZIP = "aws_data/spot/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2025-01-01.zip"


def find(*targets):
    return wrong_targets.find(
        targets,
        names=NAMES,
        data_dir=Path("/data/mine"),
        is_archived=lambda path: path in {ZIP, f"{ZIP}.CHECKSUM"},
    )


@pytest.mark.parametrize(
    "target",
    [
        *NAMES,
        RESULT,
        f"./{RESULT}",
        ZIP,
        f"{ZIP}.CHECKSUM",
        "parsed_data/spot/klines/BTCUSDT/1m/2025.parquet",
        "parsed_data/spot/klines/BTCUSDT/1s/2025-01.parquet",
        "parsed_data/um_futures/metrics/BTCUSDT/2025.parquet",
        "parsed_data/um_futures/metrics/BTCUSDT/2025.sources.json",
        "api_data/um_futures/klines/BTCUSDT/1m/all.parquet",
        "api_data/um_futures/fundingRate/BTCUSDT/all.sources.json",
        "results_data/um_futures/fundingRate/BTCUSDT.pqt",
        "results_data/spot/klines/1m/gaps/币安人生USDT.parquet",
        "results_data/spot/resampled_klines/1h_5m/BTCUSDT.pqt",
        "results_data/spot/split_klines/1m/segments.parquet",
        "results_data/spot/quality/condition-klines-1m.parquet",
        "reports/quality.html",
    ],
)
def test_what_can_be_built_is_accepted(target):
    assert find(target) == {}


@pytest.mark.parametrize(
    ("target", "nearest"),
    [
        ("result_all", "results_all"),
        ("/data/mine/" + RESULT, RESULT),
        ("mine/" + RESULT, RESULT),
        (RESULT.replace(".pqt", ".parquet"), RESULT),
        ("mine/" + RESULT.replace(".pqt", ".parquet"), RESULT),
        (RESULT.replace("klines", "kline"), RESULT),
        (
            "api_data/spot/klines/BTCUSDT/1m/2025.parquet",
            "api_data/spot/klines/BTCUSDT/1m/all.parquet",
        ),
        (RESULT.replace("/1m/", "/1min/"), RESULT),
        (RESULT.replace("results_data", "result_data"), RESULT),
        (
            "results_data/spot/quality/gaps-1m.pqt",
            "results_data/spot/quality/gaps-1m.parquet",
        ),
    ],
)
def test_the_nearest_target_is_named(target, nearest):
    message = find(RESULT, target)[target]

    assert message.startswith(f"{target}: no such target")
    assert f", as {nearest} (" in message


@pytest.mark.parametrize("target", ["nothing_like_it", "results_data/x.txt", "a b/c"])
def test_what_is_near_to_nothing_is_refused_without_a_guess(target):
    assert " below the data directory (" in find(target)[target]


def test_a_zip_that_the_archive_lacks_is_refused():
    target = ZIP.replace("2025-01-01", "2035-01-01")

    assert "the archive has no such file" in find(target, ZIP)[target]
