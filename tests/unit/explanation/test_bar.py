"""Where a bar came from, and why there is none."""

import contextlib
import datetime as dt
import hashlib
import shutil

import polars as pl
import pytest

from bhds.core.errors import SelectionError
from bhds.explanation import explain
from bhds.io import storage

from .conftest import DataDir

SYMBOL = "龙虾USDT"


def at(text):
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def explained(data, time, *, symbol=SYMBOL):
    return explain(
        data.root,
        trade_type="um_futures",
        interval="1h",
        symbol=symbol,
        time=at(time),
    )


def test_a_published_bar_is_traced_to_the_line_of_its_zip(data, hours, as_json):
    path = data.publish("2025-03-01", hours("2025-03-01", 24))
    data.build()

    found = explained(data, "2025-03-01T05:59:59.9")

    assert found.state == "bar"
    assert found.open_time == at("2025-03-01T05:00")
    assert (found.bar["open"], found.bar["source"]) == (100.0, "daily")
    (row,) = found.publications
    assert row.text == (
        "1740805200000,100.0,101.0,99.0,100.5,2.5,1740808799999,250.0,7,1.5,150.0,0"
    )
    assert (row.line, row.outcome, row.read_from) == (6, "kept", "zip")
    assert row.fields[:3] == ("open_time", "open", "high")
    (archive,) = found.zips
    assert archive.key == row.key
    assert archive.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert archive.published_sha256 == archive.sha256_on_disk == archive.sha256
    assert archive.integrity_status == "ok"
    (revision,) = archive.revisions
    assert (revision.number, revision.is_used) == (1, True)
    assert archive.listed_etag == archive.etag == revision.etag
    assert found.segment["number"] == 0
    assert found.segment["last_open_time"] == at("2025-03-01T23:00")
    assert found.condition["condition"] == "available"
    assert found.warnings == ()
    document = as_json(found)
    assert document["open_time"] == "2025-03-01T05:00:00+00:00"
    assert document["zips"][0]["is_on_disk"] is True


def test_of_two_publications_the_daily_one_is_kept(data, hours):
    data.publish("2025-03", hours("2025-03-01", 48, price=90.0))
    data.publish("2025-03-02", hours("2025-03-02", 24))
    data.build()

    kept, dropped = sorted(
        explained(data, "2025-03-02T01:00").publications,
        key=lambda row: row.outcome,
        reverse=True,
    )

    assert (kept.source, kept.values["open"]) == ("daily", 100.0)
    assert (dropped.source, dropped.values["open"]) == ("monthly", 90.0)
    assert dropped.outcome == "dropped"
    assert dropped.reason == "daily takes precedence over monthly"
    (conflict,) = explained(data, "2025-03-02T01:00").conflicts
    assert (conflict["open"], conflict["kept_open"]) == (90.0, 100.0)


def test_of_two_lines_of_one_zip_the_later_is_kept(data, hours):
    rows = hours("2025-03-01", 24)
    data.publish("2025-03-01", [*rows[:6], (rows[5][0], 95.0, 7), *rows[6:]])
    data.build()

    found = explained(data, "2025-03-01T05:00")

    assert [(row.line, row.outcome) for row in found.publications] == [
        (6, "dropped"),
        (7, "kept"),
    ]
    assert found.bar["open"] == 95.0
    assert found.publications[0].reason == "a later line of the zip has the same time"
    assert found.warnings == ()


def test_a_bar_whose_zip_is_gone_is_told_from_the_partition(data, hours):
    path = data.publish("2025-03-01", hours("2025-03-01", 24))
    data.build()
    path.unlink()

    found = explained(data, "2025-03-01T05:00")

    (row,) = found.publications
    assert (row.read_from, row.text, row.line) == ("partition", None, None)
    assert row.values["open"] == 100.0
    assert row.key == found.zips[0].key
    assert not found.zips[0].is_on_disk
    assert found.warnings == ()


def test_a_zip_of_another_revision_is_told_loudly(data, hours):
    data.publish("2025-03-01", hours("2025-03-01", 24))
    data.build()
    newer = at("2025-03-11T00:00")
    data.publish("2025-03-01", hours("2025-03-01", 24, price=80.0), seen=newer)

    found = explained(data, "2025-03-01T05:00")

    (archive,) = found.zips
    assert archive.is_another_revision
    assert [(r.number, r.is_used) for r in archive.revisions] == [(1, True), (2, False)]
    assert any("ANOTHER REVISION" in warning for warning in found.warnings)
    assert any("the server lists another" in warning for warning in found.warnings)
    outcomes = {row.read_from: row.outcome for row in found.publications}
    assert outcomes == {"zip": "not_used", "partition": "kept"}


def test_rows_of_a_corrupt_zip_are_not_used(data, hours):
    data.publish("2025-03-01", hours("2025-03-01", 24))
    path = data.publish("2025-03-02", hours("2025-03-02", 24), checksum="0" * 64)
    path.write_bytes(path.read_bytes()[:-30])
    data.build()

    found = explained(data, "2025-03-02T05:00")

    assert found.zips[0].integrity_status == "corrupt"
    assert found.zips[0].reason
    assert found.bar is None
    assert found.publications == ()
    assert found.state == "after_trading"


def test_a_bar_of_the_api_is_told_with_the_answer(data, hours):
    data.publish("2025-03-01", hours("2025-03-01", 24))
    asked = at("2025-03-10T09:30")
    data.fill(
        [(at("2025-03-02"), at("2025-03-03"), "filled", 24)],
        hours("2025-03-02", 24, price=70.0),
        requested_at=asked,
    )
    data.build()

    found = explained(data, "2025-03-02T05:00")

    assert found.bar["source"] == "api"
    (row,) = found.publications
    assert (row.source, row.outcome, row.answered_at) == ("api", "kept", asked)
    assert row.values["open"] == 70.0
    (requested,) = found.missing_ranges
    assert (requested.status, requested.found, requested.answered_at) == (
        "filled",
        24,
        asked,
    )
    assert found.warnings == ()


def test_a_bar_of_an_earlier_year_is_found_in_the_first_fill(data, hours):
    data.publish("2025-03-01", hours("2025-03-01", 24))
    data.fill(
        [(at("2024-12-31T20:00"), at("2025-03-01"), "part", 28)],
        hours("2024-12-31T20:00", 28),
    )
    data.build()

    found = explained(data, "2024-12-31T22:00")

    assert found.bar["source"] == "api"
    assert [row.source for row in found.publications] == ["api"]
    assert [each.status for each in found.missing_ranges] == ["part"]
    assert found.warnings == ()


def test_an_answer_that_was_not_needed_is_told_as_not_used(data, hours):
    data.publish("2025-03-01", hours("2025-03-01", 24))
    data.fill([(at("2025-03-01"), at("2025-03-02"), "empty", 0)], [])
    folder = data.root / f"api_data/um_futures/klines/{SYMBOL}/1h"
    journal = folder / "all.answers.jsonl"
    open_ms = 1740805200000
    row = f"[{open_ms},70.0,71.0,69.0,70.5,2.5,{open_ms + 3599999},250.0,7,1.5,150.0]"
    journal.write_text(journal.read_text().replace('"rows":[]', f'"rows":[{row}]'))
    data.build()

    found = explained(data, "2025-03-01T05:00")

    outcomes = {row.source: row.outcome for row in found.publications}
    assert outcomes == {"daily": "kept", "api": "not_used"}
    api = next(row for row in found.publications if row.source == "api")
    assert (api.values["open"], api.values["quote_volume"]) == (70.0, 250.0)


def test_a_bar_of_the_api_with_trades_goes_before_an_empty_one(data, hours):
    data.publish(
        "2025-03-01", [*hours("2025-03-01", 12), *hours("2025-03-01T12", 12, trades=0)]
    )
    data.fill(
        [(at("2025-03-01T12"), at("2025-03-02"), "filled", 12)],
        hours("2025-03-01T12", 12, price=70.0),
    )
    data.build()

    found = explained(data, "2025-03-01T15:00")

    assert found.bar["source"] == "api"
    dropped = next(row for row in found.publications if row.source == "daily")
    assert dropped.outcome == "dropped"
    assert dropped.reason == "it has no trades, what was kept has"


def test_a_filled_bar_is_told_with_its_gap_and_what_the_api_said(data, hours):
    data.publish("2025-03-01", [*hours("2025-03-01", 6), *hours("2025-03-01T09", 15)])
    data.fill([(at("2025-03-01T06"), at("2025-03-01T09"), "empty", 0)], [])
    data.build()

    found = explained(data, "2025-03-01T07:30")

    assert found.bar["source"] == "filled"
    assert found.publications == ()
    assert found.gap["prev_open_time"] == at("2025-03-01T05:00")
    assert found.gap["next_open_time"] == at("2025-03-01T09:00")
    assert (found.gap["class"], found.gap["api"]) == ("halt", "empty")
    assert found.missing_ranges[0].status == "empty"
    assert found.condition["condition"] == "degraded"
    assert "halt" in found.summary
    assert found.warnings == ()


@pytest.fixture(scope="module")
def built(tmp_path_factory, hours):
    """Build a data directory with a halt of 3 days, and a lower price after it."""
    data = DataDir(tmp_path_factory.mktemp("halted"))
    with contextlib.chdir(data.root):
        fill_halted(data, hours)
    return data.root


def fill_halted(data, hours):
    data.publish("2025-03-01", hours("2025-03-01", 24))
    data.publish("2025-03-05", hours("2025-03-05", 24, price=50.0))
    data.fill([(at("2025-03-02"), at("2025-03-05"), "empty", 0)], [])
    data.build()


@pytest.fixture
def halted(built, data):
    """Copy the data directory with a halt, which a test may change."""
    shutil.copytree(built, data.root, dirs_exist_ok=True)
    return data


def test_a_segment_is_told_with_its_ends(halted):
    first = explained(halted, "2025-03-01T12:00").segment
    second = explained(halted, "2025-03-05T12:00").segment

    assert first == {
        "number": 0,
        "first_open_time": at("2025-03-01T00:00"),
        "last_open_time": at("2025-03-01T23:00"),
    }
    assert second == {
        "number": 1,
        "first_open_time": at("2025-03-05T00:00"),
        "last_open_time": at("2025-03-05T23:00"),
    }


def test_without_the_gaps_beside_the_result_the_bar_is_explained(halted):
    (halted.root / f"results_data/um_futures/klines/1h/gaps/{SYMBOL}.parquet").unlink()

    found = explained(halted, "2025-03-05T12:00")

    assert (found.state, found.gap) == ("bar", None)
    assert found.segment["first_open_time"] == at("2025-03-05T00:00")


def test_between_segments_the_gap_tells_why_there_is_no_bar(halted):
    found = explained(halted, "2025-03-03T12:00")

    assert found.state == "between_segments"
    assert found.bar is None
    assert found.gap["split"]
    assert found.gap["class"] in found.summary


@pytest.mark.parametrize(
    ("time", "state"),
    [
        ("2025-02-28T23:59", "before_trading"),
        ("2025-03-01T00:00", "bar"),
        ("2025-03-05T23:59", "bar"),
        ("2025-03-06T00:00", "after_trading"),
        ("2025-03-10T00:00", "not_built"),
    ],
)
def test_outside_of_its_life_a_symbol_has_no_bar(halted, time, state):
    assert explained(halted, time).state == state


def test_a_symbol_that_has_ended_is_not_to_be_built_again(data, hours):
    """Its result ends with its life, while the market goes on."""
    data.publish("2025-03-01", hours("2025-03-01", 24))
    data.build(last_day="2025-03-03", judged_until="2025-05-31")

    found = explained(data, "2025-05-10")

    assert found.state == "after_trading"
    assert found.summary.startswith("no bar: after the last, 2025-03-01 23:00")
    assert explained(data, "2025-06-01").state == "not_built"
    ends = {"龙虾USDT": dt.date(2025, 3, 3)}
    data.build(last_day="2025-03-03", judged_until="2025-05-31", ends=ends)
    assert explained(data, "2025-05-10").state == "not_built"


def test_a_symbol_last_built_before_the_others_is_not_built_after_that(data, hours):
    data.publish("2025-03-01", hours("2025-03-01", 24))
    data.build(last_day="2025-03-01", judged_until="2025-03-09")
    table = "results_data/um_futures/quality/condition-klines-1h.parquet"
    others = pl.read_parquet(table).with_columns(symbol=pl.lit("OTHERUSDT"))
    storage.write_parquet(others, table, metadata={"as_of": "2025-03-09"})

    found = explained(data, "2025-03-05")

    assert found.state == "not_built"
    assert found.summary.startswith("no bar: the result was built until 2025-03-01")


def test_after_the_end_the_condition_of_the_day_tells_why(halted):
    found = explained(halted, "2025-03-08")

    assert found.gap is None
    assert f"the day is {found.condition['condition']}" in found.summary


def test_a_missing_bar_is_told_where_nothing_is_filled(data, hours):
    data.publish("2025-03-01", [*hours("2025-03-01", 6), *hours("2025-03-01T09", 15)])
    data.build(fill=False)

    found = explained(data, "2025-03-01T07:30")

    assert found.state == "missing"
    assert "without fills" in found.summary


def test_funding_events_of_the_bar_are_told(data, hours):
    data.publish("2025-03-01", hours("2025-03-01", 24))
    data.fund((at("2025-03-01T08:00"), 0.0001), (at("2025-03-01T16:00"), 0.0002))
    data.build()

    (event,) = explained(data, "2025-03-01T08:20").funding

    assert (event.funding_time, event.funding_rate) == (at("2025-03-01T08:00"), 0.0001)
    assert explained(data, "2025-03-01T09:20").funding == ()


def test_funding_that_the_result_leaves_out_is_not_told_as_joined(data, hours):
    data.publish("2025-03-01", hours("2025-03-01", 24))
    data.build()
    data.fund((at("2025-03-01T08:00"), 0.0001))

    found = explained(data, "2025-03-01T08:20")

    assert found.bar["funding_rate"] is None
    assert found.funding == ()


@pytest.mark.parametrize(
    ("time", "state", "why"),
    [
        ("2025-03-01T01:00", "before_trading", "the result begins later"),
        ("2025-03-05T23:00", "after_trading", "the symbol has ended"),
    ],
)
def test_what_was_published_is_not_kept_where_there_is_no_bar(
    data, hours, time, state, why
):
    begin = [(moment, price, 0) for moment, price, _ in hours("2025-03-01", 2)]
    end = [(moment, price, 0) for moment, price, _ in hours("2025-03-05T22", 2)]
    traded = hours("2025-03-05", 22, price=150.0)
    data.publish("2025-03-01", [*begin, *hours("2025-03-01T02", 22)])
    data.publish("2025-03", [*traded, *end])
    data.build(has_ended=True)

    found = explained(data, time)

    assert (found.state, found.bar) == (state, None)
    (row,) = found.publications
    assert row.outcome == "not_used"
    assert why in row.reason


def test_bars_combined_on_one_grid_point_are_all_kept(data, hours):
    late = (at("2025-03-01T05:30"), 60.0, 3)
    rows = hours("2025-03-01", 24)
    data.publish("2025-03-01", [*rows[:6], late, *rows[6:]])
    data.build()

    found = explained(data, "2025-03-01T05:10")

    assert [row.outcome for row in found.publications] == ["kept", "kept"]
    assert found.bar["low"] == 59.0
    assert found.warnings == ()


def test_a_partition_that_changed_since_is_told(data, hours):
    data.publish("2025-03-01", hours("2025-03-01", 24))
    data.build()
    result = data.root / f"results_data/um_futures/klines/1h/{SYMBOL}.pqt"
    old = result.read_bytes()
    data.publish("2025-03-01", hours("2025-03-01", 24, price=80.0))
    data.build()
    result.write_bytes(old)

    warnings = explained(data, "2025-03-01T05:00").warnings

    assert any("another state of this partition" in warning for warning in warnings)
    assert any("differs from its publication" in warning for warning in warnings)


def test_an_unknown_symbol_is_refused_with_the_nearest(halted):
    with pytest.raises(SelectionError, match=f"did you mean '{SYMBOL}'"):
        explained(halted, "2025-03-01", symbol="龙虾USDC")


def test_a_symbol_that_is_only_parsed_is_told_how_to_be_built(halted):
    (halted.root / f"results_data/um_futures/klines/1h/{SYMBOL}.pqt").unlink()

    with pytest.raises(SelectionError, match=r"bhds generate kline um_futures 1h"):
        explained(halted, "2025-03-01")


def test_without_tables_of_the_market_the_bar_is_explained_all_the_same(halted):
    for path in (halted.root / "results_data/um_futures/quality").iterdir():
        path.unlink()

    found = explained(halted, "2025-03-03T12:00")

    assert found.condition is None
    assert found.gap["class"] is None
    assert "not classified" in found.summary
