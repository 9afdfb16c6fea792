"""Fills that were refused an answer."""

import datetime as dt

import pytest

from bhds.backfill import unanswered

NOW = dt.datetime(2025, 3, 10, 12, tzinfo=dt.UTC)
PATH = "api_data/spot/klines/BTCUSDT/1m/all.parquet"


def test_a_fill_that_was_always_answered_leaves_no_trace(tmp_path):
    unanswered.record(tmp_path, PATH, requested_at=None, is_answered=True)

    assert list(tmp_path.iterdir()) == []
    assert unanswered.requested_at(tmp_path, now=NOW) == {}


def test_a_fill_is_made_again_until_it_is_answered_and_then_no_more(tmp_path):
    later = NOW + dt.timedelta(days=1)
    unanswered.record(tmp_path, PATH, requested_at=None, is_answered=False)
    assert unanswered.requested_at(tmp_path, now=NOW) == {PATH: NOW.isoformat()}
    assert unanswered.count(tmp_path) == 1

    unanswered.record(tmp_path, PATH, requested_at=NOW.isoformat(), is_answered=True)
    assert unanswered.requested_at(tmp_path, now=later) == {PATH: NOW.isoformat()}
    assert unanswered.count(tmp_path) == 0


def test_a_fill_whose_answer_expires_is_complete_until_then_and_made_again(tmp_path):
    expires_at = NOW + dt.timedelta(hours=12)
    unanswered.record(
        tmp_path, PATH, requested_at=None, is_answered=True, expires_at=expires_at
    )

    before = expires_at - dt.timedelta(seconds=1)
    assert unanswered.requested_at(tmp_path, now=before) == {}
    assert unanswered.requested_at(tmp_path, now=expires_at) == {
        PATH: expires_at.isoformat()
    }
    assert unanswered.count(tmp_path) == 0


def test_fills_that_still_lack_an_answer_are_named_with_the_last_refusal(tmp_path):
    other = PATH.replace("BTC", "ETH")
    for path in (PATH, other, PATH):
        unanswered.record(tmp_path, path, requested_at=None, is_answered=False)
    unanswered.record(tmp_path, other, requested_at=NOW.isoformat(), is_answered=True)

    lacking = unanswered.open_backfills(tmp_path)

    assert lacking.columns == ["path", "recorded_at"]
    assert lacking["path"].to_list() == [PATH]


@pytest.mark.parametrize("is_answered", [True, False])
def test_merging_what_jobs_recorded_changes_nothing(tmp_path, is_answered):
    unanswered.record(tmp_path, PATH, requested_at=None, is_answered=False)
    unanswered.record(tmp_path, PATH, requested_at="then", is_answered=is_answered)
    before = unanswered.requested_at(tmp_path, now=NOW)

    assert unanswered.compact(tmp_path) == 2

    assert unanswered.requested_at(tmp_path, now=NOW) == before
    assert unanswered.compact(tmp_path) == 0
