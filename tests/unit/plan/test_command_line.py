"""What was requested of Snakemake, by its command line."""

import pytest

from bhds.plan import command_line

PARSE = "parse_klines:trade_type=um_futures,symbol={},interval=1m,partition=2024"
JOB = ["snakemake", "--snakefile", "Snakefile", "--target-jobs"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        pytest.param(["snakemake", "--lint"], True, id="lint"),
        pytest.param(["snakemake", "-n", "all"], False, id="dry run"),
    ],
)
def test_lint_and_the_like_ask_nothing(arguments, expected):
    assert command_line.asks_nothing(arguments) is expected


@pytest.mark.parametrize(
    ("jobs", "symbols"),
    [
        ([PARSE.format("AUSDT")], {"AUSDT"}),
        (
            [PARSE.format("AUSDT"), PARSE.format("币安人生USDT")],
            {"AUSDT", "币安人生USDT"},
        ),
        (["resample_klines_x:symbol=AUSDT"], {"AUSDT"}),
        (["split_klines:trade_type=spot,interval=1m,segment=SP0_AUSDT"], {"AUSDT"}),
        ([PARSE.format("AUSDT"), "classify_days:trade_type=spot,interval=1m"], None),
        (["reconcile_volumes:trade_type=spot"], None),
    ],
)
def test_the_symbols_of_a_job_are_read_from_its_targets(jobs, symbols):
    command = [*JOB, *jobs, "--allowed-rules", "x:symbol=NOT"]

    assert command_line.symbols_of_job(command) == symbols


def test_the_rules_of_a_job_are_read_from_its_targets():
    command = [*JOB, PARSE.format("AUSDT"), "mine_write_report", "--cores", "1"]

    assert command_line.rules_of_job(command) == {"parse_klines", "mine_write_report"}


@pytest.mark.parametrize("arguments", [["snakemake", "--mode", "remote"], JOB])
def test_a_process_without_targets_may_run_any_rule_for_any_symbol(arguments):
    assert command_line.symbols_of_job(arguments) is None
    assert command_line.rules_of_job(arguments) is None
