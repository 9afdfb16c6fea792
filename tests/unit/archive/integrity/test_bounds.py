"""No file may hold more than what it is of: genuine ones are far from their bounds."""

import calendar
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from bhds.archive.integrity.bounds import (
    MAX_LINE_BYTES,
    MAX_PARTITION_ROWS,
    MAX_TEXT,
    MAX_WARNINGS,
    bounds_of,
    bounds_of_file,
    cut,
    cut_list,
)
from bhds.archive.keys import ArchiveFile
from bhds.core.markets import ARCHIVE_INTERVALS, Interval
from bhds.parse import parse_table, published
from bhds.schemas.datatypes import DATA_TYPES

ROOT = Path(__file__).parents[4]
GENUINE = ROOT / "../shared/realdata"
NAME = re.compile(r"\w+-(\w+)-(\d{4})-(\d\d)(-\d\d)?\.(csv|zip)")
DAY_S = 86_400
SERIES = {
    (entry.name, interval)
    for entry in DATA_TYPES.values()
    for market in entry.trade_types
    for interval in (entry.intervals_of(market) or [None])
}


def genuine_csvs():
    """Return the genuine CSVs, and what each is of."""
    found = {}
    for path in sorted(GENUINE.glob("*/*/**/*")):
        if match := NAME.fullmatch(path.name):
            of, year, month, day, _ = match.groups()
            days = 1 if day else calendar.monthrange(int(year), int(month))[1]
            series = (of, None) if of in DATA_TYPES else ("klines", of)
            found[path] = (*series, days)
    return found


@pytest.mark.skipif(not GENUINE.is_dir(), reason="there are no genuine files")
def test_no_genuine_file_comes_near_its_bounds():
    files = genuine_csvs()
    assert len(files) > 25

    for path, (data_type, interval, days) in files.items():
        content = path.read_bytes()
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as opened:
                (member,) = opened.namelist()
                content = opened.read(member)
        bounds = bounds_of(data_type, interval=interval, days=days)
        lines = content.split(b"\n")
        assert 4 * (len(lines) - 2) <= bounds.rows, path
        assert 4 * len(content) <= bounds.size, path
        assert 4 * max(map(len, lines)) <= MAX_LINE_BYTES, path


@pytest.mark.parametrize("days", [1, 28, 31])
def test_every_bound_is_above_what_there_can_be(days):
    longest = 170  # bytes of genuine lines of bars
    for data_type, interval in SERIES:
        bounds = bounds_of(data_type, interval=interval, days=days)
        length = Interval.parse(interval).duration if interval else None
        can_be = 1 if length is None else days * DAY_S // int(length.total_seconds())
        assert bounds.rows >= 4 * can_be, (data_type, interval)
        if interval is None:
            assert bounds.rows >= 4 * days, data_type
        else:
            assert bounds.size >= 4 * can_be * longest, (data_type, interval)
        assert bounds.size >= bounds.rows * 100, (data_type, interval)
        more = bounds_of(data_type, interval=interval, days=days + 1)
        assert more.rows >= bounds.rows, (data_type, interval)


def test_all_types_of_data_are_bounded_by_their_files():
    assert {name for name, _ in SERIES} == DATA_TYPES.keys()
    day, month = (
        bounds_of_file(
            ArchiveFile.from_key(
                f"data/spot/{frequency}/klines/BTCUSDT/1m/BTCUSDT-1m-{period}.zip"
            )
        )
        for frequency, period in (("daily", "2024-02-29"), ("monthly", "2024-02"))
    )

    assert day == bounds_of("klines", interval="1m", days=1)
    assert month == bounds_of("klines", interval="1m", days=29)


def test_whole_partitions_of_bars_may_be_read():
    rows = {
        name: (31 if name == "1s" else 366) * DAY_S // int(length.total_seconds())
        for name in ARCHIVE_INTERVALS
        if (length := Interval.parse(name).duration) is not None
    }

    assert max(rows.values()) * 5 // 4 < MAX_PARTITION_ROWS


def test_texts_of_others_are_cut_and_made_printable():
    assert cut("what it says: 币安人生USDT") == "what it says: 币安人生USDT"
    assert cut("a\nb\x1b[0m") == "a\ufffdb\ufffd[0m"
    assert cut("x" * MAX_TEXT) == "x" * MAX_TEXT
    assert cut("x" * 1_000_000) == "x" * (MAX_TEXT - 3) + "..."
    many = cut_list(f"{number}" for number in range(1_000_000))
    assert many[MAX_WARNINGS:] == ["999980 more warnings"]
    assert cut_list(["a", "b"]) == ["a", "b"]


def test_the_fullest_zips_are_left_out_where_all_have_too_many_rows(
    parse, archive, csv, monkeypatch
):
    monkeypatch.setattr(published, "MAX_PARTITION_ROWS", 550)
    zips = [
        archive("BTCUSDT-1m-2024-02", csv("2024-02-01", 250)),
        archive("BTCUSDT-1m-2024-03-01", csv("2024-03-01", 100)),
        archive("BTCUSDT-1m-2024-03-02", csv("2024-03-02", 200)),
        archive("BTCUSDT-1m-2024-03-03", csv("2024-03-03", 150)),
    ]

    parsed = parse(*zips)

    records = parsed.sources["inputs"]
    assert [record["rows_kept"] for record in records] == [250, 100, 0, 150]
    assert records[2]["integrity_status"] == "corrupt"
    assert records[2]["reason"] == (
        "BTCUSDT-1m-2024-03-02.csv has 200 rows, and all files of the partition 700: "
        "expected at most 550; the fullest is left out"
    )


def test_rows_are_chosen_alike_whether_all_or_few_are_compared_at_once(
    parse, archive, csv, monkeypatch
):
    zips = [
        archive("BTCUSDT-1m-2024-03", csv("2024-03-01", 4_000)),
        archive("BTCUSDT-1m-2024-03-01", csv("2024-03-01", 1_440) * 2),
        archive("BTCUSDT-1m-2024-03-02", csv("2024-03-02T00:07", 1_000)),
    ]

    whole = parse(*zips)
    monkeypatch.setattr(parse_table, "_COMPARED_ROWS", 2_000)
    parted = parse(*zips)

    assert whole.sources["conflicts"]["count"] == 1_000
    assert parted.sources == whole.sources
    assert parted.frame.equals(whole.frame)


def test_files_read_in_many_batches_are_read_alike(parse, archive, csv, monkeypatch):
    days = [
        archive(f"BTCUSDT-1m-2024-03-0{day}", csv(f"2024-03-0{day}", 1_440))
        for day in (1, 2, 3)
    ]
    spoiled = csv("2024-03-04", 1_440).replace("12.5", "x", 1)
    days.append(archive("BTCUSDT-1m-2024-03-04", spoiled))
    late = csv("2024-03-05", 1_440, unit="ms") + csv("2024-03-05", 9, unit="us")
    days.append(archive("BTCUSDT-1m-2024-03-05", late))

    whole = parse(*days)
    monkeypatch.setattr(published, "BATCH_BYTES", 1)
    monkeypatch.setattr(published, "PIECE_BYTES", 10_000)
    pieces = parse(*days)

    statuses = [record["integrity_status"] for record in whole.sources["inputs"]]
    assert statuses == ["ok"] * 3 + ["corrupt"] * 2
    assert pieces.frame.equals(whole.frame)
    for one, other in zip(
        pieces.sources["inputs"], whole.sources["inputs"], strict=True
    ):
        assert one | {"reason": None} == other | {"reason": None}


def test_no_hostile_file_takes_more_memory_or_time_than_a_genuine_one():
    """`benchmarks/hostile.py` has more of them, which take longer to make."""
    name = "trades of one letter a line"

    command = [sys.executable, "benchmarks/hostile.py", name]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 rows, 1 bad, " in done.stdout
