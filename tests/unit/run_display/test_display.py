"""What a run shows, from the records that Snakemake logs of it."""

import logging
import os
from types import SimpleNamespace

import pytest
from snakemake_interface_logger_plugins.common import LogEvent

from bhds.io.job_log import LOG_ONLY
from bhds.run_display import text
from bhds.run_display.log_handler import LogHandler
from bhds.run_display.run_state import MOST_LINES, RunState
from bhds.run_display.stages import STAGES, is_target, stage_of


def record(event=None, msg=None, level=logging.INFO, **values):
    made = logging.LogRecord("snakemake", level, "", 0, msg, (), None)
    vars(made).update(values)
    if event is not None:
        made.event = event
    return made


def stats(**rules):
    return record(LogEvent.RUN_INFO, stats=rules | {"total": sum(rules.values())})


def begins(number, rule, *, words="", log=None, output=()):
    return record(
        LogEvent.JOB_INFO,
        jobid=number,
        rule_name=rule,
        rule_msg=words,
        log=[] if log is None else [str(log)],
        output=list(output),
    )


def ends(number):
    return record(LogEvent.JOB_FINISHED, job_id=number)


def fails(number):
    return record(LogEvent.JOB_ERROR, "Error in rule x", logging.ERROR, jobid=number)


@pytest.fixture
def state(tmp_path):
    """A run whose clock stands still until it is set."""
    now = SimpleNamespace(s=0.0)
    made = RunState(clock=lambda: now.s, folder=tmp_path)
    made.now = now
    return made


@pytest.mark.parametrize(
    ("rule", "stage"),
    [
        ("fetch_archives_00012", "download"),
        ("parse_records", "parse"),
        ("backfill_phase", "backfill"),
        ("build_funding", "results"),
        ("resample_klines_um_futures_1m_2", "resample"),
        ("collect_segments", "split"),
        ("collect_conflicts", "quality"),
        ("write_report", "report"),
        ("mine_parse_klines", "parse"),
        ("results_all", None),
        ("split_all", None),
        ("fetch_archives", None),
        ("resample_klines", None),
        ("report", None),
        ("all", None),
        ("bhds_all", None),
        ("signals", None),
    ],
)
def test_rules_belong_to_stages_but_for_targets(rule, stage):
    found = stage_of(rule)

    assert (found and found.name) == stage
    assert is_target(rule) == (stage is None and rule != "signals")


def test_lines_count_the_jobs_of_running_stages_and_the_time_that_is_left(state):
    state.take(record(LogEvent.RESOURCES_INFO, cores=2))
    state.take(stats(parse_klines=3, build_results=1, all=1))
    for number in (1, 2, 3):
        state.take(begins(number, "parse_klines"))
    state.now.s = 10.0
    state.take(ends(1))
    state.take(record(LogEvent.PROGRESS, done=1, total=5))

    # 2 x 10 s of parsing and the usual 3 s of a result, on 2 cores.
    assert text.going_on(state, downloads=None, requests=7) == [
        "parse 1 of 3; 1 of 4 jobs, about 12 s left",
        "7 API requests",
    ]


def test_a_failed_job_is_one_line_with_its_reason_and_its_log(state, tmp_path):
    log = tmp_path / "logs" / "a.log"
    log.parent.mkdir()
    log.write_text(
        "2025-01-01 00:00:00,000 INFO bhds.x: read\n"
        "2025-01-01 00:00:01,000 ERROR root: a.zip: not a zip, fetch it again\n"
    )
    state.take(begins(1, "parse_klines", words="Parse a", log=log))
    rule_error = record(
        LogEvent.ERROR,
        "RuleException:\nin line 3",
        logging.ERROR,
        exception="RuleException",
    )

    assert state.take(rule_error) == []
    assert state.take(fails(1)) == [
        "bhds: failed: Parse a: a.zip: not a zip, fetch it again (logs/a.log)"
    ]
    assert state.take(fails(1)) == []
    assert state.failed == 1

    state.take(begins(2, "parse_klines", words="Parse b", log=log))
    assert state.take(fails(2)) == []  # it would be the same line
    assert state.failed == 2


def test_the_warnings_of_a_job_are_lines_until_there_are_many(state, tmp_path):
    log = tmp_path / "a.log"
    line = "2025-01-01 00:00:00,000 WARNING bhds.x: odd\n"
    log.write_text(line * (MOST_LINES + 5))
    state.take(begins(1, "parse_klines", log=log))

    lines = state.take(ends(1))

    assert lines[:-1] == ["bhds: warning: odd (a.log)"] * MOST_LINES
    assert lines[-1] == "bhds: further warnings are in the logs only"
    assert state.warnings == MOST_LINES + 5


def test_an_error_of_planning_is_shown(state):
    error = record(
        LogEvent.ERROR,
        "MissingRuleException:\nNo rule",
        logging.ERROR,
        exception="MissingRuleException",
    )

    assert state.take(error) == ["bhds: MissingRuleException:", "bhds: No rule"]


def test_a_dry_run_lists_the_symbols_that_lack_most_zips(state):
    folder = "aws_data/spot/daily/klines"
    zips = [
        f"{folder}/S{n:02}USDT/1m/S{n:02}USDT-1m-2024-01-{day:02}.zip"
        for n in range(1, 26)
        for day in range(1, n + 1)
    ]
    state.take(stats(fetch_archives_00000=1, parse_klines=25))
    state.take(stats(fetch_archives_00000=1, parse_klines=25))  # at the end again
    state.take(begins(1, "fetch_archives_00000", output=[*zips, "a.zip.CHECKSUM"]))

    lines = text.dry_run(state)

    assert lines[0] == "A run would do 26 jobs:"
    assert [line.split() for line in lines[1:3]] == [["download", "1"], ["parse", "25"]]
    assert lines[3] == "Zips to download: 325, of 25 symbols:"
    assert lines[4].split() == ["S25USDT", "25"]
    assert "  and 5 symbols more" in lines
    assert len(lines) < 60


def summed(state):
    return text.summary(state, seconds=100, size_bytes=2_500_000, requests=3)


def test_the_last_line_sums_up_the_run(state):
    state.take(stats(parse_klines=2))
    state.take(begins(1, "parse_klines"))
    state.take(ends(1))
    state.take(record(LogEvent.PROGRESS, done=1, total=3))
    state.take(begins(2, "parse_klines"))
    state.take(fails(2))
    failed = summed(state)
    state.take(record(LogEvent.PROGRESS, done=3, total=3))

    assert failed.startswith(
        "bhds: 1 jobs failed, 1 that need them were not run; 1 jobs in 2 min "
        "(parse 1); 2.5 MB downloaded; 3 API requests; the same command"
    )
    assert summed(state).startswith("bhds: done: 3 jobs in 2 min (parse 1)")


def test_nothing_to_do_is_said(state):
    state.take(record(msg="Nothing to be done (all requested files are present)."))

    assert summed(state).startswith("bhds: nothing to be done")
    assert text.dry_run(state)[0].startswith("Nothing to be done")


def test_jobs_leave_their_lines_to_the_display(capsys, monkeypatch):
    monkeypatch.delenv(LOG_ONLY, raising=False)
    handler = LogHandler(SimpleNamespace(dryrun=False), None)
    try:
        assert LOG_ONLY in os.environ
        handler.emit(stats(parse_klines=1))
        handler.emit(begins(1, "parse_klines"))
        handler.emit(ends(1))
        handler.emit(record(LogEvent.PROGRESS, done=1, total=1))
    finally:
        handler.close()

    assert LOG_ONLY not in os.environ
    assert capsys.readouterr().err.startswith("bhds: done: 1 jobs in 0 s (parse 1)")


def test_a_stage_has_one_name():
    assert len({stage.name for stage in STAGES}) == len(STAGES)
