"""Revisions: which inputs were replaced, and what is recorded of their rows."""

import datetime as dt
import errno
import json
import os

import polars as pl
import pytest

from bhds.archive.download import ledger
from bhds.archive.integrity.zip_input import FilePeriod
from bhds.core.errors import KeyGrammarError, ParseError
from bhds.core.markets import TradeType
from bhds.io import storage
from bhds.parse import revisions
from bhds.parse.differences import ColumnDifference, RowDifference
from bhds.parse.revisions import Revised, RevisionKind, revised_inputs
from bhds.schemas.archive_tables import REVISIONS
from bhds.schemas.datatypes import data_type

SERIES = {
    "trade_type": "spot",
    "data_type": "klines",
    "symbol": "BTCUSDT",
    "interval": "1h",
    "partition": "2024",
}
SCHEMA = data_type("klines").table(TradeType.SPOT).schema
SEEN = dt.datetime(2024, 5, 1, 12, tzinfo=dt.UTC)


def key(period):
    frequency = "daily" if period.count("-") == 2 else "monthly"
    return f"data/spot/{frequency}/klines/BTCUSDT/1h/BTCUSDT-1h-{period}.zip"


def sources_of(zips, *, first_day=None, last_day=None, **changes):
    """Sources of a partition made of zips, given as a sha256 by period."""
    inputs = [{"key": key(name), "sha256": digest} for name, digest in zips.items()]
    days = {"first_day": first_day, "last_day": last_day}
    return SERIES | {"revision": 1, "inputs": inputs} | days | changes


def bars(day, count=2, *, source="daily", **values):
    """The first hourly bars of a day."""
    begin = dt.datetime.fromisoformat(day).replace(tzinfo=dt.UTC)
    times = [begin + dt.timedelta(hours=number) for number in range(count)]
    rows = {
        name: [1 if dtype.is_integer() else 1.0] * count
        for name, dtype in SCHEMA.items()
    }
    rows |= {"open_time": times, "close_time": times, "source": [source] * count}
    return pl.DataFrame(rows | values, schema=SCHEMA)


# --- which inputs were replaced -------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        pytest.param({"2024-03": "a"}, {"2024-03": "a"}, [], id="the same"),
        pytest.param({"2024-03": "a"}, {"2024-03": "a", "2024-04": "b"}, [], id="new"),
        pytest.param(
            {"2024-02": "a", "2024-03": "b"},
            {"2024-03": "c", "2024-02": "a"},
            [("2024-03", "b", "c", "2024-03")],
            id="another revision",
        ),
        pytest.param(
            {"2024-03-02": "b", "2024-03-01": "a"},
            {"2024-03": "c"},
            [
                ("2024-03-01", "a", None, "2024-03-01"),
                ("2024-03-02", "b", None, "2024-03-02"),
            ],
            id="days replaced by their month",
        ),
        pytest.param(
            {"2024-03": "a"},
            {"2024-03-01": "b"},
            [("2024-03", "a", None, "2024-03")],
            id="a month replaced by days",
        ),
    ],
)
def test_zips_with_another_revision_and_zips_that_left_are_found(old, new, expected):
    found = revised_inputs(sources_of(old), sources_of(new))

    assert found == [
        Revised(key(name), before, after, FilePeriod.parse(days))
        for name, before, after, days in expected
    ]


def test_the_kind_tells_whether_a_zip_was_replaced_by_itself():
    superseded, revised = revised_inputs(
        sources_of({"2024-03": "a", "2024-04-01": "b"}),
        sources_of({"2024-03": "c", "2024-04": "d"}),
    )

    assert revised.kind is RevisionKind.REVISED
    assert superseded.kind is RevisionKind.SUPERSEDED


def test_only_days_that_both_partitions_may_hold_count():
    old = sources_of({"2024-01": "a", "2024-02": "a"}, last_day="2024-02-10")
    new = sources_of({"2024-02": "b"}, first_day="2024-02-05", last_day="2024-02-20")

    (found,) = revised_inputs(old, new)

    assert found.key == key("2024-02")
    assert found.days == FilePeriod(dt.date(2024, 2, 5), dt.date(2024, 2, 11))


def test_an_input_that_is_no_file_of_the_archive_is_refused():
    old = sources_of({}, inputs=[{"key": "data/A.zip", "sha256": "a"}])

    with pytest.raises(KeyGrammarError, match=r"data/A\.zip"):
        revised_inputs(old, sources_of({}))


# --- the table ------------------------------------------------------------------------


def test_a_zip_has_a_row_for_each_column_that_changed_and_one_without_any():
    zips = [
        Revised(key("2024-01"), "a", "b", FilePeriod.parse("2024-01")),
        Revised(key("2024-02-01"), "c", None, FilePeriod.parse("2024-02-01")),
        Revised(key("2024-03"), "d", "e", FilePeriod.parse("2024-03")),
    ]
    columns = {
        "low": ColumnDifference(2, 1.5, 0.25),
        "close_time": ColumnDifference(1, None, None),
    }
    differences = [RowDifference(9, 8, 1, 2, 3, columns), RowDifference(5, 5), None]

    frame = revisions.changes(
        sources_of({}),
        differences=zip(zips, differences, strict=True),
        noticed_at=dict.fromkeys((zip_.key for zip_ in zips), SEEN),
    )

    assert frame.schema == REVISIONS
    assert frame.select(*SERIES).unique().row(0, named=True) == SERIES
    assert frame["noticed_at"].to_list() == [SEEN] * 4
    first = (dt.date(2024, 1, 1), dt.date(2024, 1, 31))
    assert frame.drop(*SERIES, "noticed_at").rows() == [
        (key("2024-01"), "a", "b", *first, 9, 8, 1, 2, 3, "low", 2, 1.5, 0.25),
        (key("2024-01"), "a", "b", *first, 9, 8, 1, 2, 3, "close_time", 1, None, None),
        (
            *(key("2024-02-01"), "c", None, dt.date(2024, 2, 1), dt.date(2024, 2, 1)),
            *(5, 5, 0, 0, 0, None, None, None, None),
        ),
        (
            *(key("2024-03"), "d", "e", dt.date(2024, 3, 1), dt.date(2024, 3, 31)),
            *(None,) * 9,
        ),
    ]


def test_what_is_recorded_is_read_before_and_after_compaction(tmp_path):
    zip_ = Revised(key("2024-01"), "a", "b", FilePeriod.parse("2024-01"))
    rows = revisions.changes(
        sources_of({}), differences=[(zip_, None)], noticed_at={zip_.key: SEEN}
    )

    revisions.record(tmp_path, rows=rows)
    before = revisions.read(tmp_path)
    merged = revisions.compact(tmp_path)

    assert merged == 1
    assert before.equals(rows)
    assert revisions.read(tmp_path, columns=["key"]).rows() == [(zip_.key,)]
    assert pl.read_parquet(tmp_path / "aws_data/revisions.parquet").equals(rows)


def test_a_broken_table_is_named(tmp_path):
    path = tmp_path / "aws_data/revisions.parquet"
    path.parent.mkdir()
    path.touch()

    with pytest.raises(
        ParseError, match=r"revisions\.parquet: cannot be read .*report"
    ):
        revisions.read(tmp_path)


# --- what a parse records -------------------------------------------------------------


class Series:
    """A partition on disk, and what was recorded of its replacements."""

    def __init__(self, data_dir):
        self.data_dir = data_dir
        self.partition = data_dir / "parsed_data/2024.parquet"
        self.sources = data_dir / "parsed_data/2024.sources.json"

    def write(self, frame, sources):
        """Do as the parse job does: replace the sources, then the partition."""
        storage.write_json(sources, self.sources)
        storage.write_parquet(frame, self.partition, metadata={}, symbol="AUSDT")

    def rewrite(self, frame, sources):
        with self.recording():
            self.write(frame, sources)
        return self.recorded()

    def recording(self):
        return revisions.recording(
            self.partition, sources_path=self.sources, data_dir=self.data_dir
        )

    def recorded(self):
        return revisions.read(self.data_dir).rows(named=True)

    def files(self):
        return sorted(path.name for path in self.partition.parent.iterdir())


@pytest.fixture
def series(tmp_path):
    return Series(tmp_path)


WRITTEN = ["2024.parquet", "2024.sources.json"]
OLD, NEW = sources_of({"2024-03-01": "a"}), sources_of({"2024-03-01": "b"})


def test_a_revised_zip_is_recorded_with_what_changed_in_its_rows(series):
    other = bars("2024-03-02")
    old, new = bars("2024-03-01", low=[1.0, 4.0]), bars("2024-03-01", low=[1.0, 3.0])
    series.write(
        pl.concat([old, other]), sources_of({"2024-03-01": "a", "2024-03-02": "o"})
    )
    began = dt.datetime.now(dt.UTC)

    (row,) = series.rewrite(
        pl.concat([new, other.with_columns(low=pl.lit(7.0))]),
        sources_of({"2024-03-01": "b", "2024-03-02": "o"}),
    )

    assert row.pop("noticed_at") >= began
    assert row == SERIES | {
        "key": key("2024-03-01"),
        "old_sha256": "a",
        "new_sha256": "b",
        "first_day": dt.date(2024, 3, 1),
        "last_day": dt.date(2024, 3, 1),
        "rows_before": 2,
        "rows_after": 2,
        "rows_added": 0,
        "rows_removed": 0,
        "rows_changed": 1,
        "column": "low",
        "column_rows_changed": 1,
        "max_abs_change": 1.0,
        "max_rel_change": 0.25,
    }
    assert series.files() == WRITTEN


def test_days_that_gave_way_to_their_month_are_compared_with_it(series):
    days = {"2024-03-01": "a", "2024-03-02": "b"}
    old = pl.concat([bars("2024-03-01"), bars("2024-03-02")])
    month = [bars(f"2024-03-0{day}", day + 1, source="monthly") for day in (1, 2, 3)]
    series.write(old, sources_of(days))

    rows = series.rewrite(pl.concat(month), sources_of({"2024-03": "m"}))

    assert [(row["key"], row["new_sha256"]) for row in rows] == [
        (key(day), None) for day in days
    ]
    assert [row["rows_added"] for row in rows] == [0, 1]
    assert [row["rows_changed"] for row in rows] == [0, 0]


def test_trades_are_compared_by_their_ids(series):
    table = data_type("trades").table(TradeType.SPOT)
    names = {"data_type": "trades", "interval": None, "partition": "2024-03"}
    trade = "data/spot/daily/trades/BTCUSDT/BTCUSDT-trades-2024-03-01.zip"
    time = dt.datetime(2024, 3, 1, 12, tzinfo=dt.UTC)

    def trades(*ids, price):
        rows = [(i, price, 1.0, price, time, True, True) for i in ids]
        return pl.DataFrame(rows, schema=table.schema, orient="row")

    def sources(sha256):
        return sources_of({}, inputs=[{"key": trade, "sha256": sha256}], **names)

    series.write(trades(1, 2, 3, price=10.0), sources("a"))

    rows = series.rewrite(trades(2, 3, 4, price=11.0), sources("b"))

    assert {row["column"]: row["column_rows_changed"] for row in rows} == {
        "price": 2,
        "quote_quantity": 2,
    }
    assert {
        (row["rows_added"], row["rows_removed"], row["rows_changed"]) for row in rows
    } == {(1, 1, 2)}
    assert {(row["data_type"], row["interval"]) for row in rows} == {("trades", None)}


def test_a_revision_is_noticed_when_the_ledger_says_that_it_came(series):
    def came(name, sha256, at):
        return {"key": key(name), "sha256": sha256, "first_seen": at}

    entries = [
        came("2024-03-01", "b", SEEN),
        came("2024-03-01", "b", SEEN - dt.timedelta(days=9)),
        came("2024-03-01", "a", SEEN + dt.timedelta(days=9)),
        came("2024-03-02", "b", SEEN + dt.timedelta(days=9)),
    ]
    ledger.append(series.data_dir, rows=pl.DataFrame(entries))
    series.write(bars("2024-03-01"), OLD)

    (row,) = series.rewrite(bars("2024-03-01"), NEW)

    assert row["noticed_at"] == SEEN


@pytest.mark.parametrize(
    "before",
    [
        pytest.param([], id="nothing"),
        pytest.param(["2024.sources.json"], id="no partition"),
        pytest.param(["2024.parquet"], id="no sources"),
    ],
)
def test_nothing_is_recorded_where_there_was_no_partition(series, caplog, before):
    caplog.set_level("INFO")
    series.write(bars("2024-03-01"), OLD)
    for name in set(WRITTEN) - set(before):
        (series.partition.parent / name).unlink()

    rows = series.rewrite(bars("2024-03-01", 1), NEW)

    assert rows == []
    assert "nothing to compare it with" in caplog.text
    assert series.files() == WRITTEN


def test_nothing_is_recorded_where_no_input_was_replaced(series):
    series.write(bars("2024-03-01"), OLD)

    assert series.rewrite(bars("2024-03-01", 1), OLD) == []
    assert not (series.data_dir / "aws_data").exists()


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        pytest.param(
            lambda series: series.partition.write_bytes(b"PAR1"), "parquet", id="broken"
        ),
        pytest.param(
            lambda series: (
                bars("2024-03-01").drop("volume").write_parquet(series.partition)
            ),
            "expected symbol String, open_time",
            id="other columns",
        ),
        pytest.param(
            lambda series: series.write(bars("2024-03-01"), OLD | {"revision": 0}),
            "by revision 0 before and by 1 now",
            id="other revision of the parser",
        ),
    ],
)
def test_rows_that_cannot_be_compared_are_recorded_as_such(
    series, caplog, spoil, reason
):
    series.write(bars("2024-03-01"), OLD)
    spoil(series)

    (row,) = series.rewrite(bars("2024-03-01"), NEW)

    assert (row["old_sha256"], row["new_sha256"]) == ("a", "b")
    assert (row["rows_before"], row["rows_changed"], row["column"]) == (None,) * 3
    assert "2024.parquet: not compared with the one before" in caplog.text
    assert reason in caplog.text
    assert series.files() == WRITTEN


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"{", id="no JSON"),
        pytest.param(b"\xff", id="no text"),
        pytest.param(b"[]", id="no object"),
        pytest.param(b"{}", id="an empty object"),
        pytest.param(json.dumps(OLD | {"inputs": [1]}).encode(), id="other inputs"),
        pytest.param(
            json.dumps(OLD | {"inputs": [{"key": "A.zip", "sha256": ""}]}).encode(),
            id="no file of the archive",
        ),
    ],
)
def test_sources_that_cannot_be_read_are_no_failure(series, caplog, content):
    series.write(bars("2024-03-01"), OLD)
    series.sources.write_bytes(content)

    assert series.rewrite(bars("2024-03-01"), NEW) == []
    assert "what changed is not recorded" in caplog.text
    assert series.files() == WRITTEN


@pytest.mark.parametrize(
    "failure",
    [
        pytest.param(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), id="full disk"),
        pytest.param(pl.exceptions.ComputeError("faulty"), id="Polars"),
        pytest.param(pl.exceptions.PanicException("faulty"), id="a panic in Polars"),
    ],
)
@pytest.mark.parametrize("step", ["row_differences", "record"])
def test_a_failure_is_a_warning_and_the_parse_succeeds(
    series, monkeypatch, caplog, step, failure
):
    def fail(*_args, **_options):
        raise failure

    monkeypatch.setattr(revisions, step, fail)
    series.write(bars("2024-03-01"), OLD)

    rows = series.rewrite(bars("2024-03-01"), NEW)

    assert len(rows) == (1 if step == "row_differences" else 0)
    assert [entry.levelname for entry in caplog.records] == ["WARNING"]
    assert series.files() == WRITTEN


def test_a_partition_that_is_deleted_before_the_job_is_compared_if_it_was_kept(series):
    series.write(bars("2024-03-01", 3), OLD)

    is_kept = revisions.keep(series.partition, sources_path=series.sources)
    series.partition.unlink()
    series.sources.unlink()
    (row,) = series.rewrite(bars("2024-03-01", 2), NEW)

    assert is_kept
    assert (row["rows_before"], row["rows_removed"]) == (3, 1)
    assert series.files() == WRITTEN


def test_there_is_nothing_to_keep_of_a_partition_that_was_never_made(series, caplog):
    assert not revisions.keep(series.partition, sources_path=series.sources)
    assert caplog.text == ""


def test_keeping_a_partition_takes_no_space_and_changes_nothing(series):
    series.write(bars("2024-03-01", 3), OLD)
    before = series.partition.stat()

    for _ in range(2):
        revisions.keep(series.partition, sources_path=series.sources)

    after = series.partition.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert after.st_nlink == 2
    assert series.files() == [f".{name}.before" for name in WRITTEN] + WRITTEN


@pytest.mark.parametrize("failing", ["write_json", "write_parquet"])
def test_after_a_failed_parse_the_next_one_compares_with_what_was_there_before(
    series, monkeypatch, failing
):
    def fail(*_args, **_options):
        raise ParseError

    series.write(bars("2024-03-01", 3), OLD)
    with monkeypatch.context() as patches:
        patches.setattr(storage, failing, fail)
        with pytest.raises(ParseError):
            series.rewrite(bars("2024-03-01", 2), NEW)
    recorded = series.recorded()

    (row,) = series.rewrite(bars("2024-03-01", 1), NEW)

    assert recorded == []
    assert (row["old_sha256"], row["new_sha256"]) == ("a", "b")
    assert (row["rows_before"], row["rows_removed"]) == (3, 2)
    assert series.files() == WRITTEN


def test_a_file_system_without_links_will_do(series, monkeypatch):
    def refuse(*_paths):
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)
    series.write(bars("2024-03-01", 3), OLD)

    (row,) = series.rewrite(bars("2024-03-01", 2), NEW)

    assert row["rows_removed"] == 1


def test_what_cannot_be_kept_is_not_compared(series, monkeypatch, caplog):
    def refuse(*_paths):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(revisions, "_link", refuse)
    series.write(bars("2024-03-01", 3), OLD)

    assert series.rewrite(bars("2024-03-01", 2), NEW) == []
    assert "cannot be kept to be compared" in caplog.text
