import datetime as dt

import polars as pl
import pytest

from bhds.archive.integrity.zip_input import FilePeriod
from bhds.core.errors import ParseError
from bhds.core.markets import TradeType
from bhds.parse.dedupe import collapse
from bhds.parse.provenance import CONFLICTS_LISTED, SourceRecord
from bhds.parse.tallies import FileTally, PartitionTally
from bhds.schemas.archive_tables import IntegrityStatus
from bhds.schemas.datatypes import data_type

TRADES = data_type("trades").table(TradeType.UM_FUTURES)
AGG_TRADES = data_type("aggTrades").table(TradeType.UM_FUTURES)
DEPTH = data_type("bookDepth").table(TradeType.UM_FUTURES)


def trades(*rows):
    """Return trades of given ids and times, ISO 8601 in UTC."""
    return pl.DataFrame(
        {
            "id": [number for number, _ in rows],
            "price": [1.0] * len(rows),
            "quantity": [2.0] * len(rows),
            "quote_quantity": [2.0] * len(rows),
            "time": [dt.datetime.fromisoformat(f"{time}Z") for _, time in rows],
            "is_buyer_maker": [True] * len(rows),
        },
        schema=TRADES.schema,
    )


def depth(*rows):
    return pl.DataFrame(
        [
            (dt.datetime.fromisoformat(f"2024-01-01T{time}Z"), level, 1.0, 1.0)
            for time, level in rows
        ],
        schema=DEPTH.schema,
        orient="row",
    )


def record(key="a.zip"):
    return SourceRecord(key, "daily", None, 1, "", None, IntegrityStatus.OK, None)


# --- of a file ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "makers", "warnings"),
    [
        (1_000, 1_000, ["is_buyer_maker is true in all 1000 rows"]),
        (1_000, 0, ["is_buyer_maker is false in all 1000 rows"]),
        (1_000, 999, []),
        (1_000, 1, []),
        (999, 999, []),
    ],
)
def test_many_trades_with_takers_of_one_side_are_warned_of(rows, makers, warnings):
    tally, entry = FileTally(TRADES), record()
    all_rows = trades(*((n, "2024-01-01T10:00") for n in range(rows))).with_columns(
        is_buyer_maker=pl.int_range(pl.len()) < makers
    )

    for part in (all_rows[:400], all_rows[400:]):
        tally.add(part, outside=0, time_unit="ms", line=2)
    tally.enter(entry)

    assert entry.warnings == warnings


def test_pieces_are_counted_together():
    tally, entry = FileTally(TRADES), record()
    first = trades((5, "2024-01-01T10:00"), (4, "2024-01-01T12:00"))
    second = trades((3, "2024-01-01T09:00"), (9, "2024-01-01T11:00"))

    tally.add(first, outside=0, time_unit="ms", line=2)
    tally.add(second, outside=1, time_unit="ms", line=4)
    tally.enter(entry)

    assert (entry.rows_read, entry.rows_outside) == (4, 1)
    assert (entry.time_unit, entry.warnings) == ("ms", [])
    assert entry.out_of_order == 2
    assert entry.first_time == "2024-01-01T09:00:00+00:00"
    assert entry.last_time == "2024-01-01T12:00:00+00:00"


def test_order_is_that_of_the_whole_key():
    tally = FileTally(DEPTH)

    tally.add(depth(("10:00", -5.0), ("10:00", 5.0)), outside=0, time_unit="s", line=1)
    tally.add(depth(("10:00", 1.0), ("10:01", -5.0)), outside=0, time_unit="s", line=3)

    assert tally.out_of_order == 1


def test_file_without_rows_has_a_warning():
    tally, entry = FileTally(TRADES), record()

    tally.add(trades(), outside=0, time_unit=None, line=1)
    tally.enter(entry)

    assert entry.warnings == ["the CSV has no rows"]
    assert (entry.rows_read, entry.time_unit, entry.first_time) == (0, None, None)


def test_second_unit_is_refused():
    tally = FileTally(TRADES)
    rows = trades((1, "2024-01-01T10:00"))
    tally.add(rows, outside=0, time_unit="ms", line=2)

    with pytest.raises(ParseError, match="line 77: times in us: expected ms, as in"):
        tally.add(rows, outside=0, time_unit="us", line=77)


# --- of a partition -------------------------------------------------------------------


ROWS = {"expected": None, "present": 2, "quantity": 4.0, "daily": 2}


def test_days_and_quantities_are_counted_though_their_rows_are_apart():
    tally = PartitionTally(TRADES)

    tally.add(
        trades(
            (1, "2024-01-01T23:59"), (2, "2024-01-02T00:00"), (3, "2024-01-01T23:59")
        ),
        file=0,
    )
    tally.add(trades((4, "2024-01-02T00:00")), file=1)
    sources = tally.sources(
        [record("a.zip"), record("b.zip")], covered=[FilePeriod.parse("2024-01-03")]
    )

    assert sources["days"] == [
        ROWS | {"day": "2024-01-01"},
        ROWS | {"day": "2024-01-02"},
        {"day": "2024-01-03", "expected": None, "present": 0},
    ]
    assert sources["rows"] == 4
    assert [entry["rows_kept"] for entry in sources["inputs"]] == [3, 1]


@pytest.mark.parametrize(
    ("pieces", "missing", "holes"),
    [
        pytest.param([], 0, 0, id="no rows"),
        pytest.param([[7]], 0, 0, id="one row"),
        pytest.param([[1, 2, 3], [4, 5]], 0, 0, id="none missing"),
        pytest.param([[1, 2, 5, 6, 9]], 4, 2, id="within pieces"),
        pytest.param([[1, 2], [], [5], [6, 10]], 5, 2, id="between pieces"),
    ],
)
def test_missing_ids_are_counted(pieces, missing, holes):
    tally = PartitionTally(TRADES)

    for ids in pieces:
        tally.add(trades(*((number, "2024-01-01T00:00") for number in ids)), file=0)

    sources = tally.sources([record()], covered=[])
    assert (sources["missing_ids"], sources["missing_id_ranges"]) == (missing, holes)


@pytest.mark.parametrize(
    ("before", "after", "missing"),
    [
        pytest.param("01T10:00", "01T11:00", {"01": 9}, id="within a day"),
        pytest.param("01T12:00", "02T00:00", {"01": 9}, id="a day that ends at noon"),
        pytest.param("01T23:59", "02T12:00", {"02": 9}, id="a day that begins at noon"),
        pytest.param("01T12:00", "03T12:00", {"01": 2, "03": 2}, id="two halves"),
        pytest.param("01T12:00", "02T12:00", {"01": 5, "02": 4}, id="of two days"),
        pytest.param("01T23:59", "03T00:00:30", {}, id="a day without a file"),
    ],
)
def test_missing_ids_belong_to_the_day_that_lacks_the_time(before, after, missing):
    tally = PartitionTally(TRADES)
    tally.add(trades((1, f"2024-01-{before}")), file=0)
    tally.add(trades((11, f"2024-01-{after}")), file=1)

    days = tally.sources([record(), record("b.zip")], covered=[])["days"]

    found = {day["day"]: day["missing_ids"] for day in days if "missing_ids" in day}
    assert found == {f"2024-01-{day}": number for day, number in missing.items()}


def test_trades_that_no_aggregate_holds_are_counted():
    rows = pl.DataFrame(
        [
            (1, 10, 12, "2024-01-01T10:00"),
            (2, 13, 13, "2024-01-01T11:00"),
            (3, -1, -1, "2024-01-01T12:00"),
            (4, 20, 21, "2024-01-02T10:00"),
        ],
        schema=["agg_trade_id", "first_trade_id", "last_trade_id", "time"],
        orient="row",
    ).select(
        pl.lit(1).cast(dtype).alias(name)
        if name not in {"agg_trade_id", "first_trade_id", "last_trade_id", "time"}
        else pl.col(name).str.to_datetime(time_zone="UTC").cast(dtype)
        if name == "time"
        else pl.col(name)
        for name, dtype in AGG_TRADES.schema.items()
    )
    tally = PartitionTally(AGG_TRADES)

    for part in rows.iter_slices(1):
        tally.add(part, file=0)

    first, second = tally.sources([record()], covered=[])["days"]
    assert "missing_ids" not in first | second
    assert (first["missing_trade_ids"], second["missing_trade_ids"]) == (4, 2)


def test_ids_that_do_not_count_up_have_no_holes():
    tally = PartitionTally(DEPTH)
    tally.add(depth(("10:00", 5.0)), file=0)

    assert "missing_ids" not in tally.sources([record()], covered=[])


def test_dropped_rows_are_counted_by_their_files_and_conflicts_listed():
    rows = pl.concat(
        [
            trades((1, "2024-01-01T01:00"), (2, "2024-01-01T02:00")).with_columns(
                file=0
            ),
            trades((1, "2024-01-01T01:00"), (2, "2024-01-01T03:00")).with_columns(
                file=1
            ),
        ]
    ).with_row_index("row")
    values = [name for name in TRADES.schema if name != "id"]
    tally = PartitionTally(TRADES)

    tally.add_unique(collapse(rows, key=["id"], precedence=["row"], values=values))
    sources = tally.sources([record("a.zip"), record("b.zip")], covered=[])

    first, second = sources["inputs"]
    assert [first[name] for name in ("rows_kept", "duplicates", "conflicts")] == [
        0,
        1,
        1,
    ]
    assert [second[name] for name in ("rows_kept", "duplicates", "conflicts")] == [
        2,
        0,
        0,
    ]
    assert sources["conflicts"]["count"] == 1
    (conflict,) = sources["conflicts"]["listed"]
    assert conflict["id"] == 2
    assert conflict["dropped"]["key"] == "a.zip"
    assert conflict["dropped"]["time"] == "2024-01-01T02:00:00+00:00"
    assert conflict["kept"]["time"] == "2024-01-01T03:00:00+00:00"


def test_first_conflicts_are_listed_and_all_are_counted():
    values = [name for name in TRADES.schema if name != "id"]
    times = ["2024-01-01T01:00", "2024-01-01T02:00"]
    tally = PartitionTally(TRADES)

    for begin in range(0, 2 * CONFLICTS_LISTED, 400):
        ids = range(begin, begin + 400)
        rows = trades(*((number, time) for number in ids for time in times))
        rows = rows.with_columns(file=0).with_row_index("row")
        tally.add_unique(collapse(rows, key=["id"], precedence=["row"], values=values))

    conflicts = tally.sources([record()], covered=[])["conflicts"]
    assert conflicts["count"] == 2 * CONFLICTS_LISTED
    assert [entry["id"] for entry in conflicts["listed"]] == list(
        range(CONFLICTS_LISTED)
    )
    assert sum(part.height for part in tally.listed) < 2 * CONFLICTS_LISTED
