import hashlib

import polars as pl
import pytest

from bhds.bars import split
from bhds.bars.split import segment_names, segment_rows, segments_table, symbol_of
from bhds.schemas.klines import SEGMENT_FILES

from .conftest import build_from

GOLDEN = {2: "54ef3df8c6825620"}
DAY = 24 * 60


@pytest.fixture
def results(published):
    def build(days):
        return build_from(published([day * DAY for day in days]), interval="1d").frame

    return build


def test_split_files_change_only_with_the_revision(results):
    frame = results([0, 1, 7, 8, 9])
    table = segments_table({"LUNAUSDT": frame})
    content = table.write_csv() + segment_rows(frame, 1).write_csv()
    digest = hashlib.sha256(content.encode()).hexdigest()

    assert digest[:16] == GOLDEN.get(split.REVISION), (
        "split files have other rows: raise split.REVISION and record the digest"
    )


@pytest.mark.parametrize(
    ("n", "names"),
    [
        (0, []),
        (1, ["LUNAUSDT"]),
        (2, ["SP0_LUNAUSDT", "LUNAUSDT"]),
        (3, ["SP0_LUNAUSDT", "SP1_LUNAUSDT", "LUNAUSDT"]),
    ],
)
def test_the_last_segment_has_the_name_of_the_symbol(n, names):
    assert segment_names("LUNAUSDT", n) == names


@pytest.mark.parametrize(
    ("name", "symbol"),
    [
        ("LUNAUSDT", "LUNAUSDT"),
        ("SP0_LUNAUSDT", "LUNAUSDT"),
        ("SP12_BTCUSD_PERP", "BTCUSD_PERP"),
        ("SPELLUSDT", "SPELLUSDT"),
    ],
)
def test_symbol_of_reads_the_symbol_from_the_file_name(name, symbol):
    assert symbol_of(name) == symbol


def test_segments_table_tells_what_each_file_holds(results, minutes_of):
    frames = {"B": results([0, 1, 7, 8, 9]).lazy(), "A": results([2]), "C": results([])}

    table = segments_table(frames)

    assert table.schema == SEGMENT_FILES
    assert table["name"].to_list() == ["SP0_B", "B", "A"]
    assert table["symbol"].to_list() == ["B", "B", "A"]
    assert table["segment"].to_list() == [0, 1, 0]
    assert minutes_of(table["first_open_time"]) == [0, 7 * DAY, 2 * DAY]
    assert minutes_of(table["last_open_time"]) == [DAY, 9 * DAY, 2 * DAY]


def test_segments_table_of_no_symbols_is_empty():
    assert segments_table({}).equals(SEGMENT_FILES.to_frame())


def test_segment_rows_are_those_of_one_segment(results):
    frame = results([0, 1, 7, 8, 9])

    pieces = [segment_rows(frame, segment) for segment in (0, 1)]

    assert [piece.height for piece in pieces] == [2, 3]
    assert pl.concat(pieces).equals(frame)
    assert segment_rows(frame, 2).height == 0
