"""One fill from partition to file, against the sandbox."""

import datetime as dt
import hashlib
from pathlib import Path

import polars as pl
import pytest

from bhds import config
from bhds.backfill import api_use, refusal, unanswered
from bhds.core.errors import ApiError
from bhds.core.markets import TradeType
from bhds.io import storage
from bhds.stages import backfill

UM = TradeType.UM_FUTURES
GOLDEN = {5: "f3ab5b5ea05fc03d"}
"""Digests of `test_a_fill_changes_only_with_the_revision`, by `job.REVISION`."""


def at(day, hour=0):
    return dt.datetime(2025, 3, day, hour, tzinfo=dt.UTC)


def without(rows, *spans):
    time = pl.col("open_time")
    inside = (time.is_between(*span, closed="left") for span in spans)
    return rows.filter(~pl.any_horizontal(*inside))


def test_a_fill_is_what_all_partitions_lack_together(workspace):
    whole = workspace.published()
    rows = without(whole, (at(6, 3), at(6, 5)), (at(7), at(8)))
    is_early = pl.col("open_time") < at(8)
    early = workspace.parse(rows.filter(is_early), days=[5, 6], name="2024")
    late = workspace.parse(rows.filter(~is_early), days=[8, 9], name="2025")

    fill = workspace.write_backfill(early + late)

    merged = pl.concat([rows, fill]).sort("open_time")
    assert merged.drop("source").equals(whole.drop("source"))
    assert [hole["reason"] for hole in workspace.told()["missing_ranges"]] == [
        "missing",
        "missing_file",
    ]


def test_answers_of_an_earlier_layout_are_taken_over_and_its_files_removed(workspace):
    rows = without(workspace.published(), (at(6, 3), at(6, 5)))
    inputs = workspace.parse(rows)
    fill = workspace.write_backfill(inputs)
    requests = workspace.asked
    for path in (workspace.fill, workspace.sources, workspace.answers):
        Path(path).rename(path.replace("/all.", "/2025."))

    assert workspace.write_backfill(inputs).equals(fill)

    assert workspace.asked == requests
    assert sorted(path.name for path in Path(workspace.folder).iterdir()) == [
        *("all.answers.jsonl", "all.parquet", "all.sources.json")
    ]


def test_a_fill_is_what_the_partition_lacks(workspace):
    whole = workspace.published()
    rows = without(whole, (at(6, 3), at(6, 5)), (at(8, 20), at(9, 2)))

    fill = workspace.write_backfill(workspace.parse(rows))

    merged = pl.concat([rows, fill]).sort("open_time")
    assert merged.drop("source").equals(whole.drop("source"))
    assert set(fill["source"]) == {"api"}
    told = workspace.told()
    assert told["rows"] == fill.height == 2 + 6
    assert told["unanswered"] is None
    assert told["missing_ranges"][0] == {
        "start": "2025-03-06T03:00:00+00:00",
        "end": "2025-03-06T05:00:00+00:00",
        "reason": "missing",
        "expected": 2,
        "found": 2,
        "status": "filled",
    }
    assert [hole["reason"] for hole in told["missing_ranges"][1:]] == [
        "truncated",
        "missing",
    ]


def test_a_history_is_asked_for_its_first_bar_once(workspace):
    inputs = workspace.parse(workspace.published())

    assert workspace.write_backfill(inputs).is_empty()
    assert workspace.write_backfill(inputs).is_empty()

    assert workspace.exchange.requests.total() == workspace.asked == 1
    assert workspace.told()["missing_ranges"] == []


@pytest.mark.parametrize(
    ("lost", "days", "reasons"),
    [
        pytest.param(at(5, 7), range(5, 10), ["missing"], id="hours of the first day"),
        pytest.param(at(8), range(5, 10), ["missing"], id="days of the first file"),
        pytest.param(at(8), range(8, 10), ["missing_file"], id="days before it"),
        pytest.param(at(10), range(5, 10), ["missing"], id="all of its rows"),
    ],
)
def test_a_history_begins_with_the_first_bar_that_anyone_has(
    workspace, lost, days, reasons
):
    whole = workspace.published()
    rows = without(whole, (at(1), lost))

    fill = workspace.write_backfill(workspace.parse(rows, days=days))

    assert pl.concat([fill, rows]).drop("source").equals(whole.drop("source"))
    assert [hole["reason"] for hole in workspace.told()["missing_ranges"]] == reasons


def test_bars_of_an_earlier_year_are_in_the_first_fill(workspace):
    symbol = workspace.exchange.universe.symbols[0]
    listed = dt.datetime(2024, 12, 30, tzinfo=dt.UTC)
    object.__setattr__(symbol, "listed", listed)
    rows = workspace.published().filter(pl.col("open_time") >= at(8))

    fill = workspace.write_backfill(workspace.parse(rows, days=range(8, 10)))

    assert fill["open_time"].min() == listed
    assert fill["open_time"].max() == at(7, 23)
    assert workspace.told()["first_day"] == "2024-12-30"


def test_no_bars_before_the_start_are_asked_for(workspace):
    rows = without(workspace.published(), (at(1), at(8)))

    fill = workspace.write_backfill(workspace.parse(rows), since=dt.date(2025, 3, 7))

    assert fill["open_time"].min() == at(7)


def test_a_refused_symbol_is_recorded_with_its_code(workspace):
    workspace.exchange.api_faults.add(
        "refuse",
        status=400,
        times=None,
        symbol="AUSDT",
        code=-1122,
        message="Invalid symbol status.",
    )
    inputs = workspace.parse(without(workspace.published(), (at(7), at(8))))

    fill = workspace.write_backfill(inputs)

    assert fill.is_empty()
    told = workspace.told()
    assert told["refused"] == {"code": -1122, "message": "Invalid symbol status."}
    assert [hole["status"] for hole in told["missing_ranges"]] == ["refused"]
    assert told["unanswered"] is None
    assert unanswered.count(workspace.data_dir) == 0
    assert "-1122" in refusal.message(workspace.data_dir)

    # It is not asked for again at once, but after a refusal of the market or the place.
    workspace.exchange.api_faults.clear()
    assert workspace.write_backfill(inputs).is_empty()
    later = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=1)
    assert workspace.write_backfill(inputs, requested_at=later.isoformat()).height == 24
    assert workspace.told()["refused"] is None


def test_a_fill_says_what_it_was_made_from(workspace):
    inputs = workspace.parse(without(workspace.published(), (at(7), at(8))))

    workspace.write_backfill(inputs)

    metadata = storage.read_parquet_metadata(workspace.fill)
    assert metadata["stage"] == "backfill"
    assert metadata["revision"] == str(backfill.REVISION)
    assert metadata["as_of"] == "2025-03-09"
    assert (
        metadata["inputs"] == hashlib.sha256(Path(inputs[0]).read_bytes()).hexdigest()
    )


def test_a_whole_partition_needs_no_request(workspace):
    inputs = workspace.parse(workspace.published())

    fill = workspace.write_backfill(inputs, is_first=False)

    assert fill.is_empty()
    assert fill.schema == workspace.bars.schema
    assert workspace.exchange.requests.total() == 0
    assert not Path(workspace.answers).exists()
    assert api_use.read(workspace.data_dir).is_empty()


def test_without_a_partition_all_is_asked_for(workspace):
    fill = workspace.write_backfill([])

    assert fill.drop("source").equals(workspace.published().drop("source"))
    assert {hole["reason"] for hole in workspace.told()["missing_ranges"]} == {"tail"}


def test_answers_that_are_no_longer_needed_are_forgotten(workspace):
    rows = workspace.published()
    inputs = workspace.parse(without(rows, (at(7), at(8))))
    workspace.write_backfill(inputs, is_first=False)
    assert Path(workspace.answers).exists()

    assert workspace.write_backfill(workspace.parse(rows), is_first=False).is_empty()

    assert not Path(workspace.answers).exists()


def test_what_the_api_does_not_have_is_empty_and_not_asked_for_again(workspace):
    workspace.exchange.api_withhold(UM, "AUSDT", at(7), at(7, 12))
    inputs = workspace.parse(without(workspace.published(), (at(7), at(8))))
    workspace.write_backfill(inputs)

    fill = workspace.write_backfill(inputs)

    assert fill.height == 12
    assert workspace.asked == 2
    assert [h["status"] for h in workspace.told()["missing_ranges"]] == ["part"]


def test_a_symbol_that_the_api_does_not_know_is_answered(workspace):
    workspace.exchange.set_now(at(4))  # before it was listed

    fill = workspace.write_backfill([])

    assert fill.is_empty()
    asked = workspace.asked
    workspace.write_backfill([])
    assert workspace.asked == asked


def test_what_the_exchange_has_not_come_to_is_pending_and_asked_for_later(workspace):
    workspace.exchange.set_now(at(9, 6))
    workspace.write_backfill([])
    assert [hole["status"] for hole in workspace.told()["missing_ranges"]] == [
        "pending"
    ]
    assert workspace.told()["missing_ranges"][0]["found"] == 4 * 24 + 6

    workspace.exchange.set_now(at(10))
    fill = workspace.write_backfill([])

    assert fill["open_time"].max() == at(9, 23)


def test_offline_nothing_is_asked_and_the_fill_says_so(workspace):
    inputs = workspace.parse(without(workspace.published(), (at(7), at(8))))

    fill = workspace.write_backfill(inputs, offline=True)

    assert fill.is_empty()
    assert workspace.exchange.requests.total() == 0
    assert "offline" in workspace.told()["unanswered"]
    assert [hole["status"] for hole in workspace.told()["missing_ranges"]] == [
        "unanswered"
    ]
    assert unanswered.count(workspace.data_dir) == 1

    workspace.write_backfill(inputs, requested_at="2025-03-10T00:00:00+00:00")
    assert unanswered.count(workspace.data_dir) == 0


@pytest.mark.parametrize("status", [403, 451])
def test_a_refusal_leaves_a_fill_that_says_so_and_is_not_repeated(workspace, status):
    workspace.exchange.api_faults.add("refuse", status=status, times=None)
    inputs = workspace.parse(without(workspace.published(), (at(7), at(8))))

    workspace.write_backfill(inputs)
    asked = workspace.exchange.requests.total()
    workspace.write_backfill(inputs)

    assert workspace.exchange.requests.total() == asked
    assert str(status) in workspace.told()["unanswered"]
    assert refusal.known(workspace.data_dir, "um_futures") is not None


def test_a_failure_keeps_what_was_answered_and_leaves_no_fill(workspace):
    rows = without(workspace.published(), (at(5, 6), at(5, 8)))
    inputs = workspace.parse(rows)
    workspace.write_backfill(inputs)
    Path(workspace.fill).unlink()
    Path(workspace.sources).unlink()
    content = Path(workspace.answers).read_bytes()
    workspace.exchange.api_faults.add("refuse", status=400, times=None, code=-1100)

    with pytest.raises(ApiError):
        workspace.write_backfill(workspace.parse(without(rows, (at(8), at(9)))))

    assert not Path(workspace.fill).exists()
    assert not Path(workspace.sources).exists()
    assert Path(workspace.answers).read_bytes() == content
    assert api_use.read(workspace.data_dir).height == 2


def test_a_fill_changes_only_with_the_revision(workspace):
    inputs = workspace.parse(without(workspace.published(), (at(7), at(8))))

    fill = workspace.write_backfill(inputs)

    digest = hashlib.sha256(fill.write_csv().encode()).hexdigest()[:16]
    assert digest == GOLDEN.get(backfill.REVISION), (
        "the fill has other rows: raise job.REVISION and record the new digest"
    )


def test_impossible_bars_are_requested_and_replaced_by_possible_ones(workspace):
    whole = workspace.published()
    is_wrong = pl.col("open_time").is_in([at(6, 3), at(6, 4), at(8, 7)])
    rows = whole.with_columns(low=pl.when(is_wrong).then(0.0).otherwise("low"))

    fill = workspace.write_backfill(workspace.parse(rows))

    assert fill.drop("source").equals(whole.filter(is_wrong).drop("source"))
    told = workspace.told()
    assert [
        (hole["start"][:13], hole["reason"], hole["expected"], hole["found"])
        for hole in told["missing_ranges"]
    ] == [("2025-03-06T03", "impossible", 2, 2), ("2025-03-08T07", "impossible", 1, 1)]
    assert told["days"] == []


def test_impossible_bars_of_the_api_replace_none_and_are_counted(
    workspace, monkeypatch
):
    whole = workspace.published()
    wrong = pl.col("open_time").is_in([at(6, 3), at(6, 4), at(7, 5)])
    frame = workspace.bars.frame

    def spoiled(_, rows):
        return frame(rows).with_columns(
            high=pl.when(wrong).then(1e-9).otherwise("high")
        )

    rows = whole.with_columns(
        close=pl.when(pl.col("open_time") == at(6, 3)).then(-1.0).otherwise("close")
    )
    inputs = workspace.parse(without(rows, (at(6, 4), at(6, 6)), (at(7, 5), at(7, 6))))
    monkeypatch.setattr(type(workspace.bars), "frame", spoiled)

    fill = workspace.write_backfill(inputs)

    assert fill["open_time"].to_list() == [at(6, 4), at(6, 5), at(7, 5)]
    assert workspace.told()["days"] == [
        {"day": f"2025-03-0{day}", "expected": None, "present": 0, "impossible": 1}
        for day in (6, 7)
    ]


def test_the_funding_of_a_contract_begins_with_the_first_event_of_the_api(workspace):
    fill = "api_data/um_futures/fundingRate/AUSDT/all.parquet"
    bounds = {
        "first_day": dt.date(2025, 3, 7),
        "last_day": dt.date(2025, 3, 8),
        "is_first": True,
        "is_last": True,
        "requested_at": None,
    }
    raw = {
        "endpoints": workspace.endpoints,
        "datasets": [{"trade_type": "um_futures"}],
    }

    backfill.write_backfill(
        [],
        backfill_path=fill,
        sources_path=fill.replace(".parquet", ".sources.json"),
        bounds=bounds,
        settings=config.load(raw, environment={}),
        trade_type="um_futures",
        data_type="fundingRate",
        symbol="AUSDT",
    )

    times = pl.read_parquet(fill)["funding_time"]
    assert times.min() == at(5, 8)
    assert times.max() == at(8, 16)
    assert times.diff().drop_nulls().unique().to_list() == [dt.timedelta(hours=8)]
