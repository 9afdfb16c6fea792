"""What the API answered, kept beside the fill."""

import datetime as dt
import logging

import pytest

from bhds.backfill.response_journal import Answer, Journal, outstanding
from bhds.core.timegrid import Span

NOW = dt.datetime(2025, 3, 10, 12, tzinfo=dt.UTC)
NOW_MS = int(NOW.timestamp() * 1000)
HOUR = 3_600_000
LONG_AGO = Span(NOW_MS - 1000 * HOUR, NOW_MS - 990 * HOUR)
TODAY = Span(NOW_MS - 20 * HOUR, NOW_MS - 10 * HOUR)


def extent(row):
    """Rows here are hours."""
    return Span(row[0], row[0] + HOUR)


def left(wanted, *answers, now=NOW):
    return outstanding([wanted], answers, now=now, extent=extent)


def answer(span, *rows, requested_at=NOW):
    return Answer(span, requested_at, rows)


def test_without_answers_everything_is_outstanding():
    assert left(TODAY) == [TODAY]


@pytest.mark.parametrize("later", [0, 400], ids=["at once", "weeks later"])
def test_what_the_api_did_not_have_long_after_is_asked_no_more(later):
    now = NOW + dt.timedelta(hours=later)

    assert left(LONG_AGO, answer(LONG_AGO), now=now) == []


@pytest.mark.parametrize(
    ("later", "expected"),
    [
        pytest.param(1, [], id="a run that is repeated does not ask again"),
        pytest.param(24, [TODAY], id="that of the next day does"),
        pytest.param(-1, [TODAY], id="an answer of the future is none: a wrong clock"),
    ],
)
def test_a_young_answer_without_rows_is_believed_for_a_while(later, expected):
    assert left(TODAY, answer(TODAY), now=NOW + dt.timedelta(hours=later)) == expected


def test_an_answer_of_the_future_tells_nothing_but_its_rows():
    """The clock was a year ahead: then all that was asked for seemed long over."""
    ahead = answer(
        TODAY, (TODAY.start_ms, 1.5), requested_at=NOW + dt.timedelta(days=365)
    )

    assert left(TODAY, ahead) == [(TODAY.start_ms + HOUR, TODAY.end_ms)]


def test_rows_that_came_are_not_asked_for_again_whatever_their_age():
    rows = [(TODAY.start_ms + 2 * HOUR, 1.5), (TODAY.start_ms + 3 * HOUR, 1.5)]

    outcome = left(TODAY, answer(TODAY, *rows), now=NOW + dt.timedelta(days=1))

    assert outcome == [
        (TODAY.start_ms, TODAY.start_ms + 2 * HOUR),
        (TODAY.start_ms + 4 * HOUR, TODAY.end_ms),
    ]


def test_answers_outlive_the_process(tmp_path):
    path = tmp_path / "deep" / "2025.answers.jsonl"
    first = answer(LONG_AGO, (LONG_AGO.start_ms, 0.1, None))
    Journal(path).append(first)
    Journal(path).append(answer(TODAY))

    assert Journal(path).answers == [first, answer(TODAY)]


def test_answers_of_development_versions_are_read(tmp_path):
    Journal(tmp_path / "a.jsonl").append(answer(TODAY, (TODAY.start_ms, 1.5)))
    text = (tmp_path / "a.jsonl").read_text()
    (tmp_path / "a.jsonl").write_text(text.replace("requested_at", "asked_at"))

    (found,) = Journal(tmp_path / "a.jsonl").answers

    assert found == answer(TODAY, (TODAY.start_ms, 1.5))


def test_an_answer_that_was_cut_by_a_kill_is_left_out_and_written_over(
    tmp_path, caplog
):
    path = tmp_path / "2025.answers.jsonl"
    Journal(path).append(answer(LONG_AGO, (1, 2.5)))
    whole = path.read_bytes()
    Journal(path).append(answer(TODAY, (3, 4.5)))
    path.write_bytes(path.read_bytes()[:-5])

    with caplog.at_level(logging.WARNING):
        journal = Journal(path)

    assert journal.answers == [answer(LONG_AGO, (1, 2.5))]
    assert "are incomplete" in caplog.text
    assert path.read_bytes() == whole
    journal.append(answer(TODAY))
    assert len(Journal(path).answers) == 2


@pytest.mark.parametrize("line", [b"{}\n", b"[]\n", b'{"start_ms": 1}\n', b"\xff\n"])
def test_what_is_no_answer_ends_the_journal(tmp_path, line):
    path = tmp_path / "2025.answers.jsonl"
    path.write_bytes(line)

    assert Journal(path).answers == []


def test_answers_to_what_is_no_longer_wanted_are_forgotten(tmp_path):
    path = tmp_path / "2025.answers.jsonl"
    journal = Journal(path)
    journal.append(answer(LONG_AGO))
    journal.append(answer(TODAY))

    journal.keep([Span(TODAY.start_ms + 1, TODAY.start_ms + 2)])
    assert Journal(path).answers == journal.answers == [answer(TODAY)]

    journal.keep([])
    assert not path.exists()
