"""The commands that build results: what they ask Snakemake for."""

import pytest

from bhds.cli import generate
from bhds.cli.options import RunOptions


@pytest.fixture
def asked(monkeypatch):
    """Return what Snakemake would be asked for: one (datasets, targets) a call."""
    calls = []

    def keep(_, datasets, targets, **options):
        calls.append((datasets, targets, options))
        return 0

    monkeypatch.setattr(generate, "build", keep)
    return calls


def rules(dataset):
    return [resample.rule.name for resample in dataset.results.resample]


def test_results_are_built_without_longer_bars(bhds_in, asked):
    result = bhds_in("generate", "kline", "um_futures", "1h", "AUSDT", "--dry-run")

    assert result.exit_code == 0, result.output
    (((dataset,), targets, options),) = asked
    assert targets == ["results_all"]
    assert dataset.symbols == ["AUSDT"]
    assert rules(dataset) == []
    assert options == {"run": RunOptions(cores=None, dry_run=True)}


def test_options_of_results_go_before_the_settings(bhds_in, asked):
    bhds_in(
        *(
            "generate",
            "kline",
            "um_futures",
            "1h",
            "--funding",
            "--no-vwap",
            "--no-fill",
        ),
        *("--min-days", "3", "--min-price-change", "0.5", "--start", "2024-02-01"),
        *("--max-price-ratio", "10"),
    )

    ((dataset,), _, _) = asked[0]
    results = dataset.results
    assert (results.funding, results.vwap, results.fill) == (True, False, False)
    assert (results.split.min_days, results.split.min_price_change) == (3, 0.5)
    assert results.split.max_price_ratio == 10
    assert results.split.enabled
    assert str(dataset.start) == "2024-02-01"

    bhds_in("generate", "kline", "um_futures", "1h", "--no-split")
    ((dataset,), _, _) = asked[1]
    assert not dataset.results.split.enabled


def test_what_is_not_given_is_as_the_settings_say(bhds_in, asked):
    bhds_in("generate", "kline", "um_futures", "1h")

    ((dataset,), _, _) = asked[0]
    assert not dataset.results.funding  # as the settings of these tests say
    assert dataset.results.vwap


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["4h"], ["4h"]),
        (["1h_5m,1d"], ["1h_5m", "1d"]),
        (["4h", "--base-offset", "1h"], ["4h", "4h_1h", "4h_2h", "4h_3h"]),
        (
            ["1h", "--base-offset", "25m"],
            ["1h", "1h_25m", "1h_50m"],
        ),
        (
            ["4h,2h", "--base-offset", "1h"],
            [*("4h", "4h_1h", "4h_2h", "4h_3h"), *("2h", "2h_1h")],
        ),
    ],
)
def test_rules_are_made_of_lengths_and_offsets(bhds_in, asked, arguments, expected):
    rule, *more = arguments
    bhds_in("generate", "resample", "um_futures", rule, *more, "--from", "5m")

    ((dataset,), targets, _) = asked[0]
    assert targets == ["resampled_all"]
    assert dataset.interval == "5m"
    assert rules(dataset) == expected


def test_rules_of_the_settings_stay_and_none_comes_twice(bhds_in, asked, configfile):
    text = configfile.read_text()
    configfile.write_text(
        text.replace(
            "funding: false", "{funding: false, resample: [{interval: 1d}]}"
        ).replace("results:\n    {", "results: {")
    )

    bhds_in("generate", "resample", "um_futures", "1d,4h", "--from", "1h")

    ((dataset,), _, _) = asked[0]
    assert rules(dataset) == ["1d", "4h"]


@pytest.mark.parametrize(
    ("rule", "offset", "words"),
    [
        ("1h", "2h", "'2h' of 1h"),
        ("1h", "1h", "'1h' of 1h"),
        ("1h_5m", "10m", "'10m' of 1h_5m"),
        ("1mo", "1d", "'1d' of 1mo"),
        ("1x", "5m", "'1x'"),
        ("1h", "5", "interval '5'"),
    ],
)
def test_an_offset_that_does_not_fit_is_refused(bhds_in, asked, rule, offset, words):
    result = bhds_in(
        "generate", "resample", "um_futures", rule, "--base-offset", offset
    )

    assert result.exit_code == 1
    assert words in str(result.exception)
    assert asked == []


def test_gaps_of_all_symbols_are_classified(bhds_in, asked, monkeypatch):
    monkeypatch.setattr(generate, "build", lambda *args, **_: asked.append(args) or 3)

    result = bhds_in("generate", "gaps", "um_futures", "1h")
    bhds_in("generate", "gaps", "um_futures", "1h", "AUSDT")

    assert result.exit_code == 3
    assert [targets for _, _, targets in asked] == [
        ["results_all", "results_data/um_futures/quality/gaps-1h.parquet"],
        ["results_all"],
    ]
