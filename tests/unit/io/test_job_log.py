"""What a job leaves in its log and on standard error."""

import errno
import logging
from pathlib import Path

import pytest

from bhds.core.errors import BhdsError, ConfigError, ParseError
from bhds.io.job_log import job_log, one_line_errors

logger = logging.getLogger("bhds.test_runlog")


@pytest.fixture(autouse=True)
def root_level():
    """Put back the level of the root logger, which a job's process keeps."""
    root = logging.getLogger()
    before = root.level
    yield
    root.setLevel(before)


@pytest.fixture
def log(tmp_path):
    return tmp_path / "logs" / "parse_klines" / "spot.log"


def fail(error, *, log):
    with job_log(log):
        logger.info("begun")
        raise error


def handlers():
    return list(logging.getLogger().handlers)


def test_records_go_to_the_file_with_time_level_and_name(log):
    with job_log(log):
        logger.info("%s: %d rows", "币安人生USDT", 3)
        logger.debug("not this")

    (line,) = log.read_text(encoding="utf-8").splitlines()
    assert line.endswith(" INFO bhds.test_runlog: 币安人生USDT: 3 rows")
    assert line[:4].isdigit()


def test_a_log_tells_of_one_run_only(log):
    for run in ("first", "second"):
        with job_log(log):
            logger.info("%s run", run)

    text = log.read_text()
    assert "second run" in text
    assert "first run" not in text


def test_an_explained_error_ends_the_process_in_one_line(log):
    error = ParseError("AUSDT-1m-2024-01.zip: empty; fetch it")

    with pytest.raises(SystemExit) as ended:
        fail(error, log=log)

    # The interpreter prints a code that is no number, and exits with 1.
    assert ended.value.code == ("bhds: error: AUSDT-1m-2024-01.zip: empty; fetch it")
    begun, last = log.read_text().splitlines()
    assert begun.endswith("begun")
    assert last.endswith("ERROR root: AUSDT-1m-2024-01.zip: empty; fetch it")


def test_a_message_with_percent_signs_is_logged_as_it_is(log):
    with pytest.raises(SystemExit):
        fail(BhdsError("key 'a%20b %s %d'"), log=log)

    assert log.read_text().endswith("key 'a%20b %s %d'\n")


def test_any_other_error_goes_on_and_leaves_its_traceback(log):
    with pytest.raises(ZeroDivisionError, match="by naught"):
        fail(ZeroDivisionError("by naught"), log=log)

    text = log.read_text()
    assert "ERROR root: the job failed" in text
    assert "Traceback (most recent call last)" in text
    assert "ZeroDivisionError: by naught" in text


@pytest.mark.parametrize(
    "error", [ParseError("bad"), ValueError("bad"), KeyboardInterrupt()], ids=repr
)
def test_the_file_is_let_go_whatever_happens(log, error):
    before = handlers()

    with pytest.raises((SystemExit, ValueError, KeyboardInterrupt)):
        fail(error, log=log)
    logger.error("afterwards")

    assert handlers() == before
    assert "afterwards" not in log.read_text()


def test_the_file_is_let_go_after_success(log):
    before = handlers()

    with job_log(log):
        assert len(handlers()) > len(before)

    assert handlers() == before


def raise_in_one_line(error):
    with one_line_errors():
        raise error


def test_one_line_errors_end_the_process_in_one_line():
    with pytest.raises(SystemExit, match=r"^bhds: error: datasets: missing$"):
        raise_in_one_line(ConfigError("datasets: missing"))


def test_what_may_not_be_looked_at_is_told_in_one_line():
    with pytest.raises(SystemExit, match=r"^bhds: error: /data/spot: .*rights or"):
        raise_in_one_line(PermissionError(13, "Permission denied", "/data/spot"))


def test_one_line_errors_let_other_errors_pass():
    with pytest.raises(ValueError, match=r"^a defect$"):
        raise_in_one_line(ValueError("a defect"))


def test_a_full_disk_ends_the_job_in_one_line(log):
    with pytest.raises(
        SystemExit, match=r"^bhds: error: /data/a: No space left.*lost$"
    ):
        fail(OSError(errno.ENOSPC, "No space left on device", "/data/a"), log=log)

    assert "Traceback" not in log.read_text()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no disk is always full")
def test_a_log_that_does_not_fit_is_one_warning(log, capsys):
    log.parent.mkdir(parents=True)
    log.symlink_to("/dev/full")

    with job_log(log):
        logger.info("first")
        logger.info("second")

    (line,) = capsys.readouterr().err.splitlines()
    assert line == (
        f"bhds: warning: {log}: No space left on device; the log is not complete"
    )


def test_a_log_that_cannot_be_begun_ends_the_job_in_one_line(log, monkeypatch):
    def refuse(*_arguments, **_options):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "mkdir", refuse)

    with pytest.raises(
        SystemExit, match=r"^bhds: error: .*spot\.log: cannot be written"
    ):
        fail(AssertionError, log=log)
